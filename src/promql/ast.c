#include "promql/ast.h"

#include "base/check.h"

void expr_tree_deinit(struct expr_tree *tree) {
	arena_deinit(&tree->arena);
	regex_set_deinit(&tree->regexes);
	*tree = (struct expr_tree){ 0 };
}

struct expr *expr_new(struct expr_tree *tree, enum expr_kind kind, enum value_type type) {
	struct expr *expr = ARENA_NEW(&tree->arena, struct expr, 1);

	expr->kind = kind;
	expr->type = type;
	return expr;
}

size_t expr_children(struct expr *expr, struct expr **children[], size_t max) {
	struct expr **few[2] = { NULL, NULL };
	size_t count = 0;

	switch (expr->kind) {
	case EXPR_NUMBER:
	case EXPR_STRING:
	case EXPR_SELECTOR:
	case EXPR_STEPS:
		return 0;
	case EXPR_CALL:
		for (size_t i = 0; i < expr->u.call.count && i < max; i++) {
			children[i] = &expr->u.call.args[i];
		}
		return expr->u.call.count;
	case EXPR_RANGE:
		few[count++] = &expr->u.range.selector;
		break;
	case EXPR_SUBQUERY:
		few[count++] = &expr->u.subquery.expr;
		break;
	case EXPR_AGGREGATE:
		if (expr->u.aggregate.param) {
			few[count++] = &expr->u.aggregate.param;
		}
		few[count++] = &expr->u.aggregate.expr;
		break;
	case EXPR_BINARY:
		few[count++] = &expr->u.binary.left;
		few[count++] = &expr->u.binary.right;
		break;
	case EXPR_UNARY:
		few[count++] = &expr->u.unary.expr;
		break;
	case EXPR_PAREN:
		few[count++] = &expr->u.paren;
		break;
	}
	for (size_t i = 0; i < count && i < max; i++) {
		children[i] = few[i];
	}
	return count;
}

void expr_walk(struct expr *expr, expr_visit_fn *visit, void *context) {
	struct expr **few[2];
	size_t count;

	if (!visit(expr, context)) {
		return;
	}
	if (expr->kind == EXPR_CALL) {
		for (size_t i = 0; i < expr->u.call.count; i++) {
			expr_walk(expr->u.call.args[i], visit, context);
		}
		return;
	}
	count = expr_children(expr, few, ARRAY_COUNT(few));
	for (size_t i = 0; i < count; i++) {
		expr_walk(*few[i], visit, context);
	}
}

static struct str *copy_strings(struct arena *arena, const struct str *from, size_t count) {
	struct str *to;

	if (count == 0) {
		return NULL;
	}
	to = ARENA_NEW(arena, struct str, count);
	for (size_t i = 0; i < count; i++) {
		to[i] = arena_copy(arena, from[i]);
	}
	return to;
}

static const struct duration_expr *clone_duration_expr(
	struct arena *arena, const struct duration_expr *from) {
	struct duration_expr *to;

	if (!from) {
		return NULL;
	}
	to = ARENA_NEW(arena, struct duration_expr, 1);
	*to = *from;
	to->left = clone_duration_expr(arena, from->left);
	to->right = clone_duration_expr(arena, from->right);
	return to;
}

static void clone_shift(struct arena *arena, struct time_shift *shift) {
	shift->offset.expr = clone_duration_expr(arena, shift->offset.expr);
}

static void clone_selector(struct arena *arena, struct selector *selector) {
	const struct matcher *from = selector->matchers;

	selector->metric_name = arena_copy(arena, selector->metric_name);
	selector->matchers = ARENA_NEW(arena, struct matcher, selector->matcher_count);
	for (size_t i = 0; i < selector->matcher_count; i++) {
		selector->matchers[i] = from[i];
		selector->matchers[i].name = arena_copy(arena, from[i].name);
		selector->matchers[i].value = arena_copy(arena, from[i].value);
	}
	clone_shift(arena, &selector->shift);
}

static struct vector_matching *clone_matching(
	struct arena *arena, const struct vector_matching *from) {
	struct vector_matching *to;

	if (!from) {
		return NULL;
	}
	to = ARENA_NEW(arena, struct vector_matching, 1);
	*to = *from;
	to->labels = copy_strings(arena, from->labels, from->label_count);
	to->labels_written = copy_strings(arena, from->labels_written, from->label_count);
	to->include = copy_strings(arena, from->include, from->include_count);
	return to;
}

/* Copies what the node itself points to, its children excepted. */
static void clone_own(struct arena *arena, struct expr *to) {
	switch (to->kind) {
	case EXPR_STRING:
		to->u.string = arena_copy(arena, to->u.string);
		break;
	case EXPR_SELECTOR:
		clone_selector(arena, &to->u.selector);
		break;
	case EXPR_RANGE:
		to->u.range.range.expr = clone_duration_expr(arena, to->u.range.range.expr);
		break;
	case EXPR_SUBQUERY:
		to->u.subquery.range.expr = clone_duration_expr(arena, to->u.subquery.range.expr);
		to->u.subquery.step.expr = clone_duration_expr(arena, to->u.subquery.step.expr);
		clone_shift(arena, &to->u.subquery.shift);
		break;
	case EXPR_AGGREGATE:
		to->u.aggregate.grouping = copy_strings(
			arena, to->u.aggregate.grouping, to->u.aggregate.grouping_count);
		break;
	case EXPR_BINARY:
		to->u.binary.matching = clone_matching(arena, to->u.binary.matching);
		break;
	case EXPR_STEPS:
		to->u.steps.label = arena_copy(arena, to->u.steps.label);
		break;
	case EXPR_NUMBER:
	case EXPR_CALL:
	case EXPR_UNARY:
	case EXPR_PAREN:
		break;
	}
}

struct expr *expr_clone(struct expr_tree *tree, const struct expr *expr) {
	struct expr *to = expr_new(tree, expr->kind, expr->type);
	struct expr **few[2];
	size_t count;

	*to = *expr;
	clone_own(&tree->arena, to);
	if (to->kind == EXPR_CALL) {
		to->u.call.args = ARENA_NEW(&tree->arena, struct expr *, to->u.call.count);
		for (size_t i = 0; i < to->u.call.count; i++) {
			to->u.call.args[i] = expr_clone(tree, expr->u.call.args[i]);
		}
		return to;
	}
	count = expr_children(to, few, ARRAY_COUNT(few));
	for (size_t i = 0; i < count; i++) {
		*few[i] = expr_clone(tree, *few[i]);
	}
	return to;
}

struct expr *expr_unparen(struct expr *expr) {
	while (expr->kind == EXPR_PAREN) {
		expr = expr->u.paren;
	}
	return expr;
}

const char *binary_op_text(enum binary_op op) {
	static const char *const texts[] = {
		[BINARY_ADD] = "+",
		[BINARY_SUB] = "-",
		[BINARY_MUL] = "*",
		[BINARY_DIV] = "/",
		[BINARY_MOD] = "%",
		[BINARY_POW] = "^",
		[BINARY_ATAN2] = "atan2",
		[BINARY_EQL] = "==",
		[BINARY_NEQ] = "!=",
		[BINARY_LSS] = "<",
		[BINARY_GTR] = ">",
		[BINARY_LTE] = "<=",
		[BINARY_GTE] = ">=",
		[BINARY_AND] = "and",
		[BINARY_OR] = "or",
		[BINARY_UNLESS] = "unless",
		[BINARY_TRIM_UPPER] = "</",
		[BINARY_TRIM_LOWER] = ">/",
	};

	CHECK((size_t)op < ARRAY_COUNT(texts));
	return texts[op];
}

const char *aggregate_op_text(enum aggregate_op op) {
	static const char *const texts[] = {
		[AGGREGATE_SUM] = "sum",
		[AGGREGATE_AVG] = "avg",
		[AGGREGATE_COUNT] = "count",
		[AGGREGATE_MIN] = "min",
		[AGGREGATE_MAX] = "max",
		[AGGREGATE_GROUP] = "group",
		[AGGREGATE_STDDEV] = "stddev",
		[AGGREGATE_STDVAR] = "stdvar",
		[AGGREGATE_TOPK] = "topk",
		[AGGREGATE_BOTTOMK] = "bottomk",
		[AGGREGATE_COUNT_VALUES] = "count_values",
		[AGGREGATE_QUANTILE] = "quantile",
		[AGGREGATE_LIMITK] = "limitk",
		[AGGREGATE_LIMIT_RATIO] = "limit_ratio",
	};

	CHECK((size_t)op < ARRAY_COUNT(texts));
	return texts[op];
}

const char *value_type_text(enum value_type type) {
	switch (type) {
	case VALUE_NONE:
		return "none";
	case VALUE_SCALAR:
		return "scalar";
	case VALUE_STRING:
		return "string";
	case VALUE_VECTOR:
		return "instant vector";
	case VALUE_MATRIX:
		return "range vector";
	}
	CHECK(false);
	return "";
}

bool binary_op_is_comparison(enum binary_op op) {
	return op >= BINARY_EQL && op <= BINARY_GTE;
}

bool binary_op_is_set(enum binary_op op) {
	return op == BINARY_AND || op == BINARY_OR || op == BINARY_UNLESS;
}
