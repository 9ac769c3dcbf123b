/*
 * Ingest: one answer of a target becomes samples in a store.
 *
 * The hot path of the whole monitor: a series known from the last scrape costs a comparison of
 * hashes, a number, and an append by reference. Runs on the scrape loop; 'scratch' is reset by the
 * caller after each scrape.
 */
#ifndef SCRAPE_INGEST_H
#define SCRAPE_INGEST_H

#include "config/config.h"
#include "expfmt/expfmt.h"
#include "scrape/cache.h"
#include "scrape/target.h"
#include "store/store.h"

/* Samples further ahead of our clock than this are refused, as Prometheus has it. */
#define INGEST_AHEAD_MS (INT64_C(10) * 60 * 1000)

/* What a scrape came to; its counts are told even if it failed. */
struct ingest_counts {
	uint64_t scraped; /* Samples in the body. */
	uint64_t kept;    /* Of those, what relabelling left. */
	uint64_t added;   /* Series that were not in the last scrape. */
	uint64_t out_of_order;
	uint64_t duplicates;
	uint64_t out_of_bounds;
	bool label_limit_hit;
	bool sample_limit_hit;
};

struct ingest {
	const struct config_scrape *job;
	const struct labels *own; /* The target's labels for its series. */
	struct scrape_cache *cache;
	struct appender *appender;
	struct arena *scratch;
	int64_t time_ms; /* Of samples without a timestamp of their own. */
	int64_t now_ms;
	struct ingest_counts counts;
	bool metadata_changed; /* A line of metadata was not in the last scrape. */
	uint64_t appended;     /* Towards sample_limit. */
};

/*
 * Between cache_begin and cache_commit: appends the samples of 'body' and the end marks of series
 * that vanished. On failure the transaction has to be rolled back: ERR_INVAL (the body is
 * malformed, or a series has no valid name), ERR_LIMIT (a limit of the job, named), or the store's
 * error.
 */
MUST_USE int ingest_body(
	struct ingest *ingest, enum exposition_format format, struct buf *body, struct err *err);

/* Marks every series that lived as ended: the scrape failed. */
MUST_USE int ingest_failure(struct ingest *ingest, struct err *err);

/*
 * The label set of a series as it is stored: the target's labels joined with the exposed ones
 * (honor_labels decides clashes), then metric_relabel_configs. An empty set: dropped. Returns 0,
 * ERR_INVAL or ERR_LIMIT.
 */
MUST_USE int ingest_labels(const struct ingest *ingest, struct str series, enum metric_type type,
	struct labels *out, struct err *err);

#endif
