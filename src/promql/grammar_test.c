/* What the fuzzer can ask: all of the language, so that whoever adds to that adds to the grammar.
 */
#include "promql/fuzz_grammar.h"

#include "promql/function.h"
#include "promql/parse.h"
#include "promql/print.h"

#include "base/rand.h"
#include "base/test.h"

#define QUERIES 20000
#define BYTES 200

struct reached {
	bool kinds[EXPR_STEPS];
	bool functions[FUNCTION_COUNT];
	bool aggregates[AGGREGATE_LIMIT_RATIO + 1];
	bool operators[BINARY_TRIM_LOWER + 1];
	bool bools[BINARY_TRIM_LOWER + 1];
	bool cards[MATCH_MANY_TO_MANY + 1];
	bool ats[AT_END + 1];
	bool durations[DURATION_MAX_OF + 1];
	bool anchored, smoothed, offset, by, without, on, ignoring, include, fill_left, fill_right;
	bool repeats;
};

static void see_duration(struct reached *reached, const struct duration_expr *expr) {
	if (expr) {
		reached->durations[expr->op] = true;
		see_duration(reached, expr->left);
		see_duration(reached, expr->right);
	}
}

static void see_shift(struct reached *reached, const struct time_shift *shift) {
	reached->ats[shift->at] = true;
	reached->offset |= shift->offset.ms != 0 || shift->offset.expr;
	see_duration(reached, shift->offset.expr);
}

static bool prints_the_same(const struct expr *a, const struct expr *b) {
	AUTO(buf_deinit) struct buf text_a = { 0 };
	AUTO(buf_deinit) struct buf text_b = { 0 };

	expr_print(a, &text_a);
	expr_print(b, &text_b);
	return str_equal(buf_str(&text_a), buf_str(&text_b));
}

static void see_binary(struct reached *reached, const struct expr *expr) {
	const struct vector_matching *matching = expr->u.binary.matching;

	reached->operators[expr->u.binary.op] = true;
	reached->repeats |= expr->u.binary.left->kind == EXPR_AGGREGATE &&
			    prints_the_same(expr->u.binary.left, expr->u.binary.right);
	reached->bools[expr->u.binary.op] |= expr->u.binary.is_bool;
	if (matching) {
		reached->cards[matching->card] = true;
		reached->on |= matching->is_written && matching->is_on;
		reached->ignoring |= matching->is_written && !matching->is_on;
		reached->include |= matching->include_count > 0;
		reached->fill_left |= matching->has_fill_left;
		reached->fill_right |= matching->has_fill_right;
	}
}

static bool see(struct expr *expr, void *context) {
	struct reached *reached = context;

	reached->kinds[expr->kind] = true;
	switch (expr->kind) {
	case EXPR_CALL:
		reached->functions[expr->u.call.function->id] = true;
		break;
	case EXPR_AGGREGATE:
		reached->aggregates[expr->u.aggregate.op] = true;
		reached->by |= expr->u.aggregate.is_grouped && !expr->u.aggregate.without;
		reached->without |= expr->u.aggregate.without;
		break;
	case EXPR_BINARY:
		see_binary(reached, expr);
		break;
	case EXPR_SELECTOR:
		reached->anchored |= expr->u.selector.anchored;
		reached->smoothed |= expr->u.selector.smoothed;
		see_shift(reached, &expr->u.selector.shift);
		break;
	case EXPR_RANGE:
		see_duration(reached, expr->u.range.range.expr);
		break;
	case EXPR_SUBQUERY:
		see_duration(reached, expr->u.subquery.range.expr);
		see_duration(reached, expr->u.subquery.step.expr);
		see_shift(reached, &expr->u.subquery.shift);
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

static void see_query(struct reached *reached, struct rand *rand) {
	static const struct parse_options everything = { true, true, true };
	AUTO(expr_tree_deinit) struct expr_tree tree = { 0 };
	uint8_t bytes[BYTES];
	struct choices choices = { bytes, bytes + sizeof(bytes) };
	struct query query = { .choices = &choices };
	struct err err;

	for (size_t i = 0; i < sizeof(bytes); i++) {
		bytes[i] = (uint8_t)rand_below(rand, 256);
	}
	make_vector(&query, GRAMMAR_DEPTH);
	/* Some of what the grammar makes is refused, as well it should. */
	if (promql_parse(buf_str(&query.text), &everything, &tree, &err) == 0) {
		expr_walk(tree.root, see, reached);
	}
	buf_deinit(&query.text);
}

static void setup(struct reached *reached) {
	struct rand rand;

	rand_init(&rand, 5);
	for (size_t i = 0; i < QUERIES; i++) {
		see_query(reached, &rand);
	}
}

static void the_grammar_reaches_every_function_and_operator(void **state UNUSED) {
	struct reached reached = { 0 };

	setup(&reached);
	for (size_t i = 0; i < ARRAY_COUNT(reached.functions); i++) {
		if (!reached.functions[i]) {
			fail_msg("no query calls %s", function_get((enum function_id)i)->name.ptr);
		}
	}
	for (size_t i = 0; i < ARRAY_COUNT(reached.aggregates); i++) {
		if (!reached.aggregates[i]) {
			fail_msg("no query has %s", aggregate_op_text((enum aggregate_op)i));
		}
	}
	for (size_t i = 0; i < ARRAY_COUNT(reached.operators); i++) {
		enum binary_op op = (enum binary_op)i;

		if (!reached.operators[i]) {
			fail_msg("no query has %s", binary_op_text(op));
		}
		if (binary_op_is_comparison(op) && !reached.bools[i]) {
			fail_msg("no query has %s bool", binary_op_text(op));
		}
	}
}

static void the_grammar_reaches_every_modifier(void **state UNUSED) {
	struct reached reached = { 0 };

	setup(&reached);
	for (size_t i = 0; i < ARRAY_COUNT(reached.kinds); i++) {
		assert_true(reached.kinds[i]);
	}
	for (size_t i = 0; i < ARRAY_COUNT(reached.cards); i++) {
		assert_true(reached.cards[i]);
	}
	for (size_t i = 0; i < ARRAY_COUNT(reached.ats); i++) {
		assert_true(reached.ats[i]);
	}
	for (size_t i = 0; i < ARRAY_COUNT(reached.durations); i++) {
		if (!reached.durations[i]) {
			fail_msg("no duration of kind %zu", i);
		}
	}
	assert_true(reached.anchored && reached.smoothed && reached.offset);
	assert_true(reached.by && reached.without && reached.on && reached.ignoring);
	assert_true(reached.repeats);
	assert_true(reached.include && reached.fill_left && reached.fill_right);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_grammar_reaches_every_function_and_operator),
		cmocka_unit_test(the_grammar_reaches_every_modifier),
	};
	return TEST_RUN(tests);
}
