#include "base/memory.h"
#include "tsdb/head.h"

/* Prometheus' names, where it has the same thing. */
struct family {
	const char *name;
	const char *help;
	enum metric_kind kind;
	size_t offset; /* Of an uint64_t in the stats. */
};

#define FAMILY(kind, name, field, help)                                                            \
	{ (name), (help), (kind), offsetof(struct tsdb_stats, field) }

static const struct family families[] = {
	FAMILY(METRIC_GAUGE, "prometheus_tsdb_head_series", series, "Series in memory."),
	FAMILY(METRIC_COUNTER, "prometheus_tsdb_head_series_created_total", series_created,
		"Series that were made."),
	FAMILY(METRIC_COUNTER, "prometheus_tsdb_head_series_removed_total", series_removed,
		"Series that were removed for their age."),
	FAMILY(METRIC_GAUGE, "prometheus_tsdb_head_chunks", chunks, "Chunks, open and full."),
	FAMILY(METRIC_COUNTER, "prometheus_tsdb_out_of_order_samples_total", out_of_order,
		"Samples refused because they were older than the newest of their series."),
	FAMILY(METRIC_COUNTER, "prometheus_tsdb_too_old_samples_total", too_old,
		"Samples refused because they were older than what is accepted."),
	FAMILY(METRIC_COUNTER, "atoll_tsdb_duplicate_samples_total", duplicates,
		"Samples refused because their series has another value at that time."),
	FAMILY(METRIC_GAUGE, "prometheus_tsdb_wal_segment_current", wal_segment,
		"Number of the log segment that is written to."),
	FAMILY(METRIC_COUNTER, "prometheus_tsdb_wal_writes_failed_total", wal_failures,
		"Commits that could not be written to the log."),
	FAMILY(METRIC_COUNTER, "atoll_tsdb_wal_written_bytes_total", wal_bytes,
		"Bytes of records written to the log."),
	FAMILY(METRIC_COUNTER, "prometheus_tsdb_checkpoint_creations_total", checkpoints,
		"Checkpoints written."),
	FAMILY(METRIC_COUNTER, "prometheus_tsdb_wal_corruptions_total", replay_corruptions,
		"Damages found at start."),
	FAMILY(METRIC_GAUGE, "atoll_tsdb_replay_skipped_records", replay_skipped,
		"Records of the log that were not understood at start."),
	FAMILY(METRIC_GAUGE, "atoll_tsdb_label_pairs", label_pairs,
		"Distinct pairs of label name and value."),
	FAMILY(METRIC_GAUGE, "atoll_tsdb_chunk_file_bytes", chunk_file_bytes,
		"Bytes in files of full chunks."),
	FAMILY(METRIC_GAUGE, "atoll_tsdb_memory_bytes", memory_bytes,
		"Memory held for series, their labels, their index and open chunks."),
};

struct tsdb_metrics {
	struct tsdb *db;
	struct metric *metrics[ARRAY_COUNT(families)];
	struct metric *samples;
	struct metric *min_time;
	struct metric *max_time;
};

/* Counters only rise, so that adding what is missing sets them. */
static void metric_follow(struct metric *metric, enum metric_kind kind, uint64_t value) {
	if (kind == METRIC_COUNTER) {
		metric_add(metric, (double)value - metric_value(metric));
	} else {
		metric_set(metric, (double)value);
	}
}

static void metrics_collect(void *context) {
	struct tsdb_metrics *metrics = context;
	struct tsdb_stats stats;

	tsdb_stats_get(metrics->db, &stats);
	for (size_t i = 0; i < ARRAY_COUNT(families); i++) {
		uint64_t value;
		memcpy(&value, (const char *)&stats + families[i].offset, sizeof(value));
		metric_follow(metrics->metrics[i], families[i].kind, value);
	}
	metric_follow(metrics->samples, METRIC_COUNTER, stats.samples);
	metric_set(metrics->min_time, (double)stats.min_time_ms);
	metric_set(metrics->max_time, (double)stats.max_time_ms);
}

void tsdb_metrics_register(struct tsdb *db, struct metric_registry *registry) {
	static const char *const type_label[] = { "type", NULL };
	static const char *const type_value[] = { "float" };
	struct tsdb_metrics *metrics = MEMORY_NEW(struct tsdb_metrics, 1);

	metrics->db = db;
	db->metrics = metrics;
	for (size_t i = 0; i < ARRAY_COUNT(families); i++) {
		metrics->metrics[i] = metric_single(metric_declare(
			registry, families[i].kind, families[i].name, families[i].help, NULL));
	}
	metrics->samples = metric_child(metric_declare(registry, METRIC_COUNTER,
						"prometheus_tsdb_head_samples_appended_total",
						"Samples appended.", type_label),
		type_value);
	metrics->min_time = metric_single(
		metric_declare(registry, METRIC_GAUGE, "prometheus_tsdb_head_min_time",
			"Time of the oldest sample, in milliseconds.", NULL));
	metrics->max_time = metric_single(
		metric_declare(registry, METRIC_GAUGE, "prometheus_tsdb_head_max_time",
			"Time of the newest sample, in milliseconds.", NULL));
	metric_on_collect(registry, metrics_collect, metrics);
}
