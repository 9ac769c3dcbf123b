#include "cxx/re2.h"

#include "base/test.h"

static struct re2_pattern *compile(const char *pattern) {
	struct err err = { 0 };
	struct re2_pattern *re = NULL;
	assert_ok(re2_new(str_of(pattern), &re, &err), err);
	return re;
}

static void matches_the_whole_text_only(void **state) {
	(void)state;
	struct re2_pattern *re = compile("a|ab");
	assert_true(re2_match_full(re, STR("a")));
	assert_true(re2_match_full(re, STR("ab")));
	assert_false(re2_match_full(re, STR("abc")));
	assert_false(re2_match_full(re, (struct str){ NULL, 0 }));
	re2_free(re);
}

static void matches_text_that_holds_a_nul(void **state) {
	(void)state;
	struct re2_pattern *re = compile("a.b");
	assert_true(re2_match_full(re, STR("a\0b")));
	re2_free(re);
}

static void gives_groups_and_null_for_one_that_took_no_part(void **state) {
	(void)state;
	struct re2_pattern *re = compile("(x)?(?P<name>y*)");
	struct str groups[4] = { 0 };
	assert_true(re2_match_groups(re, STR("yy"), groups, 4));
	assert_str_equal(groups[0], STR("yy"));
	assert_null(groups[1].ptr);
	assert_str_equal(groups[2], STR("yy"));
	assert_null(groups[3].ptr);
	assert_false(re2_match_groups(re, STR("z"), groups, 4));
	re2_free(re);
}

static void gives_an_empty_group_a_place(void **state) {
	(void)state;
	struct re2_pattern *re = compile("(x*)y");
	struct str groups[2] = { 0 };
	assert_true(re2_match_groups(re, STR("y"), groups, 2));
	assert_non_null(groups[1].ptr);
	assert_int_equal(groups[1].len, 0);
	re2_free(re);
}

static void knows_more_groups_than_fit_on_the_stack(void **state) {
	(void)state;
	struct re2_pattern *re = compile("(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)");
	struct str groups[19];
	assert_int_equal(re2_group_count(re), 18);
	assert_true(re2_match_groups(re, STR("abcdefghijklmnopqr"), groups, 19));
	assert_str_equal(groups[18], STR("r"));
	re2_free(re);
}

static void finds_groups_by_name(void **state) {
	(void)state;
	struct re2_pattern *re = compile("(a)(?P<second>b)");
	assert_int_equal(re2_group_index(re, STR("second")), 2);
	assert_int_equal(re2_group_index(re, STR("first")), -1);
	re2_free(re);
}

static void refuses_a_broken_pattern_with_the_reason(void **state) {
	(void)state;
	struct err err = { 0 };
	struct re2_pattern *re = NULL;
	assert_int_equal(re2_new(STR("a(b"), &re, &err), ERR_INVAL);
	assert_string_equal(err.text, "missing ): a(b");
	assert_int_equal(re2_new(STR("a**"), &re, NULL), ERR_INVAL);
	assert_int_equal(re2_new(STR("\\1"), &re, NULL), ERR_INVAL);
	assert_null(re);
}

static void refuses_a_pattern_that_is_too_large(void **state) {
	(void)state;
	struct err err = { 0 };
	struct re2_pattern *re = NULL;
	assert_int_equal(
		re2_new(STR("\\pL{1000}\\pL{1000}\\pL{1000}\\pL{1000}\\pL{1000}"), &re, &err),
		ERR_LIMIT);
	assert_null(re);
}

static void takes_no_exponential_time(void **state) {
	(void)state;
	struct re2_pattern *re = compile("(a*)*b");
	char text[2000];
	memset(text, 'a', sizeof(text));
	assert_false(re2_match_full(re, (struct str){ text, sizeof(text) }));
	re2_free(re);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(matches_the_whole_text_only),
		TEST(matches_text_that_holds_a_nul),
		TEST(gives_groups_and_null_for_one_that_took_no_part),
		TEST(gives_an_empty_group_a_place),
		TEST(knows_more_groups_than_fit_on_the_stack),
		TEST(finds_groups_by_name),
		TEST(refuses_a_broken_pattern_with_the_reason),
		TEST(refuses_a_pattern_that_is_too_large),
		TEST(takes_no_exponential_time),
	};
	return TEST_RUN(tests);
}
