/*
 * What the hub's parts share: its options, what it remembers of each cluster, and asking many at
 * once.
 *
 * Any query thread. What is remembered is guarded by the hub's lock.
 */
#ifndef HUB_STATE_H
#define HUB_STATE_H

#include "base/thread.h"
#include "hub/hub.h"

/* Most clusters that figures are kept for. */
#define HUB_CLUSTERS_MAX 10000

/* Figures of one cluster, kept as long as the hub runs. */
struct hub_figures {
	struct hub_figures *next;
	char *cluster;
	uint64_t queries;
	uint64_t errors;
	uint64_t last_bytes; /* Of the last answer. */
	int64_t last_duration_ns;
	int64_t last_series;
	int64_t last_at_ms; /* 0: none yet. */
	double head_series; /* NaN: unknown. */
	int64_t head_series_at_ms;
};

struct hub {
	struct source source;
	struct hub_options options;
	struct str label; /* options.cluster_label */
	struct lock lock;
	struct hub_figures *figures GUARDED;
	size_t figure_count GUARDED;
	bool is_refreshing GUARDED;
	struct metric_family *fragments_total; /* By cluster and outcome. */
	struct metric_family *wait_seconds;
};

/* One request to one cluster, and its outcome. */
struct hub_fetch {
	struct hub_cluster cluster;
	struct str path;
	struct str form;
	bool is_get;
	struct hub_call *call; /* While under way. */
	int rc;                /* 0, or why there is no answer, with the sentence in 'err'. */
	struct err err;
	struct hub_response response;
};

/*
 * Asks all at once, each at most until the hub's cluster time-out or the control's deadline. Every
 * one has to be waited for.
 */
void hub_fetch_start(
	struct hub *hub, struct hub_fetch *fetches, size_t count, struct query_control *control);
/* Waits for one: it has an outcome on return, with the body in 'arena'. A cluster that is down
 * fails at once. */
void hub_fetch_wait(struct hub *hub, struct hub_fetch *fetch, struct arena *arena);
/* Asks all at once and waits for all, with the bodies in 'arena'. */
void hub_fetch_all(struct hub *hub, struct hub_fetch *fetches, size_t count,
	struct query_control *control, struct arena *arena);

/* What the clusters' answers to one request may take: the budget of a query. */
struct hub_charge {
	struct arena *arena;
	struct budget budget;
	bool is_ours; /* The arena had no budget before. */
};

/* Charges what 'arena' takes from here on; and ends that. Results stay in the arena, uncharged. */
void hub_charge_init(struct hub *hub, struct arena *arena, struct hub_charge *charge);
void hub_charge_deinit(struct hub_charge *charge);

/* How long a cluster may take now: the cluster time-out, or what is left of the query's. */
int64_t hub_time_left_ms(const struct hub *hub, const struct query_control *control);

/* Remembers what an answer was: for the cluster's card, and the metrics. 'series' < 0: no query. */
void hub_note_answer(struct hub *hub, const struct hub_fetch *fetch, int64_t series);

/* Adds the warning that a cluster is missing from an answer. */
void hub_warn_missing(
	const struct hub_fetch *fetch, struct arena *arena, struct annotations *notes);

/* The selector's matchers without those on the cluster label, if 'cluster' satisfies those. */
bool hub_route_selector(const struct hub *hub, const struct selector *selector, struct str cluster);
/* Appends the selector as PromQL without its matchers on the cluster label: {a="b",...}. */
void hub_print_routed(const struct hub *hub, const struct selector *selector, struct buf *out);

/* The figures of a cluster, made when new; NULL past HUB_CLUSTERS_MAX. */
struct hub_figures *hub_figures_locked(struct hub *hub, struct str cluster) REQUIRES(hub->lock);

/* The source's calls, each in its own file: query.c, meta.c. */
int hub_query(struct source *source, const struct query_request *request, struct arena *arena,
	struct source_answer *answer, struct err *err);
int hub_series(struct source *source, const struct meta_request *request, struct arena *arena,
	struct labels_list *out, struct annotations *notes, struct err *err);
int hub_label_names(struct source *source, const struct meta_request *request, struct arena *arena,
	struct str_list *out, struct annotations *notes, struct err *err);
int hub_label_values(struct source *source, struct str name, const struct meta_request *request,
	struct arena *arena, struct str_list *out, struct annotations *notes, struct err *err);
int hub_document(struct source *source, struct str path, struct str args, struct buf *out,
	struct arena *arena, struct annotations *notes, struct err *err);

#endif
