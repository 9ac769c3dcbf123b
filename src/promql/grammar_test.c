/* What the fuzzer can ask: all of the language, so that whoever adds to that adds to the grammar.
 */
#include "promql/fuzz_grammar.h"

#include "promql/function.h"
#include "promql/parse.h"
#include "promql/reached.h"

#include "base/rand.h"
#include "base/test.h"

#define QUERIES 20000
#define BYTES 200

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
		expr_walk(tree.root, reached_see, reached);
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
	reached_check_names(&reached);
}

static void the_grammar_reaches_every_modifier(void **state UNUSED) {
	struct reached reached = { 0 };

	setup(&reached);
	reached_check_modifiers(&reached);
	assert_true(reached.repeats);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_grammar_reaches_every_function_and_operator),
		cmocka_unit_test(the_grammar_reaches_every_modifier),
	};
	return TEST_RUN(tests);
}
