/*
 * Which parts of a tree a cluster can answer alone.
 */
#ifndef HUB_LOCAL_H
#define HUB_LOCAL_H

#include "hub/plan.h"

enum reach {
	REACH_NONE,   /* No data is read below: the same everywhere. */
	REACH_LOCAL,  /* Each series comes from one cluster and keeps its label. */
	REACH_GLOBAL, /* Series of several clusters meet. */
};

/* Judges 'expr'. For REACH_LOCAL, 'routes' (one per cluster) are the clusters that can have series.
 */
enum reach local_reach(const struct expr *expr, const struct plan_options *options, bool *routes);

/* Whether grouping keeps the cluster's label. */
bool local_grouping_keeps(const struct expr *aggregate, struct str cluster_label);

/*
 * Appends a local 'expr' as the PromQL that a cluster evaluates: without the cluster label in
 * matchers and where it stands for itself in groupings and match lists, durations as literals. A
 * label of that name which a cluster stores is left out of everything: the hub's replaces it.
 */
void local_print(
	struct expr_tree *tree, const struct expr *expr, struct str cluster_label, struct buf *out);

#endif
