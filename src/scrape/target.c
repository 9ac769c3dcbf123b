#include "scrape/target.h"

#include "base/hash.h"
#include "base/memory.h"
#include "base/quote.h"
#include "scrape/url.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* Labels that a job gives unless discovery did. */
#define JOB_LABELS_MAX 8

struct families *families_ref(struct families *families) {
	/* Relaxed: whoever hands us the pointer holds a reference already. */
	atomic_fetch_add_explicit(&families->refs, 1, memory_order_relaxed);
	return families;
}

void families_unref(struct families *families) {
	/* Release what this owner did; acquire what the others did before the last one frees. */
	if (families && atomic_fetch_sub_explicit(&families->refs, 1, memory_order_acq_rel) == 1) {
		arena_deinit(&families->arena);
		free(families);
	}
}

struct target *target_ref(struct target *target) {
	/* Relaxed, as above. */
	atomic_fetch_add_explicit(&target->refs, 1, memory_order_relaxed);
	return target;
}

void target_unref(struct target *target) {
	/* As families_unref. */
	if (target && atomic_fetch_sub_explicit(&target->refs, 1, memory_order_acq_rel) == 1) {
		free(target->status.last_error);
		families_unref(target->status.families);
		arena_deinit(&target->arena);
		free(target);
	}
}

static int cmp_families(const void *a, const void *b) {
	return str_cmp(((const struct family *)a)->name, ((const struct family *)b)->name);
}

struct family_list {
	struct family *items;
	size_t count;
	size_t capacity;
};

/* The family of that name, the newest first: its lines mostly stand together. */
static struct family *family_of(
	struct families *families, struct family_list *list, struct str name) {
	for (size_t i = list->count; i > 0 && i + 8 > list->count; i--) {
		if (str_equal(list->items[i - 1].name, name)) {
			return &list->items[i - 1];
		}
	}
	if (list->count == list->capacity) {
		list->capacity = list->capacity * 2 + 64;
		list->items = memory_resize(list->items, list->capacity, sizeof(list->items[0]));
	}
	list->items[list->count] = (struct family){
		.name = arena_copy(&families->arena, name), .help = STR_EMPTY, .unit = STR_EMPTY
	};
	return &list->items[list->count++];
}

static void note_entry(struct families *families, struct family_list *list,
	const struct exposition *reader, int entry, struct buf *scratch) {
	if (entry != EXPOSITION_TYPE && entry != EXPOSITION_HELP && entry != EXPOSITION_UNIT) {
		return;
	}
	struct family *family = family_of(families, list, reader->metric);
	if (entry == EXPOSITION_TYPE) {
		family->type = reader->type;
	} else if (entry == EXPOSITION_HELP) {
		family->help = arena_copy(&families->arena, exposition_help(reader, scratch));
	} else {
		family->unit = arena_copy(&families->arena, reader->text);
	}
}

/* Joins families whose lines stood apart; 'list' is sorted. */
static void merge_families(struct family_list *list) {
	size_t kept = 0;
	for (size_t i = 0; i < list->count; i++) {
		struct family *last = kept > 0 ? &list->items[kept - 1] : NULL;
		const struct family *family = &list->items[i];
		if (!last || !str_equal(last->name, family->name)) {
			list->items[kept++] = *family;
			continue;
		}
		last->help = family->help.len > 0 ? family->help : last->help;
		last->unit = family->unit.len > 0 ? family->unit : last->unit;
		last->type = family->type != METRIC_TYPE_UNKNOWN ? family->type : last->type;
	}
	list->count = kept;
}

struct families *families_new(enum exposition_format format, struct buf *body) {
	AUTO(buf_deinit) struct buf scratch = { 0 };
	struct families *families = MEMORY_NEW(struct families, 1);
	struct family_list list = { 0 };
	struct exposition reader;
	struct err err = { 0 };
	int entry = 0;

	atomic_init(&families->refs, 1);
	exposition_init(&reader, format, body);
	while ((entry = exposition_next(&reader, &err)) > 0) {
		note_entry(families, &list, &reader, entry, &scratch);
	}
	if (list.count > 0) {
		qsort(list.items, list.count, sizeof(list.items[0]), cmp_families);
		merge_families(&list);
	}
	struct family *items = ARENA_NEW(&families->arena, struct family, list.count + 1);
	for (size_t i = 0; i < list.count; i++) {
		items[i] = list.items[i];
	}
	families->items = items;
	families->count = list.count;
	free(list.items);
	return families;
}

struct pairs {
	struct label *items;
	size_t count;
};

/* Adds a pair unless its name is there with a value. */
static void add_missing(struct pairs *pairs, struct str name, struct str value) {
	size_t at = 0;
	while (at < pairs->count && !str_equal(pairs->items[at].name, name)) {
		at++;
	}
	if (at == pairs->count) {
		pairs->items[pairs->count++] = (struct label){ name, value };
	} else if (pairs->items[at].value.len == 0) {
		pairs->items[at].value = value;
	}
}

static struct str duration_text(struct arena *arena, int64_t ms) {
	AUTO(buf_deinit) struct buf text = { 0 };
	config_duration_format(ms, &text);
	return arena_copy(arena, buf_str(&text));
}

static int discover_labels(struct target *target, const struct config_scrape *job,
	const struct config_targets *group, struct str address, struct err *err) {
	struct arena *arena = &target->arena;
	struct pairs pairs = { 0 };

	pairs.items = ARENA_NEW(
		arena, struct label, group->labels.count + job->params.count + JOB_LABELS_MAX + 1);
	pairs.items[pairs.count++] = (struct label){ STR("__address__"), address };
	for (size_t i = 0; i < group->labels.count; i++) {
		add_missing(&pairs, group->labels.pairs[i].name, group->labels.pairs[i].value);
	}
	add_missing(&pairs, STR("job"), job->job_name);
	add_missing(
		&pairs, STR("__scrape_interval__"), duration_text(arena, job->scrape_interval_ms));
	add_missing(
		&pairs, STR("__scrape_timeout__"), duration_text(arena, job->scrape_timeout_ms));
	add_missing(&pairs, STR("__metrics_path__"), job->metrics_path);
	add_missing(&pairs, STR("__scheme__"), job->scheme);
	for (size_t i = 0; i < job->params.count; i++) {
		const struct config_param *param = &job->params.items[i];
		if (param->values.count > 0) {
			add_missing(&pairs,
				arena_printf(arena, "__param_%.*s", STR_ARG(param->name)),
				param->values.items[0]);
		}
	}
	return labels_build(arena, pairs.items, pairs.count, &target->discovered, err);
}

static int read_duration(const struct labels *labels, struct str name, const char *what,
	int64_t *ms, struct err *err) {
	int rc = config_duration_parse(labels_get(labels, name), ms, err);
	if (rc < 0) {
		return err_wrap(err, rc, "error parsing %s", what);
	}
	return *ms > 0 ? 0 : err_set(err, ERR_INVAL, "%s cannot be 0", what);
}

static int read_times(struct target *target, struct err *err) {
	const struct labels *labels = &target->labels;
	int rc = read_duration(
		labels, STR("__scrape_interval__"), "scrape interval", &target->interval_ms, err);
	if (rc == 0) {
		rc = read_duration(labels, STR("__scrape_timeout__"), "scrape timeout",
			&target->timeout_ms, err);
	}
	if (rc == 0 && target->timeout_ms > target->interval_ms) {
		struct str timeout = labels_get(labels, STR("__scrape_timeout__"));
		struct str interval = labels_get(labels, STR("__scrape_interval__"));
		rc = err_set(err, ERR_INVAL,
			"scrape timeout cannot be greater than scrape interval (\"%.*s\" > "
			"\"%.*s\")",
			STR_ARG(timeout), STR_ARG(interval));
	}
	return rc;
}

static int check_address(struct str address, struct err *err) {
	if (address.len == 0) {
		return err_set(err, ERR_INVAL, "no address");
	}
	if (str_find(address, '/') != SIZE_MAX) {
		return err_set(
			err, ERR_INVAL, "\"%.*s\" is not a valid hostname", STR_ARG(address));
	}
	return 0;
}

static int check_values(const struct labels *labels, struct err *err) {
	for (size_t i = 0; i < labels->count; i++) {
		if (!str_is_utf8(labels->pairs[i].value)) {
			AUTO(buf_deinit) struct buf value = { 0 };
			quote_append(labels->pairs[i].value, &value);
			return err_set(err, ERR_INVAL, "invalid label value for \"%.*s\": %s",
				STR_ARG(labels->pairs[i].name), buf_text(&value));
		}
	}
	return 0;
}

/* Takes off the __meta_ labels and gives the instance its name. */
static int finish_labels(struct target *target, struct err *err) {
	struct arena *arena = &target->arena;
	const struct labels *all = &target->labels;
	struct label *pairs = ARENA_NEW(arena, struct label, all->count + 1);
	struct label *own = ARENA_NEW(arena, struct label, all->count + 1);
	size_t count = 0;
	size_t own_count = 0;

	for (size_t i = 0; i < all->count; i++) {
		if (!str_starts(all->pairs[i].name, STR("__meta_"))) {
			pairs[count++] = all->pairs[i];
		}
	}
	if (labels_get(all, STR("instance")).len == 0) {
		pairs[count++] =
			(struct label){ STR("instance"), labels_get(all, STR("__address__")) };
	}
	int rc = labels_build(arena, pairs, count, &target->labels, err);
	if (rc < 0) {
		return rc;
	}
	for (size_t i = 0; i < target->labels.count; i++) {
		if (!str_starts(target->labels.pairs[i].name, STR("__"))) {
			own[own_count++] = target->labels.pairs[i];
		}
	}
	target->own = (struct labels){ own, own_count };
	return check_values(&target->labels, err);
}

static uint64_t hash_target(const struct target *target) {
	char text[32];
	int len = snprintf(text, sizeof(text), "%016" PRIu64, labels_hash(&target->labels));
	uint64_t hash = hash_fnv64a(HASH_FNV_INIT, (struct str){ text, (size_t)len });
	return hash_fnv64a(hash, target->url);
}

static int build(struct target *target, const struct config_scrape *job,
	const struct config_targets *group, struct str address, struct err *err) {
	int rc = discover_labels(target, job, group, address, err);
	if (rc < 0) {
		return rc;
	}
	target->labels = target->discovered;
	if (!relabel_apply(job->relabel_configs.items, job->relabel_configs.count,
		    &target->discovered, &target->arena, &target->labels)) {
		target->labels = (struct labels){ 0 };
		return 0;
	}
	rc = check_address(labels_get(&target->labels, STR("__address__")), err);
	if (rc == 0) {
		rc = read_times(target, err);
	}
	if (rc == 0) {
		rc = finish_labels(target, err);
	}
	if (rc == 0) {
		target->url = url_of_target(&target->arena, &target->labels, &job->params);
		target->hash = hash_target(target);
	}
	return rc;
}

int target_new(const struct config_scrape *job, const struct config_targets *group,
	struct str address, struct target **out, struct err *err) {
	struct target *target = MEMORY_NEW(struct target, 1);

	atomic_init(&target->refs, 1);
	int rc = build(target, job, group, address, err);
	if (rc < 0) {
		target_unref(target);
		return rc;
	}
	*out = target;
	return 0;
}
