/*
 * The planner: splits a query into fragments that clusters evaluate and a rest for the hub.
 *
 * Series carry their cluster in a label that clusters themselves do not see. A subtree is *local*
 * when every series it gives comes from one cluster alone and keeps that label: it is sent whole
 * and the answers are put side by side. An aggregation that loses the label is computed in two
 * levels where that gives the same answer (sum, min, max, count, group, topk, bottomk,
 * count_values; avg as sum and count in one request). Everything else is computed here from the
 * answers to what stands below it. In doubt more is shipped; docs/hub.md has the table and the
 * reasons.
 *
 * Pure rewriting of a tree: no cluster is asked here. One thread.
 */
#ifndef HUB_PLAN_H
#define HUB_PLAN_H

#include "base/arena.h"
#include "promql/engine.h"

/* The label that tells the parts of a fragment's answer apart; never seen outside. */
#define PLAN_PART_LABEL "__atoll_part__"

/* A finished matrix that the rewritten tree reads: filled in by the executor before evaluation. */
struct plan_part {
	struct str tag; /* Its series have this PLAN_PART_LABEL; empty: the only part. */
	struct steps *steps;
	bool is_sum;        /* Its values are added up: see plan_options.sums_from_values. */
	bool is_of_average; /* That sum is then divided. */
};

/* One question to a set of clusters. */
struct plan_fragment {
	struct str query;
	struct grid grid;
	bool is_range;
	const bool *clusters; /* One for each cluster: whether it is asked. */
	struct plan_part parts[2];
	size_t part_count;
	struct plan_fragment *next;
};

struct plan {
	struct plan_fragment *fragments;
	size_t fragment_count;
	/* The whole query is x[5m]: the raw series of the only fragment are the answer. */
	bool is_raw;
};

struct plan_options {
	const struct str *clusters; /* Names, sorted. */
	size_t cluster_count;
	struct str cluster_label;
	/*
	 * Do not split sums and averages: shares of theirs overflowed or may, so that the result
	 * hangs on the order of adding.
	 */
	bool sums_from_values;
	struct arena *arena; /* Working memory; plan_build uses the tree's. */
};

/*
 * Rewrites 'tree' (parsed, and prepared by engine_prepare for 'params') in place. The plan lives in
 * the tree's arena. Returns 0, ERR_ABSENT for what cannot be done over clusters (naming it), or
 * ERR_LIMIT for a subquery with more steps than a range query may have.
 */
MUST_USE int plan_build(struct expr_tree *tree, const struct query_params *params,
	const struct plan_options *options, struct plan *out, struct err *err);

/* Appends the fragments, one a line, and what is left: for tests and people. */
void plan_dump(const struct plan *plan, const struct expr_tree *tree,
	const struct plan_options *options, struct buf *out);

#endif
