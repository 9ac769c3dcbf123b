/*
 * absent and absent_over_time: 1 at the steps at which nothing is there.
 */
#include "promql/call.h"
#include "promql/counts.h"
#include "promql/extended.h"
#include "promql/windows.h"

struct absent {
	struct stream stream;
	struct eval *ev;
	const struct grid *grid;
	struct stream *input;           /* absent, */
	struct samples_source *samples; /* or absent_over_time. */
	struct windows windows;         /* Of the latter. */
	struct labels labels;
	bool is_done;
};

/* Whether matcher 'at' says what its label is: by equality, the first to do so, and nothing after
 * it says more (not even the same again). */
static bool says_label(const struct selector *selector, size_t at) {
	const struct matcher *matcher = &selector->matchers[at];

	if (matcher->op != MATCHER_EQUAL || str_equal(matcher->name, LABEL_NAME)) {
		return false;
	}
	for (size_t i = 0; i < selector->matcher_count; i++) {
		const struct matcher *other = &selector->matchers[i];

		if (i != at && str_equal(other->name, matcher->name) &&
			(i > at || other->op == MATCHER_EQUAL)) {
			return false;
		}
	}
	return true;
}

/* The labels that a series would have, as far as the selector says. */
static int wanted_labels(struct eval *ev, struct expr *arg, struct labels *out) {
	const struct selector *selector;
	struct label *pairs;
	size_t count = 0;

	*out = (struct labels){ 0 };
	arg = arg->kind == EXPR_RANGE ? arg->u.range.selector : arg;
	if (arg->kind != EXPR_SELECTOR) {
		return 0;
	}
	selector = &arg->u.selector;
	pairs = EVAL_NEW(ev, struct label, selector->matcher_count);
	if (!pairs) {
		return ERR_LIMIT;
	}
	for (size_t i = 0; i < selector->matcher_count; i++) {
		const struct matcher *matcher = &selector->matchers[i];

		if (says_label(selector, i)) {
			pairs[count++] = (struct label){ matcher->name, matcher->value };
		}
	}
	return labels_build(&ev->arena, pairs, count, out, ev->err);
}

static int mark_windows(struct absent *absent, const struct samples *samples, uint64_t *found) {
	int rc = windows_update(&absent->windows, absent->ev, absent->grid,
		samples_shape(absent->samples), samples);

	if (rc < 0) {
		return rc;
	}
	count_windows(
		absent->ev, &absent->windows, absent->grid, samples_are_evaluated(absent->samples));
	for (size_t i = 0; i < step_words(absent->grid->count); i++) {
		found[i] |= absent->windows.present[i];
	}
	return 0;
}

static int read_input(struct absent *absent, uint64_t *found) {
	size_t words = step_words(absent->grid->count);
	struct samples samples;
	struct column column;
	int rc;

	while (absent->samples && (rc = samples_next(absent->samples, &samples)) != 0) {
		rc = rc < 0 ? rc : eval_work(absent->ev, absent->grid->count);
		rc = rc < 0 ? rc : mark_windows(absent, &samples, found);
		if (rc < 0) {
			return rc;
		}
	}
	while (absent->input && (rc = absent->input->next(absent->input, &column)) != 0) {
		if (rc < 0) {
			return rc;
		}
		for (size_t i = 0; i < words; i++) {
			found[i] |= column.present[i];
		}
	}
	return 0;
}

static int absent_next(struct stream *stream, struct column *out) {
	struct absent *absent = CONTAINER_OF(stream, struct absent, stream);
	size_t steps = absent->grid->count;
	int rc;

	if (absent->is_done) {
		return 0;
	}
	absent->is_done = true;
	rc = eval_column_build(absent->ev, steps, out);
	rc = rc < 0 ? rc : read_input(absent, out->present);
	rc = rc < 0 ? rc : eval_hold(absent->ev, steps);
	if (rc < 0) {
		return rc;
	}
	for (size_t i = 0; i < steps; i++) {
		out->values[i] = 1;
		out->present[i / 64] ^= UINT64_C(1) << (i % 64);
	}
	out->labels = absent->labels;
	return 1;
}

static int absent_init(
	struct absent *absent, struct eval *ev, struct expr *arg, const struct grid *grid) {
	absent->stream = (struct stream){ .next = absent_next, .keeps = true };
	absent->ev = ev;
	absent->grid = grid;
	return wanted_labels(ev, arg, &absent->labels);
}

int call_open_absent(
	struct eval *ev, struct expr *call, const struct grid *grid, struct stream **out) {
	struct absent *absent = EVAL_NEW(ev, struct absent, 1);
	struct expr *arg = expr_unparen(call->u.call.args[0]);
	int rc = absent ? absent_init(absent, ev, arg, grid) : ERR_LIMIT;

	rc = rc < 0 ? rc : eval_stream(ev, arg, grid, &absent->input);
	if (rc < 0) {
		return rc;
	}
	*out = &absent->stream;
	return 0;
}

int call_open_absent_over_time(
	struct eval *ev, struct expr *call, const struct grid *grid, struct stream **out) {
	struct absent *absent = EVAL_NEW(ev, struct absent, 1);
	struct expr *arg = expr_unparen(call->u.call.args[0]);
	int rc = absent ? absent_init(absent, ev, arg, grid) : ERR_LIMIT;

	rc = rc < 0 ? rc : samples_open(ev, arg, grid, &absent->samples);
	rc = rc < 0 ? rc
		    : extended_check(ev, samples_shape(absent->samples), call->u.call.function);
	if (rc < 0) {
		return rc;
	}
	*out = &absent->stream;
	return 0;
}
