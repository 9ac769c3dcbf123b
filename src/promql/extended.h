/*
 * anchored and smoothed ranges: windows that reach their ends exactly, by taking in the sample
 * before the window, or by interpolating between the samples on either side of an end.
 */
#ifndef PROMQL_EXTENDED_H
#define PROMQL_EXTENDED_H

#include "promql/function.h"
#include "promql/range.h"

/* rate (with the range in seconds), increase and delta (with 0) at each step. */
MUST_USE int extended_run(
	struct range_call *call, struct column *out, bool is_counter, double range_s);

/* The sample that resets and changes count from: the last at or before the window's start. Returns
 * false if there is none after the start. */
bool extended_anchor(const struct range_call *call, const struct window *window, size_t *first);

/*
 * A range vector as the answer itself: the samples within, and one at either end. 'samples' holds
 * what can be seen of the series. Returns 0 or ERR_LIMIT; an empty series has nothing to show.
 */
MUST_USE int extended_raw(
	struct eval *ev, const struct window_shape *shape, int64_t end_ms, struct samples *samples);

/*
 * The value of a smoothed instant selector at 'time_ms' from the samples of a lookback around it:
 * on the line from the sample before to the one after, or the one before. Returns false if there is
 * nothing before.
 */
bool extended_point(
	const int64_t *times_ms, const double *values, size_t count, int64_t time_ms, double *out);

/* Whether 'function' makes sense of such windows. Returns 0, or ERR_EXEC with Prometheus' sentence
 * for the selector of 'shape'. */
MUST_USE int extended_check(
	struct eval *ev, const struct window_shape *shape, const struct function *function);

#endif
