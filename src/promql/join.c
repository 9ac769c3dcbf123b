/*
 * Operators between two vectors, other than set operators.
 *
 * The side that must be unique, the "one", is collected and put into match groups; the other, the
 * "many" (the left one if both must be unique), streams past it. Prometheus does this step by step,
 * and what is an error at a step - two series of the one side in a group, two of the many side that
 * give the same labels - here shows in bitmaps of steps.
 */
#include "promql/binary.h"
#include "promql/columns.h"
#include "promql/groups.h"
#include "promql/histogram.h"
#include "promql/histogram_notes.h"

#include "base/buf.h"
#include "base/quote.h"

#define NONE SIZE_MAX

/* A series of the one side. */
struct partner {
	struct column column;
	size_t next; /* The next of the group, or NONE. */
};

/* A match group. */
struct match {
	size_t first;
	size_t last;
	uint64_t *present; /* The steps at which it has a partner, */
	uint64_t *matched; /* and those at which a partner was used. */
};

struct join {
	struct stream stream;
	struct eval *ev;
	const struct expr *expr;
	const struct vector_matching *matching;
	enum binary_op op;
	bool is_bool;
	bool is_swapped; /* The many side stands on the right. */
	bool is_one_to_one;
	bool guards;
	size_t step_count;
	struct stream *many;
	struct stream *one;
	bool one_is_read;
	struct groups groups;
	struct partner *partners;
	size_t partner_count;
	struct match *matches;
	size_t match_capacity;
	uint64_t *many_any;  /* The steps at which the many side has any series. */
	uint64_t *ambiguous; /* The steps at which a group has two partners. */
	size_t many_fail;    /* The first step at which two of the many side met. */
	struct guard unique; /* No two series of a group give the same labels. */
	struct guard guard;  /* No two series of all. */
	struct column left;  /* The current series of the many side, */
	size_t match;        /* its group, */
	size_t partner;      /* the partner that is next, */
	bool has_left;
	bool fills_rest; /* and whether what found no partner is still to be filled. */
	bool is_ending;  /* The many side is done; partners that found nobody are next. */
	uint64_t *both;
	uint64_t *holds;
	double *fill;
	const struct histogram **histograms; /* Of the result. */
	struct column out;
};

static const double *fill_for_one(const struct join *join) {
	return join->matching->has_fill_right ? &join->matching->fill_right : NULL;
}

static const double *fill_for_many(const struct join *join) {
	return join->matching->has_fill_left ? &join->matching->fill_left : NULL;
}

/* Reading the one side. */

static int add_partner(struct join *join, struct partner *partner, size_t at) {
	struct column *column = &partner->column;
	size_t words = step_words(join->step_count);
	struct match *match;
	size_t index;
	int rc = groups_add(&join->groups, &column->labels, &index);

	if (rc < 0) {
		return rc;
	}
	match = &join->matches[index];
	partner->next = NONE;
	if (match->present) {
		for (size_t i = 0; i < words; i++) {
			join->ambiguous[i] |= match->present[i] & column->present[i];
			match->present[i] |= column->present[i];
		}
		join->partners[match->last].next = at;
	} else {
		match->first = at;
		match->present = EVAL_NEW(join->ev, uint64_t, words);
		match->matched = EVAL_NEW(join->ev, uint64_t, words);
		if (!match->present || !match->matched) {
			return ERR_LIMIT;
		}
		memcpy(match->present, column->present, words * sizeof(*match->present));
	}
	match->last = at;
	return 0;
}

static int read_one(struct join *join) {
	struct column_list list;
	int rc = columns_collect(join->ev, join->one, join->step_count, &list);

	if (rc < 0) {
		return rc;
	}
	join->one_is_read = true;
	join->partners = EVAL_NEW(join->ev, struct partner, list.count);
	join->matches = EVAL_NEW(join->ev, struct match, list.count);
	if (!join->partners || !join->matches) {
		return ERR_LIMIT;
	}
	join->partner_count = list.count;
	join->match_capacity = list.count;
	for (size_t i = 0; i < list.count; i++) {
		join->partners[i].column = list.items[i];
		rc = add_partner(join, &join->partners[i], i);
		if (rc < 0) {
			return rc;
		}
	}
	return 0;
}

/* Labels of results. */

static struct labels match_labels(const struct join *join, const struct labels *set) {
	return groups_reduce(&join->groups, set);
}

static struct labels result_labels(
	const struct join *join, const struct labels *many, const struct labels *one) {
	const struct vector_matching *matching = join->matching;
	struct arena *arena = &join->ev->arena;
	struct labels set = *many;

	if (binary_op_is_arithmetic(join->op) ||
		(join->is_bool && !join->ev->options->delayed_name_removal)) {
		set = labels_drop_name(join->ev, &set);
	}
	if (join->is_one_to_one && matching->is_on) {
		set = labels_only(arena, &set, matching->labels, matching->label_count);
	} else if (join->is_one_to_one && matching->label_count > 0) {
		set = labels_without(arena, &set, matching->labels, matching->label_count);
	}
	for (size_t i = 0; i < matching->include_count; i++) {
		set = labels_with(
			arena, &set, matching->include[i], labels_get(one, matching->include[i]));
	}
	return set;
}

/* Values of results. */

/* Fills in join->out at the steps of join->both. */
static void calculate(struct join *join, const double *many, const double *one) {
	const double *left = join->is_swapped ? one : many;
	const double *right = join->is_swapped ? many : one;
	size_t words = step_words(join->step_count);
	struct column *out = &join->out;

	memcpy(out->present, join->both, words * sizeof(*out->present));
	if (binary_op_is_arithmetic(join->op)) {
		binary_calculate(join->op, left, right, out->values, join->step_count);
		return;
	}
	binary_compare(join->op, left, right, join->holds, join->step_count);
	if (join->is_bool) {
		for (size_t i = 0; i < join->step_count; i++) {
			out->values[i] = present_get(join->holds, i);
		}
		return;
	}
	memcpy(out->values, left, join->step_count * sizeof(*out->values));
	for (size_t i = 0; i < words; i++) {
		out->present[i] &= join->holds[i];
	}
}

/* Adds or subtracts two histograms at one step. As in Prometheus, hints that contradict each other
 * cost the result. */
static int combine_step(struct join *join, const struct histogram *left,
	const struct histogram *right, size_t step) {
	const char *name = join->op == BINARY_ADD ? "addition" : "subtraction";
	uint32_t position = join->expr->text.start;
	struct eval *ev = join->ev;
	struct histogram *out = eval_histogram_copy(ev, left);
	int rc;

	if (!out) {
		return ERR_LIMIT;
	}
	rc = join->op == BINARY_ADD ? histogram_add(&ev->arena, out, right, ev->err)
				    : histogram_subtract(&ev->arena, out, right, ev->err);
	if (rc < 0) {
		return rc;
	}
	if (rc & HISTOGRAM_INCOMPATIBLE) {
		notes_warn(&ev->notes, &ev->arena, position,
			"incompatible bucket layout encountered for binary operator %s",
			binary_op_text(join->op));
	} else if (rc & HISTOGRAM_COLLISION) {
		histogram_note_collision(ev, position, name);
	} else if (rc & HISTOGRAM_RECONCILED) {
		histogram_note_reconciled(ev, position, name);
	}
	if (rc & (HISTOGRAM_INCOMPATIBLE | HISTOGRAM_COLLISION)) {
		present_clear(join->both, step);
		return 0;
	}
	out->hint = join->op == BINARY_SUB ? HISTOGRAM_GAUGE : out->hint;
	histogram_compact(out);
	join->histograms[step] = out;
	return 0;
}

/* A histogram times, divided by or trimmed at a number. */
static int scale_step(
	struct join *join, const struct column *left, const struct column *right, size_t step) {
	const struct column *histograms = left->histograms ? left : right;
	const struct column *numbers = left->histograms ? right : left;
	struct histogram *out = eval_histogram_copy(join->ev, histograms->histograms[step]);

	if (!out) {
		return ERR_LIMIT;
	}
	binary_scale(join->op, out, numbers->values[step]);
	join->histograms[step] = out;
	return 0;
}

/*
 * Works out the histograms of the result at the steps of join->both, before it is known whether
 * they may stand; clears steps that give none.
 */
static int combine_histograms(
	struct join *join, const struct column *many, const struct column *one) {
	const struct column *left = join->is_swapped ? one : many;
	const struct column *right = join->is_swapped ? many : one;

	if (!join->histograms) {
		join->histograms = EVAL_NEW(join->ev, const struct histogram *, join->step_count);
	}
	if (!join->histograms) {
		return ERR_LIMIT;
	}
	for (PRESENT_EACH(join->both, join->step_count, i)) {
		bool are_both = left->histograms && right->histograms;
		int rc = 0;

		if (binary_op_is_comparison(join->op)) {
			join->histograms[i] = left->histograms[i];
		} else {
			rc = are_both ? combine_step(
						join, left->histograms[i], right->histograms[i], i)
				      : scale_step(join, left, right, i);
		}
		if (rc < 0) {
			return rc;
		}
	}
	return eval_work(join->ev, join->step_count);
}

/* Fills in join->out of what combine_histograms found. */
static void take_histograms(
	struct join *join, const struct column *many, const struct column *one) {
	struct column *out = &join->out;

	memcpy(out->present, join->both, step_words(join->step_count) * sizeof(*out->present));
	out->histograms = join->is_bool ? NULL : join->histograms;
	if (!binary_op_is_comparison(join->op)) {
		return;
	}
	for (PRESENT_EACH(join->both, join->step_count, i)) {
		bool holds = histogram_equal(many->histograms[i], one->histograms[i]) ==
			     (join->op == BINARY_EQL);

		out->values[i] = holds;
		if (!holds && !join->is_bool) {
			present_clear(out->present, i);
		}
	}
}

/*
 * Sees to two of the many side in one place: in a group of one-to-one, or with the same labels.
 * Returns 1 if there are: the query fails at its end, when the first such step is known.
 */
static int check_unique(struct join *join, struct match *match, const struct labels *labels) {
	size_t words = step_words(join->step_count);
	bool is_twice = false;
	int rc;

	if (join->is_one_to_one) {
		is_twice = present_overlap(match->matched, join->both, join->step_count);
	} else {
		rc = guard_see(&join->unique, labels, join->both, (size_t)(match - join->matches));
		if (rc < 0) {
			return rc;
		}
		is_twice = rc > 0;
	}
	for (size_t i = 0; is_twice && i < join->step_count; i++) {
		bool fails = present_get(join->both, i) &&
			     (!join->is_one_to_one || present_get(match->matched, i));

		if (fails && (join->many_fail == NONE || i < join->many_fail)) {
			join->many_fail = i;
			break;
		}
	}
	for (size_t i = 0; i < words; i++) {
		match->matched[i] |= join->both[i];
	}
	return is_twice;
}

/*
 * Makes join->out of the two sides' values at the steps of join->both. Returns 1 if there are any,
 * 0 if not.
 */
static int emit(struct join *join, struct match *match, const struct column *many,
	const struct column *one) {
	const struct column *left = join->is_swapped ? one : many;
	const struct column *right = join->is_swapped ? many : one;
	bool has_histograms = many->histograms || one->histograms;
	int rc = 0;

	if (!present_any(join->both, join->step_count)) {
		return 0;
	}
	if (!binary_fits(join->op, left->histograms != NULL, right->histograms != NULL)) {
		binary_note_misfit(
			join->ev, join->expr, left->histograms != NULL, right->histograms != NULL);
		return 0;
	}
	join->out.labels = result_labels(join, &many->labels, &one->labels);
	join->out.drops_name = join->is_bool;
	join->out.histograms = NULL;
	rc = has_histograms ? combine_histograms(join, many, one) : 0;
	rc = rc < 0 ? rc : check_unique(join, match, &join->out.labels);
	if (rc != 0) {
		return rc < 0 ? rc : 0;
	}
	if (has_histograms) {
		take_histograms(join, many, one);
	} else {
		calculate(join, many->values, one->values);
	}
	rc = join->guards && join->many_fail == NONE ? guard_add(&join->guard, &join->out) : 0;
	if (rc < 0) {
		return rc;
	}
	return present_any(join->out.present, join->step_count);
}

/* Failures. */

static void format_labels(const struct labels *set, struct buf *out) {
	buf_add_byte(out, '{');
	for (size_t i = 0; i < set->count; i++) {
		if (i > 0) {
			buf_add_text(out, ", ");
		}
		if (label_name_is_legacy(set->pairs[i].name)) {
			buf_add_str(out, set->pairs[i].name);
		} else {
			quote_append(set->pairs[i].name, out);
		}
		buf_add_byte(out, '=');
		quote_append(set->pairs[i].value, out);
	}
	buf_add_byte(out, '}');
}

static int fail_two_partners(
	const struct join *join, const struct labels *a, const struct labels *b) {
	AUTO(buf_deinit) struct buf first = { 0 };
	AUTO(buf_deinit) struct buf second = { 0 };
	AUTO(buf_deinit) struct buf group = { 0 };
	struct labels shared = match_labels(join, b);
	bool is_sorted;

	format_labels(a, &first);
	format_labels(b, &second);
	format_labels(&shared, &group);
	is_sorted = str_cmp(buf_str(&first), buf_str(&second)) <= 0;
	return err_set(join->ev->err, ERR_EXEC,
		"found duplicate series for the match group %s on the %s hand-side of the "
		"operation: [%s, %s];many-to-many matching not allowed: matching labels must be "
		"unique on one side",
		buf_text(&group), join->is_swapped ? "left" : "right",
		buf_text(is_sorted ? &first : &second), buf_text(is_sorted ? &second : &first));
}

/* The first step at which a group has two partners that the many side could meet. */
static size_t ambiguous_step(const struct join *join) {
	bool fills = fill_for_one(join) || fill_for_many(join);

	for (PRESENT_EACH(join->ambiguous, join->step_count, i)) {
		if (fills || present_get(join->many_any, i)) {
			return i;
		}
	}
	return NONE;
}

static int fail_ambiguous(struct join *join, size_t step) {
	size_t *seen = EVAL_NEW(join->ev, size_t, join->groups.count);

	if (!seen) {
		return ERR_LIMIT;
	}
	for (size_t i = 0; i < join->partner_count; i++) {
		const struct column *column = &join->partners[i].column;
		size_t index = 0;

		if (!present_get(column->present, step) ||
			!groups_find(&join->groups, &column->labels, &index)) {
			continue;
		}
		if (seen[index] > 0) {
			return fail_two_partners(join,
				&join->partners[seen[index] - 1].column.labels, &column->labels);
		}
		seen[index] = i + 1;
	}
	return eval_fail_same_labels(join->ev);
}

/* At the end all steps are known; the error is the first step's. */
static int check_failures(struct join *join) {
	size_t step = ambiguous_step(join);

	if (step != NONE && (join->many_fail == NONE || step <= join->many_fail)) {
		return fail_ambiguous(join, step);
	}
	if (join->many_fail == NONE) {
		return 0;
	}
	return err_set(join->ev->err, ERR_EXEC, "multiple matches for labels: %s",
		join->is_one_to_one
			? "many-to-one matching must be explicit (group_left/group_right)"
			: "grouping labels must ensure unique matches");
}

/* The walk. */

/* Sets join->both, but for steps that are going to fail the query. */
static void intersect(struct join *join, const uint64_t *a, const uint64_t *b, bool negate_b) {
	for (size_t i = 0; i < step_words(join->step_count); i++) {
		join->both[i] = a[i] & (negate_b ? ~b[i] : b[i]) & ~join->ambiguous[i];
	}
}

static int next_many(struct join *join) {
	int rc = join->many->next(join->many, &join->left);

	if (rc <= 0) {
		return rc;
	}
	for (size_t i = 0; i < step_words(join->step_count); i++) {
		join->many_any[i] |= join->left.present[i];
	}
	join->has_left = true;
	join->fills_rest = fill_for_one(join) != NULL;
	join->partner = NONE;
	join->match = NONE;
	if (groups_find(&join->groups, &join->left.labels, &join->match)) {
		join->partner = join->matches[join->match].first;
	}
	rc = eval_work(join->ev, join->step_count);
	return rc < 0 ? rc : 1;
}

static int grow_matches(struct join *join) {
	size_t capacity = join->match_capacity ? join->match_capacity * 2 : 16;
	struct match *matches = EVAL_NEW(join->ev, struct match, capacity);

	if (!matches) {
		return ERR_LIMIT;
	}
	if (join->match_capacity > 0) {
		memcpy(matches, join->matches, join->match_capacity * sizeof(*matches));
	}
	join->matches = matches;
	join->match_capacity = capacity;
	return 0;
}

/* A group that only the many side has, for a fill. */
static int add_match(struct join *join) {
	size_t words = step_words(join->step_count);
	struct match *match;
	int rc = groups_add(&join->groups, &join->left.labels, &join->match);

	rc = rc == 0 && join->match >= join->match_capacity ? grow_matches(join) : rc;
	if (rc < 0) {
		return rc;
	}
	match = &join->matches[join->match];
	*match = (struct match){
		.first = NONE,
		.last = NONE,
		.present = EVAL_NEW(join->ev, uint64_t, words),
		.matched = EVAL_NEW(join->ev, uint64_t, words),
	};
	return match->present && match->matched ? 0 : ERR_LIMIT;
}

static int emit_filled(struct join *join) {
	struct column one = { .values = join->fill };
	struct match *match;

	join->fills_rest = false;
	if (join->match == NONE) {
		int rc = add_match(join);

		if (rc < 0) {
			return rc;
		}
	}
	match = &join->matches[join->match];
	for (size_t i = 0; i < join->step_count; i++) {
		join->fill[i] = *fill_for_one(join);
	}
	one.labels = match_labels(join, &join->left.labels);
	intersect(join, join->left.present, match->present, true);
	return emit(join, match, &join->left, &one);
}

/* The current series with its next partner, or the rest. Returns 0 when it has no more. */
static int emit_left(struct join *join) {
	const struct partner *partner;
	struct match *match;

	if (join->partner == NONE) {
		join->has_left = join->fills_rest;
		return join->fills_rest ? emit_filled(join) : 0;
	}
	partner = &join->partners[join->partner];
	match = &join->matches[join->match];
	join->partner = partner->next;
	intersect(join, join->left.present, partner->column.present, false);
	return emit(join, match, &join->left, &partner->column);
}

/* The next partner at the steps at which nobody of the many side came. */
static int emit_lonely(struct join *join) {
	const struct column *one = &join->partners[join->partner++].column;
	struct column many = { .values = join->fill };
	struct match *match;
	size_t index;

	if (!groups_find(&join->groups, &one->labels, &index)) {
		return 0;
	}
	match = &join->matches[index];
	for (size_t i = 0; i < join->step_count; i++) {
		join->fill[i] = *fill_for_many(join);
	}
	many.labels = match_labels(join, &one->labels);
	intersect(join, one->present, match->matched, true);
	return emit(join, match, &many, one);
}

static int join_next(struct stream *stream, struct column *out) {
	struct join *join = CONTAINER_OF(stream, struct join, stream);
	int rc = join->one_is_read ? 0 : read_one(join);

	while (rc == 0) {
		if (join->is_ending) {
			if (!fill_for_many(join) || join->partner == join->partner_count) {
				return check_failures(join);
			}
			rc = emit_lonely(join);
		} else if (join->has_left) {
			rc = emit_left(join);
		} else {
			rc = next_many(join);
			join->is_ending = rc == 0;
			join->partner = rc == 0 ? 0 : join->partner;
			rc = rc > 0 ? 0 : rc;
		}
	}
	if (rc > 0) {
		*out = join->out;
	}
	return rc;
}

static int alloc_bitmaps(struct join *join) {
	size_t words = step_words(join->step_count);
	struct eval *ev = join->ev;
	int rc = eval_column_build(ev, join->step_count, &join->out);

	join->many_any = EVAL_NEW(ev, uint64_t, words);
	join->ambiguous = EVAL_NEW(ev, uint64_t, words);
	join->both = EVAL_NEW(ev, uint64_t, words);
	join->holds = EVAL_NEW(ev, uint64_t, words);
	join->fill = EVAL_NEW(ev, double, join->step_count);
	if (rc < 0 || !join->many_any || !join->ambiguous || !join->both || !join->holds ||
		!join->fill) {
		return ERR_LIMIT;
	}
	rc = guard_init(&join->unique, ev, join->step_count, false);
	return rc < 0 ? rc : guard_init(&join->guard, ev, join->step_count, false);
}

int join_open(struct eval *ev, struct expr *expr, const struct grid *grid, struct stream **out) {
	const struct vector_matching *matching = expr->u.binary.matching;
	struct join *join = EVAL_NEW(ev, struct join, 1);
	struct stream *left;
	struct stream *right;
	int rc;

	if (!join) {
		return ERR_LIMIT;
	}
	join->stream = (struct stream){ .next = join_next, .repeats = true };
	join->ev = ev;
	join->expr = expr;
	join->matching = matching;
	join->op = expr->u.binary.op;
	join->is_bool = expr->u.binary.is_bool;
	join->is_swapped = matching->card == MATCH_ONE_TO_MANY;
	join->is_one_to_one = matching->card == MATCH_ONE_TO_ONE;
	join->step_count = grid->count;
	join->many_fail = NONE;
	/* Of an instant, with names still on, only the whole query's result must be unique. */
	join->guards = !ev->options->delayed_name_removal || grid->count > 1;
	rc = groups_init(
		&join->groups, ev, matching->labels, matching->label_count, !matching->is_on);
	rc = rc < 0 ? rc : eval_stream(ev, expr->u.binary.left, grid, &left);
	rc = rc < 0 ? rc : eval_stream(ev, expr->u.binary.right, grid, &right);
	rc = rc < 0 ? rc : alloc_bitmaps(join);
	if (rc < 0) {
		return rc;
	}
	join->many = join->is_swapped ? right : left;
	join->one = join->is_swapped ? left : right;
	*out = &join->stream;
	return 0;
}
