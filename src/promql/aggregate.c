/*
 * sum, avg, count, min, max, group, stddev, stdvar: an accumulator per group and step, into which
 * series are folded as they come; no series is kept.
 */
#include "promql/aggregate.h"

#include "promql/columns.h"
#include "promql/groups.h"
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
};

struct fold {
	struct stream stream;
	struct eval *ev;
	enum aggregate_op op;
	const struct grid *grid;
	struct stream *input;
	struct groups groups;
	struct fold_group *items; /* By group. */
	size_t capacity;
	bool is_done; /* All is folded and finished; the results go out. */
	size_t next;
};

/* Folding, one column into one group. The first value of a step sets what the others change. */

static void fold_sum(struct fold_group *group, const struct column *column, size_t steps) {
	double *sums = group->column.values;
	double *rests = group->rests;

	for (PRESENT_EACH(column->present, steps, i)) {
		if (!present_get(group->column.present, i)) {
			sums[i] = column->values[i];
			continue;
		}

		struct kahan sum =
			kahan_add((struct kahan){ sums[i], rests[i] }, column->values[i]);

		sums[i] = sum.sum;
		rests[i] = sum.rest;
	}
}

static void fold_avg(struct fold_group *group, const struct column *column, size_t steps) {
	for (PRESENT_EACH(column->present, steps, i)) {
		struct mean mean = mean_first(column->values[i]);

		if (present_get(group->column.present, i)) {
			mean = (struct mean){
				.total = { group->column.values[i], group->rests[i] },
				.count = group->counts[i],
				.is_running = present_get(group->running, i),
			};
			mean_add(&mean, column->values[i]);
		}
		group->column.values[i] = mean.total.sum;
		group->rests[i] = mean.total.rest;
		group->counts[i] = mean.count;
		if (mean.is_running) {
			present_set(group->running, i);
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
		fold_column(fold->op, group, &column, steps);
		group->column.drops_name |= column.drops_name;
	}
	for (size_t i = 0; rc == 0 && i < fold->groups.count; i++) {
		finish(fold->op, &fold->items[i], steps);
		fold->items[i].column.labels = groups_labels(&fold->groups, i);
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
	if (fold->next == fold->groups.count) {
		return 0;
	}
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
