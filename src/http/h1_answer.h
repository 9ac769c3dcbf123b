/*
 * The HTTP/1.1 codec for who asks (RFC 9112): an answer's bytes in, its parts out; no sockets.
 *
 * As strict as the reader of requests (h1.h): what two readers could take for different answers is
 * refused - two lengths, a length beside chunks, lines without CR, folded headers, any transfer
 * coding but chunked. Interim answers (1xx) are read over. Owned by one thread.
 */
#ifndef HTTP_H1_ANSWER_H
#define HTTP_H1_ANSWER_H

#include "base/arena.h"
#include "base/err.h"
#include "http/message.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum h1_answer_state {
	H1_ANSWER_STATUS_LINE,
	H1_ANSWER_HEADERS,
	H1_ANSWER_LENGTH_BODY,
	H1_ANSWER_OPEN_BODY, /* As long as the connection. */
	H1_ANSWER_CHUNK_SIZE,
	H1_ANSWER_CHUNK_DATA,
	H1_ANSWER_CHUNK_END,
	H1_ANSWER_TRAILERS,
	H1_ANSWER_COMPLETE,
	H1_ANSWER_BROKEN,
};

enum h1_answer_event {
	H1_ANSWER_MORE = 0, /* All bytes that could be used were; more are needed. */
	H1_ANSWER_HEAD,     /* Status and headers are in; told once. */
	H1_ANSWER_BODY,     /* '*piece' is some of the body, a slice of what was given. */
	H1_ANSWER_END, /* The answer is whole; what is left belongs to no answer of this request. */
};

struct h1_answer_reader {
	enum h1_answer_state state;
	struct arena *arena; /* Borrowed: of the headers. */
	size_t header_bytes_max;
	bool is_to_head; /* The request was HEAD: no body, whatever the header says. */

	int status;
	struct http_headers headers;
	uint64_t length; /* With has_length: the body's. */
	bool has_length;
	bool is_chunked;
	bool keep_alive; /* The connection may be used again after the end. */

	bool is_http10;
	size_t header_bytes; /* Lines so far. */
	size_t scanned;      /* Bytes of the unfinished line that hold no LF. */
	uint64_t left;       /* Of the body or chunk. */
};

/* Makes ready for one answer. */
void h1_answer_init(struct h1_answer_reader *reader, struct arena *arena, bool is_to_head,
	size_t header_bytes_max);
/*
 * Reads from 'bytes' and puts into '*used' how many were taken; the rest is to be given again, with
 * what follows it. Returns an h1_answer_event, or ERR_CORRUPT or ERR_LIMIT with the reason; the
 * connection cannot be used after that.
 */
MUST_USE int h1_answer_read(struct h1_answer_reader *reader, struct str bytes, size_t *used,
	struct str *piece, struct err *err);
/* The connection ended. Returns 0 if the answer is whole with that, else ERR_CLOSED. */
MUST_USE int h1_answer_close(struct h1_answer_reader *reader, struct err *err);

#endif
