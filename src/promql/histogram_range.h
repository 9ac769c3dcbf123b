/*
 * Functions of range vectors that hold native histograms, alone or among numbers.
 */
#ifndef PROMQL_HISTOGRAM_RANGE_H
#define PROMQL_HISTOGRAM_RANGE_H

#include "promql/function.h"
#include "promql/histogram_notes.h"
#include "promql/range.h"

/* What is kept from series to series; { 0 } at first. */
struct mixed_range {
	struct windows windows; /* Of all samples; those of the call are of the numbers. */
	struct samples numbers;
	int64_t *times_ms;
	double *values;
	int64_t *starts_ms; /* NULL until there is one. */
	size_t capacity;
	struct column second; /* The histograms that come out. */
};

/*
 * Runs the function over a series with histograms: what it gives as numbers into 'out', what it
 * gives as histograms into mixed->second. 'run' is the function over numbers alone.
 */
MUST_USE int mixed_run(struct mixed_range *mixed, struct range_call *call, range_run_fn *run,
	enum function_id id, const struct samples *samples, struct column *out);

/* Histograms in order of time. */
struct histogram_window {
	const int64_t *times_ms;
	const struct histogram *const *histograms;
	const int64_t *starts_ms; /* NULL: none is known. */
	size_t count;
};

/* rate, increase and delta of an anchored or smoothed window; *out is NULL if there is no value. */
MUST_USE int extended_histogram_rate(const struct histogram_notes *notes,
	const struct range_call *call, const struct histogram_window *window, size_t step,
	enum function_id id, struct histogram **out);
/* As extended_point, of samples in 'span' some of which are histograms. */
MUST_USE int extended_histogram_point(const struct histogram_notes *notes,
	const struct sample_column *samples, struct span span, int64_t time_ms,
	struct histogram **out);

#endif
