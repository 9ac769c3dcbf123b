/*
 * The scraper: keeps the targets of every job of a configuration and scrapes them.
 *
 * Owned by one loop of its own (THREAD_SCRAPE may run it): every call is on that loop's thread but
 * scraper_document. Samples go to an appendable, one transaction per scrape with the target's up
 * and scrape_* series in it.
 */
#ifndef SCRAPE_SCRAPE_H
#define SCRAPE_SCRAPE_H

#include "base/metric.h"
#include "base/pool.h"
#include "config/config.h"
#include "io/loop.h"
#include "store/store.h"

/* Largest answer of a target, uncompressed, where body_size_limit sets none. */
#define SCRAPE_BODY_BYTES_MAX ((size_t)512 * 1024 * 1024)

struct scraper;

struct scraper_options {
	struct loop *loop; /* Borrowed, as all below. */
	/* For what blocks; NULL: that is done on the loop. Ends after the scraper; the loop then
	 * runs once more. */
	struct pool *pool;
	struct appendable *appendable;
	struct metric_registry *metrics;
	/* How others reach this process ("host:9090") and the port it serves on, for globalUrl. */
	const char *external_host;
	unsigned own_port;
	/* Timestamps this close to a target's grid are put on it (--scrape.timestamp-tolerance). */
	int64_t timestamp_tolerance_ms;
	bool adjust_timestamps; /* --scrape.adjust-timestamps */
	/* Least time between two changes of a job's targets (--scrape.discovery-reload-interval).
	 */
	int64_t discovery_reload_ms;
};

/* Prometheus' defaults; loop, appendable and metrics stay to be filled in. */
void scraper_options_init(struct scraper_options *options);

/* A scraper without jobs. */
struct scraper *scraper_new(const struct scraper_options *options);
/* Stops all scrapes as they are; no end marks are written, since the next start goes on with them.
 */
void scraper_free(struct scraper *scraper);

/*
 * Makes the jobs those of 'config' (a reference is taken). Jobs that did not change go on
 * untouched; in those that did, targets that stay keep their phase and, if samples still look the
 * same, what they know of their series. Series of targets that go are marked as ended, a bit more
 * than two intervals later.
 */
void scraper_apply(struct scraper *scraper, struct config *config);

/*
 * A local_document_fn: 'context' is the scraper, 'path' one of "targets", "metadata",
 * "scrape_pools", 'args' the query string. Returns 0, ERR_INVAL for a bad argument, or ERR_ABSENT
 * for another path. Any thread.
 */
int scraper_document(
	void *context, struct str path, struct str args, struct buf *out, struct err *err);

#endif
