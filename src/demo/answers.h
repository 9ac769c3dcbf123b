/*
 * What the hub answers, read for the demo.
 */
#ifndef DEMO_ANSWERS_H
#define DEMO_ANSWERS_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

#include <stddef.h>

/* How many targets of each cluster are up. */
#define ANSWERS_UP_QUERY "count by (cluster) (up == 1)"
#define ANSWERS_UP_PATH "/api/v1/query?query=count%20by%20(cluster)%20(up%20%3D%3D%201)&timeout=5s"
#define ANSWERS_CLUSTERS_PATH "/api/v1/atoll/clusters"

struct answer_up {
	struct str cluster;
	double count;
};

/* Reads the answer of ANSWERS_UP_PATH into 'arena'. Returns 0 or ERR_CORRUPT (also an error
 * answer). */
MUST_USE int answers_read_up(struct str body, struct arena *arena, struct answer_up **out,
	size_t *count, struct err *err);

/* A cluster as the hub sees it. */
struct answer_cluster {
	struct str cluster;
	struct str state;      /* "up", "connecting", "down" */
	struct str last_error; /* Why it is not up. */
	double series;         /* In its head; NaN: unknown. */
	bool has_answered;
	double last_bytes; /* Of its last answer, as received. */
	double last_ms;
};

/* Reads the answer of ANSWERS_CLUSTERS_PATH, likewise. */
MUST_USE int answers_read_clusters(struct str body, struct arena *arena,
	struct answer_cluster **out, size_t *count, struct err *err);

#endif
