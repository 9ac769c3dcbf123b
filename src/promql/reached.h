/*
 * Which parts of the language queries have, for tests that want all of them: whoever adds to it
 * adds to the fuzzer's grammar and to the scripts.
 */
#ifndef PROMQL_REACHED_H
#define PROMQL_REACHED_H

#include "promql/function.h"
#include "promql/print.h"

#include "base/test.h"

/* How an aggregate groups. */
enum reached_grouping {
	GROUPS_ALL,
	GROUPS_BY,
	GROUPS_WITHOUT,
	GROUPS_COUNT
};

/* What an operator stands between. */
enum reached_sides {
	SIDES_SCALARS,
	SIDES_SCALAR_VECTOR,
	SIDES_VECTOR_SCALAR,
	SIDES_VECTORS,
	SIDES_ON,
	SIDES_IGNORING,
	SIDES_COUNT
};

struct reached {
	bool kinds[EXPR_STEPS];
	bool functions[FUNCTION_COUNT];
	bool aggregates[AGGREGATE_LIMIT_RATIO + 1][GROUPS_COUNT];
	bool operators[BINARY_TRIM_LOWER + 1][SIDES_COUNT];
	bool bools[BINARY_TRIM_LOWER + 1];
	bool cards[MATCH_MANY_TO_MANY + 1];
	bool ats[AT_END + 1];
	bool durations[DURATION_MAX_OF + 1];
	bool anchored, smoothed, offset, include, fill_left, fill_right;
	bool repeats;
};

static inline void reached_see_duration(struct reached *reached, const struct duration_expr *expr) {
	if (expr) {
		reached->durations[expr->op] = true;
		reached_see_duration(reached, expr->left);
		reached_see_duration(reached, expr->right);
	}
}

static inline void reached_see_shift(struct reached *reached, const struct time_shift *shift) {
	reached->ats[shift->at] = true;
	reached->offset |= shift->offset.ms != 0 || shift->offset.expr;
	reached_see_duration(reached, shift->offset.expr);
}

static inline bool reached_prints_the_same(const struct expr *a, const struct expr *b) {
	AUTO(buf_deinit) struct buf text_a = { 0 };
	AUTO(buf_deinit) struct buf text_b = { 0 };

	expr_print(a, &text_a);
	expr_print(b, &text_b);
	return str_equal(buf_str(&text_a), buf_str(&text_b));
}

static inline enum reached_sides reached_sides(const struct expr *expr) {
	const struct vector_matching *matching = expr->u.binary.matching;

	if (matching && matching->is_written) {
		return matching->is_on ? SIDES_ON : SIDES_IGNORING;
	}
	if (matching) {
		return SIDES_VECTORS;
	}
	if (expr->u.binary.left->type == VALUE_VECTOR) {
		return SIDES_VECTOR_SCALAR;
	}
	return expr->u.binary.right->type == VALUE_VECTOR ? SIDES_SCALAR_VECTOR : SIDES_SCALARS;
}

static inline enum reached_grouping reached_grouping(const struct expr *expr) {
	if (!expr->u.aggregate.is_grouped) {
		return GROUPS_ALL;
	}
	return expr->u.aggregate.without ? GROUPS_WITHOUT : GROUPS_BY;
}

static inline void reached_see_binary(struct reached *reached, const struct expr *expr) {
	const struct vector_matching *matching = expr->u.binary.matching;

	reached->operators[expr->u.binary.op][reached_sides(expr)] = true;
	reached->repeats |= expr->u.binary.left->kind == EXPR_AGGREGATE &&
			    reached_prints_the_same(expr->u.binary.left, expr->u.binary.right);
	reached->bools[expr->u.binary.op] |= expr->u.binary.is_bool;
	if (matching) {
		reached->cards[matching->card] = true;
		reached->include |= matching->include_count > 0;
		reached->fill_left |= matching->has_fill_left;
		reached->fill_right |= matching->has_fill_right;
	}
}

static inline bool reached_see(struct expr *expr, void *context) {
	struct reached *reached = context;

	reached->kinds[expr->kind] = true;
	switch (expr->kind) {
	case EXPR_CALL:
		reached->functions[expr->u.call.function->id] = true;
		break;
	case EXPR_AGGREGATE:
		reached->aggregates[expr->u.aggregate.op][reached_grouping(expr)] = true;
		break;
	case EXPR_BINARY:
		reached_see_binary(reached, expr);
		break;
	case EXPR_SELECTOR:
		reached->anchored |= expr->u.selector.anchored;
		reached->smoothed |= expr->u.selector.smoothed;
		reached_see_shift(reached, &expr->u.selector.shift);
		break;
	case EXPR_RANGE:
		reached_see_duration(reached, expr->u.range.range.expr);
		break;
	case EXPR_SUBQUERY:
		reached_see_duration(reached, expr->u.subquery.range.expr);
		reached_see_duration(reached, expr->u.subquery.step.expr);
		reached_see_shift(reached, &expr->u.subquery.shift);
		break;
	case EXPR_NUMBER:
	case EXPR_STRING:
	case EXPR_UNARY:
	case EXPR_PAREN:
	case EXPR_STEPS:
		break;
	}
	return true;
}

/* Whether an operator can stand between these. */
static inline bool reached_can_stand(enum binary_op op, enum reached_sides sides) {
	if (binary_op_is_set(op)) {
		return sides >= SIDES_VECTORS;
	}
	return (op != BINARY_TRIM_LOWER && op != BINARY_TRIM_UPPER) || sides == SIDES_VECTOR_SCALAR;
}

/* Says which operators are missing, and how. Returns how many. */
static inline size_t reached_count_operators(const struct reached *reached) {
	static const char *const texts[] = { "scalars", "scalar and vector", "vector and scalar",
		"vectors", "vectors with on", "vectors with ignoring" };
	size_t missing = 0;

	for (size_t i = 0; i < ARRAY_COUNT(reached->operators); i++) {
		enum binary_op op = (enum binary_op)i;
		const char *text = binary_op_text(op);

		for (size_t k = 0; k < SIDES_COUNT; k++) {
			if (!reached->operators[i][k] &&
				reached_can_stand(op, (enum reached_sides)k)) {
				print_error("no query has %s between %s\n", text, texts[k]);
				missing++;
			}
		}
		if (binary_op_is_comparison(op) && !reached->bools[i]) {
			print_error("no query has %s bool\n", text);
			missing++;
		}
	}
	return missing;
}

/* Fails unless there was every function, every aggregator in each way of grouping, and every
 * operator between all that it can stand between. */
static inline void reached_check_names(const struct reached *reached) {
	static const char *const groupings[] = { "of all", "by", "without" };
	size_t missing = reached_count_operators(reached);

	for (size_t i = 0; i < ARRAY_COUNT(reached->functions); i++) {
		if (!reached->functions[i]) {
			print_error(
				"no query calls %s\n", function_get((enum function_id)i)->name.ptr);
			missing++;
		}
	}
	for (size_t i = 0; i < ARRAY_COUNT(reached->aggregates); i++) {
		for (size_t k = 0; k < GROUPS_COUNT; k++) {
			if (!reached->aggregates[i][k]) {
				print_error("no query has %s %s\n",
					aggregate_op_text((enum aggregate_op)i), groupings[k]);
				missing++;
			}
		}
	}
	assert_int_equal(missing, 0);
}

/* Fails unless there was every kind of node, of matching, of time and of duration. */
static inline void reached_check_modifiers(const struct reached *reached) {
	for (size_t i = 0; i < ARRAY_COUNT(reached->kinds); i++) {
		assert_true(reached->kinds[i]);
	}
	for (size_t i = 0; i < ARRAY_COUNT(reached->cards); i++) {
		assert_true(reached->cards[i]);
	}
	for (size_t i = 0; i < ARRAY_COUNT(reached->ats); i++) {
		assert_true(reached->ats[i]);
	}
	for (size_t i = 0; i < ARRAY_COUNT(reached->durations); i++) {
		if (!reached->durations[i]) {
			fail_msg("no duration of kind %zu", i);
		}
	}
	assert_true(reached->anchored && reached->smoothed && reached->offset);
	assert_true(reached->include && reached->fill_left && reached->fill_right);
}

#endif
