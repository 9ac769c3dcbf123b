#include "codec/json_writer.h"

#include "base/test.h"

#include <math.h>

static void puts_commas_where_they_belong(void **state) {
	(void)state;
	AUTO(buf_deinit) struct buf out = { 0 };
	struct json_writer writer;
	json_writer_init(&writer, &out);
	json_begin_object(&writer);
	json_key(&writer, STR("a"));
	json_begin_array(&writer);
	json_put_int(&writer, -1);
	json_put_double(&writer, 1.5);
	json_begin_array(&writer);
	json_end_array(&writer);
	json_put_null(&writer);
	json_end_array(&writer);
	json_key(&writer, STR("b"));
	json_begin_object(&writer);
	json_end_object(&writer);
	json_key(&writer, STR("c"));
	json_put_bool(&writer, true);
	json_key(&writer, STR("d"));
	json_put_raw(&writer, STR("[1,2]"));
	json_end_object(&writer);
	assert_str_equal(
		buf_str(&out), STR("{\"a\":[-1,1.5,[],null],\"b\":{},\"c\":true,\"d\":[1,2]}"));
}

static void escapes_only_what_json_asks_for(void **state) {
	(void)state;
	static const struct {
		struct str value;
		const char *text;
	} cases[] = {
		{ { "", 0 }, "\"\"" },
		{ { "plain", 5 }, "\"plain\"" },
		{ { "\"\\/<&>", 6 }, "\"\\\"\\\\/<&>\"" },
		{ { "\b\f\n\r\t\x01\x1f", 7 }, "\"\\b\\f\\n\\r\\t\\u0001\\u001f\"" },
		{ { "a\0b", 3 }, "\"a\\u0000b\"" },
		{ { "\x7f\xc3\xa4\xf0\x9f\x98\x80", 7 }, "\"\x7f\xc3\xa4\xf0\x9f\x98\x80\"" },
		{ { "a\xff"
		    "b\xc3",
			  4 },
			"\"a\xef\xbf\xbd"
			"b\xef\xbf\xbd\"" },
	};
	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		AUTO(buf_deinit) struct buf out = { 0 };
		struct json_writer writer;
		json_writer_init(&writer, &out);
		json_put_str(&writer, cases[i].value);
		assert_str_equal(buf_str(&out), str_of(cases[i].text));
	}
}

static void writes_what_is_no_number_as_null(void **state) {
	(void)state;
	AUTO(buf_deinit) struct buf out = { 0 };
	struct json_writer writer;
	json_writer_init(&writer, &out);
	json_begin_array(&writer);
	json_put_double(&writer, (double)NAN);
	json_put_double(&writer, (double)INFINITY);
	json_put_double(&writer, 1e21);
	json_end_array(&writer);
	assert_str_equal(buf_str(&out), STR("[null,null,1e+21]"));
}

static void fails_when_its_budget_is_spent(void **state) {
	(void)state;
	AUTO(buf_deinit) struct buf out = { 0 };
	struct json_writer writer;
	struct budget budget;
	struct err err = { 0 };
	size_t written = 0;
	budget_init(&budget, NULL, "--room", 100000);
	json_writer_init(&writer, &out);
	json_writer_limit(&writer, &budget, &err);
	json_begin_array(&writer);
	for (size_t i = 0; i < 100000; i++) {
		json_put_text(&writer, "0123456789");
		written = writer.has_failed ? written : i;
		assert_true(out.capacity <= budget_used(&budget));
	}
	json_key(&writer, STR("a"));
	json_put_int(&writer, 1);
	json_end_array(&writer);
	assert_true(writer.has_failed && written > 1000);
	assert_int_equal(err.code, ERR_LIMIT);
	assert_non_null(strstr(err.text, "--room"));
	assert_int_equal(out.len, 0);
	assert_int_equal(budget_used(&budget), 0);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(puts_commas_where_they_belong),
		TEST(escapes_only_what_json_asks_for),
		TEST(writes_what_is_no_number_as_null),
		TEST(fails_when_its_budget_is_spent),
	};
	return TEST_RUN(tests);
}
