/*
 * The Prometheus HTTP API v1 over a source: the same for a monitor and a hub.
 *
 * Handlers run on the server's loop, read the parameters and hand the work to the query pool;
 * answers come back by loop_post. A client that goes away cancels its query. Shapes, error types,
 * codes and texts are Prometheus'.
 */
#ifndef API_API_H
#define API_API_H

#include "base/metric.h"
#include "base/pool.h"
#include "base/time.h"
#include "codec/json_writer.h"
#include "http/router.h"
#include "source/source.h"

/* What /api/v1/status/runtimeinfo tells. */
struct api_runtime {
	int64_t start_ms;
	bool reload_success;
	int64_t last_config_ms;
	uint64_t corruption_count;
	int64_t retention_ms; /* 0: there is no storage. */
};

struct api_options {
	struct source *source; /* Borrowed, as all below. */
	struct engine *engine; /* Whose budgets pay for answers; NULL: nobody's. */
	struct pool *pool;     /* THREAD_QUERY workers; its size is --query.max-concurrency. */
	struct clock *clock;
	struct metric_registry *metrics;
	int64_t query_timeout_ms; /* --query.timeout */
	/* What format_query and parse_query understand: what the source's engine does. */
	struct parse_options parse;
	bool per_step_stats;     /* stats=all gives those of each step. */
	const char *cors_origin; /* --web.cors.origin: a regex, anchored; NULL: no CORS headers. */
	/* Writers of status documents, called on the loop; NULL: that endpoint is 404. */
	void (*config)(void *context, struct buf *yaml);
	void (*flags)(void *context, struct json_writer *members);
	void (*runtime)(void *context, struct api_runtime *out);
	void *context;
};

struct api;

/* Returns 0, or ERR_INVAL for a malformed cors_origin. */
MUST_USE int api_new(const struct api_options *options, struct api **out, struct err *err);
/* The server must be closed and the pool drained before. */
void api_free(struct api *api);
/* Adds the routes: /api/v1/..., /-/healthy, /-/ready, /metrics. */
void api_register(struct api *api, struct router *router);
/*
 * Answers a request without HTTP, on the calling thread: 'path' as "/api/v1/query", 'form' its
 * encoded parameters. Appends the JSON to 'body' and returns the HTTP status; 404 for a path that
 * is not about queries, series or labels.
 */
int api_call(struct api *api, struct str path, struct str form, struct buf *body);
/* Any thread. Until then the API answers 503 "Service Unavailable", as after "stopping". */
void api_set_ready(struct api *api, bool is_ready);

#endif
