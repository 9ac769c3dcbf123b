/* Our own scripts, which need nobody else's, have all of the language. */
#include "promql/parse.h"
#include "promql/reached.h"
#include "promqltest/compare.h"
#include "promqltest/script.h"
#include "promqltest/testing.h"

#include <stdlib.h>

/* What is expected to fail tells nothing about what a function gives. */
static void see_query(struct reached *reached, const struct script_eval *eval) {
	AUTO(expr_tree_deinit) struct expr_tree tree = { 0 };
	struct err err = { 0 };

	if (!compare_expects(eval, EXPECT_FAIL)) {
		assert_ok(promql_parse(eval->query, &script_parse_options, &tree, &err), err);
		expr_walk(tree.root, reached_see, reached);
	}
}

static void see_script(struct reached *reached, const char *name) {
	AUTO(arena_deinit) struct arena arena = { 0 };
	AUTO(buf_deinit) struct buf path = { 0 };
	AUTO(buf_deinit) struct buf text = { 0 };
	struct script script;
	struct err err = { 0 };
	size_t line;

	buf_printf(&path, "%s/%s", OWN_SCRIPTS, name);
	script_read(buf_text(&path), &text);
	assert_ok(script_parse(&arena, buf_str(&text), &script, &line, &err), err);
	for (size_t i = 0; i < script.count; i++) {
		if (script.commands[i].kind == SCRIPT_EVAL) {
			see_query(reached, script.commands[i].u.eval);
		}
	}
}

static void see_all(struct reached *reached) {
	struct dirent **entries;
	int count = scandir(OWN_SCRIPTS, &entries, script_is, alphasort);

	assert_true(count > 0);
	for (int i = 0; i < count; i++) {
		see_script(reached, entries[i]->d_name);
		free(entries[i]);
	}
	free((void *)entries);
}

static void scripts_have_every_function_aggregator_and_operator(void **state UNUSED) {
	struct reached reached = { 0 };

	see_all(&reached);
	reached_check_names(&reached);
}

static void scripts_have_every_modifier(void **state UNUSED) {
	struct reached reached = { 0 };

	see_all(&reached);
	reached_check_modifiers(&reached);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(scripts_have_every_function_aggregator_and_operator),
		TEST(scripts_have_every_modifier),
	};
	return TEST_RUN(tests);
}
