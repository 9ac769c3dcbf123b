/*
 * The HTTP/1.1 codec (RFC 9112): requests in, answers out, as bytes; no sockets.
 *
 * The reader is strict where leniency lets two readers of the same bytes differ (request
 * smuggling): lines end in CR LF, no folding, no space before a colon, one Host, one Content-Length
 * made of digits, never together with Transfer-Encoding, whose only value is "chunked". Owned by
 * one thread.
 */
#ifndef HTTP_H1_H
#define HTTP_H1_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "http/message.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Most headers of one request; 431 beyond. */
#define H1_HEADERS_MAX 200
/* Longest line of a chunk's size with its extensions. */
#define H1_CHUNK_LINE_MAX 256

enum h1_state {
	H1_REQUEST_LINE,
	H1_HEADERS,
	H1_LENGTH_BODY,
	H1_CHUNK_SIZE,
	H1_CHUNK_DATA,
	H1_CHUNK_END,
	H1_TRAILERS,
	H1_COMPLETE,
	H1_BROKEN,
};

enum h1_event {
	H1_MORE = 0,     /* All bytes that could be used were; more are needed. */
	H1_HAS_HEAD = 1, /* The header is in and a body follows; told once. */
	H1_HAS_ALL = 2,  /* The request is whole; what is left belongs to the next one. */
};

struct h1_reader {
	enum h1_state state;
	size_t header_bytes_max;
	size_t body_bytes_max;
	struct arena *arena;          /* Borrowed: the request's strings, but for the body. */
	struct http_request *request; /* Borrowed. */
	struct buf *body;             /* Borrowed: where the body is collected. */

	size_t header_bytes; /* Lines so far. */
	size_t scanned;      /* Bytes of the unfinished line that hold no LF. */
	uint64_t left;       /* Of the body or chunk. */
	bool skipped_line;   /* The one empty line allowed before a request. */
	bool is_http10;
	bool has_host;
	bool has_length;
	bool is_chunked;
	bool keep_alive;       /* As the client wishes. */
	bool expects_continue; /* Waits for "100 Continue" before it sends the body. */
	int status;            /* Once broken: what to answer. */
};

/* Makes ready for one request. */
void h1_reader_init(struct h1_reader *reader, struct arena *arena, struct http_request *request,
	struct buf *body, size_t header_bytes_max, size_t body_bytes_max);
/*
 * Reads from 'bytes' and puts into '*used' how many were taken; the rest is to be given again, with
 * what follows it. Returns an h1_event, or ERR_INVAL or ERR_LIMIT with the reason and
 * reader->status (400, 413, 414, 417, 431, 501, 505); the connection cannot go on after that.
 */
MUST_USE int h1_read(struct h1_reader *reader, struct str bytes, size_t *used, struct err *err);

/* How the body of an answer is delimited. */
enum h1_framing {
	H1_FRAMING_LENGTH,
	H1_FRAMING_CHUNKED,
	H1_FRAMING_CLOSE,
	H1_FRAMING_NONE
};

struct h1_answer {
	int status;
	bool is_http10;  /* The request was. */
	bool keep_alive; /* The connection goes on after this answer. */
	enum h1_framing framing;
	uint64_t content_length;            /* With H1_FRAMING_LENGTH. */
	struct str content_type;            /* May be empty. */
	struct str date;                    /* As http_date_format writes it. */
	const struct http_headers *headers; /* May be NULL. */
};

/* Appends status line and header. */
void h1_write_head(const struct h1_answer *answer, struct buf *out);
/* Appends one chunk; an empty one would end the body and adds nothing. */
void h1_write_chunk(struct str bytes, struct buf *out);
/* Appends the last chunk. */
void h1_write_last_chunk(struct buf *out);

/* Appends a time as Date headers have it: "Sun, 06 Nov 1994 08:49:37 GMT". */
void http_date_format(int64_t unix_ms, struct buf *out);

#endif
