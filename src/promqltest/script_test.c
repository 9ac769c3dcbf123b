#include "promqltest/promqltest.h"
#include "promqltest/script.h"

#include "base/test.h"

static const struct promqltest_options all_features = { .parse = { true, true, true } };

static void assert_refused(const char *text, const char *sentence) {
	AUTO(buf_deinit) struct buf out = { 0 };
	struct promqltest_count count = { 0 };
	struct err err = { 0 };
	int rc = promqltest_run("x.test", str_of(text), &all_features, &out, &count, &err);

	assert_true(rc < 0);
	assert_string_equal(err.text, sentence);
	assert_int_equal(count.passed + count.failed + count.skipped, 0);
}

static void run(const char *text, struct buf *out, struct promqltest_count *count) {
	struct err err = { 0 };

	assert_ok(promqltest_run("x.test", str_of(text), &all_features, out, count, &err), err);
}

static void says_where_a_script_is_malformed(void **state) {
	(void)state;
	assert_refused("load 5m\n  a 1\n\nfoo\n",
		"x.test:4: \"foo\" is none of load, load_with_nhcb, eval and clear");
	assert_refused("load 5x\n", "x.test:1: not a valid duration string: \"5x\"");
	assert_refused("load 5m extra\n", "x.test:1: unexpected \"extra\" after the duration");
	assert_refused("load 5m\n  a 1 two\n", "x.test:2: \"two\" is no value");
	assert_refused("load 5m\n  a{b!=\"c\"} 1\n", "x.test:2: \"a{b!=\"c\"}\" is no series");
	assert_refused(
		"eval sometimes at 5m a\n", "x.test:1: \"sometimes\" instead of instant or range");
	assert_refused("eval instant at 5m\n", "x.test:1: there is no query");
	assert_refused("eval range from 1m to 0 step 1m a\n",
		"x.test:1: a range needs a step above 0 and an end that is not before its start");
	assert_refused("eval instant at 0 a\n  expect joy\n",
		"x.test:2: \"expect joy\" is no expectation");
	assert_refused("eval instant at 0 a\n  expect string a\n",
		"x.test:2: expect string needs one in quotes");
}

static void refuses_what_is_no_histogram(void **state) {
	(void)state;
	assert_refused("load 5m\n  a {{sum:x}}\n", "x.test:2: \"x\" is no number");
	assert_refused("load 5m\n  a {{joy:1}}\n", "x.test:2: a histogram has no \"joy\"");
	assert_refused("load 5m\n  a {{schema:9}}\n", "x.test:2: schema 9 is none of -53, -4 to 8");
	assert_refused("load 5m\n  a {{schema:-53 custom_values:[2 1] buckets:[1]}}\n",
		"x.test:2: custom_values must ascend");
	assert_refused("load 5m\n  a {{schema:-53 custom_values:[1] buckets:[1 2 3]}}\n",
		"x.test:2: more buckets than custom_values and one");
	assert_refused("load 5m\n  a {{sum:1\n", "x.test:2: \"{{sum:1\" is no histogram: {{...}}");
}

static void refuses_start_timestamps_without_their_values(void **state) {
	(void)state;
	assert_refused("load 1m\n  a@st -1m\n  b 1\n",
		"x.test:3: start timestamp 1 (@st) has no value of its series");
	assert_refused("load 1m\n  a@st -1m -1m\n  a 1\n",
		"x.test:3: start timestamp 2 (@st) has no value of its series");
	assert_refused("load 1m\n  a 1 _\n  a@st _ 0\n",
		"x.test:3: start timestamp 2 (@st) has no value of its series");
	assert_refused("load 1m\n  a@st -1m5\n  a 1\n", "x.test:2: \"-1m5\" is no start timestamp");
	assert_refused("load 1m\n  a@st -\n  a 1\n", "x.test:2: \"-\" is no start timestamp");
	assert_refused(
		"load 1m\n  a@st -1m+x3\n  a 1\n", "x.test:2: \"-1m+x3\" is no start timestamp");
	assert_refused("load 1m\n  a@st -1mx20000\n  a 1\n", "x.test:2: more than 20000 values");
}

static void looks_at_start_timestamps_only_where_that_is_switched_on(void **state) {
	const char *text = "load 1m\n  a_total _ 3 4\n  a_total@st _ -5s -5s\n\n"
			   "eval instant at 2m resets(a_total[2m])\n  {} 1\n\n"
			   "eval instant at 2m start_timestamp(a_total)\n  {} 115\n";
	struct promqltest_options options = all_features;
	AUTO(buf_deinit) struct buf out = { 0 };
	struct promqltest_count count = { 0 };
	struct err err = { 0 };

	(void)state;
	run(text, &out, &count);
	assert_int_equal(count.passed, 0);
	assert_int_equal(count.failed, 2);
	assert_non_null(strstr(buf_text(&out), "got {} 0"));
	options.use_start_timestamps = true;
	assert_ok(promqltest_run("x.test", str_of(text), &options, &out, &count, &err), err);
	assert_int_equal(count.passed, 2);
}

static void bounds_what_a_script_may_ask_for(void **state) {
	(void)state;
	assert_refused("load 1s\n  a 1x20000\n", "x.test:2: more than 20000 values");
	assert_refused(
		"eval range from 0 to 11000s step 1s a\n", "x.test:1: more than 11000 steps");
}

static void says_what_was_expected_and_what_came(void **state) {
	AUTO(buf_deinit) struct buf out = { 0 };
	struct promqltest_count count = { 0 };

	(void)state;
	run("load 5m\n  a{b=\"c\"} 1\n\neval instant at 0 a\n  a{b=\"c\"} 2\n", &out, &count);
	assert_int_equal(count.failed, 1);
	assert_string_equal(
		buf_text(&out), "x.test:4: expected a{b=\"c\"} 2, got a{b=\"c\"} 1: a at 0 ms\n");
}

static void counts_a_failure_that_was_expected_as_passed(void **state) {
	AUTO(buf_deinit) struct buf out = { 0 };
	struct promqltest_count count = { 0 };

	(void)state;
	run("eval instant at 0 1 +\n  expect fail\n\neval_fail instant at 0 sum(\n\n"
	    "eval instant at 0 1\n  expect fail\n",
		&out, &count);
	assert_int_equal(count.passed, 2);
	assert_int_equal(count.failed, 1);
	assert_string_equal(
		buf_text(&out), "x.test:6: expected an error, got a result: 1 at 0 ms\n");
}

static void runs_only_the_line_that_was_asked_for(void **state) {
	struct promqltest_options options = all_features;
	AUTO(buf_deinit) struct buf out = { 0 };
	struct promqltest_count count = { 0 };
	struct err err = { 0 };

	(void)state;
	options.only_line = 4;
	assert_ok(promqltest_run("x.test",
			  STR("eval instant at 0 1\n  2\n\neval instant at 0 1\n  1\n"), &options,
			  &out, &count, &err),
		err);
	assert_int_equal(count.passed, 1);
	assert_int_equal(count.failed, 0);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(says_where_a_script_is_malformed),
		TEST(refuses_what_is_no_histogram),
		TEST(refuses_start_timestamps_without_their_values),
		TEST(looks_at_start_timestamps_only_where_that_is_switched_on),
		TEST(bounds_what_a_script_may_ask_for),
		TEST(says_what_was_expected_and_what_came),
		TEST(counts_a_failure_that_was_expected_as_passed),
		TEST(runs_only_the_line_that_was_asked_for),
	};
	return TEST_RUN(tests);
}
