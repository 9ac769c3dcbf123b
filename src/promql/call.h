/*
 * Function calls as streams; one opener per kind of function.
 */
#ifndef PROMQL_CALL_H
#define PROMQL_CALL_H

#include "promql/eval.h"
#include "promql/function.h"

/* Any call that gives a vector. */
MUST_USE int call_open(
	struct eval *ev, struct expr *call, const struct grid *grid, struct stream **out);
/* Any call that gives a scalar, at each step. */
MUST_USE int call_scalar(struct eval *ev, struct expr *call, const struct grid *grid, double *out);

/* Whether the function makes one series of one, whatever the others are: those of range vectors and
 * of each value by itself. */
bool call_is_by_series(const struct expr *call);

/*
 * Where argument 'index' stands, for notes. A subquery has no position: Prometheus puts its result
 * in its place first, and so says 1:1.
 */
uint32_t call_position(const struct expr *call, size_t index);

/* Functions of a range vector. */
MUST_USE int call_open_range(
	struct eval *ev, struct expr *call, const struct grid *grid, struct stream **out);

/* Functions of each value by itself. */
MUST_USE int call_open_each(
	struct eval *ev, struct expr *call, const struct grid *grid, struct stream **out);

/* absent and absent_over_time: one series where the argument has none. */
MUST_USE int call_open_absent(
	struct eval *ev, struct expr *call, const struct grid *grid, struct stream **out);
MUST_USE int call_open_absent_over_time(
	struct eval *ev, struct expr *call, const struct grid *grid, struct stream **out);
/* histogram_count, histogram_sum, histogram_avg, histogram_stddev, histogram_stdvar. */
MUST_USE int call_open_histogram(
	struct eval *ev, struct expr *call, const struct grid *grid, struct stream **out);
/* histogram_quantile, histogram_quantiles, histogram_fraction. */
MUST_USE int call_open_buckets(
	struct eval *ev, struct expr *call, const struct grid *grid, struct stream **out);
/* info: labels of info series. */
MUST_USE int call_open_info(
	struct eval *ev, struct expr *call, const struct grid *grid, struct stream **out);
MUST_USE int call_open_label_replace(
	struct eval *ev, struct expr *call, const struct grid *grid, struct stream **out);
MUST_USE int call_open_label_join(
	struct eval *ev, struct expr *call, const struct grid *grid, struct stream **out);
MUST_USE int call_open_sort(
	struct eval *ev, struct expr *call, const struct grid *grid, struct stream **out);

#endif
