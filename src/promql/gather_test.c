/* Queries on several threads: the same answers, to the last bit, as on one. */
#include "promql/engine.h"

#include "base/check.h"
#include "base/memory.h"
#include "base/pool.h"
#include "base/rand.h"
#include "base/test.h"
#include "store/test_store.h"

#include <inttypes.h>
#include <stdlib.h>

#define SECOND INT64_C(1000)
#define SERIES 300

struct fixture {
	struct test_store store;
	struct clock clock;
	struct engine *one;
	struct engine *many;
};

static struct engine *engine_of(struct clock *clock, size_t threads, uint64_t samples_max,
	uint64_t bytes_max, bool delayed_name_removal) {
	const struct engine_options options = { .lookback_ms = 300 * SECOND,
		.default_subquery_step_ms = 60 * SECOND,
		.samples_max = samples_max,
		.query_bytes_max = bytes_max,
		.threads = threads,
		.spread_min = 1,
		.parse = { true, true, true },
		.delayed_name_removal = delayed_name_removal };

	return engine_new(&options, clock);
}

static const struct histogram *random_histogram(struct arena *arena, struct rand *rand) {
	struct histogram *made = ARENA_NEW(arena, struct histogram, 1);

	made->count = (double)rand_below(rand, 1000);
	made->sum = rand_unit(rand) * 100;
	made->zero_count = made->count;
	return made;
}

static void add_series(struct fixture *f, struct rand *rand, size_t number) {
	static const char *const names[] = { "a_total", "b_total", "gauge", "mixed" };
	const char *name = names[number % ARRAY_COUNT(names)];
	struct arena *arena = &f->store.arena;
	/* Now and then one that only differs from another in its type. */
	struct label pairs[] = { { LABEL_NAME, str_of(name) },
		{ STR("__type__"), number % 70 == 1 ? STR("counter") : STR_EMPTY },
		{ STR("instance"), arena_printf(arena, "%zu", number / 2) },
		{ STR("job"), arena_printf(arena, "%zu", number % 7) } };
	int64_t time_ms = (int64_t)rand_below(rand, 100000);
	struct test_series *series;
	struct labels labels;
	double value = 0;

	assert_int_equal(labels_build(arena, pairs, ARRAY_COUNT(pairs), &labels, NULL), 0);
	series = test_store_series(&f->store, &labels);
	for (size_t i = 0; i < 100; i++) {
		time_ms += 1 + (int64_t)rand_below(rand, 30 * SECOND);
		value = rand_below(rand, 20) == 0 ? 0 : value + rand_unit(rand);
		if (number % 4 == 3 && rand_below(rand, 3) == 0) {
			test_series_put(series, time_ms, 0, random_histogram(arena, rand));
		} else {
			test_series_add(series, time_ms,
				rand_below(rand, 40) == 0 ? double_of_bits(STALE_NAN_BITS) : value);
		}
	}
}

static int setup_mode(void **state, bool delayed_name_removal) {
	struct fixture *f = MEMORY_NEW(struct fixture, 1);
	struct rand rand;

	clock_init_manual(&f->clock, 1000);
	test_store_init(&f->store);
	rand_init(&rand, 17);
	for (size_t i = 0; i < SERIES; i++) {
		add_series(f, &rand, i);
	}
	f->one = engine_of(&f->clock, 1, 0, 0, delayed_name_removal);
	f->many = engine_of(&f->clock, 4, 0, 0, delayed_name_removal);
	*state = f;
	return 0;
}

static int setup(void **state) {
	return setup_mode(state, false);
}

static int setup_delayed(void **state) {
	return setup_mode(state, true);
}

static int teardown(void **state) {
	struct fixture *f = *state;

	engine_free(f->one);
	engine_free(f->many);
	test_store_deinit(&f->store);
	free(f);
	return 0;
}

static int eval(struct fixture *f, struct engine *engine, const char *query,
	const struct query_params *params, struct arena *arena, struct query_result *result,
	struct err *err) {
	const struct parse_options all = { true, true, true };
	AUTO(expr_tree_deinit) struct expr_tree tree = { 0 };

	assert_ok(promql_parse(str_of(query), &all, &tree, err), *err);
	return engine_eval(engine, &f->store.store, &tree, params, arena, result, err);
}

static bool same_value(const struct step_column *a, const struct step_column *b, size_t step) {
	bool is_histogram = a->histograms && a->histograms[step];

	if (is_histogram != (b->histograms && b->histograms[step])) {
		return false;
	}
	if (is_histogram) {
		return double_bits(a->histograms[step]->sum) ==
			       double_bits(b->histograms[step]->sum) &&
		       double_bits(a->histograms[step]->count) ==
			       double_bits(b->histograms[step]->count);
	}
	return double_bits(a->values[step]) == double_bits(b->values[step]);
}

static void assert_same_columns(
	const char *query, const struct steps *one, const struct steps *many) {
	if (one->count != many->count) {
		fail_msg("%s: %zu series on one thread, %zu on many", query, one->count,
			many->count);
	}
	for (size_t i = 0; i < one->count; i++) {
		assert_true(labels_equal(&one->columns[i].labels, &many->columns[i].labels));
		for (size_t k = 0; k < one->grid.count; k++) {
			bool is_there = step_present(&one->columns[i], k);

			if (is_there != step_present(&many->columns[i], k) ||
				(is_there && !same_value(&one->columns[i], &many->columns[i], k))) {
				fail_msg("%s differs in series %zu at step %zu", query, i, k);
			}
		}
	}
}

static void assert_same_answers(
	struct fixture *f, const char *query, const struct query_params *params) {
	struct query_result one = { 0 };
	struct query_result many = { 0 };
	struct arena arena = { 0 };
	struct err one_err = { 0 };
	struct err many_err = { 0 };
	int one_rc = eval(f, f->one, query, params, &arena, &one, &one_err);
	int many_rc = eval(f, f->many, query, params, &arena, &many, &many_err);

	if (one_rc != many_rc) {
		fail_msg("%s: \"%s\" on one thread, \"%s\" on many", query, one_err.text,
			many_err.text);
	}
	assert_string_equal(one_err.text, many_err.text);
	if (one_rc == 0) {
		assert_same_columns(query, &one.steps, &many.steps);
		assert_int_equal(one.notes.count, many.notes.count);
		for (size_t i = 0; i < one.notes.count; i++) {
			assert_true(str_equal(one.notes.items[i].text, many.notes.items[i].text));
		}
		assert_int_equal(one.stats.samples, many.stats.samples);
		if (one.stats.samples_peak != many.stats.samples_peak) {
			fail_msg("%s: %" PRIu64 " samples at once on one thread, %" PRIu64
				 " on many",
				query, one.stats.samples_peak, many.stats.samples_peak);
		}
	}
	arena_deinit(&arena);
	assert_int_equal(f->store.open_sets, 0);
}

static const char *const queries[] = {
	"gauge",
	"{job=~\".+\"}",
	"rate(a_total[5m])",
	"rate(gauge[5m])",
	"rate({job=~\"[1-3]\"}[5m])",
	"sum by (job) (rate(a_total[5m]))",
	"sum(rate(mixed[5m]))",
	"avg without (instance) (mixed)",
	"mixed * 2",
	"histogram_count(mixed)",
	"sum by (job) (rate(a_total[5m])) / sum by (job) (rate(b_total[5m]))",
	"topk(3, increase(b_total[2m]))",
	"-gauge > bool 0.5",
	"gauge > 2",
	"clamp_max(abs(gauge - 3), time())",
	"timestamp(mixed)",
	"last_over_time({job=\"1\"}[5m])",
	"quantile_over_time(0.7, gauge[10m])",
	"a_total + on (instance, job) group_left () b_total",
	"a_total unless gauge",
	"max_over_time(rate(a_total[1m])[10m:30s])",
	"count_values(\"v\", round(gauge))",
	"gauge @ 900",
	"sum(a_total @ 900) by (job)",
	"sort_desc(gauge)",
	"limitk(5, gauge)",
	"absent(gauge)",
	"label_replace(gauge, \"x\", \"$1\", \"job\", \"(.*)\")",
	"rate({__name__=~\"gauge|mixed\"}[10m])",
	"irate({__name__=~\"gauge|mixed\"}[1h]) > 0.04",
};

static void any_number_of_threads_gives_the_same_answers(void **state) {
	const struct query_params instant = { .grid = { 900 * SECOND, 0, 1 } };
	const struct query_params range = { .grid = { 300 * SECOND, 7 * SECOND, 150 },
		.is_range = true };

	for (size_t i = 0; i < ARRAY_COUNT(queries); i++) {
		assert_same_answers(*state, queries[i], &instant);
		assert_same_answers(*state, queries[i], &range);
	}
}

/* A limit is met on many threads as on one. */
static void limits_hold_on_many_threads(void **state) {
	const struct query_params params = { .grid = { 300 * SECOND, SECOND, 1000 },
		.is_range = true };
	struct fixture *f = *state;
	struct engine *few_samples = engine_of(&f->clock, 4, 1000, 0, false);
	struct engine *few_bytes = engine_of(&f->clock, 4, 0, 200000, false);
	struct query_result result;
	struct arena arena = { 0 };
	struct err err = { 0 };

	assert_int_equal(eval(f, few_samples, "rate(a_total[5m])", &params, &arena, &result, &err),
		ERR_LIMIT);
	assert_non_null(strstr(err.text, "too many samples"));
	assert_int_equal(
		eval(f, few_bytes, "rate(a_total[5m])", &params, &arena, &result, &err), ERR_LIMIT);
	assert_non_null(strstr(err.text, "--query.max-memory-per-query"));
	assert_int_equal(f->store.open_sets, 0);
	engine_free(few_samples);
	engine_free(few_bytes);
	arena_deinit(&arena);
}

struct canceler {
	struct series_set_ops ops;
	struct store_ops store_ops;
	struct store store;
	struct fixture *f;
	struct query_control control;
	_Atomic int reads_left; /* Relaxed: only counts. */
};

static struct canceler canceler;

static int canceling_read(struct series_set *set, struct sample_column *column, struct err *err) {
	if (atomic_fetch_sub_explicit(&canceler.reads_left, 1, memory_order_relaxed) == 1) {
		/* Relaxed: as in struct query_control. */
		atomic_store_explicit(&canceler.control.canceled, true, memory_order_relaxed);
	}
	return test_set_read(set, column, err);
}

static int canceling_select(struct store *store UNUSED, const struct select_request *request,
	struct arena *arena, struct series_set **out, struct err *err) {
	int rc = test_store_select(&canceler.f->store.store, request, arena, out, err);

	canceler.ops = *(*out)->ops;
	canceler.ops.read = canceling_read;
	(*out)->ops = &canceler.ops;
	return rc;
}

static void a_canceled_query_ends_on_all_threads(void **state) {
	const struct parse_options all = { true, true, true };
	struct query_params params = { .grid = { 300 * SECOND, SECOND, 1000 }, .is_range = true };
	struct query_result result;
	struct arena arena = { 0 };
	struct err err = { 0 };

	canceler.f = *state;
	canceler.store_ops.select = canceling_select;
	canceler.store.ops = &canceler.store_ops;
	params.control = &canceler.control;
	for (int reads = 1; reads < 70; reads += 3) {
		AUTO(expr_tree_deinit) struct expr_tree tree = { 0 };

		atomic_store_explicit(&canceler.reads_left, reads, memory_order_relaxed);
		atomic_store_explicit(&canceler.control.canceled, false, memory_order_relaxed);
		assert_ok(promql_parse(STR("rate(a_total[5m])"), &all, &tree, &err), err);
		assert_int_equal(engine_eval(canceler.f->many, &canceler.store, &tree, &params,
					 &arena, &result, &err),
			ERR_CANCELED);
		assert_int_equal(canceler.f->store.open_sets, 0);
		arena_reset(&arena);
	}
	arena_deinit(&arena);
}

static void assert_same_plan(
	const char *query, const struct explain_node *one, const struct explain_node *many) {
	for (; one && many; one = one->next, many = many->next) {
		assert_str_equal(one->text, many->text);
		if (one->step_count != many->step_count || one->series != many->series ||
			one->values != many->values || one->samples != many->samples) {
			fail_msg("%s: at %.*s %" PRIu64 " series, %" PRIu64 " values, %" PRIu64
				 " samples on one thread, %" PRIu64 ", %" PRIu64 ", %" PRIu64
				 " on many",
				query, STR_ARG(one->text), one->series, one->values, one->samples,
				many->series, many->values, many->samples);
		}
		assert_same_plan(query, one->first, many->first);
	}
	assert_true(!one && !many);
}

static void assert_same_counts(
	const struct query_stats *one, const struct query_stats *many, size_t step_count) {
	uint64_t samples = 0;

	for (size_t i = 0; i < step_count; i++) {
		assert_int_equal(one->step_samples[i], many->step_samples[i]);
		assert_int_equal(one->step_read[i], many->step_read[i]);
		samples += many->step_samples[i];
	}
	assert_int_equal(samples, many->samples);
	assert_int_equal(one->samples_read, many->samples_read);
}

/* What the threads did stands below the node whose series they shared. */
static void a_plan_is_that_of_one_thread(void **state) {
	const struct query_params params = { .grid = { 300 * SECOND, 20 * SECOND, 40 },
		.is_range = true,
		.counts_steps = true,
		.explains = true };

	for (size_t i = 0; i < ARRAY_COUNT(queries); i++) {
		struct query_result one = { 0 };
		struct query_result many = { 0 };
		struct fixture *f = *state;
		struct arena arena = { 0 };
		struct err err = { 0 };

		if (eval(f, f->one, queries[i], &params, &arena, &one, &err) == 0) {
			assert_ok(eval(f, f->many, queries[i], &params, &arena, &many, &err), err);
			assert_non_null(one.plan);
			assert_same_plan(queries[i], one.plan, many.plan);
			assert_same_counts(&one.stats, &many.stats, params.grid.count);
		}
		arena_deinit(&arena);
	}
}

struct asker {
	struct fixture *f;
	size_t first;
};

static void ask(void *context) {
	const struct asker *asker = context;
	const struct query_params params = { .grid = { 300 * SECOND, 20 * SECOND, 40 },
		.is_range = true };

	for (size_t i = 0; i < ARRAY_COUNT(queries); i++) {
		struct query_result result;
		struct arena arena = { 0 };
		struct err err = { 0 };
		int rc = eval(asker->f, asker->f->many,
			queries[(asker->first + i) % ARRAY_COUNT(queries)], &params, &arena,
			&result, &err);

		CHECK(rc == 0 || rc == ERR_EXEC);
		arena_deinit(&arena);
	}
}

static void many_queries_share_the_helpers(void **state) {
	struct asker askers[6];
	struct pool *pool = pool_new("ask", THREAD_QUERY, ARRAY_COUNT(askers), ARRAY_COUNT(askers));

	for (size_t i = 0; i < ARRAY_COUNT(askers); i++) {
		askers[i] = (struct asker){ *state, i * 5 };
		assert_true(pool_submit(pool, ask, &askers[i]));
	}
	pool_free(pool);
	assert_int_equal(((struct fixture *)*state)->store.open_sets, 0);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			any_number_of_threads_gives_the_same_answers, setup, teardown),
		cmocka_unit_test_setup_teardown(
			any_number_of_threads_gives_the_same_answers, setup_delayed, teardown),
		cmocka_unit_test_setup_teardown(limits_hold_on_many_threads, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_canceled_query_ends_on_all_threads, setup, teardown),
		cmocka_unit_test_setup_teardown(a_plan_is_that_of_one_thread, setup, teardown),
		cmocka_unit_test_setup_teardown(many_queries_share_the_helpers, setup, teardown),
	};
	return TEST_RUN(tests);
}
