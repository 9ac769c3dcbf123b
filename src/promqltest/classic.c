#include "promqltest/classic.h"

#include "base/check.h"
#include "promql/histogram.h"

#include <math.h>

/*
 * The hint that a histogram has when it is read: a store keeps those of a counter in chunks without
 * resets, of which the first one's hint is lost.
 */
static enum histogram_hint test_stored_hint(
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
void test_series_add_histogram(struct test_series *series, struct arena *arena, int64_t time_ms,
	const struct histogram *histogram) {
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

/* A classic histogram at one time: bounds ascend, counts are cumulative. */
struct classic {
	double *bounds;
	double *counts;
	size_t bucket_count;
	size_t capacity;
	double count;
	double sum;
	bool has_count;
	bool is_there;
};

/* A classic histogram at all times. */
struct test_conversion {
	struct labels labels;
	struct classic *steps;
};

/* Room for one more bucket. */
static int reserve(struct classic *classic, struct arena *arena, struct err *err) {
	size_t capacity = classic->capacity ? 2 * classic->capacity : 8;
	double *bounds;

	if (classic->bucket_count < classic->capacity) {
		return 0;
	}
	bounds = ARENA_TRY_NEW(arena, double, 2 * capacity, err);
	if (!bounds) {
		return ERR_LIMIT;
	}
	for (size_t i = 0; i < classic->bucket_count; i++) {
		bounds[i] = classic->bounds[i];
		bounds[capacity + i] = classic->counts[i];
	}
	classic->bounds = bounds;
	classic->counts = bounds + capacity;
	classic->capacity = capacity;
	return 0;
}

static int add_bucket(
	struct classic *classic, struct arena *arena, double bound, double count, struct err *err) {
	size_t at = classic->bucket_count;

	for (size_t i = 0; i < classic->bucket_count; i++) {
		if (classic->bounds[i] == bound) {
			return 0;
		}
	}
	if (reserve(classic, arena, err) < 0) {
		return ERR_LIMIT;
	}
	while (at > 0 && classic->bounds[at - 1] > bound) {
		classic->bounds[at] = classic->bounds[at - 1];
		classic->counts[at] = classic->counts[at - 1];
		at--;
	}
	classic->bounds[at] = bound;
	classic->counts[at] = count;
	classic->bucket_count++;
	return 0;
}

/* Ends in a bucket without upper bound, as a native one does. */
static int complete(struct classic *classic, struct arena *arena, struct err *err) {
	size_t count = classic->bucket_count;

	if (!classic->has_count && count > 0) {
		classic->count = classic->counts[count - 1];
	}
	return count == 0 || !isinf(classic->bounds[count - 1])
		       ? add_bucket(classic, arena, HUGE_VAL, classic->count, err)
		       : 0;
}

/* The native histogram with the same, custom, bounds. */
static int convert(
	struct arena *arena, struct classic *classic, struct histogram **out, struct err *err) {
	struct histogram *histogram = ARENA_TRY_NEW(arena, struct histogram, 1, err);
	int rc = histogram ? complete(classic, arena, err) : ERR_LIMIT;
	size_t count = classic->bucket_count;
	int32_t *indexes = rc == 0 ? ARENA_TRY_NEW(arena, int32_t, count, err) : NULL;
	double *counts = indexes ? ARENA_TRY_NEW(arena, double, count, err) : NULL;
	double before = 0;

	if (!counts) {
		return ERR_LIMIT;
	}
	*histogram = (struct histogram){
		.schema = HISTOGRAM_CUSTOM,
		.count = classic->count,
		.sum = classic->sum,
		.bounds = classic->bounds,
		.bound_count = count - 1,
		.positive = { indexes, counts, count },
	};
	for (size_t i = 0; i < count; i++) {
		indexes[i] = (int32_t)i;
		counts[i] = classic->counts[i] - before;
		before = classic->counts[i];
	}
	histogram_compact(histogram);
	*out = histogram;
	return 0;
}

int test_conversions_init(struct test_conversions *conversions, struct arena *arena,
	size_t series_count, size_t step_count, struct err *err) {
	conversions->arena = arena;
	conversions->count = 0;
	conversions->step_count = step_count;
	conversions->items = ARENA_TRY_NEW(arena, struct test_conversion, series_count + 1, err);
	return conversions->items ? 0 : ERR_LIMIT;
}

/* The steps of the histogram that a series of that name, without its suffix, belongs to. */
static struct classic *find_steps(struct test_conversions *conversions, const struct labels *labels,
	struct str name, struct err *err) {
	struct arena *arena = conversions->arena;
	struct labels base = labels_with(arena, labels, LABEL_NAME, name);
	struct test_conversion *made;

	base = labels_with(arena, &base, STR("le"), STR_EMPTY);
	for (size_t i = 0; i < conversions->count; i++) {
		if (labels_equal(&conversions->items[i].labels, &base)) {
			return conversions->items[i].steps;
		}
	}
	made = &conversions->items[conversions->count];
	made->labels = base;
	made->steps = ARENA_TRY_NEW(arena, struct classic, conversions->step_count + 1, err);
	conversions->count += made->steps != NULL;
	return made->steps;
}

enum part {
	PART_BUCKET,
	PART_COUNT,
	PART_SUM
};

static int add_value(struct classic *classic, struct arena *arena, enum part part, double bound,
	double value, struct err *err) {
	classic->is_there = true;
	switch (part) {
	case PART_BUCKET:
		return add_bucket(classic, arena, bound, value, err);
	case PART_COUNT:
		classic->count = value;
		classic->has_count = true;
		break;
	case PART_SUM:
		classic->sum = value;
		break;
	}
	return 0;
}

/* Adds the values of a series that is one part of the histogram called 'name'. */
static int add_part(struct test_conversions *conversions, const struct script_series *series,
	struct str name, enum part part, struct err *err) {
	double bound = 0;
	struct classic *steps;
	int rc = 0;

	if (part == PART_BUCKET &&
		(!script_number(labels_get(&series->labels, STR("le")), &bound) || isnan(bound))) {
		return 0;
	}
	steps = find_steps(conversions, &series->labels, name, err);
	if (!steps) {
		return ERR_LIMIT;
	}
	for (size_t i = 0; i < series->count && rc == 0; i++) {
		const struct script_value *value = &series->values[i];

		if (!value->is_omitted && !value->histogram) {
			rc = add_value(
				&steps[i], conversions->arena, part, bound, value->value, err);
		}
	}
	return rc;
}

int test_conversions_add(
	struct test_conversions *conversions, const struct script_series *series, struct err *err) {
	static const char *const suffixes[] = { "_bucket", "_count", "_sum" };
	struct str name = labels_get(&series->labels, LABEL_NAME);

	CHECK(series->count <= conversions->step_count);
	if (series->is_start_times) {
		return 0;
	}
	for (size_t part = 0; part < ARRAY_COUNT(suffixes); part++) {
		struct str suffix = str_of(suffixes[part]);

		if (str_ends(name, suffix)) {
			return add_part(conversions, series, str_first(name, name.len - suffix.len),
				(enum part)part, err);
		}
	}
	return 0;
}

int test_conversions_store(struct test_conversions *conversions, struct test_store *store,
	int64_t step_ms, struct err *err) {
	for (size_t i = 0; i < conversions->count; i++) {
		struct test_conversion *item = &conversions->items[i];
		struct test_series *target = test_store_series(store, &item->labels);

		for (size_t k = 0; k < conversions->step_count; k++) {
			struct histogram *histogram;

			if (!item->steps[k].is_there) {
				continue;
			}
			if (convert(conversions->arena, &item->steps[k], &histogram, err) < 0) {
				return ERR_LIMIT;
			}
			test_series_add_histogram(
				target, conversions->arena, (int64_t)k * step_ms, histogram);
		}
	}
	return 0;
}

static bool test_side_equal(
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
bool test_histogram_equal(
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
