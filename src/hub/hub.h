/*
 * The hub: one source over all linked clusters.
 *
 * It keeps no samples. A query is split into fragments (PromQL over the Prometheus API) that the
 * clusters evaluate, and what they answer is merged; see hub/plan.h for the rules. Calls of the
 * source block and run on query threads; the hub may be used from any of them at once.
 */
#ifndef HUB_HUB_H
#define HUB_HUB_H

#include "base/metric.h"
#include "base/pool.h"
#include "http/router.h"
#include "hub/transport.h"
#include "source/source.h"

struct hub_options {
	struct hub_transport *transport; /* Borrowed, as all below. */
	struct engine *engine;           /* Evaluates what is left of a query. */
	struct clock *clock;
	struct metric_registry *metrics;
	struct pool *pool;          /* For refreshing what /api/v1/atoll/clusters shows. */
	const char *cluster_label;  /* --hub.cluster-label, "cluster" */
	int64_t cluster_timeout_ms; /* --hub.cluster-timeout: how long one cluster may take. */
	uint64_t answer_bytes_max;  /* --hub.max-answer-bytes: decoded, from one cluster. */
	size_t fragments_max;       /* --hub.max-fragments: requests of one query. */
};

struct hub;

/* The options are copied; what they point to must outlive the hub. */
struct hub *hub_new(const struct hub_options *options);
/* No call may be under way. */
void hub_free(struct hub *hub);
/* The hub as the API sees it. */
struct source *hub_source(struct hub *hub);
/* Adds GET /api/v1/atoll/clusters. */
void hub_register(struct hub *hub, struct router *router);

#endif
