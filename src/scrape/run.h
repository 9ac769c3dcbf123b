/*
 * A run: the repeated scrape of one target.
 *
 * Scrapes start on a grid of absolute time, at the target's interval, offset by its hash: the same
 * after a restart, and different for two monitors of the same targets. Runs, and all that they
 * share, belong to the scrape loop; a target's status is written under the shared lock.
 */
#ifndef SCRAPE_RUN_H
#define SCRAPE_RUN_H

#include "base/thread.h"
#include "io/fetch.h"
#include "io/loop.h"
#include "scrape/cache.h"
#include "scrape/metrics.h"
#include "scrape/scrape.h"
#include "scrape/target.h"

/* Series that tell of the scrape itself: up, scrape_duration_seconds, ...; the last three only with
 * extra_scrape_metrics. */
#define RUN_REPORTS 8

/* What the runs of a scraper share. */
struct scrape_shared {
	struct scraper_options options; /* Whose strings are the scraper's. */
	struct clock *clock;
	struct fetcher *fetcher;
	struct scrape_metrics metrics;
	struct lock lock;     /* For the status of targets and the lists of jobs. */
	struct arena scratch; /* Reset after every scrape. */
	struct buf body;      /* The uncompressed answer at hand. */
	uint64_t phase_seed;  /* Of this monitor among others with the same targets. */
	uint64_t cache_seed;
	struct ending *endings; /* Under way. */
};

struct scrape_run {
	struct timer timer;
	struct scrape_shared *shared;
	const struct config_scrape *job; /* Its owner keeps this up to date. */
	struct str folder;               /* Of the configuration, for relative file names. */
	struct target *target;           /* A reference. */
	struct scrape_cache cache;
	struct series_ref reports[RUN_REPORTS];
	struct fetch *fetch;      /* Under way. */
	int64_t due_ms;           /* The next point of the grid. */
	int64_t time_ms;          /* What samples of the scrape under way are stamped with. */
	int64_t start_ns;         /* When it began. */
	int64_t last_start_ns;    /* When the one before did; 0: there was none. */
	const struct err *forced; /* Every scrape fails with this; borrowed; NULL: none. */
};

/* Starts scraping; takes a reference of 'target'. */
struct scrape_run *scrape_run_start(struct scrape_shared *shared, const struct config_scrape *job,
	struct str folder, struct target *target);
/*
 * Ends it. With 'marks_end', its series get end marks when their target did not come back within
 * two intervals.
 */
void scrape_run_stop(struct scrape_run *run, bool marks_end);
/* Forgets what the series look like; those that the next scrapes lack get end marks. */
void scrape_run_forget_series(struct scrape_run *run);
/* Exchanges the target for one of the same hash, which takes over the status. */
void scrape_run_set_target(struct scrape_run *run, struct target *target);

/* Drops the end marks that still wait. */
void endings_free(struct scrape_shared *shared);

#endif
