/* What a query holds several times is evaluated once, and nobody can tell from the answer. */
#include "promql/engine.h"

#include "base/memory.h"
#include "base/test.h"
#include "store/test_store.h"

#include <inttypes.h>
#include <stdlib.h>

#define SECOND INT64_C(1000)
#define MINUTE (60 * SECOND)
#define SERIES 40
#define SAMPLES 240

/* In queries, what stands twice has this matcher; the same as another text has the other one. */
#define SAME "!=\"one\""
#define OTHER "!=\"two\""

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
		.threads = 2,
		.spread_min = 1,
		.parse = { true, true, true },
		.delayed_name_removal = true,
	};
}

static void add_series(struct fixture *f, size_t number) {
	static const char *const names[] = { "a_total", "b_total", "gauge", "wait_bucket" };
	static const char *const bounds[] = { "1", "5", "+Inf" };
	bool is_bucket = number % 4 == 3;
	const struct label pairs[] = { { LABEL_NAME, str_of(names[number % 4]) },
		{ STR("instance"), arena_printf(&f->arena, "%zu", number / 12) },
		{ STR("le"), is_bucket ? str_of(bounds[number / 4 % 3]) : STR_EMPTY } };
	struct test_series *series;
	struct labels labels;

	assert_ok(labels_build(&f->arena, pairs, ARRAY_COUNT(pairs), &labels, &f->err), f->err);
	series = test_store_series(&f->store, &labels);
	for (int64_t i = 0; i < SAMPLES; i++) {
		/* Buckets of the larger bounds lag, so that histograms need repairs. */
		test_series_add(series, i * 15 * SECOND + (int64_t)number,
			(double)(i % 97) * (double)(SERIES - number) + (is_bucket ? 0 : 0.5));
	}
}

static int setup(void **state) {
	const struct engine_options options = options_of_tests();
	struct fixture *f = MEMORY_NEW(struct fixture, 1);

	clock_init_manual(&f->clock, 1000);
	test_store_init(&f->store);
	for (size_t i = 0; i < SERIES; i++) {
		add_series(f, i);
	}
	f->engine = engine_new(&options, &f->clock);
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

static void set_options(struct fixture *f, const struct engine_options *options) {
	engine_free(f->engine);
	f->engine = engine_new(options, &f->clock);
}

/* The text with OTHER instead of its last SAME. */
static const char *vary(struct fixture *f, const char *query) {
	struct str copy = arena_copy(&f->arena, str_of(query));
	char *text = (char *)(uintptr_t)copy.ptr;
	char *last = NULL;

	for (char *at = strstr(text, SAME); at; at = strstr(at + 1, SAME)) {
		last = at;
	}
	assert_non_null(last);
	memcpy(last, OTHER, strlen(OTHER));
	return text;
}

static int eval_query(struct fixture *f, const char *query, bool is_range, bool explains,
	struct query_result *result) {
	const struct query_params params = {
		.grid = { 50 * MINUTE, is_range ? 7 * SECOND : 0, is_range ? 80 : 1 },
		.is_range = is_range,
		.explains = explains,
	};
	struct expr_tree tree = { 0 };
	int rc = promql_parse(
		str_of(query), &(const struct parse_options){ true, true, true }, &tree, &f->err);

	rc = rc < 0 ? rc
		    : engine_eval(f->engine, &f->store.store, &tree, &params, &f->arena, result,
			      &f->err);
	assert_int_equal(f->store.open_sets, 0);
	expr_tree_deinit(&tree);
	return rc;
}

static size_t count_again(const struct explain_node *node) {
	size_t count = 0;

	for (; node; node = node->next) {
		count += node->is_again + count_again(node->first);
	}
	return count;
}

/* How many nodes of the query were not evaluated because they had been. */
static size_t replays_of(struct fixture *f, const char *query) {
	struct query_result result = { 0 };

	assert_ok(eval_query(f, query, true, true, &result), f->err);
	return count_again(result.plan);
}

static void assert_same_steps(const struct steps *a, const struct steps *b, const char *query) {
	if (a->count != b->count) {
		fail_msg("%s: %zu series instead of %zu", query, a->count, b->count);
	}
	for (size_t i = 0; i < a->count; i++) {
		const struct step_column *left = &a->columns[i];
		const struct step_column *right = &b->columns[i];

		assert_true(labels_equal(&left->labels, &right->labels));
		for (size_t step = 0; step < a->grid.count; step++) {
			assert_int_equal(step_present(left, step), step_present(right, step));
			if (step_present(left, step)) {
				assert_memory_equal(
					&left->values[step], &right->values[step], sizeof(double));
			}
		}
	}
}

static void assert_same_notes(struct query_result *a, struct query_result *b, const char *query) {
	if (a->notes.count != b->notes.count) {
		fail_msg("%s: %zu notes instead of %zu", query, a->notes.count, b->notes.count);
	}
	for (size_t i = 0; i < a->notes.count; i++) {
		assert_true(str_equal(a->notes.items[i].text, b->notes.items[i].text));
	}
}

/* Evaluates the query, in which something stands twice, and as one in which nothing does. */
static void check_same(struct fixture *f, const char *query, bool is_range) {
	struct query_result once = { 0 };
	struct query_result twice = { 0 };

	assert_ok(eval_query(f, query, is_range, false, &once), f->err);
	assert_ok(eval_query(f, vary(f, query), is_range, false, &twice), f->err);
	assert_true(twice.steps.count > 0);
	assert_same_steps(&once.steps, &twice.steps, query);
	assert_same_notes(&once, &twice, query);
	assert_int_equal(once.stats.samples, twice.stats.samples);
}

static const char *const queries[] = {
	"a_total{job" SAME "} / a_total{job" SAME "}",
	"sum by (instance) (rate(a_total{job" SAME "}[5m]))"
	" / sum by (instance) (rate(a_total{job" SAME "}[5m]))",
	"abs(rate(a_total{job" SAME "}[5m])) > rate(a_total{job" SAME "}[5m]) * 0.5",
	"-gauge{job" SAME "} + gauge{job" SAME "} * 2 or b_total",
	"topk(2, gauge{job" SAME "}) + topk(2, gauge{job" SAME "})",
	/* With warnings of what is below, at their places. */
	"rate(gauge{job" SAME "}[5m]) + on (instance) rate(gauge{job" SAME "}[5m])",
	"1 + quantile(2, gauge{job" SAME "}) + quantile(2, gauge{job" SAME "})",
	"histogram_quantile(0.9, rate(wait_bucket{job" SAME "}[5m]))"
	" + histogram_quantile(0.9, rate(wait_bucket{job" SAME "}[5m]))",
	/* Subqueries, and inside them. */
	"max_over_time(rate(gauge{job" SAME "}[5m])[10m:1m])"
	" - max_over_time(rate(gauge{job" SAME "}[5m])[10m:1m])",
	"1 + max_over_time(rate(gauge{job" SAME "}[5m])[10m:1m])"
	" - max_over_time(rate(gauge{job" SAME "}[5m])[10m:1m])",
	"max_over_time((gauge{job" SAME "} + gauge{job" SAME "})[10m:1m])",
	/* What is the same at all steps, and scalars. */
	"gauge{job" SAME "} @ 3000 + gauge{job" SAME "} @ 3000",
	"b_total + scalar(sum(gauge{job" SAME "})) * scalar(sum(gauge{job" SAME "}))",
};

static void gives_what_two_evaluations_give(void **state) {
	for (size_t i = 0; i < ARRAY_COUNT(queries); i++) {
		check_same(*state, queries[i], true);
		check_same(*state, queries[i], false);
	}
}

static void evaluates_the_largest_common_part_once(void **state) {
	assert_int_equal(replays_of(*state, "a_total / a_total"), 1);
	assert_int_equal(replays_of(*state, "sum(rate(gauge[5m]))/sum( rate(gauge[5m]) )"), 1);
	assert_int_equal(replays_of(*state, "gauge + gauge + gauge"), 2);
	assert_int_equal(replays_of(*state, "abs(gauge) + abs(gauge) + (gauge)"), 2);
}

static void evaluates_apart_what_only_looks_the_same(void **state) {
	assert_int_equal(replays_of(*state, "gauge + gauge offset 1m"), 0);
	assert_int_equal(replays_of(*state, "gauge + gauge @ 3000"), 0);
	assert_int_equal(replays_of(*state, "a_total + b_total"), 0);
	assert_int_equal(replays_of(*state, "gauge + max_over_time(gauge[5m:1m])"), 0);
	assert_int_equal(replays_of(*state, "gauge + max_over_time(gauge[5m])"), 0);
	/* Each aggregate loads the labels that it groups by. */
	assert_int_equal(
		replays_of(*state,
			"sum by (instance) (gauge) - on () group_left () sum by (le) (gauge)"),
		0);
}

static void evaluates_again_what_is_too_large_to_keep(void **state) {
	struct engine_options options = options_of_tests();
	struct fixture *f = *state;

	/* Each of the ten series takes more than a hundred bytes. */
	options.query_bytes_max = 1 << 20;
	set_options(f, &options);
	for (size_t i = 0; i < ARRAY_COUNT(queries); i++) {
		check_same(f, queries[i], true);
	}
	options.query_bytes_max = 64 << 20;
	options.samples_max = 20000;
	set_options(f, &options);
	assert_int_equal(replays_of(f, "{__name__=~\".+\"} unless {__name__=~\".+\"}"), 0);
	for (size_t i = 0; i < ARRAY_COUNT(queries); i++) {
		check_same(f, queries[i], true);
	}
}

static void reads_samples_once(void **state) {
	struct fixture *f = *state;
	struct query_result result = { 0 };
	size_t read;

	assert_ok(eval_query(f, "rate(gauge[5m])", true, false, &result), f->err);
	read = f->store.read_samples;
	assert_ok(eval_query(f, "rate(gauge[5m]) - rate(gauge[5m])", true, false, &result), f->err);
	assert_int_equal(f->store.read_samples, 2 * read);
}

static void fails_as_its_parts_do(void **state) {
	struct engine_options options = options_of_tests();
	struct query_result result = { 0 };
	struct fixture *f = *state;

	options.samples_max = 10;
	set_options(f, &options);
	assert_int_equal(eval_query(f, "rate(gauge[5m]) / rate(gauge[5m])", true, false, &result),
		ERR_LIMIT);
}

#define TEST_FIXTURE(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST_FIXTURE(gives_what_two_evaluations_give),
		TEST_FIXTURE(evaluates_the_largest_common_part_once),
		TEST_FIXTURE(evaluates_apart_what_only_looks_the_same),
		TEST_FIXTURE(evaluates_again_what_is_too_large_to_keep),
		TEST_FIXTURE(reads_samples_once),
		TEST_FIXTURE(fails_as_its_parts_do),
	};

	return TEST_RUN(tests);
}
