/*
 * What a process tells about itself. Small documents, written on the loop.
 */
#include "api/job.h"
#include "api/render.h"
#include "io/system.h"
#include "promql/duration.h"

/* What clients see as the version: they choose features by it. Ours is in a field of its own. */
#define PROMETHEUS_VERSION "3.14.0"

/* Answers with what 'data' holds as the data. */
static void answer_data(struct api *api, struct exchange *exchange, const struct buf *data) {
	const struct annotations none = { 0 };
	struct buf body = { 0 };
	struct json_writer json;

	if (!api_check_ready(api, exchange)) {
		return;
	}
	json_writer_init(&json, &body);
	render_begin(&json);
	json_put_raw(&json, buf_str(data));
	render_end(&json, &none, false);
	exchange_respond_buf(exchange, 200, STR("application/json"), &body);
}

static void put_text(struct json_writer *json, const char *key, const char *value) {
	json_key(json, str_of(key));
	json_put_text(json, value);
}

static void put_int(struct json_writer *json, const char *key, uint64_t value) {
	json_key(json, str_of(key));
	json_put_int(json, value < INT64_MAX ? (int64_t)value : INT64_MAX);
}

static void put_time(struct json_writer *json, const char *key, int64_t ms) {
	AUTO(buf_deinit) struct buf text = { 0 };

	time_format_rfc3339(ms, &text);
	put_text(json, key, buf_text(&text));
}

static void handle_buildinfo(void *context, struct exchange *exchange, struct str param) {
	AUTO(buf_deinit) struct buf data = { 0 };
	struct json_writer json;

	(void)param;
	json_writer_init(&json, &data);
	json_begin_object(&json);
	put_text(&json, "version", PROMETHEUS_VERSION);
	put_text(&json, "revision", "");
	put_text(&json, "branch", "");
	put_text(&json, "buildUser", "");
	put_text(&json, "buildDate", "");
	put_text(&json, "goVersion", "");
	put_text(&json, "application", "atoll");
	put_text(&json, "atollVersion", ATOLL_VERSION);
	json_end_object(&json);
	answer_data(context, exchange, &data);
}

static void handle_config(void *context, struct exchange *exchange, struct str param) {
	AUTO(buf_deinit) struct buf yaml = { 0 };
	AUTO(buf_deinit) struct buf data = { 0 };
	struct api *api = context;
	struct json_writer json;

	(void)param;
	api->options.config(api->options.context, &yaml);
	json_writer_init(&json, &data);
	json_begin_object(&json);
	json_key(&json, STR("yaml"));
	json_put_str(&json, buf_str(&yaml));
	json_end_object(&json);
	answer_data(api, exchange, &data);
}

static void handle_flags(void *context, struct exchange *exchange, struct str param) {
	AUTO(buf_deinit) struct buf data = { 0 };
	struct api *api = context;
	struct json_writer json;

	(void)param;
	json_writer_init(&json, &data);
	json_begin_object(&json);
	api->options.flags(api->options.context, &json);
	json_end_object(&json);
	answer_data(api, exchange, &data);
}

/* Where Prometheus tells of Go's runtime we tell what comes nearest in ours: threads, processors,
 * the memory we may use. */
static void put_process(struct json_writer *json) {
	put_int(json, "goroutineCount", system_thread_count());
	put_int(json, "GOMAXPROCS", system_cpu_count());
	put_int(json, "GOMEMLIMIT", system_memory_bytes());
	put_text(json, "GOGC", "");
	put_text(json, "GODEBUG", "");
}

static void handle_runtimeinfo(void *context, struct exchange *exchange, struct str param) {
	AUTO(buf_deinit) struct buf retention = { 0 };
	AUTO(buf_deinit) struct buf data = { 0 };
	struct api_runtime runtime = { 0 };
	struct api *api = context;
	struct json_writer json;
	char text[4096];

	(void)param;
	api->options.runtime(api->options.context, &runtime);
	json_writer_init(&json, &data);
	json_begin_object(&json);
	put_time(&json, "startTime", runtime.start_ms);
	system_working_directory(text, sizeof(text));
	put_text(&json, "CWD", text);
	system_hostname(text, sizeof(text));
	put_text(&json, "hostname", text);
	put_time(&json, "serverTime", clock_now_ms(api->options.clock));
	json_key(&json, STR("reloadConfigSuccess"));
	json_put_bool(&json, runtime.reload_success);
	put_time(&json, "lastConfigTime", runtime.last_config_ms);
	put_int(&json, "corruptionCount", runtime.corruption_count);
	put_process(&json);
	if (runtime.retention_ms > 0) {
		duration_format(runtime.retention_ms, &retention);
	}
	put_text(&json, "storageRetention", buf_text(&retention));
	json_end_object(&json);
	answer_data(api, exchange, &data);
}

static void handle_healthy(void *context, struct exchange *exchange, struct str param) {
	(void)context;
	(void)param;
	exchange_respond_text(exchange, 200, "Prometheus Server is Healthy.\n");
}

static void handle_ready(void *context, struct exchange *exchange, struct str param) {
	(void)param;
	if (api_check_ready(context, exchange)) {
		exchange_respond_text(exchange, 200, "Prometheus Server is Ready.\n");
	}
}

static void handle_metrics(void *context, struct exchange *exchange, struct str param) {
	struct api *api = context;
	struct buf text = { 0 };

	(void)param;
	metric_write(api->options.metrics, &text);
	exchange_respond_buf(exchange, 200, STR("text/plain; version=0.0.4; charset=utf-8"), &text);
}

void api_register_status(struct api *api, struct router *router) {
	api_add_route(api, router, "GET", "/api/v1/status/buildinfo", handle_buildinfo);
	if (api->options.config) {
		api_add_route(api, router, "GET", "/api/v1/status/config", handle_config);
	}
	if (api->options.flags) {
		api_add_route(api, router, "GET", "/api/v1/status/flags", handle_flags);
	}
	if (api->options.runtime) {
		api_add_route(api, router, "GET", "/api/v1/status/runtimeinfo", handle_runtimeinfo);
	}
	router_add(router, "GET", "/-/healthy", handle_healthy, api);
	router_add(router, "GET", "/-/ready", handle_ready, api);
	router_add(router, "GET", "/metrics", handle_metrics, api);
}
