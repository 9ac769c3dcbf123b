#include "store/store.h"

#include "base/memory.h"

#include <stdlib.h>

void sample_column_deinit(struct sample_column *column) {
	free(column->times_ms);
	free(column->values);
	free((void *)column->histograms);
	*column = (struct sample_column){ 0 };
}

void sample_column_reserve(struct sample_column *column, size_t extra) {
	size_t wanted = column->count + extra;
	size_t capacity = column->capacity > 0 ? column->capacity : 128;

	if (wanted <= column->capacity) {
		return;
	}
	while (capacity < wanted) {
		capacity *= 2;
	}
	column->times_ms = memory_resize(column->times_ms, capacity, sizeof(int64_t));
	column->values = memory_resize(column->values, capacity, sizeof(double));
	if (column->histograms) {
		column->histograms = (const struct histogram **)memory_resize(
			(void *)column->histograms, capacity, sizeof(*column->histograms));
	}
	column->capacity = capacity;
}

void sample_column_clear(struct sample_column *column) {
	column->count = 0;
	column->has_histograms = false;
}

void sample_column_add(struct sample_column *column, int64_t time_ms, double value) {
	if (column->count == column->capacity) {
		sample_column_reserve(column, 1);
	}
	column->times_ms[column->count] = time_ms;
	column->values[column->count] = value;
	if (column->has_histograms) {
		column->histograms[column->count] = NULL;
	}
	column->count++;
}

void sample_column_add_histogram(
	struct sample_column *column, int64_t time_ms, const struct histogram *histogram) {
	size_t at = column->count;

	sample_column_reserve(column, 1);
	if (!column->histograms) {
		column->histograms = (const struct histogram **)memory_resize(
			NULL, column->capacity, sizeof(*column->histograms));
	}
	if (!column->has_histograms) {
		memset((void *)column->histograms, 0, at * sizeof(*column->histograms));
		column->has_histograms = true;
	}
	sample_column_add(column, time_ms, histogram->sum);
	column->histograms[at] = histogram;
}

int store_select(struct store *store, const struct select_request *request, struct arena *arena,
	struct series_set **out, struct err *err) {
	return store->ops->select(store, request, arena, out, err);
}

int series_set_next(struct series_set *set, struct err *err) {
	return set->ops->next(set, err);
}

int series_set_read(struct series_set *set, struct sample_column *column, struct err *err) {
	return set->ops->read(set, column, err);
}

void series_set_close(struct series_set *set) {
	if (set) {
		set->ops->close(set);
	}
}

bool series_set_is_shareable(struct series_set *set) {
	return set->ops->fork != NULL;
}

size_t series_set_count(struct series_set *set) {
	return set->ops->count(set);
}

void series_set_seek(struct series_set *set, size_t index) {
	set->ops->seek(set, index);
}

int series_set_fork(
	struct series_set *set, struct arena *arena, struct series_set **out, struct err *err) {
	return set->ops->fork(set, arena, out, err);
}

int store_label_names(struct store *store, const struct select_request *request,
	struct arena *arena, struct str_list *out, struct err *err) {
	return store->ops->label_names(store, request, arena, out, err);
}

int store_label_values(struct store *store, struct str name, const struct select_request *request,
	struct arena *arena, struct str_list *out, struct err *err) {
	return store->ops->label_values(store, name, request, arena, out, err);
}

int appender_append(struct appender *appender, struct series_ref *ref, const struct labels *set,
	int64_t time_ms, double value, struct err *err) {
	return appender->ops->append(appender, ref, set, time_ms, value, err);
}

int appender_commit(struct appender *appender, struct err *err) {
	return appender->ops->commit(appender, err);
}

void appender_rollback(struct appender *appender) {
	appender->ops->rollback(appender);
}
