/*
 * What the API tells of targets and metadata, as JSON.
 *
 * The lists are copied under the lock, with references; each target's status is read under it for a
 * moment, so that a long answer never holds up the scrape loop.
 */
#include "base/memory.h"
#include "codec/json_writer.h"
#include "scrape/scraper.h"
#include "scrape/url.h"

#include <stdlib.h>

struct listed {
	const char *job; /* In the document's arena. */
	struct target *target;
	bool is_dropped;
};

struct document {
	struct scraper *scraper;
	struct arena arena;
	struct listed *items;
	size_t count;
	struct {
		const char *job;
		size_t dropped;
	} * jobs;
	size_t job_count;
};

static void document_deinit(struct document *document) {
	for (size_t i = 0; i < document->count; i++) {
		target_unref(document->items[i].target);
	}
	arena_deinit(&document->arena);
}

static void list_target(
	struct document *document, const char *job, struct target *target, bool is_dropped) {
	document->items[document->count++] = (struct listed){ job, target_ref(target), is_dropped };
}

static int cmp_listed(const void *a, const void *b) {
	const struct listed *left = a;
	const struct listed *right = b;
	int cmp = strcmp(left->job, right->job);
	if (cmp == 0) {
		cmp = str_cmp(left->target->url, right->target->url);
	}
	return cmp != 0 ? cmp : labels_cmp(&left->target->discovered, &right->target->discovered);
}

/* Copies the lists: 'pool' limits to one job unless it is empty. */
static void collect(struct document *document, struct str pool) {
	struct lock *lock = &document->scraper->shared.lock;
	size_t max = 0;
	size_t job_max = 0;

	lock_take(lock);
	for (const struct scrape_job *job = document->scraper->jobs; job; job = job->next) {
		max += job->run_count + job->dropped_count;
		job_max++;
	}
	document->items = ARENA_NEW(&document->arena, struct listed, max + 1);
	document->jobs = arena_alloc(&document->arena, job_max + 1, sizeof(*document->jobs));
	for (const struct scrape_job *job = document->scraper->jobs; job; job = job->next) {
		const char *name = arena_copy(&document->arena, str_of(job->name)).ptr;
		document->jobs[document->job_count].job = name;
		document->jobs[document->job_count++].dropped = job->dropped_total;
		if (pool.len > 0 && !str_equal(pool, str_of(name))) {
			continue;
		}
		for (size_t i = 0; i < job->run_count; i++) {
			list_target(document, name, job->runs[i]->target, false);
		}
		for (size_t i = 0; i < job->dropped_count; i++) {
			list_target(document, name, job->dropped[i], true);
		}
	}
	lock_drop(lock);
	if (document->count > 1) {
		qsort(document->items, document->count, sizeof(document->items[0]), cmp_listed);
	}
}

static void put_labels(struct json_writer *json, const struct labels *labels) {
	json_begin_object(json);
	for (size_t i = 0; i < labels->count; i++) {
		json_key(json, labels->pairs[i].name);
		json_put_str(json, labels->pairs[i].value);
	}
	json_end_object(json);
}

static const char *health_text(enum target_health health) {
	switch (health) {
	case TARGET_UNKNOWN:
		return "unknown";
	case TARGET_UP:
		return "up";
	case TARGET_DOWN:
		return "down";
	}
	return "";
}

/* A copy of a target's status; the error's text is in the document's arena. */
static struct target_status read_status(
	struct document *document, struct target *target, struct str *last_error) {
	struct lock *lock = &document->scraper->shared.lock;
	lock_take(lock);
	struct target_status status = target->status;
	*last_error = status.last_error ? arena_copy(&document->arena, str_of(status.last_error))
					: STR_EMPTY;
	lock_drop(lock);
	return status;
}

static void put_active(
	struct document *document, const struct listed *listed, struct json_writer *json) {
	const struct scraper_options *options = &document->scraper->shared.options;
	struct target *target = listed->target;
	struct str last_error = STR_EMPTY;
	struct target_status status = read_status(document, target, &last_error);
	AUTO(buf_deinit) struct buf time = { 0 };

	if (status.last_scrape_ms != 0) {
		time_format_rfc3339(status.last_scrape_ms, &time);
	} else {
		buf_add_text(&time, "0001-01-01T00:00:00Z");
	}
	json_begin_object(json);
	json_key(json, STR("discoveredLabels"));
	put_labels(json, &target->discovered);
	json_key(json, STR("labels"));
	put_labels(json, &target->own);
	json_key(json, STR("scrapePool"));
	json_put_text(json, listed->job);
	json_key(json, STR("scrapeUrl"));
	json_put_str(json, target->url);
	json_key(json, STR("globalUrl"));
	json_put_str(json, url_global(&document->arena, target->url, str_of(options->external_host),
				   options->own_port));
	json_key(json, STR("lastError"));
	json_put_str(json, last_error);
	json_key(json, STR("lastScrape"));
	json_put_str(json, buf_str(&time));
	json_key(json, STR("lastScrapeDuration"));
	json_put_double(json, (double)status.last_duration_ns / (double)NS_PER_S);
	json_key(json, STR("health"));
	json_put_text(json, health_text(status.health));
	json_key(json, STR("scrapeInterval"));
	json_put_str(json, labels_get(&target->labels, STR("__scrape_interval__")));
	json_key(json, STR("scrapeTimeout"));
	json_put_str(json, labels_get(&target->labels, STR("__scrape_timeout__")));
	json_end_object(json);
}

static void put_dropped(const struct listed *listed, struct json_writer *json) {
	json_begin_object(json);
	json_key(json, STR("discoveredLabels"));
	put_labels(json, &listed->target->discovered);
	json_key(json, STR("scrapePool"));
	json_put_text(json, listed->job);
	json_end_object(json);
}

static void put_dropped_counts(
	const struct document *document, bool is_shown, struct json_writer *json) {
	json_key(json, STR("droppedTargetCounts"));
	if (!is_shown) {
		json_put_null(json);
		return;
	}
	json_begin_object(json);
	for (size_t i = 0; i < document->job_count; i++) {
		json_key(json, str_of(document->jobs[i].job));
		json_put_int(json, (int64_t)document->jobs[i].dropped);
	}
	json_end_object(json);
}

static void put_targets(struct document *document, struct str args, struct json_writer *json) {
	struct str state = url_query_value(&document->arena, args, STR("state"));
	struct str pool = url_query_value(&document->arena, args, STR("scrapePool"));
	bool shows_all = state.len == 0 || str_equal_nocase(state, STR("any"));
	bool shows_active = shows_all || str_equal_nocase(state, STR("active"));
	bool shows_dropped = shows_all || str_equal_nocase(state, STR("dropped"));

	collect(document, pool);
	json_begin_object(json);
	json_key(json, STR("activeTargets"));
	json_begin_array(json);
	for (size_t i = 0; shows_active && i < document->count; i++) {
		if (!document->items[i].is_dropped) {
			put_active(document, &document->items[i], json);
		}
	}
	json_end_array(json);
	json_key(json, STR("droppedTargets"));
	json_begin_array(json);
	for (size_t i = 0; shows_dropped && i < document->count; i++) {
		if (document->items[i].is_dropped) {
			put_dropped(&document->items[i], json);
		}
	}
	json_end_array(json);
	put_dropped_counts(document, shows_dropped, json);
	json_end_object(json);
}

static int cmp_names(const void *a, const void *b) {
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void put_pools(struct document *document, struct json_writer *json) {
	collect(document, STR_EMPTY);
	const char **names = ARENA_NEW(&document->arena, const char *, document->job_count + 1);
	for (size_t i = 0; i < document->job_count; i++) {
		names[i] = document->jobs[i].job;
	}
	qsort(names, document->job_count, sizeof(names[0]), cmp_names);
	json_begin_object(json);
	json_key(json, STR("scrapePools"));
	json_begin_array(json);
	for (size_t i = 0; i < document->job_count; i++) {
		json_put_text(json, names[i]);
	}
	json_end_array(json);
	json_end_object(json);
}

static int cmp_families(const void *a, const void *b) {
	const struct family *left = *(const struct family *const *)a;
	const struct family *right = *(const struct family *const *)b;
	int cmp = str_cmp(left->name, right->name);
	if (cmp == 0) {
		cmp = (left->type > right->type) - (left->type < right->type);
	}
	if (cmp == 0) {
		cmp = str_cmp(left->help, right->help);
	}
	return cmp != 0 ? cmp : str_cmp(left->unit, right->unit);
}

/* All families of the targets, of one name unless that is empty. */
static size_t gather_families(struct document *document, struct families **sets, struct str metric,
	const struct family ***out) {
	size_t max = 0;
	size_t count = 0;

	for (size_t i = 0; i < document->count; i++) {
		max += sets[i] ? sets[i]->count : 0;
	}
	const struct family **list = ARENA_NEW(&document->arena, const struct family *, max + 1);
	for (size_t i = 0; i < document->count; i++) {
		for (size_t j = 0; sets[i] && j < sets[i]->count; j++) {
			const struct family *family = &sets[i]->items[j];
			bool is_wanted = metric.len == 0 || str_equal(metric, family->name);
			list[count] = family;
			count += is_wanted;
		}
	}
	*out = list;
	return count;
}

/* As gather_families, sorted, none twice. */
static size_t list_families(struct document *document, struct families **sets, struct str metric,
	const struct family ***out) {
	size_t count = gather_families(document, sets, metric, out);
	const struct family **list = *out;
	size_t kept = 0;

	if (count > 1) {
		qsort(list, count, sizeof(const struct family *), cmp_families);
	}
	for (size_t i = 0; i < count; i++) {
		if (kept == 0 || cmp_families(&list[kept - 1], &list[i]) != 0) {
			list[kept++] = list[i];
		}
	}
	return kept;
}

static void put_family(const struct family *family, struct json_writer *json) {
	json_begin_object(json);
	json_key(json, STR("type"));
	json_put_text(json, metric_type_name(family->type));
	json_key(json, STR("help"));
	json_put_str(json, family->help);
	json_key(json, STR("unit"));
	json_put_str(json, family->unit);
	json_end_object(json);
}

/* A limit of the query string: -1 where there is none. */
static int read_limit(
	struct arena *arena, struct str args, struct str name, int64_t *out, struct err *err) {
	struct str text = url_query_value(arena, args, name);
	*out = -1;
	if (text.len > 0 && !str_to_i64(text, out)) {
		return err_set(err, ERR_INVAL, "%.*s must be a number", STR_ARG(name));
	}
	return 0;
}

/* Writes the families of one name as a list; returns how many there were. */
static size_t put_name(const struct family **list, size_t count, int64_t limit_per_metric,
	struct json_writer *json) {
	size_t same = 0;

	json_key(json, list[0]->name);
	json_begin_array(json);
	for (; same < count && str_equal(list[same]->name, list[0]->name); same++) {
		if (limit_per_metric <= 0 || (int64_t)same < limit_per_metric) {
			put_family(list[same], json);
		}
	}
	json_end_array(json);
	return same;
}

static void put_families(const struct family **list, size_t count, int64_t limit,
	int64_t limit_per_metric, struct json_writer *json) {
	int64_t names = 0;

	json_begin_object(json);
	for (size_t i = 0; i < count && (limit < 0 || names < limit); names++) {
		i += put_name(list + i, count - i, limit_per_metric, json);
	}
	json_end_object(json);
}

static int put_metadata(
	struct document *document, struct str args, struct json_writer *json, struct err *err) {
	struct str metric = url_query_value(&document->arena, args, STR("metric"));
	const struct family **list = NULL;
	int64_t limit = -1;
	int64_t limit_per_metric = -1;

	int rc = read_limit(&document->arena, args, STR("limit"), &limit, err);
	if (rc == 0) {
		rc = read_limit(
			&document->arena, args, STR("limit_per_metric"), &limit_per_metric, err);
	}
	if (rc < 0) {
		return rc;
	}
	collect(document, STR_EMPTY);
	struct families **sets =
		ARENA_NEW(&document->arena, struct families *, document->count + 1);
	struct lock *lock = &document->scraper->shared.lock;
	for (size_t i = 0; i < document->count; i++) {
		lock_take(lock);
		struct families *families = document->items[i].target->status.families;
		sets[i] = families ? families_ref(families) : NULL;
		lock_drop(lock);
	}
	size_t count = list_families(document, sets, metric, &list);
	put_families(list, count, limit, limit_per_metric, json);
	for (size_t i = 0; i < document->count; i++) {
		families_unref(sets[i]);
	}
	return 0;
}

int scraper_document(
	void *context, struct str path, struct str args, struct buf *out, struct err *err) {
	AUTO(document_deinit) struct document document = { .scraper = context };
	struct json_writer json;
	int rc = 0;

	json_writer_init(&json, out);
	if (str_equal(path, STR("targets"))) {
		put_targets(&document, args, &json);
	} else if (str_equal(path, STR("scrape_pools"))) {
		put_pools(&document, &json);
	} else if (str_equal(path, STR("metadata"))) {
		rc = put_metadata(&document, args, &json, err);
	} else {
		rc = err_set(err, ERR_ABSENT, "a scraper has no document \"%.*s\"", STR_ARG(path));
	}
	return rc;
}
