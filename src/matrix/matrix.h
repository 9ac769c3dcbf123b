/*
 * The compact matrix: a query's result in few bytes, every double kept bit for bit.
 *
 * What a cluster answers its hub with instead of JSON: labels as a dictionary, presence as runs,
 * one column of values for each series in the smallest of a few exact encodings, in a zstd frame.
 * The format is docs/formats/matrix.md. Any thread.
 */
#ifndef MATRIX_MATRIX_H
#define MATRIX_MATRIX_H

#include "base/buf.h"
#include "promql/engine.h"

/* What asks for it in Accept, and names it in Content-Type. */
#define MATRIX_MEDIA_TYPE "application/vnd.atoll.matrix"

/* Whether an Accept header names the media type and does not forbid it. */
bool matrix_is_accepted(struct str accept);
/* Whether a body begins as one, of whatever version. */
bool matrix_is(struct str body);

/* Appends the result: steps, raw series, scalar or string, with its notes and stats. */
void matrix_encode(const struct query_result *result, struct buf *out);

struct matrix_options {
	size_t bytes_max; /* Of the content, decompressed; charged to nobody while decoding. */
	/* A label put on every series, over one that it has; empty name: none. */
	struct str label_name;
	struct str label_value;
	bool *has_stored; /* Set when a series had that label; may be NULL. */
};

/*
 * Reads all of 'body' into 'arena', whose budget bounds what few bytes may claim to be. Returns 0,
 * ERR_CORRUPT, ERR_LIMIT (the budget, options->bytes_max), or ERR_ABSENT for a version of the
 * format that is newer than this program.
 */
MUST_USE int matrix_decode(struct str body, const struct matrix_options *options,
	struct arena *arena, struct query_result *out, struct err *err);

#endif
