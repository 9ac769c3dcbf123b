#include "promql/engine.h"

#include "base/check.h"
#include "base/rand.h"
#include "base/test.h"
#include "store/test_store.h"

#include <inttypes.h>
#include <math.h>

#define SECOND INT64_C(1000)
#define MINUTE (60 * SECOND)

static const struct parse_options parse_all = { true, true, true };

struct fixture {
	struct test_store store;
	struct clock clock;
	struct engine *engine;
	struct arena arena;
	struct err err;
};

static struct engine_options options_of_tests(void) {
	return (struct engine_options){
		.lookback_ms = 5 * MINUTE,
		.default_subquery_step_ms = MINUTE,
		.samples_max = 1000000,
		.query_bytes_max = 64 << 20,
		.process_bytes_max = 128 << 20,
		.parse = parse_all,
	};
}

static void set_options(struct fixture *f, const struct engine_options *options) {
	engine_free(f->engine);
	f->engine = engine_new(options, &f->clock);
}

static int setup(void **state) {
	const struct engine_options options = options_of_tests();
	struct fixture *f = MEMORY_NEW(struct fixture, 1);

	clock_init_manual(&f->clock, 1000);
	test_store_init(&f->store);
	set_options(f, &options);
	*state = f;
	return 0;
}

static int teardown(void **state) {
	struct fixture *f = *state;

	engine_free(f->engine);
	test_store_deinit(&f->store);
	arena_deinit(&f->arena);
	free(f);
	return 0;
}

static struct test_series *add_series(
	struct fixture *f, const char *name, const char *job, const char *le) {
	const struct label pairs[] = { { LABEL_NAME, str_of(name) }, { STR("job"), str_of(job) },
		{ STR("le"), str_of(le) } };
	struct labels labels;

	assert_ok(labels_build(&f->arena, pairs, 3, &labels, &f->err), f->err);
	return test_store_series(&f->store, &labels);
}

/* A counter that grows by 'step' each 15 s for an hour. */
static void add_counter(struct fixture *f, const char *name, const char *job, double step) {
	struct test_series *series = add_series(f, name, job, "");

	for (int64_t i = 0; i <= 240; i++) {
		test_series_add(series, i * 15 * SECOND, (double)i * step);
	}
}

static int eval_on(struct fixture *f, const char *query, const struct query_params *params,
	struct query_result *result) {
	AUTO(expr_tree_deinit) struct expr_tree tree = { 0 };

	assert_ok(promql_parse(str_of(query), &parse_all, &tree, &f->err), f->err);
	int rc = engine_eval(f->engine, &f->store.store, &tree, params, &f->arena, result, &f->err);

	assert_int_equal(f->store.open_sets, 0);
	return rc;
}

static int eval_at(
	struct fixture *f, const char *query, int64_t time_ms, struct query_result *result) {
	const struct query_params params = { .grid = { time_ms, 0, 1 } };

	return eval_on(f, query, &params, result);
}

static int eval_range(struct fixture *f, const char *query, const struct grid *grid,
	struct query_result *result) {
	const struct query_params params = { .grid = *grid, .is_range = true };

	return eval_on(f, query, &params, result);
}

/* Any evaluation gives, step by step, what it gives at each step alone. */

#define RANDOM_STEPS 40

static double random_value(struct rand *rand, double last) {
	switch (rand_below(rand, 40)) {
	case 0:
		return double_of_bits(STALE_NAN_BITS);
	case 1:
		return double_of_bits(NORMAL_NAN_BITS);
	case 2:
		return HUGE_VAL;
	case 3:
	case 4:
		return 0;
	case 5:
		return -rand_unit(rand) * 1e6;
	default:
		return (isfinite(last) ? last : 0) + floor(rand_unit(rand) * 100) / 8;
	}
}

static void fill_randomly(struct fixture *f, struct rand *rand) {
	static const char *const names[] = { "a_total", "b_total", "g", "h_bucket" };
	static const char *const jobs[] = { "x", "y", "z" };
	static const char *const bounds[] = { "", "0.5", "1", "5", "+Inf" };

	for (size_t i = 0; i < ARRAY_COUNT(names) * ARRAY_COUNT(jobs) * 5; i++) {
		bool has_le = str_equal(str_of(names[i % 4]), STR("h_bucket"));
		const char *le = bounds[i / 12];
		int64_t time_ms = (int64_t)rand_below(rand, 600) * SECOND;
		struct test_series *series;
		double value = 0;

		if (has_le == (le[0] == '\0')) {
			continue;
		}
		series = add_series(f, names[i % 4], jobs[i / 4 % 3], le);
		while (time_ms < 50 * MINUTE) {
			value = random_value(rand, value);
			test_series_add(series, time_ms, value);
			time_ms += (int64_t)(1 + rand_below(rand, 60000));
			if (rand_below(rand, 50) == 0) {
				time_ms += (int64_t)rand_below(rand, 900) * SECOND;
			}
		}
	}
}

static const struct step_column *column_of(const struct steps *steps, const struct labels *labels) {
	for (size_t i = 0; i < steps->count; i++) {
		if (labels_equal(&steps->columns[i].labels, labels)) {
			return &steps->columns[i];
		}
	}
	return NULL;
}

static bool same_bits(double a, double b) {
	return double_bits(a) == double_bits(b) || (isnan(a) && isnan(b));
}

static void check_step(const char *query, const struct steps *range, const struct steps *instant,
	size_t step, const char *seed) {
	size_t count = 0;

	for (size_t i = 0; i < range->count; i++) {
		count += step_present(&range->columns[i], step);
	}
	if (count != instant->count) {
		fail_msg("%s at step %zu: %zu series in the range, %zu alone (SEED=%s)", query,
			step, count, instant->count, seed);
	}
	for (size_t i = 0; i < instant->count; i++) {
		const struct step_column *column = column_of(range, &instant->columns[i].labels);

		if (!column || !step_present(column, step) ||
			!same_bits(column->values[step], instant->columns[i].values[0])) {
			fail_msg("%s at step %zu: %.17g in the range, %.17g alone (SEED=%s)", query,
				step, column ? column->values[step] : 0,
				instant->columns[i].values[0], seed);
		}
	}
}

static const char *const random_queries[] = {
	"g",
	"g offset 7m",
	"g offset -3m",
	"g @ 1200",
	"{__name__=~\"a_total|g\"}",
	"rate(a_total[5m])",
	"increase(a_total[7m] offset 2m)",
	"delta(g[4m])",
	"irate(a_total[3m])",
	"idelta(g[3m])",
	"deriv(g[10m])",
	"predict_linear(g[10m], 600)",
	"predict_linear(g[10m] @ 1800, 600)",
	"double_exponential_smoothing(g[10m], 0.3, 0.6)",
	"resets(a_total[20m])",
	"changes(g[20m])",
	"sum_over_time(g[5m])",
	"avg_over_time(g[5m])",
	"min_over_time(g[5m])",
	"max_over_time(g[5m])",
	"count_over_time(g[5m])",
	"stddev_over_time(g[5m])",
	"stdvar_over_time(g[5m])",
	"quantile_over_time(0.3, g[15m])",
	"mad_over_time(g[15m])",
	"first_over_time(g[5m])",
	"last_over_time({__name__=~\"a_total|g\"}[5m])",
	"present_over_time(g[1m])",
	"absent_over_time(g{job=\"x\"}[1m])",
	"ts_of_max_over_time(g[5m])",
	"ts_of_min_over_time(g[5m])",
	"absent(g{job=\"x\"})",
	"timestamp(g)",
	"timestamp(g + 1)",
	"scalar(g{job=\"x\"})",
	"vector(time())",
	"hour() + minute(g)",
	"abs(g) + ceil(g) * floor(g) - exp(g / 1e6) ^ sgn(g)",
	"round(g, 0.25)",
	"clamp(g, scalar(g{job=\"x\"}), 1000)",
	"clamp_min(g, 3) - clamp_max(g, 4)",
	"-g",
	"g > 10",
	"g > bool scalar(g{job=\"x\"})",
	"10 < g",
	"g % 7",
	"sum(g)",
	"avg by (job) (g)",
	"count without (job) ({__name__=~\"a_total|b_total\"})",
	"min(g) + max(g)",
	"stddev(g) + stdvar(g)",
	"group by (job) (g)",
	"quantile(0.7, g)",
	"count_values(\"v\", round(g / 1000))",
	"topk(2, g)",
	"bottomk by (job) (1, {__name__=~\"a_total|b_total\"})",
	"topk(scalar(g{job=\"x\"}) % 3, g)",
	"limitk(2, g)",
	"limit_ratio(0.5, {job=~\".+\"})",
	"sum by (job) (rate(a_total[5m])) / sum by (job) (rate(b_total[5m]))",
	"a_total - b_total",
	"a_total * on (job) group_left g",
	"a_total and g > 100",
	"a_total or g",
	"a_total unless on (job) g > 100",
	"a_total + on (job) fill (0) g",
	"histogram_quantile(0.9, h_bucket)",
	"histogram_quantile(0.5, sum by (le) (rate(h_bucket[5m])))",
	"histogram_fraction(0, 2, h_bucket)",
	"label_replace(g, \"to\", \"$1-x\", \"job\", \"(.).*\")",
	"label_join(g, \"to\", \"/\", \"job\", \"__name__\")",
	"max_over_time(rate(a_total[2m])[10m:1m])",
	"avg_over_time(sum(g)[7m:90s])",
	"sum_over_time((g > 10)[9m:] offset 1m)",
	"last_over_time(max_over_time(g[3m])[10m:37s] @ 1500)",
	"sum(g) + sum(g @ 900)",
	"g + 0 * time()",
};

static const char *seed_text(void) {
	const char *seed = getenv("SEED"); // NOLINT(concurrency-mt-unsafe): tests only

	return seed ? seed : "1";
}

static void check_query(struct fixture *f, const char *query, const char *seed) {
	const struct grid grid = { 3 * MINUTE, 77 * SECOND, RANDOM_STEPS };
	struct query_result range;
	int rc = eval_range(f, query, &grid, &range);

	/* A failure must be one step's alone, too. */
	bool fails = false;

	for (size_t i = 0; i < grid.count; i++) {
		struct query_result instant;
		int step_rc = eval_at(f, query, grid_time(&grid, i), &instant);

		fails |= step_rc < 0;
		if (rc == 0 && step_rc == 0) {
			check_step(query, &range.steps, &instant.steps, i, seed);
		}
	}
	if (fails != (rc < 0)) {
		fail_msg("%s: %s in the range, %s at its steps (SEED=%s): %s", query,
			rc < 0 ? "fails" : "passes", fails ? "fails" : "passes", seed, f->err.text);
	}
}

static void a_range_is_its_steps(void **state) {
	struct fixture *f = *state;
	struct engine_options options = options_of_tests();
	struct rand rand;

	rand_init(&rand, strtoull(seed_text(), NULL, 10));
	fill_randomly(f, &rand);
	for (int delayed = 0; delayed < 2; delayed++) {
		options.delayed_name_removal = delayed;
		set_options(f, &options);
		for (size_t i = 0; i < ARRAY_COUNT(random_queries); i++) {
			check_query(f, random_queries[i], seed_text());
			arena_reset(&f->arena);
		}
	}
}

/* Finished matrices in place of expressions. */

static bool is_marked(const struct expr *expr, struct str name) {
	return expr->kind == EXPR_SELECTOR && str_equal(expr->u.selector.metric_name, name);
}

struct replacement {
	struct str name;
	const struct steps *steps;
	size_t count;
};

static bool replace_visit(struct expr *expr, void *context) {
	struct replacement *replacement = context;

	if (is_marked(expr, replacement->name)) {
		expr->kind = EXPR_STEPS;
		memset(&expr->u, 0, sizeof(expr->u));
		expr->u.steps.steps = replacement->steps;
		replacement->count++;
	}
	return true;
}

/* Evaluates 'query' with the selector 'leaf' replaced by the matrix. */
static int eval_with(struct fixture *f, const char *query, const struct steps *steps,
	const struct grid *grid, struct query_result *result) {
	const struct query_params params = { .grid = *grid, .is_range = grid->count > 1 };
	struct replacement replacement = { STR("leaf"), steps, 0 };
	AUTO(expr_tree_deinit) struct expr_tree tree = { 0 };

	assert_ok(promql_parse(str_of(query), &parse_all, &tree, &f->err), f->err);
	expr_walk(tree.root, replace_visit, &replacement);
	assert_true(replacement.count > 0);
	return engine_eval(f->engine, NULL, &tree, &params, &f->arena, result, &f->err);
}

static void assert_same_steps(const struct steps *a, const struct steps *b) {
	assert_int_equal(a->count, b->count);
	for (size_t i = 0; i < a->count; i++) {
		assert_true(labels_equal(&a->columns[i].labels, &b->columns[i].labels));
		for (size_t k = 0; k < a->grid.count; k++) {
			assert_int_equal(
				step_present(&a->columns[i], k), step_present(&b->columns[i], k));
			assert_true(!step_present(&a->columns[i], k) ||
				    same_bits(a->columns[i].values[k], b->columns[i].values[k]));
		}
	}
}

static void a_finished_matrix_stands_for_its_expression(void **state) {
	struct fixture *f = *state;
	const struct grid grid = { 10 * MINUTE, MINUTE, 30 };
	struct query_result inner;
	struct query_result whole;
	struct query_result split;

	add_counter(f, "requests_total", "a", 3);
	add_counter(f, "requests_total", "b", 5);
	assert_ok(eval_range(f, "rate(requests_total[5m])", &grid, &inner), f->err);
	assert_ok(eval_range(f, "sum(rate(requests_total[5m])) * 2 > 1", &grid, &whole), f->err);
	assert_ok(eval_with(f, "sum(leaf) * 2 > 1", &inner.steps, &grid, &split), f->err);
	assert_same_steps(&whole.steps, &split.steps);
}

static void a_finished_matrix_may_stand_in_a_subquery(void **state) {
	struct fixture *f = *state;
	const struct grid grid = { 20 * MINUTE, 2 * MINUTE, 10 };
	const struct grid inner_grid = { 9 * MINUTE, MINUTE, 30 };
	struct query_result inner;
	struct query_result whole;
	struct query_result split;

	add_counter(f, "requests_total", "a", 3);
	add_counter(f, "requests_total", "b", 5);
	assert_ok(eval_range(f, "rate(requests_total[5m])", &inner_grid, &inner), f->err);
	assert_ok(eval_range(f, "max_over_time(rate(requests_total[5m])[10m:1m])", &grid, &whole),
		f->err);
	assert_ok(eval_with(f, "max_over_time(leaf[10m:1m])", &inner.steps, &grid, &split), f->err);
	assert_same_steps(&whole.steps, &split.steps);
}

static void a_finished_matrix_is_not_looked_back_into(void **state) {
	struct fixture *f = *state;
	const struct grid grid = { 0, MINUTE, 3 };
	struct step_column column;
	struct steps steps = { .grid = grid, .columns = &column, .count = 1 };
	struct query_result result;

	assert_ok(step_column_build(&f->arena, 3, &column, &f->err), f->err);
	step_set(&column, 0, 7);
	step_set(&column, 2, 9);
	assert_ok(eval_with(f, "leaf + 1", &steps, &grid, &result), f->err);
	assert_int_equal(result.steps.count, 1);
	assert_true(result.steps.columns[0].values[0] == 8);
	assert_false(step_present(&result.steps.columns[0], 1));
	assert_true(step_present(&result.steps.columns[0], 2));
}

static void every_second_step_of_a_finished_matrix_will_do(void **state) {
	struct fixture *f = *state;
	const struct grid fine = { 0, MINUTE, 5 };
	const struct grid coarse = { MINUTE, 2 * MINUTE, 2 };
	struct step_column column;
	struct steps steps = { .grid = fine, .columns = &column, .count = 1 };
	struct query_result result;

	assert_ok(step_column_build(&f->arena, 5, &column, &f->err), f->err);
	for (size_t i = 0; i < 5; i++) {
		step_set(&column, i, (double)i);
	}
	assert_ok(eval_with(f, "leaf", &steps, &coarse, &result), f->err);
	assert_true(result.steps.columns[0].values[0] == 1);
	assert_true(result.steps.columns[0].values[1] == 3);
}

static void refuses_steps_that_a_finished_matrix_lacks(void **state) {
	static const struct grid wrong[] = { { 30 * SECOND, MINUTE, 2 }, { 0, 90 * SECOND, 2 },
		{ 0, MINUTE, 4 }, { -MINUTE, MINUTE, 2 } };
	struct fixture *f = *state;
	struct steps steps = { .grid = { 0, MINUTE, 3 } };
	struct query_result result;

	for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
		assert_int_equal(eval_with(f, "leaf", &steps, &wrong[i], &result), ERR_INVAL);
	}
}

/* Limits. */

static void names_the_setting_when_a_query_needs_too_much_memory(void **state) {
	struct fixture *f = *state;
	struct engine_options options = options_of_tests();
	const struct grid grid = { 0, SECOND, 3600 };
	struct query_result result;

	for (int i = 0; i < 50; i++) {
		char job[16];

		(void)snprintf(job, sizeof(job), "job%d", i);
		add_counter(f, "requests_total", job, 1);
	}
	options.query_bytes_max = 300000;
	set_options(f, &options);
	assert_int_equal(eval_range(f, "requests_total", &grid, &result), ERR_LIMIT);
	assert_non_null(strstr(f->err.text, "--query.max-memory-per-query"));
	/* What is folded as it comes needs no more than its result. */
	assert_ok(eval_range(f, "sum(rate(requests_total[1m]))", &grid, &result), f->err);

	options.query_bytes_max = 0;
	options.process_bytes_max = 300000;
	set_options(f, &options);
	assert_int_equal(eval_range(f, "requests_total", &grid, &result), ERR_LIMIT);
	assert_null(strstr(f->err.text, "--query.max-memory-per-query"));
	assert_non_null(strstr(f->err.text, "--query.max-memory"));
}

static void gives_all_memory_back(void **state) {
	struct fixture *f = *state;
	const struct grid grid = { 0, 30 * SECOND, 100 };
	struct query_result result;
	struct budget probe;

	add_counter(f, "requests_total", "a", 3);
	add_counter(f, "requests_total", "b", 3);
	assert_ok(eval_range(
			  f, "topk(1, rate(requests_total[5m])) or requests_total", &grid, &result),
		f->err);
	assert_true(result.stats.bytes_peak > 0);
	engine_budget_init(f->engine, &probe);
	assert_int_equal(budget_used(probe.parent), 0);
	budget_deinit(&probe);
}

static void refuses_too_many_samples_in_prometheus_words(void **state) {
	struct fixture *f = *state;
	struct engine_options options = options_of_tests();
	const struct grid grid = { 0, SECOND, 3600 };
	struct query_result result;

	add_counter(f, "requests_total", "a", 3);
	options.samples_max = 1000;
	set_options(f, &options);
	assert_int_equal(eval_range(f, "requests_total", &grid, &result), ERR_LIMIT);
	assert_string_equal(f->err.text,
		"query processing would load too many samples into memory in query execution");
}

static void stops_when_canceled(void **state) {
	struct fixture *f = *state;
	struct query_control control = { .canceled = true };
	const struct query_params params = { .grid = { MINUTE, 0, 1 }, .control = &control };
	struct query_result result;

	add_counter(f, "requests_total", "a", 3);
	assert_int_equal(eval_on(f, "requests_total", &params, &result), ERR_CANCELED);
	assert_string_equal(f->err.text, "query was canceled in expression evaluation");
}

static void stops_at_its_deadline(void **state) {
	struct fixture *f = *state;
	struct query_control control = { .deadline_ns = clock_mono_ns(&f->clock) + NS_PER_MS };
	const struct query_params params = { .grid = { MINUTE, 0, 1 }, .control = &control };
	struct query_result result;

	add_counter(f, "requests_total", "a", 3);
	assert_ok(eval_on(f, "requests_total", &params, &result), f->err);
	clock_advance_ms(&f->clock, 1);
	assert_int_equal(eval_on(f, "requests_total", &params, &result), ERR_TIMEOUT);
	assert_string_equal(f->err.text, "query timed out in expression evaluation");
}

/* A store that passes everything on and moves the clock with each series read. */
struct slow_store {
	struct store store;
	struct store_ops ops;
	struct fixture *f;
	struct series_set_ops set_ops;
};

static struct slow_store slow;

static int slow_next(struct series_set *set, struct err *err) {
	clock_advance_ms(&slow.f->clock, 10);
	return test_set_next(set, err);
}

static int slow_select(struct store *store, const struct select_request *request,
	struct arena *arena, struct series_set **out, struct err *err) {
	int rc = test_store_select(&slow.f->store.store, request, arena, out, err);

	(void)store;
	slow.set_ops = (struct series_set_ops){ slow_next, test_set_read, test_set_close };
	(*out)->ops = &slow.set_ops;
	return rc;
}

static void stops_in_the_middle_of_its_series(void **state) {
	struct fixture *f = *state;
	struct query_control control = { .deadline_ns =
						 clock_mono_ns(&f->clock) + 500 * NS_PER_MS };
	const struct query_params params = {
		.grid = { 0, SECOND, 3600 }, .is_range = true, .control = &control
	};
	AUTO(expr_tree_deinit) struct expr_tree tree = { 0 };
	struct query_result result;

	for (int i = 0; i < 200; i++) {
		char job[16];

		(void)snprintf(job, sizeof(job), "job%d", i);
		add_counter(f, "requests_total", job, 1);
	}
	slow = (struct slow_store){ .ops = { .select = slow_select }, .f = f };
	slow.store.ops = &slow.ops;
	assert_ok(promql_parse(STR("sum(rate(requests_total[5m]))"), &parse_all, &tree, &f->err),
		f->err);
	assert_int_equal(
		engine_eval(f->engine, &slow.store, &tree, &params, &f->arena, &result, &f->err),
		ERR_TIMEOUT);
	assert_int_equal(f->store.open_sets, 0);
	/* Not the last series, by far. */
	assert_true(f->store.read_samples < 180 * 241);
}

/* Results. */

static void a_result_outlives_the_store(void **state) {
	struct fixture *f = *state;
	struct query_result result;

	add_counter(f, "requests_total", "a", 3);
	assert_ok(eval_at(f, "requests_total", MINUTE, &result), f->err);
	test_store_deinit(&f->store);
	assert_str_equal(labels_get(&result.steps.columns[0].labels, STR("job")), STR("a"));
}

static void gives_raw_samples_of_a_range_vector(void **state) {
	struct fixture *f = *state;
	struct query_result result;

	add_counter(f, "requests_total", "b", 3);
	add_counter(f, "requests_total", "a", 3);
	assert_ok(eval_at(f, "requests_total[1m]", 2 * MINUTE, &result), f->err);
	assert_int_equal(result.type, VALUE_MATRIX);
	assert_int_equal(result.raw_count, 2);
	assert_str_equal(labels_get(&result.raw[0].labels, STR("job")), STR("a"));
	assert_int_equal(result.raw[0].count, 4);
	assert_int_equal(result.raw[0].times_ms[0], 75 * SECOND);
	assert_int_equal(result.raw[0].times_ms[3], 120 * SECOND);
}

static void gives_a_string(void **state) {
	struct fixture *f = *state;
	struct query_result result;

	assert_ok(eval_at(f, "(\"text\")", 0, &result), f->err);
	assert_int_equal(result.type, VALUE_STRING);
	assert_str_equal(result.string, STR("text"));
}

static void sorts_the_series_of_a_range(void **state) {
	struct fixture *f = *state;
	const struct grid grid = { MINUTE, MINUTE, 2 };
	struct query_result result;

	add_counter(f, "requests_total", "b", 3);
	add_counter(f, "requests_total", "a", 3);
	assert_ok(eval_range(f, "requests_total", &grid, &result), f->err);
	assert_str_equal(labels_get(&result.steps.columns[0].labels, STR("job")), STR("a"));
	assert_false(result.is_ordered);
	assert_ok(eval_at(f, "sort_desc(requests_total)", MINUTE, &result), f->err);
	assert_true(result.is_ordered);
}

static void the_end_of_a_range_may_lie_past_its_last_step(void **state) {
	struct fixture *f = *state;
	const struct query_params params = {
		.grid = { 0, MINUTE, 2 }, .end_ms = 90 * SECOND, .is_range = true
	};
	struct query_result result;

	add_counter(f, "requests_total", "a", 1);
	assert_ok(eval_on(f, "requests_total @ end()", &params, &result), f->err);
	assert_true(result.steps.columns[0].values[0] == 6);
	assert_ok(eval_on(f, "vector(range())", &params, &result), f->err);
	assert_true(result.steps.columns[0].values[1] == 90);
}

static void counts_the_samples_that_were_used(void **state) {
	struct fixture *f = *state;
	const struct grid grid = { 10 * MINUTE, MINUTE, 5 };
	struct query_result result;

	add_counter(f, "requests_total", "a", 1);
	assert_ok(eval_range(f, "requests_total", &grid, &result), f->err);
	assert_int_equal(result.stats.samples, 5);
	assert_ok(eval_range(f, "rate(requests_total[1m])", &grid, &result), f->err);
	assert_int_equal(result.stats.samples, 5 * 4);
	assert_ok(eval_range(f, "requests_total @ 600", &grid, &result), f->err);
	assert_int_equal(result.stats.samples, 5);
	assert_true(result.stats.samples_peak >= 5);
}

static void notes_have_a_place_and_come_once(void **state) {
	struct fixture *f = *state;
	struct query_result result;

	add_counter(f, "requests", "a", 1);
	add_counter(f, "requests", "b", 1);
	assert_ok(eval_at(f, "quantile(2,\n  rate(requests[5m]))", 10 * MINUTE, &result), f->err);
	assert_int_equal(result.notes.count, 2);
	assert_true(result.notes.items[0].is_info);
	assert_str_equal(result.notes.items[0].text,
		STR("PromQL info: metric might not be a counter, name does not end in "
		    "_total/_sum/_count/_bucket: \"requests\" (2:8)"));
	assert_false(result.notes.items[1].is_info);
	assert_str_equal(result.notes.items[1].text,
		STR("PromQL warning: quantile value should be between 0 and 1, got 2 (1:10)"));
}

static void times_out_of_range_are_refused(void **state) {
	struct fixture *f = *state;
	struct query_result result;

	assert_int_equal(eval_at(f, "up", INT64_MAX, &result), ERR_INVAL);
	assert_int_equal(eval_at(f, "up @ 9e14", 0, &result), ERR_INVAL);
}

static void a_subquery_of_too_many_steps_is_a_matter_of_memory(void **state) {
	struct fixture *f = *state;
	struct query_result result;

	add_counter(f, "requests_total", "a", 1);
	assert_int_equal(
		eval_at(f, "sum_over_time(requests_total[290y:1ms])", MINUTE, &result), ERR_LIMIT);
}

/* A comparison leaves the first series without a value, as it has nothing but histograms. */
static void a_subquery_forgets_the_histograms_of_the_series_before(void **state) {
	static const struct histogram histogram = { .count = 1, .sum = 2 };
	struct fixture *f = *state;
	struct test_series *series = add_series(f, "mixed", "a", "");
	struct query_result result;

	for (int64_t i = 0; i < 40; i++) {
		test_series_put(series, i * 15 * SECOND, 0, &histogram);
	}
	add_counter(f, "mixed", "b", 2);
	assert_ok(eval_at(f, "sum_over_time((mixed != -1)[5m:1m])", 10 * MINUTE, &result), f->err);
	assert_int_equal(result.steps.count, 1);
	assert_true(result.steps.columns[0].values[0] == 2 * 4 * (6 + 7 + 8 + 9 + 10));
}

#define TEST_FIXTURE(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST_FIXTURE(a_range_is_its_steps),
		TEST_FIXTURE(a_finished_matrix_stands_for_its_expression),
		TEST_FIXTURE(a_finished_matrix_may_stand_in_a_subquery),
		TEST_FIXTURE(a_finished_matrix_is_not_looked_back_into),
		TEST_FIXTURE(every_second_step_of_a_finished_matrix_will_do),
		TEST_FIXTURE(refuses_steps_that_a_finished_matrix_lacks),
		TEST_FIXTURE(names_the_setting_when_a_query_needs_too_much_memory),
		TEST_FIXTURE(gives_all_memory_back),
		TEST_FIXTURE(refuses_too_many_samples_in_prometheus_words),
		TEST_FIXTURE(stops_when_canceled),
		TEST_FIXTURE(stops_at_its_deadline),
		TEST_FIXTURE(stops_in_the_middle_of_its_series),
		TEST_FIXTURE(a_result_outlives_the_store),
		TEST_FIXTURE(gives_raw_samples_of_a_range_vector),
		TEST_FIXTURE(gives_a_string),
		TEST_FIXTURE(sorts_the_series_of_a_range),
		TEST_FIXTURE(the_end_of_a_range_may_lie_past_its_last_step),
		TEST_FIXTURE(counts_the_samples_that_were_used),
		TEST_FIXTURE(notes_have_a_place_and_come_once),
		TEST_FIXTURE(times_out_of_range_are_refused),
		TEST_FIXTURE(a_subquery_of_too_many_steps_is_a_matter_of_memory),
		TEST_FIXTURE(a_subquery_forgets_the_histograms_of_the_series_before),
	};
	return TEST_RUN(tests);
}
