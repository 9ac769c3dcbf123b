/*
 * The label sets of many series as one table: a column for each label name with the dictionary of
 * its values.
 *
 * Columns stand in the order of their names, so that each row is a label set as it is read.
 */
#ifndef MATRIX_TABLE_H
#define MATRIX_TABLE_H

#include "base/arena.h"
#include "base/err.h"
#include "label/labels.h"
#include "matrix/bytes.h"

/* Gives the 'index'-th series' labels. */
typedef const struct labels *table_row_fn(const void *context, size_t index);

/* Appends the label sets of 'count' series. */
void table_encode(table_row_fn *row, const void *context, size_t count, struct buf *out);

/*
 * Reads 'count' label sets into 'arena', strings copied. Returns 0, ERR_CORRUPT or ERR_LIMIT (the
 * arena's budget, too many labels on one series).
 */
MUST_USE int table_decode(
	struct reader *in, size_t count, struct arena *arena, struct labels **out, struct err *err);

#endif
