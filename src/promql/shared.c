#include "promql/shared.h"

#include "promql/columns.h"
#include "promql/explain.h"
#include "promql/function.h"
#include "promql/print.h"

#include "base/hash.h"
#include "base/memory.h"

#include <stdlib.h>

/* What is kept of all common subexpressions: a part of the query's memory and samples, so that
 * keeping never is what a query fails for. */
#define KEPT_PART 16
#define KEPT_BYTES_MAX ((uint64_t)64 << 20)
/* Of an expression; one with more operands is not looked into. */
#define CHILDREN_MAX 16

/* A vector of the tree. Those below it follow it, up to 'end'. */
struct candidate {
	struct expr *expr;
	uint64_t hash;
	size_t end;
};

struct marking {
	struct candidate *items;
	size_t count;
	size_t capacity;
	struct buf text;
	struct map by_hash; /* The first of each; index into items. */
	uint32_t numbers;
};

static bool is_candidate(const struct expr *expr) {
	return expr->type == VALUE_VECTOR && expr->kind != EXPR_PAREN && expr->kind != EXPR_STEPS;
}

/* Whether what stands above reads a selector's series in its own way. */
static bool reads_series(const struct expr *above) {
	if (above->kind == EXPR_CALL) {
		enum function_id id = above->u.call.function->id;

		return id == FUNCTION_TIMESTAMP || id == FUNCTION_START_TIMESTAMP ||
		       id == FUNCTION_INFO;
	}
	return above->kind == EXPR_RANGE;
}

static size_t add_candidate(struct marking *marking, struct expr *expr) {
	if (marking->count == marking->capacity) {
		marking->capacity = marking->capacity ? marking->capacity * 2 : 32;
		marking->items =
			memory_resize(marking->items, marking->capacity, sizeof(*marking->items));
	}
	marking->items[marking->count].expr = expr;
	return marking->count++;
}

/* What a selector loads, as far as it is not written in the query. */
static bool describe_visit(struct expr *expr, void *context) {
	struct buf *out = context;

	if (expr->kind == EXPR_SELECTOR) {
		const struct selector *selector = &expr->u.selector;

		buf_printf(out, "\n%d%d", selector->skips_buckets, selector->is_projected);
		for (size_t i = 0; selector->is_projected && i < selector->wanted_count; i++) {
			buf_printf(out, " %zu ", selector->wanted[i].len);
			buf_add_str(out, selector->wanted[i]);
		}
	}
	return true;
}

/* Hashes an expression with what stands below it; false if nobody knows what that gives. 'above'
 * may be NULL. */
static bool summarize(
	struct marking *marking, struct expr *expr, const struct expr *above, uint64_t *hash) {
	bool is_read = above && expr->kind == EXPR_SELECTOR && reads_series(above);
	size_t at = is_candidate(expr) && !is_read ? add_candidate(marking, expr) : SIZE_MAX;
	struct expr **children[CHILDREN_MAX];
	size_t count = expr_children(expr, children, CHILDREN_MAX);
	bool is_known = expr->kind != EXPR_STEPS && count <= CHILDREN_MAX;
	uint64_t sum;

	expr->shared = 0;
	buf_reset(&marking->text);
	expr_print_node(expr, &marking->text);
	if (expr->kind == EXPR_SELECTOR) {
		describe_visit(expr, &marking->text);
	}
	sum = hash_str(buf_str(&marking->text), (uint64_t)expr->kind);
	for (size_t i = 0; i < count && i < CHILDREN_MAX; i++) {
		uint64_t below = 0;

		is_known &= summarize(marking, *children[i], expr, &below);
		sum = hash_mix(sum, below);
	}
	if (at != SIZE_MAX) {
		marking->items[at].hash = is_known ? sum : 0;
		marking->items[at].end = marking->count;
	}
	*hash = sum;
	return is_known;
}

static bool is_same(struct expr *a, struct expr *b) {
	AUTO(buf_deinit) struct buf text_a = { 0 };
	AUTO(buf_deinit) struct buf text_b = { 0 };

	expr_print(a, &text_a);
	expr_walk(a, describe_visit, &text_a);
	expr_print(b, &text_b);
	expr_walk(b, describe_visit, &text_b);
	return str_equal(buf_str(&text_a), buf_str(&text_b));
}

static bool take_any(uint64_t value UNUSED, const void *key UNUSED) {
	return true;
}

/* Numbers a candidate if it is the same as an earlier one. */
static bool number(struct marking *marking, const struct candidate *candidate) {
	struct candidate *first;
	uint64_t at;

	if (candidate->hash == 0) {
		return false;
	}
	if (!map_find(&marking->by_hash, candidate->hash, take_any, NULL, &at)) {
		map_add(&marking->by_hash, candidate->hash, (uint64_t)(candidate - marking->items));
		return false;
	}
	first = &marking->items[at];
	if (!is_same(first->expr, candidate->expr)) {
		return false;
	}
	if (first->expr->shared == 0) {
		first->expr->shared = ++marking->numbers;
	}
	candidate->expr->shared = first->expr->shared;
	return true;
}

void shared_mark(struct expr_tree *tree) {
	struct marking marking = { 0 };
	uint64_t hash;
	size_t at = 0;

	summarize(&marking, tree->root, NULL, &hash);
	while (at < marking.count) {
		const struct candidate *candidate = &marking.items[at];

		/* What stands below a replay is not opened. */
		at = number(&marking, candidate) ? candidate->end : at + 1;
	}
	free(marking.items);
	buf_deinit(&marking.text);
	map_deinit(&marking.by_hash);
}

/* One result that is kept. */
struct shared {
	struct shared *next;
	uint32_t number;
	uint32_t position; /* Where the expression stands that was evaluated. */
	struct grid grid;
	uint64_t samples_weight;
	bool is_unfit; /* To be evaluated each time. */
	bool repeats;
	struct column_list list;
	struct notes notes;
	uint64_t samples_read;
};

struct replay {
	struct stream stream;
	struct eval *ev;
	const struct column_list *list;
	size_t next;
	size_t step_count;
	/* What follows those of the list: a column, and the stream that it is from. NULL: nothing.
	 */
	struct stream *rest;
	struct column first_of_rest;
	bool is_rest;
	struct column numbers;
	struct column histograms;
};

static int next_of_rest(struct replay *replay, struct column *out) {
	if (!replay->rest) {
		return 0;
	}
	if (!replay->is_rest) {
		replay->is_rest = true;
		*out = replay->first_of_rest;
		return 1;
	}
	return replay->rest->next(replay->rest, out);
}

static int replay_next(struct stream *stream, struct column *out) {
	struct replay *replay = CONTAINER_OF(stream, struct replay, stream);
	const struct column *column;
	struct column *copy;
	size_t steps = replay->step_count;
	int rc = 0;

	if (replay->next == replay->list->count) {
		return next_of_rest(replay, out);
	}
	column = &replay->list->items[replay->next++];
	copy = column->histograms ? &replay->histograms : &replay->numbers;
	if (!copy->values && column->histograms) {
		rc = eval_histograms_build(replay->ev, steps, copy);
	} else if (!copy->values) {
		rc = eval_column_build(replay->ev, steps, copy);
	}
	rc = rc < 0 ? rc : eval_work(replay->ev, steps);
	if (rc < 0) {
		return rc;
	}
	memcpy(copy->values, column->values, steps * sizeof(*copy->values));
	memcpy(copy->present, column->present, step_words(steps) * sizeof(*copy->present));
	if (column->histograms) {
		memcpy((void *)copy->histograms, (const void *)column->histograms,
			steps * sizeof(*copy->histograms));
	}
	*out = *copy;
	out->labels = column->labels;
	out->drops_name = column->drops_name;
	return 1;
}

/* 'first' is the first column of 'rest', what the stream gives beyond what was kept. */
static int open_replay(struct eval *ev, const struct shared *shared, const struct column *first,
	struct stream *rest, struct stream **out) {
	struct replay *replay = EVAL_NEW(ev, struct replay, 1);

	if (!replay) {
		return ERR_LIMIT;
	}
	replay->stream = (struct stream){ .next = replay_next, .repeats = shared->repeats };
	replay->ev = ev;
	replay->list = &shared->list;
	replay->step_count = shared->grid.count;
	replay->rest = rest;
	if (rest) {
		replay->first_of_rest = *first;
	}
	*out = &replay->stream;
	return 0;
}

/* Whether one more column may be kept. */
static bool has_room(struct eval *ev, const struct column *column, size_t step_count) {
	const struct engine_options *options = ev->options;
	uint64_t bytes = sizeof(*column) + step_count * sizeof(double) + step_count / 8;
	uint64_t bytes_max = KEPT_BYTES_MAX;

	if (options->query_bytes_max > 0 && options->query_bytes_max / KEPT_PART < bytes_max) {
		bytes_max = options->query_bytes_max / KEPT_PART;
	}
	if (column->histograms) {
		bytes += step_count * sizeof(*column->histograms);
	}
	if (options->samples_max > 0 &&
		ev->samples_held + step_count > options->samples_max / KEPT_PART) {
		return false;
	}
	if (ev->shared_bytes + bytes > bytes_max) {
		return false;
	}
	ev->shared_bytes += bytes;
	return true;
}

/* Keeps what the stream gives. Returns 1 when that is all, 0 when there may be more, of which
 * 'last' is a column that was not kept, or an error. */
static int keep_all(
	struct eval *ev, struct stream *stream, struct shared *shared, struct column *last) {
	struct column kept;
	int rc;

	while ((rc = stream->next(stream, last)) > 0) {
		if (!has_room(ev, last, shared->grid.count)) {
			return 0;
		}
		rc = column_keep(ev, stream, last, shared->grid.count, &kept);
		rc = rc < 0 ? rc : column_list_add(ev, &shared->list, &kept);
		if (rc < 0) {
			return rc;
		}
	}
	return rc < 0 ? rc : 1;
}

static bool find_subquery(struct expr *expr, void *context) {
	*(bool *)context |= expr->kind == EXPR_SUBQUERY;
	return true;
}

/* Notes about a subquery stand at the query's start, those about an expression there do, too: once
 * collected nobody can tell them apart. */
static bool is_ambiguous(struct expr *expr, const struct notes *notes) {
	bool has_subquery = false;

	if (expr->text.start == 0 && notes->count > 0) {
		expr_walk(expr, find_subquery, &has_subquery);
	}
	return has_subquery;
}

/* Evaluates 'expr' for the first time. */
static int collect(struct eval *ev, struct expr *expr, struct shared *shared, eval_open_fn *open,
	struct stream **out) {
	struct notes outer = ev->notes;
	struct stream *stream;
	struct column last = { 0 };
	uint64_t read = ev->samples_read;
	int rc;

	ev->notes = (struct notes){ 0 };
	rc = open(ev, expr, &shared->grid, &stream);
	if (rc == 0) {
		shared->repeats = stream->repeats;
		rc = keep_all(ev, stream, shared, &last);
	}
	shared->notes = ev->notes;
	ev->notes = outer;
	notes_merge(&ev->notes, &ev->arena, &shared->notes, 0, 0);
	if (rc < 0) {
		return rc;
	}
	shared->samples_read = ev->samples_read - read;
	shared->is_unfit = rc == 0 || is_ambiguous(expr, &shared->notes);
	return open_replay(ev, shared, &last, rc == 0 ? stream : NULL, out);
}

static struct shared *find(const struct eval *ev, uint32_t number, const struct grid *grid) {
	struct shared *shared = ev->shared;

	while (shared &&
		(shared->number != number || shared->samples_weight != ev->samples_weight ||
			shared->grid.start_ms != grid->start_ms ||
			shared->grid.step_ms != grid->step_ms ||
			shared->grid.count != grid->count)) {
		shared = shared->next;
	}
	return shared;
}

int shared_open(struct eval *ev, struct expr *expr, const struct grid *grid, eval_open_fn *open,
	struct stream **out) {
	struct shared *shared = find(ev, expr->shared, grid);

	if (shared && shared->is_unfit) {
		return open(ev, expr, grid, out);
	}
	if (shared) {
		if (ev->explains) {
			ev->explains->is_again = true;
		}
		ev->samples_read += shared->samples_read;
		notes_merge(
			&ev->notes, &ev->arena, &shared->notes, shared->position, expr->text.start);
		return open_replay(ev, shared, NULL, NULL, out);
	}
	shared = EVAL_NEW(ev, struct shared, 1);
	if (!shared) {
		return ERR_LIMIT;
	}
	*shared = (struct shared){
		.next = ev->shared,
		.number = expr->shared,
		.position = expr->text.start,
		.grid = *grid,
		.samples_weight = ev->samples_weight,
	};
	ev->shared = shared;
	return collect(ev, expr, shared, open, out);
}

void shared_free(struct shared *shared) {
	for (; shared; shared = shared->next) {
		notes_deinit(&shared->notes);
	}
}
