#include "promql/lanes.h"

/* Windows of less than this are for the plain loop. */
#define COUNT_MIN 4
/* Up to here doubles are all the whole numbers that there are. */
#define WHOLE_MAX 0x1p53
/* Added to a number below 2^51 it leaves no room for a fraction. */
#define FRACTION_CUT 0x1.8p52
/* How many values are looked at before it is asked whether all were whole. */
#define BLOCK 32

static int run_plain(struct range_call *call, struct column *out, window_fn *plain,
	struct span span, size_t step) {
	const struct window window = {
		.times_ms = call->samples->times_ms + span.low,
		.values = call->samples->values + span.low,
		.count = span.high - span.low,
		.step = step,
	};

	if (plain(call, &window, &out->values[step])) {
		present_set(out->present, step);
	}
	return call->rc;
}

static int run_group(struct range_call *call, struct column *out, window_fn *plain,
	lanes_fn *of_lanes, struct lane_group *group) {
	double results[LANES];
	uint32_t has = 0;
	int rc = 0;

	if (group->used >= LANES_MIN) {
		lanes_fill(group);
		has = of_lanes(call, group, results);
		rc = call->rc;
	}
	for (size_t i = 0; rc == 0 && i < group->used; i++) {
		size_t step = group->steps[i];

		if (has >> i & 1U) {
			out->values[step] = results[i];
			present_set(out->present, step);
		} else {
			rc = run_plain(call, out, plain, group->spans[i], step);
		}
	}
	group->used = 0;
	return rc;
}

int lanes_run(struct range_call *call, struct column *out, window_fn *plain, lanes_fn *of_lanes) {
	size_t steps = call->grid->count;
	struct lane_group group = { 0 };

	call->rc = 0;
	memset(out->present, 0, step_words(steps) * sizeof(*out->present));
	for (PRESENT_EACH(call->windows.present, steps, i)) {
		struct span span = call->windows.spans[i];
		int rc = eval_work(call->ev, span.high - span.low);

		if (rc == 0 && span.high - span.low < COUNT_MIN) {
			rc = run_plain(call, out, plain, span, i);
		} else if (rc == 0) {
			lanes_add_window(&group, call->samples->values, span, i);
			rc = group.used == LANES ? run_group(call, out, plain, of_lanes, &group)
						 : 0;
		}
		if (rc < 0) {
			return rc;
		}
	}
	return run_group(call, out, plain, of_lanes, &group);
}

bool totals_add(const double *values, size_t count, double *totals) {
	double total = 0;
	double size = 0;

	for (size_t i = 0; i < count;) {
		size_t end = count - i < BLOCK ? count : i + BLOCK;
		bool is_whole = true;

		for (; i < end; i++) {
			totals[i] = total;
			total += values[i];
			size += fabs(values[i]);
			is_whole &= (values[i] + FRACTION_CUT) - FRACTION_CUT == values[i];
		}
		if (!is_whole || !(size < WHOLE_MAX)) {
			return false;
		}
	}
	totals[count] = total;
	return true;
}
