/*
 * The hub over a fleet of clusters must answer what one engine over all their series answers.
 *
 * Fixed data: cluster "a" has foo{pod="p1"} = 10 and foo{pod="p2"} = 1, cluster "b" has
 * foo{pod="p1"} = 3, foo{pod="p3"} = 1 and only_b = 7; big = 1e308 in both. Samples stand every 15
 * s from 0 to 3600 s. The ramps, t in seconds: g{pod="p1"} = t / 10 and g{pod="p2"} = 1000 - t / 20
 * in a, g{pod="p1"} = 50 + t / 7 in b; ctr{pod="p1"} = 3 t in a, ctr{pod="p1"} = 2 t in b, where
 * ctr{pod="p3"} = 5 t falls back to 0 every 400 s. The cluster label is "az".
 */
#include "base/test.h"
#include "hub/agree_test.h"

struct oracle_case {
	const char *query;
	enum exactness exactness;
};

#define SAMPLES 241 /* 3600 s / 15 s + 1 */

static void add_ramp(struct fleet *fleet, size_t cluster, const char *metric, double base,
	double slope, int64_t wrap_s) {
	int64_t times_ms[SAMPLES];
	double values[SAMPLES];
	for (size_t i = 0; i < SAMPLES; i++) {
		int64_t seconds = (int64_t)i * 15;
		times_ms[i] = seconds * 1000;
		values[i] = base + slope * (double)(wrap_s > 0 ? seconds % wrap_s : seconds);
	}
	fleet_add(fleet, cluster, metric, times_ms, values, SAMPLES);
}

static void build_fixed(struct fleet *fleet) {
	static const char *const names[] = { "a", "b" };
	fleet_init(fleet, "az", names, 2);
	add_ramp(fleet, 0, "foo{pod=\"p1\"}", 10, 0, 0);
	add_ramp(fleet, 0, "foo{pod=\"p2\"}", 1, 0, 0);
	add_ramp(fleet, 1, "foo{pod=\"p1\"}", 3, 0, 0);
	add_ramp(fleet, 1, "foo{pod=\"p3\"}", 1, 0, 0);
	add_ramp(fleet, 1, "only_b", 7, 0, 0);
	add_ramp(fleet, 0, "big", 1e308, 0, 0);
	add_ramp(fleet, 1, "big", 1e308, 0, 0);
	add_ramp(fleet, 0, "g{pod=\"p1\"}", 0, 0.1, 0);
	add_ramp(fleet, 0, "g{pod=\"p2\"}", 1000, -0.05, 0);
	add_ramp(fleet, 1, "g{pod=\"p1\"}", 50, 1.0 / 7, 0);
	add_ramp(fleet, 0, "ctr{pod=\"p1\"}", 0, 3, 0);
	add_ramp(fleet, 1, "ctr{pod=\"p1\"}", 0, 2, 0);
	add_ramp(fleet, 1, "ctr{pod=\"p3\"}", 0, 5, 400);
	fleet_sort(fleet);
}

/* The times at which the fixed data is asked. */
static const struct query_params fixed_params[] = {
	{ .grid = { 1800000, 0, 1 } },
	{ .grid = { 1800123, 0, 1 } },
	{ .grid = { 1200000, 300000, 5 }, .is_range = true },
	{ .grid = { 1200001, 37000, 20 }, .is_range = true, .end_ms = 1920000 },
	{ .grid = { -30000, 30000, 4 }, .is_range = true },
	{ .grid = { 3600000, 60000, 12 }, .is_range = true, .lookback_ms = 120000 },
	{ .grid = { 1800000, 0, 1 }, .is_range = true },
};

static void check_fixed(const struct oracle_case *cases, size_t count) {
	struct fleet fleet;
	size_t failed = 0;
	build_fixed(&fleet);
	for (size_t i = 0; i < count; i++) {
		bool is_same = true;
		for (size_t j = 0; is_same && j < ARRAY_COUNT(fixed_params); j++) {
			is_same = check_agrees(
				&fleet, cases[i].query, cases[i].exactness, &fixed_params[j]);
		}
		failed += !is_same;
	}
	fleet_deinit(&fleet);
	if (failed > 0) {
		fail_msg("%zu of %zu queries differ", failed, count);
	}
}

static void answers_fifty_known_queries_as_one_engine(void **state) {
	static const struct oracle_case cases[] = {
		/* Where others were seen to answer something else. */
		{ "max(foo) < 5", EXACT },
		{ "max(foo) == 3", EXACT },
		{ "max(foo) * -1", EXACT },
		{ "5 - max(foo)", EXACT },
		{ "topk(1, foo) < 5", EXACT },
		{ "topk(1, foo) * -1", EXACT },
		{ "count_values without (pod) (\"v\", foo)", EXACT },
		{ "count_values(\"v\", g offset 10m)", EXACT },
		{ "count_values(\"az\", foo)", EXACT },
		{ "avg(big)", LOOSE },
		{ "scalar(only_b)", EXACT },
		{ "scalar(foo{pod=\"p1\"})", EXACT },
		{ "topk(scalar(only_b), foo)", EXACT },
		{ "label_replace(foo, \"az\", \"x\", \"\", \"\")", EXACT },
		{ "label_replace(foo, \"az\", \"x\", \"pod\", \"p1\")", EXACT },
		/* Where they agreed. */
		{ "min(foo) > 2", EXACT },
		{ "max(foo) > 5", EXACT },
		{ "count_values(\"v\", foo)", EXACT },
		{ "sum(g offset 10m)", SUMMED },
		{ "avg(foo)", LOOSE },
		{ "stddev(foo)", LOOSE },
		{ "quantile(0.5, foo)", EXACT },
		{ "absent(only_b)", EXACT },
		{ "absent(nothing)", EXACT },
		{ "count(foo) by (az)", EXACT },
		{ "foo unless on(pod) only_b", EXACT },
		{ "foo * on(pod) group_left foo{az=\"b\"}", EXACT },
		{ "sum(foo) or on() vector(0)", SUMMED },
		{ "sum(nothing) or on() vector(0)", EXACT },
		{ "sum_over_time(max(foo)[10m:1m])", EXACT },
		{ "max_over_time(sum(foo)[10m:])", SUMMED },
		{ "sum(foo @ 600)", SUMMED },
		{ "sort(foo)", EXACT },
		{ "group(foo) by (az)", EXACT },
		{ "sum without (az) (foo)", SUMMED },
		{ "absent_over_time(only_b[5m])", EXACT },
		{ "timestamp(foo)", EXACT },
		{ "sum(foo{az=\"b\"})", SUMMED },
		{ "sum(foo{az!=\"b\"})", SUMMED },
		{ "sum(foo{az=\"\"})", EXACT },
		{ "bottomk(1, foo)", TIED },
		{ "rate(ctr[5m])", EXACT },
		{ "sum(rate(ctr[5m]))", SUMMED },
		{ "predict_linear(g[10m], 600)", EXACT },
		{ "-max(foo)", EXACT },
		{ "foo > bool 2", EXACT },
		{ "sum(foo > 2)", SUMMED },
		{ "count(foo > 2)", EXACT },
		{ "count(count by (pod) (foo))", EXACT },
		{ "max(max by (pod) (foo)) - 1", EXACT },
	};
	(void)state;
	assert_int_equal(ARRAY_COUNT(cases), 50);
	check_fixed(cases, ARRAY_COUNT(cases));
}

static void answers_every_row_of_the_rules_as_one_engine(void **state) {
	static const struct oracle_case cases[] = {
		/* Selectors and routing. */
		{ "foo", EXACT },
		{ "{az=\"a\"}", EXACT },
		{ "{az=~\"a|\"}", EXACT },
		{ "{az!=\"\"}", EXACT },
		{ "foo{az=~\".*\"}", EXACT },
		{ "foo{az=\"nowhere\"}", EXACT },
		{ "foo{az!~\"a|b\"}", EXACT },
		{ "{__name__=~\"foo|g\", az=\"b\"}", EXACT },
		{ "g offset -3m", EXACT },
		{ "g @ 900.5 offset 1m", EXACT },
		{ "g @ end()", EXACT },
		{ "g @ start() offset -90s", EXACT },
		{ "ctr[1m]", EXACT },
		{ "max(g)[5m:1m]", EXACT },
		{ "ctr{az=\"b\"}[2m] offset 30s", EXACT },
		{ "max_over_time(g[5m:15s])[2m:30s]", EXACT },
		/* Functions of one series. */
		{ "increase(ctr[7m] @ end())", EXACT },
		{ "irate(ctr[1m])", EXACT },
		{ "delta(g[5m])", EXACT },
		{ "resets(ctr[20m])", EXACT },
		{ "quantile_over_time(0.3, g[5m])", EXACT },
		{ "round(g, 5)", EXACT },
		{ "clamp(g, 10, time() / 10)", EXACT },
		{ "clamp_max(g, scalar(only_b) * 20)", EXACT },
		{ "clamp_max(g, scalar(foo))", EXACT },
		{ "day_of_week(g * 86400)", EXACT },
		{ "hour() + foo", EXACT },
		{ "label_replace(foo, \"p\", \"x$1\", \"pod\", \"p(.*)\")", EXACT },
		{ "label_replace(foo, \"p\", \"$1\", \"az\", \"(.*)\")", EXACT },
		{ "label_replace(foo, \"az\", \"same\", \"az\", \".*\")", EXACT },
		{ "label_join(foo, \"key\", \"-\", \"az\", \"pod\")", EXACT },
		{ "label_join(foo, \"az\", \"-\", \"az\", \"pod\")", EXACT },
		{ "sum by (key) (label_replace(foo, \"key\", \"$1\", \"az\", \"(.)\"))", SUMMED },
		{ "time() - timestamp(foo)", EXACT },
		{ "timestamp(sum(foo))", EXACT },
		{ "vector(scalar(only_b))", EXACT },
		{ "time()", EXACT },
		{ "pi() * 2", EXACT },
		{ "vector(3)", EXACT },
		{ "7", EXACT },
		{ "scalar(nothing)", EXACT },
		{ "scalar(only_b @ 60) + time()", EXACT },
		/* Aggregations. */
		{ "sum(foo)", SUMMED },
		{ "sum by (pod) (g)", SUMMED },
		{ "sum by (pod, az) (g)", EXACT },
		{ "sum without (pod) (g)", EXACT },
		{ "min by (pod) (g)", EXACT },
		{ "max without (az, pod) (g)", EXACT },
		{ "group by (pod) (g)", EXACT },
		{ "count without (az) (g)", EXACT },
		{ "avg by (pod) (g)", LOOSE },
		{ "avg without (az) (g)", LOOSE },
		{ "avg by (az) (g)", EXACT },
		{ "avg by (__name__) ({__name__=~\"foo|g\"})", LOOSE },
		{ "sum by (__name__) ({__name__=~\"foo|g\"})", SUMMED },
		{ "avg(nothing)", EXACT },
		{ "avg(g * Inf)", EXACT },
		{ "avg(big) by (az)", EXACT },
		{ "avg(big * 1.7)", LOOSE },
		{ "sum(big)", EXACT },
		{ "stdvar by (pod) (g)", LOOSE },
		{ "stddev by (az) (g)", EXACT },
		{ "quantile by (pod) (0.9, g)", EXACT },
		{ "quantile(scalar(only_b) / 10, g)", EXACT },
		{ "quantile(1.5, g)", EXACT },
		{ "topk(2, g)", EXACT },
		{ "topk by (pod) (1, g)", EXACT },
		{ "topk(9, foo)", TIED },
		{ "topk(0, foo)", EXACT },
		{ "topk(2, sum by (pod) (g))", SUMMED },
		{ "bottomk(1, g)", EXACT },
		{ "topk(scalar(only_b) - 6, g)", EXACT },
		{ "count_values by (az) (\"v\", foo)", EXACT },
		{ "count_values by (pod) (\"v\", foo)", EXACT },
		{ "count_values without (az) (\"v\", foo)", EXACT },
		{ "count_values(\"pod\", foo)", EXACT },
		{ "count_values without (az, pod) (\"pod\", foo)", EXACT },
		{ "count_values by (pod) (\"pod\", foo)", EXACT },
		{ "count_values without () (\"az\", foo)", EXACT },
		{ "limitk(2, foo * 0)", TIED },
		{ "limit_ratio(1, g)", EXACT },
		{ "limit_ratio(0.5, g)", EXACT },
		{ "limit_ratio(-0.5, g)", EXACT },
		/* On top of aggregations. */
		{ "sum(foo) > 0", SUMMED },
		{ "abs(sum(g - 500))", SUMMED },
		{ "max(g) - min(g)", EXACT },
		{ "avg(g) > 100 and avg(g) < 1e9", LOOSE },
		{ "sum(g) / count(g)", SUMMED },
		{ "sum(foo) / ignoring(az) group_right sum by (az) (foo)", SUMMED },
		/* Matching. */
		{ "foo + foo", EXACT },
		{ "foo + on(pod, az) g", EXACT },
		{ "foo + on(pod) g", EXACT },
		{ "foo{az=\"a\"} + on(pod) g{az=\"b\"}", EXACT },
		{ "foo{az=\"a\"} + g{az=\"b\"}", EXACT },
		{ "foo{az=\"a\"} unless foo{az=\"b\"}", EXACT },
		{ "foo{az=\"a\"} unless ignoring(az) foo{az=\"b\"}", EXACT },
		{ "foo + ignoring(az) foo", EXACT },
		{ "g * on(az) group_left max by (az) (foo)", EXACT },
		{ "g * on(pod) group_left(az) foo{az=\"b\"}", EXACT },
		{ "foo and g", EXACT },
		{ "foo and on(pod) only_b", EXACT },
		{ "foo and on() only_b", EXACT },
		{ "g and on(pod) foo{az=\"b\"}", EXACT },
		{ "foo or g", EXACT },
		{ "foo{az=\"a\"} or foo{az=\"b\"}", EXACT },
		{ "foo or on(pod) g", EXACT },
		{ "foo or vector(0)", EXACT },
		{ "vector(1) or foo", EXACT },
		{ "foo unless vector(1)", EXACT },
		{ "foo * on() group_left vector(3)", EXACT },
		{ "foo + fill(0) g", EXACT },
		{ "foo + on(pod) fill_left(1) g{az=\"b\"}", EXACT },
		{ "foo == bool g", EXACT },
		{ "foo > time() / 1000", EXACT },
		{ "scalar(only_b) * foo", EXACT },
		{ "2 ^ foo", EXACT },
		{ "-foo", EXACT },
		{ "-(foo + g)", EXACT },
		/* Subqueries. */
		{ "max_over_time(g[10m:37s])", EXACT },
		{ "sum_over_time(sum(g)[5m:30s])", SUMMED },
		{ "max_over_time(max(g)[5m:37s] offset 33s)", EXACT },
		{ "avg_over_time(avg(g)[5m:30s] @ 1700)", LOOSE },
		{ "max_over_time((max(g) - min(g))[5m:30s] @ end() offset -1m)", EXACT },
		{ "rate(sum(ctr{pod=\"p1\"})[5m:15s])", SUMMED },
		{ "max_over_time(sum_over_time(max(g)[2m:20s])[3m:30s])", SUMMED },
		{ "quantile_over_time(scalar(only_b) / 10, g[5m:15s])", EXACT },
		{ "count_over_time(absent(only_b{pod=\"x\"})[5m:1m])", EXACT },
		{ "absent_over_time(max(nothing)[5m:1m])", EXACT },
		{ "min_over_time(time()[5m:1m])", EXACT },
		{ "sum(max_over_time(g[5m:15s]))", SUMMED },
		/* Absence. */
		{ "absent(foo{az=\"a\"})", EXACT },
		{ "absent(foo{az=\"nowhere\"})", EXACT },
		{ "absent(nothing{az=\"a\", pod=\"x\", job=~\"y\"})", EXACT },
		{ "absent(nothing{pod=\"x\", pod=\"y\"})", EXACT },
		{ "absent(nothing{pod=\"$1\"})", EXACT },
		{ "absent(sum(nothing))", EXACT },
		{ "absent(nothing > 1)", EXACT },
		{ "absent(foo > 5)", EXACT },
		{ "absent_over_time(nothing{az=\"b\"}[5m])", EXACT },
		{ "absent_over_time(only_b{az=\"a\"}[5m])", EXACT },
		{ "absent_over_time(foo[5m:1m])", EXACT },
		{ "absent({az=\"b\", pod=\"nothing\"})", EXACT },
		/* Order. */
		{ "sort_desc(g)", EXACT },
		{ "sort(sum by (pod) (g))", SUMMED },
		{ "sort_by_label(foo, \"az\", \"pod\")", EXACT },
		{ "sort_by_label_desc(foo, \"az\", \"pod\")", EXACT },
		/* The query's own grid. */
		{ "start() + end() + range() + step()", EXACT },
		{ "foo + step()", EXACT },
		{ "max_over_time(g[range() + 1m:step() + 15s])", EXACT },
		{ "sum(g offset (step() + 30s))", SUMMED },
		{ "\"text\"", EXACT },
	};
	(void)state;
	check_fixed(cases, ARRAY_COUNT(cases));
}

/* Asks at all the fixed times. */
static void check_all(struct fleet *fleet, const char *const *queries, size_t count) {
	size_t failed = 0;
	for (size_t i = 0; i < count; i++) {
		for (size_t j = 0; j < ARRAY_COUNT(fixed_params); j++) {
			failed += !check_agrees(fleet, queries[i], EXACT, &fixed_params[j]);
		}
	}
	assert_int_equal(failed, 0);
}

/* What a cluster tells apart by a label that the hub replaces may be one series for the hub. */
static void series_that_take_turns_under_a_stored_label_are_one(void **state) {
	static const char *const names[] = { "a", "b" };
	static const char *const queries[] = {
		"sum by (pod, az) (early) or -late",
		"-late or sum by (pod, az) (early)",
		"count(sum by (pod, az) (early) or -late)",
	};
	struct fleet fleet;
	(void)state;
	fleet_init(&fleet, "az", names, 2);
	add_ramp(&fleet, 0, "late{pod=\"p1\",az=\"stored\"}", 0, 1, 0);
	add_ramp(&fleet, 1, "late{pod=\"p1\"}", 0, 2, 0);
	const int64_t times_ms[] = { 1000000, 1200000, 1400000 };
	const double values[] = { 1, 2, 3 };
	fleet_add(&fleet, 0, "early{pod=\"p1\"}", times_ms, values, ARRAY_COUNT(values));
	fleet_sort(&fleet);
	check_all(&fleet, queries, ARRAY_COUNT(queries));
	fleet_deinit(&fleet);
}

/* Infinite sums of finite values in both directions: then the order of adding decides. */
static void sums_that_overflow_are_done_from_the_values(void **state) {
	static const char *const names[] = { "a", "b" };
	static const char *const queries[] = {
		"sum(huge)",
		"sum by (pod) (huge)",
		"avg(huge)",
		"sum(huge) - sum(infinite)",
		"sum(infinite)",
		"avg(infinite)",
		"sum(huge) / count(huge)",
	};
	struct fleet fleet;
	(void)state;
	fleet_init(&fleet, "az", names, 2);
	add_ramp(&fleet, 0, "huge{pod=\"p1\"}", 1e308, 0, 0);
	add_ramp(&fleet, 0, "huge{pod=\"p2\"}", 1e308, 0, 0);
	add_ramp(&fleet, 1, "huge{pod=\"p1\"}", -1e308, 0, 0);
	add_ramp(&fleet, 1, "huge{pod=\"p2\"}", -1e308, 0, 0);
	add_ramp(&fleet, 0, "infinite", (double)INFINITY, 0, 0);
	add_ramp(&fleet, 1, "infinite", 5, 0, 0);
	fleet_sort(&fleet);
	check_all(&fleet, queries, ARRAY_COUNT(queries));
	fleet_deinit(&fleet);
}

/* Asks for the sum of foo, where requests may fail; returns the answer's warnings. */
static struct annotations ask_partly(
	struct fleet *fleet, const char *query, bool abort, struct arena *arena, struct err *err) {
	struct source_answer answer = { 0 };
	int rc = fleet_query(fleet, str_of(query), &fixed_params[0], abort, arena, &answer, err);
	return rc < 0 ? (struct annotations){ 0 } : answer.result.notes;
}

static void a_missing_cluster_is_named_once_with_the_reason(void **state) {
	struct arena arena = { 0 };
	struct err err = { 0 };
	struct fleet fleet;
	(void)state;
	build_fixed(&fleet);
	fleet.down[1] = "the link is down: no route";
	struct annotations notes = ask_partly(&fleet, "sum(foo) / count(foo)", false, &arena, &err);
	assert_int_equal(notes.count, 1);
	assert_str_equal(notes.items[0].text,
		STR("cluster \"b\" is missing from this answer: the link is down: no route"));
	(void)ask_partly(&fleet, "sum(foo)", true, &arena, &err);
	assert_string_equal(err.text, "cluster \"b\": the link is down: no route");
	notes = ask_partly(&fleet, "sum(foo{az=\"a\"})", true, &arena, &err);
	assert_int_equal(notes.count, 0);
	fleet.down[1] = NULL;
	fleet.is_broken[0] = true;
	notes = ask_partly(&fleet, "sum(foo)", false, &arena, &err);
	assert_int_equal(notes.count, 1);
	assert_non_null(strstr(notes.items[0].text.ptr, "cluster \"a\" is missing"));
	arena_deinit(&arena);
	fleet_deinit(&fleet);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(answers_fifty_known_queries_as_one_engine),
		TEST(answers_every_row_of_the_rules_as_one_engine),
		TEST(series_that_take_turns_under_a_stored_label_are_one),
		TEST(sums_that_overflow_are_done_from_the_values),
		TEST(a_missing_cluster_is_named_once_with_the_reason),
	};
	return TEST_RUN(tests);
}
