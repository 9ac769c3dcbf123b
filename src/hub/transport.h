/*
 * How the hub reaches clusters: over links; in tests, over engines in the same process.
 *
 * Any query thread.
 */
#ifndef HUB_TRANSPORT_H
#define HUB_TRANSPORT_H

#include "base/arena.h"
#include "base/err.h"
#include "mesh/link.h"

#include <stdatomic.h>

/* A cluster that has, or should have, a Prometheus to ask. */
struct hub_cluster {
	struct str name;
	struct str export_name; /* Which of its exports to ask. */
	struct str down;        /* Why it cannot be asked now; empty when it can. */
};

struct hub_request {
	struct str cluster;
	struct str export_name;
	struct str path; /* "/api/v1/query" */
	struct str
		form; /* Encoded parameters, sent as a form by POST, or in the URL if 'is_get'. */
	bool is_get;
	int64_t timeout_ms;
	size_t body_bytes_max;
	const _Atomic bool *canceled; /* May be NULL. */
};

struct hub_response {
	int status;
	struct str body; /* In the arena. */
	uint64_t received_bytes;
	int64_t duration_ns;
};

struct hub_call; /* The transport's. */
struct hub_transport;

struct hub_transport_ops {
	/* All clusters, sorted by name, in 'arena'. */
	void (*clusters)(struct hub_transport *transport, struct arena *arena,
		struct hub_cluster **out, size_t *count);
	/* Starts a request; never fails at once. Everything in it is copied. */
	struct hub_call *(*start)(
		struct hub_transport *transport, const struct hub_request *request);
	/* Waits for it and frees it; outcomes as link_call_wait. */
	int (*wait)(struct hub_transport *transport, struct hub_call *call, struct arena *arena,
		struct hub_response *response, struct err *err);
	/* Fills in what /api/v1/atoll/clusters shows of links; NULL: it has none. */
	void (*links)(struct hub_transport *transport, struct arena *arena,
		struct link_status **out, size_t *count);
};

struct hub_transport {
	const struct hub_transport_ops *ops;
};

/* Over links: the first export of kind "prometheus" of each cluster is asked. */
struct link_transport {
	struct hub_transport transport;
	struct links *links; /* Borrowed. */
};

/* Fills in 'transport'; nothing needs undoing. */
void link_transport_init(struct link_transport *transport, struct links *links);

#endif
