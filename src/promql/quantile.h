/*
 * Quantiles of plain values.
 *
 * Values are worked on as keys: integers of the same order, that cost no branch to compare. NaN is
 * the least, and -0 is below 0, so that a result does not depend on how the values were arranged.
 */
#ifndef PROMQL_QUANTILE_H
#define PROMQL_QUANTILE_H

#include "promql/eval.h"
#include "promql/number.h"

#define QUANTILE_NAN INT64_MIN /* Any NaN. */

static inline int64_t quantile_key(double value) {
	int64_t bits = (int64_t)double_bits(value);

	/* Of a negative number, all but the sign is turned around. */
	return isnan(value) ? QUANTILE_NAN : bits ^ (bits >> 63 & INT64_MAX);
}

static inline double quantile_value(int64_t key) {
	return key == QUANTILE_NAN ? number_nan()
				   : double_of_bits((uint64_t)(key ^ (key >> 63 & INT64_MAX)));
}

/*
 * The quantile of 'count' keys, interpolated between neighbours; NaN for none or a q of NaN, -Inf
 * for q < 0, +Inf for q > 1. Reorders them, and needs room for as many in 'spare'.
 */
double quantile_of(double q, int64_t *keys, int64_t *spare, size_t count);
/* The same of keys that are in order. */
double quantile_of_sorted(double q, const int64_t *keys, size_t count);
/* Puts the keys in order, with room for as many in 'spare'. */
void quantile_sort(int64_t *keys, int64_t *spare, size_t count);

/* Notes that 'q' is none. */
void quantile_warn(struct eval *ev, uint32_t position, double q);

#endif
