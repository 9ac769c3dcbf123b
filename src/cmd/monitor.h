/*
 * atoll monitor: scrapes, stores and answers queries for one cluster.
 */
#ifndef CMD_MONITOR_H
#define CMD_MONITOR_H

#include "cmd/flags.h"

struct monitor_flags {
	const char *config_file;
	struct flag_list listen;
	int64_t connections_max;
	const char *cors_origin;
	bool enable_lifecycle;
	const char *storage_path;
	int64_t retention_ms;
	bool no_lockfile;
	bool wal_compression;
	int64_t lookback_ms;
	int64_t query_timeout_ms;
	int64_t query_concurrency;
	int64_t query_threads;
	int64_t samples_max;
	uint64_t query_bytes_max;
	uint64_t process_bytes_max;
	bool adjust_timestamps;
	int64_t timestamp_tolerance_ms;
	int64_t discovery_reload_ms;
	struct flag_list features;
	const char *log_level;
};

extern const struct command monitor_command;

#endif
