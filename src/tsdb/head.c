#include "tsdb/head.h"

#include "base/check.h"
#include "base/hash.h"
#include "base/memory.h"

#include <assert.h>
#include <stdlib.h>

static_assert(sizeof(struct series) == 64, "a series is one cache line");

/* How a series is looked for: by the numbers of its pairs. */
struct series_key {
	const uint32_t *pairs;
	size_t count;
};

static uint32_t series_hash(uint32_t slot, const void *context) {
	return series_at((struct tsdb *)(uintptr_t)context, slot)->hash;
}

static bool series_equal(uint32_t slot, const void *key, const void *context) {
	const struct series_key *wanted = key;
	const struct series *series = series_at((struct tsdb *)(uintptr_t)context, slot);

	return series_pair_count(series) == wanted->count &&
	       memcmp(series->pairs, wanted->pairs, wanted->count * sizeof(uint32_t)) == 0;
}

static int labels_check(const struct labels *set, struct err *err) {
	if (set->count == 0) {
		return err_set(err, ERR_INVAL, "a series without labels");
	}
	if (set->count > LABELS_COUNT_MAX) {
		return err_set(err, ERR_LIMIT, "a series with %zu labels, at most %d are possible",
			set->count, LABELS_COUNT_MAX);
	}
	return 0;
}

/* A number for a new series, with room behind it. */
static int slot_take(struct tsdb *db, uint32_t *slot, struct err *err) {
	if (db->slot_free_count > 0) {
		*slot = db->slot_free[--db->slot_free_count];
		return 0;
	}
	if (db->slot_end == SERIES_PAGES_MAX * SERIES_PAGE) {
		return err_set(err, ERR_LIMIT, "more than %u series; shard by hashmod relabelling",
			SERIES_PAGES_MAX * SERIES_PAGE);
	}
	if (db->slot_end % SERIES_PAGE == 0) {
		struct series_page *page =
			aligned_alloc(sizeof(struct series), sizeof(struct series_page));
		if (!page) {
			memory_exhausted(sizeof(*page));
		}
		memset(page, 0, sizeof(*page));
		__atomic_store_n(&db->pages[db->slot_end / SERIES_PAGE], page, __ATOMIC_RELEASE);
	}
	if (db->slot_end / 64 >= db->live_words) {
		size_t words = db->live_words * 2 + 64;
		db->live = memory_resize(db->live, words, sizeof(uint64_t));
		db->fresh = memory_resize(db->fresh, words, sizeof(uint64_t));
		memset(db->live + db->live_words, 0, (words - db->live_words) * sizeof(uint64_t));
		memset(db->fresh + db->live_words, 0, (words - db->live_words) * sizeof(uint64_t));
		db->live_words = words;
	}
	*slot = db->slot_end++;
	return 0;
}

static struct bitmap live_bitmap(struct tsdb *db) {
	return (struct bitmap){ db->live, db->live_words };
}

static struct bitmap fresh_bitmap(struct tsdb *db) {
	return (struct bitmap){ db->fresh, db->live_words };
}

/* Sets all but the generation, which moves on: old references may still ask for that one. */
static void series_reset(struct series *series, const struct series *to) {
	const size_t from = offsetof(struct series, hash);
	uint32_t generation = __atomic_load_n(&series->generation, __ATOMIC_RELAXED) + 1;

	memcpy((char *)series + from, (const char *)to + from, sizeof(*to) - from);
	__atomic_store_n(&series->generation, generation > 0 ? generation : 1, __ATOMIC_RELAXED);
}

static int series_new(struct tsdb *db, const struct series_key *key, uint32_t hash, uint32_t *slot,
	struct err *err) {
	struct bitmap live;
	struct bitmap fresh;
	struct series *series;
	int rc = slot_take(db, slot, err);

	if (rc < 0) {
		return rc;
	}
	series = series_at(db, *slot);
	series_reset(series, &(struct series){ .hash = hash,
				     .ref = db->next_ref++,
				     .last_ms = INT64_MIN,
				     .leading = LEADING_NONE,
				     .flags = SERIES_SHORT,
				     .last_pair = (uint8_t)(key->count - 1) });
	series->pairs = cells_alloc(&db->index.cells, key->count * sizeof(uint32_t));
	memcpy(series->pairs, key->pairs, key->count * sizeof(uint32_t));
	id_table_add(&db->series_table, *slot, series_hash, db);
	live = live_bitmap(db);
	bitmap_set(&live, *slot);
	fresh = fresh_bitmap(db);
	bitmap_set(&fresh, *slot);
	index_series_add(&db->index, *slot, series->pairs, key->count);
	db->series_count++;
	atomic_fetch_add_explicit(&db->created, 1, memory_order_relaxed);
	return 0;
}

static int series_make_locked(
	struct tsdb *db, const struct labels *set, uint32_t *slot, struct err *err) {
	uint32_t pairs[LABELS_COUNT_MAX];
	struct series_key key = { pairs, set->count };
	uint32_t hash;

	for (size_t i = 0; i < set->count; i++) {
		int rc = index_pair_make(
			&db->index, set->pairs[i].name, set->pairs[i].value, &pairs[i], err);
		if (rc < 0) {
			return rc;
		}
	}
	hash = (uint32_t)hash_bytes(pairs, key.count * sizeof(uint32_t), 0);
	if (id_table_find(&db->series_table, hash, &key, series_hash, series_equal, db, slot)) {
		return 0;
	}
	return series_new(db, &key, hash, slot, err);
}

int series_make(struct tsdb *db, const struct labels *set, uint32_t *slot, struct err *err) {
	int rc = labels_check(set, err);

	if (rc < 0) {
		return rc;
	}
	lock_take(&db->index_lock);
	rc = series_make_locked(db, set, slot, err);
	lock_drop(&db->index_lock);
	return rc;
}

void series_labels(struct tsdb *db, const struct series *series, struct label *pairs) {
	for (size_t i = 0; i < series_pair_count(series); i++) {
		pairs[i].name = index_pair_name(&db->index, series->pairs[i]);
		pairs[i].value = index_pair_value(&db->index, series->pairs[i]);
	}
}

void series_unlink(struct tsdb *db, uint32_t slot) {
	struct series *series = series_at(db, slot);
	struct bitmap live = live_bitmap(db);

	id_table_remove(&db->series_table, slot, series_hash, db);
	bitmap_clear(&live, slot);
	db->series_count--;
	/* Relaxed: an appender that still saw the old one is found out by the committer. */
	__atomic_store_n(&series->generation, series->generation + 1, __ATOMIC_RELAXED);
	atomic_fetch_add_explicit(&db->removed, 1, memory_order_relaxed);
}

void series_release(struct tsdb *db, uint32_t slot) {
	struct series *series = series_at(db, slot);

	lock_take(&db->samples_lock);
	cells_free(&db->chunk_cells, series->chunk, chunk_room(series->chunk_len));
	if (series->count > 0) {
		atomic_fetch_sub_explicit(&db->open_chunks, 1, memory_order_relaxed);
	}
	series->chunk = NULL;
	series->chunk_len = 0;
	series->count = 0;
	lock_drop(&db->samples_lock);

	lock_take(&db->index_lock);
	cells_free(&db->index.cells, series->pairs, series_pair_count(series) * sizeof(uint32_t));
	series->pairs = NULL;
	if (db->slot_free_count == db->slot_free_capacity) {
		db->slot_free_capacity =
			db->slot_free_capacity > 0 ? db->slot_free_capacity * 2 : 64;
		db->slot_free =
			memory_resize(db->slot_free, db->slot_free_capacity, sizeof(uint32_t));
	}
	db->slot_free[db->slot_free_count++] = slot;
	lock_drop(&db->index_lock);
}
