/*
 * A selector's samples are read one series at a time. A subquery's are the steps of its expression
 * on the subquery's own grid, whose times are multiples of its step, so that neighbouring
 * evaluations share them.
 */
#include "promql/samples.h"

#include "promql/columns.h"
#include "promql/counts.h"
#include "promql/explain.h"

struct samples_source {
	struct eval *ev;
	struct window_shape shape;
	struct leaf *leaf;          /* A selector, */
	bool is_empty;              /* or a subquery: one that has no step, */
	struct grid grid;           /* or one with these steps. */
	const struct grid *outer;   /* Who asks; */
	struct step_counts *counts; /* what was read for that, or NULL. */
	struct columns columns;
	size_t next;
	int64_t *times_ms;
	double *values;
	const struct histogram **histograms; /* Of the current series, if it has any. */
	struct column ahead;                 /* Read already, of the series after it. */
	bool has_ahead;
	uint64_t held; /* Samples of the current series, as counted. */
	bool is_answer;
	struct explain_node *node; /* NULL: nobody wants to know. */
};

bool samples_are_evaluated(const struct samples_source *source) {
	return source->leaf == NULL;
}

const struct window_shape *samples_shape(const struct samples_source *source) {
	return &source->shape;
}

static struct window_shape shape_of(const struct time_shift *shift, int64_t range_ms) {
	return (struct window_shape){
		.range_ms = range_ms,
		/* Whole seconds and the rest apart, which is how Go rounds it. */
		.range_s = (double)(range_ms / 1000) + (double)(range_ms % 1000 * 1000000) / 1e9,
		.shift_ms = -shift->offset.ms,
		.is_fixed = shift->at == AT_TIME,
		.fixed_ms = shift->at_ms - shift->offset.ms,
	};
}

static int open_range(
	struct samples_source *source, const struct expr *expr, const struct grid *grid) {
	const struct selector *selector = &expr->u.range.selector->u.selector;
	struct eval *ev = source->ev;

	source->shape = shape_of(&selector->shift, expr->u.range.range.ms);
	source->shape.is_extended = selector->anchored || selector->smoothed;
	source->shape.is_smoothed = selector->smoothed;
	source->shape.before_ms = source->shape.is_extended ? ev->lookback_ms : 0;
	source->shape.after_ms = selector->smoothed ? ev->lookback_ms : 0;
	return leaf_open(ev, selector,
		window_end(&source->shape, grid->start_ms) - source->shape.range_ms -
			source->shape.before_ms + 1,
		window_end(&source->shape, grid_time(grid, grid->count - 1)) +
			source->shape.after_ms,
		&source->leaf);
}

/* The multiples of the step in (first - range, last]. Returns false when there are none. */
static bool subquery_grid(const struct window_shape *shape, const struct grid *outer,
	int64_t step_ms, struct grid *out) {
	int64_t end_ms = window_end(shape, grid_time(outer, outer->count - 1));
	int64_t from_ms = window_end(shape, outer->start_ms) - shape->range_ms;
	int64_t start_ms = step_ms * (from_ms / step_ms);

	if (start_ms <= from_ms) {
		start_ms += step_ms;
	}
	if (start_ms > end_ms) {
		return false;
	}
	*out = (struct grid){
		.start_ms = start_ms,
		.step_ms = step_ms,
		.count = (size_t)((end_ms - start_ms) / step_ms) + 1,
	};
	return true;
}

static int open_subquery(
	struct samples_source *source, struct expr *expr, const struct grid *grid) {
	struct eval *ev = source->ev;
	uint64_t weight = ev->samples_weight;
	struct step_counts *counts = ev->counts;
	struct stream *stream;
	int rc;

	source->shape = shape_of(&expr->u.subquery.shift, expr->u.subquery.range.ms);
	source->is_empty =
		!subquery_grid(&source->shape, grid, expr->u.subquery.step.ms, &source->grid);
	if (source->is_empty) {
		return 0;
	}
	source->outer = grid;
	if (ev->counts) {
		source->counts = counts_new(ev, source->grid.count, source->is_answer);
		if (!source->counts) {
			return ERR_LIMIT;
		}
	}
	ev->samples_weight = source->is_answer ? weight : 0;
	ev->counts = source->counts;
	rc = eval_stream(ev, expr->u.subquery.expr, &source->grid, &stream);
	if (rc == 0) {
		columns_init(&source->columns, ev, stream, source->grid.count);
	}
	ev->samples_weight = weight;
	ev->counts = counts;
	return rc;
}

static int open_source(struct eval *ev, struct expr *expr, const struct grid *grid, bool is_answer,
	struct samples_source **out) {
	struct samples_source *source = EVAL_NEW(ev, struct samples_source, 1);
	struct explain_span span;
	int rc;

	if (!source) {
		return ERR_LIMIT;
	}
	source->ev = ev;
	source->is_answer = is_answer;
	if (ev->explains) {
		source->node = explain_new(ev, expr, grid);
		if (!source->node) {
			return ERR_LIMIT;
		}
		span = explain_enter(ev, source->node);
	}
	rc = expr->kind == EXPR_RANGE ? open_range(source, expr, grid)
				      : open_subquery(source, expr, grid);
	if (source->node) {
		explain_leave(ev, source->node, &span);
	}
	if (rc < 0) {
		return rc;
	}
	*out = source;
	return 0;
}

int samples_open(
	struct eval *ev, struct expr *expr, const struct grid *grid, struct samples_source **out) {
	return open_source(ev, expr, grid, false, out);
}

int samples_open_answer(
	struct eval *ev, struct expr *expr, const struct grid *grid, struct samples_source **out) {
	return open_source(ev, expr, grid, true, out);
}

void samples_remove_stale(struct sample_column *samples) {
	size_t kept = 0;

	while (kept < samples->count && !is_stale(samples->values[kept])) {
		kept++;
	}
	for (size_t i = kept; i < samples->count; i++) {
		if (!is_stale(samples->values[i])) {
			samples->times_ms[kept] = samples->times_ms[i];
			samples->values[kept] = samples->values[i];
			if (samples->has_histograms) {
				samples->histograms[kept] = samples->histograms[i];
			}
			if (samples->has_starts) {
				samples->starts_ms[kept] = samples->starts_ms[i];
			}
			kept++;
		}
	}
	samples->count = kept;
}

static int next_selected(struct samples_source *source, struct samples *out) {
	struct leaf *leaf = source->leaf;

	for (;;) {
		int rc = leaf_next(source->ev, leaf);

		if (rc <= 0) {
			return rc;
		}
		samples_remove_stale(&leaf->samples);
		if (leaf->samples.count > 0) {
			break;
		}
	}
	*out = (struct samples){
		.labels = leaf->set->labels,
		.times_ms = leaf->samples.times_ms,
		.values = leaf->samples.values,
		.histograms = leaf->samples.has_histograms ? leaf->samples.histograms : NULL,
		.starts_ms = leaf->samples.has_starts ? leaf->samples.starts_ms : NULL,
		.count = leaf->samples.count,
	};
	return 1;
}

static int alloc_samples(struct samples_source *source) {
	if (source->times_ms) {
		return 0;
	}
	source->times_ms = EVAL_NEW(source->ev, int64_t, source->grid.count);
	source->values = EVAL_NEW(source->ev, double, source->grid.count);
	return source->times_ms && source->values ? 0 : ERR_LIMIT;
}

static size_t take_steps(struct samples_source *source, const struct column *column) {
	size_t count = 0;

	for (PRESENT_EACH(column->present, source->grid.count, i)) {
		if (!is_stale(column->values[i])) {
			source->times_ms[count] = grid_time(&source->grid, i);
			source->values[count++] = column->values[i];
		}
	}
	return count;
}

/* A hint is about the sample before, and that is not the step before. */
static const struct histogram *without_hint(
	struct samples_source *source, const struct histogram *histogram) {
	struct histogram *copy;

	if (histogram->hint == HISTOGRAM_UNKNOWN || histogram->hint == HISTOGRAM_GAUGE) {
		return histogram;
	}
	copy = EVAL_NEW(source->ev, struct histogram, 1);
	if (copy) {
		*copy = *histogram;
		copy->hint = HISTOGRAM_UNKNOWN;
	}
	return copy;
}

/* Puts the steps of a column of histograms among the 'count' samples that are there. */
static int add_histograms(
	struct samples_source *source, const struct column *column, size_t *count) {
	size_t total = *count + present_count(column->present, source->grid.count);
	const struct histogram **histograms = EVAL_NEW(source->ev, const struct histogram *, total);
	size_t from = *count;
	size_t at = total;

	if (!histograms) {
		return ERR_LIMIT;
	}
	/* From the end, so that each sample is moved once. */
	for (size_t i = source->grid.count; i-- > 0 && at > 0;) {
		int64_t time_ms = grid_time(&source->grid, i);

		if (from > 0 && source->times_ms[from - 1] == time_ms) {
			from--;
			at--;
			source->times_ms[at] = source->times_ms[from];
			source->values[at] = source->values[from];
		} else if (present_get(column->present, i)) {
			at--;
			histograms[at] = without_hint(source, column->histograms[i]);
			if (!histograms[at]) {
				return ERR_LIMIT;
			}
			source->times_ms[at] = time_ms;
			source->values[at] = histograms[at]->sum;
		}
	}
	source->histograms = histograms;
	*count = total;
	return 0;
}

/* The next column of the subquery; as its results are counted when they are used, not now. */
static int next_column(struct samples_source *source, struct column *out) {
	struct eval *ev = source->ev;
	uint64_t weight = ev->samples_weight;
	struct step_counts *counts = ev->counts;
	int rc;

	if (source->is_empty) {
		return 0;
	}
	if (source->has_ahead) {
		source->has_ahead = false;
		*out = source->ahead;
		return 1;
	}
	ev->samples_weight = source->is_answer ? weight : 0;
	ev->counts = source->counts;
	rc = columns_next(&source->columns, out);
	ev->samples_weight = weight;
	ev->counts = counts;
	source->is_empty = rc == 0;
	if (rc == 0 && counts) {
		counts_merge_subquery(counts, source->counts, source->outer, &source->grid,
			-source->shape.shift_ms, source->shape.range_ms);
	}
	return rc;
}

/* Adds the column of histograms of the series whose numbers are taken, if that comes next. */
static int take_second(struct samples_source *source, const struct labels *labels, size_t *count) {
	int rc = next_column(source, &source->ahead);

	if (rc <= 0) {
		return rc;
	}
	if (!source->ahead.histograms || !labels_equal(labels, &source->ahead.labels)) {
		source->has_ahead = true;
		return 0;
	}
	return add_histograms(source, &source->ahead, count);
}

static int next_evaluated(struct samples_source *source, struct samples *out) {
	struct eval *ev = source->ev;
	struct column column;
	size_t count = 0;

	while (count == 0) {
		int rc = next_column(source, &column);

		source->histograms = NULL;
		if (rc <= 0) {
			return rc;
		}
		rc = alloc_samples(source);
		rc = rc < 0 ? rc : eval_work(ev, source->grid.count);
		if (rc < 0) {
			return rc;
		}
		if (column.histograms) {
			rc = add_histograms(source, &column, &count);
		} else {
			count = take_steps(source, &column);
			rc = take_second(source, &column.labels, &count);
		}
		if (rc < 0) {
			return rc;
		}
	}
	*out = (struct samples){
		.labels = column.labels,
		.times_ms = source->times_ms,
		.values = source->values,
		.histograms = source->histograms,
		.count = count,
		.drops_name = column.drops_name,
	};
	return 1;
}

static int next_series(struct samples_source *source, struct samples *out) {
	return source->leaf ? next_selected(source, out) : next_evaluated(source, out);
}

static int next_explained(struct samples_source *source, struct samples *out) {
	struct explain_span span = explain_enter(source->ev, source->node);
	int rc = next_series(source, out);

	explain_leave(source->ev, source->node, &span);
	if (rc > 0) {
		source->node->series++;
		source->node->values += out->count;
	}
	return rc;
}

int samples_next(struct samples_source *source, struct samples *out) {
	int rc;

	eval_drop(source->ev, source->held);
	source->held = 0;
	rc = source->node ? next_explained(source, out) : next_series(source, out);
	if (rc <= 0) {
		return rc;
	}
	source->held = out->count;
	rc = eval_hold(source->ev, out->count);
	return rc < 0 ? rc : 1;
}
