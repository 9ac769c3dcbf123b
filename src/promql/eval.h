/*
 * What the parts of the engine share: one evaluation, and streams of columns.
 *
 * An expression that gives a vector is opened as a stream: each call of next gives one series'
 * values at all steps of the grid. Streams stand on each other, so that a series passes through all
 * per-series work - samples, range function, arithmetic - while it is in the cache, and ends in an
 * aggregate's accumulators or in the result; no level holds all series unless it must.
 *
 * Everything lives in the evaluation's arena until its end; nothing is freed on the way, and what
 * has a destructor (a store's series set, its sample buffers) is a 'leaf' that the evaluation
 * closes. Failures are a negative code, with the sentence in eval->err. One thread.
 */
#ifndef PROMQL_EVAL_H
#define PROMQL_EVAL_H

#include "base/map.h"
#include "promql/engine.h"
#include "promql/notes.h"

#include <math.h>

/* How much work (samples, steps) passes between two looks at the clock and the cancel flag: about a
 * millisecond. What is told of at once, a series or a window, is as much as this many samples. */
#define EVAL_WORK_MAX 200000
#define EVAL_WORK_EACH 64

struct gather;
struct leaf;
struct pool;
struct shared;
struct step_counts;
struct table;

/* One evaluation of a query. */
struct eval {
	const struct engine *engine;
	const struct engine_options *options;
	struct store *store; /* May be NULL when no selector is left. */
	struct expr_tree *tree;
	struct query_control *control; /* May be NULL. */
	struct err *err;               /* The caller's. */
	struct budget budget;
	struct arena arena;
	struct leaf *leaves;    /* All that was opened, newest first. */
	struct table *tables;   /* Likewise. */
	struct gather *gathers; /* Likewise. */
	struct shared *shared;  /* Results of what the query has several times. */
	uint64_t shared_bytes;
	struct notes notes;
	struct pool *pool; /* Where helpers come from; NULL: work on this thread alone. */
	size_t threads;    /* How many may work on a query, this one included. */
	/* A lane of an gather: its selector is a fork of this walk, and the gather sees to
	 * series that are the same. */
	bool is_lane;
	struct series_set *forked;
	int64_t lookback_ms;
	uint64_t work; /* Since the last look at the clock. */
	uint64_t samples_held;
	uint64_t samples_peak;
	uint64_t samples_read;
	/* How often each sample counts in samples_read: more than once in what is evaluated once
	 * for all steps, not at all inside a subquery, whose results are counted when they are
	 * used. */
	uint64_t samples_weight;
	struct step_counts *counts;    /* The same by step; NULL: nobody asked. */
	uint64_t samples_loaded;       /* From the store. */
	struct clock *clock;           /* The engine's. */
	struct explain_node *explains; /* What is at work now; NULL: nobody asked. */
};

/* One series' values at the steps of a grid. */
struct column {
	struct labels labels; /* As long as the evaluation. */
	double *values;       /* Those not present are unspecified. */
	uint64_t *present;
	/* The values are histograms. A series that is both gives two columns, never with a value at
	 * the same step: first the one of numbers, then, next in the stream, this. NULL: numbers.
	 */
	const struct histogram **histograms;
	bool drops_name; /* The name is to go at the end (delayed name removal). */
	bool is_special; /* In a lane: a type or unit went, which may have told it from another. */
};

struct stream {
	/*
	 * Gives the next column. Its buffers may be changed in place; they are the caller's until
	 * the next call, or for good if 'keeps'. It may have no value at any step. Returns 1, 0 at
	 * the end, or an error; not called again after 0 or an error.
	 */
	int (*next)(struct stream *stream, struct column *out);
	bool keeps;
	/* The same labels may come in several columns, never at the same step: two series became
	 * one when they lost what told them apart. Folding by step need not care. */
	bool repeats;
};

/* A leaf's outside resources. */
struct leaf {
	struct leaf *next;
	struct series_set *set;
	struct sample_column samples;
	bool skips_buckets;
	bool is_part; /* Only 'left' more series are walked, and it stays open then. */
	size_t left;
};

/* A hash table whose memory is charged; freed with the evaluation. */
struct table {
	struct map map;
	size_t charged_bytes;
	struct table *next;
};

/* Prepares an evaluation's memory, paid for by 'budget' or, if NULL, by one of its own; nothing
 * else is filled in. */
void eval_init(struct eval *ev, struct engine *engine, struct budget *budget);
/* Closes and frees everything. */
void eval_deinit(struct eval *ev);

/* Opens the series of 'expr', a vector. The grid must live as long as the evaluation. */
MUST_USE int eval_stream(
	struct eval *ev, struct expr *expr, const struct grid *grid, struct stream **out);
/* One way of doing so. */
typedef int eval_open_fn(
	struct eval *ev, struct expr *expr, const struct grid *grid, struct stream **out);
/* The value of 'expr', a scalar, at each step. */
MUST_USE int eval_scalar(struct eval *ev, struct expr *expr, const struct grid *grid, double **out);

/* Whether the value of 'expr' is the same at any time; then one step is enough. */
bool expr_is_invariant(struct expr *expr);

/* Zeroed memory of the evaluation; NULL with ERR_LIMIT in ev->err when the budget is spent. */
void *eval_alloc(struct eval *ev, size_t count, size_t size);
#define EVAL_NEW(ev, type, count) ((type *)eval_alloc((ev), (count), sizeof(type)))
/* NULL when the budget is spent, as above. */
struct table *eval_table_new(struct eval *ev);
MUST_USE int eval_table_add(struct eval *ev, struct table *table, uint64_t hash, uint64_t value);
MUST_USE int eval_column_build(struct eval *ev, size_t step_count, struct column *out);
/* A column of histograms, with no value at any step. */
MUST_USE int eval_histograms_build(struct eval *ev, size_t step_count, struct column *out);
/* A copy to be changed; NULL when the budget is spent. */
struct histogram *eval_histogram_copy(struct eval *ev, const struct histogram *histogram);
/* A one-step grid at 'grid's first step. NULL when the budget is spent. */
const struct grid *eval_grid_first(struct eval *ev, const struct grid *grid);

/* Looks at the clock and the cancel flag. */
MUST_USE int eval_check(struct eval *ev);

/* Sorts 'count' items of 'size' bytes in place and stops when it is to; as sort_items. */
MUST_USE int eval_sort(struct eval *ev, void *items, size_t count, size_t size,
	int (*cmp)(const void *a, const void *b, void *context), void *context);

/* Counts 'amount' samples or steps of work. Returns 0, ERR_TIMEOUT or ERR_CANCELED. */
static inline int eval_work(struct eval *ev, uint64_t amount) {
	ev->work += amount + EVAL_WORK_EACH;
	return ev->work < EVAL_WORK_MAX ? 0 : eval_check(ev);
}

/* Counts samples held from now on. Returns 0, or ERR_LIMIT with Prometheus' sentence. */
MUST_USE int eval_hold(struct eval *ev, uint64_t samples);

static inline void eval_drop(struct eval *ev, uint64_t samples) {
	ev->samples_held -= samples;
}

/* Counts samples that a step used. */
static inline void eval_count(struct eval *ev, uint64_t samples) {
	ev->samples_read += samples * ev->samples_weight;
}

/* The failure of two series at the same step that only differ in what an operation removes. */
int eval_fail_same_labels(struct eval *ev);

/* Starts a walk over what 'selector' selects between two times, both included. */
MUST_USE int leaf_open(struct eval *ev, const struct selector *selector, int64_t min_ms,
	int64_t max_ms, struct leaf **out);
/* Moves to the next series and reads it. Returns 1 with leaf->samples, 0 at the end, or an error.
 */
MUST_USE int leaf_next(struct eval *ev, struct leaf *leaf);
/* Fine if it is closed. */
void leaf_close(struct eval *ev, struct leaf *leaf);

/*
 * Takes __name__, __type__ and __unit__ away, as functions and arithmetic do. With delayed removal
 * only marks the column.
 */
void column_drop_name(struct eval *ev, struct column *column);
/* The set without those three. */
struct labels labels_drop_name(struct eval *ev, const struct labels *set);

/* The number of steps that have a value. */
size_t present_count(const uint64_t *present, size_t step_count);
bool present_any(const uint64_t *present, size_t step_count);
bool present_overlap(const uint64_t *a, const uint64_t *b, size_t step_count);
/* Sets the bits of all 'step_count' steps. */
void present_fill(uint64_t *present, size_t step_count);

static inline bool present_get(const uint64_t *present, size_t index) {
	return (present[index / 64] >> (index % 64)) & 1U;
}

static inline void present_set(uint64_t *present, size_t index) {
	present[index / 64] |= UINT64_C(1) << (index % 64);
}

static inline void present_clear(uint64_t *present, size_t index) {
	present[index / 64] &= ~(UINT64_C(1) << (index % 64));
}

/* The first step at or after 'from' that has a value, or 'step_count'. */
size_t present_seek(const uint64_t *present, size_t step_count, size_t from);

static inline size_t present_next(const uint64_t *present, size_t step_count, size_t from) {
	return from < step_count && present_get(present, from)
		       ? from
		       : present_seek(present, step_count, from);
}

/* Walks the steps that have a value: for (PRESENT_EACH(bitmap, count, i)) { ... i ... } */
#define PRESENT_EACH(present, step_count, i)                                                       \
	size_t i = present_next((present), (step_count), 0);                                       \
	i < (step_count);                                                                          \
	i = present_next((present), (step_count), i + 1)

#endif
