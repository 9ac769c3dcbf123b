/*
 * Aggregations over a window: NAME_over_time.
 */
#include "promql/kahan.h"
#include "promql/range.h"

static bool sum_window(struct range_call *call UNUSED, const struct window *window, double *out) {
	struct kahan sum = { 0, 0 };

	for (size_t i = 0; i < window->count; i++) {
		sum = kahan_add(sum, window->values[i]);
	}
	*out = isinf(sum.sum) ? sum.sum : sum.sum + sum.rest;
	return true;
}

static bool avg_window(struct range_call *call UNUSED, const struct window *window, double *out) {
	struct mean mean = mean_first(window->values[0]);

	for (size_t i = 1; i < window->count; i++) {
		mean_add(&mean, window->values[i]);
	}
	*out = mean_get(&mean);
	return true;
}

static bool count_window(struct range_call *call UNUSED, const struct window *window, double *out) {
	*out = (double)window->count;
	return true;
}

static bool first_window(struct range_call *call UNUSED, const struct window *window, double *out) {
	*out = window->values[0];
	return true;
}

static bool last_window(struct range_call *call UNUSED, const struct window *window, double *out) {
	*out = window->values[window->count - 1];
	return true;
}

static bool present_window(
	struct range_call *call UNUSED, const struct window *window UNUSED, double *out) {
	*out = 1;
	return true;
}

static bool ts_of_first_window(
	struct range_call *call UNUSED, const struct window *window, double *out) {
	*out = (double)window->times_ms[0] / 1000;
	return true;
}

static bool ts_of_last_window(
	struct range_call *call UNUSED, const struct window *window, double *out) {
	*out = (double)window->times_ms[window->count - 1] / 1000;
	return true;
}

/* Welford's variance, with both running sums compensated. */
static double variance(const struct window *window) {
	struct kahan mean = { 0, 0 };
	struct kahan squares = { 0, 0 };
	double count = 0;

	for (size_t i = 0; i < window->count; i++) {
		double value = window->values[i];
		double delta = value - (mean.sum + mean.rest);

		count++;
		mean = kahan_add(mean, delta / count);
		squares = kahan_add(squares, delta * (value - (mean.sum + mean.rest)));
	}
	return (squares.sum + squares.rest) / count;
}

static bool stdvar_window(
	struct range_call *call UNUSED, const struct window *window, double *out) {
	*out = variance(window);
	return true;
}

static bool stddev_window(
	struct range_call *call UNUSED, const struct window *window, double *out) {
	*out = sqrt(variance(window));
	return true;
}

int avg_over_time_run(struct range_call *call, struct column *out) {
	return windows_run_costly(call, out, avg_window);
}

int count_over_time_run(struct range_call *call, struct column *out) {
	return windows_run(call, out, count_window);
}

int first_over_time_run(struct range_call *call, struct column *out) {
	return windows_run(call, out, first_window);
}

int last_over_time_run(struct range_call *call, struct column *out) {
	return windows_run(call, out, last_window);
}

int present_over_time_run(struct range_call *call, struct column *out) {
	return windows_run(call, out, present_window);
}

int stddev_over_time_run(struct range_call *call, struct column *out) {
	return windows_run_costly(call, out, stddev_window);
}

int stdvar_over_time_run(struct range_call *call, struct column *out) {
	return windows_run_costly(call, out, stdvar_window);
}

int sum_over_time_run(struct range_call *call, struct column *out) {
	return windows_run_costly(call, out, sum_window);
}

int ts_of_first_over_time_run(struct range_call *call, struct column *out) {
	return windows_run(call, out, ts_of_first_window);
}

int ts_of_last_over_time_run(struct range_call *call, struct column *out) {
	return windows_run(call, out, ts_of_last_window);
}
