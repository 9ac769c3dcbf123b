/*
 * Histograms in scripts of tests: how a store would hand them back, how classic ones become native
 * ones, and when two are the same. For tests.
 */
#ifndef PROMQL_TEST_HISTOGRAM_H
#define PROMQL_TEST_HISTOGRAM_H

#include "promql/histogram.h"
#include "promql/test_script.h"
#include "store/test_store.h"

#include <math.h>

/*
 * The hint that a histogram has when it is read: a store keeps those of a counter in chunks without
 * resets, of which the first one's hint is lost.
 */
static inline enum histogram_hint test_stored_hint(
	const struct histogram *before, const struct histogram *now) {
	struct histogram plain = *now;

	if (now->hint == HISTOGRAM_GAUGE) {
		return HISTOGRAM_GAUGE;
	}
	plain.hint = HISTOGRAM_UNKNOWN;
	if (!before || before->hint == HISTOGRAM_GAUGE || now->hint == HISTOGRAM_RESET ||
		before->schema != now->schema || before->zero_threshold != now->zero_threshold ||
		before->bound_count != now->bound_count || histogram_was_reset(&plain, before)) {
		return HISTOGRAM_UNKNOWN;
	}
	for (size_t i = 0; i < now->bound_count; i++) {
		if (before->bounds[i] != now->bounds[i]) {
			return HISTOGRAM_UNKNOWN;
		}
	}
	return HISTOGRAM_NOT_RESET;
}

/* Stores a histogram, which lives as long as the arena. */
static inline void test_series_add_histogram(struct test_series *series, struct arena *arena,
	int64_t time_ms, const struct histogram *histogram) {
	const struct sample_column *samples = &series->samples;
	const struct histogram *before = NULL;
	struct histogram *stored = ARENA_NEW(arena, struct histogram, 1);

	if (samples->count > 0 && samples->has_histograms) {
		before = samples->histograms[samples->count - 1];
	}
	*stored = *histogram;
	stored->hint = test_stored_hint(before, histogram);
	test_series_put(series, time_ms, 0, stored);
}

/* A classic histogram's series, at one time. */
struct test_classic {
	double bounds[64];
	double counts[64];
	size_t bucket_count;
	double count;
	double sum;
	bool has_count;
	bool is_there;
};

static inline void test_classic_add(struct test_classic *classic, double bound, double count) {
	size_t at = classic->bucket_count;

	for (size_t i = 0; i < classic->bucket_count; i++) {
		if (classic->bounds[i] == bound) {
			return;
		}
	}
	CHECK(at + 1 < ARRAY_COUNT(classic->bounds));
	while (at > 0 && classic->bounds[at - 1] > bound) {
		classic->bounds[at] = classic->bounds[at - 1];
		classic->counts[at] = classic->counts[at - 1];
		at--;
	}
	classic->bounds[at] = bound;
	classic->counts[at] = count;
	classic->bucket_count++;
}

/* The native histogram with the same, custom, bounds. */
static inline struct histogram *test_classic_convert(
	struct arena *arena, struct test_classic *classic) {
	struct histogram *histogram = ARENA_NEW(arena, struct histogram, 1);
	double *bounds = ARENA_NEW(arena, double, classic->bucket_count + 1);
	double before = 0;

	if (!classic->has_count && classic->bucket_count > 0) {
		classic->count = classic->counts[classic->bucket_count - 1];
	}
	if (classic->bucket_count == 0 || !isinf(classic->bounds[classic->bucket_count - 1])) {
		test_classic_add(classic, HUGE_VAL, classic->count);
	}
	*histogram = (struct histogram){
		.schema = HISTOGRAM_CUSTOM,
		.count = classic->count,
		.sum = classic->sum,
		.bounds = bounds,
		.bound_count = classic->bucket_count - 1,
		.positive = { ARENA_NEW(arena, int32_t, classic->bucket_count),
			ARENA_NEW(arena, double, classic->bucket_count), classic->bucket_count },
	};
	for (size_t i = 0; i < classic->bucket_count; i++) {
		bounds[i] = classic->bounds[i];
		histogram->positive.indexes[i] = (int32_t)i;
		histogram->positive.counts[i] = classic->counts[i] - before;
		before = classic->counts[i];
	}
	histogram_compact(histogram);
	return histogram;
}

/* All classic histograms of one load. */
struct test_conversion {
	struct labels labels;
	struct test_classic *steps;
};

struct test_conversions {
	struct arena *arena;
	struct test_conversion items[256];
	size_t count;
};

static inline struct test_classic *test_conversion_steps(
	struct test_conversions *conversions, const struct labels *labels, struct str name) {
	struct arena *arena = conversions->arena;
	struct labels base = labels_with(arena, labels, LABEL_NAME, name);
	struct test_conversion *made;

	base = labels_with(arena, &base, STR("le"), STR_EMPTY);
	for (size_t i = 0; i < conversions->count; i++) {
		if (labels_equal(&conversions->items[i].labels, &base)) {
			return conversions->items[i].steps;
		}
	}
	CHECK(conversions->count < ARRAY_COUNT(conversions->items));
	made = &conversions->items[conversions->count++];
	made->labels = base;
	made->steps = ARENA_NEW(arena, struct test_classic, SCRIPT_STEPS_MAX);
	return made->steps;
}

/* Takes note of a series if it is one of a classic histogram. */
static inline void test_conversions_add(
	struct test_conversions *conversions, const struct script_series *series) {
	static const char *const suffixes[] = { "_bucket", "_count", "_sum" };
	struct str name = labels_get(&series->labels, LABEL_NAME);
	double bound = 0;

	for (size_t kind = 0; kind < ARRAY_COUNT(suffixes); kind++) {
		struct str suffix = str_of(suffixes[kind]);
		struct test_classic *steps;

		if (!str_ends(name, suffix) ||
			(kind == 0 &&
				!script_number(labels_get(&series->labels, STR("le")), &bound))) {
			continue;
		}
		steps = test_conversion_steps(
			conversions, &series->labels, str_first(name, name.len - suffix.len));
		CHECK(series->count <= SCRIPT_STEPS_MAX);
		for (size_t i = 0; i < series->count; i++) {
			double value = series->values[i].value;

			if (series->values[i].is_omitted || series->values[i].histogram) {
				continue;
			}
			steps[i].is_there = true;
			if (kind == 0) {
				test_classic_add(&steps[i], bound, value);
			} else if (kind == 1) {
				steps[i].count = value;
				steps[i].has_count = true;
			} else {
				steps[i].sum = value;
			}
		}
	}
}

static inline void test_conversions_store(
	struct test_conversions *conversions, struct test_store *store, int64_t step_ms) {
	for (size_t i = 0; i < conversions->count; i++) {
		struct test_conversion *item = &conversions->items[i];
		struct test_series *target = test_store_series(store, &item->labels);

		for (size_t k = 0; k < SCRIPT_STEPS_MAX; k++) {
			if (item->steps[k].is_there) {
				test_series_add_histogram(target, conversions->arena,
					(int64_t)k * step_ms,
					test_classic_convert(conversions->arena, &item->steps[k]));
			}
		}
	}
}

/* Whether two numbers are the same as far as scripts write them. */
typedef bool test_equal_fn(double a, double b);

static inline bool test_side_equal(
	const struct histogram_side *a, const struct histogram_side *b, test_equal_fn *equal) {
	if (a->count != b->count) {
		return false;
	}
	for (size_t i = 0; i < a->count; i++) {
		if (a->indexes[i] != b->indexes[i] || !equal(a->counts[i], b->counts[i])) {
			return false;
		}
	}
	return true;
}

/* Whether 'actual' is what was written; its hint only where one was. */
static inline bool test_histogram_equal(
	const struct script_value *wanted, const struct histogram *actual, test_equal_fn *equal) {
	struct arena arena = { 0 };
	struct histogram a;
	struct histogram b;
	bool is_equal;

	CHECK(histogram_copy(&arena, wanted->histogram, &a, NULL) == 0);
	CHECK(histogram_copy(&arena, actual, &b, NULL) == 0);
	histogram_compact(&a);
	histogram_compact(&b);
	is_equal = a.schema == b.schema && equal(a.count, b.count) && equal(a.sum, b.sum) &&
		   a.zero_threshold == b.zero_threshold && equal(a.zero_count, b.zero_count) &&
		   test_side_equal(&a.positive, &b.positive, equal) &&
		   test_side_equal(&a.negative, &b.negative, equal) &&
		   a.bound_count == b.bound_count && (!wanted->has_hint || a.hint == b.hint);
	for (size_t i = 0; is_equal && i < a.bound_count; i++) {
		is_equal = a.bounds[i] == b.bounds[i];
	}
	arena_deinit(&arena);
	return is_equal;
}

#endif
