#include "promql/parse.h"

#include "base/memory.h"
#include "base/test.h"
#include "promql/function.h"
#include "promql/print.h"

#include <math.h>

static const struct parse_options everything = { true, true, true };

/* Parses with every feature on; on failure 'printed' gets the error. */
static int parse_and_print(
	struct str text, const struct parse_options *options, struct buf *printed) {
	struct expr_tree tree = { 0 };
	struct err err = { 0 };
	int rc = promql_parse(text, options, &tree, &err);

	if (rc < 0) {
		buf_add_text(printed, err.text);
	} else {
		expr_print(tree.root, printed);
	}
	expr_tree_deinit(&tree);
	return rc;
}

struct print_case {
	const char *text;
	const char *printed; /* NULL: as it is. */
};

static void check_prints(const struct print_case *cases, size_t count) {
	for (size_t i = 0; i < count; i++) {
		const char *wanted = cases[i].printed ? cases[i].printed : cases[i].text;
		struct buf once = { 0 };
		struct buf twice = { 0 };
		int rc = parse_and_print(str_of(cases[i].text), &everything, &once);

		if (rc < 0 || strcmp(buf_text(&once), wanted) != 0) {
			fail_msg("%s: got %s, not %s", cases[i].text, buf_text(&once), wanted);
		}
		rc = parse_and_print(buf_str(&once), &everything, &twice);
		if (rc < 0 || !str_equal(buf_str(&once), buf_str(&twice))) {
			fail_msg("%s: prints as %s, which prints as %s", cases[i].text,
				buf_text(&once), buf_text(&twice));
		}
		buf_deinit(&once);
		buf_deinit(&twice);
	}
}

static void prints_literals(void **state) {
	static const struct print_case cases[] = {
		{ "7", NULL },
		{ "+7", "7" },
		{ "- -7", "7" },
		{ ".25", "0.25" },
		{ "3.", "3" },
		{ "2e3", "2000" },
		{ "1_000_000", "1000000" },
		{ "0x2A", "42" },
		{ "0x_ff", "255" },
		{ "017", "15" },
		{ "08", "8" },
		{ "inF", "+Inf" },
		{ "-iNf", "-Inf" },
		{ "nan", "NaN" },
		{ "90s", "1m30s" },
		{ "1h30m", NULL },
		{ "-5m", NULL },
		{ "1y2w", "379d" },
		{ "\"tab\\there\"", NULL },
		{ "'single \"quotes\"'", "\"single \\\"quotes\\\"\"" },
		{ "`raw \\n`", "\"raw \\\\n\"" },
		{ "\"\\u00e9\\x41\\101\"", "\"éAA\"" },
		{ "\"\\xff\"", NULL },
	};

	(void)state;
	check_prints(cases, ARRAY_COUNT(cases));
}

static void prints_selectors(void **state) {
	static const struct print_case cases[] = {
		{ "node_load1", NULL },
		{ "job:load:sum5m", NULL },
		{ "up{}", "up" },
		{ "up{job=\"node\",}", "up{job=\"node\"}" },
		{ "up{job!=\"a\",env=~'b|c',az!~`d`}", "up{az!~\"d\",env=~\"b|c\",job!=\"a\"}" },
		{ "{job=\"node\"}", NULL },
		{ "{__name__=\"up\"}", NULL },
		{ "{\"up\"}", "{__name__=\"up\"}" },
		{ "{\"my.metric\", \"lab.el\"=\"x\"}",
			"{\"lab.el\"=\"x\",__name__=\"my.metric\"}" },
		{ "up{by=\"x\",on=\"y\",inf=\"z\"}", "up{by=\"x\",inf=\"z\",on=\"y\"}" },
		{ "up offset 5m", NULL },
		{ "up offset -90", "up offset -1m30s" },
		{ "up @ 12.5", "up @ 12.500" },
		{ "up @ -3", "up @ -3.000" },
		{ "up offset 1m @ start()", "up @ start() offset 1m" },
		{ "up @ END ( )", "up @ end()" },
		{ "up[5m]", NULL },
		{ "up[300]", "up[5m]" },
		{ "up[0.5]", "up[500ms]" },
		{ "up{a=\"b\"}[1h] offset 1d @ 7", "up{a=\"b\"}[1h] @ 7.000 offset 1d" },
		{ "up anchored", NULL },
		{ "up[5m] smoothed offset 1m", NULL },
		{ "rate(up[5m])[1h:30s] @ end() offset 1m", NULL },
		{ "up[1h:]", NULL },
		{ "(a + b)[1h:5m]", NULL },
		{ "sum(up)[10m:]", NULL },
	};

	(void)state;
	check_prints(cases, ARRAY_COUNT(cases));
}

static void prints_duration_expressions(void **state) {
	static const struct print_case cases[] = {
		{ "a[5m + 30s]", NULL },
		{ "a[2*(1m-5s)]", "a[2 * (1m - 5s)]" },
		{ "a[step()]", NULL },
		{ "a[STEP()*2]", "a[step() * 2]" },
		{ "a[step() + 1m:range() / 10]", NULL },
		{ "a[min_of(1h, range()):max_of(15s, step())]", NULL },
		{ "a offset -(1m + step())", NULL },
		{ "a offset (5m) * 2", NULL },
		{ "a offset -2 ^ 2", "a offset -2s ^ 2" },
		{ "a offset 5m * 2", NULL },
		{ "a offset step() + 3", NULL },
		{ "a offset --5m", "a offset 5m" },
		{ "a offset +(3) + b", NULL },
		{ "a offset +-5 * 2", "a offset (-5) * 2" },
		{ "a offset --(5m + 1) * 2", "a offset (--(5m + 1)) * 2" },
		{ "a[-(-5m)]", NULL },
		{ "a[2 ^ 3 ^ 2]", NULL },
	};

	(void)state;
	check_prints(cases, ARRAY_COUNT(cases));
}

static void prints_operators(void **state) {
	static const struct print_case cases[] = {
		{ "a+b", "a + b" },
		{ "a AND b", "a and b" },
		{ "a > bool 1", NULL },
		{ "a</b", "a </ b" },
		{ "a>/b", "a >/ b" },
		{ "a atan2 b", NULL },
		{ "-a ^ 2", NULL },
		{ "(-a) ^ 2", NULL },
		{ "a == on(x) b", "a == on (x) b" },
		{ "a == on() b", "a == on () b" },
		{ "a == ignoring() b", "a == b" },
		{ "a * on(x,) group_left b", "a * on (x) group_left () b" },
		{ "a * ignoring(x) group_right(y,\"z.z\") b",
			"a * ignoring (x) group_right (y, \"z.z\") b" },
		{ "a + fill(0) b", "a + fill (0) b" },
		{ "a + on(x) fill_right(-1) fill_left(2) b",
			"a + on (x) fill_left (2) fill_right (-1) b" },
		{ "a + fill_left(1e6) b", "a + fill_left (1e+06) b" },
		{ "fill + fill_left", NULL },
		{ "sum by() (a)", "sum(a)" },
		{ "sum without() (a)", "sum without () (a)" },
		{ "sum(a) by (x, \"y.y\", on)", "sum by (x, \"y.y\", on) (a)" },
		{ "TopK(3, a)", "topk(3, a)" },
		{ "count_values(\"v\", a)", NULL },
		{ "quantile(0.5, a)", NULL },
		{ "limitk(2, a)", NULL },
		{ "sum + min(by) + start", NULL },
		{ "label_replace(a, \"b\", \"$1\", \"c\", \"(.*)\")", NULL },
		{ "time()", NULL },
		{ "step() + range() + max_of(1, 2)", NULL },
		{ "info(a, {b=\"\"})", NULL },
		{ "a # comment\n+ # another\nb", "a + b" },
	};

	(void)state;
	check_prints(cases, ARRAY_COUNT(cases));
}

static void operators_bind_as_documented(void **state) {
	static const struct {
		const char *text;
		enum binary_op root;
	} cases[] = {
		{ "a or b and c", BINARY_OR },
		{ "a and b or c", BINARY_OR },
		{ "a and b == c", BINARY_AND },
		{ "a == b + c", BINARY_EQL },
		{ "a + b * c", BINARY_ADD },
		{ "a * b ^ c", BINARY_MUL },
		{ "a ^ b * c", BINARY_MUL },
		{ "a - b - c", BINARY_SUB },
		{ "-a * b", BINARY_MUL },
		{ "a atan2 b + c", BINARY_ADD },
		{ "a >/ b + c", BINARY_TRIM_LOWER },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		struct expr_tree tree = { 0 };
		struct err err = { 0 };

		assert_ok(promql_parse(str_of(cases[i].text), NULL, &tree, &err), err);
		assert_int_equal(tree.root->kind, EXPR_BINARY);
		assert_int_equal(tree.root->u.binary.op, cases[i].root);
		expr_tree_deinit(&tree);
	}
}

static void power_groups_right_and_others_left(void **state) {
	struct expr_tree tree = { 0 };
	struct err err = { 0 };

	(void)state;
	assert_ok(promql_parse(STR("a ^ b ^ c"), NULL, &tree, &err), err);
	assert_int_equal(tree.root->u.binary.right->kind, EXPR_BINARY);
	expr_tree_deinit(&tree);
	assert_ok(promql_parse(STR("a - b - c"), NULL, &tree, &err), err);
	assert_int_equal(tree.root->u.binary.left->kind, EXPR_BINARY);
	expr_tree_deinit(&tree);
	assert_ok(promql_parse(STR("-a ^ b"), NULL, &tree, &err), err);
	assert_int_equal(tree.root->kind, EXPR_UNARY);
	expr_tree_deinit(&tree);
}

struct error_case {
	const char *text;
	const char *error;
};

static void check_errors(
	const struct error_case *cases, size_t count, const struct parse_options *options) {
	for (size_t i = 0; i < count; i++) {
		struct buf got = { 0 };
		int rc = parse_and_print(str_of(cases[i].text), options, &got);

		if (rc != ERR_INVAL || strcmp(buf_text(&got), cases[i].error) != 0) {
			fail_msg("%s: got \"%s\", not \"%s\"", cases[i].text, buf_text(&got),
				cases[i].error);
		}
		buf_deinit(&got);
	}
}

static void refuses_bad_syntax_where_it_stands(void **state) {
	static const struct error_case cases[] = {
		{ "", "unknown position: parse error: no expression found in input" },
		{ " # nothing", "1:1: parse error: no expression found in input" },
		{ "up +", "1:5: parse error: unexpected end of input" },
		{ "up up", "1:4: parse error: unexpected identifier \"up\"" },
		{ "up\n  a:b", "2:3: parse error: unexpected metric identifier \"a:b\"" },
		{ "up 5m", "1:4: parse error: unexpected duration \"5m\"" },
		{ "up \"a very long string\"",
			"1:4: parse error: unexpected string \"\\\"a very lo\"..." },
		{ "a * / b", "1:5: parse error: unexpected <op:/>" },
		{ "a + on b", "1:8: parse error: unexpected identifier \"b\" in grouping opts, "
			      "expected \"(\"" },
		{ "a + bool on(x) bool b", "1:16: parse error: unexpected <bool>" },
		{ "sum(a b)", "1:7: parse error: unexpected identifier \"b\" in aggregation" },
		{ "rate(a b)", "1:8: parse error: unexpected identifier \"b\"" },
		{ "sum(rate(a b))", "1:12: parse error: unexpected identifier \"b\" in "
				    "aggregation" },
		{ "sum by (a b) (c)", "1:11: parse error: unexpected identifier \"b\" in grouping "
				      "opts, expected \",\" or \")\"" },
		{ "sum by (1) (c)",
			"1:9: parse error: unexpected number \"1\" in grouping opts, expected "
			"label" },
		{ "sum by (a) c", "1:12: parse error: unexpected identifier \"c\" in "
				  "aggregation" },
		{ "rate(a[5m],)",
			"1:11: parse error: trailing commas not allowed in function call args" },
		{ "a{b}", "1:4: parse error: unexpected \"}\" in label matching, expected label "
			  "matching operator" },
		{ "a{b=}", "1:5: parse error: unexpected \"}\" in label matching, expected "
			   "string" },
		{ "a{b=\"c\" d=\"e\"}",
			"1:9: parse error: unexpected identifier \"d\" in label matching, "
			"expected \",\" or \"}\"" },
		{ "a{,}", "1:3: parse error: unexpected \",\" in label matching, expected "
			  "identifier or \"}\"" },
		{ "a[5m", "1:5: parse error: unclosed left bracket" },
		{ "a[", "1:3: parse error: unexpected end of input in duration expression" },
		{ "a[x]", "1:3: parse error: unexpected character in duration expression: 'x'" },
		{ "a[5m x]", "1:6: parse error: unexpected character: 'x', expected ':'" },
		{ "a[5m 1m]", "1:6: parse error: unexpected duration \"1m\" in subquery or range, "
			      "expected \":\" or \"]\"" },
		{ "a[:5m]", "1:4: parse error: unexpected colon before duration in duration "
			    "expression" },
		{ "a[5m:1m:1m]", "1:8: parse error: unexpected colon ':'" },
		{ "a[5m:1m 3]", "1:9: parse error: unexpected number \"3\" in subquery selector, "
				"expected \"]\"" },
		{ "a[1h5x]", "1:3: parse error: bad number or duration syntax: \"1h5\"" },
		{ "a[1m1h]", "1:3: parse error: not a valid duration string: \"1m1h\"" },
		{ "a offset", "1:9: parse error: unexpected end of input in offset, expected "
			      "number, duration, step(), or range()" },
		{ "a @ b", "1:5: parse error: unexpected identifier \"b\" in @, expected "
			   "timestamp" },
		{ "(a", "1:3: parse error: unclosed left parenthesis" },
		{ "a)", "1:3: parse error: unexpected right parenthesis ')'" },
		{ "a]", "1:2: parse error: unexpected right bracket ']'" },
		{ "a{", "1:3: parse error: unexpected end of input inside braces" },
		{ "a}", "1:2: parse error: unexpected character: '}'" },
		{ "a ! b", "1:3: parse error: unexpected character after '!': ' '" },
		{ "a =~ b", "1:3: parse error: unexpected character after '=': '~'" },
		{ "a ; b", "1:3: parse error: unexpected character: ';'" },
		{ "\"abc", "1:1: parse error: unterminated quoted string" },
		{ "`abc", "1:1: parse error: unterminated raw string" },
		{ "\"\\q\"", "1:1: parse error: unknown escape sequence U+0071 'q'" },
		{ "\"\\xzz\"", "1:1: parse error: illegal character U+007A 'z' in escape "
			       "sequence" },
		{ "\"\\ud800\"", "1:1: parse error: escape sequence is an invalid Unicode code "
				 "point" },
		{ "\"\xff\"", "1:1: parse error: invalid UTF-8 rune" },
		{ "1.2.3", "1:1: parse error: bad number or duration syntax: \"1.2.\"" },
		{ "1__0", "1:1: parse error: bad number or duration syntax: \"1__\"" },
		{ "0xzz", "1:1: parse error: bad number or duration syntax: \"0x\"" },
		{ "1e999", "1:1: parse error: error parsing number: strconv.ParseFloat: parsing "
			   "\"1e999\": value out of range" },
		{ "a - on(x) group_left fill(b) c", "1:27: parse error: unexpected identifier "
						    "\"b\"" },
	};

	(void)state;
	check_errors(cases, ARRAY_COUNT(cases), &everything);
}

static void refuses_malformed_regexes(void **state) {
	struct buf got = { 0 };

	(void)state;
	assert_int_equal(parse_and_print(STR("a{b=~\"(\"}"), NULL, &got), ERR_INVAL);
	assert_true(str_starts(buf_str(&got), STR("1:3: parse error: error parsing regexp: ")));
	buf_deinit(&got);
}

static void refuses_what_the_grammar_allows_but_types_do_not(void **state) {
	static const struct error_case cases[] = {
		{ "1 > 2", "1:3: parse error: comparisons between scalars must use BOOL "
			   "modifier" },
		{ "a + bool b", "1:3: parse error: bool modifier can only be used on comparison "
				"operators" },
		{ "a and 1", "1:1: parse error: set operator \"and\" not allowed in binary scalar "
			     "expression" },
		{ "a or on(x) group_left b",
			"1:1: parse error: no grouping allowed for \"or\" operation" },
		{ "a and fill(0) b",
			"1:1: parse error: filling in missing series not allowed for set "
			"operators" },
		{ "a + fill(0) 1", "1:1: parse error: filling in missing series only allowed "
				   "between instant vectors" },
		{ "a + on(x) 1", "1:1: parse error: vector matching only allowed between instant "
				 "vectors" },
		{ "a + on(x) group_left(x) b", "1:3: parse error: label \"x\" must not occur in "
					       "ON and GROUP clause at once" },
		{ "a + b[5m]", "1:5: parse error: binary expression must contain only scalar and "
			       "instant vector types" },
		{ "-\"x\"", "1:1: parse error: unary expression only allowed on expressions of "
			    "type scalar or instant vector, got \"string\"" },
		{ "rate(a)", "1:6: parse error: expected type range vector in call to function "
			     "\"rate\", got instant vector" },
		{ "round(a, 1, 2)", "1:1: parse error: expected at most 2 argument(s) in call to "
				    "\"round\", got 3" },
		{ "label_join(a)", "1:1: parse error: expected at least 3 argument(s) in call to "
				   "\"label_join\", got 1" },
		{ "pi(1)", "1:1: parse error: expected 0 argument(s) in call to \"pi\", got 1" },
		{ "Rate(a[5m])", "1:1: parse error: unknown function with name \"Rate\"" },
		{ "sum()", "1:1: parse error: no arguments for aggregate expression provided" },
		{ "sum(1, a)", "1:1: parse error: wrong number of arguments for aggregate "
			       "expression provided, expected 1, got 2" },
		{ "sum(1)", "1:5: parse error: expected type instant vector in aggregation "
			    "expression, got scalar" },
		{ "topk(a, b)", "1:6: parse error: expected type scalar in aggregation parameter, "
				"got instant vector" },
		{ "count_values(1, b)", "1:14: parse error: expected type string in aggregation "
					"parameter, got scalar" },
		{ "{}", "1:1: parse error: vector selector must contain at least one non-empty "
			"matcher" },
		{ "{a=~\".*\",b!=\"c\"}", "1:1: parse error: vector selector must contain at "
					  "least one non-empty matcher" },
		{ "a{__name__=\"b\"}", "1:1: parse error: metric name must not be set twice: "
				       "\"a\" or \"b\"" },
		{ "a{\"b\"}", "1:1: parse error: metric name must not be set twice: \"a\" or "
			      "\"b\"" },
		{ "a[0s]", "1:3: parse error: duration must be greater than 0" },
		{ "a[1m/0]", "1:5: parse error: division by zero" },
		{ "a[1e18]", "1:3: parse error: duration out of range" },
		{ "(a)[5m]", "1:4: parse error: ranges only allowed for vector selectors" },
		{ "a offset 1m [5m]", "1:13: parse error: no offset modifiers allowed before "
				      "range" },
		{ "a @ 5 [5m]", "1:7: parse error: no @ modifiers allowed before range" },
		{ "a offset 1m offset 1m", "1:1: parse error: offset may not be set multiple "
					   "times" },
		{ "a @ 1 @ 2", "1:1: parse error: @ <timestamp> may not be set multiple times" },
		{ "a @ Inf", "1:1: parse error: timestamp out of bounds for @ modifier: +Inf" },
		{ "(a) offset 1m",
			"1:1: parse error: offset modifier must be preceded by an instant vector "
			"selector or range vector selector or a subquery" },
		{ "sum(a) @ 5",
			"1:1: parse error: @ modifier must be preceded by an instant vector "
			"selector or range vector selector or a subquery" },
		{ "a[5m][5m:]", "1:1: parse error: subquery is only allowed on instant vector, "
				"got matrix instead" },
		{ "a anchored smoothed", "1:1: parse error: anchored and smoothed modifiers "
					 "cannot be used together" },
		{ "a[5m:] smoothed", "1:1: parse error: smoothed modifier is not supported for "
				     "subqueries" },
		{ "info(a, b)", "1:9: parse error: expected label selectors only, got vector "
				"selector instead" },
	};

	(void)state;
	check_errors(cases, ARRAY_COUNT(cases), &everything);
}

static void names_the_feature_that_is_off(void **state) {
	static const struct error_case cases[] = {
		{ "mad_over_time(a[5m])",
			"1:1: parse error: function \"mad_over_time\" is not enabled; it is "
			"experimental and must be enabled with "
			"--enable-feature=promql-experimental-functions" },
		{ "limitk(1, a)", "1:1: parse error: limitk() is experimental and must be enabled "
				  "with --enable-feature=promql-experimental-functions" },
		{ "a + fill(0) b",
			"1:1: parse error: binop fill modifiers are experimental and not enabled; "
			"they must be enabled with --enable-feature=promql-binop-fill-modifiers" },
		{ "a smoothed",
			"1:1: parse error: smoothed modifier is experimental and not enabled; it "
			"must be enabled with --enable-feature=promql-extended-range-selectors" },
	};
	static const struct parse_options nothing = { 0 };

	(void)state;
	check_errors(cases, ARRAY_COUNT(cases), &nothing);
}

static void bounds_length_nesting_and_chains(void **state) {
	struct buf text = { 0 };
	struct buf got = { 0 };

	(void)state;
	for (int i = 0; i < 100000; i++) {
		buf_add_byte(&text, '(');
	}
	assert_int_equal(parse_and_print(buf_str(&text), NULL, &got), ERR_LIMIT);
	buf_reset(&text);
	for (int i = 0; i < 100000; i++) {
		buf_add_text(&text, "1+");
	}
	buf_add_byte(&text, '1');
	assert_int_equal(parse_and_print(buf_str(&text), NULL, &got), ERR_LIMIT);
	buf_reset(&text);
	for (int i = 0; i < 100000; i++) {
		buf_add_text(&text, "-(");
	}
	assert_int_equal(parse_and_print(buf_str(&text), NULL, &got), ERR_LIMIT);
	buf_reset(&text);
	buf_add_text(&text, "a[1");
	for (int i = 0; i < 100000; i++) {
		buf_add_text(&text, "+1");
	}
	buf_add_byte(&text, ']');
	assert_int_equal(parse_and_print(buf_str(&text), NULL, &got), ERR_LIMIT);
	buf_reset(&text);
	for (int i = 0; i < PARSE_LEN_MAX + 1; i++) {
		buf_add_byte(&text, ' ');
	}
	assert_int_equal(parse_and_print(buf_str(&text), NULL, &got), ERR_LIMIT);
	buf_deinit(&text);
	buf_deinit(&got);
}

static void a_copy_prints_the_same(void **state) {
	struct expr_tree tree = { 0 };
	struct err err = { 0 };
	struct buf first = { 0 };
	struct buf second = { 0 };

	(void)state;
	assert_ok(
		promql_parse(STR("sum by (x) (rate(a{b=~\"c|d\"}[5m + step()] @ end() offset -1m)) "
				 "/ on (x) group_left (y) topk(2, -avg_over_time(b[1h:5m] "
				 "offset 2m)) or vector(1)"),
			NULL, &tree, &err),
		err);
	expr_print(tree.root, &first);
	expr_print(expr_clone(&tree, tree.root), &second);
	assert_str_equal(buf_str(&first), buf_str(&second));
	expr_tree_deinit(&tree);
	buf_deinit(&first);
	buf_deinit(&second);
}

static void assert_formats(const char *query, const char *expected) {
	struct expr_tree tree = { 0 };
	struct err err = { 0 };
	struct buf text = { 0 };

	assert_ok(promql_parse(str_of(query), &everything, &tree, &err), err);
	assert_ok(expr_format(tree.root, &text, &err), err);
	assert_string_equal(buf_text(&text), expected);
	buf_deinit(&text);
	expr_tree_deinit(&tree);
}

#define LONG_NAME "a_name_that_is_long_enough_so_that_two_of_it_do_not_fit_into_a_line"

static void breaks_what_is_longer_than_a_line(void **state) {
	(void)state;
	assert_formats(" a +  b ", "a + b");
	assert_formats("sum(" LONG_NAME ")+on(x) " LONG_NAME,
		"  sum(" LONG_NAME ")\n+ on (x)\n  " LONG_NAME);
	assert_formats("topk without (x) (2, " LONG_NAME "+" LONG_NAME ")",
		"topk without (x) (\n  2,\n    " LONG_NAME "\n  +\n    " LONG_NAME "\n)");
	assert_formats("-(" LONG_NAME " == bool " LONG_NAME ")",
		"-(\n    " LONG_NAME "\n  == bool\n    " LONG_NAME "\n)");
	/* A subquery is not indented, unless what it is of is broken. */
	assert_formats("max_over_time(" LONG_NAME "[1h:5m]) + " LONG_NAME,
		"  max_over_time(" LONG_NAME "[1h:5m])\n+\n  " LONG_NAME);
	assert_formats("label_join(rate(" LONG_NAME "[1h:5m]), \"a_label\", \"\", \"another\")",
		"label_join(\n  rate(" LONG_NAME
		"[1h:5m]),\n  \"a_label\",\n  \"\",\n  \"another\"\n)");
}

static void durations_get_their_value_from_the_grid(void **state) {
	struct expr_tree tree = { 0 };
	struct err err = { 0 };

	(void)state;
	assert_ok(promql_parse(STR("a[range() / 2:step() * 2] offset -(step() + 1s)"), NULL, &tree,
			  &err),
		err);
	assert_ok(expr_resolve_durations(tree.root, 1000, 61000, 15000, &err), err);
	assert_int_equal(tree.root->u.subquery.range.ms, 30000);
	assert_int_equal(tree.root->u.subquery.step.ms, 30000);
	assert_int_equal(tree.root->u.subquery.shift.offset.ms, -16000);
	/* An instant query has neither range nor step. */
	assert_int_equal(expr_resolve_durations(tree.root, 1000, 1000, 0, &err), ERR_INVAL);
	expr_tree_deinit(&tree);
}

static void nodes_know_where_they_stand(void **state) {
	struct expr_tree tree = { 0 };
	struct err err = { 0 };
	struct expr *sum;

	(void)state;
	assert_ok(promql_parse(STR("1 + sum(rate(up[5m] offset 1m))"), NULL, &tree, &err), err);
	sum = tree.root->u.binary.right;
	assert_int_equal(tree.root->text.start, 0);
	assert_int_equal(sum->text.start, 4);
	assert_int_equal(sum->text.end, 31);
	assert_int_equal(sum->u.aggregate.expr->u.call.args[0]->text.start, 13);
	assert_int_equal(sum->u.aggregate.expr->u.call.args[0]->text.end, 29);
	expr_tree_deinit(&tree);
}

static void parses_selectors_of_match(void **state) {
	struct expr_tree tree = { 0 };
	struct selector *selector = NULL;
	struct err err = { 0 };

	(void)state;
	assert_ok(promql_parse_selector(STR("up{job=\"node\"}"), &tree, &selector, &err), err);
	assert_int_equal(selector->matcher_count, 2);
	assert_str_equal(selector->metric_name, STR("up"));
	expr_tree_deinit(&tree);
	assert_int_equal(promql_parse_selector(STR("up[5m]"), &tree, &selector, &err), ERR_INVAL);
	assert_string_equal(err.text, "1:3: parse error: unexpected \"[\"");
	expr_tree_deinit(&tree);
	assert_int_equal(promql_parse_selector(STR("1"), &tree, &selector, &err), ERR_INVAL);
	expr_tree_deinit(&tree);
}

static void finds_every_function_by_its_name(void **state) {
	(void)state;
	for (size_t i = 0; i < FUNCTION_COUNT; i++) {
		const struct function *function = function_get((enum function_id)i);

		assert_ptr_equal(function_find(function->name), function);
	}
	assert_null(function_find(STR("")));
	assert_null(function_find(STR("abz")));
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(prints_literals),
		TEST(prints_selectors),
		TEST(prints_duration_expressions),
		TEST(prints_operators),
		TEST(operators_bind_as_documented),
		TEST(power_groups_right_and_others_left),
		TEST(refuses_bad_syntax_where_it_stands),
		TEST(refuses_malformed_regexes),
		TEST(refuses_what_the_grammar_allows_but_types_do_not),
		TEST(names_the_feature_that_is_off),
		TEST(bounds_length_nesting_and_chains),
		TEST(a_copy_prints_the_same),
		TEST(breaks_what_is_longer_than_a_line),
		TEST(durations_get_their_value_from_the_grid),
		TEST(nodes_know_where_they_stand),
		TEST(parses_selectors_of_match),
		TEST(finds_every_function_by_its_name),
	};

	return TEST_RUN(tests);
}
