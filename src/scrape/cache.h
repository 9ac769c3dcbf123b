/*
 * What a target exposed last time, so that a scrape looks at no label twice.
 *
 * One item per series and metadata line, known by the hash of its raw bytes, 32 bytes each, in no
 * order; each says which item followed it, which is the reader's hint. As long as the target keeps
 * its order nothing is looked up; the index by hash exists only while it is needed. Iterations
 * count scrapes. Item 0 stands for "none". Owned by the scrape loop.
 */
#ifndef SCRAPE_CACHE_H
#define SCRAPE_CACHE_H

#include "base/map.h"
#include "expfmt/expfmt.h"
#include "store/store.h"

/* What an item's hint.mark says. */
#define CACHE_DROPPED 1U   /* Relabelling drops this series. */
#define CACHE_LIVE 2U      /* Its newest sample is of the last scrape: one day it ends. */
#define CACHE_UNTRACKED 4U /* This time it had its own timestamp: as if not seen. */

struct cache_item {
	struct exposition_hint hint;
	struct series_ref ref; /* Of a series that is not dropped; else 0. */
	uint32_t next;         /* Which item came after it last time. */
	uint32_t seen;         /* The iteration it was last seen in. */
};

struct scrape_cache {
	struct cache_item *items;
	uint32_t count; /* Item 0 included. */
	uint32_t capacity;
	uint32_t iteration;
	uint32_t last; /* The item read before the one expected now. */
	uint32_t seen_count;
	uint32_t series_seen_count; /* Of items with a reference. */
	uint32_t live_count;        /* Items marked CACHE_LIVE. */
	uint32_t live_seen_count;   /* Those of them seen in this iteration. */
	uint32_t good_count;        /* Items after the last good scrape. */
	uint64_t seed;              /* Of the hashes. */
	struct map index;           /* By hash, to the item's number; empty when not needed. */
	uint32_t index_idle;        /* Scrapes since it was. */
};

/* An empty cache; 'seed' goes into the hashes of its items. */
void cache_init(struct scrape_cache *cache, uint64_t seed);
void cache_deinit(struct scrape_cache *cache);

/* Starts an iteration. */
void cache_begin(struct scrape_cache *cache);
/* What is expected next; NULL when nothing is known. */
const struct exposition_hint *cache_hint(const struct scrape_cache *cache);
/* The hint held: moves on to its item. */
struct cache_item *cache_follow(struct scrape_cache *cache);
/* Moves to the item of these bytes; NULL (and no move) when there is none. */
struct cache_item *cache_find(
	struct scrape_cache *cache, struct str bytes, enum exposition_entry entry);
/* Adds an item that is not there and moves to it. Pointers to items are gone after. */
struct cache_item *cache_add(struct scrape_cache *cache, struct str bytes,
	enum exposition_entry entry, enum metric_type type);

/* Marks an item as seen. Returns false if this iteration saw it before. */
bool cache_see(struct scrape_cache *cache, struct cache_item *item);
/* A seen item had a timestamp of its own: it is not waited for, and ends if it was live. */
void cache_untrack(struct scrape_cache *cache, struct cache_item *item);

/*
 * The series that ended: live before, not seen (or untracked) now; or, after a failed scrape
 * ('failed'), all live ones. Calls 'end' for each, which then are not live any more. Stops at the
 * first negative result and returns it.
 */
typedef int cache_end_fn(void *context, struct series_ref ref, struct err *err);
MUST_USE int cache_end_series(
	struct scrape_cache *cache, bool failed, cache_end_fn *end, void *context, struct err *err);

/*
 * Closes an iteration. After a good one, what was seen and is tracked is live, and items not seen
 * go once they are a good part. After failed ones they only go when the cache has more than
 * doubled. Returns whether that happened.
 */
bool cache_commit(struct scrape_cache *cache, bool failed);

#endif
