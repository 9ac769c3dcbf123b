/*
 * Functions of counters and of differences: rate and its kin.
 */
#include "promql/extended.h"
#include "promql/lanes.h"
#include "promql/started.h"

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

/* What is needed of that and of the windows, for four steps at once. */
struct rate_four {
	double factors[4];
	double limits[4];   /* What an increase is multiplied with to see if it began at zero. */
	uint32_t firsts[4]; /* The samples. */
	uint32_t lasts[4];
};

struct rate_plan {
	uint64_t version;  /* Of the windows. */
	uint64_t *present; /* Steps with two samples. The others have one and the same. */
	struct rate_four *fours;
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

static int make_plan(struct range_call *call) {
	size_t steps = call->grid->count;
	struct rate_plan *plan = EVAL_NEW(call->ev, struct rate_plan, 1);

	if (!plan) {
		return ERR_LIMIT;
	}
	plan->present = EVAL_NEW(call->ev, uint64_t, step_words(steps));
	plan->fours = EVAL_NEW(call->ev, struct rate_four, (steps + 3) / 4);
	if (!plan->present || !plan->fours) {
		return ERR_LIMIT;
	}
	call->plan = plan;
	return 0;
}

static int update_plan(struct range_call *call, double range_s) {
	size_t steps = call->grid->count;
	int rc = call->plan ? 0 : make_plan(call);
	struct rate_plan *plan = call->plan;

	if (rc < 0 || plan->version == call->windows.version) {
		return rc;
	}
	memset(plan->present, 0, step_words(steps) * sizeof(*plan->present));
	for (size_t i = 0; i < steps; i++) {
		struct extrapolation step = plan_window(call, i, range_s);
		struct span span = call->windows.spans[i];
		struct rate_four *four = &plan->fours[i / 4];
		bool has = step.sampled != 0;

		four->factors[i % 4] = step.factor;
		four->limits[i % 4] = has ? step.to_start / step.sampled * (1 + 1e-9) : 0;
		four->firsts[i % 4] = has ? span.low : 0;
		four->lasts[i % 4] = has ? span.high - 1 : 0;
		if (has) {
			present_set(plan->present, i);
		}
	}
	plan->version = call->windows.version;
	return 0;
}

/*
 * Whether a counter that grows as it did in the window was at zero within it, before the first
 * sample: whether sampled * (first / increase) < to_start, without the division. Says no only where
 * rounding cannot matter, and so asks for the exact calculation a little too often.
 */
static inline bool may_start_at_zero(double limit, double first, double increase) {
	double least = increase * limit;

	return increase > 0 && first >= 0 && !(least > 1e-280 && first > least);
}

static double factor_from_zero(
	const struct range_call *call, size_t step, double increase, double range_s) {
	struct extrapolation plan = plan_window(call, step, range_s);
	double first = call->samples->values[call->windows.spans[step].low];
	double to_zero = plan.sampled * (first / increase);

	return factor_of(&plan, to_zero < plan.to_start ? to_zero : plan.to_start, range_s);
}

/*
 * The increase from first to last sample, extended. With counters what a reset took away is added;
 * resets are few, so they are found once per series, and windows only look at their own.
 */
static void extend_counter(struct range_call *call, double *out, double range_s) {
	const double *values = call->samples->values;
	size_t next = 0; /* The first reset in this or a later window. */

	for (PRESENT_EACH(call->plan->present, call->grid->count, i)) {
		const struct rate_four *four = &call->plan->fours[i / 4];
		uint32_t last = four->lasts[i % 4];
		double first = values[four->firsts[i % 4]];
		double increase = values[last] - first;

		while (next < call->drop_count && call->drops[next] <= four->firsts[i % 4]) {
			next++;
		}
		for (size_t k = next; k < call->drop_count && call->drops[k] <= last; k++) {
			increase += values[call->drops[k] - 1];
		}
		out[i] = increase * (may_start_at_zero(four->limits[i % 4], first, increase)
						    ? factor_from_zero(call, i, increase, range_s)
						    : four->factors[i % 4]);
	}
}

/* The same without resets. Returns whether no counter may have started at zero; else 'out' is not
 * right. */
static ALWAYS_INLINE bool extend_fours(
	const double *values, const struct rate_four *fours, size_t steps, double *out) {
	kahan_masks may_start = { 0 };

	for (size_t i = 0; i < steps; i += 4) {
		const struct rate_four *four = &fours[i / 4];
		const uint32_t *firsts = four->firsts;
		const uint32_t *lasts = four->lasts;
		kahan_pair first_low = { values[firsts[0]], values[firsts[1]] };
		kahan_pair first_high = { values[firsts[2]], values[firsts[3]] };
		kahan_pair last_low = { values[lasts[0]], values[lasts[1]] };
		kahan_pair last_high = { values[lasts[2]], values[lasts[3]] };
		kahan_lanes first = __builtin_shufflevector(first_low, first_high, 0, 1, 2, 3);
		kahan_lanes last = __builtin_shufflevector(last_low, last_high, 0, 1, 2, 3);
		kahan_lanes increase = last - first;
		kahan_lanes least;
		kahan_lanes result;

		memcpy(&least, four->limits, sizeof(least));
		memcpy(&result, four->factors, sizeof(result));
		least *= increase;
		result *= increase;
		may_start |= (increase > 0) & (first >= 0) & ~((least > 1e-280) & (first > least));
		if (steps - i >= 4) {
			memcpy(out + i, &result, sizeof(result));
		} else {
			memcpy(out + i, &result, (steps - i) * sizeof(*out));
		}
	}
	return (may_start[0] | may_start[1] | may_start[2] | may_start[3]) == 0;
}

WIDE static bool extend_fours_wide(
	const double *values, const struct rate_four *fours, size_t steps, double *out) {
	return extend_fours(values, fours, steps, out);
}

static bool extend_fours_narrow(
	const double *values, const struct rate_four *fours, size_t steps, double *out) {
	return extend_fours(values, fours, steps, out);
}

static int extrapolate(
	struct range_call *call, struct column *out, bool is_counter, double range_s) {
	size_t steps = call->grid->count;
	int rc = is_counter ? range_find_drops(call) : 0;
	bool is_good;

	rc = rc < 0 ? rc : update_plan(call, range_s);
	if (rc < 0) {
		return rc;
	}
	memcpy(out->present, call->plan->present, step_words(steps) * sizeof(*out->present));
	is_good = (has_wide() ? extend_fours_wide : extend_fours_narrow)(
		call->samples->values, call->plan->fours, steps, out->values);
	if (is_counter && (!is_good || call->drop_count > 0)) {
		extend_counter(call, out->values, range_s);
	}
	return 0;
}

int rate_run(struct range_call *call, struct column *out) {
	if (call->shape->is_extended) {
		return extended_run(call, out, true, call->shape->range_s);
	}
	if (call->samples->starts_ms) {
		return started_run(call, out, call->shape->range_s);
	}
	return extrapolate(call, out, true, call->shape->range_s);
}

int increase_run(struct range_call *call, struct column *out) {
	if (call->shape->is_extended) {
		return extended_run(call, out, true, 0);
	}
	if (call->samples->starts_ms) {
		return started_run(call, out, 0);
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
	return call->samples->starts_ms ? started_irate_run(call, out)
					: windows_run(call, out, irate_window);
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
	if (call->samples->starts_ms) {
		return started_resets_run(call, out);
	}
	return call->shape->is_extended ? windows_run_costly(call, out, resets_anchored)
					: count_run(call, out, is_reset);
}

int changes_run(struct range_call *call, struct column *out) {
	return call->shape->is_extended ? windows_run_costly(call, out, changes_anchored)
					: count_run(call, out, is_change);
}
