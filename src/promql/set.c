/*
 * and, or, unless: which series of one side have a partner on the other, at each step.
 *
 * All that is kept of a side is a bitmap per match group: 'and' and 'unless' read the right side
 * first and let the left one stream through; 'or' lets the left one through, remembering, and then
 * the right one where the left one had none.
 */
#include "promql/binary.h"
#include "promql/columns.h"
#include "promql/groups.h"

struct set_stream {
	struct stream stream;
	struct eval *ev;
	enum binary_op op;
	size_t step_count;
	struct stream *left;
	struct stream *right;
	bool left_is_done;
	bool right_is_read;
	struct groups groups;
	uint64_t **seen; /* Per group: the steps at which the side read first has a series. */
	size_t seen_capacity;
};

static int grow_seen(struct set_stream *set) {
	size_t capacity = set->seen_capacity ? set->seen_capacity * 2 : 16;
	uint64_t **seen = EVAL_NEW(set->ev, uint64_t *, capacity);

	if (!seen) {
		return ERR_LIMIT;
	}
	if (set->seen_capacity > 0) {
		memcpy(seen, set->seen, set->seen_capacity * sizeof(*seen));
	}
	set->seen = seen;
	set->seen_capacity = capacity;
	return 0;
}

static int remember(struct set_stream *set, const struct column *column) {
	size_t words = step_words(set->step_count);
	size_t index;
	int rc = groups_add(&set->groups, &column->labels, &index);

	rc = rc == 0 && index >= set->seen_capacity ? grow_seen(set) : rc;
	if (rc < 0) {
		return rc;
	}
	if (!set->seen[index]) {
		set->seen[index] = EVAL_NEW(set->ev, uint64_t, words);
	}
	if (!set->seen[index]) {
		return ERR_LIMIT;
	}
	for (size_t i = 0; i < words; i++) {
		set->seen[index][i] |= column->present[i];
	}
	return 0;
}

static int read_right(struct set_stream *set) {
	struct column column;
	int rc;

	set->right_is_read = true;
	while ((rc = set->right->next(set->right, &column)) > 0) {
		rc = remember(set, &column);
		if (rc < 0) {
			return rc;
		}
	}
	return rc;
}

/* Clears the steps at which the column's group was (not) seen. */
static void mask(const struct set_stream *set, struct column *column, bool keeps_seen) {
	size_t words = step_words(set->step_count);
	size_t index;

	if (!groups_find(&set->groups, &column->labels, &index)) {
		if (keeps_seen) {
			memset(column->present, 0, words * sizeof(*column->present));
		}
		return;
	}
	for (size_t i = 0; i < words; i++) {
		uint64_t seen = set->seen[index][i];

		column->present[i] &= keeps_seen ? seen : ~seen;
	}
}

static int next_filtered(struct stream *stream, struct column *out) {
	struct set_stream *set = CONTAINER_OF(stream, struct set_stream, stream);
	int rc = set->right_is_read ? 0 : read_right(set);

	if (rc < 0) {
		return rc;
	}
	rc = set->left->next(set->left, out);
	if (rc > 0) {
		mask(set, out, set->op == BINARY_AND);
	}
	return rc;
}

static int next_either(struct stream *stream, struct column *out) {
	struct set_stream *set = CONTAINER_OF(stream, struct set_stream, stream);
	int rc;

	if (!set->left_is_done) {
		rc = set->left->next(set->left, out);
		if (rc > 0) {
			rc = remember(set, out);
			return rc < 0 ? rc : 1;
		}
		if (rc < 0) {
			return rc;
		}
		set->left_is_done = true;
	}
	rc = set->right->next(set->right, out);
	if (rc > 0) {
		mask(set, out, false);
	}
	return rc;
}

int set_open(struct eval *ev, struct expr *expr, const struct grid *grid, struct stream **out) {
	const struct vector_matching *matching = expr->u.binary.matching;
	struct set_stream *set = EVAL_NEW(ev, struct set_stream, 1);
	bool is_or = expr->u.binary.op == BINARY_OR;
	int rc;

	if (!set) {
		return ERR_LIMIT;
	}
	set->ev = ev;
	set->op = expr->u.binary.op;
	set->step_count = grid->count;
	rc = groups_init(
		&set->groups, ev, matching->labels, matching->label_count, !matching->is_on);
	rc = rc < 0 ? rc : eval_stream(ev, expr->u.binary.left, grid, &set->left);
	rc = rc < 0 ? rc : eval_stream(ev, expr->u.binary.right, grid, &set->right);
	if (rc < 0) {
		return rc;
	}
	set->stream = (struct stream){
		.next = is_or ? next_either : next_filtered,
		.keeps = set->left->keeps && (!is_or || set->right->keeps),
		.repeats = is_or || set->left->repeats,
	};
	*out = &set->stream;
	return 0;
}
