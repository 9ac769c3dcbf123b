/*
 * What stands behind an API: one cluster's engine and store, or a hub over thousands.
 *
 * The API, rules and tools call this and do not know which. All calls block and run on a query
 * thread (THREAD_QUERY), never on a loop. Results live in the arena given.
 */
#ifndef SOURCE_SOURCE_H
#define SOURCE_SOURCE_H

#include "base/arena.h"
#include "base/buf.h"
#include "label/labels.h"
#include "promql/engine.h"
#include "store/store.h"

struct query_request {
	struct str query;
	struct grid grid;
	int64_t end_ms; /* See query_params. */
	bool is_range;
	int64_t lookback_ms;   /* 0: the default. */
	size_t limit;          /* Most series in the answer; 0: all. */
	bool abort_on_partial; /* partial_response=abort: a missing cluster is an error. */
	bool explains;         /* The result has a plan, */
	bool counts_steps;     /* and what each step used: query_stats.step_samples. */
	struct query_control *control;
};

/* What one cluster gave to an answer. */
struct cluster_share {
	struct str cluster;
	uint64_t received_bytes; /* On the link, as received (compressed, TLS records not counted).
				  */
	uint64_t fragments;
	int64_t wait_ns;
	struct str error; /* Empty when it answered. */
};

struct source_answer {
	struct query_result result;
	struct cluster_share *shares; /* Empty for a single cluster. */
	size_t share_count;
};

struct meta_request {
	struct selector **selectors; /* Any may match; none: everything. */
	size_t selector_count;
	int64_t min_ms;
	int64_t max_ms;
	size_t limit; /* 0: all. */
	struct query_control *control;
};

struct labels_list {
	struct labels *items; /* Sorted by labels_cmp, no duplicates. */
	size_t count;
};

struct source;
struct source_ops {
	int (*query)(struct source *source, const struct query_request *request,
		struct arena *arena, struct source_answer *answer, struct err *err);
	int (*series)(struct source *source, const struct meta_request *request,
		struct arena *arena, struct labels_list *out, struct annotations *notes,
		struct err *err);
	int (*label_names)(struct source *source, const struct meta_request *request,
		struct arena *arena, struct str_list *out, struct annotations *notes,
		struct err *err);
	int (*label_values)(struct source *source, struct str name,
		const struct meta_request *request, struct arena *arena, struct str_list *out,
		struct annotations *notes, struct err *err);
	/*
	 * JSON documents as the API's "data": 'path' is "metadata" or "targets", 'args' the
	 * request's query string. Appends to 'out'.
	 */
	int (*document)(struct source *source, struct str path, struct str args, struct buf *out,
		struct arena *arena, struct annotations *notes, struct err *err);
};

struct source {
	const struct source_ops *ops;
};

#endif
