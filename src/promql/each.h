/*
 * Operations on each value by itself: a series in, the same series out.
 */
#ifndef PROMQL_EACH_H
#define PROMQL_EACH_H

#include "promql/names.h"

struct each;

/* Changes the column's values in place, absent ones too if that is simpler; may clear steps. */
typedef void each_fn(struct each *each, struct column *column);

struct each {
	struct stream stream;
	struct eval *ev;
	const struct grid *grid;
	struct stream *input;
	struct name_drop drop;
	bool drops_name;
	each_fn *apply;
	/* The same for columns of histograms; NULL: they go. Returns 0 or ERR_LIMIT. */
	int (*apply_histograms)(struct each *each, struct column *column);
	/* For 'apply': */
	double (*math)(double value);
	const double *args[2]; /* Scalars at each step. */
	enum binary_op op;
	bool is_swapped; /* The scalar stands on the left. */
	bool is_bool;
};

/*
 * Fills in 'each', whose 'apply' and what that needs the caller sets, over 'stream', which is
 * 'input' opened. A name is dropped from what has a value after 'apply'.
 */
MUST_USE int each_init(struct each *each, struct eval *ev, struct stream *stream,
	const struct expr *input, const struct grid *grid, bool drops_name);
/* The same over an expression. */
MUST_USE int each_open(struct each *each, struct eval *ev, struct expr *input,
	const struct grid *grid, bool drops_name);

#endif
