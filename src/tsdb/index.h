/*
 * The index: label pairs, each once, and which series carry them.
 *
 * A series knows its labels as pair numbers in the order of names. Guarded by the head's index
 * lock, but for index_pair: a pair's name and value never change while a series (or a reader of the
 * epochs) knows it, so any thread may look at those.
 */
#ifndef TSDB_INDEX_H
#define TSDB_INDEX_H

#include "base/err.h"
#include "base/map.h"
#include "base/str.h"
#include "tsdb/cells.h"
#include "tsdb/id_table.h"
#include "tsdb/postings.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define INDEX_PAIRS_MAX (UINT32_C(1) << 27)
#define INDEX_NAMES_MAX (UINT32_C(1) << 20)
#define INDEX_PAGE 1024

struct label_pair {
	const char *value;
	uint32_t value_len;
	uint32_t name; /* Number. */
	uint32_t hash;
	struct postings postings; /* Guarded, as is nothing else here. */
};

struct label_name {
	struct str name;
	uint32_t *pairs; /* Those of this name that some series carries. */
	uint32_t count;
	uint32_t capacity;
	bool has_unused; /* Some pairs in the list were unlinked. */
};

struct index {
	struct label_pair **pair_pages;
	struct label_name **name_pages;
	struct id_table pair_table;
	struct id_table name_table;
	uint32_t pair_end; /* Numbers below were given out. */
	uint32_t name_end;
	uint32_t pair_count; /* In use. */
	uint32_t *pair_free;
	size_t pair_free_count;
	size_t pair_free_capacity;
	struct cells cells; /* Values, and the series' lists of pairs. */
	size_t postings_bytes;
};

/* An empty index. */
void index_init(struct index *index);
/* Frees everything, the cells too. */
void index_deinit(struct index *index);

static inline struct label_pair *index_pair(const struct index *index, uint32_t id) {
	return &index->pair_pages[id / INDEX_PAGE][id % INDEX_PAGE];
}
static inline struct label_name *index_name(const struct index *index, uint32_t id) {
	return &index->name_pages[id / INDEX_PAGE][id % INDEX_PAGE];
}
static inline struct str index_pair_value(const struct index *index, uint32_t id) {
	const struct label_pair *pair = index_pair(index, id);
	return (struct str){ pair->value, pair->value_len };
}
static inline struct str index_pair_name(const struct index *index, uint32_t id) {
	return index_name(index, index_pair(index, id)->name)->name;
}

/* Returns whether a label of that name was ever seen. */
bool index_name_find(const struct index *index, struct str name, uint32_t *id);
/* Returns whether the pair is there; 'name' is the name's number. */
bool index_pair_find(const struct index *index, uint32_t name, struct str value, uint32_t *id);
/* Finds or makes a pair. Returns 0 or ERR_LIMIT. */
MUST_USE int index_pair_make(
	struct index *index, struct str name, struct str value, uint32_t *id, struct err *err);
/* Adds a series to the postings of its pairs. */
void index_series_add(struct index *index, uint32_t slot, const uint32_t *pairs, size_t count);
/* Removes all series in 'gone' from a pair's postings. Returns whether no series is left. */
bool index_series_remove(struct index *index, uint32_t pair, const struct bitmap *gone);
/* Takes a pair that no series carries out of the tables; index_names_compact drops it from the
 * lists of names, then index_pair_release frees it when no reader can know it. */
void index_pair_unlink(struct index *index, uint32_t pair);
void index_names_compact(struct index *index);
/* Frees an unlinked pair and its number. */
void index_pair_release(struct index *index, uint32_t pair);
/* Bytes held. */
size_t index_bytes(const struct index *index);

#endif
