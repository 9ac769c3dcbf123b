/*
 * Functions of counters and of differences: rate and its kin.
 */
#include "promql/extended.h"
#include "promql/range.h"

/*
 * How far a window's increase is extended towards the window's ends, in seconds: all the way where
 * samples come close enough, within 1.1 times their mean distance, else by half that distance. This
 * is a matter of the samples' times alone, so it is worked out once for all series of a target.
 * What is left per series is whether a counter would have been below zero before its first sample.
 */
struct extrapolation {
	double sampled; /* From the first to the last sample; 0 for fewer than two. */
	double to_start;
	double to_end;
	double factor; /* Of the whole, without that exception. */
};

static double factor_of(const struct extrapolation *plan, double to_start, double range_s) {
	double factor = (plan->sampled + to_start + plan->to_end) / plan->sampled;

	return range_s > 0 ? factor / range_s : factor;
}

static struct extrapolation plan_window(
	const struct range_call *call, size_t step, double range_s) {
	struct span span = call->windows.spans[step];
	const int64_t *times_ms = call->samples->times_ms;
	int64_t end_ms = window_end(call->shape, grid_time(call->grid, step));
	struct extrapolation plan = { 0 };
	double distance;

	if (span.high - span.low < 2) {
		return plan;
	}
	plan.to_start = (double)(times_ms[span.low] - (end_ms - call->shape->range_ms)) / 1000;
	plan.to_end = (double)(end_ms - times_ms[span.high - 1]) / 1000;
	plan.sampled = (double)(times_ms[span.high - 1] - times_ms[span.low]) / 1000;
	distance = plan.sampled / (double)(span.high - 1 - span.low);
	if (plan.to_start >= distance * 1.1) {
		plan.to_start = distance / 2;
	}
	if (plan.to_end >= distance * 1.1) {
		plan.to_end = distance / 2;
	}
	plan.factor = factor_of(&plan, plan.to_start, range_s);
	return plan;
}

static int update_plan(struct range_call *call, double range_s) {
	if (!call->plan) {
		call->plan = EVAL_NEW(call->ev, struct extrapolation, call->grid->count);
	}
	if (!call->plan) {
		return ERR_LIMIT;
	}
	if (call->plan_version != call->windows.version) {
		for (size_t i = 0; i < call->grid->count; i++) {
			call->plan[i] = plan_window(call, i, range_s);
		}
		call->plan_version = call->windows.version;
	}
	return 0;
}

/*
 * Whether a counter that grows as it did in the window was at zero within it, before the first
 * sample: whether sampled * (first / increase) < to_start, without the division. Says no only where
 * rounding cannot matter, and so asks for the exact calculation a little too often.
 */
static inline bool may_start_at_zero(
	const struct extrapolation *plan, double first, double increase) {
	double limit = increase * plan->to_start;

	return increase > 0 && first >= 0 &&
	       !(limit > 1e-280 && first * plan->sampled > limit * (1 + 1e-9));
}

static double factor_from_zero(
	const struct extrapolation *plan, double first, double increase, double range_s) {
	double to_zero = plan->sampled * (first / increase);

	return factor_of(plan, to_zero < plan->to_start ? to_zero : plan->to_start, range_s);
}

/*
 * The increase from first to last sample, extended. With counters what a reset took away is added;
 * resets are few, so they are found once per series, and windows only look at their own.
 */
static inline __attribute__((always_inline)) int extrapolate(
	struct range_call *call, struct column *out, bool is_counter, double range_s) {
	const double *values = call->samples->values;
	size_t steps = call->grid->count;
	size_t next = 0; /* The first reset in this or a later window. */
	int rc = is_counter ? range_find_drops(call) : 0;

	rc = rc < 0 ? rc : update_plan(call, range_s);
	if (rc < 0) {
		return rc;
	}
	memset(out->present, 0, step_words(steps) * sizeof(*out->present));
	for (PRESENT_EACH(call->windows.present, steps, i)) {
		const struct extrapolation *plan = &call->plan[i];
		struct span span = call->windows.spans[i];
		double first = values[span.low];
		double increase = values[span.high - 1] - first;

		if (plan->sampled == 0) {
			continue;
		}
		while (is_counter && next < call->drop_count && call->drops[next] <= span.low) {
			next++;
		}
		for (size_t k = next;
			is_counter && k < call->drop_count && call->drops[k] < span.high; k++) {
			increase += values[call->drops[k] - 1];
		}
		out->values[i] =
			is_counter && may_start_at_zero(plan, first, increase)
				? increase * factor_from_zero(plan, first, increase, range_s)
				: increase * plan->factor;
		present_set(out->present, i);
	}
	return 0;
}

int rate_run(struct range_call *call, struct column *out) {
	if (call->shape->is_extended) {
		return extended_run(call, out, true, call->shape->range_s);
	}
	return extrapolate(call, out, true, call->shape->range_s);
}

int increase_run(struct range_call *call, struct column *out) {
	if (call->shape->is_extended) {
		return extended_run(call, out, true, 0);
	}
	return extrapolate(call, out, true, 0);
}

int delta_run(struct range_call *call, struct column *out) {
	if (call->shape->is_extended) {
		return extended_run(call, out, false, 0);
	}
	return extrapolate(call, out, false, 0);
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

typedef bool differs_fn(double before, double value);

static inline bool is_reset(double before, double value) {
	return value < before;
}

static inline bool is_change(double before, double value) {
	return value != before && !(isnan(value) && isnan(before));
}

/* A window that reaches back to the sample before it. */
static inline __attribute__((always_inline)) bool count_anchored(
	struct range_call *call, const struct window *window, double *out, differs_fn *differs) {
	size_t first = 0;
	size_t count = 0;

	if (!extended_anchor(call, window, &first)) {
		return false;
	}
	for (size_t i = first + 1; i < window->count; i++) {
		count += differs(window->values[i - 1], window->values[i]);
	}
	*out = (double)count;
	return true;
}

static bool resets_anchored(struct range_call *call, const struct window *window, double *out) {
	return count_anchored(call, window, out, is_reset);
}

static bool changes_anchored(struct range_call *call, const struct window *window, double *out) {
	return count_anchored(call, window, out, is_change);
}

/* Counts once from the first sample on, so that what a window has is a difference. */
static inline __attribute__((always_inline)) int count_run(
	struct range_call *call, struct column *out, differs_fn *differs) {
	const double *values = call->samples->values;
	size_t steps = call->grid->count;
	uint32_t *counts = range_scratch(call, call->samples->count * sizeof(uint32_t));
	uint32_t count = 0;

	if (!counts) {
		return call->rc;
	}
	counts[0] = 0;
	for (size_t i = 1; i < call->samples->count; i++) {
		count += differs(values[i - 1], values[i]);
		counts[i] = count;
	}
	memcpy(out->present, call->windows.present, step_words(steps) * sizeof(*out->present));
	for (PRESENT_EACH(call->windows.present, steps, i)) {
		struct span span = call->windows.spans[i];

		out->values[i] = (double)(counts[span.high - 1] - counts[span.low]);
	}
	return 0;
}

int resets_run(struct range_call *call, struct column *out) {
	return call->shape->is_extended ? windows_run_costly(call, out, resets_anchored)
					: count_run(call, out, is_reset);
}

int changes_run(struct range_call *call, struct column *out) {
	return call->shape->is_extended ? windows_run_costly(call, out, changes_anchored)
					: count_run(call, out, is_change);
}
