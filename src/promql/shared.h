/*
 * Common subexpressions, evaluated once.
 *
 * Vectors that a query holds several times, with the same text but for blanks, have a number in the
 * tree. The first that is opened is read to its end and kept; the others replay it, on the same
 * steps, with its notes where they stand and its samples counted again, so that nobody can tell.
 * What would take too much memory to keep is evaluated each time instead: nothing fails for it.
 */
#ifndef PROMQL_SHARED_H
#define PROMQL_SHARED_H

#include "promql/eval.h"

/* Numbers what stands in the tree more than once. After whatever rewrites it or marks selectors. */
void shared_mark(struct expr_tree *tree);

/* Opens 'expr', which has a number, by 'open' or as a replay. Returns 0 or an error. */
MUST_USE int shared_open(struct eval *ev, struct expr *expr, const struct grid *grid,
	eval_open_fn *open, struct stream **out);

/* Frees what the results kept in 'shared' have outside the arena. */
void shared_free(struct shared *shared);

#endif
