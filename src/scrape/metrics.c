#include "scrape/metrics.h"

#include "base/compiler.h"

static struct metric *counter(
	struct metric_registry *registry, const char *name, const char *help) {
	return metric_single(metric_declare(registry, METRIC_COUNTER, name, help, NULL));
}

void scrape_metrics_init(struct scrape_metrics *metrics, struct metric_registry *registry) {
	static const char *const by_job[] = { "scrape_job", NULL };
	static const char *const by_interval[] = { "interval", NULL };
	static const double bounds[] = { 0.01, 0.1, 1, 10 };

	*metrics = (struct scrape_metrics){
		.pools = counter(registry, "prometheus_target_scrape_pools_total",
			"Jobs that were started."),
		.reloads = counter(registry, "prometheus_target_scrape_pool_reloads_total",
			"Jobs that a new configuration changed."),
		.target_limit_hits = counter(registry,
			"prometheus_target_scrape_pool_exceeded_target_limit_total",
			"How often a job had more targets than its target_limit."),
		.body_size_limit_hits = counter(registry,
			"prometheus_target_scrapes_exceeded_body_size_limit_total",
			"Scrapes that failed for their body_size_limit."),
		.sample_limit_hits =
			counter(registry, "prometheus_target_scrapes_exceeded_sample_limit_total",
				"Scrapes that failed for their sample_limit."),
		.label_limit_hits = counter(registry,
			"prometheus_target_scrape_pool_exceeded_label_limits_total",
			"Scrapes that failed for a label limit."),
		.duplicates = counter(registry,
			"prometheus_target_scrapes_sample_duplicate_timestamp_total",
			"Samples refused: another value has their timestamp."),
		.out_of_order =
			counter(registry, "prometheus_target_scrapes_sample_out_of_order_total",
				"Samples refused: older than the newest of their series."),
		.out_of_bounds =
			counter(registry, "prometheus_target_scrapes_sample_out_of_bounds_total",
				"Samples refused: too old, or too far in the future."),
		.cache_flushes =
			counter(registry, "prometheus_target_scrapes_cache_flush_forced_total",
				"Caches emptied because failing scrapes let them grow."),
		.samples = counter(
			registry, "atoll_scrape_samples_total", "Samples read from targets."),
		.wire_bytes = counter(registry, "atoll_scrape_received_bytes_total",
			"Bytes received from targets, as sent."),
		.body_bytes = counter(registry, "atoll_scrape_body_bytes_total",
			"Bytes of answers, uncompressed."),
		.interval_seconds = metric_declare_histogram(registry,
			"prometheus_target_interval_length_histogram_seconds",
			"Time between scrapes of a target, as it came to be.", by_interval, bounds,
			ARRAY_COUNT(bounds)),
		.pool_targets = metric_declare(registry, METRIC_GAUGE,
			"prometheus_target_scrape_pool_targets", "Targets of a job.", by_job),
		.pool_target_limit = metric_declare(registry, METRIC_GAUGE,
			"prometheus_target_scrape_pool_target_limit", "A job's target_limit.",
			by_job),
		.pool_syncs = metric_declare(registry, METRIC_COUNTER,
			"prometheus_target_scrape_pool_sync_total",
			"How often a job's targets were worked out.", by_job),
		.sync_failures = metric_declare(registry, METRIC_COUNTER,
			"prometheus_target_sync_failed_total",
			"Discovered targets that cannot be scraped.", by_job),
	};
}

struct metric *scrape_metric_of(struct metric_family *family, const char *value) {
	return metric_child(family, (const char *const[]){ value, NULL });
}
