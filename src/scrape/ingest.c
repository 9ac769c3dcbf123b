#include "scrape/ingest.h"

#include <inttypes.h>

/* Prometheus' text; the reader of /targets knows it. */
static int sample_limit_error(const struct ingest *ingest, struct err *err) {
	return err_set(err, ERR_LIMIT,
		"sample limit exceeded: %" PRIu64
		" samples, sample_limit of job \"%.*s\" is %" PRId64,
		ingest->appended, STR_ARG(ingest->job->job_name), ingest->job->limits.sample_limit);
}

/* Counts what a store refused. Returns whether the sample was taken. */
static bool note_outcome(struct ingest *ingest, int outcome) {
	switch (outcome) {
	case APPEND_OUT_OF_ORDER:
		ingest->counts.out_of_order++;
		return false;
	case APPEND_DUPLICATE:
		ingest->counts.duplicates++;
		return false;
	case APPEND_TOO_OLD:
		ingest->counts.out_of_bounds++;
		return false;
	default:
		return true;
	}
}

/* Appends within the limits that do not depend on labels. Returns as appender_append. */
static int append_sample(struct ingest *ingest, struct series_ref *ref, const struct labels *set,
	int64_t time_ms, double value, struct err *err) {
	int64_t limit = ingest->job->limits.sample_limit;

	if (limit > 0 && ingest->appended > (uint64_t)limit) {
		ingest->counts.sample_limit_hit = true;
		return APPEND_OK;
	}
	if (time_ms > ingest->now_ms + INGEST_AHEAD_MS) {
		return APPEND_TOO_OLD;
	}
	return appender_append(ingest->appender, ref, set, time_ms, value, err);
}

static bool is_tracked(const struct ingest *ingest, const struct exposition *reader) {
	return !reader->has_time || !ingest->job->honor_timestamps ||
	       ingest->job->track_timestamps_staleness;
}

static int64_t time_of(const struct ingest *ingest, const struct exposition *reader) {
	return reader->has_time && ingest->job->honor_timestamps ? reader->time_ms
								 : ingest->time_ms;
}

static int wrap_labels(struct ingest *ingest, int rc) {
	ingest->counts.label_limit_hit = rc == ERR_LIMIT;
	return rc;
}

/* A series that the cache does not know: it is kept there only if a sample of it was taken. */
static int add_series(struct ingest *ingest, const struct exposition *reader, struct err *err) {
	struct labels set = { 0 };
	struct series_ref ref = { 0 };

	int rc = ingest_labels(ingest, reader->series, reader->type, &set, err);
	if (rc < 0) {
		return wrap_labels(ingest, rc);
	}
	if (set.count == 0) {
		struct cache_item *item = cache_add(
			ingest->cache, reader->series, EXPOSITION_SERIES, METRIC_TYPE_UNKNOWN);
		item->hint.mark = CACHE_DROPPED;
		(void)cache_see(ingest->cache, item);
		return 0;
	}
	ingest->appended++;
	rc = append_sample(ingest, &ref, &set, time_of(ingest, reader), reader->value, err);
	if (rc < 0) {
		return rc;
	}
	ingest->counts.kept++;
	if (!note_outcome(ingest, rc) || ref.v == 0) {
		return 0;
	}
	struct cache_item *item =
		cache_add(ingest->cache, reader->series, EXPOSITION_SERIES, METRIC_TYPE_UNKNOWN);
	item->ref = ref;
	(void)cache_see(ingest->cache, item);
	if (!is_tracked(ingest, reader)) {
		cache_untrack(ingest->cache, item);
	}
	ingest->counts.added += !ingest->counts.sample_limit_hit;
	return 0;
}

/* The store dropped the series since the last scrape: make it again. */
static int renew_series(struct ingest *ingest, struct cache_item *item,
	const struct exposition *reader, struct err *err) {
	struct labels set = { 0 };

	int rc = ingest_labels(ingest, reader->series, (enum metric_type)reader->type, &set, err);
	if (rc < 0) {
		return wrap_labels(ingest, rc);
	}
	item->ref = (struct series_ref){ 0 };
	return append_sample(ingest, &item->ref, &set, time_of(ingest, reader), reader->value, err);
}

static int append_known(struct ingest *ingest, struct cache_item *item,
	const struct exposition *reader, struct err *err) {
	bool is_first = cache_see(ingest->cache, item);

	if (item->hint.mark & CACHE_DROPPED) {
		return 0;
	}
	if (!is_first && !(reader->has_time && ingest->job->honor_timestamps)) {
		ingest->counts.kept++;
		ingest->counts.duplicates++;
		return 0;
	}
	ingest->appended++;
	int rc = append_sample(
		ingest, &item->ref, NULL, time_of(ingest, reader), reader->value, err);
	if (rc == APPEND_UNKNOWN_REF) {
		rc = renew_series(ingest, item, reader, err);
	}
	if (rc < 0) {
		return rc;
	}
	ingest->counts.kept++;
	if (note_outcome(ingest, rc) && !is_tracked(ingest, reader)) {
		cache_untrack(ingest->cache, item);
	}
	return 0;
}

static int take_series(struct ingest *ingest, const struct exposition *reader, struct err *err) {
	struct cache_item *item =
		reader->hint_held ? cache_follow(ingest->cache)
				  : cache_find(ingest->cache, reader->series, EXPOSITION_SERIES);

	ingest->counts.scraped++;
	return item ? append_known(ingest, item, reader, err) : add_series(ingest, reader, err);
}

static void take_metadata(struct ingest *ingest, const struct exposition *reader, int entry) {
	struct cache_item *item = reader->hint_held ? cache_follow(ingest->cache)
						    : cache_find(ingest->cache, reader->entry,
							      (enum exposition_entry)entry);

	if (!item) {
		item = cache_add(
			ingest->cache, reader->entry, (enum exposition_entry)entry, reader->type);
		ingest->metadata_changed |= entry != EXPOSITION_COMMENT;
	}
	(void)cache_see(ingest->cache, item);
}

static int end_series(void *context, struct series_ref ref, struct err *err) {
	struct ingest *ingest = context;
	double stale = double_of_bits(STALE_NAN_BITS);

	/* A refused mark is no harm: the series went on under another scrape, or is long gone. */
	int rc = appender_append(ingest->appender, &ref, NULL, ingest->time_ms, stale, err);
	return rc < 0 ? rc : 0;
}

int ingest_body(
	struct ingest *ingest, enum exposition_format format, struct buf *body, struct err *err) {
	struct scrape_cache *cache = ingest->cache;
	struct exposition reader;
	int rc = 0;

	exposition_init(&reader, format, body);
	reader.seed = cache->seed;
	for (;;) {
		reader.hint = cache_hint(cache);
		int entry = exposition_next(&reader, err);
		if (entry <= 0) {
			rc = entry;
			break;
		}
		if (entry != EXPOSITION_SERIES) {
			take_metadata(ingest, &reader, entry);
			continue;
		}
		rc = take_series(ingest, &reader, err);
		if (rc < 0) {
			break;
		}
	}
	if (rc == 0 && ingest->counts.sample_limit_hit) {
		rc = sample_limit_error(ingest, err);
	}
	if (rc == 0) {
		rc = cache_end_series(cache, false, end_series, ingest, err);
	}
	return rc;
}

int ingest_failure(struct ingest *ingest, struct err *err) {
	return cache_end_series(ingest->cache, true, end_series, ingest, err);
}
