#include "promql/names.h"

#include "promql/function.h"

#include "base/check.h"

int name_drop_init(struct name_drop *drop, struct eval *ev, const struct expr *input,
	size_t step_count, bool is_strict) {
	*drop = (struct name_drop){ .ev = ev };
	if (ev->options->delayed_name_removal) {
		return 0;
	}
	drop->guards_all = !expr_has_one_name(input);
	drop->is_guarding = true;
	return guard_init(&drop->guard, ev, step_count, is_strict);
}

/* Whether something besides the name goes. */
static bool has_type_or_unit(const struct labels *set) {
	return labels_get(set, STR("__type__")).len > 0 || labels_get(set, STR("__unit__")).len > 0;
}

int name_drop_apply(struct name_drop *drop, struct column *column) {
	bool is_special = !drop->guards_all && drop->is_guarding && !drop->keeps_type &&
			  has_type_or_unit(&column->labels);

	if (drop->keeps_type && !drop->ev->options->delayed_name_removal) {
		column->labels =
			labels_with(&drop->ev->arena, &column->labels, LABEL_NAME, STR_EMPTY);
	} else {
		column_drop_name(drop->ev, column);
	}
	/*
	 * Series of one name differ in something that stays. Not so those that only differ in type
	 * or unit, but these are rare, and guarding them alone saves a hash of each label set.
	 */
	if (drop->ev->is_lane) {
		column->is_special = is_special;
		return 0;
	}
	return drop->guards_all || is_special ? guard_add(&drop->guard, column) : 0;
}

bool name_drop_repeats(const struct name_drop *drop) {
	return drop->is_guarding && drop->guards_all && !drop->guard.is_strict;
}

static bool selects_one_name(const struct selector *selector) {
	for (size_t i = 0; i < selector->matcher_count; i++) {
		const struct matcher *matcher = &selector->matchers[i];

		if (matcher->op == MATCHER_EQUAL && str_equal(matcher->name, LABEL_NAME)) {
			return true;
		}
	}
	return false;
}

static bool aggregate_has_one_name(const struct expr *expr) {
	switch (expr->u.aggregate.op) {
	case AGGREGATE_TOPK:
	case AGGREGATE_BOTTOMK:
	case AGGREGATE_LIMITK:
	case AGGREGATE_LIMIT_RATIO:
		return expr_has_one_name(expr->u.aggregate.expr);
	case AGGREGATE_COUNT_VALUES:
		return false; /* The values' label could be called __name__. */
	case AGGREGATE_SUM:
	case AGGREGATE_AVG:
	case AGGREGATE_COUNT:
	case AGGREGATE_MIN:
	case AGGREGATE_MAX:
	case AGGREGATE_GROUP:
	case AGGREGATE_STDDEV:
	case AGGREGATE_STDVAR:
	case AGGREGATE_QUANTILE:
		break;
	}
	for (size_t i = 0; i < expr->u.aggregate.grouping_count; i++) {
		if (str_starts(expr->u.aggregate.grouping[i], STR("__"))) {
			return expr->u.aggregate.without;
		}
	}
	return true;
}

enum name_effect {
	NAME_DROPPED,
	NAME_KEPT,
	NAME_SET, /* Or not known. */
};

static const enum name_effect name_effects[FUNCTION_COUNT] = {
	[FUNCTION_FIRST_OVER_TIME] = NAME_KEPT,
	[FUNCTION_LAST_OVER_TIME] = NAME_KEPT,
	[FUNCTION_SORT] = NAME_KEPT,
	[FUNCTION_SORT_DESC] = NAME_KEPT,
	[FUNCTION_SORT_BY_LABEL] = NAME_KEPT,
	[FUNCTION_SORT_BY_LABEL_DESC] = NAME_KEPT,
	[FUNCTION_INFO] = NAME_SET,
	[FUNCTION_LABEL_JOIN] = NAME_SET,
	[FUNCTION_LABEL_REPLACE] = NAME_SET,
	[FUNCTION_HISTOGRAM_QUANTILES] = NAME_SET,
};

static bool call_has_one_name(const struct expr *expr) {
	switch (name_effects[expr->u.call.function->id]) {
	case NAME_DROPPED:
		return true;
	case NAME_KEPT:
		return expr_has_one_name(expr->u.call.args[0]);
	case NAME_SET:
		return false;
	}
	CHECK(false);
	return false;
}

static bool binary_has_one_name(const struct expr *expr) {
	enum binary_op op = expr->u.binary.op;

	if (op == BINARY_OR) {
		return false;
	}
	if (!binary_op_is_comparison(op) && !binary_op_is_set(op)) {
		return op != BINARY_TRIM_UPPER && op != BINARY_TRIM_LOWER;
	}
	return expr_has_one_name(expr->u.binary.left) && expr_has_one_name(expr->u.binary.right);
}

bool expr_has_one_name(const struct expr *expr) {
	switch (expr->kind) {
	case EXPR_SELECTOR:
		return selects_one_name(&expr->u.selector);
	case EXPR_RANGE:
		return expr_has_one_name(expr->u.range.selector);
	case EXPR_SUBQUERY:
		return expr_has_one_name(expr->u.subquery.expr);
	case EXPR_PAREN:
		return expr_has_one_name(expr->u.paren);
	case EXPR_UNARY:
		return expr->u.unary.negative || expr_has_one_name(expr->u.unary.expr);
	case EXPR_AGGREGATE:
		return aggregate_has_one_name(expr);
	case EXPR_CALL:
		return call_has_one_name(expr);
	case EXPR_BINARY:
		return binary_has_one_name(expr);
	case EXPR_NUMBER:
	case EXPR_STRING:
		return true;
	case EXPR_STEPS:
		return false;
	}
	CHECK(false);
	return false;
}
