/*
 * The shapes of regular expressions that need no engine.
 *
 * A shape is a list of pieces, any of which may match: a literal, with '.*' or '.+' before or after
 * it or neither. Literals in groups are multiplied out: "node_(cpu|disk)" gives two pieces. What is
 * not of this form has no shape and goes to RE2.
 */
#ifndef LABEL_REGEX_SHAPE_H
#define LABEL_REGEX_SHAPE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>

/* Most pieces that multiplying out groups may give; a written alternation may have more. */
#define REGEX_SHAPE_PRODUCT_MAX 1024

enum regex_gap {
	REGEX_GAP_NONE,
	REGEX_GAP_ANY,  /* .* */
	REGEX_GAP_SOME, /* .+ */
};

struct regex_piece {
	enum regex_gap before;
	enum regex_gap after;
	struct str literal;
};

struct regex_shape {
	struct regex_piece *pieces; /* In the order written. */
	size_t count;
	size_t captures;     /* Capturing groups in the pattern. */
	bool captures_whole; /* There is one, and it spans the pattern. */
};

/* Reads 'pattern', which is well-formed UTF-8. Returns false when it has no shape. */
bool regex_shape_parse(struct str pattern, struct arena *arena, struct regex_shape *out);
/* Whether the whole of 'text' is what the piece says. */
bool regex_piece_match(const struct regex_piece *piece, struct str text);
/*
 * Appends to 'out' the literal that every match of any pattern must start with, as far as that is
 * easily seen. Reads what has no shape, too.
 */
void regex_prefix_find(struct str pattern, struct buf *out);

#endif
