/*
 * Chains: expressions that work on one series at a time, from a selector to the top.
 */
#ifndef PROMQL_CHAIN_H
#define PROMQL_CHAIN_H

#include "promql/eval.h"

/*
 * The selector at the bottom of 'expr', if all above it does with a series only depends on that
 * series and the time: functions of ranges and of values, signs, operations with scalars that read
 * no data. NULL if not.
 */
struct expr *chain_selector(struct expr *expr);

/* Whether something below the top stands in the query more than once. */
bool chain_is_shared(struct expr *expr);

/* Whether there is a range between the selector and the top. */
bool chain_has_range(struct expr *expr);

/* Whether a metric's name may have to be dropped from series of several names, so that two may turn
 * out to be the same. */
bool chain_may_collide(struct expr *expr, const struct expr *selector);

#endif
