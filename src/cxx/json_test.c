#include "cxx/json.h"

#include "base/buf.h"
#include "base/test.h"

static struct json_document *parse(struct str text) {
	struct err err = { 0 };
	struct json_document *document = NULL;
	assert_ok(json_document_new(text, &document, &err), err);
	return document;
}

static void walks_an_answer_of_prometheus(void **state) {
	(void)state;
	struct json_document *document =
		parse(STR("{\"status\":\"success\",\"data\":{\"resultType\":\"matrix\",\"result\":["
			  "{\"metric\":{\"__name__\":\"up\",\"job\":\"a\\u00e4\\\"\"},\"values\":"
			  "[[1.5,\"1\"],[2,\"NaN\"]]},{\"metric\":{},\"values\":[]}]}}"));
	struct json_value data;
	struct json_value result;
	assert_true(json_member(json_root(document), STR("data"), &data));
	assert_true(json_member(data, STR("result"), &result));
	assert_int_equal(json_type_of(result), JSON_ARRAY);
	assert_int_equal(json_count(result), 2);

	struct json_iterator series = json_iterate(result);
	struct json_value one;
	struct json_value member;
	assert_true(json_next(&series, &one, NULL));
	assert_true(json_member(one, STR("metric"), &member));
	struct json_iterator labels = json_iterate(member);
	struct json_value value;
	struct str name;
	assert_true(json_next(&labels, &value, &name));
	assert_str_equal(name, STR("__name__"));
	assert_str_equal(json_string(value), STR("up"));
	assert_true(json_next(&labels, &value, &name));
	assert_str_equal(name, STR("job"));
	assert_str_equal(json_string(value), STR("a\xc3\xa4\""));
	assert_false(json_next(&labels, &value, &name));

	assert_true(json_member(one, STR("values"), &member));
	struct json_iterator samples = json_iterate(member);
	struct json_value sample;
	assert_true(json_next(&samples, &sample, NULL));
	struct json_iterator pair = json_iterate(sample);
	assert_true(json_next(&pair, &value, NULL));
	assert_true(json_double(value) == 1.5);
	assert_true(json_next(&pair, &value, NULL));
	assert_str_equal(json_string(value), STR("1"));
	assert_false(json_next(&pair, &value, NULL));
	assert_true(json_next(&samples, &sample, NULL));
	assert_false(json_next(&samples, &sample, NULL));

	assert_true(json_next(&series, &one, NULL));
	assert_false(json_next(&series, &one, NULL));
	json_document_free(document);
}

static void tells_what_a_value_is(void **state) {
	(void)state;
	static const struct {
		const char *text;
		enum json_type type;
	} cases[] = {
		{ "null", JSON_NULL },
		{ " true ", JSON_BOOL },
		{ "-1", JSON_NUMBER },
		{ "18446744073709551615", JSON_NUMBER },
		{ "1e5", JSON_NUMBER },
		{ "\"\"", JSON_STRING },
		{ "[]", JSON_ARRAY },
		{ "{}", JSON_OBJECT },
	};
	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		struct json_document *document = parse(str_of(cases[i].text));
		assert_int_equal(json_type_of(json_root(document)), cases[i].type);
		json_document_free(document);
	}
}

static void gives_numbers_as_both_types(void **state) {
	(void)state;
	static const struct {
		const char *text;
		double real;
		int64_t whole;
	} cases[] = {
		{ "-7", -7, -7 },
		{ "1.5", 1.5, 1 },
		{ "18446744073709551615", 18446744073709551615.0, INT64_MAX },
		{ "-1e300", -1e300, INT64_MIN },
		{ "9223372036854775807", 9223372036854775807.0, INT64_MAX },
		{ "\"5\"", 0, 0 },
		{ "[5]", 0, 0 },
	};
	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		struct json_document *document = parse(str_of(cases[i].text));
		assert_true(json_double(json_root(document)) == cases[i].real);
		assert_true(json_int(json_root(document)) == cases[i].whole);
		json_document_free(document);
	}
}

static void gives_nothing_for_another_type(void **state) {
	(void)state;
	struct json_document *document = parse(STR("5"));
	struct json_value root = json_root(document);
	struct json_value value;
	struct json_iterator iterator = json_iterate(root);
	assert_int_equal(json_string(root).len, 0);
	assert_false(json_bool(root));
	assert_false(json_member(root, STR("a"), &value));
	assert_false(json_next(&iterator, &value, NULL));
	assert_int_equal(json_count(root), 0);
	json_document_free(document);
}

static void finds_no_member_that_is_not_there(void **state) {
	(void)state;
	struct json_document *document = parse(STR("{\"a\":{\"b\":1},\"c\":[1,2]}"));
	struct json_value value;
	assert_false(json_member(json_root(document), STR("b"), &value));
	assert_true(json_member(json_root(document), STR("c"), &value));
	assert_int_equal(json_count(value), 2);
	json_document_free(document);
}

static void refuses_what_is_not_json(void **state) {
	(void)state;
	static const char *const texts[] = { "", "{", "[1,]", "{\"a\" 1}", "nul", "1 2", "\"\xff\"",
		"[1e999]", "<html>" };
	for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
		struct err err = { 0 };
		struct json_document *document = NULL;
		assert_int_equal(json_document_new(str_of(texts[i]), &document, &err), ERR_CORRUPT);
		assert_true(str_starts(str_of(err.text), STR("JSON: ")));
		assert_null(document);
	}
}

static void refuses_what_nests_too_deep(void **state) {
	(void)state;
	AUTO(buf_deinit) struct buf text = { 0 };
	struct json_document *document = NULL;
	for (size_t i = 0; i < 5000; i++) {
		buf_add_byte(&text, '[');
	}
	for (size_t i = 0; i < 5000; i++) {
		buf_add_byte(&text, ']');
	}
	assert_int_equal(json_document_new(buf_str(&text), &document, NULL), ERR_CORRUPT);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(walks_an_answer_of_prometheus),
		TEST(tells_what_a_value_is),
		TEST(gives_numbers_as_both_types),
		TEST(gives_nothing_for_another_type),
		TEST(finds_no_member_that_is_not_there),
		TEST(refuses_what_is_not_json),
		TEST(refuses_what_nests_too_deep),
	};
	return TEST_RUN(tests);
}
