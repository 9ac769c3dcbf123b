/*
 * Functions of counters and of differences: rate and its kin.
 */
#include "promql/range.h"

/*
 * The increase between the first and the last sample; with counters, what a reset took away is
 * added. Resets are few, so they are found once per series and windows only look at their own.
 */
static inline double window_increase(
	struct range_call *call, const struct window *window, bool is_counter) {
	double increase = window->values[window->count - 1] - window->values[0];
	size_t last = window->first + window->count - 1;

	if (!is_counter) {
		return increase;
	}
	while (call->drop_next < call->drop_count &&
		call->drops[call->drop_next] <= window->first) {
		call->drop_next++;
	}
	for (size_t i = call->drop_next; i < call->drop_count && call->drops[i] <= last; i++) {
		increase += call->samples->values[call->drops[i] - 1];
	}
	return increase;
}

/*
 * Extends the increase seen to the whole window where samples come close enough to its ends: within
 * 1.1 times their mean distance. Otherwise by half that distance; and a counter never to below
 * zero.
 */
static inline bool extrapolate(struct range_call *call, const struct window *window,
	bool is_counter, bool is_rate, double *out) {
	size_t gaps = window->count - 1;
	double increase;
	double to_start;
	double to_end;
	double sampled;
	double distance;
	double threshold;
	double factor;

	if (gaps == 0) {
		return false;
	}
	increase = window_increase(call, window, is_counter);
	to_start = (double)(window->times_ms[0] - window->start_ms) / 1000;
	to_end = (double)(window->end_ms - window->times_ms[gaps]) / 1000;
	sampled = (double)(window->times_ms[gaps] - window->times_ms[0]) / 1000;
	distance = sampled / (double)gaps;
	threshold = distance * 1.1;
	if (to_start >= threshold) {
		to_start = distance / 2;
	}
	if (is_counter && increase > 0 && window->values[0] >= 0) {
		double to_zero = sampled * (window->values[0] / increase);

		to_start = to_zero < to_start ? to_zero : to_start;
	}
	if (to_end >= threshold) {
		to_end = distance / 2;
	}
	factor = (sampled + to_start + to_end) / sampled;
	if (is_rate) {
		factor /= call->shape->range_s;
	}
	*out = increase * factor;
	return true;
}

static inline bool rate_window(struct range_call *call, const struct window *window, double *out) {
	return extrapolate(call, window, true, true, out);
}

static inline bool increase_window(
	struct range_call *call, const struct window *window, double *out) {
	return extrapolate(call, window, true, false, out);
}

static inline bool delta_window(struct range_call *call, const struct window *window, double *out) {
	return extrapolate(call, window, false, false, out);
}

int rate_run(struct range_call *call, struct column *out) {
	int rc = range_find_drops(call);

	return rc < 0 ? rc : windows_run(call, out, rate_window);
}

int increase_run(struct range_call *call, struct column *out) {
	int rc = range_find_drops(call);

	return rc < 0 ? rc : windows_run(call, out, increase_window);
}

int delta_run(struct range_call *call, struct column *out) {
	return windows_run(call, out, delta_window);
}

/* From the last two samples alone. */
static inline bool last_two(const struct window *window, bool is_rate, double *out) {
	size_t last = window->count - 1;
	double value;
	double before;

	if (window->count < 2 || window->times_ms[last] == window->times_ms[last - 1]) {
		return false;
	}
	value = window->values[last];
	before = window->values[last - 1];
	/* After a reset the counter's own value is what it grew by. */
	*out = is_rate && value < before ? value : value - before;
	if (is_rate) {
		*out /= (double)(window->times_ms[last] - window->times_ms[last - 1]) / 1000;
	}
	return true;
}

static inline bool irate_window(
	struct range_call *call UNUSED, const struct window *window, double *out) {
	return last_two(window, true, out);
}

static inline bool idelta_window(
	struct range_call *call UNUSED, const struct window *window, double *out) {
	return last_two(window, false, out);
}

int irate_run(struct range_call *call, struct column *out) {
	return windows_run(call, out, irate_window);
}

int idelta_run(struct range_call *call, struct column *out) {
	return windows_run(call, out, idelta_window);
}

static bool resets_window(
	struct range_call *call UNUSED, const struct window *window, double *out) {
	size_t count = 0;

	for (size_t i = 1; i < window->count; i++) {
		count += window->values[i] < window->values[i - 1];
	}
	*out = (double)count;
	return true;
}

static bool changes_window(
	struct range_call *call UNUSED, const struct window *window, double *out) {
	size_t count = 0;

	for (size_t i = 1; i < window->count; i++) {
		double value = window->values[i];
		double before = window->values[i - 1];

		count += value != before && !(isnan(value) && isnan(before));
	}
	*out = (double)count;
	return true;
}

int resets_run(struct range_call *call, struct column *out) {
	return windows_run_costly(call, out, resets_window);
}

int changes_run(struct range_call *call, struct column *out) {
	return windows_run_costly(call, out, changes_window);
}
