#include "promql/started.h"

bool started_again(const int64_t *times_ms, const int64_t *starts_ms, size_t at) {
	int64_t start_ms = starts_ms[at];
	int64_t before_ms = times_ms[at - 1];

	if (start_ms == 0 || start_ms >= times_ms[at] || start_ms < before_ms) {
		return false;
	}
	if (start_ms > before_ms) {
		return true;
	}
	/* At the sample before: so it is with deltas, each of which has a start of its own, but
	 * also with OpenTelemetry's counters of unknown start, whose first sample has no other time
	 * to give. */
	return starts_ms[at - 1] != 0 && starts_ms[at - 1] < before_ms;
}

bool started_within_other(const int64_t *times_ms, const int64_t *starts_ms, size_t at) {
	return starts_ms[at] != 0 && starts_ms[at] < times_ms[at - 1] &&
	       starts_ms[at] != starts_ms[at - 1];
}

void started_note_overlap(const struct histogram_notes *notes, const int64_t *times_ms,
	const int64_t *starts_ms, size_t count) {
	for (size_t i = 1; i < count; i++) {
		if (started_within_other(times_ms, starts_ms, i)) {
			histogram_note_overlap(notes);
			return;
		}
	}
}

bool started_inside(const struct started_window *window) {
	return window->starts_ms && window->starts_ms[0] != 0 &&
	       window->starts_ms[0] > window->start_ms &&
	       window->starts_ms[0] < window->times_ms[0];
}

double started_factor(const struct started_window *window, double first, double growth) {
	size_t last = window->count - 1;
	double to_start = (double)(window->times_ms[0] - window->start_ms) / 1000;
	double to_end = (double)(window->end_ms - window->times_ms[last]) / 1000;
	double sampled = (double)(window->times_ms[last] - window->times_ms[0]) / 1000;
	double distance = last > 0 ? sampled / (double)last : 0;

	if (to_end >= distance * 1.1) {
		to_end = distance / 2;
	}
	if (started_inside(window)) {
		to_start = 0;
		sampled = (double)(window->times_ms[last] - window->starts_ms[0]) / 1000;
	} else if (to_start >= distance * 1.1) {
		to_start = distance / 2;
	}
	if (growth > 0 && first >= 0) {
		double to_zero = sampled * (first / growth);

		to_start = to_zero < to_start ? to_zero : to_start;
	}
	return sampled != 0 ? (sampled + to_start + to_end) / sampled : 1;
}

/* Whether any of a series' samples is within another's counting; then windows are looked through.
 */
static bool any_overlap(const struct samples *samples) {
	for (size_t i = 1; i < samples->count; i++) {
		if (started_within_other(samples->times_ms, samples->starts_ms, i)) {
			return true;
		}
	}
	return false;
}

/* The increase over a window, with what resets took away; 'next' is the first reset in this or a
 * later one. */
static double growth_of(const struct range_call *call, struct span span, size_t *next) {
	const double *values = call->samples->values;
	double growth = values[span.high - 1] - values[span.low];

	while (*next < call->drop_count && call->drops[*next] <= span.low) {
		(*next)++;
	}
	for (size_t k = *next; k < call->drop_count && call->drops[k] < span.high; k++) {
		growth += values[call->drops[k] - 1];
	}
	return growth;
}

static struct started_window window_of(const struct range_call *call, size_t step) {
	int64_t end_ms = window_end(call->shape, grid_time(call->grid, step));
	struct span span = call->windows.spans[step];

	return (struct started_window){
		.times_ms = call->samples->times_ms + span.low,
		.starts_ms = call->samples->starts_ms + span.low,
		.count = span.high - span.low,
		.start_ms = end_ms - call->shape->range_ms,
		.end_ms = end_ms,
	};
}

int started_run(struct range_call *call, struct column *out, double range_s) {
	const struct samples *samples = call->samples;
	const struct histogram_notes notes = { call->ev, call->position,
		labels_get(&samples->labels, LABEL_NAME) };
	bool has_overlap = any_overlap(samples);
	size_t steps = call->grid->count;
	size_t next = 0;
	int rc = range_find_drops(call);

	if (rc < 0) {
		return rc;
	}
	memset(out->present, 0, step_words(steps) * sizeof(*out->present));
	for (PRESENT_EACH(call->windows.present, steps, i)) {
		struct started_window window = window_of(call, i);
		double first = samples->values[call->windows.spans[i].low];
		double growth;
		double factor;

		rc = eval_work(call->ev, window.count);
		if (rc < 0) {
			return rc;
		}
		if (window.count < 2 && !started_inside(&window)) {
			continue;
		}
		if (has_overlap) {
			started_note_overlap(
				&notes, window.times_ms, window.starts_ms, window.count);
		}
		growth = growth_of(call, call->windows.spans[i], &next);
		growth += started_inside(&window) ? first : 0;
		factor = started_factor(&window, first, growth);
		out->values[i] = growth * (range_s > 0 ? factor / range_s : factor);
		present_set(out->present, i);
	}
	return 0;
}

int started_irate_run(struct range_call *call, struct column *out) {
	const struct samples *samples = call->samples;
	size_t steps = call->grid->count;

	memset(out->present, 0, step_words(steps) * sizeof(*out->present));
	for (PRESENT_EACH(call->windows.present, steps, i)) {
		struct span span = call->windows.spans[i];
		size_t last = span.high - 1;
		double value = samples->values[last];

		if (span.high - span.low < 2 ||
			samples->times_ms[last] == samples->times_ms[last - 1]) {
			continue;
		}
		if (!(value < samples->values[last - 1]) &&
			!started_again(samples->times_ms, samples->starts_ms, last)) {
			value -= samples->values[last - 1];
		}
		out->values[i] =
			value /
			((double)(samples->times_ms[last] - samples->times_ms[last - 1]) / 1000);
		present_set(out->present, i);
	}
	return 0;
}

int started_resets_run(struct range_call *call, struct column *out) {
	size_t steps = call->grid->count;
	size_t next = 0;
	size_t end = 0;
	int rc = range_find_drops(call);

	if (rc < 0) {
		return rc;
	}
	memcpy(out->present, call->windows.present, step_words(steps) * sizeof(*out->present));
	for (PRESENT_EACH(call->windows.present, steps, i)) {
		struct span span = call->windows.spans[i];

		while (next < call->drop_count && call->drops[next] <= span.low) {
			next++;
		}
		while (end < call->drop_count && call->drops[end] < span.high) {
			end++;
		}
		out->values[i] = (double)(end - next);
	}
	return 0;
}
