/*
 * Holt's linear method over a window: a smoothed value and a smoothed trend.
 */
#include "promql/lanes.h"

static bool check_factor(struct range_call *call, const char *name, double factor) {
	if (factor > 0 && factor < 1) {
		return true;
	}
	if (isnan(factor)) {
		return true;
	}
	call->rc = err_set(call->ev->err, ERR_EXEC,
		"invalid %s factor. Expected: 0 < %cf < 1, got: %f", name, name[0], factor);
	return false;
}

struct smooth {
	double value;
	double before; /* The value before it. */
	double trend;
};

/* The second value and on; 'is_first' with the second, before which the trend is known. */
static inline void smooth_add(
	struct smooth *smooth, double value, double sf, double tf, bool is_first) {
	double next;

	if (!is_first) {
		smooth->trend = tf * (smooth->value - smooth->before) + (1 - tf) * smooth->trend;
	}
	next = sf * value + (1 - sf) * (smooth->value + smooth->trend);
	smooth->before = smooth->value;
	smooth->value = next;
}

static bool smoothing_window(struct range_call *call, const struct window *window, double *out) {
	double sf = call->args[0][window->step];
	double tf = call->args[1][window->step];
	struct smooth smooth;

	if (!check_factor(call, "smoothing", sf) || !check_factor(call, "trend", tf) ||
		window->count < 2) {
		return false;
	}
	smooth = (struct smooth){ window->values[0], 0, window->values[1] - window->values[0] };
	for (size_t i = 1; i < window->count; i++) {
		smooth_add(&smooth, window->values[i], sf, tf, i == 1);
	}
	*out = smooth.value;
	return true;
}

/* As struct smooth, in each lane. */
struct smooth_four {
	kahan_lanes value;
	kahan_lanes before;
	kahan_lanes trend;
};

static ALWAYS_INLINE void smooth_first_four(struct smooth_four *smooth, const kahan_lanes *first,
	const kahan_lanes *second, double sf) {
	smooth->trend = *second - *first;
	smooth->before = *first;
	smooth->value = sf * *second + (1 - sf) * (*first + smooth->trend);
}

static ALWAYS_INLINE void smooth_add_four(
	struct smooth_four *smooth, const kahan_lanes *value, double sf, double tf) {
	kahan_lanes next;

	smooth->trend = tf * (smooth->value - smooth->before) + (1 - tf) * smooth->trend;
	next = sf * *value + (1 - sf) * (smooth->value + smooth->trend);
	smooth->before = smooth->value;
	smooth->value = next;
}

static ALWAYS_INLINE void smooth_group(
	const struct lane_group *group, double sf, double tf, struct smooth *out) {
	struct smooth_four low;
	struct smooth_four high;
	struct eight first = { 0 };
	struct eight value = { 0 };

	lanes_take(group->values, 0, false, &first);
	lanes_take(group->values, 1, false, &value);
	smooth_first_four(&low, &first.a, &value.a, sf);
	smooth_first_four(&high, &first.b, &value.b, sf);
	for (size_t i = 2; i < group->common; i++) {
		lanes_take(group->values, i, false, &value);
		smooth_add_four(&low, &value.a, sf, tf);
		smooth_add_four(&high, &value.b, sf, tf);
	}
	for (size_t i = 0; i < 4; i++) {
		out[i] = (struct smooth){ low.value[i], low.before[i], low.trend[i] };
		out[i + 4] = (struct smooth){ high.value[i], high.before[i], high.trend[i] };
	}
}

WIDE static void smooth_group_wide(
	const struct lane_group *group, double sf, double tf, struct smooth *out) {
	smooth_group(group, sf, tf, out);
}

static void smooth_group_narrow(
	const struct lane_group *group, double sf, double tf, struct smooth *out) {
	smooth_group(group, sf, tf, out);
}

/* Where all windows have the same factors, and these are some. */
static uint32_t smoothing_lanes(
	struct range_call *call, const struct lane_group *group, double *out) {
	double sf = call->args[0][group->steps[0]];
	double tf = call->args[1][group->steps[0]];
	struct smooth smooths[LANES];

	if (!(sf > 0 && sf < 1 && tf > 0 && tf < 1) || group->common < 2) {
		return 0;
	}
	for (size_t i = 1; i < group->used; i++) {
		if (call->args[0][group->steps[i]] != sf || call->args[1][group->steps[i]] != tf) {
			return 0;
		}
	}
	(has_wide() ? smooth_group_wide : smooth_group_narrow)(group, sf, tf, smooths);
	for (size_t i = 0; i < group->used; i++) {
		for (size_t k = group->common; k < group->counts[i]; k++) {
			smooth_add(&smooths[i], group->values[i][k], sf, tf, false);
		}
		out[i] = smooths[i].value;
	}
	return UINT32_MAX;
}

int double_exponential_smoothing_run(struct range_call *call, struct column *out) {
	return lanes_run(call, out, smoothing_window, smoothing_lanes);
}
