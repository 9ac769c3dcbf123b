/*
 * A store for tests: series and samples in plain arrays, committed or not, with the outcomes that a
 * real one has.
 */
#ifndef SCRAPE_FAKE_STORE_H
#define SCRAPE_FAKE_STORE_H

#include "base/buf.h"
#include "base/memory.h"
#include "store/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FAKE_SERIES_MAX 4096

struct fake_sample {
	int64_t time_ms;
	double value;
};

struct fake_series {
	char *name;
	struct fake_sample *samples;
	size_t count;
	size_t committed; /* Of 'count'. */
	bool forgotten;   /* Its reference is not known any more. */
};

struct fake_store {
	struct appendable appendable;
	struct appender appender;
	struct fake_series *series; /* FAKE_SERIES_MAX */
	size_t count;
	int64_t min_ms; /* Older samples are too old. */
	bool is_open;   /* A transaction is under way. */
	bool fails;     /* Appending is an error. */
	size_t commit_count;
	size_t labels_count; /* Appends that came with labels. */
};

static struct fake_series *fake_find(struct fake_store *store, const char *name) {
	for (size_t i = 0; i < store->count; i++) {
		if (strcmp(store->series[i].name, name) == 0) {
			return &store->series[i];
		}
	}
	return NULL;
}

static int fake_append(struct appender *appender, struct series_ref *ref, const struct labels *set,
	int64_t time_ms, double value, struct err *err) {
	struct fake_store *store = CONTAINER_OF(appender, struct fake_store, appender);
	if (store->fails) {
		return err_set(err, ERR_IO, "the fake store fails");
	}
	if (time_ms < store->min_ms) {
		return APPEND_TOO_OLD;
	}
	if (ref->v == 0) {
		AUTO(buf_deinit) struct buf name = { 0 };
		labels_format(set, &name);
		store->labels_count++;
		struct fake_series *found = fake_find(store, buf_text(&name));
		if (!found) {
			found = &store->series[store->count++];
			*found = (struct fake_series){ .name = buf_take(&name) };
		}
		found->forgotten = false;
		ref->v = (uint64_t)(found - store->series) + 1;
	}
	struct fake_series *series = &store->series[ref->v - 1];
	if (series->forgotten) {
		return APPEND_UNKNOWN_REF;
	}
	const struct fake_sample *last =
		series->count > 0 ? &series->samples[series->count - 1] : NULL;
	if (last && last->time_ms > time_ms) {
		return APPEND_OUT_OF_ORDER;
	}
	if (last && last->time_ms == time_ms) {
		return double_bits(last->value) == double_bits(value) ? APPEND_OK
								      : APPEND_DUPLICATE;
	}
	series->samples =
		memory_resize(series->samples, series->count + 1, sizeof(series->samples[0]));
	series->samples[series->count++] = (struct fake_sample){ time_ms, value };
	return APPEND_OK;
}

static int fake_commit(struct appender *appender, struct err *err) {
	struct fake_store *store = CONTAINER_OF(appender, struct fake_store, appender);
	(void)err;
	for (size_t i = 0; i < store->count; i++) {
		store->series[i].committed = store->series[i].count;
	}
	store->is_open = false;
	store->commit_count++;
	return 0;
}

static void fake_rollback(struct appender *appender) {
	struct fake_store *store = CONTAINER_OF(appender, struct fake_store, appender);
	for (size_t i = 0; i < store->count; i++) {
		store->series[i].count = store->series[i].committed;
	}
	store->is_open = false;
}

static struct appender *fake_begin(struct appendable *appendable) {
	struct fake_store *store = CONTAINER_OF(appendable, struct fake_store, appendable);
	static const struct appender_ops ops = { fake_append, fake_commit, fake_rollback };
	store->appender.ops = &ops;
	store->is_open = true;
	return &store->appender;
}

static void fake_init(struct fake_store *store) {
	memset(store, 0, sizeof(*store));
	store->series = MEMORY_NEW(struct fake_series, FAKE_SERIES_MAX);
	store->appendable.begin = fake_begin;
}

static void fake_deinit(struct fake_store *store) {
	for (size_t i = 0; i < store->count; i++) {
		free(store->series[i].name);
		free(store->series[i].samples);
	}
	free(store->series);
}

/* "name time=value time=value" of one series; "stale" for end marks. "" if it is not there. */
static inline const char *fake_dump(struct fake_store *store, const char *name) {
	static char text[4096];
	struct fake_series *series = fake_find(store, name);
	size_t len = 0;
	text[0] = '\0';
	for (size_t i = 0; series && i < series->committed && len < sizeof(text) - 64; i++) {
		const struct fake_sample *sample = &series->samples[i];
		int more = is_stale(sample->value)
				   ? snprintf(text + len, 64, "%s%lld=stale", i > 0 ? " " : "",
					     (long long)sample->time_ms)
				   : snprintf(text + len, 64, "%s%lld=%g", i > 0 ? " " : "",
					     (long long)sample->time_ms, sample->value);
		len += (size_t)more;
	}
	return text;
}

#endif
