/*
 * A run of doubles in few bytes, each bit kept: NaN payloads, infinities and -0 included.
 *
 * The encoder measures what fits and takes what it expects to be smallest after zstd:
 *   constant   one value
 *   decimal    integers over a power of ten, as differences (gauges, counters; the idea is ALP's,
 *              SIGMOD 2024)
 *   multiple   integers times one double, with the last bits' correction (rates of counters)
 *   planes     each value XOR the one before, cut into eight planes of bytes
 *   raw        as they are: zstd finds what repeats
 */
#ifndef MATRIX_COLUMN_H
#define MATRIX_COLUMN_H

#include "matrix/bytes.h"

/* What an encoder uses meanwhile; { 0 } to begin with, kept from column to column. */
struct column_scratch {
	int64_t *numbers;
	int64_t *corrections;
	size_t capacity;
};

/* Frees what it holds; it is usable after. */
void column_scratch_deinit(struct column_scratch *scratch);
/* Appends 'count' values, which may be 0 (nothing is written). */
void column_encode(
	const double *values, size_t count, struct column_scratch *scratch, struct buf *out);
/* Reads as many as were written; a reader that fails tells what is malformed. */
void column_decode(struct reader *in, double *values, size_t count);

#endif
