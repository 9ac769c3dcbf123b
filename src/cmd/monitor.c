#include "cmd/monitor.h"

#include "promql/engine.h"

#include "base/log.h"
#include "cmd/monitor_process.h"

#include <stdio.h>
#include <stdlib.h>

#define ROW(kind, ...) FLAG_##kind##_ROW(struct monitor_flags, __VA_ARGS__)

static const struct flag rows[] = {
	ROW(TEXT, config_file, "config.file", "FILE", "prometheus.yml",
		"What to scrape; read again on SIGHUP."),
	ROW(LIST, listen, "web.listen-address", "HOST:PORT", "0.0.0.0:9090",
		"Where to serve the page and the API; may be repeated."),
	ROW(INT, connections_max, "web.max-connections", "N", "512",
		"Most connections at once on each address."),
	ROW(TEXT, cors_origin, "web.cors.origin", "REGEX", ".*",
		"Origins that browsers may ask from."),
	ROW(BOOL, enable_lifecycle, "web.enable-lifecycle",
		"Let POST /-/reload and /-/quit do what they say."),
	ROW(TEXT, storage_path, "storage.tsdb.path", "DIR", "data/",
		"The database, in Prometheus' formats."),
	ROW(DURATION, retention_ms, "storage.tsdb.retention.time", "DURATION", "15d",
		"How long samples are kept."),
	ROW(BOOL, no_lockfile, "storage.tsdb.no-lockfile",
		"Do not keep others out of the database by a lock file."),
	FLAG_ROW(FLAG_BOOL, struct monitor_flags, wal_compression, "storage.tsdb.wal-compression",
		NULL, "true", "Compress the write-ahead log with snappy."),
	ROW(DURATION, lookback_ms, "query.lookback-delta", "DURATION", "5m",
		"How far an instant selector looks back."),
	ROW(DURATION, query_timeout_ms, "query.timeout", "DURATION", "2m",
		"How long a query may take."),
	ROW(INT, query_concurrency, "query.max-concurrency", "N", "20",
		"Queries that run at once; more wait."),
	ROW(INT, query_threads, "query.threads", "N", "0",
		"Threads that may work on one query; 0: as many as there are processors."),
	ROW(INT, samples_max, "query.max-samples", "N", "50000000",
		"Most samples that one query may hold at once."),
	ROW(BYTES, query_bytes_max, "query.max-memory-per-query", "SIZE", "1GB",
		"Memory of one query."),
	ROW(BYTES, process_bytes_max, "query.max-memory", "SIZE", "4GB",
		"Memory of all queries together."),
	FLAG_ROW(FLAG_BOOL, struct monitor_flags, adjust_timestamps, "scrape.adjust-timestamps",
		NULL, "true", "Put timestamps on the target's grid when they are near it."),
	ROW(DURATION, timestamp_tolerance_ms, "scrape.timestamp-tolerance", "DURATION", "2ms",
		"How near; at most a hundredth of the interval."),
	ROW(DURATION, discovery_reload_ms, "scrape.discovery-reload-interval", "DURATION", "5s",
		"Least time between two changes of a job's targets."),
	ROW(LIST, features, "enable-feature", "NAME,...", NULL,
		"Features of Prometheus to switch on; may be repeated. Unknown ones are logged."),
	ROW(TEXT, log_level, "log.level", "LEVEL", "info", "debug, info, warn or error."),
};

static int check_flags(const struct monitor_flags *flags, struct err *err) {
	enum log_level level = LOG_INFO;
	if (!log_parse_level(str_of(flags->log_level), &level)) {
		return err_set(err, ERR_INVAL,
			"--log.level: \"%s\" is none of debug, info, warn, error",
			flags->log_level);
	}
	log_set_level(level);
	if (flags->query_concurrency < 1 || flags->query_concurrency > 10000 ||
		flags->connections_max < 1 || flags->samples_max < 1) {
		return err_set(err, ERR_INVAL,
			"--query.max-concurrency must be 1 to 10000; --web.max-connections and "
			"--query.max-samples more than 0");
	}
	if (flags->query_threads < 0 || flags->query_threads > ENGINE_THREADS_MAX) {
		return err_set(
			err, ERR_INVAL, "--query.threads must be 0 to %d", ENGINE_THREADS_MAX);
	}
	if (flags->lookback_ms < 1 || flags->query_timeout_ms < 1 || flags->retention_ms < 1) {
		return err_set(err, ERR_INVAL,
			"--query.lookback-delta, --query.timeout and --storage.tsdb.retention.time "
			"must be more than 0");
	}
	return 0;
}

static int run(const void *config, char **args, size_t arg_count) {
	const struct monitor_flags *flags = config;
	struct err err = { 0 };
	(void)args, (void)arg_count;
	log_set_role("monitor");
	int rc = check_flags(flags, &err);
	if (rc == 0) {
		rc = monitor_run(flags, &err);
	}
	if (rc < 0) {
		(void)fprintf(stderr, "atoll monitor: %s\n", err.text);
	}
	return rc == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

const struct command monitor_command = {
	.name = "monitor",
	.summary = "scrapes, stores and answers queries for one cluster, as Prometheus does",
	.description = "Takes Prometheus' flags, prometheus.yml and data directory, and serves its "
		       "HTTP API. SIGHUP reads the configuration again; SIGTERM ends it.",
	.flags = rows,
	.flag_count = ARRAY_COUNT(rows),
	.config_size = sizeof(struct monitor_flags),
	.run = run,
};
