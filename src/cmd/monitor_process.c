#include "cmd/monitor_process.h"

#include "base/check.h"
#include "base/log.h"
#include "cmd/features.h"
#include "io/system.h"

#include <malloc.h>
#include <signal.h>

/* Jobs that block: opening or maintaining the database, and reading a configuration beside it. */
#define WORKERS 2
#define WORKER_QUEUE_MAX 16
/* Requests that wait for a query thread, for each thread. */
#define QUERY_QUEUE_FACTOR 50

void monitor_stop(void *context) {
	struct monitor *monitor = context;
	monitor->is_stopping = true;
	log_info("stopping");
	loop_stop(monitor->loop);
}

static void fail(struct monitor *monitor, const struct err *reason) {
	monitor->failure = *reason;
	monitor_stop(monitor);
}

static void maintain(void *context) {
	struct monitor *monitor = context;
	struct err err = { 0 };
	if (tsdb_maintain(monitor->db, &err) < 0) {
		log_error("database maintenance failed, it will be tried again", KV_ERR(&err));
	}
	/* What scrapes and queries freed between things that stay: the C library keeps it else. */
	(void)malloc_trim(0);
}

static void on_maintenance(struct timer *timer) {
	struct monitor *monitor = CONTAINER_OF(timer, struct monitor, maintenance);
	if (!pool_submit(monitor->worker, maintain, monitor)) {
		log_warn("database maintenance is late");
	}
	loop_timer_after_ms(monitor->loop, &monitor->maintenance, TSDB_MAINTAIN_INTERVAL_MS);
}

static void scrape(void *context) {
	struct monitor *monitor = context;
	loop_run(monitor->scrape_loop);
	scraper_free(monitor->scraper);
}

/* "HOST:PORT" under which others may reach us, and the port. */
static void describe_address(const struct monitor *monitor, struct buf *host, unsigned *port) {
	char name[256] = "";
	char address[256] = "";
	uint16_t number = 0;
	struct err err = { 0 };

	system_hostname(name, sizeof(name));
	if (web_parse_address(monitor->flags->listen.items[0], address, sizeof(address), &number,
		    &err) == 0) {
		buf_printf(host, "%s:%u", name, (unsigned)number);
		*port = number;
	}
}

static void start_scraping(struct monitor *monitor) {
	AUTO(buf_deinit) struct buf host = { 0 };
	struct scraper_options options;

	scraper_options_init(&options);
	monitor->scrape_loop = loop_new(clock_system());
	options.loop = monitor->scrape_loop;
	options.pool = monitor->worker;
	options.appendable = tsdb_appendable(monitor->db);
	options.metrics = monitor->metrics;
	options.adjust_timestamps = monitor->flags->adjust_timestamps;
	options.timestamp_tolerance_ms = monitor->flags->timestamp_tolerance_ms;
	options.discovery_reload_ms = monitor->flags->discovery_reload_ms;
	describe_address(monitor, &host, &options.own_port);
	options.external_host = buf_text(&host);
	monitor->scraper = scraper_new(&options);
	local_source_init(&monitor->source, monitor->engine, tsdb_store(monitor->db),
		scraper_document, monitor->scraper);
	monitor->is_scraping = true;
	monitor_use(monitor, config_ref(monitor->config));
	monitor->scrape_thread = thread_start(THREAD_SCRAPE, "scrape", scrape, monitor);
}

static void on_opened(void *context) {
	struct monitor *monitor = context;
	if (monitor->is_stopping) {
		return;
	}
	if (!monitor->db) {
		fail(monitor, &monitor->open_error);
		return;
	}
	log_info("database opened", KV("path", monitor->flags->storage_path),
		KV_INT("took_ms", clock_now_ms(clock_system()) - monitor->start_ms));
	tsdb_metrics_register(monitor->db, monitor->metrics);
	start_scraping(monitor);
	loop_timer_after_ms(monitor->loop, &monitor->maintenance, TSDB_MAINTAIN_INTERVAL_MS);
	web_set_ready(monitor->web, true);
}

static void open_database(void *context) {
	struct monitor *monitor = context;
	struct tsdb_options options;
	tsdb_options_init(&options);
	options.path = monitor->flags->storage_path;
	options.retention_ms = monitor->flags->retention_ms;
	options.no_lockfile = monitor->flags->no_lockfile;
	options.no_wal_compression = !monitor->flags->wal_compression;
	if (tsdb_open(&options, &monitor->db, &monitor->open_error) < 0) {
		monitor->db = NULL;
		(void)err_wrap(&monitor->open_error, ERR_IO, "--storage.tsdb.path");
	}
	CHECK(loop_post(monitor->loop, on_opened, monitor));
}

static void make_engine(struct monitor *monitor) {
	const struct monitor_flags *flags = monitor->flags;
	struct engine_options options = {
		.lookback_ms = flags->lookback_ms,
		.default_subquery_step_ms = monitor->config->global.evaluation_interval_ms,
		.samples_max = (uint64_t)flags->samples_max,
		.query_bytes_max = flags->query_bytes_max,
		.process_bytes_max = flags->process_bytes_max,
		.threads = flags->query_threads > 0 ? (size_t)flags->query_threads
						    : system_cpu_count(),
	};
	monitor->features = features_read(&flags->features);
	options.parse = monitor->features.parse;
	options.delayed_name_removal = monitor->features.delayed_name_removal;
	options.use_start_timestamps = monitor->features.use_start_timestamps;
	monitor->engine = engine_new(&options, clock_system());
	/* Its store and documents come with the database; until then nobody is let in. */
	local_source_init(&monitor->source, monitor->engine, NULL, NULL, NULL);
}

static void print_config(void *context, struct buf *yaml) {
	const struct monitor *monitor = context;
	config_print(monitor->config, yaml);
}

static void get_runtime(void *context, struct api_runtime *out) {
	const struct monitor *monitor = context;
	struct tsdb_stats stats = { 0 };
	if (monitor->is_scraping) {
		tsdb_stats_get(monitor->db, &stats);
	}
	*out = (struct api_runtime){ .start_ms = monitor->start_ms,
		.reload_success = monitor->reload_success,
		.last_config_ms = monitor->config_ms,
		.corruption_count = stats.replay_corruptions,
		.retention_ms = monitor->flags->retention_ms };
}

static int open_web(struct monitor *monitor, struct err *err) {
	const struct monitor_flags *flags = monitor->flags;
	const struct web_options web = {
		.listen = &flags->listen,
		.connections_max = flags->connections_max,
		.cors_origin = flags->cors_origin,
		.query_timeout_ms = flags->query_timeout_ms,
		.parse = monitor->features.parse,
		.per_step_stats = monitor->features.per_step_stats,
		.source = &monitor->source.source,
		.engine = monitor->engine,
		.pool = monitor->queries,
		.metrics = monitor->metrics,
		.command = &monitor_command,
		.config = flags,
		.yaml = print_config,
		.runtime = get_runtime,
		.context = monitor,
	};
	int rc = web_new(&web, &monitor->web, err);
	if (rc < 0) {
		return rc;
	}
	monitor_reload_init(monitor);
	struct config *config = monitor->config;
	monitor->config = NULL;
	monitor_use(monitor, config);
	return web_listen(monitor->web, monitor->loop, err);
}

static int open_all(struct monitor *monitor, struct err *err) {
	size_t threads = (size_t)monitor->flags->query_concurrency;

	monitor->start_ms = clock_now_ms(clock_system());
	int rc = monitor_load(monitor, &monitor->config, err);
	if (rc < 0) {
		return rc;
	}
	(void)system_raise_file_limit();
	monitor->loop = loop_new(clock_system());
	monitor->maintenance.run = on_maintenance;
	monitor->metrics = metric_registry_new();
	metric_register_process(monitor->metrics);
	monitor->queries = pool_new("query", THREAD_QUERY, threads, threads * QUERY_QUEUE_FACTOR);
	monitor->worker = pool_new("work", THREAD_QUERY, WORKERS, WORKER_QUEUE_MAX);
	make_engine(monitor);
	rc = open_web(monitor, err);
	if (rc == 0) {
		CHECK(pool_submit(monitor->worker, open_database, monitor));
	}
	return rc;
}

/* Undoes what was opened; fine after a failure half way. */
static void close_all(struct monitor *monitor) {
	struct err err = { 0 };

	monitor->is_stopping = true;
	if (monitor->web) {
		web_close(monitor->web);
	}
	pool_free(monitor->queries);
	if (monitor->is_scraping) {
		loop_stop(monitor->scrape_loop);
		thread_join(monitor->scrape_thread);
		monitor->scraper = NULL;
	}
	pool_free(monitor->worker);
	if (monitor->is_scraping) {
		loop_run_once(monitor->scrape_loop); /* What was handed over to nobody. */
		loop_free(monitor->scrape_loop);
	}
	if (monitor->loop) {
		loop_timer_clear(monitor->loop, &monitor->maintenance);
		loop_run_once(monitor->loop); /* What pools handed back before they ended. */
	}
	web_free(monitor->web);
	if (monitor->engine) {
		engine_free(monitor->engine);
	}
	if (tsdb_close(monitor->db, &err) < 0) {
		log_error("cannot close the database cleanly", KV_ERR(&err));
	}
	if (monitor->loop) {
		loop_free(monitor->loop);
	}
	if (monitor->metrics) {
		metric_registry_free(monitor->metrics);
	}
	config_unref(monitor->config);
}

int monitor_run(const struct monitor_flags *flags, struct err *err) {
	struct monitor monitor = { .flags = flags };
	int rc = open_all(&monitor, err);
	if (rc == 0) {
		loop_on_signal(monitor.loop, SIGTERM, monitor_stop, &monitor);
		loop_on_signal(monitor.loop, SIGINT, monitor_stop, &monitor);
		loop_on_signal(monitor.loop, SIGHUP, monitor_reload, &monitor);
		loop_run(monitor.loop);
	}
	close_all(&monitor);
	if (rc == 0 && monitor.failure.code < 0) {
		*err = monitor.failure;
		rc = monitor.failure.code;
	}
	return rc;
}
