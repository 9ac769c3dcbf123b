#include "scrape/ending.h"

#include "base/log.h"
#include "base/memory.h"

#include <stdlib.h>

static void ending_free(struct ending *ending) {
	struct ending **at = &ending->shared->endings;
	while (*at != ending) {
		at = &(*at)->next;
	}
	*at = ending->next;
	loop_timer_clear(ending->shared->options.loop, &ending->timer);
	free(ending->refs);
	free(ending);
}

static int append_marks(struct ending *ending, struct appender *appender, struct err *err) {
	double stale = double_of_bits(STALE_NAN_BITS);
	for (size_t i = 0; i < ending->count; i++) {
		/* A refused mark is one that is not needed. */
		int rc = appender_append(
			appender, &ending->refs[i], NULL, ending->time_ms, stale, err);
		if (rc < 0) {
			return rc;
		}
	}
	return 0;
}

static void on_due(struct timer *timer) {
	struct ending *ending = CONTAINER_OF(timer, struct ending, timer);
	struct appendable *appendable = ending->shared->options.appendable;
	struct appender *appender = appendable->begin(appendable);
	struct err err = { 0 };

	int rc = append_marks(ending, appender, &err);
	if (rc < 0) {
		appender_rollback(appender);
	} else {
		rc = appender_commit(appender, &err);
	}
	if (rc < 0) {
		log_warn("cannot mark the end of series", KV_INT("series", ending->count),
			KV_ERR(&err));
	}
	ending_free(ending);
}

void ending_start(struct scrape_run *run) {
	struct scrape_shared *shared = run->shared;
	const struct scrape_cache *cache = &run->cache;
	int64_t interval_ms = run->target->interval_ms;
	struct ending *ending = MEMORY_NEW(struct ending, 1);

	*ending = (struct ending){ .timer = { .run = on_due },
		.next = shared->endings,
		.shared = shared,
		.time_ms = run->due_ms,
		.refs = MEMORY_NEW(struct series_ref, cache->live_count + RUN_REPORTS) };
	for (uint32_t i = 1; i < cache->count; i++) {
		if (cache->items[i].hint.mark & CACHE_LIVE) {
			ending->refs[ending->count++] = cache->items[i].ref;
		}
	}
	for (size_t i = 0; i < RUN_REPORTS; i++) {
		if (run->reports[i].v != 0) {
			ending->refs[ending->count++] = run->reports[i];
		}
	}
	shared->endings = ending;
	int64_t wait_ms =
		run->due_ms - clock_now_ms(shared->clock) + interval_ms + interval_ms / 10;
	loop_timer_after_ms(shared->options.loop, &ending->timer, wait_ms > 0 ? wait_ms : 0);
}

void endings_free(struct scrape_shared *shared) {
	struct ending *next = NULL;
	for (struct ending *ending = shared->endings; ending; ending = next) {
		next = ending->next;
		ending_free(ending);
	}
}
