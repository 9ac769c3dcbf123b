/*
 * Histograms in anchored and smoothed ranges.
 */
#include "promql/histogram.h"
#include "promql/histogram_range.h"

/* A window and the ends that it is to reach. */
struct extent {
	const struct histogram_notes *notes;
	struct histogram_window window;
	int64_t start_ms;
	int64_t end_ms;
	bool is_smoothed;
	bool is_counter;
	size_t first; /* The samples that the value is of. */
	size_t last;
};

/* Reports what adding found. Returns 1 to go on, 0 if the two do not fit together, or an error. */
static int report(const struct histogram_notes *notes, int rc, const char *operation) {
	if (rc < 0) {
		return rc;
	}
	if (rc & HISTOGRAM_INCOMPATIBLE) {
		histogram_note_schemas(notes);
		return 0;
	}
	if (rc & HISTOGRAM_RECONCILED) {
		histogram_note_reconciled(notes->ev, notes->position, operation);
	}
	return 1;
}

static int add(
	const struct histogram_notes *notes, struct histogram *to, const struct histogram *other) {
	return report(
		notes, histogram_add(&notes->ev->arena, to, other, notes->ev->err), "addition");
}

static int subtract(
	const struct histogram_notes *notes, struct histogram *to, const struct histogram *other) {
	return report(notes, histogram_subtract(&notes->ev->arena, to, other, notes->ev->err),
		"subtraction");
}

/* Between sample 'at' and the next. Returns 1, 0 or an error. */
static int interpolate(const struct histogram_notes *notes, const struct histogram_window *window,
	size_t at, int64_t time_ms, bool is_counter, struct histogram **out) {
	const struct histogram *before = window->histograms[at];
	const struct histogram *after = window->histograms[at + 1];
	int64_t distance_ms = window->times_ms[at + 1] - window->times_ms[at];
	double share = (double)(time_ms - window->times_ms[at]) / (double)distance_ms;
	bool is_at_start = time_ms == window->times_ms[at];
	int rc = 1;

	*out = eval_histogram_copy(notes->ev, is_at_start ? before : after);
	if (!*out) {
		return ERR_LIMIT;
	}
	if (is_at_start || time_ms == window->times_ms[at + 1]) {
		return 1;
	}
	/* A counter that was reset began again from nothing. */
	if (is_counter && histogram_was_reset(after, before)) {
		histogram_multiply(*out, share);
		return 1;
	}
	rc = subtract(notes, *out, before);
	if (rc > 0) {
		histogram_multiply(*out, share);
		rc = add(notes, *out, before);
	}
	return rc;
}

static bool place_ends(struct extent *extent) {
	const int64_t *times_ms = extent->window.times_ms;
	size_t last = extent->window.count - 1;
	size_t first = 0;

	while (first < last && times_ms[first] <= extent->start_ms) {
		first++;
	}
	extent->first = first > 0 ? first - 1 : 0;
	if (extent->is_smoothed) {
		size_t end = 0;

		while (end < last && times_ms[end] < extent->end_ms) {
			end++;
		}
		last = end;
	}
	extent->last = last;
	return times_ms[last] > extent->start_ms &&
	       !(extent->is_smoothed && times_ms[extent->first] > extent->end_ms);
}

/* Whether all are of one kind; notes what is not as it should be. */
static bool check_window(const struct extent *extent) {
	const struct histogram *const *histograms = extent->window.histograms;

	for (size_t i = extent->first; i <= extent->last; i++) {
		if (histogram_is_custom(histograms[i]) !=
			histogram_is_custom(histograms[extent->first])) {
			histogram_note_schemas(extent->notes);
			return false;
		}
		if (extent->is_counter && histograms[i]->hint == HISTOGRAM_GAUGE) {
			histogram_note_not_counter(extent->notes);
		}
	}
	return true;
}

static int left_end(const struct extent *extent, struct histogram **out) {
	if (extent->is_smoothed && extent->window.times_ms[extent->first] < extent->start_ms) {
		return interpolate(extent->notes, &extent->window, extent->first, extent->start_ms,
			extent->is_counter, out);
	}
	*out = eval_histogram_copy(extent->notes->ev, extent->window.histograms[extent->first]);
	return *out ? 1 : ERR_LIMIT;
}

static int right_end(const struct extent *extent, struct histogram **out) {
	if (extent->is_smoothed && extent->last > 0 &&
		extent->window.times_ms[extent->last] > extent->end_ms) {
		return interpolate(extent->notes, &extent->window, extent->last - 1, extent->end_ms,
			extent->is_counter, out);
	}
	*out = eval_histogram_copy(extent->notes->ev, extent->window.histograms[extent->last]);
	return *out ? 1 : ERR_LIMIT;
}

/* Adds to 'sum', which may be NULL yet. */
static int add_lost(
	const struct extent *extent, struct histogram **sum, const struct histogram *lost) {
	if (*sum) {
		return add(extent->notes, *sum, lost);
	}
	*sum = eval_histogram_copy(extent->notes->ev, lost);
	return *sum ? 1 : ERR_LIMIT;
}

/* What resets took away, into '*sum'; NULL for nothing. */
static int find_lost(const struct extent *extent, const struct histogram *left,
	const struct histogram *right, struct histogram **sum) {
	const struct histogram_window *window = &extent->window;
	size_t first = extent->first + 1;
	const struct histogram *before = left;
	int rc = 1;

	*sum = NULL;
	/* The left end may lie in a reset; then that is seen to. */
	if (extent->is_smoothed && window->times_ms[extent->first] < extent->start_ms &&
		histogram_was_reset(
			window->histograms[extent->first + 1], window->histograms[extent->first])) {
		before = window->histograms[extent->first + 1];
		first++;
	}
	if (first > extent->last) {
		return 1;
	}
	for (size_t i = first; rc > 0 && i < extent->last; i++) {
		if (histogram_was_reset(window->histograms[i], before)) {
			rc = add_lost(extent, sum, before);
		}
		before = window->histograms[i];
	}
	return rc > 0 && histogram_was_reset(right, before) ? add_lost(extent, sum, before) : rc;
}

int extended_histogram_rate(const struct histogram_notes *notes, const struct range_call *call,
	const struct histogram_window *window, size_t step, enum function_id id,
	struct histogram **out) {
	int64_t end_ms = window_end(call->shape, grid_time(call->grid, step));
	struct extent extent = { .notes = notes,
		.window = *window,
		.start_ms = end_ms - call->shape->range_ms,
		.end_ms = end_ms,
		.is_smoothed = call->shape->is_smoothed,
		.is_counter = id != FUNCTION_DELTA };
	struct histogram *left;
	struct histogram *right;
	struct histogram *result;
	struct histogram *lost = NULL;
	int rc = place_ends(&extent) && check_window(&extent) ? left_end(&extent, &left) : 0;

	rc = rc > 0 ? right_end(&extent, &right) : rc;
	if (rc <= 0) {
		return rc;
	}
	if (!extent.is_counter &&
		(left->hint != HISTOGRAM_GAUGE || right->hint != HISTOGRAM_GAUGE)) {
		histogram_note_not_gauge(notes);
	}
	result = eval_histogram_copy(notes->ev, right);
	rc = result ? subtract(notes, result, left) : ERR_LIMIT;
	if (rc > 0 && extent.is_counter) {
		rc = find_lost(&extent, left, right, &lost);
	}
	if (rc > 0 && lost) {
		rc = add(notes, result, lost);
	}
	if (rc <= 0) {
		return rc;
	}
	if (id == FUNCTION_RATE) {
		histogram_divide(result, call->shape->range_s);
	}
	result->hint = HISTOGRAM_GAUGE;
	histogram_compact(result);
	*out = result;
	return 0;
}

/* The value at 'time_ms' of histograms on both sides of it, or before. */
static int point_of(const struct histogram_notes *notes, const struct histogram_window *window,
	int64_t time_ms, struct histogram **out) {
	size_t at = 0;
	int rc;

	while (at < window->count && window->times_ms[at] < time_ms) {
		at++;
	}
	if (at < window->count && window->times_ms[at] == time_ms) {
		*out = eval_histogram_copy(notes->ev, window->histograms[at]);
		return *out ? 0 : ERR_LIMIT;
	}
	if (at == 0) {
		return 0;
	}
	if (at == window->count) {
		*out = eval_histogram_copy(notes->ev, window->histograms[at - 1]);
		if (!*out) {
			return ERR_LIMIT;
		}
		(*out)->hint = HISTOGRAM_UNKNOWN;
		return 0;
	}
	if (histogram_is_custom(window->histograms[at - 1]) !=
		histogram_is_custom(window->histograms[at])) {
		histogram_note_schemas(notes);
		return 0;
	}
	rc = interpolate(notes, window, at - 1, time_ms,
		window->histograms[at - 1]->hint != HISTOGRAM_GAUGE ||
			window->histograms[at]->hint != HISTOGRAM_GAUGE,
		out);
	if (rc <= 0) {
		*out = NULL;
	}
	return rc < 0 ? rc : 0;
}

int extended_histogram_point(const struct histogram_notes *notes,
	const struct sample_column *samples, struct span span, int64_t time_ms,
	struct histogram **out) {
	struct histogram_window window = { samples->times_ms + span.low,
		samples->histograms + span.low, NULL, span.high - span.low };

	for (size_t i = 0; i < window.count; i++) {
		if (!window.histograms[i]) {
			histogram_note_mix(notes);
			return 0;
		}
	}
	return point_of(notes, &window, time_ms, out);
}
