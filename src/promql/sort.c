/*
 * sort, sort_desc, sort_by_label, sort_by_label_desc: an order for an instant's series. The series
 * of a range come in the order of their labels whatever a query says, so there they only get a
 * note.
 */
#include "promql/call.h"
#include "promql/columns.h"
#include "promql/each.h"

struct sorting {
	struct stream stream;
	struct eval *ev;
	enum function_id id;
	struct stream *input;
	const struct str *labels; /* sort_by_label. */
	size_t label_count;
	struct column *columns;
	size_t count;
	size_t next;
	bool is_done;
};

/* Numbers in order, NaN last either way. */
static bool comes_later(const struct sorting *sorting, double a, double b) {
	if (isnan(a) || isnan(b)) {
		return isnan(a) && !isnan(b);
	}
	return sorting->id == FUNCTION_SORT ? a > b : a < b;
}

static bool is_digit(char c) {
	return c >= '0' && c <= '9';
}

/* Cuts the run of digits, or of anything else, off the front. */
static struct str cut_run(struct str *text) {
	size_t len = 0;
	struct str run;

	while (len < text->len && is_digit(text->ptr[len]) == is_digit(text->ptr[0])) {
		len++;
	}
	run = str_first(*text, len);
	*text = str_from(*text, len);
	return run;
}

/*
 * Natural order: runs of digits compare as numbers. Two that only differ in leading zeros are equal
 * here.
 */
static int cmp_natural(struct str a, struct str b) {
	while (a.len > 0 && b.len > 0) {
		struct str run_a = cut_run(&a);
		struct str run_b = cut_run(&b);
		int64_t number_a;
		int64_t number_b;
		int cmp;

		if (str_to_i64(run_a, &number_a) && str_to_i64(run_b, &number_b)) {
			cmp = (number_a > number_b) - (number_a < number_b);
		} else {
			cmp = str_cmp(run_a, run_b);
		}
		if (cmp != 0) {
			return cmp;
		}
	}
	return (a.len > 0) - (b.len > 0);
}

static int cmp_by_labels(
	const struct sorting *sorting, const struct labels *a, const struct labels *b) {
	int cmp = 0;

	for (size_t i = 0; cmp == 0 && i < sorting->label_count; i++) {
		cmp = cmp_natural(
			labels_get(a, sorting->labels[i]), labels_get(b, sorting->labels[i]));
	}
	return cmp != 0 ? cmp : labels_cmp(a, b);
}

static int cmp_items(const void *a, const void *b, void *context) {
	const struct sorting *sorting = context;
	const struct column *left = a;
	const struct column *right = b;
	int cmp;

	if (sorting->id == FUNCTION_SORT || sorting->id == FUNCTION_SORT_DESC) {
		return comes_later(sorting, left->values[0], right->values[0]);
	}
	cmp = cmp_by_labels(sorting, &left->labels, &right->labels);
	return sorting->id == FUNCTION_SORT_BY_LABEL ? cmp : -cmp;
}

/* Histograms have no place among numbers. Returns how many columns are left. */
static size_t drop_histograms(struct column *items, size_t count) {
	size_t kept = 0;

	for (size_t i = 0; i < count; i++) {
		if (!items[i].histograms) {
			items[kept++] = items[i];
		}
	}
	return kept;
}

static int read_input(struct sorting *sorting) {
	struct column_list list;
	int rc = columns_collect(sorting->ev, sorting->input, 1, &list);

	if (rc < 0) {
		return rc;
	}
	if (sorting->id == FUNCTION_SORT || sorting->id == FUNCTION_SORT_DESC) {
		list.count = drop_histograms(list.items, list.count);
	}
	rc = eval_sort(
		sorting->ev, list.items, list.count, sizeof(*list.items), cmp_items, sorting);
	if (rc < 0) {
		return rc;
	}
	sorting->columns = list.items;
	sorting->count = list.count;
	return 0;
}

static int sorting_next(struct stream *stream, struct column *out) {
	struct sorting *sorting = CONTAINER_OF(stream, struct sorting, stream);
	int rc = sorting->is_done ? 0 : read_input(sorting);

	sorting->is_done = true;
	if (rc < 0 || sorting->next == sorting->count) {
		return rc;
	}
	*out = sorting->columns[sorting->next++];
	return 1;
}

static void apply_nothing(struct each *each UNUSED, struct column *column UNUSED) {
}

/* Of a range; but sort and sort_desc still only let numbers pass. */
static int open_unsorted(
	struct eval *ev, struct expr *call, const struct grid *grid, struct stream **out) {
	enum function_id id = call->u.call.function->id;
	struct each *each;
	int rc;

	if (id != FUNCTION_SORT && id != FUNCTION_SORT_DESC) {
		return eval_stream(ev, call->u.call.args[0], grid, out);
	}
	each = EVAL_NEW(ev, struct each, 1);
	rc = each ? each_open(each, ev, call->u.call.args[0], grid, false) : ERR_LIMIT;
	if (rc < 0) {
		return rc;
	}
	each->apply = apply_nothing;
	*out = &each->stream;
	return 0;
}

int call_open_sort(
	struct eval *ev, struct expr *call, const struct grid *grid, struct stream **out) {
	struct sorting *sorting;
	struct str *labels;
	int rc;

	if (grid->count > 1) {
		notes_warn(&ev->notes, &ev->arena, call->text.start,
			"sort is ineffective for range queries since results are always ordered "
			"by labels");
		return open_unsorted(ev, call, grid, out);
	}
	sorting = EVAL_NEW(ev, struct sorting, 1);
	labels = EVAL_NEW(ev, struct str, call->u.call.count);
	if (!sorting || !labels) {
		return ERR_LIMIT;
	}
	for (size_t i = 1; i < call->u.call.count; i++) {
		labels[i - 1] = expr_unparen(call->u.call.args[i])->u.string;
	}
	sorting->stream = (struct stream){ .next = sorting_next, .keeps = true };
	sorting->ev = ev;
	sorting->id = call->u.call.function->id;
	sorting->labels = labels;
	sorting->label_count = call->u.call.count - 1;
	rc = eval_stream(ev, call->u.call.args[0], grid, &sorting->input);
	if (rc < 0) {
		return rc;
	}
	*out = &sorting->stream;
	return 0;
}
