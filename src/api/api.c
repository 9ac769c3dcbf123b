#include "api/api.h"

#include "api/job.h"
#include "api/render.h"
#include "base/memory.h"

#include <stdlib.h>

void api_answer_error(struct exchange *exchange, const struct err *err) {
	struct buf body = { 0 };
	int status = render_error(&body, err);

	exchange_respond_buf(exchange, status, STR("application/json"), &body);
}

void api_put_cors(struct api *api, struct exchange *exchange) {
	struct str origin = http_headers_get(&exchange_request(exchange)->headers, STR("origin"));

	/* The answer differs by both, whether they were sent or not: caches must know. */
	exchange_header(exchange, STR("vary"), STR("Origin, Accept, Accept-Encoding"));
	if (!api->origin || origin.len == 0) {
		return;
	}
	exchange_header(exchange, STR("access-control-allow-headers"),
		STR("Accept, Authorization, Content-Type, Origin"));
	exchange_header(exchange, STR("access-control-allow-methods"), STR("GET, POST, OPTIONS"));
	exchange_header(exchange, STR("access-control-expose-headers"), STR("Date"));
	if (regex_matches_all(api->origin)) {
		exchange_header(exchange, STR("access-control-allow-origin"), STR("*"));
	} else if (regex_match(api->origin, origin)) {
		exchange_header(exchange, STR("access-control-allow-origin"), origin);
	}
}

bool api_check_ready(struct api *api, struct exchange *exchange) {
	/* Relaxed: flags on their own, nothing is published with them. */
	if (atomic_load_explicit(&api->is_ready, memory_order_relaxed)) {
		api_put_cors(api, exchange);
		return true;
	}
	bool is_stopping = atomic_load_explicit(&api->was_ready, memory_order_relaxed);

	exchange_header(
		exchange, STR("x-prometheus-stopping"), is_stopping ? STR("true") : STR("false"));
	exchange_respond_text(exchange, 503, "Service Unavailable");
	return false;
}

static void handle_options(void *context, struct exchange *exchange, struct str param) {
	(void)param;
	api_put_cors(context, exchange);
	exchange_respond(exchange, 204, STR_EMPTY, STR_EMPTY);
}

void api_add_route(struct api *api, struct router *router, const char *methods, const char *path,
	route_fn *run) {
	router_add(router, methods, path, run, api);
	router_add(router, "OPTIONS", path, handle_options, api);
}

int api_new(const struct api_options *options, struct api **out, struct err *err) {
	static const char *const labels[] = { "handler", NULL };
	static const double bounds[] = { 0.001, 0.005, 0.02, 0.1, 0.5, 2, 10, 60 };
	struct regex *origin = NULL;

	if (options->cors_origin) {
		int rc = regex_new(str_of(options->cors_origin), &origin, err);
		if (rc < 0) {
			return err_wrap(err, rc, "--web.cors.origin");
		}
	}
	struct api *api = MEMORY_NEW(struct api, 1);
	api->options = *options;
	api->origin = origin;
	api->durations =
		metric_declare_histogram(options->metrics, "atoll_api_request_duration_seconds",
			"From a request's arrival to its answer being ready to send.", labels,
			bounds, ARRAY_COUNT(bounds));
	api->under_way = metric_single(metric_declare(options->metrics, METRIC_GAUGE,
		"atoll_api_requests_under_way", "Requests that wait for a thread or run.", NULL));
	*out = api;
	return 0;
}

void api_free(struct api *api) {
	if (api) {
		regex_free(api->origin);
		free(api);
	}
}

void api_set_ready(struct api *api, bool is_ready) {
	if (is_ready) {
		atomic_store_explicit(&api->was_ready, true, memory_order_relaxed);
	}
	atomic_store_explicit(&api->is_ready, is_ready, memory_order_relaxed);
}

void api_register(struct api *api, struct router *router) {
	api_register_queries(api, router);
	api_register_status(api, router);
}
