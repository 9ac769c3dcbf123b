#include "base/str.h"

#include "base/test.h"

static void orders_by_bytes_with_prefixes_first(void **state) {
	(void)state;
	assert_true(str_cmp(STR("a"), STR("b")) < 0);
	assert_true(str_cmp(STR("a"), STR("ab")) < 0);
	assert_true(str_cmp(STR("\xff"), STR("a")) > 0);
	assert_true(str_cmp(STR("a\0b"), STR("a\0c")) < 0);
	assert_int_equal(str_cmp(STR_EMPTY, (struct str){ NULL, 0 }), 0);
}

static void finds_ends_and_parts(void **state) {
	(void)state;
	assert_true(str_starts(STR("abc"), STR("ab")));
	assert_false(str_starts(STR("a"), STR("ab")));
	assert_true(str_ends(STR("abc"), STR("bc")));
	assert_false(str_ends(STR("c"), STR("bc")));
	assert_true(str_ends(STR("c"), STR_EMPTY));
	assert_str_equal(str_from(STR("abc"), 1), STR("bc"));
	assert_str_equal(str_from(STR("abc"), 9), STR_EMPTY);
	assert_str_equal(str_first(STR("abc"), 2), STR("ab"));
	assert_str_equal(str_first(STR("abc"), 9), STR("abc"));
	assert_int_equal(str_find(STR("abc"), 'c'), 2);
	assert_true(str_find(STR("abc"), 'x') == SIZE_MAX);
}

static void trims_white_space_at_both_ends(void **state) {
	(void)state;
	assert_str_equal(str_trim(STR(" \t a b\r\n")), STR("a b"));
	assert_str_equal(str_trim(STR(" \n")), STR_EMPTY);
	assert_str_equal(str_trim(STR_EMPTY), STR_EMPTY);
}

static void cuts_piece_by_piece(void **state) {
	(void)state;
	struct str rest = STR("a,,b");
	assert_str_equal(str_cut(&rest, ','), STR("a"));
	assert_str_equal(str_cut(&rest, ','), STR(""));
	assert_non_null(rest.ptr);
	assert_str_equal(str_cut(&rest, ','), STR("b"));
	assert_null(rest.ptr);
}

static void leaves_an_empty_rest_behind_a_last_separator(void **state) {
	(void)state;
	struct str rest = STR("a,");
	assert_str_equal(str_cut(&rest, ','), STR("a"));
	assert_non_null(rest.ptr);
	assert_int_equal(rest.len, 0);
}

static void ignores_the_case_of_ascii_only(void **state) {
	(void)state;
	assert_true(str_equal_nocase(STR("Content-Length"), STR("content-length")));
	assert_false(str_equal_nocase(STR("a"), STR("ab")));
	assert_false(str_equal_nocase(STR("\xc4"), STR("\xe4")));
	assert_false(str_equal_nocase(STR("["), STR("{")));
}

static void knows_well_formed_utf8(void **state) {
	(void)state;
	static const char *const good[] = { "", "ascii", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80",
		"\xed\x9f\xbf", "\xee\x80\x80", "\xef\xbf\xbf", "\xf0\x90\x80\x80",
		"\xf4\x8f\xbf\xbf", "eight bytes and \xc3\xa4 more" };
	static const char *const bad[] = { "\x80", "\xc0\x80", "\xc1\xbf", "\xc3", "\xc3(",
		"\xe0\x9f\xbf", "\xed\xa0\x80", "\xed\xbf\xbf", "\xf0\x8f\xbf\xbf",
		"\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "12345678\xfe", "\xe2\x82" };
	for (size_t i = 0; i < ARRAY_COUNT(good); i++) {
		assert_true(str_is_utf8(str_of(good[i])));
	}
	for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
		assert_false(str_is_utf8(str_of(bad[i])));
	}
}

static void reads_code_points(void **state) {
	(void)state;
	uint32_t code_point = 7;
	assert_int_equal(str_utf8_next(STR("\xf0\x9f\x98\x80x"), &code_point), 4);
	assert_int_equal(code_point, 0x1f600);
	assert_int_equal(str_utf8_next(STR("\xe2\x82\xac"), &code_point), 3);
	assert_int_equal(code_point, 0x20ac);
	assert_int_equal(str_utf8_next(STR("\xff"), &code_point), 0);
	assert_int_equal(str_utf8_next(STR_EMPTY, &code_point), 0);
	assert_int_equal(code_point, 0x20ac);
}

static void reads_numbers_that_fit_and_nothing_else(void **state) {
	(void)state;
	uint64_t whole = 7;
	int64_t number = 7;
	assert_true(str_to_u64(STR("18446744073709551615"), &whole));
	assert_true(whole == UINT64_MAX);
	assert_false(str_to_u64(STR("18446744073709551616"), &whole));
	assert_false(str_to_u64(STR("99999999999999999999"), &whole));
	assert_false(str_to_u64(STR(""), &whole));
	assert_false(str_to_u64(STR("-1"), &whole));
	assert_false(str_to_u64(STR("1 "), &whole));
	assert_true(whole == UINT64_MAX);
	assert_true(str_to_i64(STR("-9223372036854775808"), &number));
	assert_true(number == INT64_MIN);
	assert_true(str_to_i64(STR("+9223372036854775807"), &number));
	assert_true(number == INT64_MAX);
	assert_false(str_to_i64(STR("9223372036854775808"), &number));
	assert_false(str_to_i64(STR("-9223372036854775809"), &number));
	assert_false(str_to_i64(STR("+"), &number));
	assert_false(str_to_i64(STR("--1"), &number));
	assert_true(number == INT64_MAX);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(orders_by_bytes_with_prefixes_first),
		TEST(finds_ends_and_parts),
		TEST(trims_white_space_at_both_ends),
		TEST(cuts_piece_by_piece),
		TEST(leaves_an_empty_rest_behind_a_last_separator),
		TEST(ignores_the_case_of_ascii_only),
		TEST(knows_well_formed_utf8),
		TEST(reads_code_points),
		TEST(reads_numbers_that_fit_and_nothing_else),
	};
	return TEST_RUN(tests);
}
