/*
 * Aggregations over a window: NAME_over_time.
 */
#include "promql/lanes.h"

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

/* Welford's variance, with both running sums compensated: the next value. */
static inline void vary(double value, double count, struct kahan *mean, struct kahan *squares) {
	double delta = value - (mean->sum + mean->rest);

	*mean = kahan_add(*mean, delta / count);
	*squares = kahan_add(*squares, delta * (value - (mean->sum + mean->rest)));
}

static double variance(const struct window *window) {
	struct kahan mean = { 0, 0 };
	struct kahan squares = { 0, 0 };

	for (size_t i = 0; i < window->count; i++) {
		vary(window->values[i], (double)(i + 1), &mean, &squares);
	}
	return (squares.sum + squares.rest) / (double)window->count;
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

/* The sum of each window's first 'common' values. */
static ALWAYS_INLINE void add_group(
	const struct lane_group *group, bool is_dense, struct kahan *out) {
	struct eight_sums sums = { 0 };
	struct eight value = { 0 };

	for (size_t i = 0; i < group->common; i++) {
		lanes_take(group->values, i, is_dense, &value);
		lanes_add(&sums, &value);
	}
	lanes_get(&sums, out);
}

WIDE static void add_group_wide(const struct lane_group *group, struct kahan *out) {
	group->is_dense ? add_group(group, true, out) : add_group(group, false, out);
}

static void add_group_narrow(const struct lane_group *group, struct kahan *out) {
	group->is_dense ? add_group(group, true, out) : add_group(group, false, out);
}

static void add_windows(const struct lane_group *group, struct kahan *out) {
	(has_wide() ? add_group_wide : add_group_narrow)(group, out);
	for (size_t i = 0; i < group->used; i++) {
		for (size_t k = group->common; k < group->counts[i]; k++) {
			out[i] = kahan_add(out[i], group->values[i][k]);
		}
	}
}

static uint32_t sum_lanes(
	struct range_call *call UNUSED, const struct lane_group *group, double *out) {
	struct kahan sums[LANES];
	uint32_t has = 0;

	add_windows(group, sums);
	for (size_t i = 0; i < group->used; i++) {
		out[i] = sums[i].sum + sums[i].rest;
		has |= (uint32_t)lanes_is_good(&sums[i]) << i;
	}
	return has;
}

static uint32_t avg_lanes(
	struct range_call *call UNUSED, const struct lane_group *group, double *out) {
	struct kahan sums[LANES];
	uint32_t has = 0;

	add_windows(group, sums);
	for (size_t i = 0; i < group->used; i++) {
		double count = (double)group->counts[i];

		out[i] = sums[i].sum / count + sums[i].rest / count;
		has |= (uint32_t)lanes_is_good(&sums[i]) << i;
	}
	return has;
}

/* Sums, or means if 'is_mean', as differences of running totals. Returns 1 if that can be done. */
static int run_totals(struct range_call *call, struct column *out, bool is_mean) {
	size_t steps = call->grid->count;
	size_t count = call->samples->count;
	double *totals = range_scratch(call, (count + 1) * sizeof(*totals));

	if (!totals) {
		return call->rc;
	}
	if (!totals_add(call->samples->values, count, totals)) {
		return 0;
	}
	memcpy(out->present, call->windows.present, step_words(steps) * sizeof(*out->present));
	for (PRESENT_EACH(call->windows.present, steps, i)) {
		struct span span = call->windows.spans[i];
		double sum = totals[span.high] - totals[span.low];

		out->values[i] = is_mean ? sum / (double)(span.high - span.low) : sum;
	}
	return 1;
}

/* One step of variance() in each lane. */
static ALWAYS_INLINE void vary_four(const kahan_lanes *value, const kahan_lanes *count,
	kahan_lanes *mean, kahan_lanes *mean_rest, kahan_lanes *squares, kahan_lanes *rest) {
	kahan_lanes delta = *value - (*mean + *mean_rest);
	kahan_lanes share = delta / *count;
	kahan_lanes square;

	lanes_add_four(mean, mean_rest, &share);
	square = delta * (*value - (*mean + *mean_rest));
	lanes_add_four(squares, rest, &square);
}

static ALWAYS_INLINE void vary_group(
	const struct lane_group *group, bool is_dense, struct kahan *means, struct kahan *squares) {
	struct eight_sums mean = { 0 };
	struct eight_sums square = { 0 };
	kahan_lanes count = { 0 };
	struct eight value = { 0 };

	for (size_t i = 0; i < group->common; i++) {
		count += 1;
		lanes_take(group->values, i, is_dense, &value);
		vary_four(
			&value.a, &count, &mean.sum.a, &mean.rest.a, &square.sum.a, &square.rest.a);
		vary_four(
			&value.b, &count, &mean.sum.b, &mean.rest.b, &square.sum.b, &square.rest.b);
	}
	lanes_get(&mean, means);
	lanes_get(&square, squares);
}

WIDE static void vary_group_wide(
	const struct lane_group *group, struct kahan *means, struct kahan *squares) {
	group->is_dense ? vary_group(group, true, means, squares)
			: vary_group(group, false, means, squares);
}

static void vary_group_narrow(
	const struct lane_group *group, struct kahan *means, struct kahan *squares) {
	group->is_dense ? vary_group(group, true, means, squares)
			: vary_group(group, false, means, squares);
}

static uint32_t stdvar_lanes(
	struct range_call *call UNUSED, const struct lane_group *group, double *out) {
	struct kahan means[LANES];
	struct kahan squares[LANES];
	uint32_t has = 0;

	(has_wide() ? vary_group_wide : vary_group_narrow)(group, means, squares);
	for (size_t i = 0; i < group->used; i++) {
		for (size_t k = group->common; k < group->counts[i]; k++) {
			vary(group->values[i][k], (double)(k + 1), &means[i], &squares[i]);
		}
		out[i] = (squares[i].sum + squares[i].rest) / (double)group->counts[i];
		has |= (uint32_t)(lanes_is_good(&means[i]) && lanes_is_good(&squares[i])) << i;
	}
	return has;
}

static uint32_t stddev_lanes(struct range_call *call, const struct lane_group *group, double *out) {
	uint32_t has = stdvar_lanes(call, group, out);

	for (size_t i = 0; i < group->used; i++) {
		out[i] = sqrt(out[i]);
	}
	return has;
}

int avg_over_time_run(struct range_call *call, struct column *out) {
	int rc = run_totals(call, out, true);

	return rc == 0 ? lanes_run(call, out, avg_window, avg_lanes) : rc < 0 ? rc : 0;
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
	return lanes_run(call, out, stddev_window, stddev_lanes);
}

int stdvar_over_time_run(struct range_call *call, struct column *out) {
	return lanes_run(call, out, stdvar_window, stdvar_lanes);
}

int sum_over_time_run(struct range_call *call, struct column *out) {
	int rc = run_totals(call, out, false);

	return rc == 0 ? lanes_run(call, out, sum_window, sum_lanes) : rc < 0 ? rc : 0;
}

int ts_of_first_over_time_run(struct range_call *call, struct column *out) {
	return windows_run(call, out, ts_of_first_window);
}

int ts_of_last_over_time_run(struct range_call *call, struct column *out) {
	return windows_run(call, out, ts_of_last_window);
}
