/*
 * What became of each node of a query that is to be explained.
 *
 * Nodes are made as expressions are opened, below the one that is at work; a stream over an
 * expression's stream then counts and times what it gives. A lane of a gather has a tree of its
 * own, which is merged when the evaluation is over. Nothing of this runs for other queries.
 */
#ifndef PROMQL_EXPLAIN_H
#define PROMQL_EXPLAIN_H

#include "promql/eval.h"

struct samples;

/* A stretch of work on a node. */
struct explain_span {
	struct explain_node *outer;
	int64_t start_ns;
	uint64_t samples;
	uint64_t bytes;
};

/* A node for 'expr' below the one at work. NULL when the budget is spent. */
struct explain_node *explain_new(struct eval *ev, const struct expr *expr, const struct grid *grid);
/* Work on the node begins and ends. */
struct explain_span explain_enter(struct eval *ev, struct explain_node *node);
void explain_leave(struct eval *ev, struct explain_node *node, const struct explain_span *span);

/* Opens an expression with 'open', explained. */
MUST_USE int explain_stream(struct eval *ev, struct expr *expr, const struct grid *grid,
	eval_open_fn *open, struct stream **out);

/* Adds what stands below 'from', another evaluation of the same expression, to what stands below
 * 'to'. */
void explain_merge(struct explain_node *to, const struct explain_node *from);
/* A copy of what stands below 'root', a node of no expression: NULL if that is nothing. */
MUST_USE int explain_copy(struct arena *arena, const struct explain_node *root,
	struct explain_node **out, struct err *err);

#endif
