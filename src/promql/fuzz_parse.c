/* What parses prints as text that parses to the same print, and copies print the same. */
#include "base/check.h"
#include "promql/parse.h"
#include "promql/print.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

/* Laid out in lines, it still means the same. */
static void check_formatted(
	struct expr *root, struct str printed, const struct parse_options *options) {
	struct expr_tree tree = { 0 };
	struct buf formatted = { 0 };
	struct buf again = { 0 };

	if (expr_format(root, &formatted, NULL) == 0 && formatted.len < PARSE_LEN_MAX) {
		CHECK(promql_parse(buf_str(&formatted), options, &tree, NULL) == 0);
		expr_print(tree.root, &again);
		CHECK(str_equal(printed, buf_str(&again)));
	}
	buf_deinit(&again);
	buf_deinit(&formatted);
	expr_tree_deinit(&tree);
}

static void check_again(struct str printed, const struct parse_options *options) {
	struct expr_tree tree = { 0 };
	struct buf again = { 0 };

	CHECK(promql_parse(printed, options, &tree, NULL) == 0);
	expr_print(tree.root, &again);
	CHECK(str_equal(printed, buf_str(&again)));
	buf_deinit(&again);
	expr_tree_deinit(&tree);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len) {
	static const struct parse_options everything = { true, true, true };
	struct expr_tree tree = { 0 };
	struct str text = { (const char *)bytes, len };
	struct selector *selector = NULL;

	if (promql_parse(text, &everything, &tree, NULL) == 0) {
		struct buf printed = { 0 };

		expr_print(expr_clone(&tree, tree.root), &printed);
		if (printed.len < PARSE_LEN_MAX) {
			check_formatted(tree.root, buf_str(&printed), &everything);
		}
		(void)expr_resolve_durations(tree.root, 0, 3600000, 15000, NULL);
		/* Longer than what may be parsed: a large number prints all its digits. */
		if (printed.len < PARSE_LEN_MAX) {
			check_again(buf_str(&printed), &everything);
		}
		buf_deinit(&printed);
	}
	expr_tree_deinit(&tree);
	(void)promql_parse_selector(text, &tree, &selector, NULL);
	expr_tree_deinit(&tree);
	return 0;
}
