/*
 * A store over arrays, for tests: series are kept in the order in which they were added.
 *
 * Label sets that a walk gives live in the arena given to select, as with any store, so that a
 * sanitizer sees who keeps them longer. Counts what is open. Any thread may walk while none adds.
 */
#ifndef STORE_TEST_STORE_H
#define STORE_TEST_STORE_H

#include "store/store.h"

#include "base/check.h"
#include "base/memory.h"

#include <stdlib.h>

struct test_series {
	struct labels labels;
	struct sample_column samples;
};

struct test_store {
	struct store store;
	struct arena arena;
	struct test_series **series;
	size_t count;
	size_t capacity;
	/* Relaxed: counts, looked at when nobody walks. */
	_Atomic size_t open_sets;
	_Atomic size_t read_samples;
};

struct test_set {
	struct series_set set;
	struct test_store *store;
	struct select_request request;
	struct arena *arena;
	struct test_series **series; /* Those that match. */
	size_t count;
	size_t next;
	bool is_fork; /* 'series' is another set's. */
};

/* What is left of a label set. */
static inline struct labels test_set_project(
	const struct test_set *own, const struct labels *labels) {
	struct labels copy = labels_copy(own->arena, labels);
	struct label *pairs = ARENA_NEW(own->arena, struct label, copy.count);
	size_t kept = 0;

	if (!own->request.is_projected || labels_get(labels, STR("__type__")).len > 0 ||
		labels_get(labels, STR("__unit__")).len > 0) {
		return copy;
	}
	for (size_t i = 0; i < copy.count; i++) {
		bool is_wanted = str_equal(copy.pairs[i].name, LABEL_NAME);

		for (size_t k = 0; k < own->request.wanted_count; k++) {
			is_wanted |= str_equal(copy.pairs[i].name, own->request.wanted[k]);
		}
		if (is_wanted) {
			pairs[kept++] = copy.pairs[i];
		}
	}
	return (struct labels){ pairs, kept };
}

static inline int test_set_next(struct series_set *set, struct err *err) {
	struct test_set *own = CONTAINER_OF(set, struct test_set, set);

	if (own->request.canceled && *own->request.canceled) {
		return err_set(err, ERR_CANCELED, "canceled");
	}
	if (own->next == own->count) {
		return 0;
	}
	set->labels = test_set_project(own, &own->series[own->next++]->labels);
	return 1;
}

static inline int test_set_read(
	struct series_set *set, struct sample_column *column, struct err *err) {
	struct test_set *own = CONTAINER_OF(set, struct test_set, set);
	const struct sample_column *from = &own->series[own->next - 1]->samples;
	int rc;

	sample_column_clear(column);
	rc = sample_column_reserve(column, from->count, err);
	if (rc < 0) {
		return rc;
	}
	for (size_t i = 0; i < from->count && rc == 0; i++) {
		bool is_histogram = from->has_histograms && from->histograms[i];

		if (from->times_ms[i] < own->request.min_ms ||
			from->times_ms[i] > own->request.max_ms) {
			continue;
		}
		if (is_histogram) {
			rc = sample_column_add_histogram(
				column, from->times_ms[i], from->histograms[i], err);
		} else {
			sample_column_add(column, from->times_ms[i], from->values[i]);
		}
		if (rc == 0 && from->has_starts && own->request.wants_starts) {
			rc = sample_column_set_start(column, from->starts_ms[i], err);
		}
	}
	atomic_fetch_add_explicit(&own->store->read_samples, column->count, memory_order_relaxed);
	return rc;
}

static inline void test_set_close(struct series_set *set) {
	struct test_set *own = CONTAINER_OF(set, struct test_set, set);

	atomic_fetch_sub_explicit(&own->store->open_sets, 1, memory_order_relaxed);
	if (!own->is_fork) {
		free(own->series);
	}
	free(own);
}

static inline size_t test_set_count(struct series_set *set) {
	return CONTAINER_OF(set, struct test_set, set)->count;
}

static inline void test_set_seek(struct series_set *set, size_t index) {
	CONTAINER_OF(set, struct test_set, set)->next = index;
}

static inline int test_set_fork(
	struct series_set *set, struct arena *arena, struct series_set **out, struct err *err) {
	const struct test_set *own = CONTAINER_OF(set, struct test_set, set);
	struct test_set *fork = MEMORY_NEW(struct test_set, 1);

	(void)err;
	*fork = (struct test_set){ .set = { .ops = set->ops },
		.store = own->store,
		.request = own->request,
		.arena = arena,
		.series = own->series,
		.count = own->count,
		.is_fork = true };
	atomic_fetch_add_explicit(&own->store->open_sets, 1, memory_order_relaxed);
	*out = &fork->set;
	return 0;
}

static inline int test_series_cmp(const void *a, const void *b) {
	return labels_cmp(&(*(struct test_series *const *)a)->labels,
		&(*(struct test_series *const *)b)->labels);
}

static inline int test_store_select(struct store *store, const struct select_request *request,
	struct arena *arena, struct series_set **out, struct err *err) {
	static const struct series_set_ops ops = { test_set_next, test_set_read, test_set_close,
		test_set_count, test_set_seek, test_set_fork };
	struct test_store *own = CONTAINER_OF(store, struct test_store, store);
	struct test_set *set = MEMORY_NEW(struct test_set, 1);

	(void)err;
	*set = (struct test_set){ .set = { .ops = &ops },
		.store = own,
		.request = *request,
		.arena = arena,
		.series = MEMORY_NEW(struct test_series *, own->count + 1) };
	for (size_t i = 0; i < own->count; i++) {
		if ((request->limit == 0 || set->count < request->limit) &&
			matchers_match(request->matchers, request->matcher_count,
				&own->series[i]->labels)) {
			set->series[set->count++] = own->series[i];
		}
	}
	if (request->sorted && set->count > 1) {
		qsort(set->series, set->count, sizeof(struct test_series *), test_series_cmp);
	}
	atomic_fetch_add_explicit(&own->open_sets, 1, memory_order_relaxed);
	*out = &set->set;
	return 0;
}

static inline int test_str_cmp(const void *a, const void *b) {
	return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

/* Sorts and removes what is there twice. */
static inline void test_list_build(struct str *items, size_t count, struct str_list *out) {
	size_t kept = 0;

	qsort(items, count, sizeof(*items), test_str_cmp);
	for (size_t i = 0; i < count; i++) {
		if (kept == 0 || !str_equal(items[kept - 1], items[i])) {
			items[kept++] = items[i];
		}
	}
	*out = (struct str_list){ items, kept };
}

/* Names if 'name' is NULL, else its values. */
static inline int test_store_list(struct store *store, const struct str *name,
	const struct select_request *request, struct arena *arena, struct str_list *out) {
	struct test_store *own = CONTAINER_OF(store, struct test_store, store);
	struct str *items = ARENA_NEW(arena, struct str, own->count * LABELS_COUNT_MAX + 1);
	size_t count = 0;

	for (size_t i = 0; i < own->count; i++) {
		const struct labels *set = &own->series[i]->labels;

		if (!matchers_match(request->matchers, request->matcher_count, set)) {
			continue;
		}
		for (size_t k = 0; k < set->count; k++) {
			if (!name) {
				items[count++] = arena_copy(arena, set->pairs[k].name);
			} else if (str_equal(*name, set->pairs[k].name)) {
				items[count++] = arena_copy(arena, set->pairs[k].value);
			}
		}
	}
	test_list_build(items, count, out);
	return 0;
}

static inline int test_store_label_names(struct store *store, const struct select_request *request,
	struct arena *arena, struct str_list *out, struct err *err) {
	(void)err;
	return test_store_list(store, NULL, request, arena, out);
}

static inline int test_store_label_values(struct store *store, struct str name,
	const struct select_request *request, struct arena *arena, struct str_list *out,
	struct err *err) {
	(void)err;
	return test_store_list(store, &name, request, arena, out);
}

static inline void test_store_init(struct test_store *store) {
	static const struct store_ops ops = { test_store_select, test_store_label_names,
		test_store_label_values };

	*store = (struct test_store){ .store = { .ops = &ops } };
}

/* Forgets all series. */
static inline void test_store_deinit(struct test_store *store) {
	CHECK(store->open_sets == 0);
	for (size_t i = 0; i < store->count; i++) {
		sample_column_deinit(&store->series[i]->samples);
		free(store->series[i]);
	}
	free(store->series);
	arena_deinit(&store->arena);
	test_store_init(store);
}

/* The series of these labels, made if need be. */
static inline struct test_series *test_store_series(
	struct test_store *store, const struct labels *labels) {
	struct test_series *series;

	for (size_t i = 0; i < store->count; i++) {
		if (labels_equal(&store->series[i]->labels, labels)) {
			return store->series[i];
		}
	}
	if (store->count == store->capacity) {
		store->capacity = store->capacity ? store->capacity * 2 : 64;
		store->series =
			memory_resize(store->series, store->capacity, sizeof(struct test_series *));
	}
	series = MEMORY_NEW(struct test_series, 1);
	series->labels = labels_copy(&store->arena, labels);
	store->series[store->count++] = series;
	return series;
}

/* Adds a sample, keeping the order of times; one of the same time is replaced. A histogram, which
 * the caller keeps, if there is one. */
static inline void test_series_put(struct test_series *series, int64_t time_ms, double value,
	const struct histogram *histogram) {
	struct sample_column old = series->samples;
	struct sample_column *samples = &series->samples;
	bool is_placed = false;

	*samples = (struct sample_column){ 0 };
	for (size_t i = 0; i <= old.count; i++) {
		if (!is_placed && (i == old.count || old.times_ms[i] >= time_ms)) {
			is_placed = true;
			if (histogram) {
				CHECK(sample_column_add_histogram(
					      samples, time_ms, histogram, NULL) == 0);
			} else {
				sample_column_add(samples, time_ms, value);
			}
		}
		if (i == old.count || old.times_ms[i] == time_ms) {
			continue;
		}
		if (old.has_histograms && old.histograms[i]) {
			CHECK(sample_column_add_histogram(
				      samples, old.times_ms[i], old.histograms[i], NULL) == 0);
		} else {
			sample_column_add(samples, old.times_ms[i], old.values[i]);
		}
		if (old.has_starts) {
			CHECK(sample_column_set_start(samples, old.starts_ms[i], NULL) == 0);
		}
	}
	sample_column_deinit(&old);
}

/* Adds a sample, keeping the order of times; one of the same time is replaced. */
static inline void test_series_add(struct test_series *series, int64_t time_ms, double value) {
	struct sample_column *samples = &series->samples;
	size_t at = samples->count;

	if (samples->has_histograms || samples->has_starts) {
		test_series_put(series, time_ms, value, NULL);
		return;
	}
	while (at > 0 && samples->times_ms[at - 1] >= time_ms) {
		at--;
	}
	if (at < samples->count && samples->times_ms[at] == time_ms) {
		samples->values[at] = value;
		return;
	}
	sample_column_add(samples, time_ms, value);
	for (size_t i = samples->count - 1; i > at; i--) {
		samples->times_ms[i] = samples->times_ms[i - 1];
		samples->values[i] = samples->values[i - 1];
	}
	samples->times_ms[at] = time_ms;
	samples->values[at] = value;
}

/* Gives a sample that is there its start timestamp. */
static inline void test_series_set_start(
	struct test_series *series, int64_t time_ms, int64_t start_ms) {
	struct sample_column *samples = &series->samples;
	size_t at = 0;

	if (!samples->has_starts) {
		CHECK(samples->count > 0 && sample_column_set_start(samples, 0, NULL) == 0);
	}
	while (at < samples->count && samples->times_ms[at] != time_ms) {
		at++;
	}
	CHECK(at < samples->count);
	samples->starts_ms[at] = start_ms;
}

#endif
