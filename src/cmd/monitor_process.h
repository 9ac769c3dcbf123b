/*
 * The parts of a running monitor, and their order.
 *
 * Threads: the main loop serves HTTP and owns everything here; a loop of its own scrapes; a pool
 * evaluates queries; another opens and maintains the database and reads configurations, which
 * block.
 */
#ifndef CMD_MONITOR_PROCESS_H
#define CMD_MONITOR_PROCESS_H

#include "base/pool.h"
#include "cmd/features.h"
#include "cmd/monitor.h"
#include "cmd/web.h"
#include "config/config.h"
#include "promql/engine.h"
#include "scrape/scrape.h"
#include "source/local.h"
#include "tsdb/tsdb.h"

/* Most POST /-/reload that wait for one reading. */
#define MONITOR_RELOADS_MAX 64

struct monitor {
	const struct monitor_flags *flags;
	struct features features;
	int64_t start_ms;
	struct loop *loop;
	struct metric_registry *metrics;
	struct pool *queries;
	struct pool *worker;
	struct engine *engine;
	struct local_source source;
	struct web *web;
	struct timer maintenance;
	bool is_stopping;
	struct err failure; /* Why the process ends; no text: it was asked to. */

	/* Written by the worker, then by nobody: handed over by loop_post. */
	struct tsdb *db; /* NULL: 'open_error' says why. */
	struct err open_error;

	/* The scraper belongs to its loop once the thread runs. */
	struct loop *scrape_loop;
	struct scraper *scraper;
	pthread_t scrape_thread;
	bool is_scraping;

	/* The configuration in force, and reading the next one (monitor_reload.c). */
	struct config *config;
	int64_t config_ms;
	bool reload_success;
	bool is_reloading;
	bool reload_again;
	struct config *loaded; /* The worker's result; NULL: 'load_error' says why. */
	struct err load_error;
	struct exchange *waiting[MONITOR_RELOADS_MAX];
	size_t waiting_count;
	struct metric *reload_success_metric;
	struct metric *reload_time_metric;
};

/* Runs until SIGINT or SIGTERM. Returns 0, or why it could not start or go on. */
MUST_USE int monitor_run(const struct monitor_flags *flags, struct err *err);

/* Reads the file. Blocks. */
MUST_USE int monitor_load(const struct monitor *monitor, struct config **out, struct err *err);
/* Puts a configuration in force: takes the reference. On the main loop. */
void monitor_use(struct monitor *monitor, struct config *config);
/* SIGHUP: reads the file again in the background; a bad one changes nothing. */
void monitor_reload(void *monitor);
/* Declares the metrics and adds the routes /-/reload and /-/quit. */
void monitor_reload_init(struct monitor *monitor);
/* Ends the main loop. */
void monitor_stop(void *monitor);

#endif
