/*
 * Sums and means of histograms, of a window or of a group.
 */
#ifndef PROMQL_HISTOGRAM_MEAN_H
#define PROMQL_HISTOGRAM_MEAN_H

#include "promql/eval.h"
#include "promql/histogram.h"

struct histogram_total {
	struct histogram sum; /* The sum, or the running mean once a sum would overflow. */
	struct histogram_rest rest;
	double count;
	bool is_running;
	bool saw_reset; /* Which hints came by. */
	bool saw_not_reset;
};

/* Begins with one histogram. */
MUST_USE int histogram_total_begin(
	struct eval *ev, struct histogram_total *total, const struct histogram *first);
/* Adds one, to a sum or to a mean. Returns flags as adding does; with HISTOGRAM_INCOMPATIBLE the
 * total is spoiled. */
MUST_USE int histogram_total_sum(
	struct eval *ev, struct histogram_total *total, const struct histogram *other);
MUST_USE int histogram_total_mean(
	struct eval *ev, struct histogram_total *total, const struct histogram *other);
/* The end: total->sum is the result. */
MUST_USE int histogram_total_end(struct eval *ev, struct histogram_total *total, bool is_mean);

#endif
