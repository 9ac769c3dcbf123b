/*
 * The time series database of one monitor: a directory in Prometheus' formats.
 *
 * Everything is in the head: series and the newest, still open chunk of each in memory, full chunks
 * in chunks_head/ (mapped, so that they are page cache and not our memory), and a write-ahead log.
 * What a query has returned is in the log: it survives kill -9, though not necessarily the machine
 * losing its power within the last seconds. Blocks are not read or written: a directory that holds
 * some is refused.
 *
 * As a store and an appendable it is used from any thread at once. tsdb_maintain does the slow work
 * (it blocks on files) and belongs on a worker thread, never on a loop.
 */
#ifndef TSDB_TSDB_H
#define TSDB_TSDB_H

#include "base/err.h"
#include "base/metric.h"
#include "base/time.h"
#include "store/store.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How often the owner calls tsdb_maintain. */
#define TSDB_MAINTAIN_INTERVAL_MS INT64_C(60000)

/* Prometheus' default for --storage.tsdb.retention.time. */
#define TSDB_RETENTION_DEFAULT_MS (INT64_C(15) * 24 * 3600 * 1000)

struct tsdb;

struct tsdb_options {
	const char *path;        /* Made if it is not there. */
	struct clock *clock;     /* For retention; borrowed. */
	int64_t retention_ms;    /* Samples older than this go. */
	bool no_lockfile;        /* --storage.tsdb.no-lockfile */
	bool no_wal_compression; /* Records are written plain instead of snappy. */
	bool read_only;          /* Change nothing in 'path': for tools, beside a running server. */
	/* Each series' samples come in the order of time, but one series may be long past what
	 * others have: for loading. Otherwise what is an hour behind the newest of all is too old.
	 */
	bool any_age;
	uint64_t wal_segment_size; /* Bytes; a multiple of 32 KiB. */
	size_t samples_per_chunk;  /* 1 to 240. */
};

/* Prometheus' defaults and the system's clock; 'path' stays to be filled in. */
void tsdb_options_init(struct tsdb_options *options);

/*
 * Opens the directory, replaying what it holds. Damage that a crash leaves (a torn end of the log,
 * of a chunk file) is repaired and logged. Returns 0, ERR_INVAL for a bad option, ERR_ABSENT for a
 * directory with blocks, ERR_CORRUPT for a damaged checkpoint, or ERR_IO (also when another process
 * has it open).
 */
MUST_USE int tsdb_open(const struct tsdb_options *options, struct tsdb **out, struct err *err);
/* Syncs and closes; nobody may be using it. Returns 0 or ERR_IO; it is gone either way. NULL is
 * fine. */
int tsdb_close(struct tsdb *db, struct err *err);

/* The two halves; they live as long as 'db'. */
struct store *tsdb_store(struct tsdb *db);
struct appendable *tsdb_appendable(struct tsdb *db);

/*
 * Drops what is past retention, writes a checkpoint when the log has grown, frees what no reader
 * uses any more. Blocks on files. One call at a time. Returns 0, or ERR_IO when a file could not be
 * written or removed; the next call tries again.
 */
MUST_USE int tsdb_maintain(struct tsdb *db, struct err *err);

/* Writes a checkpoint now, after which the log is short and a start quick. As tsdb_maintain. */
MUST_USE int tsdb_checkpoint(struct tsdb *db, struct err *err);

struct tsdb_stats {
	uint64_t series;         /* In memory. */
	uint64_t series_created; /* Since start, as all counts below. */
	uint64_t series_removed;
	uint64_t label_pairs;        /* Distinct name/value pairs. */
	uint64_t samples;            /* Appended. */
	uint64_t out_of_order;       /* Refused: APPEND_OUT_OF_ORDER. */
	uint64_t duplicates;         /* Refused: APPEND_DUPLICATE. */
	uint64_t too_old;            /* Refused: APPEND_TOO_OLD. */
	uint64_t chunks;             /* Open and full ones, now. */
	uint64_t chunk_file_bytes;   /* Used in chunks_head, now. */
	uint64_t wal_bytes;          /* Written. */
	uint64_t wal_failures;       /* Commits that failed to write. */
	uint64_t wal_segment;        /* The number of the newest segment. */
	uint64_t checkpoints;        /* Written. */
	uint64_t replay_skipped;     /* Records at start that this version does not know, histograms
					too. */
	uint64_t replay_corruptions; /* Repaired at start. */
	uint64_t memory_bytes;       /* Held for series, labels, index and open chunks. */
	int64_t min_time_ms;         /* Of all samples; INT64_MAX while there are none. */
	int64_t max_time_ms;         /* INT64_MIN while there are none. */
};

/* Any thread. */
void tsdb_stats_get(struct tsdb *db, struct tsdb_stats *out);

/* Declares Prometheus' prometheus_tsdb_* families and keeps them up to date from the stats. 'db'
 * must outlive the last writing of the registry. */
void tsdb_metrics_register(struct tsdb *db, struct metric_registry *registry);

#endif
