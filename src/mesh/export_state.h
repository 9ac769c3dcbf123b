/*
 * What a gateway remembers of an export across reloads of its configuration: how much is under way,
 * and its metrics. Counted by the requests that use it. Owned by one loop.
 */
#ifndef MESH_EXPORT_STATE_H
#define MESH_EXPORT_STATE_H

#include "base/metric.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

struct export_metrics {
	struct metric_family *requests;       /* export, code */
	struct metric_family *in_flight;      /* export */
	struct metric_family *upstream_bytes; /* export */
	struct metric_family *sent_bytes;     /* export */
	struct metric_family *duration;       /* export */
};

struct export_state {
	struct export_state *next;
	const struct export_metrics *families;
	char *name;
	bool is_listed; /* Stands in the configuration now. */
	uint64_t in_flight;
	struct metric *gauge;
	struct metric *upstream_bytes;
	struct metric *sent_bytes;
	struct metric *duration;
};

/* Declares the families in a registry. */
void export_metrics_init(struct export_metrics *families, struct metric_registry *metrics);

/* The state of that name in the list, made if need be. */
struct export_state *export_states_get(
	struct export_state **list, const struct export_metrics *families, struct str name);
/* Frees states, and their metrics, that are neither listed nor in use. */
void export_states_sweep(struct export_state **list);

/* A request begins. */
void export_state_begin(struct export_state *state);
/* A request ended with this HTTP status (0: the client went away) after so long. */
void export_state_end(struct export_state *state, int status, int64_t duration_ns);

#endif
