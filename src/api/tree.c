#include "api/tree.h"

#include "cxx/number.h"
#include "promql/function.h"

#include <math.h>

/* Levels that one node may add. */
#define NODE_DEPTH 4

static void put_bool(struct json_writer *json, const char *key, bool value) {
	json_key(json, str_of(key));
	json_put_bool(json, value);
}

static void put_int(struct json_writer *json, const char *key, int64_t value) {
	json_key(json, str_of(key));
	json_put_int(json, value);
}

static void put_str(struct json_writer *json, const char *key, struct str value) {
	json_key(json, str_of(key));
	json_put_str(json, value);
}

static void put_text(struct json_writer *json, const char *key, const char *value) {
	put_str(json, key, str_of(value));
}

/* A number is a text, since JSON has no NaN. */
static void put_number(struct json_writer *json, const char *key, double value) {
	char text[NUMBER_TEXT_MAX];

	put_str(json, key, (struct str){ text, number_format_f(value, text) });
}

static void put_names(
	struct json_writer *json, const char *key, const struct str *names, size_t count) {
	json_key(json, str_of(key));
	json_begin_array(json);
	for (size_t i = 0; i < count; i++) {
		json_put_str(json, names[i]);
	}
	json_end_array(json);
}

static const char *value_type_name(enum value_type type) {
	switch (type) {
	case VALUE_NONE:
		return "none";
	case VALUE_SCALAR:
		return "scalar";
	case VALUE_STRING:
		return "string";
	case VALUE_VECTOR:
		return "vector";
	case VALUE_MATRIX:
		return "matrix";
	}
	return "";
}

static int check_depth(const struct json_writer *json, struct err *err) {
	return json->depth + NODE_DEPTH < JSON_DEPTH_MAX
		       ? 0
		       : err_set(err, ERR_LIMIT,
				 "the expression nests deeper than the %d levels of JSON that are "
				 "written at most",
				 JSON_DEPTH_MAX);
}

/* Durations that are expressions. */

static const char *duration_op_name(enum duration_op op) {
	switch (op) {
	case DURATION_STEP:
		return "step";
	case DURATION_RANGE:
		return "range";
	case DURATION_PLUS:
	case DURATION_ADD:
		return "+";
	case DURATION_NEGATE:
	case DURATION_SUB:
		return "-";
	case DURATION_MUL:
		return "*";
	case DURATION_DIV:
		return "/";
	case DURATION_MOD:
		return "%";
	case DURATION_POW:
		return "^";
	case DURATION_MIN_OF:
		return "min_of";
	case DURATION_MAX_OF:
		return "max_of";
	case DURATION_NUMBER:
		break;
	}
	return "";
}

static int put_duration_expr(
	struct json_writer *json, const struct duration_expr *expr, struct err *err) {
	int rc = check_depth(json, err);

	if (rc < 0 || !expr) {
		json_put_null(json);
		return rc;
	}
	json_begin_object(json);
	if (expr->op == DURATION_NUMBER) {
		put_bool(json, "duration", expr->is_duration);
		put_text(json, "type", "numberLiteral");
		put_number(json, "val", expr->seconds);
	} else {
		json_key(json, STR("lhs"));
		rc = put_duration_expr(json, expr->left, err);
		put_text(json, "op", duration_op_name(expr->op));
		json_key(json, STR("rhs"));
		rc = put_duration_expr(json, rc < 0 ? NULL : expr->right, err) < 0 ? ERR_LIMIT : rc;
		put_text(json, "type", "durationExpr");
		put_bool(json, "wrapped", expr->is_wrapped);
	}
	json_end_object(json);
	return rc;
}

/* "range" and "rangeExpr", of which one has no value. */
static int put_duration(struct json_writer *json, const char *key, const char *expr_key,
	const struct duration *duration, struct err *err) {
	put_int(json, key, duration->expr ? 0 : duration->ms);
	json_key(json, str_of(expr_key));
	return put_duration_expr(json, duration->expr, err);
}

static void put_start_or_end(struct json_writer *json, const struct time_shift *shift) {
	json_key(json, STR("startOrEnd"));
	if (shift->at == AT_START || shift->at == AT_END) {
		json_put_text(json, shift->at == AT_START ? "start" : "end");
	} else {
		json_put_null(json);
	}
}

static void put_timestamp(struct json_writer *json, const struct time_shift *shift) {
	json_key(json, STR("timestamp"));
	if (shift->at == AT_TIME) {
		json_put_int(json, shift->at_ms);
	} else {
		json_put_null(json);
	}
}

/* Nodes. */

/* One below another, unless writing has failed already: then null. */
static int put_child(struct json_writer *json, const char *key, const struct expr *expr, int rc,
	struct err *err) {
	json_key(json, str_of(key));
	if (rc < 0 || !expr) {
		json_put_null(json);
		return rc;
	}
	return tree_render(json, expr, err);
}

static void put_matcher(struct json_writer *json, const struct matcher *matcher) {
	json_begin_object(json);
	put_str(json, "name", matcher->name);
	put_text(json, "type", matcher_op_text(matcher->op));
	put_str(json, "value", matcher->value);
	json_end_object(json);
}

static int put_selector(struct json_writer *json, const struct selector *selector,
	const struct duration *range, struct err *err) {
	int rc;

	put_bool(json, "anchored", selector->anchored);
	json_key(json, STR("matchers"));
	json_begin_array(json);
	for (size_t i = 0; i < selector->matcher_count; i++) {
		put_matcher(json, &selector->matchers[i]);
	}
	json_end_array(json);
	put_str(json, "name", selector->metric_name);
	rc = put_duration(json, "offset", "offsetExpr", &selector->shift.offset, err);
	if (rc == 0 && range) {
		rc = put_duration(json, "range", "rangeExpr", range, err);
	}
	put_bool(json, "smoothed", selector->smoothed);
	put_start_or_end(json, &selector->shift);
	put_timestamp(json, &selector->shift);
	put_text(json, "type", range ? "matrixSelector" : "vectorSelector");
	return rc;
}

static int put_subquery(struct json_writer *json, const struct expr *expr, struct err *err) {
	static const struct duration none = { 0 };
	const struct time_shift *shift = &expr->u.subquery.shift;
	int rc;

	rc = put_child(json, "expr", expr->u.subquery.expr, 0, err);
	if (rc == 0) {
		rc = put_duration(json, "offset", "offsetExpr", &shift->offset, err);
	}
	if (rc == 0) {
		rc = put_duration(json, "range", "rangeExpr", &expr->u.subquery.range, err);
	}
	put_start_or_end(json, shift);
	if (rc == 0) {
		rc = put_duration(json, "step", "stepExpr",
			expr->u.subquery.has_step ? &expr->u.subquery.step : &none, err);
	}
	put_timestamp(json, shift);
	put_text(json, "type", "subquery");
	return rc;
}

static int put_call(struct json_writer *json, const struct expr *expr, struct err *err) {
	const struct function *function = expr->u.call.function;
	int rc = 0;

	json_key(json, STR("args"));
	json_begin_array(json);
	for (size_t i = 0; i < expr->u.call.count && rc == 0; i++) {
		rc = tree_render(json, expr->u.call.args[i], err);
	}
	json_end_array(json);
	json_key(json, STR("func"));
	json_begin_object(json);
	json_key(json, STR("argTypes"));
	json_begin_array(json);
	for (size_t i = 0; i < function->arg_count; i++) {
		json_put_text(json, value_type_name(function->args[i]));
	}
	json_end_array(json);
	put_str(json, "name", function->name);
	put_text(json, "returnType", value_type_name(function->result));
	put_int(json, "variadic", function->variadic);
	json_end_object(json);
	put_text(json, "type", "call");
	return rc;
}

static int put_aggregate(struct json_writer *json, const struct expr *expr, struct err *err) {
	int rc;

	rc = put_child(json, "expr", expr->u.aggregate.expr, 0, err);
	put_names(json, "grouping", expr->u.aggregate.grouping, expr->u.aggregate.grouping_count);
	put_text(json, "op", aggregate_op_text(expr->u.aggregate.op));
	rc = put_child(json, "param", expr->u.aggregate.param, rc, err);
	put_text(json, "type", "aggregation");
	put_bool(json, "without", expr->u.aggregate.without);
	return rc;
}

static const char *card_name(enum match_card card) {
	switch (card) {
	case MATCH_ONE_TO_ONE:
		return "one-to-one";
	case MATCH_MANY_TO_ONE:
		return "many-to-one";
	case MATCH_ONE_TO_MANY:
		return "one-to-many";
	case MATCH_MANY_TO_MANY:
		return "many-to-many";
	}
	return "";
}

static void put_fill(struct json_writer *json, const char *key, bool is_there, double value) {
	json_key(json, str_of(key));
	json_put_double(json, is_there ? value : (double)NAN); /* NaN is written as null. */
}

static void put_matching(struct json_writer *json, const struct vector_matching *matching) {
	json_key(json, STR("matching"));
	if (!matching) {
		json_put_null(json);
		return;
	}
	json_begin_object(json);
	put_text(json, "card", card_name(matching->card));
	json_key(json, STR("fillValues"));
	json_begin_object(json);
	put_fill(json, "lhs", matching->has_fill_left, matching->fill_left);
	put_fill(json, "rhs", matching->has_fill_right, matching->fill_right);
	json_end_object(json);
	put_names(json, "include", matching->include, matching->include_count);
	put_names(json, "labels", matching->labels_written, matching->label_count);
	put_bool(json, "on", matching->is_on);
	json_end_object(json);
}

static int put_binary(struct json_writer *json, const struct expr *expr, struct err *err) {
	int rc;

	put_bool(json, "bool", expr->u.binary.is_bool);
	rc = put_child(json, "lhs", expr->u.binary.left, 0, err);
	put_matching(json, expr->u.binary.matching);
	put_text(json, "op", binary_op_text(expr->u.binary.op));
	rc = put_child(json, "rhs", expr->u.binary.right, rc, err);
	put_text(json, "type", "binaryExpr");
	return rc;
}

/* A node of one other and its type. */
static int put_wrapper(struct json_writer *json, const struct expr *inner, const char *op,
	const char *type, struct err *err) {
	int rc = put_child(json, "expr", inner, 0, err);

	if (op) {
		put_text(json, "op", op);
	}
	put_text(json, "type", type);
	return rc;
}

static int put_members(struct json_writer *json, const struct expr *expr, struct err *err) {
	switch (expr->kind) {
	case EXPR_NUMBER:
		put_text(json, "type", "numberLiteral");
		put_number(json, "val", expr->u.number.value);
		return 0;
	case EXPR_STRING:
		put_text(json, "type", "stringLiteral");
		put_str(json, "val", expr->u.string);
		return 0;
	case EXPR_SELECTOR:
		return put_selector(json, &expr->u.selector, NULL, err);
	case EXPR_RANGE:
		return put_selector(
			json, &expr->u.range.selector->u.selector, &expr->u.range.range, err);
	case EXPR_SUBQUERY:
		return put_subquery(json, expr, err);
	case EXPR_CALL:
		return put_call(json, expr, err);
	case EXPR_AGGREGATE:
		return put_aggregate(json, expr, err);
	case EXPR_BINARY:
		return put_binary(json, expr, err);
	case EXPR_UNARY:
		return put_wrapper(json, expr->u.unary.expr, expr->u.unary.negative ? "-" : "+",
			"unaryExpr", err);
	case EXPR_PAREN:
		return put_wrapper(json, expr->u.paren, NULL, "parenExpr", err);
	case EXPR_STEPS:
		break; /* Never from text. */
	}
	put_text(json, "type", "matrix");
	return 0;
}

int tree_render(struct json_writer *json, const struct expr *expr, struct err *err) {
	int rc = check_depth(json, err);

	if (rc < 0) {
		json_put_null(json);
		return rc;
	}
	json_begin_object(json);
	rc = put_members(json, expr, err);
	json_end_object(json);
	return rc;
}
