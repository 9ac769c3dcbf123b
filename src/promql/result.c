#include "promql/result.h"

#include "promql/counts.h"
#include "promql/extended.h"
#include "promql/histogram.h"

#include <stdlib.h>

/* Columns of the result as they come. */
struct collector {
	struct eval *ev;
	struct arena *arena;
	size_t step_count;
	struct table *table; /* By labels; NULL where none can come twice. */
	struct step_column *columns;
	size_t count;
	size_t capacity;
};

struct collector_key {
	const struct collector *collector;
	const struct labels *labels;
};

static bool collector_equal(uint64_t value, const void *key) {
	const struct collector_key *wanted = key;

	return labels_equal(&wanted->collector->columns[value].labels, wanted->labels);
}

static int grow(struct collector *collector) {
	size_t capacity = collector->capacity ? collector->capacity * 2 : 16;
	struct step_column *columns =
		ARENA_TRY_NEW(collector->arena, struct step_column, capacity, collector->ev->err);

	if (!columns) {
		return ERR_LIMIT;
	}
	if (collector->count > 0) {
		memcpy(columns, collector->columns, collector->count * sizeof(*columns));
	}
	collector->columns = columns;
	collector->capacity = capacity;
	return 0;
}

static const struct histogram *copy_histogram(
	struct arena *arena, const struct histogram *from, struct err *err) {
	struct histogram *copy = ARENA_TRY_NEW(arena, struct histogram, 1, err);
	double *bounds = ARENA_TRY_NEW(arena, double, from->bound_count, err);

	if (!copy || !bounds || histogram_copy(arena, from, copy, err) < 0) {
		return NULL;
	}
	if (from->bound_count > 0) {
		memcpy(bounds, from->bounds, from->bound_count * sizeof(*bounds));
	}
	copy->bounds = bounds;
	return copy;
}

/* Adds the column's histograms to the result's. */
static int copy_histograms(
	struct collector *collector, struct step_column *to, const struct column *from) {
	size_t steps = collector->step_count;
	struct err *err = collector->ev->err;

	if (!to->histograms) {
		to->histograms =
			ARENA_TRY_NEW(collector->arena, const struct histogram *, steps, err);
	}
	if (!to->histograms) {
		return ERR_LIMIT;
	}
	for (PRESENT_EACH(from->present, steps, i)) {
		to->histograms[i] = copy_histogram(collector->arena, from->histograms[i], err);
		if (!to->histograms[i]) {
			return ERR_LIMIT;
		}
	}
	return 0;
}

static int add_column(struct collector *collector, const struct column *column) {
	size_t steps = collector->step_count;
	struct step_column *out;
	int rc = collector->count == collector->capacity ? grow(collector) : 0;

	if (rc < 0) {
		return rc;
	}
	out = &collector->columns[collector->count];
	rc = step_column_build(collector->arena, steps, out, collector->ev->err);
	if (rc < 0) {
		return rc;
	}
	memcpy(out->values, column->values, steps * sizeof(*out->values));
	memcpy(out->present, column->present, step_words(steps) * sizeof(*out->present));
	rc = column->histograms ? copy_histograms(collector, out, column) : 0;
	if (rc < 0) {
		return rc;
	}
	out->labels = labels_copy(collector->arena, &column->labels);
	collector->count++;
	return 0;
}

static int merge_column(
	struct collector *collector, struct step_column *to, const struct column *from) {
	if (present_overlap(to->present, from->present, collector->step_count)) {
		return eval_fail_same_labels(collector->ev);
	}
	for (PRESENT_EACH(from->present, collector->step_count, i)) {
		step_set(to, i, from->values[i]);
	}
	return from->histograms ? copy_histograms(collector, to, from) : 0;
}

/* Whether the column is the histograms of the series that came last. */
static bool is_second(const struct collector *collector, const struct column *column) {
	return column->histograms && collector->count > 0 &&
	       labels_equal(&collector->columns[collector->count - 1].labels, &column->labels);
}

static int collect(struct collector *collector, struct column *column) {
	struct collector_key key = { collector, &column->labels };
	struct eval *ev = collector->ev;
	size_t samples = present_count(column->present, collector->step_count);
	uint64_t hash;
	uint64_t at;
	int rc;

	if (samples == 0) {
		return 0;
	}
	rc = eval_hold(ev, samples);
	if (rc < 0) {
		return rc;
	}
	if (column->drops_name && ev->options->delayed_name_removal) {
		column->labels = labels_drop_name(ev, &column->labels);
	}
	if (!collector->table) {
		return is_second(collector, column)
			       ? merge_column(collector, &collector->columns[collector->count - 1],
					 column)
			       : add_column(collector, column);
	}
	hash = labels_hash(&column->labels);
	if (map_find(&collector->table->map, hash, collector_equal, &key, &at)) {
		return merge_column(collector, &collector->columns[at], column);
	}
	rc = eval_table_add(ev, collector->table, hash, collector->count);
	return rc < 0 ? rc : add_column(collector, column);
}

static int cmp_columns(const void *a, const void *b, void *context UNUSED) {
	return labels_cmp(
		&((const struct step_column *)a)->labels, &((const struct step_column *)b)->labels);
}

int result_vector(struct eval *ev, struct expr *expr, const struct grid *grid, bool is_sorted,
	struct arena *arena, struct query_result *result) {
	struct collector collector = { .ev = ev, .arena = arena, .step_count = grid->count };
	struct stream *stream;
	struct column column;
	int rc = eval_stream(ev, expr, grid, &stream);

	if (rc < 0) {
		return rc;
	}
	if (stream->repeats || ev->options->delayed_name_removal) {
		collector.table = eval_table_new(ev);
		if (!collector.table) {
			return ERR_LIMIT;
		}
	}
	while ((rc = stream->next(stream, &column)) > 0) {
		rc = collect(&collector, &column);
		rc = rc < 0 ? rc : eval_work(ev, grid->count);
		if (rc < 0) {
			return rc;
		}
	}
	if (rc < 0) {
		return rc;
	}
	if (is_sorted && collector.count > 1) {
		int64_t start_ns = clock_mono_ns(ev->clock);

		rc = eval_sort(ev, collector.columns, collector.count, sizeof(*collector.columns),
			cmp_columns, NULL);
		if (rc < 0) {
			return rc;
		}
		result->stats.sort_ns = clock_mono_ns(ev->clock) - start_ns;
	}
	result->steps = (struct steps){
		.grid = *grid, .columns = collector.columns, .count = collector.count
	};
	return 0;
}

bool query_result_has_histograms(const struct query_result *result) {
	for (size_t i = 0; i < result->steps.count; i++) {
		if (result->steps.columns[i].histograms) {
			return true;
		}
	}
	for (size_t i = 0; i < result->raw_count; i++) {
		if (result->raw[i].histograms) {
			return true;
		}
	}
	return false;
}

int result_scalar(struct eval *ev, struct expr *expr, const struct grid *grid, struct arena *arena,
	struct query_result *result) {
	struct step_column *column = ARENA_TRY_NEW(arena, struct step_column, 1, ev->err);
	double *values;
	int rc = column ? eval_scalar(ev, expr, grid, &values) : ERR_LIMIT;

	rc = rc < 0 ? rc : step_column_build(arena, grid->count, column, ev->err);
	if (rc < 0) {
		return rc;
	}
	memcpy(column->values, values, grid->count * sizeof(*values));
	present_fill(column->present, grid->count);
	result->steps = (struct steps){ .grid = *grid, .columns = column, .count = 1 };
	return 0;
}

static int copy_raw(struct eval *ev, const struct samples *samples, struct arena *arena,
	struct raw_series *out) {
	struct labels labels = samples->labels;
	int64_t *times_ms = ARENA_TRY_NEW(arena, int64_t, samples->count, ev->err);
	double *values = ARENA_TRY_NEW(arena, double, samples->count, ev->err);
	const struct histogram **histograms = NULL;

	if (!times_ms || !values) {
		return ERR_LIMIT;
	}
	if (samples->drops_name && ev->options->delayed_name_removal) {
		labels = labels_drop_name(ev, &labels);
	}
	memcpy(times_ms, samples->times_ms, samples->count * sizeof(*times_ms));
	memcpy(values, samples->values, samples->count * sizeof(*values));
	if (samples->histograms) {
		histograms =
			ARENA_TRY_NEW(arena, const struct histogram *, samples->count, ev->err);
		for (size_t i = 0; histograms && i < samples->count; i++) {
			histograms[i] =
				!samples->histograms[i]
					? NULL
					: copy_histogram(arena, samples->histograms[i], ev->err);
			if (samples->histograms[i] && !histograms[i]) {
				return ERR_LIMIT;
			}
		}
		if (!histograms) {
			return ERR_LIMIT;
		}
	}
	*out = (struct raw_series){
		.labels = labels_copy(arena, &labels),
		.times_ms = times_ms,
		.values = values,
		.histograms = histograms,
		.count = samples->count,
	};
	return 0;
}

static int cmp_raw(const void *a, const void *b, void *context UNUSED) {
	return labels_cmp(
		&((const struct raw_series *)a)->labels, &((const struct raw_series *)b)->labels);
}

/* Names that went may have left two series of the same labels: one or a failure, by their times.
 * They stand next to each other. */
static int merge_raw(struct eval *ev, struct arena *arena, struct raw_series *to,
	const struct raw_series *from) {
	size_t count = to->count + from->count;
	int64_t *times_ms = ARENA_TRY_NEW(arena, int64_t, count, ev->err);
	double *values = ARENA_TRY_NEW(arena, double, count, ev->err);
	const struct histogram **histograms =
		to->histograms || from->histograms
			? ARENA_TRY_NEW(arena, const struct histogram *, count, ev->err)
			: NULL;
	size_t a = 0;
	size_t b = 0;

	if (!times_ms || !values || ((to->histograms || from->histograms) && !histograms)) {
		return ERR_LIMIT;
	}
	for (size_t i = 0; i < count; i++) {
		bool has_both = a < to->count && b < from->count;
		bool takes_a =
			b == from->count || (has_both && to->times_ms[a] < from->times_ms[b]);

		if (has_both && to->times_ms[a] == from->times_ms[b]) {
			return eval_fail_same_labels(ev);
		}
		if (takes_a && to->histograms) {
			histograms[i] = to->histograms[a];
		} else if (!takes_a && from->histograms) {
			histograms[i] = from->histograms[b];
		}
		times_ms[i] = takes_a ? to->times_ms[a] : from->times_ms[b];
		values[i] = takes_a ? to->values[a++] : from->values[b++];
	}
	to->times_ms = times_ms;
	to->values = values;
	to->histograms = histograms;
	to->count = count;
	return 0;
}

static int sort_raw(struct eval *ev, struct arena *arena, struct raw_series *items, size_t *count) {
	size_t last = 0;
	int rc;

	if (*count < 2) {
		return 0;
	}
	rc = eval_sort(ev, items, *count, sizeof(*items), cmp_raw, NULL);
	if (rc < 0) {
		return rc;
	}
	for (size_t i = 1; i < *count; i++) {
		rc = eval_work(ev, 1);
		if (rc == 0 && labels_equal(&items[last].labels, &items[i].labels)) {
			rc = merge_raw(ev, arena, &items[last], &items[i]);
		} else {
			items[++last] = items[i];
		}
		if (rc < 0) {
			return rc;
		}
	}
	*count = last + 1;
	return 0;
}

int result_raw(struct eval *ev, struct expr *expr, const struct grid *grid, struct arena *arena,
	struct query_result *result) {
	struct samples_source *source;
	struct raw_series *items = NULL;
	size_t capacity = 0;
	size_t count = 0;
	struct samples samples;
	const struct window_shape *shape;
	int rc = samples_open_answer(ev, expr, grid, &source);

	if (rc < 0) {
		return rc;
	}
	shape = samples_shape(source);
	while (rc == 0 && (rc = samples_next(source, &samples)) > 0) {
		if (count == capacity) {
			size_t more = capacity ? capacity * 2 : 16;
			struct raw_series *grown =
				ARENA_TRY_NEW(arena, struct raw_series, more, ev->err);

			if (!grown) {
				return ERR_LIMIT;
			}
			if (count > 0) {
				memcpy(grown, items, count * sizeof(*items));
			}
			items = grown;
			capacity = more;
		}
		if (shape->is_extended && samples.histograms) {
			return err_set(ev->err, ERR_EXEC,
				"%s modifier is not supported with histograms",
				shape->is_smoothed ? "smoothed" : "anchored");
		}
		if (shape->is_extended) {
			rc = extended_raw(ev, shape, window_end(shape, grid->start_ms), &samples);
		}
		if (rc >= 0 && samples.count == 0) {
			rc = 0;
			continue;
		}
		rc = rc < 0 ? rc : eval_hold(ev, samples.count);
		rc = rc < 0 ? rc : copy_raw(ev, &samples, arena, &items[count]);
		if (!samples_are_evaluated(source)) {
			count_only(ev, samples.count);
		}
		count++;
	}
	rc = rc < 0 ? rc : sort_raw(ev, arena, items, &count);
	if (rc < 0) {
		return rc;
	}
	result->raw = items;
	result->raw_count = count;
	return 0;
}
