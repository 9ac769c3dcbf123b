/*
 * Leaves of an expression as streams.
 */
#ifndef PROMQL_SELECT_H
#define PROMQL_SELECT_H

#include "promql/eval.h"

/* What of the samples becomes the values; a column of histograms has times beside them. */
enum select_part {
	SELECT_VALUES,
	SELECT_TIMES,  /* In seconds. */
	SELECT_STARTS, /* Start timestamps in seconds, 0 where unknown. */
};

/* An instant selector, which stands at 'position'. */
MUST_USE int select_open(struct eval *ev, const struct selector *selector, uint32_t position,
	const struct grid *grid, enum select_part part, struct stream **out);

/* A finished matrix. ERR_INVAL unless every step of the grid is one of the matrix'. */
MUST_USE int matrix_open(
	struct eval *ev, const struct steps *steps, const struct grid *grid, struct stream **out);

/* Which of the matrix' steps is the grid's first, and how many of its steps are one of the grid's.
 */
MUST_USE int matrix_place(struct eval *ev, const struct steps *steps, const struct grid *grid,
	size_t *first, size_t *stride);

#endif
