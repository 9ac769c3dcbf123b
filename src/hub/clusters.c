/*
 * GET /api/v1/atoll/clusters: what the page and the demo show of each cluster.
 */
#include "hub/state.h"

#include "hub/decode.h"

#include <inttypes.h>
#include <math.h>

/* The number of series is asked again when it is older. */
#define HEAD_SERIES_AGE_MS 10000
#define HEAD_SERIES_BYTES_MAX ((size_t)64 * 1024)

static const char *state_text(enum link_state state) {
	switch (state) {
	case LINK_CONNECTING:
		return "connecting";
	case LINK_UP:
		return "up";
	case LINK_DOWN:
		return "down";
	}
	return "";
}

static void put_str(struct json_writer *json, const char *key, struct str value) {
	json_key(json, str_of(key));
	json_put_str(json, value);
}

static void put_int(struct json_writer *json, const char *key, int64_t value) {
	json_key(json, str_of(key));
	json_put_int(json, value);
}

static void put_double(struct json_writer *json, const char *key, double value) {
	json_key(json, str_of(key));
	json_put_double(json, value);
}

static void put_exports(struct json_writer *json, const struct link_status *link) {
	json_key(json, STR("exports"));
	json_begin_array(json);
	for (size_t i = 0; i < link->export_count; i++) {
		json_begin_object(json);
		put_str(json, "name", link->exports[i].name);
		put_str(json, "kind", link->exports[i].kind);
		json_end_object(json);
	}
	json_end_array(json);
}

static void put_figures(struct json_writer *json, const struct hub_figures *figures) {
	json_key(json, STR("lastAnswer"));
	if (figures->last_at_ms == 0) {
		json_put_null(json);
	} else {
		json_begin_object(json);
		put_int(json, "bytes", (int64_t)figures->last_bytes);
		put_double(
			json, "durationMs", (double)figures->last_duration_ns / (double)NS_PER_MS);
		put_int(json, "series", figures->last_series);
		put_int(json, "atMs", figures->last_at_ms);
		json_end_object(json);
	}
	put_int(json, "queries", (int64_t)figures->queries);
	put_int(json, "errors", (int64_t)figures->errors);
	put_double(json, "series", figures->head_series); /* Unknown is null. */
}

static void put_link(struct json_writer *json, const struct link_status *link,
	const struct hub_figures *figures) {
	json_begin_object(json);
	put_str(json, "cluster", link->cluster);
	put_str(json, "state", str_of(state_text(link->state)));
	put_str(json, "address", link->address);
	put_str(json, "identity", link->identity);
	put_str(json, "lastError", link->last_error);
	put_int(json, "sinceMs", link->since_ms);
	put_double(json, "rttMs", (double)link->rtt_ns / (double)NS_PER_MS);
	put_int(json, "receivedBytes", (int64_t)link->received_bytes);
	put_int(json, "sentBytes", (int64_t)link->sent_bytes);
	put_int(json, "certNotAfterMs", link->cert_not_after_ms);
	put_int(json, "ownCertNotAfterMs", link->own_cert_not_after_ms);
	put_exports(json, link);
	put_int(json, "catalogueAgeMs", link->catalogue_age_ms);
	put_figures(json, figures);
	json_end_object(json);
}

/* Reads the one value of max(prometheus_tsdb_head_series) at 'at_ms'; NaN when there is none. */
static double read_head_series(struct hub_fetch *fetch, int64_t at_ms, struct arena *arena) {
	struct query_result result = { 0 };
	const struct decode_options options = {
		.grid = { .start_ms = at_ms, .count = 1 },
		.bytes_max = HEAD_SERIES_BYTES_MAX,
	};
	if (fetch->rc == 0) {
		fetch->rc = decode_query(fetch->response.body, fetch->response.status, &options,
			arena, &result, &fetch->err);
	}
	bool is_known = fetch->rc == 0 && result.type == VALUE_VECTOR && result.steps.count == 1;
	return is_known ? result.steps.columns[0].values[0] : (double)NAN;
}

/* On a query thread: asks every cluster how many series it has. */
static void refresh(void *context) {
	struct hub *hub = context;
	struct arena arena = { 0 };
	struct hub_cluster *clusters = NULL;
	size_t count = 0;
	hub->options.transport->ops->clusters(hub->options.transport, &arena, &clusters, &count);
	struct hub_fetch *fetches = ARENA_NEW(&arena, struct hub_fetch, count + 1);
	int64_t now_ms = clock_now_ms(hub->options.clock);
	struct str form = arena_printf(&arena,
		"query=max(prometheus_tsdb_head_series)&time=%" PRId64 ".%03" PRId64,
		now_ms / MS_PER_S, now_ms % MS_PER_S);
	for (size_t i = 0; i < count; i++) {
		fetches[i] = (struct hub_fetch){
			.cluster = clusters[i], .path = STR("/api/v1/query"), .form = form
		};
	}
	hub_fetch_all(hub, fetches, count, NULL, &arena);
	for (size_t i = 0; i < count; i++) {
		double series = read_head_series(&fetches[i], now_ms, &arena);
		lock_take(&hub->lock);
		struct hub_figures *figures = hub_figures_locked(hub, fetches[i].cluster.name);
		if (figures) {
			figures->head_series = series;
			figures->head_series_at_ms = now_ms;
		}
		lock_drop(&hub->lock);
	}
	lock_take(&hub->lock);
	hub->is_refreshing = false;
	lock_drop(&hub->lock);
	arena_deinit(&arena);
}

/* A copy of a cluster's figures; says whether its number of series is old. */
static struct hub_figures copy_figures(struct hub *hub, struct str cluster, bool *is_old) {
	struct hub_figures copy = { .head_series = (double)NAN };
	lock_take(&hub->lock);
	const struct hub_figures *figures = hub_figures_locked(hub, cluster);
	if (figures) {
		copy = *figures;
	}
	lock_drop(&hub->lock);
	*is_old |= clock_now_ms(hub->options.clock) - copy.head_series_at_ms > HEAD_SERIES_AGE_MS;
	return copy;
}

static void start_refresh(struct hub *hub) {
	lock_take(&hub->lock);
	bool is_ours = !hub->is_refreshing;
	hub->is_refreshing = true;
	lock_drop(&hub->lock);
	if (is_ours && !pool_submit(hub->options.pool, refresh, hub)) {
		lock_take(&hub->lock);
		hub->is_refreshing = false;
		lock_drop(&hub->lock);
	}
}

static void handle_clusters(void *context, struct exchange *exchange, struct str param) {
	struct hub *hub = context;
	struct arena *arena = exchange_arena(exchange);
	AUTO(buf_deinit) struct buf body = { 0 };
	struct link_status *links = NULL;
	size_t count = 0;
	struct json_writer json;
	bool is_old = false;
	(void)param;
	hub->options.transport->ops->links(hub->options.transport, arena, &links, &count);
	json_writer_init(&json, &body);
	json_begin_object(&json);
	put_str(&json, "status", STR("success"));
	json_key(&json, STR("data"));
	json_begin_object(&json);
	json_key(&json, STR("clusters"));
	json_begin_array(&json);
	for (size_t i = 0; i < count; i++) {
		const struct hub_figures figures = copy_figures(hub, links[i].cluster, &is_old);
		put_link(&json, &links[i], &figures);
	}
	json_end_array(&json);
	json_end_object(&json);
	json_end_object(&json);
	if (is_old && count > 0) {
		start_refresh(hub);
	}
	exchange_respond(exchange, 200, STR("application/json"), buf_str(&body));
}

void hub_register(struct hub *hub, struct router *router) {
	if (hub->options.transport->ops->links) {
		router_add(router, "GET", "/api/v1/atoll/clusters", handle_clusters, hub);
	}
}
