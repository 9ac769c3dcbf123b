#include "base/quote.h"

#include "base/test.h"

static void quotes_as_go_does(void **state) {
	(void)state;
	static const struct {
		struct str text;
		const char *quoted;
	} cases[] = {
		{ { "", 0 }, "\"\"" },
		{ { "plain text", 10 }, "\"plain text\"" },
		{ { "a\"b\\c'", 6 }, "\"a\\\"b\\\\c'\"" },
		{ { "\a\b\f\n\r\t\v", 7 }, "\"\\a\\b\\f\\n\\r\\t\\v\"" },
		{ { "\0\x01\x1f\x7f", 4 }, "\"\\x00\\x01\\x1f\\x7f\"" },
		{ { "\xff\xc3", 2 }, "\"\\xff\\xc3\"" },
		{ { "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", 9 },
			"\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\"" },
		{ { "\xc2\x85", 2 }, "\"\\u0085\"" },
		{ { "\xc2\xa0", 2 }, "\"\\u00a0\"" },
		{ { "\xe2\x80\xa8", 3 }, "\"\\u2028\"" },
		{ { "\xef\xbb\xbf", 3 }, "\"\\ufeff\"" },
		{ { "\xef\xbf\xbd", 3 }, "\"\xef\xbf\xbd\"" },
		{ { "\xf4\x8f\xbf\xbf", 4 }, "\"\\U0010ffff\"" },
		{ { "x\xc2\xa0y", 4 }, "\"x\\u00a0y\"" },
	};
	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		AUTO(buf_deinit) struct buf out = { 0 };
		quote_append(cases[i].text, &out);
		assert_str_equal(buf_str(&out), str_of(cases[i].quoted));
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(quotes_as_go_does),
	};
	return TEST_RUN(tests);
}
