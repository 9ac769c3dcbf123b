/*
 * The answer of an evaluation, in the caller's arena.
 */
#ifndef PROMQL_RESULT_H
#define PROMQL_RESULT_H

#include "promql/eval.h"

/* Reads 'expr' on the grid into result->steps; sorted by labels if 'is_sorted'. */
MUST_USE int result_vector(struct eval *ev, struct expr *expr, const struct grid *grid,
	bool is_sorted, struct arena *arena, struct query_result *result);
MUST_USE int result_scalar(struct eval *ev, struct expr *expr, const struct grid *grid,
	struct arena *arena, struct query_result *result);
/* A range vector at the grid's one step, into result->raw. */
MUST_USE int result_raw(struct eval *ev, struct expr *expr, const struct grid *grid,
	struct arena *arena, struct query_result *result);

#endif
