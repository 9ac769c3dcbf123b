#include "hub/plan.h"

#include "base/test.h"

static const struct str clusters[] = { { "a", 1 }, { "b", 1 }, { "c", 1 } };

static const struct plan_options over_three = {
	.clusters = clusters,
	.cluster_count = 3,
	.cluster_label = { "cluster", 7 },
};

static const struct query_params instant = { .grid = { 1000000, 0, 1 } };
static const struct query_params range = { .grid = { 1000000, 30000, 3 }, .is_range = true };

/* Plans and appends the dump, or the error. */
static void plan_text(const char *query, const struct query_params *params, struct buf *out) {
	const struct engine_options options = {
		.lookback_ms = 300000,
		.default_subquery_step_ms = 60000,
		.samples_max = 1000000,
		.query_bytes_max = 1 << 30,
		.process_bytes_max = 1 << 30,
		.parse = { true, true, true },
	};
	struct engine *engine = engine_new(&options, clock_system());
	struct expr_tree tree = { 0 };
	struct plan plan = { 0 };
	struct err err = { 0 };
	assert_ok(promql_parse(str_of(query), &options.parse, &tree, &err), err);
	assert_ok(engine_prepare(engine, &tree, params, &err), err);
	if (plan_build(&tree, params, &over_three, &plan, &err) < 0) {
		buf_add_text(out, err.text);
	} else {
		plan_dump(&plan, &tree, &over_three, out);
	}
	expr_tree_deinit(&tree);
	engine_free(engine);
}

struct plan_case {
	const char *query;
	const char *plan;
};

static void check_plans(
	const struct plan_case *cases, size_t count, const struct query_params *params) {
	size_t failed = 0;
	for (size_t i = 0; i < count; i++) {
		struct buf got = { 0 };
		plan_text(cases[i].query, params, &got);
		if (strcmp(buf_text(&got), cases[i].plan) != 0) {
			print_message("%s\n got  %s\n want %s\n", cases[i].query, buf_text(&got),
				cases[i].plan);
			failed++;
		}
		buf_deinit(&got);
	}
	assert_int_equal(failed, 0);
}

/* What is asked of all clusters and is the answer as it comes. */
#define ALL(text) "a b c <- " text "\nhub: <" text ">\n"

static void sends_whole_what_keeps_the_cluster(void **state) {
	static const struct plan_case cases[] = {
		{ "up", ALL("up") },
		{ "up @ 12 offset 1m", ALL("up @ 12.000 offset 1m") },
		{ "rate(up[5m])", ALL("rate(up[5m])") },
		{ "sum by (cluster, job) (rate(up[5m]))", ALL("sum by (job) (rate(up[5m]))") },
		{ "max without (pod) (up)", ALL("max without (pod, cluster) (up)") },
		{ "quantile by (cluster) (0.5, up)", ALL("quantile(0.5, up)") },
		{ "up + on (cluster, job) group_left down",
			ALL("up + on (job) group_left () down") },
		{ "up / down", ALL("up / ignoring (cluster) down") },
		{ "up or down", ALL("up or ignoring (cluster) down") },
		{ "max_over_time(up[1h:])", ALL("max_over_time(up[1h:1m])") },
		{ "max_over_time(up[1h:15s] offset 1m)",
			ALL("max_over_time(up[1h:15s] offset 1m)") },
		{ "label_replace(up, \"a\", \"$1\", \"b\", \"(.*)\")",
			ALL("label_replace(up, \"a\", \"$1\", \"b\", \"(.*)\")") },
		{ "histogram_quantile(0.9, sum by (le, cluster) (x))",
			ALL("histogram_quantile(0.9, sum by (le) (x))") },
		{ "clamp_max(up, 3) > time() / 2", ALL("clamp_max(up, 3) > time() / 2") },
		{ "-up ^ 2", ALL("-up ^ 2") },
		{ "timestamp(up)", ALL("timestamp(up)") },
	};
	(void)state;
	check_plans(cases, ARRAY_COUNT(cases), &instant);
}

static void routes_by_matchers_on_the_cluster(void **state) {
	static const struct plan_case cases[] = {
		{ "up{cluster=\"a\"}", "a <- up\nhub: <up>\n" },
		{ "up{cluster=~\"a|c\", job=\"x\"}",
			"a c <- up{job=\"x\"}\nhub: <up{job=\"x\"}>\n" },
		{ "up{cluster!=\"a\"}", "b c <- up\nhub: <up>\n" },
		{ "up{cluster!~\"a|b|c\"}", "<- up\nhub: <up>\n" },
		{ "up{cluster=\"\"}", "<- up\nhub: <up>\n" },
		{ "up{cluster!=\"\"}", ALL("up") },
		{ "{cluster=\"b\"}", "b <- {__name__!=\"\"}\nhub: <{__name__!=\"\"}>\n" },
		{ "sum(up{cluster=\"a\"})", "a <- sum(up)\nhub: sum(<sum(up)>)\n" },
		{ "up{cluster=\"a\"} - down{cluster=\"a\"}",
			"a <- up - ignoring (cluster) down\nhub: <up - ignoring (cluster) "
			"down>\n" },
		{ "up{cluster=\"a\"} unless down{cluster=\"b\"}",
			"a <- up\nb <- down\nhub: <up> unless <down>\n" },
	};
	(void)state;
	check_plans(cases, ARRAY_COUNT(cases), &instant);
}

static void splits_aggregations_that_lose_the_cluster(void **state) {
	static const struct plan_case cases[] = {
		{ "sum(up)", "a b c <- sum(up)\nhub: sum(<sum(up)>)\n" },
		{ "min by (job) (up)",
			"a b c <- min by (job) (up)\nhub: min by (job) (<min by (job) "
			"(up)>)\n" },
		{ "count without (cluster, pod) (up)",
			"a b c <- count without (pod, cluster) (up)\n"
			"hub: sum without (cluster, pod) (<count without (pod, cluster) (up)>)\n" },
		{ "group(up)", "a b c <- group(up)\nhub: group(<group(up)>)\n" },
		{ "topk(3, up)", "a b c <- topk(3, up)\nhub: topk(3, <topk(3, up)>)\n" },
		{ "bottomk by (job) (1, up)",
			"a b c <- bottomk by (job) (1, up)\n"
			"hub: bottomk by (job) (1, <bottomk by (job) (1, up)>)\n" },
		{ "avg by (job) (up)", "a b c <- label_replace(sum by (job) (up), "
				       "\"__atoll_part__\", \"sum\", \"\", "
				       "\"\") or label_replace(count by (job) (up), "
				       "\"__atoll_part__\", \"count\", "
				       "\"\", \"\")\n"
				       "hub: (sum by (job) (<sum>) / sum by (job) (<count>))\n" },
		{ "count_values by (job) (\"v\", up)",
			"a b c <- count_values by (job) (\"v\", up)\n"
			"hub: sum by (job, v) (<count_values by (job) (\"v\", up)>)\n" },
		{ "count_values without (pod, cluster) (\"pod\", up)",
			"a b c <- count_values without (pod, cluster) (\"pod\", up)\n"
			"hub: sum without (cluster) (<count_values without (pod, cluster) "
			"(\"pod\", "
			"up)>)\n" },
		{ "histogram_quantile(0.9, sum by (le) (rate(x[5m])))",
			"a b c <- sum by (le) (rate(x[5m]))\n"
			"hub: histogram_quantile(0.9, sum by (le) (<sum by (le) "
			"(rate(x[5m]))>))\n" },
		{ "count(count by (pod) (up))",
			"a b c <- count by (pod) (up)\n"
			"hub: count(sum by (pod) (<count by (pod) (up)>))\n" },
	};
	(void)state;
	check_plans(cases, ARRAY_COUNT(cases), &instant);
}

static void ships_values_where_no_share_is_exact(void **state) {
	static const struct plan_case cases[] = {
		{ "stddev(up)", "a b c <- up\nhub: stddev(<up>)\n" },
		{ "quantile(0.5, rate(up[5m]))",
			"a b c <- rate(up[5m])\nhub: quantile(0.5, <rate(up[5m])>)\n" },
		{ "limitk(2, up)", "a b c <- up\nhub: limitk(2, <up>)\n" },
		{ "limit_ratio by (cluster) (0.5, up)",
			"a b c <- up\nhub: limit_ratio by (cluster) (0.5, <up>)\n" },
		{ "count_values(\"cluster\", up)",
			"a b c <- up\nhub: count_values(\"cluster\", <up>)\n" },
		{ "topk(scalar(k), up)",
			"a b c <- up\na b c <- k\nhub: topk(scalar(<k>), <up>)\n" },
		{ "scalar(up)", "a b c <- up\nhub: scalar(<up>)\n" },
		{ "sort_desc(up)", "a b c <- up\nhub: sort_desc(<up>)\n" },
		{ "label_replace(up, \"cluster\", \"x\", \"\", \"\")",
			"a b c <- up\nhub: label_replace(<up>, \"cluster\", \"x\", \"\", \"\")\n" },
		{ "label_join(up, \"x\", \"-\", \"cluster\")",
			"a b c <- up\nhub: label_join(<up>, \"x\", \"-\", \"cluster\")\n" },
		{ "up * on (pod) group_left (cluster) down",
			"a b c <- up\na b c <- down\n"
			"hub: <up> * on (pod) group_left (cluster) <down>\n" },
		{ "up and on (job) down",
			"a b c <- up\na b c <- down\nhub: <up> and on (job) <down>\n" },
		{ "up or vector(0)", "a b c <- up\nhub: <up> or vector(0)\n" },
		{ "clamp_max(up, scalar(k))",
			"a b c <- up\na b c <- k\nhub: clamp_max(<up>, scalar(<k>))\n" },
	};
	(void)state;
	check_plans(cases, ARRAY_COUNT(cases), &instant);
}

static void never_goes_below_an_aggregation(void **state) {
	static const struct plan_case cases[] = {
		{ "max(foo) < 5", "a b c <- max(foo)\nhub: max(<max(foo)>) < 5\n" },
		{ "5 - max(foo)", "a b c <- max(foo)\nhub: 5 - max(<max(foo)>)\n" },
		{ "-max(foo)", "a b c <- max(foo)\nhub: -max(<max(foo)>)\n" },
		{ "topk(1, foo) * -1",
			"a b c <- topk(1, foo)\nhub: topk(1, <topk(1, foo)>) * -1\n" },
		{ "abs(sum(foo))", "a b c <- sum(foo)\nhub: abs(sum(<sum(foo)>))\n" },
		{ "sum(foo) / count(foo)", "a b c <- sum(foo)\na b c <- count(foo)\n"
					   "hub: sum(<sum(foo)>) / sum(<count(foo)>)\n" },
		{ "sum(foo) or on () vector(0)",
			"a b c <- sum(foo)\nhub: sum(<sum(foo)>) or on () vector(0)\n" },
	};
	(void)state;
	check_plans(cases, ARRAY_COUNT(cases), &instant);
}

static void asks_for_presence_where_absence_is_the_question(void **state) {
	static const struct plan_case cases[] = {
		{ "absent(up{job=\"x\", pod=~\"y\"})",
			"a b c <- group(up{job=\"x\",pod=~\"y\"})\n"
			"hub: label_replace(absent(<group(up{job=\"x\",pod=~\"y\"})>), \"job\", "
			"\"x\", \"\", \"\")\n" },
		{ "absent(up{cluster=\"a\"})", "a <- group(up)\n"
					       "hub: label_replace(absent(<group(up)>), "
					       "\"cluster\", \"a\", \"\", \"\")\n" },
		{ "absent_over_time(up[5m])", "a b c <- group(present_over_time(up[5m]))\n"
					      "hub: absent(<group(present_over_time(up[5m]))>)\n" },
		{ "absent(sum(up))", "a b c <- sum(up)\nhub: absent(sum(<sum(up)>))\n" },
	};
	(void)state;
	check_plans(cases, ARRAY_COUNT(cases), &instant);
}

static void asks_the_same_only_once(void **state) {
	static const struct plan_case cases[] = {
		{ "sum(up) + sum(up)", "a b c <- sum(up)\nhub: sum(<sum(up)>) + sum(<sum(up)>)\n" },
		{ "max(up) - min(up offset 1m) - max(up)",
			"a b c <- max(up)\na b c <- min(up offset 1m)\n"
			"hub: max(<max(up)>) - min(<min(up offset 1m)>) - max(<max(up)>)\n" },
	};
	(void)state;
	check_plans(cases, ARRAY_COUNT(cases), &instant);
}

static void asks_for_a_subquery_on_its_own_grid(void **state) {
	static const struct plan_case cases[] = {
		/* Multiples of the step in (700 s, 1000 s]. */
		{ "max_over_time(sum(up)[5m:37s])",
			"a b c <- sum(up) [703000+37000x9]\n"
			"hub: max_over_time(sum(<sum(up)>)[5m:37s])\n" },
		{ "max_over_time(sum(up)[5m:] @ 500 offset 1m)",
			"a b c <- sum(up) [180000+60000x5]\n"
			"hub: max_over_time(sum(<sum(up)>)[5m:1m] @ 500.000 offset 1m)\n" },
		{ "max_over_time(sum(up)[3m:5s] @ -100)",
			"a b c <- sum(up) [-275000+5000x36]\n"
			"hub: max_over_time(sum(<sum(up)>)[3m:5s] @ -100.000)\n" },
	};
	static const struct plan_case over_a_range[] = {
		{ "sum(up)", "a b c <- sum(up) [1000000+30000x3]\nhub: sum(<sum(up)>)\n" },
		{ "up @ end() + step()", "a b c <- up @ 1060.000 + 30 [1000000+30000x3]\nhub: <up "
					 "@ 1060.000 + 30>\n" },
		{ "max_over_time(sum(up)[5m:1m])", "a b c <- sum(up) [720000+60000x6]\n"
						   "hub: max_over_time(sum(<sum(up)>)[5m:1m])\n" },
		{ "topk by (cluster) (1, up)",
			"a b c <- topk(1, up) [1000000+30000x3]\nhub: <topk(1, up)>\n" },
	};
	(void)state;
	check_plans(cases, ARRAY_COUNT(cases), &instant);
	check_plans(over_a_range, ARRAY_COUNT(over_a_range), &range);
}

static void an_instant_ranking_is_ranked_again(void **state) {
	static const struct plan_case cases[] = {
		{ "topk by (cluster) (1, up)",
			"a b c <- topk(1, up)\nhub: topk by (cluster) (1, <topk(1, up)>)\n" },
	};
	(void)state;
	check_plans(cases, ARRAY_COUNT(cases), &instant);
}

static void asks_nobody_for_constants(void **state) {
	static const struct plan_case cases[] = {
		{ "1 + time()", "hub: 1 + time()\n" },
		{ "vector(1)", "hub: vector(1)\n" },
		{ "hour()", "hub: hour()\n" },
		{ "\"text\"", "hub: \"text\"\n" },
	};
	(void)state;
	check_plans(cases, ARRAY_COUNT(cases), &instant);
}

static void refuses_a_subquery_of_too_many_steps(void **state) {
	struct buf got = { 0 };
	(void)state;
	plan_text("max_over_time(sum(up)[30d:1s])", &instant, &got);
	assert_non_null(strstr(buf_text(&got), "limit is 11000"));
	buf_deinit(&got);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(sends_whole_what_keeps_the_cluster),
		TEST(routes_by_matchers_on_the_cluster),
		TEST(splits_aggregations_that_lose_the_cluster),
		TEST(ships_values_where_no_share_is_exact),
		TEST(never_goes_below_an_aggregation),
		TEST(asks_for_presence_where_absence_is_the_question),
		TEST(asks_the_same_only_once),
		TEST(asks_for_a_subquery_on_its_own_grid),
		TEST(an_instant_ranking_is_ranked_again),
		TEST(asks_nobody_for_constants),
		TEST(refuses_a_subquery_of_too_many_steps),
	};
	return TEST_RUN(tests);
}
