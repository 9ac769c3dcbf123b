/*
 * sum, avg, count, min, max, group, stddev, stdvar: an accumulator per group and step, into which
 * series are folded as they come; no series is kept.
 */
#include "promql/aggregate.h"

#include "promql/columns.h"
#include "promql/groups.h"
#include "promql/histogram_mean.h"
#include "promql/histogram_notes.h"
#include "promql/kahan.h"
#include "promql/number.h"

#include "base/check.h"

/* Accumulators of a group, one per step; which are there depends on the operator. */
struct fold_group {
	struct column column; /* 'values': the sum, the extreme, the count, the squares. */
	double *rests;        /* sum, avg: what rounding took. */
	double *means;        /* stddev, stdvar. */
	double *counts;       /* avg, stddev, stdvar. */
	uint64_t *running;    /* avg: the steps whose sum overflowed. */
	/* sum, avg: of histograms. There once a column of them came. */
	struct histogram_fold *histograms;
};

/* Sums or means of histograms. */
struct histogram_fold {
	struct histogram_total **totals; /* By step. */
	struct column column;            /* The results; its steps are those with a histogram. */
	uint64_t *numbers;               /* The steps at which a number came, */
	uint64_t *spoiled;               /* and those at which two did not fit together. */
};

struct fold {
	struct stream stream;
	struct eval *ev;
	const struct expr *expr;
	enum aggregate_op op;
	const struct grid *grid;
	struct stream *input;
	struct groups groups;
	struct fold_group *items; /* By group. */
	size_t capacity;
	bool is_done; /* All is folded and finished; the results go out. */
	size_t next;
	bool has_second; /* The histograms of the group before 'next' are still to come. */
};

/* Folding, one column into one group. The first value of a step sets what the others change. */

static void fold_sum(struct fold_group *group, const struct column *column, size_t steps) {
	double *sums = group->column.values;
	double *rests = group->rests;

	for (size_t from = 0; from < steps; from += 64) {
		size_t count = steps - from < 64 ? steps - from : 64;
		uint64_t there = group->column.present[from / 64];
		uint64_t come = column->present[from / 64];

		if ((there & come) == UINT64_MAX >> (64 - count)) {
			kahan_add_all(sums + from, rests + from, column->values + from, count);
			continue;
		}
		for (; come != 0; come &= come - 1) {
			unsigned bit = (unsigned)__builtin_ctzll(come);
			struct kahan sum = { column->values[from + bit], 0 };

			if ((there >> bit & 1) != 0) {
				sum = kahan_add(
					(struct kahan){ sums[from + bit], rests[from + bit] },
					column->values[from + bit]);
			}
			sums[from + bit] = sum.sum;
			rests[from + bit] = sum.rest;
		}
	}
}

static void fold_mean(struct fold_group *group, double value, size_t step) {
	struct mean mean = mean_first(value);

	if (present_get(group->column.present, step)) {
		mean = (struct mean){
			.total = { group->column.values[step], group->rests[step] },
			.count = group->counts[step],
			.is_running = present_get(group->running, step),
		};
		mean_add(&mean, value);
	}
	group->column.values[step] = mean.total.sum;
	group->rests[step] = mean.total.rest;
	group->counts[step] = mean.count;
	if (mean.is_running) {
		present_set(group->running, step);
	}
}

static void fold_avg(struct fold_group *group, const struct column *column, size_t steps) {
	for (size_t from = 0; from < steps; from += 64) {
		size_t count = steps - from < 64 ? steps - from : 64;
		uint64_t there = group->column.present[from / 64] & ~group->running[from / 64];
		uint64_t come = column->present[from / 64];
		size_t done = 0;

		if ((there & come) == UINT64_MAX >> (64 - count)) {
			done = kahan_mean_all(group->column.values + from, group->rests + from,
				group->counts + from, column->values + from, count);
		}
		for (size_t i = done; i < count; i++) {
			if ((come >> i & 1) != 0) {
				fold_mean(group, column->values[from + i], from + i);
			}
		}
	}
}

static void fold_count(struct fold_group *group, const struct column *column, size_t steps) {
	double *counts = group->column.values;

	for (PRESENT_EACH(column->present, steps, i)) {
		counts[i]++;
	}
}

static void fold_group(struct fold_group *group, const struct column *column, size_t steps) {
	for (PRESENT_EACH(column->present, steps, i)) {
		group->column.values[i] = 1;
	}
}

static void fold_max(struct fold_group *group, const struct column *column, size_t steps) {
	double *max = group->column.values;

	for (PRESENT_EACH(column->present, steps, i)) {
		if (!present_get(group->column.present, i) || max[i] < column->values[i] ||
			isnan(max[i])) {
			max[i] = column->values[i];
		}
	}
}

static void fold_min(struct fold_group *group, const struct column *column, size_t steps) {
	double *min = group->column.values;

	for (PRESENT_EACH(column->present, steps, i)) {
		if (!present_get(group->column.present, i) || min[i] > column->values[i] ||
			isnan(min[i])) {
			min[i] = column->values[i];
		}
	}
}

/* Welford: the squares of the distances from a running mean. */
static void fold_variance(struct fold_group *group, const struct column *column, size_t steps) {
	for (PRESENT_EACH(column->present, steps, i)) {
		double value = column->values[i];
		double delta;

		if (!present_get(group->column.present, i)) {
			group->counts[i] = 1;
			group->means[i] = value;
			group->column.values[i] = isfinite(value) ? 0 : number_nan();
			continue;
		}
		group->counts[i]++;
		delta = value - group->means[i];
		group->means[i] += delta / group->counts[i];
		group->column.values[i] += delta * (value - group->means[i]);
	}
}

static void fold_column(
	enum aggregate_op op, struct fold_group *group, const struct column *column, size_t steps) {
	switch (op) {
	case AGGREGATE_SUM:
		fold_sum(group, column, steps);
		break;
	case AGGREGATE_AVG:
		fold_avg(group, column, steps);
		break;
	case AGGREGATE_COUNT:
		fold_count(group, column, steps);
		break;
	case AGGREGATE_MIN:
		fold_min(group, column, steps);
		break;
	case AGGREGATE_MAX:
		fold_max(group, column, steps);
		break;
	case AGGREGATE_GROUP:
		fold_group(group, column, steps);
		break;
	case AGGREGATE_STDDEV:
	case AGGREGATE_STDVAR:
		fold_variance(group, column, steps);
		break;
	case AGGREGATE_TOPK:
	case AGGREGATE_BOTTOMK:
	case AGGREGATE_COUNT_VALUES:
	case AGGREGATE_QUANTILE:
	case AGGREGATE_LIMITK:
	case AGGREGATE_LIMIT_RATIO:
		CHECK(false);
	}
	for (size_t i = 0; i < step_words(steps); i++) {
		group->column.present[i] |= column->present[i];
	}
}

/* Histograms. */

static uint32_t input_position(const struct fold *fold) {
	return fold->expr->u.aggregate.expr->text.start;
}

static int begin_histograms(struct fold *fold, struct fold_group *group) {
	size_t steps = fold->grid->count;
	size_t words = step_words(steps);
	struct histogram_fold *made = EVAL_NEW(fold->ev, struct histogram_fold, 1);
	int rc = made ? eval_histograms_build(fold->ev, steps, &made->column) : ERR_LIMIT;

	if (rc < 0) {
		return rc;
	}
	made->totals = EVAL_NEW(fold->ev, struct histogram_total *, steps);
	made->numbers = EVAL_NEW(fold->ev, uint64_t, words);
	made->spoiled = EVAL_NEW(fold->ev, uint64_t, words);
	if (!made->totals || !made->numbers || !made->spoiled) {
		return ERR_LIMIT;
	}
	memcpy(made->numbers, group->column.present, words * sizeof(*made->numbers));
	group->histograms = made;
	return 0;
}

static int fold_histogram(struct fold *fold, struct histogram_fold *histograms,
	const struct column *column, size_t step) {
	const struct histogram *value = column->histograms[step];
	struct histogram_notes notes = { fold->ev, input_position(fold),
		labels_get(&column->labels, LABEL_NAME) };
	struct histogram_total *total = histograms->totals[step];
	int rc;

	/* Among numbers there will be no result. */
	if (!total && present_get(histograms->numbers, step)) {
		return 0;
	}
	if (!total) {
		total = EVAL_NEW(fold->ev, struct histogram_total, 1);
		histograms->totals[step] = total;
		return total ? histogram_total_begin(fold->ev, total, value) : ERR_LIMIT;
	}
	rc = fold->op == AGGREGATE_AVG ? histogram_total_mean(fold->ev, total, value)
				       : histogram_total_sum(fold->ev, total, value);
	if (rc > 0 && (rc & HISTOGRAM_INCOMPATIBLE)) {
		histogram_note_schemas(&notes);
		present_set(histograms->spoiled, step);
	} else if (rc > 0 && (rc & HISTOGRAM_RECONCILED)) {
		histogram_note_reconciled(fold->ev, notes.position, "aggregation");
	}
	return rc < 0 ? rc : 0;
}

/* sum, avg. */
static int fold_histograms(
	struct fold *fold, struct fold_group *group, const struct column *column) {
	int rc = group->histograms ? 0 : begin_histograms(fold, group);

	if (rc < 0) {
		return rc;
	}
	for (PRESENT_EACH(column->present, fold->grid->count, i)) {
		if (present_get(group->histograms->spoiled, i)) {
			continue;
		}
		present_set(group->histograms->column.present, i);
		rc = fold_histogram(fold, group->histograms, column, i);
		if (rc < 0) {
			return rc;
		}
	}
	return 0;
}

/* What a column of histograms means to the operator. Returns 1 if it is to be folded as numbers
 * are, 0 if it is done with. */
static int take_histograms(
	struct fold *fold, struct fold_group *group, const struct column *column) {
	struct eval *ev = fold->ev;

	if (fold->op == AGGREGATE_COUNT || fold->op == AGGREGATE_GROUP) {
		return 1;
	}
	if (fold->op == AGGREGATE_SUM || fold->op == AGGREGATE_AVG) {
		return fold_histograms(fold, group, column);
	}
	notes_info(&ev->notes, &ev->arena, input_position(fold),
		"ignored histogram in %s aggregation", aggregate_op_text(fold->op));
	return 0;
}

static void see_numbers(
	const struct histogram_fold *histograms, const struct column *column, size_t steps) {
	for (size_t i = 0; i < step_words(steps); i++) {
		histograms->numbers[i] |= column->present[i] & ~histograms->spoiled[i];
	}
}

static int finish_histogram(struct fold *fold, struct fold_group *group, size_t step) {
	struct histogram_fold *histograms = group->histograms;
	struct histogram_total *total = histograms->totals[step];
	struct eval *ev = fold->ev;
	int rc;

	present_clear(group->column.present, step);
	if (present_get(histograms->numbers, step)) {
		notes_warn(&ev->notes, &ev->arena, input_position(fold),
			"encountered a mix of histograms and floats for aggregation");
		present_clear(histograms->column.present, step);
		return 0;
	}
	if (present_get(histograms->spoiled, step)) {
		present_clear(histograms->column.present, step);
		return 0;
	}
	rc = histogram_total_end(ev, total, fold->op == AGGREGATE_AVG);
	if (rc < 0) {
		return rc;
	}
	if (total->saw_reset && total->saw_not_reset) {
		histogram_note_collision(ev, input_position(fold), "aggregation");
	}
	histogram_compact(&total->sum);
	histograms->column.histograms[step] = &total->sum;
	return 0;
}

static int finish_histograms(struct fold *fold, struct fold_group *group) {
	for (PRESENT_EACH(group->histograms->column.present, fold->grid->count, i)) {
		int rc = finish_histogram(fold, group, i);

		if (rc < 0) {
			return rc;
		}
	}
	return 0;
}

/* Turns accumulators into values. */
static void finish(enum aggregate_op op, struct fold_group *group, size_t steps) {
	double *values = group->column.values;

	for (PRESENT_EACH(group->column.present, steps, i)) {
		if (op == AGGREGATE_SUM) {
			values[i] += group->rests[i];
		} else if (op == AGGREGATE_STDVAR) {
			values[i] /= group->counts[i];
		} else if (op == AGGREGATE_STDDEV) {
			values[i] = sqrt(values[i] / group->counts[i]);
		} else if (op == AGGREGATE_AVG) {
			struct mean mean = {
				.total = { values[i], group->rests[i] },
				.count = group->counts[i],
				.is_running = present_get(group->running, i),
			};

			values[i] = mean_get(&mean);
		}
	}
}

static int grow(struct fold *fold) {
	size_t capacity = fold->capacity ? fold->capacity * 2 : 16;
	struct fold_group *items = EVAL_NEW(fold->ev, struct fold_group, capacity);

	if (!items) {
		return ERR_LIMIT;
	}
	if (fold->capacity > 0) {
		memcpy(items, fold->items, fold->capacity * sizeof(*items));
	}
	fold->items = items;
	fold->capacity = capacity;
	return 0;
}

static int alloc_group(struct fold *fold, struct fold_group *group) {
	struct eval *ev = fold->ev;
	size_t steps = fold->grid->count;
	bool has_rest = fold->op == AGGREGATE_SUM || fold->op == AGGREGATE_AVG;
	bool has_mean = fold->op == AGGREGATE_STDDEV || fold->op == AGGREGATE_STDVAR;
	bool has_count = fold->op == AGGREGATE_AVG || has_mean;
	int rc = eval_column_build(ev, steps, &group->column);

	if (rc < 0) {
		return rc;
	}
	group->rests = has_rest ? EVAL_NEW(ev, double, steps) : NULL;
	group->means = has_mean ? EVAL_NEW(ev, double, steps) : NULL;
	group->counts = has_count ? EVAL_NEW(ev, double, steps) : NULL;
	group->running = has_count ? EVAL_NEW(ev, uint64_t, step_words(steps)) : NULL;
	if ((has_rest && !group->rests) || (has_mean && !group->means) ||
		(has_count && (!group->counts || !group->running))) {
		return ERR_LIMIT;
	}
	return eval_hold(ev, steps);
}

static int find_group(struct fold *fold, const struct column *column, struct fold_group **out) {
	size_t index;
	int rc = groups_add(&fold->groups, &column->labels, &index);

	rc = rc == 0 && index >= fold->capacity ? grow(fold) : rc;
	if (rc == 0 && !fold->items[index].column.values) {
		rc = alloc_group(fold, &fold->items[index]);
	}
	*out = rc == 0 ? &fold->items[index] : NULL;
	return rc;
}

static int fold_all(struct fold *fold) {
	size_t steps = fold->grid->count;
	struct column column;
	int rc;

	while ((rc = fold->input->next(fold->input, &column)) > 0) {
		struct fold_group *group;

		if (!present_any(column.present, steps)) {
			continue;
		}
		rc = find_group(fold, &column, &group);
		rc = rc < 0 ? rc : eval_work(fold->ev, steps);
		if (rc < 0) {
			return rc;
		}
		group->column.drops_name |= column.drops_name;
		rc = column.histograms ? take_histograms(fold, group, &column) : 1;
		if (rc < 0) {
			return rc;
		}
		if (rc > 0) {
			fold_column(fold->op, group, &column, steps);
		}
		if (group->histograms && !column.histograms) {
			see_numbers(group->histograms, &column, steps);
		}
	}
	for (size_t i = 0; rc == 0 && i < fold->groups.count; i++) {
		struct fold_group *group = &fold->items[i];

		finish(fold->op, group, steps);
		group->column.labels = groups_labels(&fold->groups, i);
		rc = group->histograms ? finish_histograms(fold, group) : 0;
	}
	return rc;
}

static int fold_next(struct stream *stream, struct column *out) {
	struct fold *fold = CONTAINER_OF(stream, struct fold, stream);
	int rc = fold->is_done ? 0 : fold_all(fold);

	if (rc < 0) {
		return rc;
	}
	fold->is_done = true;
	if (fold->has_second) {
		const struct fold_group *group = &fold->items[fold->next - 1];

		fold->has_second = false;
		*out = group->histograms->column;
		out->labels = group->column.labels;
		out->drops_name = group->column.drops_name;
		return 1;
	}
	if (fold->next == fold->groups.count) {
		return 0;
	}
	fold->has_second = fold->items[fold->next].histograms != NULL;
	*out = fold->items[fold->next++].column;
	return 1;
}

int fold_open(struct eval *ev, struct expr *expr, const struct grid *grid, struct stream **out) {
	struct fold *fold = EVAL_NEW(ev, struct fold, 1);
	int rc;

	if (!fold) {
		return ERR_LIMIT;
	}
	fold->stream = (struct stream){ .next = fold_next, .keeps = true };
	fold->ev = ev;
	fold->expr = expr;
	fold->op = expr->u.aggregate.op;
	fold->grid = grid;
	rc = groups_init(&fold->groups, ev, expr->u.aggregate.grouping,
		expr->u.aggregate.grouping_count, expr->u.aggregate.without);
	rc = rc < 0 ? rc : eval_stream(ev, expr->u.aggregate.expr, grid, &fold->input);
	if (rc < 0) {
		return rc;
	}
	*out = &fold->stream;
	return 0;
}

int aggregate_open(
	struct eval *ev, struct expr *expr, const struct grid *grid, struct stream **out) {
	switch (expr->u.aggregate.op) {
	case AGGREGATE_SUM:
	case AGGREGATE_AVG:
	case AGGREGATE_COUNT:
	case AGGREGATE_MIN:
	case AGGREGATE_MAX:
	case AGGREGATE_GROUP:
	case AGGREGATE_STDDEV:
	case AGGREGATE_STDVAR:
		return fold_open(ev, expr, grid, out);
	case AGGREGATE_TOPK:
	case AGGREGATE_BOTTOMK:
	case AGGREGATE_LIMITK:
	case AGGREGATE_LIMIT_RATIO:
		return choose_open(ev, expr, grid, out);
	case AGGREGATE_QUANTILE:
		return spread_open(ev, expr, grid, out);
	case AGGREGATE_COUNT_VALUES:
		return count_values_open(ev, expr, grid, out);
	}
	CHECK(false);
	return ERR_ABSENT;
}
