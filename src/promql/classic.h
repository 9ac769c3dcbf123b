/*
 * Quantiles and fractions of classic histograms: cumulative counts by upper bound.
 */
#ifndef PROMQL_CLASSIC_H
#define PROMQL_CLASSIC_H

#include <stdbool.h>
#include <stddef.h>

/* How many observations were at most 'bound'. */
struct bucket {
	double bound;
	double count;
};

/* What was done to buckets whose counts fell with growing bounds. */
struct bucket_repair {
	bool is_forced;
	double bound_min;
	double bound_max;
	double diff_max;
};

/*
 * The value below which a share 'q' of the observations lies, taking them to be spread evenly in
 * each bucket. Buckets come in order of their bounds; they are changed: equal bounds are added up,
 * counts made monotonic. NaN without a bucket of +Inf, without observations, or for a q of NaN.
 */
double bucket_quantile(
	double q, struct bucket *buckets, size_t count, struct bucket_repair *repair);

/* The share of observations between two values. Buckets as above. */
double bucket_fraction(double lower, double upper, struct bucket *buckets, size_t count);

#endif
