#include "codec/yaml.h"

#include "base/buf.h"
#include "base/test.h"

#include <math.h>

static struct arena arena;

static int free_arena(void **state) {
	(void)state;
	arena_deinit(&arena);
	return 0;
}

static struct yaml_node *parse(const char *text) {
	struct err err = { 0 };
	struct yaml_node *root = NULL;
	assert_ok(yaml_parse(&arena, str_of(text), &root, &err), err);
	return root;
}

static void refuses(const char *text, int code, const char *reason) {
	struct err err = { 0 };
	struct yaml_node *root = NULL;
	assert_int_equal(yaml_parse(&arena, str_of(text), &root, &err), code);
	assert_string_equal(err.text, reason);
	assert_null(root);
}

/* The tree as flow YAML with lines in front of scalars, for comparing. */
static void dump(const struct yaml_node *node, struct buf *out) {
	size_t items = node->kind == YAML_MAPPING ? 2 * node->count : node->count;
	if (node->kind == YAML_SCALAR) {
		buf_printf(out, "%u:%s%.*s", node->line, node->is_quoted ? "'" : "",
			STR_ARG(node->text));
		return;
	}
	buf_add_byte(out, node->kind == YAML_MAPPING ? '{' : '[');
	for (size_t i = 0; i < items; i++) {
		buf_add_text(out, i == 0 ? "" : " ");
		dump(&node->items[i], out);
	}
	buf_add_byte(out, node->kind == YAML_MAPPING ? '}' : ']');
}

static void reads_as(const char *text, const char *tree) {
	AUTO(buf_deinit) struct buf out = { 0 };
	dump(parse(text), &out);
	assert_str_equal(buf_str(&out), str_of(tree));
}

static void keeps_order_lines_and_quotes(void **state) {
	(void)state;
	reads_as("# comment\na: 1\nb:\n  - x\n  - 'y'\n  - {c: \"d\", e: }\nf: |\n  two\n  lines\n",
		"{2:a 2:1 3:b [4:x 5:'y {6:c 6:'d 6:e 6:}] 7:f 7:'two\nlines\n}");
}

static void reads_an_empty_document_as_null(void **state) {
	(void)state;
	static const char *const texts[] = { "", "\n\n", "# only a comment\n", "---\n", "~" };
	for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
		assert_true(yaml_is_null(parse(texts[i])));
	}
}

static void reads_only_the_first_document(void **state) {
	(void)state;
	reads_as("a: 1\n---\nb: 2\n", "{1:a 1:1}");
}

static void resolves_aliases(void **state) {
	(void)state;
	reads_as("a: &x [1, 2]\nb: *x\n", "{1:a [1:1 1:2] 2:b [1:1 1:2]}");
	reads_as("a: &x 1\nb: &x 2\nc: *x\n", "{1:a 1:1 2:b 2:2 3:c 2:2}");
}

static void merges_without_replacing_own_keys(void **state) {
	(void)state;
	reads_as("d: &d {a: 1, b: 2}\ne: {b: 3, <<: *d}\n",
		"{1:d {1:a 1:1 1:b 1:2} 2:e {2:b 2:3 1:a 1:1}}");
	reads_as("- &x {a: 1}\n- &y {a: 2, b: 2}\n- <<: [*x, *y]\n",
		"[{1:a 1:1} {2:a 2:2 2:b 2:2} {1:a 1:1 2:b 2:2}]");
	reads_as("'<<': 1\n", "{1:'<< 1:1}");
}

static void refuses_to_merge_what_is_no_mapping(void **state) {
	(void)state;
	refuses("a: 1\n<<: 5\n", ERR_INVAL,
		"line 2: map merge requires map or sequence of maps as the value");
	refuses("<<: [{a: 1}, [2]]\n", ERR_INVAL,
		"line 1: map merge requires map or sequence of maps as the value");
}

static void refuses_a_key_given_twice(void **state) {
	(void)state;
	refuses("a: 1\nb: 2\na: 3\n", ERR_INVAL, "line 3: key \"a\" already set in map");
	refuses("x:\n  - {k: 1, 'k': 2}\n", ERR_INVAL, "line 2: key \"k\" already set in map");
}

static void refuses_keys_that_are_no_scalars(void **state) {
	(void)state;
	refuses("? [a]\n: 1\n", ERR_INVAL, "line 1: a list or mapping cannot be a key");
}

static void says_where_the_syntax_is_broken(void **state) {
	(void)state;
	refuses("a: 1\nb: [\n", ERR_INVAL, "line 3: did not find expected node content");
	refuses("a: 1\n b: 2\n", ERR_INVAL,
		"line 2: mapping values are not allowed in this context");
	refuses("a:\n\tb: 1\n", ERR_INVAL, "line 2: found character that cannot start any token");
	refuses("a: 1\nb: \xff\n", ERR_INVAL, "line 2: invalid leading UTF-8 octet");
	refuses("a: 1\nb: \x01\n", ERR_INVAL, "line 2: control characters are not allowed");
	refuses("a: 'x\n", ERR_INVAL, "line 2: found unexpected end of stream");
}

static void refuses_aliases_without_an_anchor(void **state) {
	(void)state;
	refuses("a: *nope\n", ERR_INVAL, "line 1: unknown anchor 'nope' referenced");
	refuses("a: &x\n  b: *x\n", ERR_INVAL, "line 2: anchor 'x' value contains itself");
}

static void bounds_what_aliases_expand_to(void **state) {
	(void)state;
	AUTO(buf_deinit) struct buf text = { 0 };
	buf_add_text(&text, "- &a0 [x, x, x, x, x, x, x, x, x, x]\n");
	for (unsigned i = 1; i < 9; i++) {
		buf_printf(&text, "- &a%u [", i);
		for (unsigned k = 0; k < 10; k++) {
			buf_printf(&text, "%s*a%u", k > 0 ? ", " : "", i - 1);
		}
		buf_add_text(&text, "]\n");
	}
	refuses(buf_text(&text), ERR_LIMIT,
		"line 6: the document has more than 1000000 nodes when aliases are expanded");
}

static void bounds_nesting_also_through_aliases(void **state) {
	(void)state;
	AUTO(buf_deinit) struct buf deep = { 0 };
	for (unsigned i = 0; i < YAML_DEPTH_MAX + 1; i++) {
		buf_add_byte(&deep, '[');
	}
	for (unsigned i = 0; i < YAML_DEPTH_MAX + 1; i++) {
		buf_add_byte(&deep, ']');
	}
	refuses(buf_text(&deep), ERR_LIMIT, "line 1: nested more than 100 levels deep");

	AUTO(buf_deinit) struct buf chain = { 0 };
	buf_add_text(&chain, "- &a0 x\n");
	for (unsigned i = 1; i < 120; i++) {
		buf_printf(&chain, "- &a%u [*a%u]\n", i, i - 1);
	}
	refuses(buf_text(&chain), ERR_LIMIT, "line 100: nested more than 100 levels deep");
}

static void finds_values_by_key(void **state) {
	(void)state;
	const struct yaml_node *root = parse("a: 1\nb: x\n");
	assert_str_equal(yaml_get(root, STR("b"))->text, STR("x"));
	assert_null(yaml_get(root, STR("c")));
	assert_null(yaml_get(yaml_get(root, STR("a")), STR("a")));
}

static void reads_booleans(void **state) {
	(void)state;
	static const struct {
		const char *text;
		bool value;
	} cases[] = { { "true", true }, { "False", false }, { "yes", true }, { "off", false },
		{ "n", false }, { "~", false } };
	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		struct err err = { 0 };
		bool value = !cases[i].value;
		assert_ok(yaml_to_bool(parse(cases[i].text), &value, &err), err);
		assert_int_equal(value, cases[i].value);
	}
}

static void reads_integers(void **state) {
	(void)state;
	static const struct {
		const char *text;
		int64_t value;
	} cases[] = { { "0", 0 }, { "-12", -12 }, { "+7", 7 }, { "1_000", 1000 }, { "0x1F", 31 },
		{ "0o17", 15 }, { "017", 15 }, { "0b101", 5 }, { "1e3", 1000 }, { "2.0", 2 },
		{ "9223372036854775807", INT64_MAX }, { "-9223372036854775808", INT64_MIN },
		{ "null", 0 } };
	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		struct err err = { 0 };
		int64_t value = 99;
		assert_ok(yaml_to_int(parse(cases[i].text), &value, &err), err);
		assert_true(value == cases[i].value);
	}
}

static void reads_floats(void **state) {
	(void)state;
	static const struct {
		const char *text;
		double value;
	} cases[] = { { "1", 1 }, { ".5", .5 }, { "1.", 1 }, { "-1.5e3", -1500 },
		{ ".inf", (double)INFINITY }, { "-.Inf", -(double)INFINITY }, { "089", 89 } };
	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		struct err err = { 0 };
		double value = 99;
		assert_ok(yaml_to_double(parse(cases[i].text), &value, &err), err);
		assert_true(value == cases[i].value);
	}
	double value = 0;
	assert_int_equal(yaml_to_double(parse(".nan"), &value, NULL), 0);
	assert_true(isnan(value));
}

static void reads_any_scalar_as_text(void **state) {
	(void)state;
	static const struct {
		const char *text;
		const char *value;
	} cases[] = { { "1.50", "1.50" }, { "yes", "yes" }, { "'null'", "null" }, { "~", "" },
		{ "a b", "a b" }, { "!!str 5", "5" } };
	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		struct err err = { 0 };
		struct str value = STR("?");
		assert_ok(yaml_to_str(parse(cases[i].text), &value, &err), err);
		assert_str_equal(value, str_of(cases[i].value));
	}
}

static void says_what_cannot_be_read_as_what(void **state) {
	(void)state;
	struct err err = { 0 };
	bool truth = true;
	int64_t whole = 7;
	double real = 7;
	struct str text = STR("kept");
	assert_int_equal(yaml_to_bool(parse("'true'"), &truth, &err), ERR_INVAL);
	assert_string_equal(err.text, "line 1: cannot unmarshal !!str `true` into bool");
	assert_int_equal(yaml_to_bool(parse("1"), &truth, &err), ERR_INVAL);
	assert_string_equal(err.text, "line 1: cannot unmarshal !!int `1` into bool");
	assert_int_equal(yaml_to_int(parse("\n1.5"), &whole, &err), ERR_INVAL);
	assert_string_equal(err.text, "line 2: cannot unmarshal !!float `1.5` into int");
	assert_int_equal(yaml_to_int(parse("hello world"), &whole, &err), ERR_INVAL);
	assert_string_equal(err.text, "line 1: cannot unmarshal !!str `hello w...` into int");
	assert_int_equal(yaml_to_double(parse("inf"), &real, &err), ERR_INVAL);
	assert_string_equal(err.text, "line 1: cannot unmarshal !!str `inf` into float64");
	assert_int_equal(yaml_to_str(parse("[1]"), &text, &err), ERR_INVAL);
	assert_string_equal(err.text, "line 1: cannot unmarshal !!seq into string");
	assert_int_equal(yaml_to_bool(parse("{a: 1}"), &truth, &err), ERR_INVAL);
	assert_string_equal(err.text, "line 1: cannot unmarshal !!map into bool");
	assert_true(truth && whole == 7 && real == 7 && text.len == 4);
}

static void refuses_binary_values(void **state) {
	(void)state;
	refuses("a: !!binary aGk=\n", ERR_INVAL, "line 1: !!binary values are not supported");
}

#define ARENA_TEST(function) cmocka_unit_test_teardown(function, free_arena)

int main(void) {
	const struct CMUnitTest tests[] = {
		ARENA_TEST(keeps_order_lines_and_quotes),
		ARENA_TEST(reads_an_empty_document_as_null),
		ARENA_TEST(reads_only_the_first_document),
		ARENA_TEST(resolves_aliases),
		ARENA_TEST(merges_without_replacing_own_keys),
		ARENA_TEST(refuses_to_merge_what_is_no_mapping),
		ARENA_TEST(refuses_a_key_given_twice),
		ARENA_TEST(refuses_keys_that_are_no_scalars),
		ARENA_TEST(says_where_the_syntax_is_broken),
		ARENA_TEST(refuses_aliases_without_an_anchor),
		ARENA_TEST(bounds_what_aliases_expand_to),
		ARENA_TEST(bounds_nesting_also_through_aliases),
		ARENA_TEST(finds_values_by_key),
		ARENA_TEST(reads_booleans),
		ARENA_TEST(reads_integers),
		ARENA_TEST(reads_floats),
		ARENA_TEST(reads_any_scalar_as_text),
		ARENA_TEST(says_what_cannot_be_read_as_what),
		ARENA_TEST(refuses_binary_values),
	};
	return TEST_RUN(tests);
}
