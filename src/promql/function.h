/*
 * The functions of PromQL: what each is called, takes and gives.
 *
 * The table is all of Prometheus 3.14; whether a function can be evaluated is the engine's business
 * (it answers ERR_ABSENT for one that is not built).
 */
#ifndef PROMQL_FUNCTION_H
#define PROMQL_FUNCTION_H

#include "promql/ast.h"

/* In the order of their names. */
enum function_id {
	FUNCTION_ABS,
	FUNCTION_ABSENT,
	FUNCTION_ABSENT_OVER_TIME,
	FUNCTION_ACOS,
	FUNCTION_ACOSH,
	FUNCTION_ASIN,
	FUNCTION_ASINH,
	FUNCTION_ATAN,
	FUNCTION_ATANH,
	FUNCTION_AVG_OVER_TIME,
	FUNCTION_CEIL,
	FUNCTION_CHANGES,
	FUNCTION_CLAMP,
	FUNCTION_CLAMP_MAX,
	FUNCTION_CLAMP_MIN,
	FUNCTION_COS,
	FUNCTION_COSH,
	FUNCTION_COUNT_OVER_TIME,
	FUNCTION_DAY_OF_MONTH,
	FUNCTION_DAY_OF_WEEK,
	FUNCTION_DAY_OF_YEAR,
	FUNCTION_DAYS_IN_MONTH,
	FUNCTION_DEG,
	FUNCTION_DELTA,
	FUNCTION_DERIV,
	FUNCTION_DOUBLE_EXPONENTIAL_SMOOTHING,
	FUNCTION_END,
	FUNCTION_EXP,
	FUNCTION_FIRST_OVER_TIME,
	FUNCTION_FLOOR,
	FUNCTION_HISTOGRAM_AVG,
	FUNCTION_HISTOGRAM_COUNT,
	FUNCTION_HISTOGRAM_FRACTION,
	FUNCTION_HISTOGRAM_QUANTILE,
	FUNCTION_HISTOGRAM_QUANTILES,
	FUNCTION_HISTOGRAM_STDDEV,
	FUNCTION_HISTOGRAM_STDVAR,
	FUNCTION_HISTOGRAM_SUM,
	FUNCTION_HOUR,
	FUNCTION_IDELTA,
	FUNCTION_INCREASE,
	FUNCTION_INFO,
	FUNCTION_IRATE,
	FUNCTION_LABEL_JOIN,
	FUNCTION_LABEL_REPLACE,
	FUNCTION_LAST_OVER_TIME,
	FUNCTION_LN,
	FUNCTION_LOG10,
	FUNCTION_LOG2,
	FUNCTION_MAD_OVER_TIME,
	FUNCTION_MAX_OF,
	FUNCTION_MAX_OVER_TIME,
	FUNCTION_MIN_OF,
	FUNCTION_MIN_OVER_TIME,
	FUNCTION_MINUTE,
	FUNCTION_MONTH,
	FUNCTION_PI,
	FUNCTION_PREDICT_LINEAR,
	FUNCTION_PRESENT_OVER_TIME,
	FUNCTION_QUANTILE_OVER_TIME,
	FUNCTION_RAD,
	FUNCTION_RANGE,
	FUNCTION_RATE,
	FUNCTION_RESETS,
	FUNCTION_ROUND,
	FUNCTION_SCALAR,
	FUNCTION_SGN,
	FUNCTION_SIN,
	FUNCTION_SINH,
	FUNCTION_SORT,
	FUNCTION_SORT_BY_LABEL,
	FUNCTION_SORT_BY_LABEL_DESC,
	FUNCTION_SORT_DESC,
	FUNCTION_SQRT,
	FUNCTION_START,
	FUNCTION_START_TIMESTAMP,
	FUNCTION_STDDEV_OVER_TIME,
	FUNCTION_STDVAR_OVER_TIME,
	FUNCTION_STEP,
	FUNCTION_SUM_OVER_TIME,
	FUNCTION_TAN,
	FUNCTION_TANH,
	FUNCTION_TIME,
	FUNCTION_TIMESTAMP,
	FUNCTION_TS_OF_FIRST_OVER_TIME,
	FUNCTION_TS_OF_LAST_OVER_TIME,
	FUNCTION_TS_OF_MAX_OVER_TIME,
	FUNCTION_TS_OF_MIN_OVER_TIME,
	FUNCTION_VECTOR,
	FUNCTION_YEAR,
};

/* How many functions there are. */
#define FUNCTION_COUNT ((size_t)FUNCTION_YEAR + 1)

/* Most argument types that one function lists. */
#define FUNCTION_ARGS_MAX 5

struct function {
	enum function_id id;
	struct str name;
	/* The types of the arguments. A variadic function may lack the last, or repeat it. */
	enum value_type args[FUNCTION_ARGS_MAX];
	uint8_t arg_count;
	/* 0: exactly 'arg_count' arguments. n > 0: arg_count - 1 up to arg_count - 1 + n of them.
	 * -1: arg_count - 1 or more. */
	int8_t variadic;
	enum value_type result;
	bool is_experimental;
};

/* The function of that name (case counts), or NULL. */
const struct function *function_find(struct str name);
/* The function's row. */
const struct function *function_get(enum function_id id);
/* The type of the argument at 'index', the last one repeating. */
enum value_type function_arg_type(const struct function *function, size_t index);

#endif
