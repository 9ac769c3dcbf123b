/*
 * Writing JSON as a stream of tokens; commas and escapes are the writer's.
 */
#ifndef CODEC_JSON_WRITER_H
#define CODEC_JSON_WRITER_H

#include "base/budget.h"
#include "base/buf.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

#define JSON_DEPTH_MAX 4096

struct json_writer {
	struct buf *out; /* Borrowed. */
	unsigned depth;
	uint64_t needs_comma[JSON_DEPTH_MAX / 64]; /* A bit per depth. */
	bool after_key;
	struct budget *budget; /* Borrowed; pays for what 'out' grows by. NULL: nobody. */
	uint64_t charged_bytes;
	struct err *err;
	bool has_failed;
};

/* A writer that adds to the end of 'out'. It owns nothing, so there is no deinit. */
void json_writer_init(struct json_writer *writer, struct buf *out);

/*
 * From here on 'budget' pays for the memory of 'out', until its own end. When it is spent, the
 * writer fails: 'out' is emptied, nothing more is written, and 'err' says why.
 */
void json_writer_limit(struct json_writer *writer, struct budget *budget, struct err *err);
/* Has it fail for a reason of the caller's, who has set 'err'. */
void json_writer_fail(struct json_writer *writer);
/* Makes room for 'len' bytes that the caller adds to 'out' itself. False if the writer has failed.
 */
bool json_writer_room(struct json_writer *writer, size_t len);

/* What was begun is ended in reverse order; at most JSON_DEPTH_MAX - 1 deep. */
void json_begin_object(struct json_writer *writer);
void json_end_object(struct json_writer *writer);
void json_begin_array(struct json_writer *writer);
void json_end_array(struct json_writer *writer);

/* A member's name; its value is what is written next. */
void json_key(struct json_writer *writer, struct str name);
/* Escapes only what JSON asks for; invalid UTF-8 is written as U+FFFD. */
void json_put_str(struct json_writer *writer, struct str value);
void json_put_text(struct json_writer *writer, const char *value);
/* The other scalars. */
void json_put_int(struct json_writer *writer, int64_t value);
/* NaN and infinities give null. */
void json_put_double(struct json_writer *writer, double value);
void json_put_bool(struct json_writer *writer, bool value);
void json_put_null(struct json_writer *writer);
/* Bytes that are JSON already. */
void json_put_raw(struct json_writer *writer, struct str json);

#endif
