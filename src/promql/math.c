/*
 * Functions of each value: mathematics, clamping, rounding, parts of dates.
 */
#include "promql/calendar.h"
#include "promql/call.h"
#include "promql/each.h"
#include "promql/number.h"
#include "promql/select.h"

#include "base/check.h"

static void apply_math(struct each *each, struct column *column) {
	double (*math)(double) = each->math;

	for (size_t i = 0; i < each->grid->count; i++) {
		column->values[i] = math(column->values[i]);
	}
}

static double degrees(double value) {
	return value * 180 / M_PI;
}

static double radians(double value) {
	return value * M_PI / 180;
}

static double sign(double value) {
	return value < 0 ? -1 : value > 0 ? 1 : value;
}

static void apply_clamp(struct each *each, struct column *column) {
	const double *low = each->args[0];
	const double *high = each->args[1];

	for (size_t i = 0; i < each->grid->count; i++) {
		double min = low ? low[i] : -HUGE_VAL;
		double max = high ? high[i] : HUGE_VAL;

		if (max < min) {
			present_clear(column->present, i);
			continue;
		}
		column->values[i] = number_max(min, number_min(max, column->values[i]));
	}
}

static void apply_round(struct each *each, struct column *column) {
	const double *to = each->args[0];

	for (size_t i = 0; i < each->grid->count; i++) {
		/* The inverse loses less than a division by what is often 0.1 or 0.01. */
		double inverse = 1 / (to ? to[i] : 1);

		column->values[i] = floor(column->values[i] * inverse + 0.5) / inverse;
	}
}

/* Of a selector, which gives the times itself. */
static void apply_nothing(struct each *each UNUSED, struct column *column UNUSED) {
}

/* Of anything else: that is as old as the step. */
static void apply_timestamp(struct each *each, struct column *column) {
	for (size_t i = 0; i < each->grid->count; i++) {
		column->values[i] = (double)grid_time(each->grid, i) / 1000;
	}
}

typedef double math_fn(double value);

/* Functions of a number alone; the others have an 'apply' of their own. */
static math_fn *const functions[FUNCTION_COUNT] = {
	[FUNCTION_ABS] = fabs,
	[FUNCTION_ACOS] = acos,
	[FUNCTION_ACOSH] = acosh,
	[FUNCTION_ASIN] = asin,
	[FUNCTION_ASINH] = asinh,
	[FUNCTION_ATAN] = atan,
	[FUNCTION_ATANH] = atanh,
	[FUNCTION_CEIL] = ceil,
	[FUNCTION_COS] = cos,
	[FUNCTION_COSH] = cosh,
	[FUNCTION_DAYS_IN_MONTH] = calendar_days_in_month,
	[FUNCTION_DAY_OF_MONTH] = calendar_day_of_month,
	[FUNCTION_DAY_OF_WEEK] = calendar_day_of_week,
	[FUNCTION_DAY_OF_YEAR] = calendar_day_of_year,
	[FUNCTION_DEG] = degrees,
	[FUNCTION_EXP] = exp,
	[FUNCTION_FLOOR] = floor,
	[FUNCTION_HOUR] = calendar_hour,
	[FUNCTION_LN] = log,
	[FUNCTION_LOG10] = log10,
	[FUNCTION_LOG2] = log2,
	[FUNCTION_MINUTE] = calendar_minute,
	[FUNCTION_MONTH] = calendar_month,
	[FUNCTION_RAD] = radians,
	[FUNCTION_SGN] = sign,
	[FUNCTION_SIN] = sin,
	[FUNCTION_SINH] = sinh,
	[FUNCTION_SQRT] = sqrt,
	[FUNCTION_TAN] = tan,
	[FUNCTION_TANH] = tanh,
	[FUNCTION_YEAR] = calendar_year,
};

/* start_timestamp() of what is no selector: an operation's result has none. */
static void forget_values(struct each *each, struct column *column) {
	memset(column->present, 0, step_words(each->grid->count) * sizeof(*column->present));
}

static each_fn *find_apply(enum function_id id) {
	if (functions[id]) {
		return apply_math;
	}
	if (id == FUNCTION_TIMESTAMP) {
		return apply_timestamp;
	}
	if (id == FUNCTION_START_TIMESTAMP) {
		return forget_values;
	}
	return id == FUNCTION_ROUND ? apply_round : apply_clamp;
}

/* A function of dates without an argument: of the step's own time, as a series without labels. */
struct date_stream {
	struct stream stream;
	struct eval *ev;
	const struct grid *grid;
	math_fn *math;
	bool is_done;
};

static int date_next(struct stream *stream, struct column *out) {
	struct date_stream *date = CONTAINER_OF(stream, struct date_stream, stream);
	size_t steps = date->grid->count;
	int rc;

	if (date->is_done) {
		return 0;
	}
	date->is_done = true;
	rc = eval_column_build(date->ev, steps, out);
	rc = rc < 0 ? rc : eval_hold(date->ev, steps);
	rc = rc < 0 ? rc : eval_work(date->ev, steps);
	if (rc < 0) {
		return rc;
	}
	for (size_t i = 0; i < steps; i++) {
		out->values[i] = date->math((double)(grid_time(date->grid, i) / 1000));
	}
	present_fill(out->present, steps);
	return 1;
}

static int open_date(struct eval *ev, math_fn *math, const struct grid *grid, struct stream **out) {
	struct date_stream *date = EVAL_NEW(ev, struct date_stream, 1);

	if (!date) {
		return ERR_LIMIT;
	}
	*date = (struct date_stream){
		.stream = { .next = date_next, .keeps = true }, .ev = ev, .grid = grid, .math = math
	};
	*out = &date->stream;
	return 0;
}

/* The scalars after the vector. */
static int eval_args(
	struct each *each, struct eval *ev, struct expr *call, const struct grid *grid) {
	enum function_id id = call->u.call.function->id;
	size_t first = id == FUNCTION_CLAMP_MAX ? 1 : 0;

	for (size_t i = 1; i < call->u.call.count; i++) {
		double *values;
		int rc = eval_scalar(ev, call->u.call.args[i], grid, &values);

		if (rc < 0) {
			return rc;
		}
		CHECK(first + i - 1 < ARRAY_COUNT(each->args));
		each->args[first + i - 1] = values;
	}
	return 0;
}

/* timestamp() of what is no selector: the step's time, whatever the value. */
static int time_histograms(struct each *each, struct column *column) {
	column->histograms = NULL;
	each->apply(each, column);
	return 0;
}

/* The values are times already. */
static int forget_histograms(struct each *each UNUSED, struct column *column) {
	column->histograms = NULL;
	return 0;
}

/* timestamp() and start_timestamp() of a selector: when the samples were taken or began. */
static int open_timestamp(struct each *each, struct eval *ev, const struct expr *selector,
	const struct grid *grid, enum select_part part) {
	struct stream *stream;
	int rc = select_open(ev, &selector->u.selector, selector->text.start, grid, part, &stream);

	each->apply = apply_nothing;
	each->apply_histograms = forget_histograms;
	rc = rc < 0 ? rc : each_init(each, ev, stream, selector, grid, true);
	/* A series of both kinds gives two columns of times. */
	each->stream.repeats = true;
	return rc;
}

int call_open_each(
	struct eval *ev, struct expr *call, const struct grid *grid, struct stream **out) {
	enum function_id id = call->u.call.function->id;
	struct expr *input;
	struct each *each;
	int rc;

	if (call->u.call.count == 0) {
		return open_date(ev, functions[id], grid, out);
	}
	input = expr_unparen(call->u.call.args[0]);
	each = EVAL_NEW(ev, struct each, 1);
	if (!each) {
		return ERR_LIMIT;
	}
	each->apply = find_apply(id);
	each->math = functions[id];
	if (id == FUNCTION_TIMESTAMP && input->kind == EXPR_SELECTOR) {
		rc = open_timestamp(each, ev, input, grid, SELECT_TIMES);
	} else if (id == FUNCTION_START_TIMESTAMP && input->kind == EXPR_SELECTOR &&
		   ev->options->use_start_timestamps) {
		rc = open_timestamp(each, ev, input, grid, SELECT_STARTS);
	} else {
		rc = each_open(each, ev, input, grid, true);
		if (id == FUNCTION_TIMESTAMP) {
			each->apply_histograms = time_histograms;
			each->stream.repeats = true;
		}
	}
	rc = rc < 0 ? rc : eval_args(each, ev, call, grid);
	if (rc < 0) {
		return rc;
	}
	*out = &each->stream;
	return 0;
}
