#include "scrape/scraper.h"

#include "base/check.h"
#include "base/hash.h"
#include "base/memory.h"
#include "base/rand.h"
#include "io/system.h"

#include <stdlib.h>

void scraper_options_init(struct scraper_options *options) {
	*options = (struct scraper_options){
		.external_host = "",
		.timestamp_tolerance_ms = 2,
		.adjust_timestamps = true,
		.discovery_reload_ms = 5000,
	};
}

struct scraper *scraper_new(const struct scraper_options *options) {
	struct scraper *scraper = MEMORY_NEW(struct scraper, 1);
	struct scrape_shared *shared = &scraper->shared;

	shared->options = *options;
	scraper->external_host = strdup(options->external_host);
	CHECK(scraper->external_host);
	shared->options.external_host = scraper->external_host;
	shared->clock = loop_clock(options->loop);
	shared->fetcher = fetcher_new(options->loop);
	scrape_metrics_init(&shared->metrics, options->metrics);
	lock_init(&shared->lock, LOCK_RANK_SERVICE);
	rand_secure(&shared->cache_seed, sizeof(shared->cache_seed));
	return scraper;
}

/* Two monitors of the same targets scrape them at different times. */
static uint64_t phase_seed(const struct config *config) {
	AUTO(buf_deinit) struct buf labels = { 0 };
	char host[256] = "";

	system_hostname(host, sizeof(host));
	labels_format(&config->global.external_labels, &labels);
	return hash_fnv64a(hash_fnv64a(HASH_FNV_INIT, str_of(host)), buf_str(&labels));
}

static struct scrape_job *find_job(struct scraper *scraper, struct str name) {
	for (struct scrape_job *job = scraper->jobs; job; job = job->next) {
		if (str_equal(str_of(job->name), name)) {
			return job;
		}
	}
	return NULL;
}

static void apply_job(
	struct scraper *scraper, struct config *config, const struct config_scrape *settings) {
	struct scrape_job *job = find_job(scraper, settings->job_name);

	if (!job) {
		job = scrape_job_start(&scraper->shared, config, settings);
		lock_take(&scraper->shared.lock);
		job->next = scraper->jobs;
		scraper->jobs = job;
		lock_drop(&scraper->shared.lock);
	} else if (job->settings->hash != settings->hash) {
		scrape_job_change(job, config, settings);
	}
	job->is_wanted = true;
}

static void stop_unwanted(struct scraper *scraper, bool marks_end) {
	struct scrape_job **at = &scraper->jobs;
	while (*at) {
		struct scrape_job *job = *at;
		if (job->is_wanted) {
			at = &job->next;
			continue;
		}
		lock_take(&scraper->shared.lock);
		*at = job->next;
		lock_drop(&scraper->shared.lock);
		scrape_job_stop(job, marks_end);
	}
}

void scraper_apply(struct scraper *scraper, struct config *config) {
	for (struct scrape_job *job = scraper->jobs; job; job = job->next) {
		job->is_wanted = false;
	}
	scraper->shared.phase_seed = phase_seed(config);
	for (size_t i = 0; i < config->scrape_count; i++) {
		apply_job(scraper, config, &config->scrapes[i]);
	}
	stop_unwanted(scraper, true);
}

void scraper_free(struct scraper *scraper) {
	if (!scraper) {
		return;
	}
	for (struct scrape_job *job = scraper->jobs; job; job = job->next) {
		job->is_wanted = false;
	}
	stop_unwanted(scraper, false);
	endings_free(&scraper->shared);
	fetcher_free(scraper->shared.fetcher);
	arena_deinit(&scraper->shared.scratch);
	buf_deinit(&scraper->shared.body);
	lock_deinit(&scraper->shared.lock);
	free(scraper->external_host);
	free(scraper);
}
