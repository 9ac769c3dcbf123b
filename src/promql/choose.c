/*
 * topk, bottomk, limitk, limit_ratio: per group and step, some of the series as they are.
 *
 * Series stream by; what is kept of them are the values that are still chosen, in a small heap per
 * group and step, and the labels of those that ever were.
 */
#include "promql/aggregate.h"
#include "promql/columns.h"
#include "promql/groups.h"
#include "promql/number.h"
#include "promql/param.h"

#include "base/buf.h"
#include "base/check.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#define NONE SIZE_MAX
/* Up to here Go's sort, whose order of equal values shows in answers, is an insertion sort. */
#define INSERTION_MAX 12

struct entry {
	double value;
	const struct histogram *histogram; /* Instead of the value, or NULL. */
	uint32_t series;                   /* Index into the chosen series. */
};

/* The chosen of one group at one step. For topk and bottomk a binary heap, worst first. */
struct heap {
	struct entry *entries;
	uint32_t count;
	uint32_t capacity;
};

struct chosen {
	struct labels labels;
	bool drops_name;
	bool has_histograms;
};

struct choose {
	struct stream stream;
	struct eval *ev;
	const struct expr *expr;
	enum aggregate_op op;
	const struct grid *grid;
	struct param param;
	struct stream *input;
	struct groups groups;
	struct heap **heaps; /* By group, then step. */
	size_t group_capacity;
	struct chosen *series;
	size_t series_count;
	size_t series_capacity;
	bool is_done;
	struct column_list results;
	size_t next;
};

/* Whether 'a' is to leave the heap before 'b'. NaN leaves first. */
static bool is_worse(const struct choose *choose, double a, double b) {
	if (isnan(a)) {
		return true;
	}
	return choose->op == AGGREGATE_BOTTOMK ? a > b : a < b;
}

static void swap(struct heap *heap, size_t a, size_t b) {
	struct entry entry = heap->entries[a];

	heap->entries[a] = heap->entries[b];
	heap->entries[b] = entry;
}

static void sift_up(const struct choose *choose, struct heap *heap, size_t at) {
	while (at > 0) {
		size_t parent = (at - 1) / 2;

		if (!is_worse(choose, heap->entries[at].value, heap->entries[parent].value)) {
			return;
		}
		swap(heap, at, parent);
		at = parent;
	}
}

static void sift_down(const struct choose *choose, struct heap *heap) {
	size_t at = 0;

	for (;;) {
		size_t child = 2 * at + 1;

		if (child >= heap->count) {
			return;
		}
		if (child + 1 < heap->count && is_worse(choose, heap->entries[child + 1].value,
						       heap->entries[child].value)) {
			child++;
		}
		if (!is_worse(choose, heap->entries[child].value, heap->entries[at].value)) {
			return;
		}
		swap(heap, at, child);
		at = child;
	}
}

/* topk, bottomk: the values decide. */
static bool ranks(const struct choose *choose) {
	return choose->op == AGGREGATE_TOPK || choose->op == AGGREGATE_BOTTOMK;
}

static int grow_heap(struct choose *choose, struct heap *heap, int64_t k) {
	uint64_t wanted = heap->capacity ? (uint64_t)heap->capacity * 2 : 2;
	uint64_t capacity = wanted < (uint64_t)k ? wanted : (uint64_t)k;
	struct entry *entries = EVAL_NEW(choose->ev, struct entry, capacity);

	if (!entries) {
		return ERR_LIMIT;
	}
	if (heap->count > 0) {
		memcpy(entries, heap->entries, heap->count * sizeof(*entries));
	}
	heap->entries = entries;
	heap->capacity = (uint32_t)capacity;
	return 0;
}

/* Adds the current series to those ever chosen, once. */
static int register_series(struct choose *choose, const struct column *column, size_t *series) {
	if (*series != NONE) {
		return 0;
	}
	if (choose->series_count == choose->series_capacity) {
		size_t capacity = choose->series_capacity ? choose->series_capacity * 2 : 64;
		struct chosen *items = EVAL_NEW(choose->ev, struct chosen, capacity);

		if (!items) {
			return ERR_LIMIT;
		}
		if (choose->series_count > 0) {
			memcpy(items, choose->series, choose->series_count * sizeof(*items));
		}
		choose->series = items;
		choose->series_capacity = capacity;
	}
	CHECK(choose->series_count < UINT32_MAX);
	choose->series[choose->series_count] =
		(struct chosen){ column->labels, column->drops_name, column->histograms != NULL };
	*series = choose->series_count++;
	return 0;
}

static int push(struct choose *choose, struct heap *heap, int64_t k, const struct entry *entry) {
	int rc = heap->count == heap->capacity ? grow_heap(choose, heap, k) : 0;

	rc = rc < 0 ? rc : eval_hold(choose->ev, 1);
	if (rc < 0) {
		return rc;
	}
	heap->entries[heap->count++] = *entry;
	if (ranks(choose)) {
		sift_up(choose, heap, heap->count - 1);
	}
	return 0;
}

/* Prometheus' place of a series in [0, 1): its hash of a length-prefixed encoding of the labels. */
static double ratio_place(const struct labels *labels, struct buf *buf) {
	buf_reset(buf);
	for (size_t i = 0; i < 2 * labels->count; i++) {
		const struct label *label = &labels->pairs[i / 2];
		struct str text = i % 2 == 0 ? label->name : label->value;
		const unsigned char len[] = { 0xff, (unsigned char)text.len,
			(unsigned char)(text.len >> 8), (unsigned char)(text.len >> 16) };

		buf_append(buf, text.len < 0xff ? len + 1 : len, text.len < 0xff ? 1 : 4);
		buf_add_str(buf, text);
	}
	return (double)XXH64(buf_text(buf), buf->len, 0) / (double)UINT64_MAX;
}

static bool in_ratio(double ratio, double place) {
	ratio = ratio > 1 ? 1 : ratio < -1 ? -1 : ratio;
	return ratio >= 0 ? place < ratio : place >= 1 + ratio;
}

/* How many may be chosen at a step, 0 for none. */
static int64_t limit_at(const struct choose *choose, size_t step) {
	double value = choose->param.values[step];

	if (choose->op == AGGREGATE_LIMIT_RATIO) {
		return value == 0 ? 0 : UINT32_MAX;
	}
	return value >= UINT32_MAX ? UINT32_MAX : number_to_int64(value);
}

static int offer(struct choose *choose, struct heap *heap, const struct column *column, size_t step,
	size_t *series) {
	int64_t k = limit_at(choose, step);
	double value = column->values[step];
	int rc;

	if (k < 1) {
		return 0;
	}
	if (heap->count < k) {
		rc = register_series(choose, column, series);
		return rc < 0 ? rc
			      : push(choose, heap, k,
					&(struct entry){ value,
						column->histograms ? column->histograms[step]
								   : NULL,
						(uint32_t)*series });
	}
	if (!ranks(choose)) {
		return 0;
	}
	/* The worst is first; NaN gives way to any number, but not to NaN. */
	if (isnan(value) || !is_worse(choose, heap->entries[0].value, value)) {
		return 0;
	}
	rc = register_series(choose, column, series);
	if (rc < 0) {
		return rc;
	}
	heap->entries[0] = (struct entry){ value, NULL, (uint32_t)*series };
	sift_down(choose, heap);
	return 0;
}

static int grow_groups(struct choose *choose) {
	size_t capacity = choose->group_capacity ? choose->group_capacity * 2 : 16;
	struct heap **heaps = EVAL_NEW(choose->ev, struct heap *, capacity);

	if (!heaps) {
		return ERR_LIMIT;
	}
	if (choose->group_capacity > 0) {
		memcpy(heaps, choose->heaps, choose->group_capacity * sizeof(*heaps));
	}
	choose->heaps = heaps;
	choose->group_capacity = capacity;
	return 0;
}

static int offer_column(struct choose *choose, const struct column *column, struct buf *buf) {
	size_t steps = choose->grid->count;
	size_t series = NONE;
	double place = 0;
	size_t group;
	int rc = groups_add(&choose->groups, &column->labels, &group);

	rc = rc == 0 && group >= choose->group_capacity ? grow_groups(choose) : rc;
	if (rc == 0 && !choose->heaps[group]) {
		choose->heaps[group] = EVAL_NEW(choose->ev, struct heap, steps);
		rc = choose->heaps[group] ? 0 : ERR_LIMIT;
	}
	if (rc == 0 && choose->op == AGGREGATE_LIMIT_RATIO) {
		place = ratio_place(&column->labels, buf);
	}
	for (PRESENT_EACH(column->present, steps, i)) {
		bool is_candidate = choose->op != AGGREGATE_LIMIT_RATIO ||
				    in_ratio(choose->param.values[i], place);

		if (rc == 0 && is_candidate) {
			rc = offer(choose, &choose->heaps[group][i], column, i, &series);
		}
	}
	return rc < 0 ? rc : eval_work(choose->ev, steps);
}

/* Whether the parameter lets anything be chosen at all; and what is wrong with it. */
static int check_param(struct choose *choose, bool *chooses) {
	const struct param *param = &choose->param;
	char text[NOTES_NUMBER_MAX];

	*chooses = true;
	if (choose->op == AGGREGATE_LIMIT_RATIO) {
		*chooses = !(param->max == 0 && param->min == 0);
		return *chooses && param->has_nan
			       ? err_set(choose->ev->err, ERR_EXEC, "Ratio value is NaN")
			       : 0;
	}
	if (param->max < 1) {
		*chooses = false;
		return 0;
	}
	if (param->has_nan) {
		return err_set(choose->ev->err, ERR_EXEC, "Parameter value is NaN");
	}
	if (param->min <= -0x1p63) {
		return err_set(choose->ev->err, ERR_EXEC, "Scalar value %s underflows int64",
			notes_number(param->min, text));
	}
	/* The largest double below 2^63. */
	if (param->max >= 9223372036854774784.0) {
		return err_set(choose->ev->err, ERR_EXEC, "Scalar value %s overflows int64",
			notes_number(param->max, text));
	}
	return 0;
}

static void warn_ratio(struct choose *choose, double ratio, const char *cap) {
	char text[NOTES_NUMBER_MAX];

	notes_warn(&choose->ev->notes, &choose->ev->arena,
		choose->expr->u.aggregate.param->text.start,
		"ratio value should be between -1 and 1, got %s, capping to %s",
		notes_number(ratio, text), cap);
}

static int read_input(struct choose *choose) {
	AUTO(buf_deinit) struct buf buf = { 0 };
	struct err err = { 0 };
	struct err *outer = choose->ev->err;
	struct column column;
	bool chooses;
	int param_rc;
	int rc;

	/* What is wrong with the input comes before what is wrong with the parameter. */
	choose->ev->err = &err;
	param_rc = check_param(choose, &chooses);
	choose->ev->err = outer;
	while ((rc = choose->input->next(choose->input, &column)) > 0) {
		if (!chooses || param_rc < 0 || !present_any(column.present, choose->grid->count)) {
			continue;
		}
		if (column.histograms && ranks(choose)) {
			notes_info(&choose->ev->notes, &choose->ev->arena, choose->expr->text.start,
				"ignored histogram in %s aggregation",
				aggregate_op_text(choose->op));
			continue;
		}
		rc = offer_column(choose, &column, &buf);
		if (rc < 0) {
			return rc;
		}
	}
	if (rc == 0 && param_rc < 0) {
		return err_set(outer, param_rc, "%s", err.text);
	}
	if (rc == 0 && chooses && choose->op == AGGREGATE_LIMIT_RATIO) {
		if (choose->param.max > 1) {
			warn_ratio(choose, choose->param.max, "1");
		}
		if (choose->param.min < -1) {
			warn_ratio(choose, choose->param.min, "-1");
		}
	}
	return rc;
}

/* Best first. Few entries are sorted by insertion, which leaves equal ones in the heap's order. */
static int sort_heap(const struct choose *choose, struct heap *heap) {
	int rc = 0;

	if (!ranks(choose)) {
		return 0;
	}
	for (size_t i = 1; heap->count <= INSERTION_MAX && i < heap->count; i++) {
		for (size_t j = i; j > 0 && is_worse(choose, heap->entries[j - 1].value,
						    heap->entries[j].value);
			j--) {
			swap(heap, j, j - 1);
		}
	}
	for (size_t end = heap->count; rc == 0 && heap->count > INSERTION_MAX && end > 1; end--) {
		struct heap rest = { heap->entries, (uint32_t)(end - 1), heap->capacity };

		swap(heap, 0, end - 1);
		sift_down(choose, &rest);
		rc = eval_work(choose->ev, 0);
	}
	return rc;
}

/* Of an instant: a column per entry, group by group, in the order of the choice. */
static int list_ordered(struct choose *choose) {
	for (size_t group = 0; group < choose->groups.count; group++) {
		struct heap *heap = &choose->heaps[group][0];

		int rc = sort_heap(choose, heap);

		for (size_t i = 0; rc == 0 && i < heap->count; i++) {
			const struct chosen *from = &choose->series[heap->entries[i].series];
			struct column column;

			rc = from->has_histograms ? eval_histograms_build(choose->ev, 1, &column)
						  : eval_column_build(choose->ev, 1, &column);
			if (rc < 0) {
				return rc;
			}
			column.labels = from->labels;
			column.drops_name = from->drops_name;
			column.values[0] = heap->entries[i].value;
			if (column.histograms) {
				column.histograms[0] = heap->entries[i].histogram;
			}
			present_set(column.present, 0);
			rc = column_list_add(choose->ev, &choose->results, &column);
			rc = rc < 0 ? rc : eval_work(choose->ev, 1);
		}
		if (rc < 0) {
			return rc;
		}
	}
	return 0;
}

static int place_entry(
	struct choose *choose, struct column *columns, const struct entry *entry, size_t step) {
	struct column *column = &columns[entry->series];

	if (!column->values) {
		size_t steps = choose->grid->count;
		int rc = entry->histogram ? eval_histograms_build(choose->ev, steps, column)
					  : eval_column_build(choose->ev, steps, column);

		if (rc < 0) {
			return rc;
		}
		column->labels = choose->series[entry->series].labels;
		column->drops_name = choose->series[entry->series].drops_name;
	}
	column->values[step] = entry->value;
	if (column->histograms) {
		column->histograms[step] = entry->histogram;
	}
	present_set(column->present, step);
	return 0;
}

/* Of a range: a column per series that was chosen at any step. */
static int list_series(struct choose *choose) {
	struct column *columns = EVAL_NEW(choose->ev, struct column, choose->series_count);
	size_t cells = choose->groups.count * choose->grid->count;

	if (!columns) {
		return ERR_LIMIT;
	}
	for (size_t cell = 0; cell < cells; cell++) {
		size_t step = cell % choose->grid->count;
		const struct heap *heap = &choose->heaps[cell / choose->grid->count][step];

		for (size_t i = 0; i < heap->count; i++) {
			int rc = place_entry(choose, columns, &heap->entries[i], step);

			rc = rc < 0 ? rc : eval_work(choose->ev, 0);
			if (rc < 0) {
				return rc;
			}
		}
	}
	for (size_t i = 0; i < choose->series_count; i++) {
		int rc = columns[i].values
				 ? column_list_add(choose->ev, &choose->results, &columns[i])
				 : 0;

		if (rc < 0) {
			return rc;
		}
	}
	return 0;
}

static int choose_next(struct stream *stream, struct column *out) {
	struct choose *choose = CONTAINER_OF(stream, struct choose, stream);
	int rc = 0;

	if (!choose->is_done) {
		rc = read_input(choose);
		if (rc == 0) {
			rc = choose->grid->count == 1 ? list_ordered(choose) : list_series(choose);
		}
		choose->is_done = true;
	}
	if (rc < 0 || choose->next == choose->results.count) {
		return rc;
	}
	*out = choose->results.items[choose->next++];
	return 1;
}

int choose_open(struct eval *ev, struct expr *expr, const struct grid *grid, struct stream **out) {
	struct choose *choose = EVAL_NEW(ev, struct choose, 1);
	int rc;

	if (!choose) {
		return ERR_LIMIT;
	}
	choose->ev = ev;
	choose->expr = expr;
	choose->op = expr->u.aggregate.op;
	choose->grid = grid;
	rc = groups_init(&choose->groups, ev, expr->u.aggregate.grouping,
		expr->u.aggregate.grouping_count, expr->u.aggregate.without);
	rc = rc < 0 ? rc : param_eval(ev, expr->u.aggregate.param, grid, &choose->param);
	rc = rc < 0 ? rc : eval_stream(ev, expr->u.aggregate.expr, grid, &choose->input);
	if (rc < 0) {
		return rc;
	}
	choose->stream = (struct stream){
		.next = choose_next, .keeps = true, .repeats = choose->input->repeats
	};
	*out = &choose->stream;
	return 0;
}
