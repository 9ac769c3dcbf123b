/*
 * The configuration of a running monitor: reading it in the background, putting it in force.
 */
#include "base/check.h"
#include "base/log.h"
#include "base/memory.h"
#include "cmd/monitor_process.h"
#include "http/router.h"
#include "io/file.h"

#include <stdlib.h>

int monitor_load(const struct monitor *monitor, struct config **out, struct err *err) {
	AUTO(buf_deinit) struct buf text = { 0 };
	const char *path = monitor->flags->config_file;
	int rc = file_read(path, CONFIG_BYTES_MAX, &text, err);
	if (rc < 0) {
		return err_wrap(err, rc, "--config.file");
	}
	return config_parse(buf_str(&text), path, out, err);
}

/* What is handed to the scrape loop. */
struct order {
	const struct monitor *monitor;
	struct config *config;
};

static void apply(void *context) {
	struct order *order = context;
	if (order->monitor->scraper) { /* NULL after the end of its thread. */
		scraper_apply(order->monitor->scraper, order->config);
	}
	config_unref(order->config);
	free(order);
}

static void order_scraper(struct monitor *monitor) {
	struct order *order = MEMORY_NEW(struct order, 1);
	*order = (struct order){ monitor, config_ref(monitor->config) };
	if (!loop_post(monitor->scrape_loop, apply, order)) {
		/* A hundred thousand callbacks wait: the loop is stuck, and so is all of this. */
		log_error("the scrape loop does not take the new configuration");
		config_unref(order->config);
		free(order);
	}
}

void monitor_use(struct monitor *monitor, struct config *config) {
	const struct config *old = monitor->config;
	if (old && old->global.evaluation_interval_ms != config->global.evaluation_interval_ms) {
		log_warn("evaluation_interval, the step of subqueries that give none, changes with "
			 "the next start");
	}
	config_unref(monitor->config);
	monitor->config = config;
	monitor->config_ms = clock_now_ms(clock_system());
	monitor->reload_success = true;
	metric_set(monitor->reload_success_metric, 1);
	metric_set(monitor->reload_time_metric, (double)monitor->config_ms / MS_PER_S);
	if (monitor->is_scraping) {
		order_scraper(monitor);
	}
}

static void answer_waiting(struct monitor *monitor) {
	AUTO(buf_deinit) struct buf text = { 0 };
	if (!monitor->reload_success) {
		buf_printf(&text, "failed to reload config: %s\n", monitor->load_error.text);
	}
	for (size_t i = 0; i < monitor->waiting_count; i++) {
		exchange_respond_text(
			monitor->waiting[i], monitor->reload_success ? 200 : 500, buf_text(&text));
	}
	monitor->waiting_count = 0;
}

static void on_loaded(void *context) {
	struct monitor *monitor = context;
	struct config *loaded = monitor->loaded;

	monitor->is_reloading = false;
	monitor->loaded = NULL;
	if (monitor->is_stopping) {
		config_unref(loaded); /* Nobody is left to use it, or to be answered. */
		return;
	}
	if (loaded) {
		log_info("configuration loaded", KV("file", monitor->flags->config_file));
		monitor_use(monitor, loaded);
	} else {
		log_error("cannot load the configuration, keeping the old one",
			KV_ERR(&monitor->load_error));
		monitor->reload_success = false;
		metric_set(monitor->reload_success_metric, 0);
	}
	if (monitor->reload_again) {
		monitor_reload(monitor);
	} else {
		answer_waiting(monitor);
	}
}

static void load(void *context) {
	struct monitor *monitor = context;
	monitor->load_error = (struct err){ 0 };
	if (monitor_load(monitor, &monitor->loaded, &monitor->load_error) < 0) {
		monitor->loaded = NULL;
	}
	CHECK(loop_post(monitor->loop, on_loaded, monitor));
}

void monitor_reload(void *context) {
	struct monitor *monitor = context;
	if (monitor->is_reloading) {
		monitor->reload_again = true;
		return;
	}
	monitor->reload_again = false;
	monitor->is_reloading = pool_submit(monitor->worker, load, monitor);
}

static bool is_allowed(const struct monitor *monitor, struct exchange *exchange) {
	if (!monitor->flags->enable_lifecycle) {
		exchange_respond_text(exchange, 403,
			"Lifecycle API is not enabled; start with --web.enable-lifecycle.\n");
	}
	return monitor->flags->enable_lifecycle;
}

static void serve_reload(void *context, struct exchange *exchange, struct str param) {
	struct monitor *monitor = context;
	(void)param;
	if (!is_allowed(monitor, exchange)) {
		return;
	}
	if (monitor->waiting_count == MONITOR_RELOADS_MAX) {
		exchange_respond_text(exchange, 503, "too many reloads are waiting\n");
		return;
	}
	monitor->waiting[monitor->waiting_count++] = exchange;
	monitor_reload(monitor);
}

static void serve_quit(void *context, struct exchange *exchange, struct str param) {
	struct monitor *monitor = context;
	(void)param;
	if (is_allowed(monitor, exchange)) {
		exchange_respond_text(exchange, 200, "Requesting termination... Goodbye!");
		monitor_stop(monitor);
	}
}

void monitor_reload_init(struct monitor *monitor) {
	struct router *router = web_router(monitor->web);
	monitor->reload_success_metric = metric_single(metric_declare(monitor->metrics,
		METRIC_GAUGE, "prometheus_config_last_reload_successful",
		"Whether the last reading of the configuration was successful.", NULL));
	monitor->reload_time_metric = metric_single(metric_declare(monitor->metrics, METRIC_GAUGE,
		"prometheus_config_last_reload_success_timestamp_seconds",
		"When the configuration in force was read.", NULL));
	router_add(router, "POST,PUT", "/-/reload", serve_reload, monitor);
	router_add(router, "POST,PUT", "/-/quit", serve_quit, monitor);
}
