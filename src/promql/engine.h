/*
 * The engine: evaluates an expression tree over a store on a grid of times.
 *
 * A query charges every byte it holds to a budget under the engine's, stops within a bounded number
 * of samples when canceled, and never outlives its deadline. Any thread; an evaluation runs on the
 * thread that asks, which other threads of the engine help when it is long. Results live in the
 * arena given and do not depend on how many helped.
 */
#ifndef PROMQL_ENGINE_H
#define PROMQL_ENGINE_H

#include "base/budget.h"
#include "base/time.h"
#include "promql/ast.h"
#include "promql/parse.h"
#include "promql/steps.h"
#include "store/store.h"

#include <stdatomic.h>

/* Steps of one range query, as Prometheus' API limits them. */
#define ENGINE_STEPS_MAX 11000

/* Below so many samples and steps another thread costs more than it brings. */
#define ENGINE_SPREAD_MIN 100000
/* Most threads of one query. */
#define ENGINE_THREADS_MAX 64

struct engine_options {
	int64_t lookback_ms;              /* --query.lookback-delta, 300000 */
	int64_t default_subquery_step_ms; /* global evaluation_interval, 60000 */
	uint64_t samples_max;     /* --query.max-samples: samples held at once, 50000000; 0: any */
	uint64_t query_bytes_max; /* --query.max-memory-per-query */
	uint64_t process_bytes_max; /* --query.max-memory */
	size_t threads; /* --query.threads: that may work on one query; 0 is taken as 1, more
			   than ENGINE_THREADS_MAX as that. */
	/* Samples and steps, by estimate, from which on more than one does; 0: ENGINE_SPREAD_MIN.
	 */
	uint64_t spread_min;
	struct parse_options parse;
	bool delayed_name_removal; /* promql-delayed-name-removal */
	bool use_start_timestamps; /* use-start-timestamps */
};

struct engine;

/* An engine on 'clock', which it borrows; and its end, when no evaluation runs any more. */
struct engine *engine_new(const struct engine_options *options, struct clock *clock);
void engine_free(struct engine *engine);
/* As given to engine_new; as long as the engine. */
const struct engine_options *engine_options_get(const struct engine *engine);
/* A budget of one query's bytes under that of all, for work that is no evaluation (label APIs). The
 * caller deinits it before the engine ends. */
void engine_budget_init(struct engine *engine, struct budget *budget);

/* One evaluation's bounds; lives with the request. */
struct query_control {
	_Atomic bool canceled; /* Set by any thread to stop it. */
	int64_t deadline_ns;   /* On the engine's monotonic clock; 0: none. */
};

/* Whether to go on: returns 0, ERR_CANCELED or ERR_TIMEOUT with Prometheus' sentence. 'control' may
 * be NULL. */
MUST_USE int engine_check_control(
	const struct engine *engine, const struct query_control *control, struct err *err);

struct query_params {
	struct grid grid; /* count 1 and step 0 for an instant query. */
	/* What @ end() and range() mean: the end as asked, which may lie past the last step. 0: the
	 * last step. */
	int64_t end_ms;
	bool is_range;                 /* A range query, even if its grid has one step. */
	int64_t lookback_ms;           /* 0: the engine's. */
	struct query_control *control; /* May be NULL. */
	bool counts_steps;             /* Fill in what query_stats has of each step. */
	bool explains;                 /* Fill in query_result.plan. */
};

/* One warning or info, Prometheus' text with position. */
struct annotation {
	bool is_info;
	struct str text;
};

struct annotations {
	struct annotation *items; /* Deduplicated, sorted by text; in the result's arena. */
	size_t count;
	size_t capacity;
};

/* Adds a note unless it is there. */
void annotations_add(struct annotations *notes, struct arena *arena, bool is_info, struct str text);

struct query_stats {
	uint64_t samples;      /* totalQueryableSamples: samples loaded, per step that used them. */
	uint64_t samples_peak; /* peakSamples: held at once. */
	uint64_t bytes_peak;
	int64_t eval_ns; /* All of it, preparing and sorting included. */
	int64_t prepare_ns;
	int64_t sort_ns;
	/* Only with query_params.counts_steps, else 0 and NULL: */
	uint64_t samples_read;  /* samplesRead: a range's windows that overlap count once. */
	uint64_t *step_samples; /* The same two of each step. */
	uint64_t *step_read;
};

/*
 * What became of one node of a query: what it gave to the node above, and what that took, all that
 * stands below it included.
 */
struct explain_node {
	struct str text;   /* The operation without its operands; a selector as written. */
	size_t step_count; /* At how many steps it was evaluated; 1 where one stands for all. */
	uint64_t series;   /* Series given, those without any value included, */
	uint64_t values;   /* and their values; of a range vector, its samples. */
	uint64_t samples;  /* Samples read from the store. */
	uint64_t bytes;    /* Memory of the evaluation that was taken. */
	int64_t ns;        /* Time; below a node whose series several threads shared, all theirs. */
	bool is_scalar;    /* One value at each step: a series of its own. */
	bool is_again;     /* The same stands elsewhere in the query, and was evaluated there. */
	struct explain_node *first; /* The first of its operands, in the order of their opening, */
	struct explain_node *next;  /* and the next one of the same node. */
};

/* A raw series of a top-level matrix selector (an instant query of x[5m]). */
struct raw_series {
	struct labels labels;
	int64_t *times_ms;
	double *values;
	size_t count;
	const struct histogram **histograms; /* As those of a step_column. */
};

struct query_result {
	enum value_type
		type; /* What the expression is; a range query of a scalar gives VECTOR steps. */
	struct steps steps;     /* SCALAR (one column, no labels) and VECTOR. */
	struct str string;      /* STRING */
	struct raw_series *raw; /* MATRIX: an instant query only. */
	size_t raw_count;
	bool is_ordered; /* Column order is part of the answer (sort, topk). */
	struct annotations notes;
	struct query_stats stats;
	struct explain_node *plan; /* NULL unless it was asked for. */
};

/* Whether any value is a native histogram. */
bool query_result_has_histograms(const struct query_result *result);

/*
 * Evaluates tree->root over 'store' (NULL when no selector is left). Range results are sorted by
 * labels. The tree is annotated in place (durations resolved, @ start()/end() made literal), so it
 * serves one grid. 'arena' holds the result. If it has a budget (engine_budget_init), that is the
 * query's; else the query has one of its own, and the result is charged to it while it runs.
 *
 * Returns 0; ERR_INVAL for what the grid forbids; ERR_EXEC with Prometheus' sentence for failures
 * of the evaluation (many-to-many matching, duplicate series); ERR_LIMIT naming the setting;
 * ERR_TIMEOUT; ERR_CANCELED; ERR_ABSENT for info() over series that are not in this store; or the
 * store's error.
 */
MUST_USE int engine_eval(struct engine *engine, struct store *store, struct expr_tree *tree,
	const struct query_params *params, struct arena *arena, struct query_result *result,
	struct err *err);

/*
 * Fixes everything in the tree that depends on the outer grid: duration expressions, @ start() and
 * end(), default subquery steps. engine_eval does this itself; the hub does it before it splits.
 */
MUST_USE int engine_prepare(struct engine *engine, struct expr_tree *tree,
	const struct query_params *params, struct err *err);

#endif
