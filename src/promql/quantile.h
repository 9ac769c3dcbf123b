/*
 * Quantiles of plain values.
 */
#ifndef PROMQL_QUANTILE_H
#define PROMQL_QUANTILE_H

#include "promql/eval.h"

/*
 * The quantile of 'count' values, interpolated between neighbours; reorders them. NaN is the least.
 * NaN for no values or a q of NaN, -Inf for q < 0, +Inf for q > 1.
 */
double quantile_of(double q, double *values, size_t count);

/* Notes that 'q' is none. */
void quantile_warn(struct eval *ev, uint32_t position, double q);

#endif
