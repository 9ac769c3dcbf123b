#include "scrape/job.h"

#include "base/check.h"
#include "base/log.h"
#include "base/memory.h"

#include <inttypes.h>
#include <stdlib.h>

/* What discovery and relabelling gave, before it is compared with what runs. */
struct found {
	struct target **items;
	size_t count;
	size_t capacity;
	struct target **dropped;
	size_t dropped_count;
	size_t dropped_total;
};

static void keep(struct target ***items, size_t *count, struct target *target) {
	*items = memory_resize(*items, *count + 1, sizeof(target));
	(*items)[(*count)++] = target;
}

static void take_target(struct scrape_job *job, struct found *found, struct target *target) {
	int64_t keep_max = job->settings->limits.keep_dropped_targets;

	if (!target_is_dropped(target)) {
		if (found->count == found->capacity) {
			found->capacity = found->capacity * 2 + 16;
			found->items = memory_resize(found->items, found->capacity, sizeof(target));
		}
		found->items[found->count++] = target;
		return;
	}
	found->dropped_total++;
	if (keep_max == 0 || (int64_t)found->dropped_count < keep_max) {
		keep(&found->dropped, &found->dropped_count, target);
	} else {
		target_unref(target);
	}
}

static void find_target(struct scrape_job *job, const struct config_targets *group,
	struct str address, struct found *found) {
	struct target *target = NULL;
	struct err err = { 0 };

	if (target_new(job->settings, group, address, &target, &err) == 0) {
		take_target(job, found, target);
		return;
	}
	metric_inc(scrape_metric_of(job->shared->metrics.sync_failures, job->name));
	log_error("creating target failed", KV("scrape_pool", job->name),
		KV_STR("address", address), KV_ERR(&err));
}

static void find_targets(struct scrape_job *job, struct found *found) {
	const struct config_targets *const *groups = NULL;
	size_t group_count = discovery_groups(job->discovery, &groups);

	for (size_t i = 0; i < group_count; i++) {
		for (size_t j = 0; j < groups[i]->addresses.count; j++) {
			find_target(job, groups[i], groups[i]->addresses.items[j], found);
		}
	}
}

static int cmp_targets(const void *a, const void *b) {
	uint64_t left = (*(struct target *const *)a)->hash;
	uint64_t right = (*(struct target *const *)b)->hash;
	return (left > right) - (left < right);
}

/* Sorts by hash; of targets that are the same, one stays. */
static void sort_targets(struct found *found) {
	size_t kept = 0;

	if (found->count > 1) {
		qsort(found->items, found->count, sizeof(struct target *), cmp_targets);
	}
	for (size_t i = 0; i < found->count; i++) {
		if (kept > 0 && found->items[kept - 1]->hash == found->items[i]->hash) {
			target_unref(found->items[i]);
		} else {
			found->items[kept++] = found->items[i];
		}
	}
	found->count = kept;
}

/* The runs for the targets found: those that go on, and new ones. 'old' is emptied of the former.
 */
static struct scrape_run **match_runs(struct scrape_job *job, const struct found *found,
	struct scrape_run **old, size_t old_count) {
	struct scrape_run **runs = MEMORY_NEW(struct scrape_run *, found->count + 1);
	size_t at = 0;

	for (size_t i = 0; i < found->count; i++) {
		struct target *target = found->items[i];
		while (at < old_count && old[at]->target->hash < target->hash) {
			at++;
		}
		if (at == old_count || old[at]->target->hash != target->hash) {
			runs[i] = scrape_run_start(
				job->shared, job->settings, job->config->folder, target);
			continue;
		}
		runs[i] = old[at];
		old[at++] = NULL;
	}
	return runs;
}

static void check_target_limit(struct scrape_job *job, size_t count) {
	int64_t limit = job->settings->limits.target_limit;

	job->limit_error = (struct err){ 0 };
	if (limit > 0 && (int64_t)count > limit) {
		metric_inc(job->shared->metrics.target_limit_hits);
		(void)err_set(&job->limit_error, ERR_LIMIT,
			"target_limit exceeded (number of targets: %zu, limit: %" PRId64 ")", count,
			limit);
	}
	for (size_t i = 0; i < job->run_count; i++) {
		job->runs[i]->forced = job->limit_error.code < 0 ? &job->limit_error : NULL;
	}
}

static void targets_free(struct target **targets, size_t count) {
	for (size_t i = 0; i < count; i++) {
		target_unref(targets[i]);
	}
	free(targets);
}

/* Puts what was found in the place of what there was. */
static void exchange(struct scrape_job *job, struct found *found) {
	struct scrape_run **old = job->runs;
	size_t old_count = job->run_count;
	struct target **old_dropped = job->dropped;
	size_t old_dropped_count = job->dropped_count;

	/* Runs that go on are in both lists until the swap: API threads see either. */
	struct scrape_run **copy = MEMORY_NEW(struct scrape_run *, old_count + 1);
	for (size_t i = 0; i < old_count; i++) {
		copy[i] = old[i];
	}
	struct scrape_run **runs = match_runs(job, found, copy, old_count);
	lock_take(&job->shared->lock);
	job->runs = runs;
	job->run_count = found->count;
	job->dropped = found->dropped;
	job->dropped_count = found->dropped_count;
	job->dropped_total = found->dropped_total;
	lock_drop(&job->shared->lock);
	for (size_t i = 0; i < found->count; i++) {
		if (runs[i]->target != found->items[i]) {
			scrape_run_set_target(runs[i], found->items[i]);
		}
	}
	for (size_t i = 0; i < old_count; i++) {
		if (copy[i]) {
			scrape_run_stop(copy[i], true);
		}
	}
	free(copy);
	free(old);
	targets_free(old_dropped, old_dropped_count);
	targets_free(found->items, found->count);
}

static void sync_now(struct scrape_job *job) {
	struct found found = { 0 };

	job->last_sync_ns = clock_mono_ns(job->shared->clock);
	loop_timer_clear(job->shared->options.loop, &job->timer);
	find_targets(job, &found);
	sort_targets(&found);
	exchange(job, &found);
	check_target_limit(job, job->run_count);
	metric_inc(scrape_metric_of(job->shared->metrics.pool_syncs, job->name));
	metric_set(scrape_metric_of(job->shared->metrics.pool_targets, job->name),
		(double)job->run_count);
	metric_set(scrape_metric_of(job->shared->metrics.pool_target_limit, job->name),
		(double)job->settings->limits.target_limit);
}

static void on_timer(struct timer *timer) {
	sync_now(CONTAINER_OF(timer, struct scrape_job, timer));
}

/* Discovery changed something: at once, but not more often than is set. */
static void on_change(void *context) {
	struct scrape_job *job = context;
	int64_t earliest_ns =
		job->last_sync_ns + job->shared->options.discovery_reload_ms * NS_PER_MS;

	if (clock_mono_ns(job->shared->clock) >= earliest_ns) {
		sync_now(job);
	} else {
		loop_timer_set(job->shared->options.loop, &job->timer, earliest_ns);
	}
}

static void discover(struct scrape_job *job) {
	job->discovery = discovery_start(job->shared->options.loop, job->shared->options.pool,
		job->config, job->settings, job->shared->options.metrics, on_change, job);
}

struct scrape_job *scrape_job_start(
	struct scrape_shared *shared, struct config *config, const struct config_scrape *settings) {
	struct scrape_job *job = MEMORY_NEW(struct scrape_job, 1);
	*job = (struct scrape_job){ .shared = shared,
		.name = strndup(settings->job_name.ptr, settings->job_name.len),
		.config = config_ref(config),
		.settings = settings,
		.timer = { .run = on_timer } };
	CHECK(job->name);
	metric_inc(shared->metrics.pools);
	discover(job);
	sync_now(job);
	return job;
}

void scrape_job_change(
	struct scrape_job *job, struct config *config, const struct config_scrape *settings) {
	bool same_shape = job->settings->shape_hash == settings->shape_hash;
	struct config *old = job->config;

	metric_inc(job->shared->metrics.reloads);
	discovery_stop(job->discovery);
	job->config = config_ref(config);
	job->settings = settings;
	for (size_t i = 0; i < job->run_count; i++) {
		job->runs[i]->job = settings;
		job->runs[i]->folder = job->config->folder;
		if (!same_shape) {
			scrape_run_forget_series(job->runs[i]);
		}
	}
	discover(job);
	sync_now(job);
	config_unref(old);
}

void scrape_job_stop(struct scrape_job *job, bool marks_end) {
	loop_timer_clear(job->shared->options.loop, &job->timer);
	discovery_stop(job->discovery);
	for (size_t i = 0; i < job->run_count; i++) {
		scrape_run_stop(job->runs[i], marks_end);
	}
	free(job->runs);
	targets_free(job->dropped, job->dropped_count);
	const char *const values[] = { job->name, NULL };
	metric_remove(job->shared->metrics.pool_syncs, values);
	metric_remove(job->shared->metrics.pool_targets, values);
	metric_remove(job->shared->metrics.pool_target_limit, values);
	metric_remove(job->shared->metrics.sync_failures, values);
	config_unref(job->config);
	free(job->name);
	free(job);
}
