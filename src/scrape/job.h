/*
 * A job: one scrape_config, the targets that discovery finds for it, and their runs.
 *
 * Owned by the scrape loop. Lists of runs and dropped targets change under the shared lock, so that
 * API threads can take references.
 */
#ifndef SCRAPE_JOB_H
#define SCRAPE_JOB_H

#include "discover/discover.h"
#include "scrape/run.h"

struct scrape_job {
	struct scrape_job *next;
	struct scrape_shared *shared;
	char *name;
	struct config *config; /* A reference: 'settings' is in it. */
	const struct config_scrape *settings;
	struct discovery *discovery;
	struct timer timer; /* The next sync, where one had to wait. */
	int64_t last_sync_ns;
	struct scrape_run **runs; /* Sorted by the targets' hashes. */
	size_t run_count;
	struct target **dropped; /* Up to keep_dropped_targets. */
	size_t dropped_count;
	size_t dropped_total;
	struct err limit_error; /* target_limit is exceeded; the runs are forced to fail with it. */
	bool is_wanted;         /* Part of the configuration being applied. */
};

/* Starts scraping the targets of 'settings', which is part of 'config'. */
struct scrape_job *scrape_job_start(
	struct scrape_shared *shared, struct config *config, const struct config_scrape *settings);
/* Goes on with changed settings. */
void scrape_job_change(
	struct scrape_job *job, struct config *config, const struct config_scrape *settings);
/* As scrape_run_stop for all its runs; the job is gone. */
void scrape_job_stop(struct scrape_job *job, bool marks_end);

#endif
