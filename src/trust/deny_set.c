/*
 * The lists are the loop's. Of those in force an index is made, sorted words, and put in the place
 * of the old one under the lock.
 */
#include "trust/deny.h"

#include "base/check.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/thread.h"
#include "io/file.h"
#include "trust/identity.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_LINE STR("atoll-deny-lists 1")
#define SUFFIX STR(".deny")
/* A number is the time at which a list was signed; clocks may differ. */
#define AHEAD_MS_MAX (INT64_C(24) * 3600 * MS_PER_S)
/* Digests of files that were complained of. */
#define COMPLAINTS_MAX 64

struct held {
	struct held *next;
	struct buf text;
	bool is_by_anchor;
	char scope[IDENTITY_LEN_MAX + 1];
	int64_t number;
};

/* Words, sorted: "identity NAME", "serial DOMAIN NUMBER", "issuer DIGEST". */
struct index {
	struct arena arena;
	const char **words;
	size_t count;
	size_t capacity;
};

struct deny_set {
	char *directory;
	const struct clock *clock;
	struct buf anchors;
	struct held *lists; /* By what they are for. */
	size_t list_count;
	size_t bytes;
	uint64_t complaints[COMPLAINTS_MAX];
	size_t complaint_count;
	struct lock lock;
	struct index index; /* Guarded. */
};

struct deny_set *deny_set_new(const char *directory, const struct clock *clock) {
	struct deny_set *set = MEMORY_NEW(struct deny_set, 1);
	set->directory = strdup(directory);
	CHECK(set->directory);
	set->clock = clock;
	lock_init(&set->lock, LOCK_RANK_LEAF);
	return set;
}

static void index_deinit(struct index *index) {
	arena_deinit(&index->arena);
	free(index->words);
}

void deny_set_free(struct deny_set *set) {
	if (!set) {
		return;
	}
	while (set->lists) {
		struct held *held = set->lists;
		set->lists = held->next;
		buf_deinit(&held->text);
		free(held);
	}
	index_deinit(&set->index);
	lock_deinit(&set->lock);
	buf_deinit(&set->anchors);
	free(set->directory);
	free(set);
}

static int compare_words(const void *a, const void *b) {
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool has_word(const struct index *index, const char *word) {
	return index->count > 0 && bsearch(&word, index->words, index->count,
					   sizeof(index->words[0]), compare_words) != NULL;
}

static const char *word_of(
	struct arena *arena, const struct deny_list *list, const struct deny_entry *entry) {
	switch (entry->kind) {
	case DENY_IDENTITY:
		return arena_printf(arena, "identity %.*s", STR_ARG(entry->value)).ptr;
	case DENY_SERIAL:
		return arena_printf(
			arena, "serial %.*s %.*s", STR_ARG(list->scope), STR_ARG(entry->value))
			.ptr;
	case DENY_ISSUER:
	case DENY_KIND_COUNT:
		break;
	}
	return arena_printf(arena, "issuer %.*s", STR_ARG(entry->value)).ptr;
}

static void index_add(struct index *index, const struct deny_list *list) {
	size_t wanted = index->count + list->count;
	if (wanted > index->capacity) {
		index->capacity = wanted * 2;
		index->words =
			memory_resize(index->words, index->capacity, sizeof(index->words[0]));
	}
	for (size_t i = 0; i < list->count; i++) {
		index->words[index->count++] = word_of(&index->arena, list, &list->entries[i]);
	}
	if (index->count > 0) {
		qsort(index->words, index->count, sizeof(index->words[0]), compare_words);
	}
}

/* Adds the lists of anchors, or those of issuers that are not denied themselves. */
static void index_fill(const struct deny_set *set, bool is_by_anchor, struct index *index) {
	for (const struct held *held = set->lists; held; held = held->next) {
		struct deny_list list;
		char word[80];
		if (held->is_by_anchor != is_by_anchor ||
			deny_list_parse(buf_str(&held->text), buf_str(&set->anchors), &list, NULL) <
				0) {
			continue;
		}
		(void)snprintf(word, sizeof(word), "issuer %s", list.signer);
		if (!has_word(index, word)) {
			index_add(index, &list);
		}
		deny_list_deinit(&list);
	}
}

static void rebuild(struct deny_set *set) {
	struct index index = { 0 };
	index_fill(set, true, &index);
	index_fill(set, false, &index);
	lock_take(&set->lock);
	struct index old = set->index;
	set->index = index;
	lock_drop(&set->lock);
	index_deinit(&old);
}

void deny_set_use_anchors(struct deny_set *set, struct str anchors_pem) {
	if (!str_equal(buf_str(&set->anchors), anchors_pem)) {
		buf_reset(&set->anchors);
		buf_add_str(&set->anchors, anchors_pem);
		rebuild(set);
	}
}

static struct held **find(struct deny_set *set, const struct deny_list *list) {
	struct held **at = &set->lists;
	while (*at && ((*at)->is_by_anchor != list->is_by_anchor ||
			      !str_equal(str_of((*at)->scope), list->scope))) {
		at = &(*at)->next;
	}
	return at;
}

/* Takes a list if it is good and newer than what is held. Returns 1 if it was, 0 if not. */
static int take(struct deny_set *set, struct str text, struct err *err) {
	struct deny_list list;
	int rc = deny_list_parse(text, buf_str(&set->anchors), &list, err);
	if (rc < 0) {
		return rc;
	}
	struct held **at = find(set, &list);
	struct held *held = *at;
	size_t had = held ? held->text.len : 0;
	if (list.number > clock_now_ms(set->clock) + AHEAD_MS_MAX) {
		rc = err_set(err, ERR_DENIED, "deny-list for %.*s: its number is of the future",
			STR_ARG(list.scope));
	} else if (held && list.number <= held->number) {
		rc = 0;
	} else if (set->bytes - had + text.len > DENY_SET_BYTES_MAX ||
		   (!held && set->list_count == DENY_LISTS_MAX)) {
		rc = err_set(err, ERR_LIMIT, "deny-lists: more than %d, or %zu bytes of them",
			DENY_LISTS_MAX, DENY_SET_BYTES_MAX);
	} else {
		if (!held) {
			held = *at = MEMORY_NEW(struct held, 1);
			set->list_count++;
		}
		held->is_by_anchor = list.is_by_anchor;
		(void)snprintf(held->scope, sizeof(held->scope), "%.*s", STR_ARG(list.scope));
		held->number = list.number;
		buf_reset(&held->text);
		buf_add_str(&held->text, text);
		set->bytes += text.len - had;
		log_info(
			"deny-list taken", KV("scope", held->scope), KV_INT("entries", list.count));
		rc = 1;
	}
	deny_list_deinit(&list);
	return rc;
}

/* Says what is wrong with a file once. */
static void complain(
	struct deny_set *set, const char *path, struct str text, const struct err *err) {
	uint64_t digest = hash_str(text, hash_str(str_of(path), 1));
	for (size_t i = 0; i < set->complaint_count; i++) {
		if (set->complaints[i] == digest) {
			return;
		}
	}
	if (set->complaint_count == COMPLAINTS_MAX) {
		set->complaint_count = 0;
	}
	set->complaints[set->complaint_count++] = digest;
	log_error("deny-list not used", KV("file", path), KV_ERR(err));
}

static int load_file(struct deny_set *set, const char *name) {
	AUTO(buf_deinit) struct buf path = { 0 };
	AUTO(buf_deinit) struct buf text = { 0 };
	struct err err = { 0 };
	buf_printf(&path, "%s/%s", set->directory, name);
	int rc = file_read(buf_text(&path), DENY_LIST_BYTES_MAX, &text, &err);
	if (rc == 0) {
		rc = take(set, buf_str(&text), &err);
	}
	if (rc < 0) {
		complain(set, buf_text(&path), buf_str(&text), &err);
	}
	return rc > 0;
}

int deny_set_load(struct deny_set *set) {
	struct dir_list names = { 0 };
	int changed = 0;
	if (!path_exists(set->directory) || dir_list(set->directory, &names, NULL) < 0) {
		return 0;
	}
	for (size_t i = 0; i < names.count; i++) {
		if (str_ends(str_of(names.names[i]), SUFFIX) && names.names[i][0] != '.') {
			changed |= load_file(set, names.names[i]);
		}
	}
	dir_list_free(&names);
	if (changed) {
		rebuild(set);
	}
	return changed;
}

/* So that it holds after a restart, too. A directory that cannot be written is none of a list's
 * faults: whoever sent it will send it again. */
static void keep(const struct deny_set *set, struct str text) {
	struct deny_list list;
	struct err err = { 0 };
	AUTO(buf_deinit) struct buf path = { 0 };
	if (deny_list_parse(text, buf_str(&set->anchors), &list, &err) < 0) {
		return;
	}
	buf_printf(&path, "%s/", set->directory);
	deny_list_file_name(list.is_by_anchor, list.scope, &path);
	deny_list_deinit(&list);
	int rc = dir_make(set->directory, 0700, &err);
	if (rc == 0) {
		rc = file_write_atomic(buf_text(&path), text, 0644, &err);
	}
	if (rc < 0) {
		log_warn("deny-list not kept on disk", KV_ERR(&err));
	}
}

int deny_set_merge(struct deny_set *set, struct str text, struct err *err) {
	int result = 0;
	int changed = 0;
	size_t count = 0;
	if (!str_equal(str_cut(&text, '\n'), FIRST_LINE)) {
		return err_set(err, ERR_CORRUPT, "these are no deny-lists");
	}
	while (text.len > 0) {
		struct str head = str_cut(&text, '\n');
		uint64_t len = 0;
		if (!str_starts(head, STR("list ")) || !str_to_u64(str_from(head, 5), &len) ||
			len > text.len || ++count > DENY_LISTS_MAX) {
			result = err_set(err, ERR_CORRUPT, "these are no deny-lists");
			break;
		}
		struct str one = str_first(text, len);
		text = str_from(text, len);
		int rc = take(set, one, err);
		if (rc > 0) {
			keep(set, one);
			changed = 1;
		} else if (rc < 0) {
			result = ERR_DENIED;
		}
	}
	if (changed) {
		rebuild(set);
	}
	return result < 0 ? result : changed;
}

void deny_set_write(const struct deny_set *set, struct buf *out) {
	buf_printf(out, "%.*s\n", STR_ARG(FIRST_LINE));
	for (const struct held *held = set->lists; held; held = held->next) {
		buf_printf(out, "list %zu\n", held->text.len);
		buf_add_str(out, buf_str(&held->text));
	}
}

/* The order in which lists came does not matter. */
uint64_t deny_set_digest(const struct deny_set *set) {
	uint64_t digest = 0;
	for (const struct held *held = set->lists; held; held = held->next) {
		digest += hash_str(buf_str(&held->text), 1);
	}
	return digest;
}

bool deny_set_denies(struct deny_set *set, const char *identity, const char *serial,
	const char *issuer_digest, struct err *why) {
	struct identity parts;
	const char *denied = NULL;
	if (identity_parse(str_of(identity), &parts, NULL) < 0) {
		return false;
	}
	char by_name[IDENTITY_LEN_MAX + 16];
	char by_serial[IDENTITY_LEN_MAX + SERIAL_LEN_MAX + 16];
	char by_issuer[80];
	(void)snprintf(by_name, sizeof(by_name), "identity %s", identity);
	(void)snprintf(by_serial, sizeof(by_serial), "serial %.*s %s", STR_ARG(parts.trust_domain),
		serial);
	(void)snprintf(by_issuer, sizeof(by_issuer), "issuer %s", issuer_digest);
	lock_take(&set->lock);
	if (has_word(&set->index, by_name)) {
		denied = "its identity";
	} else if (has_word(&set->index, by_serial)) {
		denied = "its serial number";
	} else if (has_word(&set->index, by_issuer)) {
		denied = "its issuer";
	}
	lock_drop(&set->lock);
	if (denied) {
		(void)err_set(why, ERR_DENIED, "certificate of %s is revoked: %s is on a deny-list",
			identity, denied);
	}
	return denied != NULL;
}
