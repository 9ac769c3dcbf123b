/*
 * What the parts of the arithmetic of histograms share.
 */
#ifndef PROMQL_HISTOGRAM_PARTS_H
#define PROMQL_HISTOGRAM_PARTS_H

#include "promql/histogram.h"

/* The upper bound of a bucket of an exponential schema. */
double histogram_bound(int32_t index, int32_t schema);
/* A bucket of one side, counted from zero outwards, with bounds as its schema has them. */
struct histogram_bucket histogram_side_bucket(
	const struct histogram *histogram, bool is_positive, size_t at);
/* The bucket of a coarser schema that a bucket falls into. */
int32_t histogram_coarser_index(int32_t index, int32_t from_schema, int32_t to_schema);
/* Merges a side's buckets, in place, into those of a coarser schema; 'rest' may be NULL. */
void histogram_coarsen(
	struct histogram_side *side, double *rest, int32_t from_schema, int32_t to_schema);
/* Removes buckets without observations, and without a rest. */
void histogram_compact_side(struct histogram_side *side, double *rest);
bool histogram_same_bounds(const struct histogram *a, const struct histogram *b);

/*
 * The observations around zero for a larger bucket of zero: of 'threshold', or more where a bucket
 * that has any is cut. 'zero' starts with what rounding took, and ends so.
 */
void histogram_widen_zero(const struct histogram *histogram, const struct histogram_rest *rest,
	double *threshold, double *zero_count, double *zero_rest);

#endif
