#include "store/store.h"

#include "base/check.h"
#include "base/memory.h"

#include <stdlib.h>

void sample_column_deinit(struct sample_column *column) {
	free(column->times_ms);
	free(column->values);
	free((void *)column->histograms);
	free(column->starts_ms);
	if (column->budget) {
		budget_release(column->budget, column->charged_bytes);
	}
	*column = (struct sample_column){ 0 };
}

/* Pays for 'bytes' in all, while what was paid for is still there to be copied. Returns 0 or
 * ERR_LIMIT. */
static int charge(struct sample_column *column, uint64_t bytes, struct err *err) {
	int rc = column->budget ? budget_charge(column->budget, bytes, err) : 0;

	if (rc == 0 && column->budget) {
		budget_release(column->budget, column->charged_bytes);
		column->charged_bytes = bytes;
	}
	return rc;
}

static uint64_t sample_bytes(bool has_histograms, bool has_starts) {
	return sizeof(int64_t) + sizeof(double) +
	       (has_histograms ? sizeof(const struct histogram *) : 0) +
	       (has_starts ? sizeof(int64_t) : 0);
}

int sample_column_reserve(struct sample_column *column, size_t extra, struct err *err) {
	size_t wanted = column->count + extra;
	size_t capacity = column->capacity > 0 ? column->capacity : 128;
	uint64_t bytes = sample_bytes(column->histograms != NULL, column->starts_ms != NULL);

	if (wanted <= column->capacity) {
		return 0;
	}
	while (capacity < wanted) {
		capacity *= 2;
	}
	if (charge(column, capacity * bytes, err) < 0) {
		/* What is left may do for just these. */
		capacity = wanted;
		if (charge(column, capacity * bytes, err) < 0) {
			return ERR_LIMIT;
		}
	}
	column->times_ms = memory_resize(column->times_ms, capacity, sizeof(int64_t));
	column->values = memory_resize(column->values, capacity, sizeof(double));
	if (column->histograms) {
		column->histograms = (const struct histogram **)memory_resize(
			(void *)column->histograms, capacity, sizeof(*column->histograms));
	}
	if (column->starts_ms) {
		column->starts_ms = memory_resize(column->starts_ms, capacity, sizeof(int64_t));
	}
	column->capacity = capacity;
	return 0;
}

void sample_column_clear(struct sample_column *column) {
	column->count = 0;
	column->has_histograms = false;
	column->has_starts = false;
}

void sample_column_add(struct sample_column *column, int64_t time_ms, double value) {
	if (column->count == column->capacity) {
		CHECK(sample_column_reserve(column, 1, NULL) == 0);
	}
	column->times_ms[column->count] = time_ms;
	column->values[column->count] = value;
	if (column->has_histograms) {
		column->histograms[column->count] = NULL;
	}
	if (column->has_starts) {
		column->starts_ms[column->count] = 0;
	}
	column->count++;
}

int sample_column_add_histogram(struct sample_column *column, int64_t time_ms,
	const struct histogram *histogram, struct err *err) {
	size_t at = column->count;
	int rc = sample_column_reserve(column, 1, err);

	if (rc == 0 && !column->histograms) {
		rc = charge(column,
			column->capacity * sample_bytes(true, column->starts_ms != NULL), err);
	}
	if (rc < 0) {
		return rc;
	}
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
	return 0;
}

int sample_column_set_start(struct sample_column *column, int64_t start_ms, struct err *err) {
	if (!column->starts_ms) {
		int rc = charge(column,
			column->capacity * sample_bytes(column->histograms != NULL, true), err);

		if (rc < 0) {
			return rc;
		}
		column->starts_ms = memory_resize(NULL, column->capacity, sizeof(int64_t));
	}
	if (!column->has_starts) {
		memset(column->starts_ms, 0, column->count * sizeof(int64_t));
		column->has_starts = true;
	}
	column->starts_ms[column->count - 1] = start_ms;
	return 0;
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
