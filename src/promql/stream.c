/*
 * Which operation an expression is; and what is the same at all steps, evaluated at one.
 */
#include "promql/aggregate.h"
#include "promql/binary.h"
#include "promql/call.h"
#include "promql/chain.h"
#include "promql/each.h"
#include "promql/explain.h"
#include "promql/gather.h"
#include "promql/histogram.h"
#include "promql/number.h"
#include "promql/select.h"
#include "promql/shared.h"

#include "base/check.h"

/* Functions that look at the time of the evaluation, whatever their arguments are. */
static const bool looks_at_time[FUNCTION_COUNT] = {
	[FUNCTION_DAYS_IN_MONTH] = true,
	[FUNCTION_DAY_OF_MONTH] = true,
	[FUNCTION_DAY_OF_WEEK] = true,
	[FUNCTION_DAY_OF_YEAR] = true,
	[FUNCTION_HOUR] = true,
	[FUNCTION_MINUTE] = true,
	[FUNCTION_MONTH] = true,
	[FUNCTION_PREDICT_LINEAR] = true,
	[FUNCTION_TIME] = true,
	[FUNCTION_YEAR] = true,
};

static bool call_is_invariant(const struct expr *call) {
	enum function_id id = call->u.call.function->id;

	if (looks_at_time[id]) {
		return false;
	}
	/* The time of a selector is its samples', of anything else the step's. */
	if (id == FUNCTION_TIMESTAMP && expr_unparen(call->u.call.args[0])->kind != EXPR_SELECTOR) {
		return false;
	}
	for (size_t i = 0; i < call->u.call.count; i++) {
		if (!expr_is_invariant(call->u.call.args[i])) {
			return false;
		}
	}
	return true;
}

bool expr_is_invariant(struct expr *expr) {
	switch (expr->kind) {
	case EXPR_NUMBER:
	case EXPR_STRING:
		return true;
	case EXPR_SELECTOR:
		return expr->u.selector.shift.at != AT_NONE;
	case EXPR_RANGE:
		return expr_is_invariant(expr->u.range.selector);
	case EXPR_SUBQUERY:
		return expr->u.subquery.shift.at != AT_NONE;
	case EXPR_CALL:
		return call_is_invariant(expr);
	case EXPR_AGGREGATE:
		/* Not so the parameter: Prometheus takes it at the first step then. */
		return expr_is_invariant(expr->u.aggregate.expr);
	case EXPR_BINARY:
		return expr_is_invariant(expr->u.binary.left) &&
		       expr_is_invariant(expr->u.binary.right);
	case EXPR_UNARY:
		return expr_is_invariant(expr->u.unary.expr);
	case EXPR_PAREN:
		return expr_is_invariant(expr->u.paren);
	case EXPR_STEPS:
		return false;
	}
	CHECK(false);
	return false;
}

/* A stream whose one step stands for all. */
struct repeat {
	struct stream stream;
	struct eval *ev;
	struct stream *input;
	size_t step_count;
	struct column column;
	const struct histogram **histograms; /* Once there was any. */
};

static int repeat_histogram(struct repeat *repeat, const struct histogram *histogram) {
	if (!repeat->histograms) {
		repeat->histograms =
			EVAL_NEW(repeat->ev, const struct histogram *, repeat->step_count);
	}
	if (!repeat->histograms) {
		return ERR_LIMIT;
	}
	for (size_t i = 0; i < repeat->step_count; i++) {
		repeat->histograms[i] = histogram;
	}
	repeat->column.histograms = repeat->histograms;
	return 0;
}

static int repeat_next(struct stream *stream, struct column *out) {
	struct repeat *repeat = CONTAINER_OF(stream, struct repeat, stream);
	struct eval *ev = repeat->ev;
	uint64_t weight = ev->samples_weight;
	struct column column;
	int rc;

	ev->samples_weight = weight * repeat->step_count;
	do {
		rc = repeat->input->next(repeat->input, &column);
	} while (rc > 0 && !present_get(column.present, 0));
	ev->samples_weight = weight;
	if (rc > 0 && !repeat->column.values) {
		int built = eval_column_build(ev, repeat->step_count, &repeat->column);

		rc = built < 0 ? built : rc;
	}
	if (rc <= 0) {
		return rc;
	}
	repeat->column.histograms = NULL;
	if (column.histograms) {
		rc = repeat_histogram(repeat, column.histograms[0]);
		if (rc < 0) {
			return rc;
		}
	}
	for (size_t i = 0; i < repeat->step_count; i++) {
		repeat->column.values[i] = column.values[0];
	}
	present_fill(repeat->column.present, repeat->step_count);
	repeat->column.labels = column.labels;
	repeat->column.drops_name = column.drops_name;
	*out = repeat->column;
	rc = eval_work(ev, repeat->step_count);
	return rc < 0 ? rc : 1;
}

static int open_repeat(
	struct eval *ev, struct expr *expr, const struct grid *grid, struct stream **out) {
	struct repeat *repeat = EVAL_NEW(ev, struct repeat, 1);
	const struct grid *first = eval_grid_first(ev, grid);
	uint64_t weight = ev->samples_weight;
	int rc;

	if (!repeat || !first) {
		return ERR_LIMIT;
	}
	ev->samples_weight = weight * grid->count;
	rc = eval_stream(ev, expr, first, &repeat->input);
	ev->samples_weight = weight;
	if (rc < 0) {
		return rc;
	}
	repeat->stream = (struct stream){ .next = repeat_next, .repeats = repeat->input->repeats };
	repeat->ev = ev;
	repeat->step_count = grid->count;
	*out = &repeat->stream;
	return 0;
}

static void apply_minus(struct each *each, struct column *column) {
	for (size_t i = 0; i < each->grid->count; i++) {
		column->values[i] = -column->values[i];
	}
}

static int negate_histograms(struct each *each, struct column *column) {
	for (PRESENT_EACH(column->present, each->grid->count, i)) {
		struct histogram *copy = eval_histogram_copy(each->ev, column->histograms[i]);

		if (!copy) {
			return ERR_LIMIT;
		}
		histogram_multiply(copy, -1);
		column->histograms[i] = copy;
	}
	return 0;
}

static int open_unary(
	struct eval *ev, struct expr *expr, const struct grid *grid, struct stream **out) {
	struct each *each;
	int rc;

	if (!expr->u.unary.negative) {
		return eval_stream(ev, expr->u.unary.expr, grid, out);
	}
	each = EVAL_NEW(ev, struct each, 1);
	rc = each ? each_open(each, ev, expr->u.unary.expr, grid, true) : ERR_LIMIT;
	if (rc < 0) {
		return rc;
	}
	each->apply = apply_minus;
	each->apply_histograms = negate_histograms;
	*out = &each->stream;
	return 0;
}

static int open_vector(
	struct eval *ev, struct expr *expr, const struct grid *grid, struct stream **out) {
	switch (expr->kind) {
	case EXPR_SELECTOR:
		return select_open(
			ev, &expr->u.selector, expr->text.start, grid, SELECT_VALUES, out);
	case EXPR_CALL:
		return call_open(ev, expr, grid, out);
	case EXPR_AGGREGATE:
		return aggregate_open(ev, expr, grid, out);
	case EXPR_BINARY:
		return binary_open(ev, expr, grid, out);
	case EXPR_UNARY:
		return open_unary(ev, expr, grid, out);
	case EXPR_STEPS:
		return matrix_open(ev, expr->u.steps.steps, grid, out);
	case EXPR_NUMBER:
	case EXPR_STRING:
	case EXPR_RANGE:
	case EXPR_SUBQUERY:
	case EXPR_PAREN:
		break;
	}
	CHECK(false); /* None of these is a vector: the check of types saw to it. */
	return ERR_INVAL;
}

/* Opens per-series work down to a selector, on several threads if it is long. */
static int open_chain(
	struct eval *ev, struct expr *expr, const struct grid *grid, struct stream **out) {
	struct pool *pool = ev->pool;
	struct stream *stream;
	int rc;

	/* The whole chain is spread, or nothing of it. */
	ev->pool = NULL;
	rc = open_vector(ev, expr, grid, &stream);
	ev->pool = pool;
	if (rc == 0 && gather_pays(ev, ev->leaves, grid)) {
		return gather_open(ev, expr, grid, ev->leaves, stream, out);
	}
	if (rc == 0) {
		*out = stream;
	}
	return rc;
}

/* Whether an expression's series could be shared out. */
static bool is_spreadable(const struct eval *ev, struct expr *expr) {
	const struct expr *selector = ev->pool ? chain_selector(expr) : NULL;

	/* Who drops names of several kinds has to see all series; and what is shared is read here,
	 * not in each lane. */
	return selector && !chain_is_shared(expr) &&
	       (ev->options->delayed_name_removal || !chain_may_collide(expr, selector));
}

/* Opens a vector that is not the same at all steps. */
static int open_varying(
	struct eval *ev, struct expr *expr, const struct grid *grid, struct stream **out) {
	return is_spreadable(ev, expr) ? open_chain(ev, expr, grid, out)
				       : open_vector(ev, expr, grid, out);
}

/* The same, once if the query has it several times; not when each step's samples are counted. */
static int open_once(
	struct eval *ev, struct expr *expr, const struct grid *grid, struct stream **out) {
	return expr->shared > 0 && !ev->is_lane && !ev->counts
		       ? shared_open(ev, expr, grid, open_varying, out)
		       : open_varying(ev, expr, grid, out);
}

int eval_stream(struct eval *ev, struct expr *expr, const struct grid *grid, struct stream **out) {
	int rc = eval_check(ev);

	expr = expr_unparen(expr);
	if (rc < 0) {
		return rc;
	}
	if (grid->count > 1 && expr_is_invariant(expr)) {
		return open_repeat(ev, expr, grid, out);
	}
	return ev->explains ? explain_stream(ev, expr, grid, open_once, out)
			    : open_once(ev, expr, grid, out);
}

/* A finished matrix as a scalar: the value of its one column, NaN where it has none. */
static int matrix_scalar(
	struct eval *ev, const struct steps *steps, const struct grid *grid, double *out) {
	size_t first;
	size_t stride;
	int rc = matrix_place(ev, steps, grid, &first, &stride);

	for (size_t i = 0; rc == 0 && i < grid->count; i++) {
		size_t at = first + i * stride;
		bool has_value = steps->count > 0 && step_present(&steps->columns[0], at);

		out[i] = has_value ? steps->columns[0].values[at] : number_nan();
	}
	return rc;
}

static int scalar_at(struct eval *ev, struct expr *expr, const struct grid *grid, double *out) {
	double *values;
	int rc;

	switch (expr->kind) {
	case EXPR_NUMBER:
		for (size_t i = 0; i < grid->count; i++) {
			out[i] = expr->u.number.value;
		}
		return 0;
	case EXPR_CALL:
		return call_scalar(ev, expr, grid, out);
	case EXPR_BINARY:
		return binary_scalar(ev, expr, grid, out);
	case EXPR_UNARY:
		rc = eval_scalar(ev, expr->u.unary.expr, grid, &values);
		for (size_t i = 0; rc == 0 && i < grid->count; i++) {
			out[i] = expr->u.unary.negative ? -values[i] : values[i];
		}
		return rc;
	case EXPR_STEPS:
		return matrix_scalar(ev, expr->u.steps.steps, grid, out);
	case EXPR_STRING:
	case EXPR_SELECTOR:
	case EXPR_RANGE:
	case EXPR_SUBQUERY:
	case EXPR_AGGREGATE:
	case EXPR_PAREN:
		break;
	}
	CHECK(false);
	return ERR_INVAL;
}

/* Once, for all steps. */
static int scalar_once(struct eval *ev, struct expr *expr, const struct grid *grid, double *out) {
	const struct grid *first = eval_grid_first(ev, grid);
	uint64_t weight = ev->samples_weight;
	int rc;

	if (!first) {
		return ERR_LIMIT;
	}
	ev->samples_weight = weight * grid->count;
	rc = scalar_at(ev, expr, first, out);
	ev->samples_weight = weight;
	for (size_t i = 1; rc == 0 && i < grid->count; i++) {
		out[i] = out[0];
	}
	return rc;
}

/* A scalar at all steps, as a node of one series. */
static int explain_scalar(
	struct eval *ev, struct expr *expr, const struct grid *grid, double *values) {
	struct explain_node *node = explain_new(ev, expr, grid);
	struct explain_span span;
	int rc;

	if (!node) {
		return ERR_LIMIT;
	}
	span = explain_enter(ev, node);
	rc = expr_is_invariant(expr) ? scalar_once(ev, expr, grid, values)
				     : scalar_at(ev, expr, grid, values);
	explain_leave(ev, node, &span);
	node->is_scalar = true;
	node->series = 1;
	node->values = grid->count;
	return rc;
}

int eval_scalar(struct eval *ev, struct expr *expr, const struct grid *grid, double **out) {
	double *values = EVAL_NEW(ev, double, grid->count);
	int rc = values ? eval_hold(ev, grid->count) : ERR_LIMIT;

	expr = expr_unparen(expr);
	rc = rc < 0 ? rc : eval_work(ev, grid->count);
	rc = rc < 0 ? rc : eval_check(ev);
	if (rc < 0) {
		return rc;
	}
	*out = values;
	if (ev->explains && expr->kind != EXPR_NUMBER) {
		return explain_scalar(ev, expr, grid, values);
	}
	return expr_is_invariant(expr) ? scalar_once(ev, expr, grid, values)
				       : scalar_at(ev, expr, grid, values);
}
