#include "promql/extended.h"

/* What a window's samples are, and its ends. */
struct extent {
	const int64_t *times_ms;
	const double *values;
	size_t count;
	int64_t start_ms;
	int64_t end_ms;
	bool is_smoothed;
	/* Filled in: the samples that the value is of, both included, and the values at either
	 * end. */
	size_t first;
	size_t last;
	double left;
	double right;
};

/* The first of 'count' times that is at least 'time_ms', or 'count'. */
static size_t seek(const int64_t *times_ms, size_t count, int64_t time_ms) {
	size_t low = 0;

	while (low < count) {
		size_t middle = low + (count - low) / 2;

		if (times_ms[middle] < time_ms) {
			low = middle + 1;
		} else {
			count = middle;
		}
	}
	return low;
}

/* Between sample 'at' and the one after it. A counter that was reset began again from zero. */
static double interpolate(const int64_t *times_ms, const double *values, size_t at, int64_t time_ms,
	bool is_counter) {
	double from = values[at];
	double to = values[at + 1];

	if (is_counter && to < from) {
		from = 0;
	}
	return from + (to - from) * (double)(time_ms - times_ms[at]) /
			      (double)(times_ms[at + 1] - times_ms[at]);
}

/* Finds the samples and the ends' values. Returns false if there is nothing in the window. */
static bool place_ends(struct extent *extent, bool is_counter) {
	const int64_t *times_ms = extent->times_ms;
	size_t last = extent->count - 1;
	size_t after = seek(times_ms, last, extent->start_ms + 1);
	size_t first = after > 0 ? after - 1 : 0;

	if (extent->is_smoothed) {
		last = seek(times_ms, last, extent->end_ms);
	}
	if (times_ms[last] <= extent->start_ms ||
		(extent->is_smoothed && times_ms[first] > extent->end_ms)) {
		return false;
	}
	extent->first = first;
	extent->last = last;
	extent->left = extent->values[first];
	extent->right = extent->values[last];
	if (extent->is_smoothed && times_ms[first] < extent->start_ms) {
		extent->left =
			interpolate(times_ms, extent->values, first, extent->start_ms, is_counter);
	}
	if (extent->is_smoothed && last > 0 && times_ms[last] > extent->end_ms) {
		extent->right =
			interpolate(times_ms, extent->values, last - 1, extent->end_ms, is_counter);
	}
	return true;
}

/* The samples strictly inside; the ends stand for those on them or beyond. */
static struct span inside(const struct extent *extent) {
	size_t low = extent->first + (extent->times_ms[extent->first] <= extent->start_ms);
	size_t high = extent->last + (extent->times_ms[extent->last] < extent->end_ms);

	return (struct span){ (uint32_t)low, (uint32_t)high };
}

/* What resets took away. */
static double lost(const struct extent *extent) {
	struct span span = inside(extent);
	double before = extent->left;
	double sum = 0;

	for (size_t i = span.low; i < span.high; i++) {
		if (extent->values[i] < before) {
			sum += before;
		}
		before = extent->values[i];
	}
	return extent->right < before ? sum + before : sum;
}

int extended_run(struct range_call *call, struct column *out, bool is_counter, double range_s) {
	const struct samples *samples = call->samples;
	size_t steps = call->grid->count;

	memset(out->present, 0, step_words(steps) * sizeof(*out->present));
	for (PRESENT_EACH(call->windows.present, steps, i)) {
		struct span span = call->windows.spans[i];
		int64_t end_ms = window_end(call->shape, grid_time(call->grid, i));
		struct extent extent = {
			.times_ms = samples->times_ms + span.low,
			.values = samples->values + span.low,
			.count = span.high - span.low,
			.start_ms = end_ms - call->shape->range_ms,
			.end_ms = end_ms,
			.is_smoothed = call->shape->is_smoothed,
		};
		double value;
		int rc = eval_work(call->ev, extent.count);

		if (rc < 0) {
			return rc;
		}
		if (!place_ends(&extent, is_counter)) {
			continue;
		}
		value = extent.right - extent.left;
		value += is_counter ? lost(&extent) : 0;
		out->values[i] = range_s > 0 ? value / range_s : value;
		present_set(out->present, i);
	}
	return 0;
}

bool extended_anchor(const struct range_call *call, const struct window *window, size_t *first) {
	int64_t start_ms = window_end(call->shape, grid_time(call->grid, window->step)) -
			   call->shape->range_ms;
	size_t after = seek(window->times_ms, window->count, start_ms + 1);

	if (after == window->count) {
		return false;
	}
	*first = after > 0 ? after - 1 : 0;
	return true;
}

int extended_raw(struct eval *ev, const struct window_shape *shape, int64_t end_ms,
	struct samples *samples) {
	struct extent extent = {
		.times_ms = samples->times_ms,
		.values = samples->values,
		.count = samples->count,
		.start_ms = end_ms - shape->range_ms,
		.end_ms = end_ms,
		.is_smoothed = shape->is_smoothed,
	};
	int64_t *times_ms = EVAL_NEW(ev, int64_t, samples->count + 2);
	double *values = EVAL_NEW(ev, double, samples->count + 2);
	size_t count = 0;
	struct span span;

	if (!times_ms || !values) {
		return ERR_LIMIT;
	}
	samples->times_ms = times_ms;
	samples->values = values;
	samples->count = 0;
	if (!place_ends(&extent, false)) {
		return 0;
	}
	span = inside(&extent);
	times_ms[count] = extent.start_ms;
	values[count++] = extent.left;
	for (size_t i = span.low; i < span.high; i++) {
		times_ms[count] = extent.times_ms[i];
		values[count++] = extent.values[i];
	}
	times_ms[count] = extent.end_ms;
	values[count++] = extent.right;
	samples->count = count;
	return 0;
}

bool extended_point(
	const int64_t *times_ms, const double *values, size_t count, int64_t time_ms, double *out) {
	size_t at = seek(times_ms, count, time_ms);

	if (at < count && times_ms[at] == time_ms) {
		*out = values[at];
		return true;
	}
	if (at == 0) {
		return false;
	}
	*out = at < count ? interpolate(times_ms, values, at - 1, time_ms, false) : values[at - 1];
	return true;
}

int extended_check(
	struct eval *ev, const struct window_shape *shape, const struct function *function) {
	enum function_id id = function->id;
	bool is_rate = id == FUNCTION_RATE || id == FUNCTION_INCREASE || id == FUNCTION_DELTA;

	if (shape->is_smoothed && !is_rate) {
		return err_set(ev->err, ERR_EXEC,
			"smoothed modifier can only be used with: delta, increase, rate - not with "
			"%.*s",
			STR_ARG(function->name));
	}
	if (shape->is_extended && !is_rate && id != FUNCTION_RESETS && id != FUNCTION_CHANGES) {
		return err_set(ev->err, ERR_EXEC,
			"anchored modifier can only be used with: changes, delta, increase, rate, "
			"resets - not with %.*s",
			STR_ARG(function->name));
	}
	return 0;
}
