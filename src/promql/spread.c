/*
 * quantile: needs all values of a group at a step, so the series are kept.
 */
#include "promql/aggregate.h"
#include "promql/columns.h"
#include "promql/groups.h"
#include "promql/number.h"
#include "promql/param.h"
#include "promql/quantile.h"

struct spread {
	struct stream stream;
	struct eval *ev;
	const struct expr *expr;
	const struct grid *grid;
	struct param param;
	struct stream *input;
	struct groups groups;
	struct column_list *members; /* By group. */
	size_t capacity;
	bool is_done;
	size_t next;
	int64_t *keys; /* Of one group and step, with room for as many again. */
	size_t key_capacity;
};

static void check_param(const struct spread *spread) {
	uint32_t position = spread->expr->u.aggregate.param->text.start;
	const struct param *param = &spread->param;

	if (param->has_nan) {
		quantile_warn(spread->ev, position, number_nan());
	}
	if (param->max > 1) {
		quantile_warn(spread->ev, position, param->max);
	}
	if (param->min < 0) {
		quantile_warn(spread->ev, position, param->min);
	}
}

static int grow(struct spread *spread) {
	size_t capacity = spread->capacity ? spread->capacity * 2 : 16;
	struct column_list *members = EVAL_NEW(spread->ev, struct column_list, capacity);

	if (!members) {
		return ERR_LIMIT;
	}
	if (spread->capacity > 0) {
		memcpy(members, spread->members, spread->capacity * sizeof(*members));
	}
	spread->members = members;
	spread->capacity = capacity;
	return 0;
}

static int read_input(struct spread *spread) {
	size_t steps = spread->grid->count;
	struct column column;
	int rc;

	while ((rc = spread->input->next(spread->input, &column)) > 0) {
		struct column kept;
		size_t group;

		if (!present_any(column.present, steps)) {
			continue;
		}
		if (column.histograms) {
			notes_info(&spread->ev->notes, &spread->ev->arena,
				spread->expr->u.aggregate.expr->text.start,
				"ignored histogram in quantile aggregation");
			continue;
		}
		rc = groups_add(&spread->groups, &column.labels, &group);
		rc = rc == 0 && group >= spread->capacity ? grow(spread) : rc;
		rc = rc < 0 ? rc : column_keep(spread->ev, spread->input, &column, steps, &kept);
		rc = rc < 0 ? rc : column_list_add(spread->ev, &spread->members[group], &kept);
		rc = rc < 0 ? rc : eval_work(spread->ev, steps);
		if (rc < 0) {
			return rc;
		}
	}
	return rc;
}

static int alloc_keys(struct spread *spread, size_t count) {
	if (count <= spread->key_capacity) {
		return 0;
	}
	spread->keys = EVAL_NEW(spread->ev, int64_t, 2 * count);
	spread->key_capacity = spread->keys ? count : 0;
	return spread->keys ? 0 : ERR_LIMIT;
}

static int finish_group(
	struct spread *spread, const struct column_list *members, struct column *out) {
	size_t steps = spread->grid->count;
	int rc = alloc_keys(spread, members->count);

	rc = rc < 0 ? rc : eval_column_build(spread->ev, steps, out);
	rc = rc < 0 ? rc : eval_hold(spread->ev, steps);
	for (size_t i = 0; rc == 0 && i < steps; i++) {
		size_t count = 0;

		for (size_t k = 0; k < members->count; k++) {
			if (present_get(members->items[k].present, i)) {
				spread->keys[count++] = quantile_key(members->items[k].values[i]);
			}
		}
		if (count > 0) {
			out->values[i] = quantile_of(spread->param.values[i], spread->keys,
				spread->keys + spread->key_capacity, count);
			present_set(out->present, i);
		}
		rc = eval_work(spread->ev, members->count);
	}
	for (size_t k = 0; rc == 0 && k < members->count; k++) {
		out->drops_name |= members->items[k].drops_name;
	}
	return rc;
}

static int spread_next(struct stream *stream, struct column *out) {
	struct spread *spread = CONTAINER_OF(stream, struct spread, stream);
	int rc = spread->is_done ? 0 : read_input(spread);

	if (rc < 0) {
		return rc;
	}
	spread->is_done = true;
	if (spread->next == spread->groups.count) {
		return 0;
	}
	rc = finish_group(spread, &spread->members[spread->next], out);
	if (rc < 0) {
		return rc;
	}
	out->labels = groups_labels(&spread->groups, spread->next++);
	return 1;
}

int spread_open(struct eval *ev, struct expr *expr, const struct grid *grid, struct stream **out) {
	struct spread *spread = EVAL_NEW(ev, struct spread, 1);
	int rc;

	if (!spread) {
		return ERR_LIMIT;
	}
	spread->stream = (struct stream){ .next = spread_next, .keeps = true };
	spread->ev = ev;
	spread->expr = expr;
	spread->grid = grid;
	rc = groups_init(&spread->groups, ev, expr->u.aggregate.grouping,
		expr->u.aggregate.grouping_count, expr->u.aggregate.without);
	rc = rc < 0 ? rc : param_eval(ev, expr->u.aggregate.param, grid, &spread->param);
	rc = rc < 0 ? rc : eval_stream(ev, expr->u.aggregate.expr, grid, &spread->input);
	if (rc < 0) {
		return rc;
	}
	check_param(spread);
	*out = &spread->stream;
	return 0;
}
