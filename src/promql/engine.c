#include "promql/engine.h"

#include "promql/counts.h"
#include "promql/eval.h"
#include "promql/explain.h"
#include "promql/function.h"
#include "promql/gather.h"
#include "promql/result.h"

#include "base/check.h"
#include "base/memory.h"
#include "base/pool.h"

#include <stdlib.h>

/* What to raise when a query, or all together, need more. */
#define QUERY_BYTES_SETTING "--query.max-memory-per-query"
#define PROCESS_BYTES_SETTING "--query.max-memory"

/* Helpers that queries have asked for and that have not come; a query asks again. */
#define HELPERS_QUEUED_MAX 256

struct engine {
	struct engine_options options;
	struct clock *clock;
	struct budget budget; /* All queries'. */
	struct pool *pool;    /* Helpers; NULL: none. */
};

struct engine *engine_new(const struct engine_options *options, struct clock *clock) {
	struct engine *engine = MEMORY_NEW(struct engine, 1);

	engine->options = *options;
	engine->clock = clock;
	budget_init(&engine->budget, NULL, PROCESS_BYTES_SETTING, options->process_bytes_max);
	CHECK(options->threads <= ENGINE_THREADS_MAX);
	if (engine->options.threads > 1) {
		engine->pool = pool_new(
			"evaluate", THREAD_QUERY, engine->options.threads - 1, HELPERS_QUEUED_MAX);
	}
	return engine;
}

void engine_free(struct engine *engine) {
	if (engine) {
		pool_free(engine->pool);
		budget_deinit(&engine->budget);
		free(engine);
	}
}

const struct engine_options *engine_options_get(const struct engine *engine) {
	return &engine->options;
}

void engine_budget_init(struct engine *engine, struct budget *budget) {
	budget_init(budget, &engine->budget, QUERY_BYTES_SETTING, engine->options.query_bytes_max);
}

int engine_check_control(
	const struct engine *engine, const struct query_control *control, struct err *err) {
	/* Relaxed: the flag publishes nothing but itself. */
	if (control && atomic_load_explicit(&control->canceled, memory_order_relaxed)) {
		return err_set(err, ERR_CANCELED, "query was canceled in expression evaluation");
	}
	if (control && control->deadline_ns != 0 &&
		clock_mono_ns(engine->clock) >= control->deadline_ns) {
		return err_set(err, ERR_TIMEOUT, "query timed out in expression evaluation");
	}
	return 0;
}

/* sort and topk give an instant's series an order. */
static bool is_ordered(struct expr *root) {
	struct expr *expr = expr_unparen(root);

	if (expr->kind == EXPR_AGGREGATE) {
		return expr->u.aggregate.op == AGGREGATE_TOPK ||
		       expr->u.aggregate.op == AGGREGATE_BOTTOMK;
	}
	if (expr->kind == EXPR_CALL) {
		enum function_id id = expr->u.call.function->id;

		return id == FUNCTION_SORT || id == FUNCTION_SORT_DESC ||
		       id == FUNCTION_SORT_BY_LABEL || id == FUNCTION_SORT_BY_LABEL_DESC;
	}
	return false;
}

static int eval_root(struct eval *ev, const struct query_params *params, struct arena *arena,
	struct query_result *result) {
	struct expr *root = expr_unparen(ev->tree->root);
	const struct grid *grid = &params->grid;

	result->type = root->type;
	switch (root->type) {
	case VALUE_SCALAR:
		return result_scalar(ev, root, grid, arena, result);
	case VALUE_VECTOR:
		result->is_ordered = !params->is_range && is_ordered(root);
		return result_vector(ev, root, grid, params->is_range, arena, result);
	case VALUE_MATRIX:
		return result_raw(ev, root, grid, arena, result);
	case VALUE_STRING:
		result->string = arena_copy(arena, root->u.string);
		return 0;
	case VALUE_NONE:
		break;
	}
	CHECK(false);
	return ERR_INVAL;
}

static int check_type(const struct expr *root, const struct query_params *params, struct err *err) {
	bool has_steps = root->type == VALUE_SCALAR || root->type == VALUE_VECTOR;

	if (params->is_range && !has_steps) {
		return err_set(err, ERR_INVAL,
			"invalid expression type \"%s\" for range query, must be Scalar or instant "
			"Vector",
			value_type_text(root->type));
	}
	if (!params->is_range && params->grid.count != 1) {
		return err_set(err, ERR_INVAL, "an instant query has one step");
	}
	return 0;
}

/* Evaluates, and tells what became of the nodes. */
static int eval_explained(struct eval *ev, const struct query_params *params, struct arena *arena,
	struct query_result *result) {
	struct explain_node root = { 0 };
	int rc;

	ev->explains = &root;
	rc = eval_root(ev, params, arena, result);
	if (rc < 0) {
		return rc;
	}
	gather_explain(ev->gathers);
	return explain_copy(arena, &root, &result->plan, ev->err);
}

/* Moves what was counted of each step to the result. */
static int take_counts(
	struct eval *ev, size_t step_count, struct arena *arena, struct query_stats *stats) {
	uint64_t *steps = ARENA_TRY_NEW(arena, uint64_t, 2 * step_count, ev->err);

	if (!steps) {
		return ERR_LIMIT;
	}
	stats->step_samples = steps;
	stats->step_read = steps + step_count;
	stats->samples_read = 0;
	for (size_t i = 0; i < step_count; i++) {
		stats->step_samples[i] = ev->counts->used[i];
		stats->step_read[i] = ev->counts->read[i];
		stats->samples_read += ev->counts->read[i];
	}
	return 0;
}

/* Evaluates the tree, with what is to be told of it. */
static int eval_told(struct eval *ev, const struct query_params *params, struct arena *arena,
	struct query_result *result) {
	int rc;

	if (params->counts_steps) {
		ev->counts = counts_new(ev, params->grid.count, true);
		if (!ev->counts) {
			return ERR_LIMIT;
		}
	}
	rc = params->explains ? eval_explained(ev, params, arena, result)
			      : eval_root(ev, params, arena, result);
	return rc < 0 || !params->counts_steps
		       ? rc
		       : take_counts(ev, params->grid.count, arena, &result->stats);
}

static int eval_prepared(struct eval *ev, const struct query_params *params, struct arena *arena,
	struct query_result *result) {
	bool is_charged = arena->budget == NULL;
	const struct budget *whole = is_charged ? &ev->budget : arena->budget;
	int rc;

	/* The result counts as the query's, at least while that runs. */
	if (is_charged) {
		arena->budget = &ev->budget;
	}
	rc = eval_check(ev);
	rc = rc < 0 ? rc : eval_told(ev, params, arena, result);
	rc = rc < 0 ? rc : eval_check(ev);
	if (is_charged) {
		arena->budget = NULL;
	}
	if (rc < 0) {
		return rc;
	}
	notes_format(&ev->notes, ev->tree->text, arena, &result->notes);
	result->stats.samples = ev->samples_read;
	result->stats.samples_peak = ev->samples_peak;
	result->stats.bytes_peak = budget_peak(whole);
	return 0;
}

int engine_eval(struct engine *engine, struct store *store, struct expr_tree *tree,
	const struct query_params *params, struct arena *arena, struct query_result *result,
	struct err *err) {
	struct query_result made = { 0 };
	int64_t start_ns = clock_mono_ns(engine->clock);
	int64_t prepared_ns;
	struct eval ev;
	int rc = check_type(expr_unparen(tree->root), params, err);

	rc = rc < 0 ? rc : engine_prepare(engine, tree, params, err);
	if (rc < 0) {
		return rc;
	}
	prepared_ns = clock_mono_ns(engine->clock);
	eval_init(&ev, engine, arena->budget);
	ev.options = &engine->options;
	ev.store = store;
	ev.tree = tree;
	ev.control = params->control;
	ev.err = err;
	ev.pool = engine->pool;
	ev.clock = engine->clock;
	ev.threads = engine->options.threads;
	ev.lookback_ms =
		params->lookback_ms > 0 ? params->lookback_ms : engine->options.lookback_ms;
	rc = eval_prepared(&ev, params, arena, &made);
	eval_deinit(&ev);
	if (rc == 0) {
		made.stats.prepare_ns = prepared_ns - start_ns;
		made.stats.eval_ns = clock_mono_ns(engine->clock) - start_ns;
		*result = made;
	}
	return rc;
}
