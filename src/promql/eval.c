#include "promql/eval.h"

#include "promql/gather.h"
#include "promql/histogram.h"
#include "promql/shared.h"

#include "base/check.h"
#include "base/sort.h"

#include <inttypes.h>

void eval_init(struct eval *ev, struct engine *engine, struct budget *budget) {
	*ev = (struct eval){ .engine = engine, .samples_weight = 1 };
	if (budget) {
		budget_init(&ev->budget, budget, "", 0);
	} else {
		engine_budget_init(engine, &ev->budget);
	}
	arena_init(&ev->arena, &ev->budget);
}

void eval_deinit(struct eval *ev) {
	gather_free(ev->gathers);
	for (struct leaf *leaf = ev->leaves; leaf; leaf = leaf->next) {
		leaf_close(ev, leaf);
	}
	for (struct table *table = ev->tables; table; table = table->next) {
		map_deinit(&table->map);
	}
	shared_free(ev->shared);
	notes_deinit(&ev->notes);
	arena_deinit(&ev->arena);
	budget_deinit(&ev->budget);
}

void *eval_alloc(struct eval *ev, size_t count, size_t size) {
	return arena_try_alloc(&ev->arena, count, size, ev->err);
}

struct table *eval_table_new(struct eval *ev) {
	struct table *table = EVAL_NEW(ev, struct table, 1);

	if (table) {
		table->next = ev->tables;
		ev->tables = table;
	}
	return table;
}

int eval_table_add(struct eval *ev, struct table *table, uint64_t hash, uint64_t value) {
	size_t bytes = map_growth_bytes(&table->map);

	if (bytes > 0) {
		int rc = budget_charge(&ev->budget, bytes, ev->err);

		if (rc < 0) {
			return rc;
		}
	}
	map_add(&table->map, hash, value);
	if (bytes > 0) {
		budget_release(&ev->budget, table->charged_bytes);
		table->charged_bytes = bytes;
	}
	return 0;
}

int eval_column_build(struct eval *ev, size_t step_count, struct column *out) {
	struct step_column column;
	int rc = step_column_build(&ev->arena, step_count, &column, ev->err);

	if (rc < 0) {
		return rc;
	}
	*out = (struct column){ .values = column.values, .present = column.present };
	return 0;
}

int eval_histograms_build(struct eval *ev, size_t step_count, struct column *out) {
	int rc = eval_column_build(ev, step_count, out);

	if (rc < 0) {
		return rc;
	}
	out->histograms = EVAL_NEW(ev, const struct histogram *, step_count);
	return out->histograms ? 0 : ERR_LIMIT;
}

struct histogram *eval_histogram_copy(struct eval *ev, const struct histogram *histogram) {
	struct histogram *copy = EVAL_NEW(ev, struct histogram, 1);

	if (!copy || histogram_copy(&ev->arena, histogram, copy, ev->err) < 0) {
		return NULL;
	}
	return copy;
}

const struct grid *eval_grid_first(struct eval *ev, const struct grid *grid) {
	struct grid *first = EVAL_NEW(ev, struct grid, 1);

	if (first) {
		*first = (struct grid){ .start_ms = grid->start_ms, .count = 1 };
	}
	return first;
}

int eval_check(struct eval *ev) {
	ev->work = 0;
	return engine_check_control(ev->engine, ev->control, ev->err);
}

static int check_sort(void *context, struct err *err UNUSED) {
	return eval_check(context);
}

int eval_sort(struct eval *ev, void *items, size_t count, size_t size,
	int (*cmp)(const void *a, const void *b, void *context), void *context) {
	const struct sort how = { cmp, context, check_sort, ev };

	return sort_items(items, count, size, &how, &ev->arena, ev->err);
}

int eval_hold(struct eval *ev, uint64_t samples) {
	ev->samples_held += samples;
	if (ev->samples_held > ev->samples_peak) {
		ev->samples_peak = ev->samples_held;
	}
	if (ev->options->samples_max > 0 && ev->samples_held > ev->options->samples_max) {
		return err_set(ev->err, ERR_LIMIT,
			"query processing would load too many samples into memory in query "
			"execution");
	}
	return 0;
}

int eval_fail_same_labels(struct eval *ev) {
	return err_set(ev->err, ERR_EXEC, "vector cannot contain metrics with the same labelset");
}

static bool is_metadata(struct str name) {
	return str_equal(name, LABEL_NAME) || str_equal(name, STR("__type__")) ||
	       str_equal(name, STR("__unit__"));
}

struct labels labels_drop_name(struct eval *ev, const struct labels *set) {
	size_t first = 0;
	size_t count = 0;

	while (first < set->count && is_metadata(set->pairs[first].name)) {
		first++;
	}
	/* Nearly always they come first, and the rest can be shared; only names that begin with a
	 * capital or a digit sort before them. */
	for (size_t i = first; i < set->count; i++) {
		count += !is_metadata(set->pairs[i].name);
	}
	if (first == 0 && count == set->count) {
		return *set;
	}
	if (first + count == set->count) {
		return (struct labels){ set->pairs + first, count };
	}

	struct label *pairs = ARENA_NEW(&ev->arena, struct label, count);
	size_t at = 0;

	for (size_t i = first; i < set->count; i++) {
		if (!is_metadata(set->pairs[i].name)) {
			pairs[at++] = set->pairs[i];
		}
	}
	return (struct labels){ pairs, count };
}

void column_drop_name(struct eval *ev, struct column *column) {
	if (ev->options->delayed_name_removal) {
		column->drops_name = true;
	} else {
		column->labels = labels_drop_name(ev, &column->labels);
	}
}
