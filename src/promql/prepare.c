/*
 * What depends on the query's grid, made literal in the tree.
 */
#include "promql/chain.h"
#include "promql/engine.h"
#include "promql/function.h"
#include "promql/shared.h"

#include "base/check.h"

#include <inttypes.h>

/* Furthest a time, and longest a duration: so far that 200 of them, nested, add up without
 * overflow, and 280,000 years, in milliseconds. */
#define TIME_MAX_MS (INT64_MAX / 1024)
/* Of an expression, as far as the marking of selectors looks: selectors come early. */
#define CHILDREN_MAX 16

struct prepare {
	int64_t start_ms;
	int64_t end_ms;
	int64_t step_ms;
	int64_t default_step_ms;
	int rc;
	struct err *err;
};

static double seconds(int64_t ms) {
	return (double)ms / 1000;
}

/* start(), end(), range() and step() are numbers once the query is known. */
static void fold_call(const struct prepare *prepare, struct expr *expr) {
	enum function_id id = expr->u.call.function->id;
	double value;

	if (id == FUNCTION_START) {
		value = seconds(prepare->start_ms);
	} else if (id == FUNCTION_END) {
		value = seconds(prepare->end_ms);
	} else if (id == FUNCTION_RANGE) {
		value = seconds(prepare->end_ms - prepare->start_ms);
	} else if (id == FUNCTION_STEP) {
		value = prepare->start_ms == prepare->end_ms ? 0 : seconds(prepare->step_ms);
	} else {
		return;
	}
	expr->kind = EXPR_NUMBER;
	memset(&expr->u, 0, sizeof(expr->u));
	expr->u.number.value = value;
}

static bool fold_visit(struct expr *expr, void *context) {
	if (expr->kind == EXPR_CALL) {
		fold_call(context, expr);
	}
	return true;
}

static int check_time(int64_t time_ms, const char *what, struct err *err) {
	if (time_ms > TIME_MAX_MS || time_ms < -TIME_MAX_MS) {
		return err_set(err, ERR_INVAL,
			"%s of %" PRId64 " ms is out of range; at most %" PRId64
			" either way is possible",
			what, time_ms, TIME_MAX_MS);
	}
	return 0;
}

static int prepare_shift(const struct prepare *prepare, struct time_shift *shift) {
	int rc = check_time(shift->offset.ms, "an offset", prepare->err);

	switch (shift->at) {
	case AT_NONE:
	case AT_TIME:
		break;
	case AT_START:
		shift->at_ms = prepare->start_ms;
		shift->at = AT_TIME;
		break;
	case AT_END:
		shift->at_ms = prepare->end_ms;
		shift->at = AT_TIME;
		break;
	}
	if (rc == 0 && shift->at == AT_TIME) {
		rc = check_time(shift->at_ms, "a time after @", prepare->err);
	}
	return rc;
}

static int prepare_subquery(const struct prepare *prepare, struct expr *expr) {
	int rc = prepare_shift(prepare, &expr->u.subquery.shift);

	if (!expr->u.subquery.has_step) {
		expr->u.subquery.step = (struct duration){ .ms = prepare->default_step_ms };
		expr->u.subquery.has_step = true;
	}
	rc = rc < 0 ? rc : check_time(expr->u.subquery.range.ms, "a range", prepare->err);
	rc = rc < 0 ? rc : check_time(expr->u.subquery.step.ms, "a step", prepare->err);
	if (rc == 0 && (expr->u.subquery.step.ms <= 0 || expr->u.subquery.range.ms <= 0)) {
		rc = err_set(prepare->err, ERR_INVAL, "duration must be greater than 0");
	}
	return rc;
}

static bool prepare_visit(struct expr *expr, void *context) {
	struct prepare *prepare = context;

	if (prepare->rc < 0) {
		return false;
	}
	if (expr->kind == EXPR_SELECTOR) {
		prepare->rc = prepare_shift(prepare, &expr->u.selector.shift);
	} else if (expr->kind == EXPR_RANGE) {
		prepare->rc = check_time(expr->u.range.range.ms, "a range", prepare->err);
	} else if (expr->kind == EXPR_SUBQUERY) {
		prepare->rc = prepare_subquery(prepare, expr);
	}
	return prepare->rc == 0;
}

/* What stands above an expression. */
struct above {
	bool takes_totals;  /* A function that only looks at a histogram's count and sum, */
	bool needs_buckets; /* or something that needs more. */
};

/* Selectors whose buckets nobody looks at. Steps of a subquery are not samples one after the other,
 * so that there resets show in buckets alone. */
static void mark_totals(struct expr *expr, struct above above) {
	struct expr **children[CHILDREN_MAX];
	size_t count;

	if (expr->kind == EXPR_SELECTOR) {
		expr->u.selector.skips_buckets = above.takes_totals && !above.needs_buckets;
		expr->u.selector.is_projected = false;
		return;
	}
	if (expr->kind == EXPR_CALL) {
		enum function_id id = expr->u.call.function->id;

		above.takes_totals |= id == FUNCTION_HISTOGRAM_COUNT ||
				      id == FUNCTION_HISTOGRAM_SUM || id == FUNCTION_HISTOGRAM_AVG;
		above.needs_buckets |= id == FUNCTION_HISTOGRAM_QUANTILE ||
				       id == FUNCTION_HISTOGRAM_QUANTILES ||
				       id == FUNCTION_HISTOGRAM_FRACTION;
	}
	above.needs_buckets |= expr->kind == EXPR_SUBQUERY;
	above.needs_buckets |=
		expr->kind == EXPR_BINARY &&
		(expr->u.binary.op == BINARY_TRIM_UPPER || expr->u.binary.op == BINARY_TRIM_LOWER);
	count = expr_children(expr, children, CHILDREN_MAX);
	for (size_t i = 0; i < count && i < CHILDREN_MAX; i++) {
		mark_totals(*children[i], above);
	}
}

/* Selectors whose samples' start timestamps are looked at, if the engine does that. They are not
 * for what looks beyond its window. */
static bool starts_visit(struct expr *expr, void *context) {
	enum function_id id;
	struct expr *arg;

	if (expr->kind != EXPR_CALL || expr->u.call.count != 1) {
		return true;
	}
	id = expr->u.call.function->id;
	arg = expr_unparen(expr->u.call.args[0]);
	if (arg->kind == EXPR_SELECTOR && id == FUNCTION_START_TIMESTAMP) {
		arg->u.selector.wants_starts = *(const bool *)context;
	}
	if (arg->kind == EXPR_RANGE && (id == FUNCTION_RATE || id == FUNCTION_INCREASE ||
					       id == FUNCTION_IRATE || id == FUNCTION_RESETS)) {
		struct selector *selector = &arg->u.range.selector->u.selector;

		selector->wants_starts =
			*(const bool *)context && !selector->anchored && !selector->smoothed;
	}
	return true;
}

/* Whether an aggregate's result only depends on the labels that it groups by. */
static bool forgets_labels(const struct expr *expr) {
	if (expr->kind != EXPR_AGGREGATE || expr->u.aggregate.without) {
		return false;
	}
	switch (expr->u.aggregate.op) {
	case AGGREGATE_SUM:
	case AGGREGATE_AVG:
	case AGGREGATE_COUNT:
	case AGGREGATE_MIN:
	case AGGREGATE_MAX:
	case AGGREGATE_GROUP:
	case AGGREGATE_STDDEV:
	case AGGREGATE_STDVAR:
	case AGGREGATE_COUNT_VALUES:
	case AGGREGATE_QUANTILE:
		return true;
	case AGGREGATE_TOPK:
	case AGGREGATE_BOTTOMK:
	case AGGREGATE_LIMITK:
	case AGGREGATE_LIMIT_RATIO:
		break;
	}
	return false;
}

/* Selectors of whose labels only those matter that an aggregate groups by. */
static bool project_visit(struct expr *expr, void *context UNUSED) {
	struct expr *selector;

	if (!forgets_labels(expr)) {
		return true;
	}
	selector = chain_selector(expr->u.aggregate.expr);
	if (selector && !chain_may_collide(expr->u.aggregate.expr, selector)) {
		selector->u.selector.wanted = expr->u.aggregate.grouping;
		selector->u.selector.wanted_count = expr->u.aggregate.grouping_count;
		selector->u.selector.is_projected = true;
	}
	return true;
}

int engine_prepare(struct engine *engine, struct expr_tree *tree, const struct query_params *params,
	struct err *err) {
	const struct grid *grid = &params->grid;
	bool uses_starts = engine_options_get(engine)->use_start_timestamps;
	struct prepare prepare = {
		.start_ms = grid->start_ms,
		.step_ms = grid->step_ms,
		.default_step_ms = engine_options_get(engine)->default_subquery_step_ms,
		.err = err,
	};
	uint64_t span_max = 2 * (uint64_t)TIME_MAX_MS;
	int rc = check_time(grid->start_ms, "a start", err);

	if (rc < 0) {
		return rc;
	}
	if (grid->count == 0 || grid->step_ms < 0 || (grid->count > 1 && grid->step_ms == 0)) {
		return err_set(err, ERR_INVAL, "a query needs a step above zero");
	}
	if (grid->count > 1 && grid->count - 1 > span_max / (uint64_t)grid->step_ms) {
		return err_set(err, ERR_INVAL, "a query's end is out of range");
	}
	prepare.end_ms = params->end_ms != 0 ? params->end_ms : grid_time(grid, grid->count - 1);
	rc = check_time(prepare.end_ms, "an end", err);
	rc = rc < 0 ? rc : check_time(grid_time(grid, grid->count - 1), "an end", err);
	if (rc < 0) {
		return rc;
	}
	expr_walk(tree->root, fold_visit, &prepare);
	rc = expr_resolve_durations(
		tree->root, prepare.start_ms, prepare.end_ms, prepare.step_ms, err);
	if (rc < 0) {
		return rc;
	}
	mark_totals(tree->root, (struct above){ 0 });
	expr_walk(tree->root, project_visit, NULL);
	expr_walk(tree->root, starts_visit, &uses_starts);
	expr_walk(tree->root, prepare_visit, &prepare);
	shared_mark(tree);
	return prepare.rc;
}
