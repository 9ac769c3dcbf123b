/*
 * Functions of a range vector: a value for each step from the samples in its window.
 *
 * A function runs over one series at a time, at all steps: windows only move forward, so each
 * sample is passed once by either end, and what a function can carry from window to window it may.
 */
#ifndef PROMQL_RANGE_H
#define PROMQL_RANGE_H

#include "promql/windows.h"

/* Scalar arguments besides the range vector; double_exponential_smoothing has two. */
#define RANGE_ARGS_MAX 2

struct rate_plan;
struct trend;

/* A function's run over one series. */
struct range_call {
	struct eval *ev;
	const struct grid *grid;
	const struct window_shape *shape;
	const struct samples *samples;
	struct windows windows;             /* Of these samples. */
	struct rate_plan *plan;             /* rate.c's. */
	struct trend *trend;                /* regression.c's. */
	const double *args[RANGE_ARGS_MAX]; /* At each step. */
	uint32_t position;                  /* Of the first argument, for notes. */
	/* Where a value is lower than the one before it, or its counting began after that, for
	 * functions of counters. */
	uint32_t *drops;
	size_t drop_count;
	size_t drop_capacity;
	void *scratch; /* Room for what a function keeps while it runs. */
	size_t scratch_capacity;
	int rc; /* Set by a function that fails. */
};

/* The samples of one step; there is at least one. */
struct window {
	const int64_t *times_ms;
	const double *values;
	size_t count;
	size_t step;
};

/* Gives the step a value, or returns false for none. */
typedef bool window_fn(struct range_call *call, const struct window *window, double *out);

/* Runs a function at each step; ev->err if call->rc is set. 'out' is cleared first. */
typedef int range_run_fn(struct range_call *call, struct column *out);

/*
 * The loop over the steps. Inlined, so that a function that is cheaper than a call costs none: 'fn'
 * is a constant wherever this is used. With 'is_costly' it looks at the clock as it goes.
 */
static inline __attribute__((always_inline)) int windows_loop(
	struct range_call *call, struct column *out, window_fn *fn, bool is_costly) {
	const struct windows *windows = &call->windows;
	size_t steps = call->grid->count;
	struct window window;

	memset(out->present, 0, step_words(steps) * sizeof(*out->present));
	for (PRESENT_EACH(windows->present, steps, i)) {
		struct span span = windows->spans[i];

		window.times_ms = call->samples->times_ms + span.low;
		window.values = call->samples->values + span.low;
		window.count = span.high - span.low;
		window.step = i;
		if (is_costly) {
			int rc = eval_work(call->ev, window.count);

			if (rc < 0) {
				return rc;
			}
		}
		if (fn(call, &window, &out->values[i])) {
			present_set(out->present, i);
		} else if (call->rc < 0) {
			return call->rc;
		}
	}
	return 0;
}

/* Runs a function that takes the same time for any window. */
static inline __attribute__((always_inline)) int windows_run(
	struct range_call *call, struct column *out, window_fn *fn) {
	return windows_loop(call, out, fn, false);
}

/* Runs one whose time grows with the window. */
MUST_USE int windows_run_costly(struct range_call *call, struct column *out, window_fn *fn);

/* Finds call->drops. Returns 0 or ERR_LIMIT. */
MUST_USE int range_find_drops(struct range_call *call);
/* Room for 'size' bytes in call->scratch; NULL with call->rc set when the budget is spent. */
void *range_scratch(struct range_call *call, size_t size);

range_run_fn rate_run, increase_run, delta_run, irate_run, idelta_run;
range_run_fn resets_run, changes_run;
range_run_fn deriv_run, predict_linear_run, double_exponential_smoothing_run;
range_run_fn avg_over_time_run, count_over_time_run, first_over_time_run, last_over_time_run,
	mad_over_time_run, max_over_time_run, min_over_time_run, present_over_time_run,
	quantile_over_time_run, stddev_over_time_run, stdvar_over_time_run, sum_over_time_run,
	ts_of_first_over_time_run, ts_of_last_over_time_run, ts_of_max_over_time_run,
	ts_of_min_over_time_run;

#endif
