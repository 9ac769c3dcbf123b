#include "promql/parser.h"

/*
 * Types and the rules that the grammar leaves open, in Prometheus' order: what is reported is the
 * first violation met on a walk from the root down, left to right.
 */

static int expect_type(
	struct parser *p, struct expr *expr, enum value_type wanted, const char *context) {
	int rc = check_expr(p, expr);

	if (rc < 0 || expr->type == wanted) {
		return rc;
	}
	return parser_fail(p, expr->text.start, "expected type %s in %s, got %s",
		value_type_text(wanted), context, value_type_text(expr->type));
}

static int check_aggregate(struct parser *p, struct expr *expr) {
	enum value_type param =
		expr->u.aggregate.op == AGGREGATE_COUNT_VALUES ? VALUE_STRING : VALUE_SCALAR;
	int rc = expect_type(p, expr->u.aggregate.expr, VALUE_VECTOR, "aggregation expression");

	if (rc < 0 || !expr->u.aggregate.param) {
		return rc;
	}
	return expect_type(p, expr->u.aggregate.param, param, "aggregation parameter");
}

/* Where the operator stands. */
static uint32_t operator_start(struct parser *p, const struct expr *expr) {
	struct str text = p->tree->text;
	uint32_t at = expr->u.binary.left->text.end;

	while (at < text.len && (text.ptr[at] == ' ' || text.ptr[at] == '\t' ||
					text.ptr[at] == '\n' || text.ptr[at] == '\r')) {
		at++;
	}
	return at;
}

static int check_operator(struct parser *p, struct expr *expr) {
	const struct vector_matching *matching = expr->u.binary.matching;
	bool is_comparison = binary_op_is_comparison(expr->u.binary.op);

	if (expr->u.binary.is_bool && !is_comparison) {
		return parser_fail(p, operator_start(p, expr),
			"bool modifier can only be used on comparison operators");
	}
	if (is_comparison && !expr->u.binary.is_bool && expr->type == VALUE_SCALAR) {
		return parser_fail(p, operator_start(p, expr),
			"comparisons between scalars must use BOOL modifier");
	}
	for (size_t i = 0; matching->is_on && i < matching->label_count; i++) {
		for (size_t j = 0; j < matching->include_count; j++) {
			if (str_equal(matching->labels_written[i], matching->include[j])) {
				return parser_fail(p, operator_start(p, expr),
					"label \"%.*s\" must not occur in ON and GROUP clause at "
					"once",
					STR_ARG(matching->include[j]));
			}
		}
	}
	return 0;
}

static int check_operand(struct parser *p, const struct expr *operand) {
	if (operand->type == VALUE_SCALAR || operand->type == VALUE_VECTOR) {
		return 0;
	}
	return parser_fail(p, operand->text.start,
		"binary expression must contain only scalar and instant vector types");
}

static int check_scalar_matching(struct parser *p, struct expr *expr) {
	const struct vector_matching *matching = expr->u.binary.matching;

	if (matching->label_count > 0) {
		return parser_fail(p, expr->text.start,
			"vector matching only allowed between instant vectors");
	}
	if (matching->has_fill_left || matching->has_fill_right) {
		return parser_fail(p, expr->text.start,
			"filling in missing series only allowed between instant vectors");
	}
	expr->u.binary.matching = NULL;
	if (binary_op_is_set(expr->u.binary.op)) {
		return parser_fail(p, expr->text.start,
			"set operator \"%s\" not allowed in binary scalar expression",
			binary_op_text(expr->u.binary.op));
	}
	return 0;
}

static int check_set_matching(struct parser *p, struct expr *expr) {
	struct vector_matching *matching = expr->u.binary.matching;

	if (matching->card != MATCH_ONE_TO_ONE) {
		return parser_fail(p, expr->text.start, "no grouping allowed for \"%s\" operation",
			binary_op_text(expr->u.binary.op));
	}
	matching->card = MATCH_MANY_TO_MANY;
	if (matching->has_fill_left || matching->has_fill_right) {
		return parser_fail(p, expr->text.start,
			"filling in missing series not allowed for set operators");
	}
	return 0;
}

static int check_binary(struct parser *p, struct expr *expr) {
	struct expr *left = expr->u.binary.left;
	struct expr *right = expr->u.binary.right;
	int rc = check_expr(p, left);

	rc = rc < 0 ? rc : check_expr(p, right);
	rc = rc < 0 ? rc : check_operator(p, expr);
	rc = rc < 0 ? rc : check_operand(p, left);
	rc = rc < 0 ? rc : check_operand(p, right);
	if (rc < 0) {
		return rc;
	}
	if (left->type != VALUE_VECTOR || right->type != VALUE_VECTOR) {
		return check_scalar_matching(p, expr);
	}
	return binary_op_is_set(expr->u.binary.op) ? check_set_matching(p, expr) : 0;
}

static int check_argument_count(struct parser *p, const struct expr *expr) {
	const struct function *function = expr->u.call.function;
	size_t count = expr->u.call.count;
	size_t least = function->arg_count;

	if (function->variadic == 0) {
		return count == least ? 0
				      : parser_fail(p, expr->text.start,
						"expected %zu argument(s) in call to \"%.*s\", got "
						"%zu",
						least, STR_ARG(function->name), count);
	}
	least--;
	if (count < least) {
		return parser_fail(p, expr->text.start,
			"expected at least %zu argument(s) in call to \"%.*s\", got %zu", least,
			STR_ARG(function->name), count);
	}
	if (function->variadic > 0 && count > least + (size_t)function->variadic) {
		return parser_fail(p, expr->text.start,
			"expected at most %zu argument(s) in call to \"%.*s\", got %zu",
			least + (size_t)function->variadic, STR_ARG(function->name), count);
	}
	return 0;
}

/* The second argument of info() is matchers, not a selector of series. */
static int check_info(struct parser *p, const struct expr *call) {
	const struct expr *arg = call->u.call.args[1];

	if (arg->type != VALUE_VECTOR) {
		return parser_fail(p, call->text.start,
			"expected type instant vector in call to function \"info\", got %s",
			value_type_text(arg->type));
	}
	if (arg->kind != EXPR_SELECTOR) {
		return parser_fail(p, arg->text.start, "expected label selectors only");
	}
	if (arg->u.selector.metric_name.len > 0) {
		return parser_fail(p, arg->text.start,
			"expected label selectors only, got vector selector instead");
	}
	return 0;
}

static int check_call(struct parser *p, struct expr *expr) {
	const struct function *function = expr->u.call.function;
	bool is_info = function->id == FUNCTION_INFO;
	int rc = check_argument_count(p, expr);

	if (rc == 0 && is_info && expr->u.call.count > 1) {
		rc = check_info(p, expr);
	}
	for (size_t i = 0; rc == 0 && i < expr->u.call.count; i++) {
		struct expr *arg = expr->u.call.args[i];
		enum value_type wanted = function_arg_type(function, i);

		if (is_info && i == 1) {
			continue;
		}
		rc = check_expr(p, arg);
		if (rc == 0 && arg->type != wanted) {
			rc = parser_fail(p, arg->text.start,
				"expected type %s in call to function \"%.*s\", got %s",
				value_type_text(wanted), STR_ARG(function->name),
				value_type_text(arg->type));
		}
	}
	return rc;
}

static int check_unary(struct parser *p, struct expr *expr) {
	struct expr *operand = expr->u.unary.expr;
	int rc = check_expr(p, operand);

	if (rc < 0 || operand->type == VALUE_SCALAR || operand->type == VALUE_VECTOR) {
		return rc;
	}
	return parser_fail(p, expr->text.start,
		"unary expression only allowed on expressions of type scalar or instant vector, "
		"got \"%s\"",
		value_type_text(operand->type));
}

static int check_subquery(struct parser *p, struct expr *expr) {
	static const char *const names[] = {
		[VALUE_NONE] = "none",
		[VALUE_SCALAR] = "scalar",
		[VALUE_STRING] = "string",
		[VALUE_VECTOR] = "vector",
		[VALUE_MATRIX] = "matrix",
	};
	struct expr *inner = expr->u.subquery.expr;
	int rc = check_expr(p, inner);

	if (rc < 0 || inner->type == VALUE_VECTOR) {
		return rc;
	}
	return parser_fail(p, expr->text.start,
		"subquery is only allowed on instant vector, got %s instead", names[inner->type]);
}

static int check_selector(struct parser *p, const struct expr *expr) {
	const struct selector *selector = &expr->u.selector;

	if (selector->metric_name.len > 0) {
		for (size_t i = 0; i + 1 < selector->matcher_count; i++) {
			const struct matcher *matcher = &selector->matchers[i];

			if (str_equal(matcher->name, LABEL_NAME)) {
				return parser_fail(p, expr->text.start,
					"metric name must not be set twice: \"%.*s\" or \"%.*s\"",
					STR_ARG(selector->metric_name), STR_ARG(matcher->value));
			}
		}
		return 0;
	}
	for (size_t i = 0; i < selector->matcher_count; i++) {
		if (!matcher_matches_empty(&selector->matchers[i])) {
			return 0;
		}
	}
	return parser_fail(
		p, expr->text.start, "vector selector must contain at least one non-empty matcher");
}

int check_expr(struct parser *p, struct expr *expr) {
	switch (expr->kind) {
	case EXPR_AGGREGATE:
		return check_aggregate(p, expr);
	case EXPR_BINARY:
		return check_binary(p, expr);
	case EXPR_CALL:
		return check_call(p, expr);
	case EXPR_PAREN:
		return check_expr(p, expr->u.paren);
	case EXPR_UNARY:
		return check_unary(p, expr);
	case EXPR_SUBQUERY:
		return check_subquery(p, expr);
	case EXPR_RANGE:
		return check_expr(p, expr->u.range.selector);
	case EXPR_SELECTOR:
		return check_selector(p, expr);
	case EXPR_NUMBER:
	case EXPR_STRING:
	case EXPR_STEPS:
		return 0;
	}
	return 0;
}
