#include "api/api.h"

#include "api/params.h"
#include "api/render.h"
#include "base/check.h"
#include "base/memory.h"
#include "codec/compress.h"
#include "io/system.h"
#include "label/regex.h"
#include "promql/duration.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

/* What clients see as the version: they choose features by it. Ours is in a field of its own. */
#define PROMETHEUS_VERSION "3.14.0"
/* Smaller answers go out as they are. */
#define COMPRESS_MIN_BYTES 1024
#define COMPRESS_LEVEL 1

struct api {
	struct api_options options;
	struct regex *origin; /* NULL: no CORS. */
	_Atomic bool is_ready;
	struct metric_family *durations;
};

struct job;
/* Runs on a query thread: appends the whole answer to job->body and sets job->status. */
typedef void job_fn(struct job *job);

struct job {
	struct api *api;
	struct exchange *exchange; /* Touched on the loop only. */
	struct loop *loop;
	job_fn *run;
	struct uri_params params;
	struct str param; /* From the path. */
	struct str query; /* The URL's query string, for documents. */
	struct arena arena;
	struct query_control control;
	int64_t began_ns;
	enum compression compression;
	int status;
	struct buf body;
};

/* The answer to a request that failed before it became a job. */
static void answer_error(struct exchange *exchange, const struct err *err) {
	AUTO(buf_deinit) struct buf body = { 0 };
	int status = render_error(&body, err);
	exchange_respond(exchange, status, STR("application/json"), buf_str(&body));
}

static void put_cors(struct api *api, struct exchange *exchange) {
	struct str origin = http_headers_get(&exchange_request(exchange)->headers, STR("origin"));
	if (!api->origin || origin.len == 0) {
		return;
	}
	exchange_header(exchange, STR("vary"), STR("Origin"));
	if (!regex_match(api->origin, origin)) {
		return;
	}
	bool is_any = regex_matches_all(api->origin);
	exchange_header(exchange, STR("access-control-allow-origin"), is_any ? STR("*") : origin);
	exchange_header(exchange, STR("access-control-allow-methods"), STR("GET, POST, OPTIONS"));
	exchange_header(exchange, STR("access-control-allow-headers"),
		STR("Accept, Authorization, Content-Type, Origin"));
	exchange_header(exchange, STR("access-control-expose-headers"), STR("Date"));
}

/* Whether the API may be used now; if not, it has been answered. */
static bool check_ready(struct api *api, struct exchange *exchange) {
	/* Relaxed: a flag on its own, nothing is published with it. */
	if (atomic_load_explicit(&api->is_ready, memory_order_relaxed)) {
		put_cors(api, exchange);
		return true;
	}
	exchange_respond_text(exchange, 503, "Service Unavailable");
	return false;
}

static void job_free(struct job *job) {
	buf_deinit(&job->body);
	arena_deinit(&job->arena);
	free(job);
}

/* Back on the loop. */
static void job_done(void *context) {
	struct job *job = context;
	exchange_header(job->exchange, STR("vary"), STR("Accept-Encoding"));
	if (job->compression != COMPRESSION_NONE) {
		exchange_header(job->exchange, STR("content-encoding"),
			str_of(compression_name(job->compression)));
	}
	exchange_respond_buf(job->exchange, job->status, STR("application/json"), &job->body);
	job_free(job);
}

static void job_compress(struct job *job) {
	if (job->compression == COMPRESSION_NONE || job->body.len < COMPRESS_MIN_BYTES) {
		job->compression = COMPRESSION_NONE;
		return;
	}
	struct buf packed = { 0 };
	compress_body(job->compression, COMPRESS_LEVEL, buf_str(&job->body), &packed);
	buf_deinit(&job->body);
	job->body = packed;
}

static void job_run(void *context) {
	struct job *job = context;
	job->run(job);
	job_compress(job);
	double seconds =
		(double)(clock_mono_ns(job->api->options.clock) - job->began_ns) / (double)NS_PER_S;
	metric_observe(metric_single(job->api->durations), seconds);
	/* Jobs under way are bounded by the pool's queue, far below LOOP_POST_MAX. */
	CHECK(loop_post(job->loop, job_done, job));
}

static void job_cancel(void *context) {
	struct job *job = context;
	/* Relaxed: the query looks at it now and then, nothing is published with it. */
	atomic_store_explicit(&job->control.canceled, true, memory_order_relaxed);
}

/* Reads the parameters and hands the request to the pool. */
static void job_start(struct api *api, struct exchange *exchange, struct str param, job_fn *run) {
	if (!check_ready(api, exchange)) {
		return;
	}
	struct uri_params params = { 0 };
	struct err err = { 0 };
	if (params_collect(exchange, &params, &err) < 0) {
		answer_error(exchange, &err);
		return;
	}
	const struct http_request *request = exchange_request(exchange);
	struct job *job = MEMORY_NEW(struct job, 1);
	job->api = api;
	job->exchange = exchange;
	job->loop = exchange_loop(exchange);
	job->run = run;
	job->params = params;
	job->param = param;
	job->query = request->query;
	job->began_ns = clock_mono_ns(api->options.clock);
	job->status = 200;
	job->compression = compression_negotiate(
		http_headers_get(&request->headers, STR("accept-encoding")), true);
	exchange_on_abort(exchange, job_cancel, job);
	if (!pool_submit(api->options.pool, job_run, job)) {
		(void)err_set(&err, ERR_CLOSED,
			"too many queries are waiting; raise --query.max-concurrency or ask less");
		exchange_on_abort(exchange, NULL, NULL);
		answer_error(exchange, &err);
		job_free(job);
	}
}

static void job_fail(struct job *job, const struct err *err) {
	buf_reset(&job->body);
	job->status = render_error(&job->body, err);
}

static void set_deadline(struct job *job, int64_t timeout_ms) {
	job->control.deadline_ns = job->began_ns + timeout_ms * NS_PER_MS;
}

static void evaluate(struct job *job, struct query_request *request, int64_t timeout_ms) {
	struct source *source = job->api->options.source;
	struct source_answer answer = { 0 };
	struct err err = { 0 };
	struct str stats = uri_params_get(&job->params, STR("stats"), NULL);
	set_deadline(job, timeout_ms);
	request->control = &job->control;
	if (source->ops->query(source, request, &job->arena, &answer, &err) < 0) {
		if (err.code == ERR_INVAL) {
			(void)err_wrap(&err, ERR_INVAL, "invalid parameter \"query\"");
		}
		job_fail(job, &err);
		return;
	}
	struct json_writer json;
	json_writer_init(&json, &job->body);
	render_begin(&json);
	bool truncated = render_result(&json, &answer, request, stats.len > 0);
	render_end(&json, &answer.result.notes, truncated);
}

static void run_query(struct job *job) {
	struct query_request request = { 0 };
	struct err err = { 0 };
	int64_t timeout_ms = job->api->options.query_timeout_ms;
	int64_t now_ms = clock_now_ms(job->api->options.clock);
	if (params_instant(&job->params, now_ms, &request, &timeout_ms, &err) < 0) {
		job_fail(job, &err);
		return;
	}
	evaluate(job, &request, timeout_ms);
}

static void run_query_range(struct job *job) {
	struct query_request request = { 0 };
	struct err err = { 0 };
	int64_t timeout_ms = job->api->options.query_timeout_ms;
	if (params_range(&job->params, &request, &timeout_ms, &err) < 0) {
		job_fail(job, &err);
		return;
	}
	evaluate(job, &request, timeout_ms);
}

/* What run_meta asks for; returns whether the limit left something out. */
typedef int meta_fn(struct job *job, const struct meta_request *request, struct json_writer *json,
	struct annotations *notes, bool *truncated, struct err *err);

static void run_meta(struct job *job, bool needs_match, meta_fn *ask) {
	size_t count = params_count(&job->params, STR("match[]"));
	struct expr_tree *trees = MEMORY_NEW(struct expr_tree, count + 1);
	struct meta_request request = { .control = &job->control };
	struct annotations notes = { 0 };
	struct json_writer json;
	struct err err = { 0 };
	bool truncated = false;
	int rc = params_meta(&job->params, trees, &job->arena, &request, &err);
	if (rc == 0 && needs_match && count == 0) {
		rc = err_set(&err, ERR_INVAL, "no match[] parameter provided");
	}
	if (rc == 0) {
		set_deadline(job, job->api->options.query_timeout_ms);
		json_writer_init(&json, &job->body);
		render_begin(&json);
		rc = ask(job, &request, &json, &notes, &truncated, &err);
	}
	if (rc < 0) {
		job_fail(job, &err);
	} else {
		render_end(&json, &notes, truncated);
	}
	for (size_t i = 0; i < count; i++) {
		expr_tree_deinit(&trees[i]);
	}
	free(trees);
}

static int ask_series(struct job *job, const struct meta_request *request, struct json_writer *json,
	struct annotations *notes, bool *truncated, struct err *err) {
	struct source *source = job->api->options.source;
	struct labels_list list = { 0 };
	int rc = source->ops->series(source, request, &job->arena, &list, notes, err);
	if (rc == 0) {
		*truncated = render_series(json, &list, request->limit);
	}
	return rc;
}

static int ask_labels(struct job *job, const struct meta_request *request, struct json_writer *json,
	struct annotations *notes, bool *truncated, struct err *err) {
	struct source *source = job->api->options.source;
	struct str_list list = { 0 };
	int rc = source->ops->label_names(source, request, &job->arena, &list, notes, err);
	if (rc == 0) {
		*truncated = render_strings(json, &list, request->limit);
	}
	return rc;
}

static int ask_values(struct job *job, const struct meta_request *request, struct json_writer *json,
	struct annotations *notes, bool *truncated, struct err *err) {
	struct source *source = job->api->options.source;
	struct str_list list = { 0 };
	struct str name = param_unescape_name(&job->arena, job->param);
	if (name.len == 0 || !str_is_utf8(name)) {
		return err_set(err, ERR_INVAL, "invalid label name: \"%.*s\"", STR_ARG(name));
	}
	int rc = source->ops->label_values(source, name, request, &job->arena, &list, notes, err);
	if (rc == 0) {
		*truncated = render_strings(json, &list, request->limit);
	}
	return rc;
}

static void run_series(struct job *job) {
	run_meta(job, true, ask_series);
}

static void run_labels(struct job *job) {
	run_meta(job, false, ask_labels);
}

static void run_values(struct job *job) {
	run_meta(job, false, ask_values);
}

static void run_document(struct job *job) {
	struct source *source = job->api->options.source;
	struct annotations notes = { 0 };
	struct json_writer json;
	struct err err = { 0 };
	AUTO(buf_deinit) struct buf data = { 0 };
	set_deadline(job, job->api->options.query_timeout_ms);
	if (source->ops->document(
		    source, job->param, job->query, &data, &job->arena, &notes, &err) < 0) {
		job_fail(job, &err);
		return;
	}
	json_writer_init(&json, &job->body);
	render_begin(&json);
	json_put_raw(&json, buf_str(&data));
	render_end(&json, &notes, false);
}

static void handle_query(void *context, struct exchange *exchange, struct str param) {
	job_start(context, exchange, param, run_query);
}

static void handle_query_range(void *context, struct exchange *exchange, struct str param) {
	job_start(context, exchange, param, run_query_range);
}

static void handle_series(void *context, struct exchange *exchange, struct str param) {
	job_start(context, exchange, param, run_series);
}

static void handle_labels(void *context, struct exchange *exchange, struct str param) {
	job_start(context, exchange, param, run_labels);
}

static void handle_values(void *context, struct exchange *exchange, struct str param) {
	job_start(context, exchange, param, run_values);
}

static void handle_metadata(void *context, struct exchange *exchange, struct str param) {
	(void)param;
	job_start(context, exchange, STR("metadata"), run_document);
}

static void handle_targets(void *context, struct exchange *exchange, struct str param) {
	(void)param;
	job_start(context, exchange, STR("targets"), run_document);
}

/* Answers with a JSON text as the data. */
static void answer_data(struct api *api, struct exchange *exchange, struct str data) {
	AUTO(buf_deinit) struct buf body = { 0 };
	struct json_writer json;
	const struct annotations none = { 0 };
	if (!check_ready(api, exchange)) {
		return;
	}
	json_writer_init(&json, &body);
	render_begin(&json);
	json_put_raw(&json, data);
	render_end(&json, &none, false);
	exchange_respond(exchange, 200, STR("application/json"), buf_str(&body));
}

/* Nothing here evaluates rules or stores exemplars, so these sets are empty by nature. */
static void handle_rules(void *context, struct exchange *exchange, struct str param) {
	(void)param;
	answer_data(context, exchange, STR("{\"groups\":[]}"));
}

static void handle_alerts(void *context, struct exchange *exchange, struct str param) {
	(void)param;
	answer_data(context, exchange, STR("{\"alerts\":[]}"));
}

static void handle_exemplars(void *context, struct exchange *exchange, struct str param) {
	(void)param;
	answer_data(context, exchange, STR("[]"));
}

static void handle_buildinfo(void *context, struct exchange *exchange, struct str param) {
	(void)param;
	answer_data(context, exchange,
		STR("{\"version\":\"" PROMETHEUS_VERSION
		    "\",\"revision\":\"\",\"branch\":\"\",\"buildUser\":\"\",\"buildDate\":\"\","
		    "\"goVersion\":\"\",\"application\":\"atoll\",\"atollVersion\":\"" ATOLL_VERSION
		    "\"}"));
}

static void handle_config(void *context, struct exchange *exchange, struct str param) {
	struct api *api = context;
	AUTO(buf_deinit) struct buf yaml = { 0 };
	AUTO(buf_deinit) struct buf data = { 0 };
	struct json_writer json;
	(void)param;
	api->options.config(api->options.context, &yaml);
	json_writer_init(&json, &data);
	json_begin_object(&json);
	json_key(&json, STR("yaml"));
	json_put_str(&json, buf_str(&yaml));
	json_end_object(&json);
	answer_data(api, exchange, buf_str(&data));
}

static void handle_flags(void *context, struct exchange *exchange, struct str param) {
	struct api *api = context;
	AUTO(buf_deinit) struct buf data = { 0 };
	struct json_writer json;
	(void)param;
	json_writer_init(&json, &data);
	json_begin_object(&json);
	api->options.flags(api->options.context, &json);
	json_end_object(&json);
	answer_data(api, exchange, buf_str(&data));
}

static void put_time(struct json_writer *json, const char *key, int64_t ms) {
	AUTO(buf_deinit) struct buf text = { 0 };
	time_format_rfc3339(ms, &text);
	json_key(json, str_of(key));
	json_put_str(json, buf_str(&text));
}

static void put_text(struct json_writer *json, const char *key, const char *value) {
	json_key(json, str_of(key));
	json_put_text(json, value);
}

static void handle_runtimeinfo(void *context, struct exchange *exchange, struct str param) {
	struct api *api = context;
	struct api_runtime runtime = { 0 };
	AUTO(buf_deinit) struct buf data = { 0 };
	AUTO(buf_deinit) struct buf retention = { 0 };
	struct json_writer json;
	char text[256] = "";
	(void)param;
	api->options.runtime(api->options.context, &runtime);
	json_writer_init(&json, &data);
	json_begin_object(&json);
	put_time(&json, "startTime", runtime.start_ms);
	put_text(&json, "CWD", getcwd(text, sizeof(text)) ? text : "");
	system_hostname(text, sizeof(text));
	put_text(&json, "hostname", text);
	put_time(&json, "serverTime", clock_now_ms(api->options.clock));
	json_key(&json, STR("reloadConfigSuccess"));
	json_put_bool(&json, runtime.reload_success);
	put_time(&json, "lastConfigTime", runtime.last_config_ms);
	json_key(&json, STR("corruptionCount"));
	json_put_int(&json, (int64_t)runtime.corruption_count);
	json_key(&json, STR("goroutineCount"));
	json_put_int(&json, 0);
	json_key(&json, STR("GOMAXPROCS"));
	json_put_int(&json, (int64_t)system_cpu_count());
	json_key(&json, STR("GOMEMLIMIT"));
	json_put_int(&json, INT64_MAX);
	put_text(&json, "GOGC", "");
	put_text(&json, "GODEBUG", "");
	if (runtime.retention_ms > 0) {
		duration_format(runtime.retention_ms, &retention);
	}
	put_text(&json, "storageRetention", buf_text(&retention));
	json_end_object(&json);
	answer_data(api, exchange, buf_str(&data));
}

/* What no other route takes: CORS asks about any path; anything else is not there. */
static void handle_rest(void *context, struct exchange *exchange, struct str param) {
	(void)param;
	if (!str_equal(exchange_request(exchange)->method, STR("OPTIONS"))) {
		exchange_respond_text(exchange, 404, "404 page not found\n");
		return;
	}
	put_cors(context, exchange);
	exchange_respond(exchange, 204, STR_EMPTY, STR_EMPTY);
}

static void handle_healthy(void *context, struct exchange *exchange, struct str param) {
	(void)context;
	(void)param;
	exchange_respond_text(exchange, 200, "Prometheus Server is Healthy.\n");
}

static void handle_ready(void *context, struct exchange *exchange, struct str param) {
	struct api *api = context;
	(void)param;
	if (atomic_load_explicit(&api->is_ready, memory_order_relaxed)) {
		exchange_respond_text(exchange, 200, "Prometheus Server is Ready.\n");
		return;
	}
	exchange_header(exchange, STR("x-prometheus-stopping"), STR("false"));
	exchange_respond_text(exchange, 503, "Service Unavailable");
}

static void handle_metrics(void *context, struct exchange *exchange, struct str param) {
	struct api *api = context;
	AUTO(buf_deinit) struct buf text = { 0 };
	(void)param;
	metric_write(api->options.metrics, &text);
	exchange_respond(
		exchange, 200, STR("text/plain; version=0.0.4; charset=utf-8"), buf_str(&text));
}

int api_new(const struct api_options *options, struct api **out, struct err *err) {
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
	api->durations = metric_declare_histogram(options->metrics, "atoll_api_request_seconds",
		"Time from a request's arrival to its answer being ready.", NULL, bounds,
		ARRAY_COUNT(bounds));
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
	atomic_store_explicit(&api->is_ready, is_ready, memory_order_relaxed);
}

struct api_route {
	const char *methods;
	const char *path;
	route_fn *run;
};

void api_register(struct api *api, struct router *router) {
	static const struct api_route routes[] = {
		{ "GET,POST", "/api/v1/query", handle_query },
		{ "GET,POST", "/api/v1/query_range", handle_query_range },
		{ "GET,POST", "/api/v1/query_exemplars", handle_exemplars },
		{ "GET,POST", "/api/v1/series", handle_series },
		{ "GET,POST", "/api/v1/labels", handle_labels },
		{ "GET", "/api/v1/label/*/values", handle_values },
		{ "GET", "/api/v1/metadata", handle_metadata },
		{ "GET", "/api/v1/targets", handle_targets },
		{ "GET", "/api/v1/rules", handle_rules },
		{ "GET", "/api/v1/alerts", handle_alerts },
		{ "GET", "/api/v1/status/buildinfo", handle_buildinfo },
		{ "GET,POST,PUT,DELETE,OPTIONS", "/api/v1/*", handle_rest },
		{ "GET", "/-/healthy", handle_healthy },
		{ "GET", "/-/ready", handle_ready },
		{ "GET", "/metrics", handle_metrics },
	};
	for (size_t i = 0; i < ARRAY_COUNT(routes); i++) {
		router_add(router, routes[i].methods, routes[i].path, routes[i].run, api);
	}
	if (api->options.config) {
		router_add(router, "GET", "/api/v1/status/config", handle_config, api);
	}
	if (api->options.flags) {
		router_add(router, "GET", "/api/v1/status/flags", handle_flags, api);
	}
	if (api->options.runtime) {
		router_add(router, "GET", "/api/v1/status/runtimeinfo", handle_runtimeinfo, api);
	}
}
