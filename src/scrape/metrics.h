/*
 * The scraper's own metrics, named as Prometheus names them.
 */
#ifndef SCRAPE_METRICS_H
#define SCRAPE_METRICS_H

#include "base/metric.h"

struct scrape_metrics {
	struct metric *pools;
	struct metric *reloads;
	struct metric *target_limit_hits;
	struct metric *body_size_limit_hits;
	struct metric *sample_limit_hits;
	struct metric *label_limit_hits;
	struct metric *duplicates;
	struct metric *out_of_order;
	struct metric *out_of_bounds;
	struct metric *cache_flushes;
	struct metric *samples;
	struct metric *wire_bytes;
	struct metric *body_bytes;
	struct metric_family *interval_seconds; /* By interval. */
	struct metric_family *pool_targets;     /* By scrape_job, as those below. */
	struct metric_family *pool_target_limit;
	struct metric_family *pool_syncs;
	struct metric_family *sync_failures;
};

/* Declares all of them. */
void scrape_metrics_init(struct scrape_metrics *metrics, struct metric_registry *registry);
/* The child of a family with one label. */
struct metric *scrape_metric_of(struct metric_family *family, const char *value);

#endif
