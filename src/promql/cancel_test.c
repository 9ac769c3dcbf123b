/* A query that nobody waits for any more ends within a bounded number of series. */
#include "promql/engine.h"
#include "promql/eval.h"

#include "base/check.h"
#include "base/memory.h"
#include "base/test.h"
#include "store/test_store.h"

#define SECOND INT64_C(1000)
#define SERIES 12000
/* Series that pass between two looks at the clock, at most. */
#define SERIES_PER_LOOK (EVAL_WORK_MAX / EVAL_WORK_EACH)

static struct late {
	struct test_store inner;
	struct store store;
	struct store_ops store_ops;
	struct series_set_ops set_ops;
	struct clock clock;
	size_t reads;
	size_t reads_max; /* From this read on the query is late. */
} late;

static int late_read(struct series_set *set, struct sample_column *column, struct err *err) {
	if (++late.reads == late.reads_max) {
		clock_advance_ms(&late.clock, 10 * SECOND);
	}
	return test_set_read(set, column, err);
}

static int late_select(struct store *store UNUSED, const struct select_request *request,
	struct arena *arena, struct series_set **out, struct err *err) {
	int rc = test_store_select(&late.inner.store, request, arena, out, err);

	late.set_ops = *(*out)->ops;
	late.set_ops.read = late_read;
	(*out)->ops = &late.set_ops;
	return rc;
}

static int setup(void **state UNUSED) {
	clock_init_manual(&late.clock, 1000);
	test_store_init(&late.inner);
	late.store_ops.select = late_select;
	late.store.ops = &late.store_ops;
	for (size_t i = 0; i < SERIES; i++) {
		struct arena *arena = &late.inner.arena;
		struct label pairs[] = { { LABEL_NAME, STR("x") },
			{ STR("instance"), arena_printf(arena, "%zu", i * 7919 % SERIES) },
			{ STR("job"), arena_printf(arena, "%zu", i % 7) },
			{ STR("le"), arena_printf(arena, "%zu", i % 5) } };
		struct labels labels;

		CHECK(labels_build(arena, pairs, ARRAY_COUNT(pairs), &labels, NULL) == 0);
		test_series_add(
			test_store_series(&late.inner, &labels), 100 * SECOND, (double)(i % 977));
	}
	return 0;
}

static int teardown(void **state UNUSED) {
	test_store_deinit(&late.inner);
	return 0;
}

static const char *const queries[] = {
	"x",
	"sort_desc(x)",
	"sort_by_label(x, \"instance\")",
	"-x",
	"x + 1",
	"abs(x)",
	"timestamp(x)",
	"rate(x[5m])",
	"last_over_time(x[5m])",
	"quantile_over_time(0.5, x[5m])",
	"max_over_time(abs(x)[1m:30s])",
	"x[5m]",
	"sum(x)",
	"sum by (instance) (x)",
	"avg without (instance) (x)",
	"quantile(0.5, x)",
	"stddev(x)",
	"topk(50, x)",
	"bottomk by (job) (3000, x)",
	"limitk(10, x)",
	"limit_ratio(0.5, x)",
	"count_values(\"v\", x)",
	"label_replace(x, \"y\", \"$1\", \"instance\", \"(.*)\")",
	"label_join(x, \"y\", \"-\", \"instance\", \"job\")",
	"histogram_quantile(0.9, x)",
	"absent(x)",
	"absent_over_time(x[5m])",
	"scalar(x)",
	"x and x",
	"x or abs(x)",
	"x unless abs(x)",
	"x * on (instance) group_left () abs(x)",
	"x > bool 3",
};

/* Late from the read of that number on, the query ends at one of its next looks at the clock. */
static void assert_ends_soon(struct engine *engine, const char *query, size_t reads_max) {
	static const struct parse_options all = { true, true, true };
	AUTO(expr_tree_deinit) struct expr_tree tree = { 0 };
	struct query_control control = { .deadline_ns = clock_mono_ns(&late.clock) + NS_PER_S };
	const struct query_params params = { .grid = { 120 * SECOND, 0, 1 }, .control = &control };
	struct query_result result;
	struct arena arena = { 0 };
	struct err err = { 0 };
	int rc;

	late.reads = 0;
	late.reads_max = reads_max;
	assert_ok(promql_parse(str_of(query), &all, &tree, &err), err);
	rc = engine_eval(engine, &late.store, &tree, &params, &arena, &result, &err);
	if (rc != ERR_TIMEOUT || late.reads > reads_max + SERIES_PER_LOOK) {
		fail_msg("%s, late at series %zu, ended after %zu with %d: %s", query, reads_max,
			late.reads, rc, err.text);
	}
	assert_string_equal(err.text, "query timed out in expression evaluation");
	assert_int_equal(late.inner.open_sets, 0);
	arena_deinit(&arena);
}

static void ends_within_a_bounded_number_of_series(void **state UNUSED) {
	const struct engine_options options = {
		.lookback_ms = 300 * SECOND,
		.default_subquery_step_ms = 60 * SECOND,
		.parse = { true, true, true },
		.delayed_name_removal = true,
	};
	struct engine *engine = engine_new(&options, &late.clock);

	for (size_t i = 0; i < ARRAY_COUNT(queries); i++) {
		assert_ends_soon(engine, queries[i], 1);
		assert_ends_soon(engine, queries[i], SERIES / 2);
	}
	engine_free(engine);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			ends_within_a_bounded_number_of_series, setup, teardown),
	};

	return TEST_RUN(tests);
}
