#include "promql/call.h"

#include "promql/number.h"

#include "base/check.h"

uint32_t call_position(const struct expr *call, size_t index) {
	const struct expr *arg = expr_unparen(call->u.call.args[index]);

	return arg->kind == EXPR_SUBQUERY ? 0 : arg->text.start;
}

/* vector(): a scalar as a series without labels. */
struct scalar_stream {
	struct stream stream;
	struct eval *ev;
	size_t step_count;
	double *values;
	bool is_done;
};

static int scalar_next(struct stream *stream, struct column *out) {
	struct scalar_stream *scalar = CONTAINER_OF(stream, struct scalar_stream, stream);
	uint64_t *present;

	if (scalar->is_done) {
		return 0;
	}
	scalar->is_done = true;
	present = EVAL_NEW(scalar->ev, uint64_t, step_words(scalar->step_count));
	if (!present) {
		return ERR_LIMIT;
	}
	present_fill(present, scalar->step_count);
	*out = (struct column){ .values = scalar->values, .present = present };
	return 1;
}

static int open_vector(
	struct eval *ev, struct expr *call, const struct grid *grid, struct stream **out) {
	struct scalar_stream *scalar = EVAL_NEW(ev, struct scalar_stream, 1);
	int rc;

	if (!scalar) {
		return ERR_LIMIT;
	}
	scalar->stream = (struct stream){ .next = scalar_next, .keeps = true };
	scalar->ev = ev;
	scalar->step_count = grid->count;
	rc = eval_scalar(ev, call->u.call.args[0], grid, &scalar->values);
	if (rc < 0) {
		return rc;
	}
	*out = &scalar->stream;
	return 0;
}

typedef int open_fn(
	struct eval *ev, struct expr *call, const struct grid *grid, struct stream **out);

/* The functions that give a vector. */
static open_fn *const openers[FUNCTION_COUNT] = {
	[FUNCTION_ABS] = call_open_each,
	[FUNCTION_ABSENT] = call_open_absent,
	[FUNCTION_ABSENT_OVER_TIME] = call_open_absent_over_time,
	[FUNCTION_ACOS] = call_open_each,
	[FUNCTION_ACOSH] = call_open_each,
	[FUNCTION_ASIN] = call_open_each,
	[FUNCTION_ASINH] = call_open_each,
	[FUNCTION_ATAN] = call_open_each,
	[FUNCTION_ATANH] = call_open_each,
	[FUNCTION_AVG_OVER_TIME] = call_open_range,
	[FUNCTION_CEIL] = call_open_each,
	[FUNCTION_CHANGES] = call_open_range,
	[FUNCTION_CLAMP] = call_open_each,
	[FUNCTION_CLAMP_MAX] = call_open_each,
	[FUNCTION_CLAMP_MIN] = call_open_each,
	[FUNCTION_COS] = call_open_each,
	[FUNCTION_COSH] = call_open_each,
	[FUNCTION_COUNT_OVER_TIME] = call_open_range,
	[FUNCTION_DAYS_IN_MONTH] = call_open_each,
	[FUNCTION_DAY_OF_MONTH] = call_open_each,
	[FUNCTION_DAY_OF_WEEK] = call_open_each,
	[FUNCTION_DAY_OF_YEAR] = call_open_each,
	[FUNCTION_DEG] = call_open_each,
	[FUNCTION_DELTA] = call_open_range,
	[FUNCTION_DERIV] = call_open_range,
	[FUNCTION_DOUBLE_EXPONENTIAL_SMOOTHING] = call_open_range,
	[FUNCTION_EXP] = call_open_each,
	[FUNCTION_FIRST_OVER_TIME] = call_open_range,
	[FUNCTION_FLOOR] = call_open_each,
	[FUNCTION_HISTOGRAM_AVG] = call_open_histogram,
	[FUNCTION_HISTOGRAM_COUNT] = call_open_histogram,
	[FUNCTION_HISTOGRAM_FRACTION] = call_open_buckets,
	[FUNCTION_HISTOGRAM_QUANTILE] = call_open_buckets,
	[FUNCTION_HISTOGRAM_QUANTILES] = call_open_buckets,
	[FUNCTION_HISTOGRAM_STDDEV] = call_open_histogram,
	[FUNCTION_HISTOGRAM_STDVAR] = call_open_histogram,
	[FUNCTION_HISTOGRAM_SUM] = call_open_histogram,
	[FUNCTION_HOUR] = call_open_each,
	[FUNCTION_IDELTA] = call_open_range,
	[FUNCTION_INCREASE] = call_open_range,
	[FUNCTION_INFO] = call_open_info,
	[FUNCTION_IRATE] = call_open_range,
	[FUNCTION_LABEL_JOIN] = call_open_label_join,
	[FUNCTION_LABEL_REPLACE] = call_open_label_replace,
	[FUNCTION_LAST_OVER_TIME] = call_open_range,
	[FUNCTION_LN] = call_open_each,
	[FUNCTION_LOG10] = call_open_each,
	[FUNCTION_LOG2] = call_open_each,
	[FUNCTION_MAD_OVER_TIME] = call_open_range,
	[FUNCTION_MAX_OVER_TIME] = call_open_range,
	[FUNCTION_MINUTE] = call_open_each,
	[FUNCTION_MIN_OVER_TIME] = call_open_range,
	[FUNCTION_MONTH] = call_open_each,
	[FUNCTION_PREDICT_LINEAR] = call_open_range,
	[FUNCTION_PRESENT_OVER_TIME] = call_open_range,
	[FUNCTION_QUANTILE_OVER_TIME] = call_open_range,
	[FUNCTION_RAD] = call_open_each,
	[FUNCTION_RATE] = call_open_range,
	[FUNCTION_RESETS] = call_open_range,
	[FUNCTION_ROUND] = call_open_each,
	[FUNCTION_SGN] = call_open_each,
	[FUNCTION_SIN] = call_open_each,
	[FUNCTION_SINH] = call_open_each,
	[FUNCTION_SORT] = call_open_sort,
	[FUNCTION_SORT_BY_LABEL] = call_open_sort,
	[FUNCTION_SORT_BY_LABEL_DESC] = call_open_sort,
	[FUNCTION_SORT_DESC] = call_open_sort,
	[FUNCTION_SQRT] = call_open_each,
	[FUNCTION_START_TIMESTAMP] = call_open_each,
	[FUNCTION_STDDEV_OVER_TIME] = call_open_range,
	[FUNCTION_STDVAR_OVER_TIME] = call_open_range,
	[FUNCTION_SUM_OVER_TIME] = call_open_range,
	[FUNCTION_TAN] = call_open_each,
	[FUNCTION_TANH] = call_open_each,
	[FUNCTION_TIMESTAMP] = call_open_each,
	[FUNCTION_TS_OF_FIRST_OVER_TIME] = call_open_range,
	[FUNCTION_TS_OF_LAST_OVER_TIME] = call_open_range,
	[FUNCTION_TS_OF_MAX_OVER_TIME] = call_open_range,
	[FUNCTION_TS_OF_MIN_OVER_TIME] = call_open_range,
	[FUNCTION_VECTOR] = open_vector,
	[FUNCTION_YEAR] = call_open_each,
};

bool call_is_by_series(const struct expr *call) {
	open_fn *open = openers[call->u.call.function->id];

	return open == call_open_each || open == call_open_range;
}

int call_open(struct eval *ev, struct expr *call, const struct grid *grid, struct stream **out) {
	open_fn *open = openers[call->u.call.function->id];

	CHECK(open != NULL);
	return open(ev, call, grid, out);
}

/* The value at steps at which there is exactly one series, NaN at others. */
static int scalar_of_vector(
	struct eval *ev, struct expr *arg, const struct grid *grid, double *out) {
	uint64_t *twice = EVAL_NEW(ev, uint64_t, step_words(grid->count));
	uint64_t *once = EVAL_NEW(ev, uint64_t, step_words(grid->count));
	struct stream *stream;
	struct column column;
	int rc = twice && once ? eval_stream(ev, arg, grid, &stream) : ERR_LIMIT;

	if (rc < 0) {
		return rc;
	}
	while ((rc = stream->next(stream, &column)) > 0) {
		for (PRESENT_EACH(column.present, column.histograms ? 0 : grid->count, i)) {
			present_set(present_get(once, i) ? twice : once, i);
			out[i] = column.values[i];
		}
	}
	for (size_t i = 0; rc == 0 && i < grid->count; i++) {
		if (!present_get(once, i) || present_get(twice, i)) {
			out[i] = number_nan();
		}
	}
	return rc;
}

static int extreme_of_two(
	struct eval *ev, struct expr *call, const struct grid *grid, double *out) {
	bool is_max = call->u.call.function->id == FUNCTION_MAX_OF;
	double *a;
	double *b;
	int rc = eval_scalar(ev, call->u.call.args[0], grid, &a);

	rc = rc < 0 ? rc : eval_scalar(ev, call->u.call.args[1], grid, &b);
	if (rc < 0) {
		return rc;
	}
	for (size_t i = 0; i < grid->count; i++) {
		out[i] = is_max ? number_max(a[i], b[i]) : number_min(a[i], b[i]);
	}
	return 0;
}

int call_scalar(struct eval *ev, struct expr *call, const struct grid *grid, double *out) {
	enum function_id id = call->u.call.function->id;

	if (id == FUNCTION_SCALAR) {
		return scalar_of_vector(ev, call->u.call.args[0], grid, out);
	}
	if (id == FUNCTION_MAX_OF || id == FUNCTION_MIN_OF) {
		return extreme_of_two(ev, call, grid, out);
	}
	/* The others were folded when the query was prepared. */
	CHECK(id == FUNCTION_PI || id == FUNCTION_TIME);
	for (size_t i = 0; i < grid->count; i++) {
		out[i] = id == FUNCTION_PI ? M_PI : (double)grid_time(grid, i) / 1000;
	}
	return 0;
}
