#include "tsdb/chunk_list.h"

#include "base/memory.h"
#include "base/str.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* 32 MiB each. */
#define SEGMENT_ENTRIES (UINT32_C(1) << 20)
#define SEGMENTS_MAX 4095

static_assert(sizeof(struct chunk_entry) == 32, "an entry is half a cache line");

void chunk_list_init(struct chunk_list *list, const char *dir, struct epochs *epochs) {
	size_t len = strlen(dir) + 1;

	*list = (struct chunk_list){ .epochs = epochs, .end = 1 };
	list->dir = memory_resize(NULL, len, 1);
	memcpy(list->dir, dir, len);
	list->segments = MEMORY_NEW(struct append_file, SEGMENTS_MAX);
	atomic_init(&list->first, 1);
}

void chunk_list_deinit(struct chunk_list *list) {
	for (size_t i = 0; list->segments && i < SEGMENTS_MAX; i++) {
		append_file_close(&list->segments[i]);
	}
	free(list->segments);
	free(list->dir);
	*list = (struct chunk_list){ 0 };
}

/* Writes what fits the segment that list->end is in; the rest stays. */
static int part_add(struct chunk_list *list, uint32_t at, const struct chunk_entry *entries,
	size_t count, struct err *err) {
	struct append_file *segment = &list->segments[at / SEGMENT_ENTRIES];
	size_t wanted_size = (size_t)(at % SEGMENT_ENTRIES) * sizeof(*entries);

	if (!segment->ptr) {
		int rc = append_file_create_unnamed(
			list->dir, SEGMENT_ENTRIES * sizeof(*entries), segment, err);
		if (rc < 0) {
			return rc;
		}
	}
	/* Number 0 is no entry; and what a failed addition left is written over. */
	if (segment->size == 0 && wanted_size > 0) {
		const struct chunk_entry none = { 0 };
		int rc = append_file_write(
			segment, (struct str){ (const char *)&none, sizeof(none) }, err);
		if (rc < 0) {
			return rc;
		}
	}
	segment->size = wanted_size;
	return append_file_write(
		segment, (struct str){ (const char *)entries, count * sizeof(*entries) }, err);
}

int chunk_list_add(
	struct chunk_list *list, const struct chunk_entry *entries, size_t count, struct err *err) {
	uint32_t at = list->end;

	if (count > (uint64_t)SEGMENTS_MAX * SEGMENT_ENTRIES - at) {
		return err_set(err, ERR_LIMIT,
			"more than %u chunks since the start; restart, or shorten the retention",
			SEGMENTS_MAX * SEGMENT_ENTRIES);
	}
	while (count > 0) {
		size_t room = SEGMENT_ENTRIES - at % SEGMENT_ENTRIES;
		size_t part = count < room ? count : room;
		int rc = part_add(list, at, entries, part, err);
		if (rc < 0) {
			return err_wrap(err, rc, "list of chunks");
		}
		at += (uint32_t)part;
		entries += part;
		count -= part;
	}
	list->end = at;
	return 0;
}

int chunk_list_relink(struct chunk_list *list, uint32_t number, uint32_t older, struct err *err) {
	struct append_file *segment = &list->segments[number / SEGMENT_ENTRIES];
	size_t at = (size_t)(number % SEGMENT_ENTRIES) * sizeof(struct chunk_entry) +
		    offsetof(struct chunk_entry, older);

	return append_file_patch(
		segment, at, (struct str){ (const char *)&older, sizeof(older) }, err);
}

uint32_t chunk_list_first(const struct chunk_list *list) {
	/* Relaxed: a reader that came before entries were retired holds them, seen here or not; for
	 * one that came after, the epochs' lock orders this load behind the store. */
	return atomic_load_explicit(&list->first, memory_order_relaxed);
}

const struct chunk_entry *chunk_list_get(
	const struct chunk_list *list, uint32_t first, uint32_t number) {
	const struct append_file *segment = &list->segments[number / SEGMENT_ENTRIES];

	if (number < first) {
		return NULL;
	}
	return (const struct chunk_entry *)(const void *)segment->ptr + number % SEGMENT_ENTRIES;
}

static void segment_free(void *context, uint64_t index) {
	struct chunk_list *list = context;

	append_file_close(&list->segments[index]);
}

void chunk_list_drop(struct chunk_list *list, uint32_t first) {
	uint32_t before = atomic_load_explicit(&list->first, memory_order_relaxed);

	if (first <= before) {
		return;
	}
	atomic_store_explicit(&list->first, first, memory_order_relaxed);
	for (uint32_t i = before / SEGMENT_ENTRIES; i < first / SEGMENT_ENTRIES; i++) {
		epochs_retire(list->epochs, segment_free, list, i);
	}
}
