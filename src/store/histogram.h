/*
 * A native histogram: what a sample may be instead of a number.
 *
 * Buckets are sparse: those of 'count' indexes, ascending, each with how many observations it has.
 * With an exponential schema bucket i of the positive side is (base^(i-1), base^i], base being
 * 2^(2^-schema), and of the negative side the mirror image; around zero lies one bucket of its own.
 * With custom bounds there is only the positive side, and bucket i ends at bounds[i], the last one
 * at +Inf. Once in a store's or an evaluation's hands, a histogram does not change.
 */
#ifndef STORE_HISTOGRAM_H
#define STORE_HISTOGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The schema of histograms with bounds of their own. */
#define HISTOGRAM_CUSTOM (-53)
#define HISTOGRAM_SCHEMA_MIN (-4)
#define HISTOGRAM_SCHEMA_MAX 8

/* Whether the counter that a histogram is was reset between the sample before it and itself. */
enum histogram_hint {
	HISTOGRAM_UNKNOWN,
	HISTOGRAM_RESET,
	HISTOGRAM_NOT_RESET,
	HISTOGRAM_GAUGE, /* It is none. */
};

struct histogram_side {
	int32_t *indexes;
	double *counts;
	size_t count;
};

struct histogram {
	enum histogram_hint hint;
	int32_t schema;
	double zero_threshold;
	double zero_count;
	double count;
	double sum; /* The stale marker: the series has ended. */
	struct histogram_side positive;
	struct histogram_side negative;
	const double *bounds;
	size_t bound_count;
};

#endif
