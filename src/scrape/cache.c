#include "scrape/cache.h"

#include "base/check.h"
#include "base/hash.h"
#include "base/memory.h"

#include <stdlib.h>

/* How many scrapes the index may be of no use before it goes. */
#define INDEX_IDLE_MAX 10
/* Failed scrapes may double the cache, and add this, before it is flushed. */
#define FAILED_GROWTH 1000

void cache_init(struct scrape_cache *cache, uint64_t seed) {
	*cache = (struct scrape_cache){ .seed = seed, .count = 1, .capacity = 16 };
	cache->items = MEMORY_NEW(struct cache_item, cache->capacity);
}

void cache_deinit(struct scrape_cache *cache) {
	free(cache->items);
	map_deinit(&cache->index);
	*cache = (struct scrape_cache){ 0 };
}

void cache_begin(struct scrape_cache *cache) {
	cache->iteration++;
	cache->last = 0;
	cache->seen_count = 0;
	cache->series_seen_count = 0;
	cache->live_seen_count = 0;
}

const struct exposition_hint *cache_hint(const struct scrape_cache *cache) {
	uint32_t next = cache->items[cache->last].next;
	return next > 0 ? &cache->items[next].hint : NULL;
}

struct cache_item *cache_follow(struct scrape_cache *cache) {
	cache->last = cache->items[cache->last].next;
	return &cache->items[cache->last];
}

static void index_drop(struct scrape_cache *cache) {
	map_deinit(&cache->index);
	cache->index = (struct map){ 0 };
	cache->index_idle = 0;
}

static void index_build(struct scrape_cache *cache) {
	cache->index_idle = 0;
	if (cache->index.count > 0) {
		return;
	}
	for (uint32_t i = 1; i < cache->count; i++) {
		map_add(&cache->index, cache->items[i].hint.hash, i);
	}
}

struct wanted {
	const struct scrape_cache *cache;
	struct exposition_hint hint;
};

static bool is_wanted(uint64_t value, const void *key) {
	const struct wanted *wanted = key;
	const struct exposition_hint *hint = &wanted->cache->items[value].hint;
	return hint->hash == wanted->hint.hash && hint->len == wanted->hint.len &&
	       hint->entry == wanted->hint.entry;
}

static struct exposition_hint hint_of(
	const struct scrape_cache *cache, struct str bytes, enum exposition_entry entry) {
	return (struct exposition_hint){ .hash = hash_str(bytes, cache->seed),
		.len = (uint32_t)bytes.len,
		.entry = (uint8_t)entry };
}

struct cache_item *cache_find(
	struct scrape_cache *cache, struct str bytes, enum exposition_entry entry) {
	struct wanted wanted = { cache, hint_of(cache, bytes, entry) };
	uint64_t at = 0;

	index_build(cache);
	if (!map_find(&cache->index, wanted.hint.hash, is_wanted, &wanted, &at)) {
		return NULL;
	}
	cache->items[cache->last].next = (uint32_t)at;
	cache->last = (uint32_t)at;
	return &cache->items[at];
}

struct cache_item *cache_add(struct scrape_cache *cache, struct str bytes,
	enum exposition_entry entry, enum metric_type type) {
	CHECK(cache->count < UINT32_MAX / 2);
	if (cache->count == cache->capacity) {
		cache->capacity += cache->capacity / 2;
		cache->items =
			memory_resize(cache->items, cache->capacity, sizeof(cache->items[0]));
	}
	uint32_t at = cache->count++;
	struct cache_item *item = &cache->items[at];
	struct cache_item *before = &cache->items[cache->last];
	*item = (struct cache_item){ .hint = hint_of(cache, bytes, entry), .next = before->next };
	item->hint.type = (uint8_t)type;
	before->next = at;
	cache->last = at;
	if (cache->index.count > 0) {
		map_add(&cache->index, item->hint.hash, at);
	}
	return item;
}

bool cache_see(struct scrape_cache *cache, struct cache_item *item) {
	if (item->seen == cache->iteration) {
		return false;
	}
	item->seen = cache->iteration;
	item->hint.mark &= (uint16_t)~CACHE_UNTRACKED;
	cache->seen_count++;
	cache->series_seen_count += item->ref.v != 0;
	cache->live_seen_count += (item->hint.mark & CACHE_LIVE) != 0;
	return true;
}

void cache_untrack(struct scrape_cache *cache, struct cache_item *item) {
	if (!(item->hint.mark & CACHE_UNTRACKED)) {
		item->hint.mark |= CACHE_UNTRACKED;
		cache->live_seen_count -= (item->hint.mark & CACHE_LIVE) != 0;
	}
}

static bool is_tracked(const struct scrape_cache *cache, const struct cache_item *item) {
	return item->seen == cache->iteration && !(item->hint.mark & CACHE_UNTRACKED);
}

static int cmp_refs(const void *a, const void *b) {
	uint64_t left = *(const uint64_t *)a;
	uint64_t right = *(const uint64_t *)b;
	return (left > right) - (left < right);
}

/* One series may be written in two ways: it did not end if another item of it was seen. */
static void forget_respelled(const struct scrape_cache *cache, uint64_t *refs, size_t count) {
	qsort(refs, count, sizeof(refs[0]), cmp_refs);
	for (uint32_t i = 1; i < cache->count; i++) {
		const struct cache_item *item = &cache->items[i];
		uint64_t *same =
			is_tracked(cache, item) && item->ref.v != 0
				? bsearch(&item->ref.v, refs, count, sizeof(refs[0]), cmp_refs)
				: NULL;
		if (same) {
			*same = 0;
			qsort(refs, count, sizeof(refs[0]), cmp_refs);
		}
	}
}

/* Takes the live mark from those that ended; their references go to 'refs'. Returns how many. */
static size_t collect_ended(struct scrape_cache *cache, bool failed, uint64_t *refs) {
	size_t count = 0;
	for (uint32_t i = 1; i < cache->count; i++) {
		struct cache_item *item = &cache->items[i];
		if ((item->hint.mark & CACHE_LIVE) && (failed || !is_tracked(cache, item))) {
			item->hint.mark &= (uint16_t)~CACHE_LIVE;
			refs[count++] = item->ref.v;
		}
	}
	return count;
}

int cache_end_series(struct scrape_cache *cache, bool failed, cache_end_fn *end, void *context,
	struct err *err) {
	int rc = 0;

	if (cache->live_count == (failed ? 0 : cache->live_seen_count)) {
		return 0;
	}
	uint64_t *refs = MEMORY_NEW(uint64_t, cache->live_count);
	size_t count = collect_ended(cache, failed, refs);
	cache->live_count -= (uint32_t)count;
	if (!failed) {
		forget_respelled(cache, refs, count);
	}
	for (size_t i = 0; rc >= 0 && i < count; i++) {
		rc = refs[i] > 0 ? end(context, (struct series_ref){ refs[i] }, err) : 0;
	}
	free(refs);
	return rc < 0 ? rc : 0;
}

/* Keeps only what this iteration saw, closing the ranks. */
static void drop_unseen(struct scrape_cache *cache) {
	uint32_t *moved = MEMORY_NEW(uint32_t, cache->count);
	uint32_t kept = 1;

	for (uint32_t i = 1; i < cache->count; i++) {
		if (cache->items[i].seen == cache->iteration) {
			moved[i] = kept;
			cache->items[kept++] = cache->items[i];
		}
	}
	for (uint32_t i = 0; i < kept; i++) {
		cache->items[i].next = moved[cache->items[i].next];
	}
	free(moved);
	cache->count = kept;
	if (cache->capacity > 2 * kept + 16) {
		cache->capacity = kept + kept / 4 + 1;
		cache->items =
			memory_resize(cache->items, cache->capacity, sizeof(cache->items[0]));
	}
	index_drop(cache);
}

static void mark_live(struct scrape_cache *cache) {
	for (uint32_t i = 1; i < cache->count; i++) {
		struct cache_item *item = &cache->items[i];
		if (item->ref.v != 0 && is_tracked(cache, item) &&
			!(item->hint.mark & CACHE_LIVE)) {
			item->hint.mark |= CACHE_LIVE;
			cache->live_count++;
		}
	}
}

bool cache_commit(struct scrape_cache *cache, bool failed) {
	uint32_t items = cache->count - 1;
	uint32_t unseen = items - cache->seen_count;
	bool forced = failed && items > cache->good_count * 2 + FAILED_GROWTH;

	if (!failed && cache->live_seen_count < cache->series_seen_count) {
		mark_live(cache);
	}
	if (forced || (!failed && unseen > items / 8)) {
		drop_unseen(cache);
	}
	if (!failed) {
		cache->good_count = cache->count - 1;
	}
	if (cache->index.count > 0 && ++cache->index_idle > INDEX_IDLE_MAX) {
		index_drop(cache);
	}
	return forced;
}
