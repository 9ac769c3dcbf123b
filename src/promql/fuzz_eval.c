/*
 * Queries made of the fuzzer's bytes by a grammar, over a few small series made of them too.
 *
 * Three checks, none of which knows what the right answer is: a range query gives at each step what
 * an instant query gives at that time; several threads give what one gives, to the last bit; and a
 * query under a small budget gives either the same answer or the error that names the budget. With
 * FUZZ_SHOW set, queries are printed.
 */
#include "base/check.h"
#include "promql/engine.h"
#include "promql/fuzz_grammar.h"
#include "promql/parse.h"
#include "store/test_store.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

#define SERIES_MAX 12
#define SAMPLES_MAX 24
#define STEPS_MAX 70 /* More than one word of a presence bitmap. */
#define INTERVAL_MS 15000
#define THREADS 2

/* The data. */

static double make_value(struct choices *choices, double before) {
	uint8_t choice = take(choices);

	switch (choice % 16) {
	case 0:
		return (double)(choice / 16);
	case 1:
		return -(double)(choice / 16);
	case 2:
		return before * 0.1;
	case 3:
		return double_of_bits(choice < 128 ? STALE_NAN_BITS : NORMAL_NAN_BITS);
	case 4:
		return choice < 128 ? HUGE_VAL : -HUGE_VAL;
	case 5:
		return choice < 128 ? 1e308 : 5e-324;
	default:
		return before + (double)(choice / 16);
	}
}

static void make_side(
	struct choices *choices, struct arena *arena, struct histogram_side *side, int32_t index) {
	side->count = take(choices) % 5;
	side->indexes = ARENA_NEW(arena, int32_t, side->count);
	side->counts = ARENA_NEW(arena, double, side->count);
	for (size_t i = 0; i < side->count; i++) {
		uint8_t choice = take(choices);

		side->indexes[i] = index;
		side->counts[i] = choice == 255 ? 1e308 : (double)(choice / 8);
		index += 1 + choice % 4;
	}
}

/* Valid, but for its count, which may be anything. */
static struct histogram *make_histogram(struct choices *choices, struct arena *arena) {
	static const double bounds[] = { 0, 0.5, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233, 377,
		610, 987, 1597, 2584, 4181 };
	struct histogram *histogram = ARENA_NEW(arena, struct histogram, 1);
	uint8_t kind = take(choices);

	histogram->hint = (enum histogram_hint)(kind % 4);
	histogram->count = make_value(choices, (double)kind);
	histogram->sum = make_value(choices, 3);
	if (kind >= 192) {
		histogram->schema = HISTOGRAM_CUSTOM;
		histogram->bounds = bounds + kind % 3;
		histogram->bound_count = ARRAY_COUNT(bounds) - kind % 3 - kind % 2;
		make_side(choices, arena, &histogram->positive, kind % 2);
		return histogram;
	}
	histogram->schema = kind / 8 % 13 + HISTOGRAM_SCHEMA_MIN;
	histogram->zero_threshold = kind % 5 == 0 ? 0 : 0.001 * (double)(kind % 5);
	histogram->zero_count = (double)(kind % 7);
	make_side(choices, arena, &histogram->positive, kind % 9 - 4);
	make_side(choices, arena, &histogram->negative, kind % 9 - 4);
	return histogram;
}

/* When the counting of a sample began: often with, at or after the sample before, or unknown. */
static int64_t make_start(struct choices *choices, int64_t before_ms, int64_t time_ms) {
	switch (take(choices) % 8) {
	case 0:
		return 0;
	case 1:
		return time_ms;
	case 2:
		return time_ms + 1;
	case 3:
		return before_ms;
	case 4:
		return before_ms + 1;
	case 5:
		return before_ms - INTERVAL_MS;
	default:
		return INTERVAL_MS;
	}
}

static void make_series(struct choices *choices, struct test_store *store) {
	static const char *const names[] = { "m", "n", "h_bucket", "g" };
	static const char *const jobs[] = { "1", "2", "3", "" };
	static const char *const bs[] = { "x", "y", "" };
	static const char *const les[] = { "0.1", "1", "+Inf", "bad", "1.0" };
	const char *name = PICK(choices, names);
	AUTO(arena_deinit) struct arena arena = { 0 };
	struct label pairs[4];
	struct labels labels;
	struct test_series *series;
	size_t count = take(choices) % SAMPLES_MAX;
	int64_t time_ms = (int64_t)(take(choices) % 8) * INTERVAL_MS;
	bool has_starts = take(choices) % 4 == 3;
	int64_t before_ms = 0;
	double value = 0;

	pairs[0] = (struct label){ LABEL_NAME, str_of(name) };
	pairs[1] = (struct label){ STR("job"), str_of(PICK(choices, jobs)) };
	pairs[2] = (struct label){ STR("b"), str_of(PICK(choices, bs)) };
	pairs[3] = (struct label){ STR("le"),
		name[0] == 'h' ? str_of(PICK(choices, les)) : STR_EMPTY };
	CHECK(labels_build(&arena, pairs, ARRAY_COUNT(pairs), &labels, NULL) == 0);
	series = test_store_series(store, &labels);
	for (size_t i = 0; i < count; i++) {
		uint8_t gap = take(choices);

		if (gap % 8 == 7 || name[0] == 'g') {
			test_series_put(series, time_ms, 0, make_histogram(choices, &store->arena));
		} else {
			value = make_value(choices, isnan(value) ? 0 : value);
			test_series_add(series, time_ms, value);
		}
		if (has_starts) {
			test_series_set_start(
				series, time_ms, make_start(choices, before_ms, time_ms));
		}
		before_ms = time_ms;
		time_ms += gap < 200 ? INTERVAL_MS : (int64_t)(gap - 199) * 5003;
	}
}

/* The checks. */

/* An engine that is 'options' with helpers, kept for the process: threads cost more than queries.
 */
static struct engine *many_threads(const struct engine_options *options) {
	static struct engine *engines[2];
	struct engine **engine = &engines[options->delayed_name_removal];

	if (!*engine) {
		struct engine_options many = *options;

		many.threads = THREADS;
		many.spread_min = 1;
		*engine = engine_new(&many, clock_system());
	}
	return *engine;
}

struct check {
	struct engine *engine;
	struct test_store *store;
	struct str query;
};

static int run(struct check *check, const struct query_params *params, struct arena *arena,
	struct query_result *result, struct err *err) {
	static const struct parse_options everything = { true, true, true };
	struct expr_tree tree = { 0 };
	int rc = promql_parse(check->query, &everything, &tree, err);

	rc = rc < 0 ? rc
		    : engine_eval(check->engine, &check->store->store, &tree, params, arena, result,
			      err);
	CHECK(check->store->open_sets == 0);
	expr_tree_deinit(&tree);
	return rc;
}

/* If not 'exact', NaNs may have the payload of one operand or the other; but none of them is the
 * stale marker. */
static bool same_value(double a, double b, bool exact) {
	return double_bits(a) == double_bits(b) ||
	       (!exact && isnan(a) && isnan(b) && !is_stale(a) && !is_stale(b));
}

static bool same_side(const struct histogram_side *a, const struct histogram_side *b, bool exact) {
	if (a->count != b->count) {
		return false;
	}
	for (size_t i = 0; i < a->count; i++) {
		if (a->indexes[i] != b->indexes[i] ||
			!same_value(a->counts[i], b->counts[i], exact)) {
			return false;
		}
	}
	return true;
}

static bool same_histogram(const struct histogram *a, const struct histogram *b, bool exact) {
	return a->hint == b->hint && a->schema == b->schema &&
	       same_value(a->count, b->count, exact) && same_value(a->sum, b->sum, exact) &&
	       same_value(a->zero_count, b->zero_count, exact) &&
	       a->zero_threshold == b->zero_threshold && a->bound_count == b->bound_count &&
	       same_side(&a->positive, &b->positive, exact) &&
	       same_side(&a->negative, &b->negative, exact);
}

static bool same_step(const struct step_column *a, size_t at_a, const struct step_column *b,
	size_t at_b, bool exact) {
	const struct histogram *left = a->histograms ? a->histograms[at_a] : NULL;
	const struct histogram *right = b->histograms ? b->histograms[at_b] : NULL;

	if (left || right) {
		return left && right && same_histogram(left, right, exact);
	}
	return same_value(a->values[at_a], b->values[at_b], exact);
}

static const struct step_column *find(const struct steps *steps, const struct labels *labels) {
	for (size_t i = 0; i < steps->count; i++) {
		if (labels_equal(&steps->columns[i].labels, labels)) {
			return &steps->columns[i];
		}
	}
	return NULL;
}

/* Step 'at' of 'range' is all that 'instant' has. */
static void check_step(const struct steps *range, size_t at, const struct steps *instant) {
	size_t count = 0;

	for (size_t i = 0; i < range->count; i++) {
		const struct step_column *column = &range->columns[i];
		const struct step_column *other = find(instant, &column->labels);
		bool is_there = step_present(column, at);

		CHECK(is_there == (other && step_present(other, 0)));
		CHECK(!is_there || same_step(column, at, other, 0, false));
		count += is_there;
	}
	CHECK(count == instant->count);
}

static void check_instants(struct check *check, const struct query_params *params,
	const struct query_result *range, int range_rc) {
	for (size_t i = 0; i < params->grid.count; i++) {
		struct query_params instant = { .grid = { grid_time(&params->grid, i), 0, 1 } };
		struct arena arena = { 0 };
		struct query_result result = { 0 };
		struct err err;
		int rc = run(check, &instant, &arena, &result, &err);

		/* What fails at one step fails as a whole. The other way round, two series may come
		 * to the same labels at different steps. */
		CHECK(rc == 0 || range_rc < 0);
		if (rc == 0 && range_rc == 0) {
			check_step(&range->steps, i, &result.steps);
		}
		arena_deinit(&arena);
	}
}

static void check_same(const struct query_result *a, const struct query_result *b) {
	CHECK(a->steps.count == b->steps.count && a->notes.count == b->notes.count);
	for (size_t i = 0; i < a->steps.count; i++) {
		const struct step_column *left = &a->steps.columns[i];
		const struct step_column *right = &b->steps.columns[i];

		CHECK(labels_equal(&left->labels, &right->labels));
		for (size_t k = 0; k < a->steps.grid.count; k++) {
			CHECK(step_present(left, k) == step_present(right, k));
			CHECK(!step_present(left, k) || same_step(left, k, right, k, true));
		}
	}
	for (size_t i = 0; i < a->notes.count; i++) {
		CHECK(str_equal(a->notes.items[i].text, b->notes.items[i].text));
	}
	CHECK(a->is_ordered == b->is_ordered);
	CHECK(a->stats.samples == b->stats.samples);
}

/* Several threads give the same, even if it is a failure. */
static void check_threads(struct check *check, const struct query_params *params,
	const struct query_result *range, int range_rc, const struct err *range_err) {
	struct check many = *check;
	struct query_result result = { 0 };
	struct arena arena = { 0 };
	struct err err = { 0 };
	int rc;

	many.engine = many_threads(engine_options_get(check->engine));
	rc = run(&many, params, &arena, &result, &err);
	CHECK(rc == range_rc);
	if (rc == 0) {
		check_same(range, &result);
		CHECK(result.stats.samples_peak == range->stats.samples_peak);
	} else {
		CHECK(strcmp(err.text, range_err->text) == 0);
	}
	arena_deinit(&arena);
}

/* With less to spend; then less is kept to be used again, which shows in the peak. */
static void check_budget(struct check *check, const struct engine_options *options,
	const struct query_params *params, const struct query_result *range, int range_rc) {
	struct check small = *check;
	struct query_result result = { 0 };
	struct arena arena = { 0 };
	struct err err = { 0 };
	int rc;

	small.engine = engine_new(options, clock_system());
	rc = run(&small, params, &arena, &result, &err);
	if (rc == ERR_LIMIT) {
		CHECK(strstr(err.text, "--query.max-memory-per-query") ||
			strstr(err.text, "too many samples"));
	} else {
		CHECK(rc == range_rc);
		if (rc == 0) {
			check_same(range, &result);
		}
	}
	arena_deinit(&arena);
	engine_free(small.engine);
}

static void check_query(struct choices *choices, struct query *query, struct test_store *store,
	bool delayed_name_removal) {
	struct engine_options options = {
		.lookback_ms = 60000,
		.default_subquery_step_ms = 30000,
		.query_bytes_max = 64 << 20,
		.process_bytes_max = 64 << 20,
		.parse = { true, true, true },
		.delayed_name_removal = delayed_name_removal,
		.use_start_timestamps = true,
	};
	struct query_params params = { .is_range = true };
	struct check check = { engine_new(&options, clock_system()), store, buf_str(&query->text) };
	struct query_result range = { 0 };
	struct arena arena = { 0 };
	struct err err = { 0 };
	int rc;

	params.grid.start_ms = (int64_t)take(choices) * 1000;
	params.grid.step_ms = 1000 + (int64_t)take(choices) * 500;
	params.grid.count = 1 + take(choices) % STEPS_MAX;
	options.query_bytes_max = UINT64_C(256) << (take(choices) % 16);
	options.samples_max = take(choices);
	rc = run(&check, &params, &arena, &range, &err);
	if (rc != ERR_INVAL) {
		if (!query->sees_grid && !query->sees_order) {
			check_instants(&check, &params, &range, rc);
		}
		check_threads(&check, &params, &range, rc, &err);
		check_budget(&check, &options, &params, &range, rc);
	}
	arena_deinit(&arena);
	engine_free(check.engine);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len) {
	struct choices choices = { bytes, bytes + len };
	struct query query = { .choices = &choices };
	struct test_store store;
	bool delayed_name_removal = take(&choices) % 2;
	size_t series;

	make_vector(&query, GRAMMAR_DEPTH);
	if (getenv("FUZZ_SHOW")) { // NOLINT(concurrency-mt-unsafe)
		(void)fprintf(stderr, "%s\n", buf_text(&query.text));
	}
	test_store_init(&store);
	series = take(&choices) % SERIES_MAX;
	for (size_t i = 0; i < series; i++) {
		make_series(&choices, &store);
	}
	check_query(&choices, &query, &store, delayed_name_removal);
	test_store_deinit(&store);
	buf_deinit(&query.text);
	return 0;
}
