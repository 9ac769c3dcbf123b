#include "api/params.h"

#include "base/test.h"

static struct uri_params params_of(struct arena *arena, const char *text) {
	struct uri_params params = { 0 };
	struct err err = { 0 };
	assert_ok(uri_params_parse(arena, str_of(text), &params, &err), err);
	return params;
}

static void reads_times_in_seconds_and_rfc3339(void **state) {
	(void)state;
	static const struct {
		const char *text;
		int64_t ms;
	} cases[] = {
		{ "t=1600000000", 1600000000000 },
		{ "t=1600000000.5", 1600000000500 },
		{ "t=1600000000.1234", 1600000000123 },
		{ "t=-1.5", -1500 },
		{ "t=2020-09-13T12:26:40Z", 1600000000000 },
		{ "t=2020-09-13T14:26:40.25%2B02:00", 1600000000250 },
		{ "other=1", 77 },
	};
	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		struct arena arena = { 0 };
		struct err err = { 0 };
		int64_t ms = 0;
		struct uri_params params = params_of(&arena, cases[i].text);
		assert_ok(param_time(&params, "t", 77, &ms, &err), err);
		assert_int_equal(ms, cases[i].ms);
		arena_deinit(&arena);
	}
}

static void refuses_with_prometheus_sentences(void **state) {
	(void)state;
	static const struct {
		const char *text;
		const char *sentence;
	} cases[] = {
		{ "query=x&start=a&end=2&step=1",
			"invalid parameter \"start\": cannot parse \"a\" to a valid timestamp" },
		{ "query=x&start=1&step=1",
			"invalid parameter \"end\": cannot parse \"\" to a valid timestamp" },
		{ "query=x&start=2&end=1&step=1",
			"invalid parameter \"end\": end timestamp must not be before start time" },
		{ "query=x&start=1&end=2&step=0",
			"invalid parameter \"step\": zero or negative query resolution step widths "
			"are not accepted. Try a positive integer" },
		{ "query=x&start=1&end=2&step=z",
			"invalid parameter \"step\": cannot parse \"z\" to a valid duration" },
		{ "query=x&start=1&end=2&step=\"\\\"", "invalid parameter \"step\": cannot parse "
						       "\"\\\"\\\\\\\"\" to a valid duration" },
		{ "query=x&start=1&end=2&step=NaN",
			"invalid parameter \"step\": zero or negative query resolution step widths "
			"are not accepted. Try a positive integer" },
		{ "query=x&start=1&end=2&step=9223372037",
			"invalid parameter \"step\": cannot parse \"9223372037\" to a valid "
			"duration. "
			"It overflows int64" },
		{ "query=x&start=1&end=2&step=1&limit=99999999999999999999",
			"invalid parameter \"limit\": strconv.Atoi: parsing "
			"\"99999999999999999999\": value out of range" },
		{ "query=x&start=1&end=2&step=1&lookback_delta=a",
			"error parsing lookback delta duration: cannot parse \"a\" to a valid "
			"duration" },
		{ "query=x&start=0&end=11001&step=1", "exceeded maximum resolution of 11,000 "
						      "points per timeseries. Try decreasing "
						      "the query resolution (?step=XX)" },
		{ "query=x&start=1&end=2&step=1&limit=-1",
			"invalid parameter \"limit\": limit must be non-negative" },
		{ "query=x&start=1&end=2&step=1&partial_response=maybe",
			"invalid parameter \"partial_response\": \"maybe\" is neither warn nor "
			"abort" },
	};
	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		struct arena arena = { 0 };
		struct err err = { 0 };
		struct query_request request = { 0 };
		int64_t timeout_ms = 1000;
		struct uri_params params = params_of(&arena, cases[i].text);
		assert_int_equal(params_range(&params, &request, &timeout_ms, &err), ERR_INVAL);
		assert_string_equal(err.text, cases[i].sentence);
		arena_deinit(&arena);
	}
}

static void a_range_includes_its_end_and_keeps_what_was_asked(void **state) {
	(void)state;
	struct arena arena = { 0 };
	struct err err = { 0 };
	struct query_request request = { 0 };
	int64_t timeout_ms = 120000;
	struct uri_params params = params_of(
		&arena, "query=up&start=10&end=21&step=5s&timeout=30s&lookback_delta=60&limit=3");

	assert_ok(params_range(&params, &request, &timeout_ms, &err), err);
	assert_int_equal(request.grid.start_ms, 10000);
	assert_int_equal(request.grid.step_ms, 5000);
	assert_int_equal(request.grid.count, 3);
	assert_int_equal(request.end_ms, 21000);
	assert_true(request.is_range);
	assert_int_equal(request.limit, 3);
	assert_int_equal(request.lookback_ms, 60000);
	assert_int_equal(timeout_ms, 30000);
	arena_deinit(&arena);
}

static void a_timeout_only_ever_shortens(void **state) {
	(void)state;
	struct arena arena = { 0 };
	struct err err = { 0 };
	struct query_request request = { 0 };
	int64_t timeout_ms = 1000;
	struct uri_params params = params_of(&arena, "query=up&timeout=1h");

	assert_ok(params_instant(&params, 5000, &request, &timeout_ms, &err), err);
	assert_int_equal(timeout_ms, 1000);
	assert_int_equal(request.grid.start_ms, 5000);
	assert_int_equal(request.grid.count, 1);
	arena_deinit(&arena);
}

static void selectors_need_something_to_select_by(void **state) {
	(void)state;
	struct arena arena = { 0 };
	struct err err = { 0 };
	struct expr_tree trees[2] = { 0 };
	struct meta_request request = { 0 };
	struct uri_params params = params_of(&arena, "match[]=up&match[]={a=~\".*\"}");

	bool bad_match = false;
	assert_int_equal(
		params_meta(&params, trees, &arena, &request, &bad_match, &err), ERR_INVAL);
	assert_true(bad_match);
	assert_string_equal(err.text, "match[] must contain at least one non-empty matcher");
	expr_tree_deinit(&trees[0]);
	expr_tree_deinit(&trees[1]);
	arena_deinit(&arena);
}

static void undoes_the_escaping_of_label_names(void **state) {
	(void)state;
	static const struct {
		const char *escaped;
		const char *name;
	} cases[] = {
		{ "job", "job" },
		{ "U__service_2e_name", "service.name" },
		{ "U__a__b", "a_b" },
		{ "U__caf_e9_", "caf\xc3\xa9" },
		{ "U__broken_zz_", "U__broken_zz_" },
		{ "U___d800_", "U___d800_" },
	};
	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		struct arena arena = { 0 };
		assert_str_equal(param_unescape_name(&arena, str_of(cases[i].escaped)),
			str_of(cases[i].name));
		arena_deinit(&arena);
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(reads_times_in_seconds_and_rfc3339),
		TEST(refuses_with_prometheus_sentences),
		TEST(a_range_includes_its_end_and_keeps_what_was_asked),
		TEST(a_timeout_only_ever_shortens),
		TEST(selectors_need_something_to_select_by),
		TEST(undoes_the_escaping_of_label_names),
	};
	return TEST_RUN(tests);
}
