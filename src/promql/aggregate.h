/*
 * Aggregations.
 */
#ifndef PROMQL_AGGREGATE_H
#define PROMQL_AGGREGATE_H

#include "promql/eval.h"

/* Any aggregation. */
MUST_USE int aggregate_open(
	struct eval *ev, struct expr *expr, const struct grid *grid, struct stream **out);

/* Those that keep an accumulator per group and step: sum avg count min max group stddev stdvar. */
MUST_USE int fold_open(
	struct eval *ev, struct expr *expr, const struct grid *grid, struct stream **out);
/* Those that choose series: topk bottomk limitk limit_ratio. */
MUST_USE int choose_open(
	struct eval *ev, struct expr *expr, const struct grid *grid, struct stream **out);
/* quantile. */
MUST_USE int spread_open(
	struct eval *ev, struct expr *expr, const struct grid *grid, struct stream **out);
/* count_values. */
MUST_USE int count_values_open(
	struct eval *ev, struct expr *expr, const struct grid *grid, struct stream **out);

#endif
