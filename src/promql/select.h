/*
 * Leaves of an expression as streams.
 */
#ifndef PROMQL_SELECT_H
#define PROMQL_SELECT_H

#include "promql/eval.h"

/* An instant selector, which stands at 'position'; 'takes_times' gives each sample's own time in
 * seconds instead of its value; a column of histograms has them beside its values. */
MUST_USE int select_open(struct eval *ev, const struct selector *selector, uint32_t position,
	const struct grid *grid, bool takes_times, struct stream **out);

/* A finished matrix. ERR_INVAL unless every step of the grid is one of the matrix'. */
MUST_USE int matrix_open(
	struct eval *ev, const struct steps *steps, const struct grid *grid, struct stream **out);

/* Which of the matrix' steps is the grid's first, and how many of its steps are one of the grid's.
 */
MUST_USE int matrix_place(struct eval *ev, const struct steps *steps, const struct grid *grid,
	size_t *first, size_t *stride);

#endif
