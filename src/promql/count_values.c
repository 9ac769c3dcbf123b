/*
 * count_values: how many series of a group have each value, at each step; the value becomes a
 * label.
 */
#include "promql/aggregate.h"
#include "promql/columns.h"
#include "promql/groups.h"
#include "promql/histogram.h"

#include "cxx/number.h"

struct count_values {
	struct stream stream;
	struct eval *ev;
	struct str label;
	size_t step_count;
	struct stream *input;
	struct groups groups;
	struct column *counts; /* By group. */
	size_t capacity;
	bool is_done;
	size_t next;
};

static int grow(struct count_values *values) {
	size_t capacity = values->capacity ? values->capacity * 2 : 16;
	struct column *counts = EVAL_NEW(values->ev, struct column, capacity);

	if (!counts) {
		return ERR_LIMIT;
	}
	if (values->capacity > 0) {
		memcpy(counts, values->counts, values->capacity * sizeof(*counts));
	}
	values->counts = counts;
	values->capacity = capacity;
	return 0;
}

/* The value at a step as text, in 'out'. */
static void show_value(const struct column *column, size_t step, struct buf *out) {
	char text[NUMBER_TEXT_MAX];

	buf_reset(out);
	if (column->histograms) {
		histogram_format(column->histograms[step], out);
	} else {
		buf_append(out, text, number_format_f(column->values[step], text));
	}
}

/* The group of a series with a value, as text, for its label. */
static int find_group(struct count_values *values, const struct labels *labels, struct str shown,
	struct arena *scratch, size_t *group) {
	struct labels set = labels_with(scratch, labels, values->label, shown);
	size_t count = values->groups.count;
	int rc = groups_add(&values->groups, &set, group);

	if (rc < 0 || *group < count) {
		return rc;
	}
	/* A new one: it keeps the text. */
	shown = arena_copy(&values->ev->arena, shown);
	set = labels_with(&values->ev->arena, labels, values->label, shown);
	values->groups.examples[*group] = set;
	rc = *group >= values->capacity ? grow(values) : 0;
	rc = rc < 0 ? rc
		    : eval_column_build(values->ev, values->step_count, &values->counts[*group]);
	return rc < 0 ? rc : eval_hold(values->ev, values->step_count);
}

static int count_column(struct count_values *values, const struct column *column) {
	AUTO(arena_deinit) struct arena scratch = { 0 };
	AUTO(buf_deinit) struct buf shown = { 0 };
	uint64_t last_bits = 0;
	size_t group = SIZE_MAX;

	for (PRESENT_EACH(column->present, values->step_count, i)) {
		uint64_t bits = double_bits(column->values[i]);
		struct column *counts;

		/* Mostly a series keeps its value; only a new one is looked up. */
		if (group == SIZE_MAX || bits != last_bits || column->histograms) {
			int rc;

			show_value(column, i, &shown);
			rc = find_group(values, &column->labels, buf_str(&shown), &scratch, &group);

			if (rc < 0) {
				return rc;
			}
			last_bits = bits;
			arena_reset(&scratch);
		}
		counts = &values->counts[group];
		counts->values[i]++;
		present_set(counts->present, i);
	}
	return eval_work(values->ev, values->step_count);
}

static int read_input(struct count_values *values) {
	struct column column;
	int rc;

	while ((rc = values->input->next(values->input, &column)) > 0) {
		rc = count_column(values, &column);
		if (rc < 0) {
			return rc;
		}
	}
	for (size_t i = 0; rc == 0 && i < values->groups.count; i++) {
		values->counts[i].labels = groups_labels(&values->groups, i);
		rc = eval_work(values->ev, 1);
	}
	return rc;
}

static int count_values_next(struct stream *stream, struct column *out) {
	struct count_values *values = CONTAINER_OF(stream, struct count_values, stream);
	int rc = values->is_done ? 0 : read_input(values);

	if (rc < 0) {
		return rc;
	}
	values->is_done = true;
	if (values->next == values->groups.count) {
		return 0;
	}
	*out = values->counts[values->next++];
	return 1;
}

int count_values_open(
	struct eval *ev, struct expr *expr, const struct grid *grid, struct stream **out) {
	struct count_values *values = EVAL_NEW(ev, struct count_values, 1);
	size_t count = expr->u.aggregate.grouping_count;
	struct str *names = EVAL_NEW(ev, struct str, count + 1);
	bool without = expr->u.aggregate.without;
	int rc;

	if (!values || !names) {
		return ERR_LIMIT;
	}
	values->stream = (struct stream){ .next = count_values_next, .keeps = true };
	values->ev = ev;
	values->label = expr_unparen(expr->u.aggregate.param)->u.string;
	values->step_count = grid->count;
	if (values->label.len == 0 || !str_is_utf8(values->label)) {
		AUTO(buf_deinit) struct buf quoted = { 0 };

		return err_set(ev->err, ERR_EXEC, "invalid label name %s",
			notes_quote(values->label, &quoted));
	}
	if (count > 0) {
		memcpy(names, expr->u.aggregate.grouping, count * sizeof(*names));
	}
	/* by (...) keeps the new label, too. */
	names[count] = values->label;
	rc = groups_init(&values->groups, ev, names, count + !without, without);
	rc = rc < 0 ? rc : eval_stream(ev, expr->u.aggregate.expr, grid, &values->input);
	if (rc < 0) {
		return rc;
	}
	*out = &values->stream;
	return 0;
}
