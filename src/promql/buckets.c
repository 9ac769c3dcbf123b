/*
 * histogram_quantile, histogram_quantiles and histogram_fraction, over classic buckets and native
 * histograms.
 *
 * The bucket series of a histogram are those that differ in le alone. They are collected, put in
 * order of their bounds once, and then looked at step by step.
 */
#include "promql/call.h"
#include "promql/classic.h"
#include "promql/columns.h"
#include "promql/groups.h"
#include "promql/histogram.h"
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

struct classic {
	struct bound *bounds;
	size_t count;
	size_t capacity;
	uint64_t *native; /* The steps at which a native histogram has the same labels; or NULL. */
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
	struct classic *histograms; /* By group. */
	size_t capacity;
	struct column_list natives; /* Native histograms; they go out first. */
	struct bucket *buckets;     /* Of one histogram and step. */
	size_t bucket_capacity;
	struct name_drop drop;
	bool is_done;
	size_t next;        /* Native histogram, then classic one, */
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
	struct classic *items = EVAL_NEW(buckets->ev, struct classic, capacity);

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

static int add_bound(struct eval *ev, struct classic *histogram, const struct bound *bound) {
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

static int add_native(struct buckets *buckets, const struct column *column) {
	struct column kept;
	int rc = column_keep(buckets->ev, buckets->input, column, buckets->grid->count, &kept);

	rc = rc < 0 ? rc : column_list_add(buckets->ev, &buckets->natives, &kept);
	return rc < 0 ? rc : eval_work(buckets->ev, buckets->grid->count);
}

/* The classic histogram of a native one's labels, or NULL. */
static struct classic *find_classic(const struct buckets *buckets, const struct column *native) {
	size_t group;

	if (labels_get(&native->labels, BUCKET_LABEL).len > 0 ||
		!groups_find(&buckets->groups, &native->labels, &group)) {
		return NULL;
	}
	return &buckets->histograms[group];
}

static int mark_natives(struct buckets *buckets) {
	size_t words = step_words(buckets->grid->count);

	for (size_t i = 0; i < buckets->natives.count; i++) {
		const struct column *native = &buckets->natives.items[i];
		struct classic *classic = find_classic(buckets, native);

		if (!classic) {
			continue;
		}
		if (!classic->native) {
			classic->native = EVAL_NEW(buckets->ev, uint64_t, words);
		}
		if (!classic->native) {
			return ERR_LIMIT;
		}
		for (size_t k = 0; k < words; k++) {
			classic->native[k] |= native->present[k];
		}
	}
	return 0;
}

static int read_input(struct buckets *buckets) {
	struct column column;
	size_t most = 0;
	int rc;

	while ((rc = buckets->input->next(buckets->input, &column)) > 0) {
		if (present_any(column.present, buckets->grid->count)) {
			rc = column.histograms ? add_native(buckets, &column)
					       : add_column(buckets, &column);
		}
		if (rc < 0) {
			return rc;
		}
	}
	rc = rc < 0 ? rc : mark_natives(buckets);
	for (size_t i = 0; i < buckets->groups.count; i++) {
		struct classic *histogram = &buckets->histograms[i];

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

static size_t gather(struct buckets *buckets, const struct classic *histogram, size_t step) {
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

/* Classic buckets and a native histogram of the same labels: neither is evaluated. */
static void note_mix(struct buckets *buckets, const struct labels *labels) {
	AUTO(buf_deinit) struct buf quoted = { 0 };
	struct eval *ev = buckets->ev;
	struct str name =
		ev->options->delayed_name_removal ? labels_get(labels, LABEL_NAME) : STR_EMPTY;

	notes_warn(&ev->notes, &ev->arena, buckets->position,
		"vector contains a mix of classic and native histograms%s%s",
		name.len > 0 ? " for metric name " : "",
		name.len > 0 ? notes_quote(name, &quoted) : "");
}

/* What was observed of NaN shows in the answer. */
static void note_nan(struct buckets *buckets, const struct labels *labels, int flags) {
	AUTO(buf_deinit) struct buf quoted = { 0 };
	struct eval *ev = buckets->ev;
	struct str name =
		ev->options->delayed_name_removal ? labels_get(labels, LABEL_NAME) : STR_EMPTY;
	bool is_fraction = buckets->id == FUNCTION_HISTOGRAM_FRACTION;

	notes_info(&ev->notes, &ev->arena, buckets->position,
		"input to histogram_%s has NaN observations, %s%s%s",
		is_fraction ? "fraction" : "quantile",
		is_fraction                    ? "which are excluded from all fractions"
		: flags & HISTOGRAM_NAN_RESULT ? "result is NaN"
					       : "result is skewed higher",
		name.len > 0 ? " for metric name " : "",
		name.len > 0 ? notes_quote(name, &quoted) : "");
}

static double native_value(
	struct buckets *buckets, const struct column *native, size_t step, const double *scalar) {
	const struct histogram *histogram = native->histograms[step];
	int flags;
	double value = buckets->id == FUNCTION_HISTOGRAM_FRACTION
			       ? histogram_fraction(histogram, buckets->scalars[0][step],
					 buckets->scalars[1][step], &flags)
			       : histogram_quantile(histogram, scalar[step], &flags);

	if (flags) {
		note_nan(buckets, &native->labels, flags);
	}
	return value;
}

/* Whether any classic bucket is there at the step. */
static bool has_bucket(const struct classic *classic, size_t step) {
	for (size_t i = 0; classic && i < classic->count; i++) {
		if (present_get(classic->bounds[i].column.present, step)) {
			return true;
		}
	}
	return false;
}

static bool value_at(struct buckets *buckets, const struct classic *histogram, size_t step,
	const double *scalar, double *out) {
	size_t count = gather(buckets, histogram, step);
	struct bucket_repair repair;

	if (count == 0) {
		return false;
	}
	if (histogram->native && present_get(histogram->native, step)) {
		note_mix(buckets, &histogram->bounds[0].column.labels);
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

/* Whether a step belongs to the column that is being built: of histogram_quantiles, those at which
 * the scalar has the value that the column is of. */
static bool takes_step(const struct buckets *buckets, const double *scalar, size_t step) {
	return buckets->id != FUNCTION_HISTOGRAM_QUANTILES ||
	       same_number(scalar[step], scalar[buckets->next_step]);
}

static void fill_native(struct buckets *buckets, const struct column *native, struct column *out) {
	const double *scalar = buckets->scalars[buckets->next_scalar];
	const struct classic *classic = find_classic(buckets, native);

	for (PRESENT_EACH(native->present, buckets->grid->count, i)) {
		if (takes_step(buckets, scalar, i) && !has_bucket(classic, i)) {
			out->values[i] = native_value(buckets, native, i, scalar);
			present_set(out->present, i);
		}
	}
	out->labels = native->labels;
}

static void fill_classic(
	struct buckets *buckets, const struct classic *classic, struct column *out) {
	const double *scalar = buckets->scalars[buckets->next_scalar];

	for (size_t i = 0; i < buckets->grid->count; i++) {
		if (takes_step(buckets, scalar, i) &&
			value_at(buckets, classic, i, scalar, &out->values[i])) {
			present_set(out->present, i);
		}
	}
}

static int build_column(struct buckets *buckets, struct column *out) {
	size_t steps = buckets->grid->count;
	size_t group = buckets->next - buckets->natives.count;
	bool is_native = buckets->next < buckets->natives.count;
	const double *scalar = buckets->scalars[buckets->next_scalar];
	int rc = eval_column_build(buckets->ev, steps, out);

	rc = rc < 0 ? rc : eval_hold(buckets->ev, steps);
	rc = rc < 0 ? rc
		    : eval_work(buckets->ev,
			      steps * (is_native ? 1 : buckets->histograms[group].count));
	if (rc < 0) {
		return rc;
	}
	if (is_native) {
		fill_native(buckets, &buckets->natives.items[buckets->next], out);
	} else {
		fill_classic(buckets, &buckets->histograms[group], out);
		out->labels = groups_labels(&buckets->groups, group);
	}
	if (buckets->id == FUNCTION_HISTOGRAM_QUANTILES) {
		out->labels = labels_with(&buckets->ev->arena, &out->labels, buckets->label,
			label_value(&buckets->ev->arena, scalar[buckets->next_step]));
	}
	return name_drop_apply(&buckets->drop, out);
}

/* Goes on to the next histogram, value of a scalar, or scalar. */
static void advance(struct buckets *buckets) {
	size_t steps = buckets->grid->count;

	if (++buckets->next < buckets->natives.count + buckets->groups.count) {
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
	if (buckets->natives.count + buckets->groups.count == 0 ||
		buckets->next_scalar == buckets->scalar_count) {
		return 0;
	}
	rc = build_column(buckets, out);
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
