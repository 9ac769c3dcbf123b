/*
 * histogram_quantile, histogram_quantiles and histogram_fraction over classic buckets.
 *
 * The bucket series of a histogram are those that differ in le alone. They are collected, put in
 * order of their bounds once, and then looked at step by step.
 */
#include "promql/call.h"
#include "promql/classic.h"
#include "promql/columns.h"
#include "promql/groups.h"
#include "promql/names.h"
#include "promql/quantile.h"

#include "base/check.h"
#include "cxx/number.h"

#include <stdlib.h>

#define BUCKET_LABEL STR("le")
/* histogram_quantiles takes ten at most; histogram_fraction needs two. */
#define SCALARS_MAX 16

/* A bucket of a histogram, at all steps. */
struct bound {
	double bound;
	struct column column;
};

struct histogram {
	struct bound *bounds;
	size_t count;
	size_t capacity;
};

struct buckets {
	struct stream stream;
	struct eval *ev;
	enum function_id id;
	const struct grid *grid;
	struct stream *input;
	uint32_t position; /* Of the vector. */
	const double *scalars[SCALARS_MAX];
	size_t scalar_count;
	struct str label; /* histogram_quantiles: the new label. */
	struct groups groups;
	struct histogram *histograms; /* By group. */
	size_t capacity;
	struct bucket *buckets; /* Of one histogram and step. */
	size_t bucket_capacity;
	struct name_drop drop;
	bool is_done;
	size_t next;        /* Histogram, */
	size_t next_scalar; /* scalar */
	size_t next_step;   /* and step of the next column. */
};

/* Collecting. */

static bool parse_bound(struct buckets *buckets, const struct labels *labels, double *bound) {
	AUTO(buf_deinit) struct buf quoted = { 0 };
	AUTO(buf_deinit) struct buf quoted_name = { 0 };
	struct str text = labels_get(labels, BUCKET_LABEL);
	struct str name = labels_get(labels, LABEL_NAME);
	struct eval *ev = buckets->ev;
	bool has_name = ev->options->delayed_name_removal && name.len > 0;

	if (number_parse(text, bound, NULL)) {
		return true;
	}
	notes_warn(&ev->notes, &ev->arena, buckets->position,
		"bucket label \"le\" is missing or has a malformed value of %s%s%s",
		notes_quote(text, &quoted), has_name ? " for metric name " : "",
		has_name ? notes_quote(name, &quoted_name) : "");
	return false;
}

static int grow_histograms(struct buckets *buckets) {
	size_t capacity = buckets->capacity ? buckets->capacity * 2 : 16;
	struct histogram *items = EVAL_NEW(buckets->ev, struct histogram, capacity);

	if (!items) {
		return ERR_LIMIT;
	}
	if (buckets->capacity > 0) {
		memcpy(items, buckets->histograms, buckets->capacity * sizeof(*items));
	}
	buckets->histograms = items;
	buckets->capacity = capacity;
	return 0;
}

static int add_bound(struct eval *ev, struct histogram *histogram, const struct bound *bound) {
	if (histogram->count == histogram->capacity) {
		size_t capacity = histogram->capacity ? histogram->capacity * 2 : 16;
		struct bound *bounds = EVAL_NEW(ev, struct bound, capacity);

		if (!bounds) {
			return ERR_LIMIT;
		}
		if (histogram->count > 0) {
			memcpy(bounds, histogram->bounds, histogram->count * sizeof(*bounds));
		}
		histogram->bounds = bounds;
		histogram->capacity = capacity;
	}
	histogram->bounds[histogram->count++] = *bound;
	return 0;
}

static int cmp_bounds(const void *a, const void *b) {
	double x = ((const struct bound *)a)->bound;
	double y = ((const struct bound *)b)->bound;

	return (x > y) - (x < y);
}

static int add_column(struct buckets *buckets, const struct column *column) {
	struct bound bound;
	size_t group;
	int rc;

	if (!parse_bound(buckets, &column->labels, &bound.bound)) {
		return 0;
	}
	rc = groups_add(&buckets->groups, &column->labels, &group);
	rc = rc == 0 && group >= buckets->capacity ? grow_histograms(buckets) : rc;
	rc = rc < 0 ? rc
		    : column_keep(buckets->ev, buckets->input, column, buckets->grid->count,
			      &bound.column);
	rc = rc < 0 ? rc : add_bound(buckets->ev, &buckets->histograms[group], &bound);
	return rc < 0 ? rc : eval_work(buckets->ev, buckets->grid->count);
}

static int read_input(struct buckets *buckets) {
	struct column column;
	size_t most = 0;
	int rc;

	while ((rc = buckets->input->next(buckets->input, &column)) > 0) {
		if (present_any(column.present, buckets->grid->count)) {
			rc = add_column(buckets, &column);
		}
		if (rc < 0) {
			return rc;
		}
	}
	for (size_t i = 0; i < buckets->groups.count; i++) {
		struct histogram *histogram = &buckets->histograms[i];

		if (histogram->count > 1) {
			qsort(histogram->bounds, histogram->count, sizeof(*histogram->bounds),
				cmp_bounds);
		}
		most = histogram->count > most ? histogram->count : most;
	}
	buckets->buckets = EVAL_NEW(buckets->ev, struct bucket, most);
	return rc < 0 ? rc : buckets->buckets ? 0 : ERR_LIMIT;
}

/* Evaluating. */

static size_t gather(struct buckets *buckets, const struct histogram *histogram, size_t step) {
	size_t count = 0;

	for (size_t i = 0; i < histogram->count; i++) {
		const struct bound *bound = &histogram->bounds[i];

		if (present_get(bound->column.present, step)) {
			buckets->buckets[count++] =
				(struct bucket){ bound->bound, bound->column.values[step] };
		}
	}
	return count;
}

static void note_repair(struct buckets *buckets, const struct bucket_repair *repair,
	const struct labels *labels, size_t step) {
	struct eval *ev = buckets->ev;
	struct str name =
		ev->options->delayed_name_removal ? labels_get(labels, LABEL_NAME) : STR_EMPTY;

	notes_repair(&ev->notes, &ev->arena, buckets->position, name,
		grid_time(buckets->grid, step), repair->bound_min, repair->bound_max,
		repair->diff_max);
}

static bool value_at(struct buckets *buckets, const struct histogram *histogram, size_t step,
	const double *scalar, double *out) {
	size_t count = gather(buckets, histogram, step);
	struct bucket_repair repair;

	if (count == 0) {
		return false;
	}
	if (buckets->id == FUNCTION_HISTOGRAM_FRACTION) {
		*out = bucket_fraction(buckets->scalars[0][step], buckets->scalars[1][step],
			buckets->buckets, count);
		return true;
	}
	*out = bucket_quantile(scalar[step], buckets->buckets, count, &repair);
	if (repair.is_forced) {
		note_repair(buckets, &repair, &histogram->bounds[0].column.labels, step);
	}
	return true;
}

/* A quantile as the value of a label: an integer gets ".0". */
static struct str label_value(struct arena *arena, double q) {
	char text[NUMBER_TEXT_MAX];
	struct str shown = { text, number_format_g(q, text) };
	bool is_plain =
		isfinite(q) && str_find(shown, '.') == SIZE_MAX && str_find(shown, 'e') == SIZE_MAX;

	return arena_printf(arena, "%.*s%s", STR_ARG(shown), is_plain ? ".0" : "");
}

static bool same_number(double a, double b) {
	return double_bits(a) == double_bits(b) || (isnan(a) && isnan(b));
}

static bool had_before(const double *scalar, size_t step) {
	for (size_t i = 0; i < step; i++) {
		if (same_number(scalar[i], scalar[step])) {
			return true;
		}
	}
	return false;
}

/* The first step from 'from' at which the scalar has a value that it had at none before. */
static size_t next_new_value(const struct buckets *buckets, const double *scalar, size_t from) {
	while (from < buckets->grid->count && had_before(scalar, from)) {
		from++;
	}
	return from;
}

static int build_column(
	struct buckets *buckets, const struct histogram *histogram, struct column *out) {
	size_t steps = buckets->grid->count;
	const double *scalar = buckets->scalars[buckets->next_scalar];
	bool is_labelled = buckets->id == FUNCTION_HISTOGRAM_QUANTILES;
	int rc = eval_column_build(buckets->ev, steps, out);

	rc = rc < 0 ? rc : eval_hold(buckets->ev, steps);
	rc = rc < 0 ? rc : eval_work(buckets->ev, steps * histogram->count);
	if (rc < 0) {
		return rc;
	}
	for (size_t i = 0; i < steps; i++) {
		if (is_labelled && !same_number(scalar[i], scalar[buckets->next_step])) {
			continue;
		}
		if (value_at(buckets, histogram, i, scalar, &out->values[i])) {
			present_set(out->present, i);
		}
	}
	out->labels = groups_labels(&buckets->groups, buckets->next);
	if (is_labelled) {
		out->labels = labels_with(&buckets->ev->arena, &out->labels, buckets->label,
			label_value(&buckets->ev->arena, scalar[buckets->next_step]));
	}
	return name_drop_apply(&buckets->drop, out);
}

/* Goes on to the next histogram, value of a scalar, or scalar. */
static void advance(struct buckets *buckets) {
	size_t steps = buckets->grid->count;

	if (++buckets->next < buckets->groups.count) {
		return;
	}
	buckets->next = 0;
	buckets->next_step =
		buckets->id == FUNCTION_HISTOGRAM_QUANTILES
			? next_new_value(buckets, buckets->scalars[buckets->next_scalar],
				  buckets->next_step + 1)
			: steps;
	if (buckets->next_step < steps) {
		return;
	}
	buckets->next_step = 0;
	buckets->next_scalar = buckets->id == FUNCTION_HISTOGRAM_QUANTILES
				       ? buckets->next_scalar + 1
				       : buckets->scalar_count;
}

static int buckets_next(struct stream *stream, struct column *out) {
	struct buckets *buckets = CONTAINER_OF(stream, struct buckets, stream);
	int rc = buckets->is_done ? 0 : read_input(buckets);

	if (rc < 0) {
		return rc;
	}
	buckets->is_done = true;
	if (buckets->groups.count == 0 || buckets->next_scalar == buckets->scalar_count) {
		return 0;
	}
	rc = build_column(buckets, &buckets->histograms[buckets->next], out);
	advance(buckets);
	return rc < 0 ? rc : 1;
}

/* Opening. */

static void check_quantiles(
	struct buckets *buckets, const struct expr *call, size_t arg, const double *scalar) {
	double last = 0.5;

	if (buckets->id == FUNCTION_HISTOGRAM_FRACTION) {
		return;
	}
	for (size_t i = 0; i < buckets->grid->count; i++) {
		double q = scalar[i];

		if ((isnan(q) || q < 0 || q > 1) && !same_number(q, last)) {
			quantile_warn(buckets->ev, call_position(call, arg), q);
			last = q;
		}
	}
}

static int open_args(struct buckets *buckets, struct expr *call) {
	struct expr *vector = NULL;

	for (size_t i = 0; i < call->u.call.count; i++) {
		struct expr *arg = expr_unparen(call->u.call.args[i]);
		double *values;
		int rc;

		if (arg->type == VALUE_STRING) {
			buckets->label = arg->u.string;
			continue;
		}
		if (arg->type == VALUE_VECTOR) {
			vector = arg;
			buckets->position = call_position(call, i);
			rc = eval_stream(buckets->ev, arg, buckets->grid, &buckets->input);
		} else {
			CHECK(buckets->scalar_count < SCALARS_MAX);
			rc = eval_scalar(buckets->ev, arg, buckets->grid, &values);
			if (rc == 0) {
				buckets->scalars[buckets->scalar_count++] = values;
				check_quantiles(buckets, call, i, values);
			}
		}
		if (rc < 0) {
			return rc;
		}
	}
	CHECK(vector != NULL);
	return name_drop_init(&buckets->drop, buckets->ev, vector, buckets->grid->count, false);
}

int call_open_buckets(
	struct eval *ev, struct expr *call, const struct grid *grid, struct stream **out) {
	struct buckets *buckets = EVAL_NEW(ev, struct buckets, 1);
	int rc;

	if (!buckets) {
		return ERR_LIMIT;
	}
	buckets->ev = ev;
	buckets->id = call->u.call.function->id;
	buckets->grid = grid;
	rc = groups_init_except(&buckets->groups, ev, BUCKET_LABEL);
	rc = rc < 0 ? rc : open_args(buckets, call);
	if (rc < 0) {
		return rc;
	}
	buckets->stream = (struct stream){
		.next = buckets_next,
		.keeps = true,
		.repeats = name_drop_repeats(&buckets->drop) || buckets->scalar_count > 1,
	};
	*out = &buckets->stream;
	return 0;
}
