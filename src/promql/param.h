/*
 * The parameter of an aggregation, at each step: k, a ratio, a quantile.
 */
#ifndef PROMQL_PARAM_H
#define PROMQL_PARAM_H

#include "promql/eval.h"

struct param {
	const double *values;
	double min; /* Over all steps; NaN if any is. */
	double max;
	bool has_nan;
};

/* Evaluates a scalar argument on the grid. Returns 0 or the evaluation's error. */
MUST_USE int param_eval(
	struct eval *ev, struct expr *expr, const struct grid *grid, struct param *out);

#endif
