#include "promql/chain.h"

#include "promql/call.h"
#include "promql/names.h"

static bool reads_data(struct expr *expr);

/* Whether any child but 'except' reads data. */
static bool children_read(struct expr *expr, const struct expr *except) {
	struct expr **children[FUNCTION_ARGS_MAX];
	size_t count = expr_children(expr, children, FUNCTION_ARGS_MAX);

	for (size_t i = 0; i < count && i < FUNCTION_ARGS_MAX; i++) {
		if (*children[i] != except && reads_data(*children[i])) {
			return true;
		}
	}
	return count > FUNCTION_ARGS_MAX;
}

static bool reads_data(struct expr *expr) {
	return expr->kind == EXPR_SELECTOR || expr->kind == EXPR_STEPS || children_read(expr, NULL);
}

/* The argument that a call's series come from, if it is made for one series at a time. */
static struct expr *series_argument(struct expr *call) {
	if (call->u.call.count == 0 || !call_is_by_series(call)) {
		return NULL;
	}
	for (size_t i = 0; i < call->u.call.count; i++) {
		enum value_type type = call->u.call.args[i]->type;

		if (type == VALUE_VECTOR || type == VALUE_MATRIX) {
			return call->u.call.args[i];
		}
	}
	return NULL;
}

/* What 'expr' gets its series from; NULL if it is no chain. */
static struct expr *below(struct expr *expr) {
	switch (expr->kind) {
	case EXPR_RANGE:
		return expr->u.range.selector;
	case EXPR_CALL:
		return series_argument(expr);
	case EXPR_UNARY:
		return expr->u.unary.expr;
	case EXPR_BINARY:
		if (expr->u.binary.left->type == VALUE_SCALAR) {
			return expr->u.binary.right;
		}
		return expr->u.binary.right->type == VALUE_SCALAR ? expr->u.binary.left : NULL;
	case EXPR_PAREN:
		return expr->u.paren;
	case EXPR_NUMBER:
	case EXPR_STRING:
	case EXPR_SELECTOR:
	case EXPR_SUBQUERY:
	case EXPR_AGGREGATE:
	case EXPR_STEPS:
		break;
	}
	return NULL;
}

struct expr *chain_selector(struct expr *expr) {
	while (expr && expr->kind != EXPR_SELECTOR) {
		struct expr *input = below(expr);

		if (!input || children_read(expr, input)) {
			return NULL;
		}
		expr = input;
	}
	return expr;
}

bool chain_is_shared(struct expr *expr) {
	struct expr *input = below(expr_unparen(expr));

	while (input && input->shared == 0) {
		input = below(input);
	}
	return input != NULL;
}

bool chain_has_range(struct expr *expr) {
	while (expr && expr->kind != EXPR_RANGE) {
		expr = below(expr);
	}
	return expr != NULL;
}

bool chain_may_collide(struct expr *expr, const struct expr *selector) {
	return expr_unparen(expr) != selector && !expr_has_one_name(selector);
}
