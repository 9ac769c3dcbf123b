#include "promql/function.h"

#include "base/check.h"

#include <assert.h>

#define FUNCTION(upper, text, result_type, variadic_count, experimental, count, ...)               \
	[FUNCTION_##upper] = { FUNCTION_##upper, { (text), sizeof(text) - 1 }, { __VA_ARGS__ },    \
		(count), (variadic_count), VALUE_##result_type, (experimental) }

static const struct function functions[] = {
	FUNCTION(ABS, "abs", VECTOR, 0, false, 1, VALUE_VECTOR),
	FUNCTION(ABSENT, "absent", VECTOR, 0, false, 1, VALUE_VECTOR),
	FUNCTION(ABSENT_OVER_TIME, "absent_over_time", VECTOR, 0, false, 1, VALUE_MATRIX),
	FUNCTION(ACOS, "acos", VECTOR, 0, false, 1, VALUE_VECTOR),
	FUNCTION(ACOSH, "acosh", VECTOR, 0, false, 1, VALUE_VECTOR),
	FUNCTION(ASIN, "asin", VECTOR, 0, false, 1, VALUE_VECTOR),
	FUNCTION(ASINH, "asinh", VECTOR, 0, false, 1, VALUE_VECTOR),
	FUNCTION(ATAN, "atan", VECTOR, 0, false, 1, VALUE_VECTOR),
	FUNCTION(ATANH, "atanh", VECTOR, 0, false, 1, VALUE_VECTOR),
	FUNCTION(AVG_OVER_TIME, "avg_over_time", VECTOR, 0, false, 1, VALUE_MATRIX),
	FUNCTION(CEIL, "ceil", VECTOR, 0, false, 1, VALUE_VECTOR),
	FUNCTION(CHANGES, "changes", VECTOR, 0, false, 1, VALUE_MATRIX),
	FUNCTION(CLAMP, "clamp", VECTOR, 0, false, 3, VALUE_VECTOR, VALUE_SCALAR, VALUE_SCALAR),
	FUNCTION(CLAMP_MAX, "clamp_max", VECTOR, 0, false, 2, VALUE_VECTOR, VALUE_SCALAR),
	FUNCTION(CLAMP_MIN, "clamp_min", VECTOR, 0, false, 2, VALUE_VECTOR, VALUE_SCALAR),
	FUNCTION(COS, "cos", VECTOR, 0, false, 1, VALUE_VECTOR),
	FUNCTION(COSH, "cosh", VECTOR, 0, false, 1, VALUE_VECTOR),
	FUNCTION(COUNT_OVER_TIME, "count_over_time", VECTOR, 0, false, 1, VALUE_MATRIX),
	FUNCTION(DAY_OF_MONTH, "day_of_month", VECTOR, 1, false, 1, VALUE_VECTOR),
	FUNCTION(DAY_OF_WEEK, "day_of_week", VECTOR, 1, false, 1, VALUE_VECTOR),
	FUNCTION(DAY_OF_YEAR, "day_of_year", VECTOR, 1, false, 1, VALUE_VECTOR),
	FUNCTION(DAYS_IN_MONTH, "days_in_month", VECTOR, 1, false, 1, VALUE_VECTOR),
	FUNCTION(DEG, "deg", VECTOR, 0, false, 1, VALUE_VECTOR),
	FUNCTION(DELTA, "delta", VECTOR, 0, false, 1, VALUE_MATRIX),
	FUNCTION(DERIV, "deriv", VECTOR, 0, false, 1, VALUE_MATRIX),
	FUNCTION(DOUBLE_EXPONENTIAL_SMOOTHING, "double_exponential_smoothing", VECTOR, 0, true, 3,
		VALUE_MATRIX, VALUE_SCALAR, VALUE_SCALAR),
	FUNCTION(END, "end", SCALAR, 0, true, 0, VALUE_NONE),
	FUNCTION(EXP, "exp", VECTOR, 0, false, 1, VALUE_VECTOR),
	FUNCTION(FIRST_OVER_TIME, "first_over_time", VECTOR, 0, false, 1, VALUE_MATRIX),
	FUNCTION(FLOOR, "floor", VECTOR, 0, false, 1, VALUE_VECTOR),
	FUNCTION(HISTOGRAM_AVG, "histogram_avg", VECTOR, 0, false, 1, VALUE_VECTOR),
	FUNCTION(HISTOGRAM_COUNT, "histogram_count", VECTOR, 0, false, 1, VALUE_VECTOR),
	FUNCTION(HISTOGRAM_FRACTION, "histogram_fraction", VECTOR, 0, false, 3, VALUE_SCALAR,
		VALUE_SCALAR, VALUE_VECTOR),
	FUNCTION(HISTOGRAM_QUANTILE, "histogram_quantile", VECTOR, 0, false, 2, VALUE_SCALAR,
		VALUE_VECTOR),
	FUNCTION(HISTOGRAM_QUANTILES, "histogram_quantiles", VECTOR, 9, true, 4, VALUE_VECTOR,
		VALUE_STRING, VALUE_SCALAR, VALUE_SCALAR),
	FUNCTION(HISTOGRAM_STDDEV, "histogram_stddev", VECTOR, 0, false, 1, VALUE_VECTOR),
	FUNCTION(HISTOGRAM_STDVAR, "histogram_stdvar", VECTOR, 0, false, 1, VALUE_VECTOR),
	FUNCTION(HISTOGRAM_SUM, "histogram_sum", VECTOR, 0, false, 1, VALUE_VECTOR),
	FUNCTION(HOUR, "hour", VECTOR, 1, false, 1, VALUE_VECTOR),
	FUNCTION(IDELTA, "idelta", VECTOR, 0, false, 1, VALUE_MATRIX),
	FUNCTION(INCREASE, "increase", VECTOR, 0, false, 1, VALUE_MATRIX),
	FUNCTION(INFO, "info", VECTOR, 1, true, 2, VALUE_VECTOR, VALUE_VECTOR),
	FUNCTION(IRATE, "irate", VECTOR, 0, false, 1, VALUE_MATRIX),
	FUNCTION(LABEL_JOIN, "label_join", VECTOR, -1, false, 4, VALUE_VECTOR, VALUE_STRING,
		VALUE_STRING, VALUE_STRING),
	FUNCTION(LABEL_REPLACE, "label_replace", VECTOR, 0, false, 5, VALUE_VECTOR, VALUE_STRING,
		VALUE_STRING, VALUE_STRING, VALUE_STRING),
	FUNCTION(LAST_OVER_TIME, "last_over_time", VECTOR, 0, false, 1, VALUE_MATRIX),
	FUNCTION(LN, "ln", VECTOR, 0, false, 1, VALUE_VECTOR),
	FUNCTION(LOG10, "log10", VECTOR, 0, false, 1, VALUE_VECTOR),
	FUNCTION(LOG2, "log2", VECTOR, 0, false, 1, VALUE_VECTOR),
	FUNCTION(MAD_OVER_TIME, "mad_over_time", VECTOR, 0, true, 1, VALUE_MATRIX),
	FUNCTION(MAX_OF, "max_of", SCALAR, 0, true, 2, VALUE_SCALAR, VALUE_SCALAR),
	FUNCTION(MAX_OVER_TIME, "max_over_time", VECTOR, 0, false, 1, VALUE_MATRIX),
	FUNCTION(MIN_OF, "min_of", SCALAR, 0, true, 2, VALUE_SCALAR, VALUE_SCALAR),
	FUNCTION(MIN_OVER_TIME, "min_over_time", VECTOR, 0, false, 1, VALUE_MATRIX),
	FUNCTION(MINUTE, "minute", VECTOR, 1, false, 1, VALUE_VECTOR),
	FUNCTION(MONTH, "month", VECTOR, 1, false, 1, VALUE_VECTOR),
	FUNCTION(PI, "pi", SCALAR, 0, false, 0, VALUE_NONE),
	FUNCTION(PREDICT_LINEAR, "predict_linear", VECTOR, 0, false, 2, VALUE_MATRIX, VALUE_SCALAR),
	FUNCTION(PRESENT_OVER_TIME, "present_over_time", VECTOR, 0, false, 1, VALUE_MATRIX),
	FUNCTION(QUANTILE_OVER_TIME, "quantile_over_time", VECTOR, 0, false, 2, VALUE_SCALAR,
		VALUE_MATRIX),
	FUNCTION(RAD, "rad", VECTOR, 0, false, 1, VALUE_VECTOR),
	FUNCTION(RANGE, "range", SCALAR, 0, true, 0, VALUE_NONE),
	FUNCTION(RATE, "rate", VECTOR, 0, false, 1, VALUE_MATRIX),
	FUNCTION(RESETS, "resets", VECTOR, 0, false, 1, VALUE_MATRIX),
	FUNCTION(ROUND, "round", VECTOR, 1, false, 2, VALUE_VECTOR, VALUE_SCALAR),
	FUNCTION(SCALAR, "scalar", SCALAR, 0, false, 1, VALUE_VECTOR),
	FUNCTION(SGN, "sgn", VECTOR, 0, false, 1, VALUE_VECTOR),
	FUNCTION(SIN, "sin", VECTOR, 0, false, 1, VALUE_VECTOR),
	FUNCTION(SINH, "sinh", VECTOR, 0, false, 1, VALUE_VECTOR),
	FUNCTION(SORT, "sort", VECTOR, 0, false, 1, VALUE_VECTOR),
	FUNCTION(SORT_BY_LABEL, "sort_by_label", VECTOR, -1, true, 2, VALUE_VECTOR, VALUE_STRING),
	FUNCTION(SORT_BY_LABEL_DESC, "sort_by_label_desc", VECTOR, -1, true, 2, VALUE_VECTOR,
		VALUE_STRING),
	FUNCTION(SORT_DESC, "sort_desc", VECTOR, 0, false, 1, VALUE_VECTOR),
	FUNCTION(SQRT, "sqrt", VECTOR, 0, false, 1, VALUE_VECTOR),
	FUNCTION(START, "start", SCALAR, 0, true, 0, VALUE_NONE),
	FUNCTION(START_TIMESTAMP, "start_timestamp", VECTOR, 0, true, 1, VALUE_VECTOR),
	FUNCTION(STDDEV_OVER_TIME, "stddev_over_time", VECTOR, 0, false, 1, VALUE_MATRIX),
	FUNCTION(STDVAR_OVER_TIME, "stdvar_over_time", VECTOR, 0, false, 1, VALUE_MATRIX),
	FUNCTION(STEP, "step", SCALAR, 0, true, 0, VALUE_NONE),
	FUNCTION(SUM_OVER_TIME, "sum_over_time", VECTOR, 0, false, 1, VALUE_MATRIX),
	FUNCTION(TAN, "tan", VECTOR, 0, false, 1, VALUE_VECTOR),
	FUNCTION(TANH, "tanh", VECTOR, 0, false, 1, VALUE_VECTOR),
	FUNCTION(TIME, "time", SCALAR, 0, false, 0, VALUE_NONE),
	FUNCTION(TIMESTAMP, "timestamp", VECTOR, 0, false, 1, VALUE_VECTOR),
	FUNCTION(TS_OF_FIRST_OVER_TIME, "ts_of_first_over_time", VECTOR, 0, true, 1, VALUE_MATRIX),
	FUNCTION(TS_OF_LAST_OVER_TIME, "ts_of_last_over_time", VECTOR, 0, true, 1, VALUE_MATRIX),
	FUNCTION(TS_OF_MAX_OVER_TIME, "ts_of_max_over_time", VECTOR, 0, true, 1, VALUE_MATRIX),
	FUNCTION(TS_OF_MIN_OVER_TIME, "ts_of_min_over_time", VECTOR, 0, true, 1, VALUE_MATRIX),
	FUNCTION(VECTOR, "vector", VECTOR, 0, false, 1, VALUE_SCALAR),
	FUNCTION(YEAR, "year", VECTOR, 1, false, 1, VALUE_VECTOR),
};

static_assert(ARRAY_COUNT(functions) == FUNCTION_COUNT, "a row for every function");

const struct function *function_find(struct str name) {
	size_t low = 0;
	size_t high = FUNCTION_COUNT;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int cmp = str_cmp(functions[middle].name, name);

		if (cmp == 0) {
			return &functions[middle];
		}
		if (cmp < 0) {
			low = middle + 1;
		} else {
			high = middle;
		}
	}
	return NULL;
}

const struct function *function_get(enum function_id id) {
	CHECK((size_t)id < FUNCTION_COUNT);
	return &functions[id];
}

enum value_type function_arg_type(const struct function *function, size_t index) {
	CHECK(function->arg_count > 0);
	return function->args[index < function->arg_count ? index : function->arg_count - 1U];
}
