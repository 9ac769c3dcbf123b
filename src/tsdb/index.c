#include "tsdb/index.h"

#include "base/check.h"
#include "base/hash.h"
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

#define NAME_SEED 0x6e616d65U

struct pair_key {
	uint32_t name;
	struct str value;
};

void index_init(struct index *index) {
	*index = (struct index){ 0 };
	/* Only what is touched of these becomes memory. */
	index->pair_pages = MEMORY_NEW(struct label_pair *, INDEX_PAIRS_MAX / INDEX_PAGE);
	index->name_pages = MEMORY_NEW(struct label_name *, INDEX_NAMES_MAX / INDEX_PAGE);
}

void index_deinit(struct index *index) {
	for (uint32_t id = 0; id < index->pair_end; id++) {
		struct label_pair *pair = index_pair(index, id);
		postings_deinit(&pair->postings);
		if (pair->value_len > CELL_SIZE_MAX) {
			cells_free(&index->cells, (void *)(uintptr_t)pair->value, pair->value_len);
		}
	}
	for (uint32_t id = 0; id < index->name_end; id++) {
		free((void *)(uintptr_t)index_name(index, id)->name.ptr);
		free(index_name(index, id)->pairs);
	}
	for (uint32_t id = 0; id < index->pair_end; id += INDEX_PAGE) {
		free(index->pair_pages[id / INDEX_PAGE]);
	}
	for (uint32_t id = 0; id < index->name_end; id += INDEX_PAGE) {
		free(index->name_pages[id / INDEX_PAGE]);
	}
	free(index->pair_pages);
	free(index->name_pages);
	free(index->pair_free);
	id_table_deinit(&index->pair_table);
	id_table_deinit(&index->name_table);
	cells_deinit(&index->cells);
}

static uint32_t name_hash(uint32_t id, const void *context) {
	return (uint32_t)hash_str(index_name(context, id)->name, NAME_SEED);
}

static bool name_equal(uint32_t id, const void *key, const void *context) {
	const struct str *name = key;

	return str_equal(index_name(context, id)->name, *name);
}

static uint32_t pair_hash(uint32_t id, const void *context) {
	return index_pair(context, id)->hash;
}

static bool pair_equal(uint32_t id, const void *key, const void *context) {
	const struct pair_key *wanted = key;

	return index_pair(context, id)->name == wanted->name &&
	       str_equal(index_pair_value(context, id), wanted->value);
}

bool index_name_find(const struct index *index, struct str name, uint32_t *id) {
	return id_table_find(&index->name_table, (uint32_t)hash_str(name, NAME_SEED), &name,
		name_hash, name_equal, index, id);
}

bool index_pair_find(const struct index *index, uint32_t name, struct str value, uint32_t *id) {
	const struct pair_key key = { name, value };

	return id_table_find(&index->pair_table, (uint32_t)hash_str(value, name), &key, pair_hash,
		pair_equal, index, id);
}

static int name_make(struct index *index, struct str name, uint32_t *id, struct err *err) {
	uint32_t made = index->name_end;
	char *text;

	if (index_name_find(index, name, id)) {
		return 0;
	}
	if (made == INDEX_NAMES_MAX) {
		return err_set(err, ERR_LIMIT, "more than %u label names", INDEX_NAMES_MAX);
	}
	if (made % INDEX_PAGE == 0) {
		index->name_pages[made / INDEX_PAGE] = MEMORY_NEW(struct label_name, INDEX_PAGE);
	}
	text = memory_resize(NULL, name.len, 1);
	memcpy(text, name.ptr, name.len);
	index_name(index, made)->name = (struct str){ text, name.len };
	index->name_end++;
	id_table_add(&index->name_table, made, name_hash, index);
	*id = made;
	return 0;
}

/* A number for a new pair. */
static int pair_number(struct index *index, uint32_t *id, struct err *err) {
	if (index->pair_free_count > 0) {
		*id = index->pair_free[--index->pair_free_count];
		return 0;
	}
	if (index->pair_end == INDEX_PAIRS_MAX) {
		return err_set(err, ERR_LIMIT, "more than %u label values", INDEX_PAIRS_MAX);
	}
	if (index->pair_end % INDEX_PAGE == 0) {
		index->pair_pages[index->pair_end / INDEX_PAGE] =
			MEMORY_NEW(struct label_pair, INDEX_PAGE);
	}
	*id = index->pair_end++;
	return 0;
}

int index_pair_make(
	struct index *index, struct str name, struct str value, uint32_t *id, struct err *err) {
	struct label_pair *pair;
	uint32_t name_id = 0;
	uint32_t made = 0;
	char *text;
	int rc = name_make(index, name, &name_id, err);

	if (rc < 0) {
		return rc;
	}
	if (index_pair_find(index, name_id, value, id)) {
		return 0;
	}
	rc = pair_number(index, &made, err);
	if (rc < 0) {
		return rc;
	}
	CHECK(value.len > 0 && value.len <= UINT32_MAX);
	text = cells_alloc(&index->cells, value.len);
	memcpy(text, value.ptr, value.len);
	pair = index_pair(index, made);
	*pair = (struct label_pair){ .value = text,
		.value_len = (uint32_t)value.len,
		.name = name_id,
		.hash = (uint32_t)hash_str(value, name_id) };
	id_table_add(&index->pair_table, made, pair_hash, index);
	index->pair_count++;
	*id = made;
	return 0;
}

static void name_pair_add(struct label_name *name, uint32_t pair) {
	if (name->count == name->capacity) {
		name->capacity = name->capacity > 0 ? name->capacity + name->capacity / 2 : 2;
		name->pairs = memory_resize(name->pairs, name->capacity, sizeof(uint32_t));
	}
	name->pairs[name->count++] = pair;
}

void index_series_add(struct index *index, uint32_t slot, const uint32_t *pairs, size_t count) {
	for (size_t i = 0; i < count; i++) {
		struct label_pair *pair = index_pair(index, pairs[i]);
		if (pair->postings.count == 0) {
			name_pair_add(index_name(index, pair->name), pairs[i]);
		}
		index->postings_bytes -= postings_bytes(&pair->postings);
		postings_add(&pair->postings, slot);
		index->postings_bytes += postings_bytes(&pair->postings);
	}
}

bool index_series_remove(struct index *index, uint32_t id, const struct bitmap *gone) {
	struct label_pair *pair = index_pair(index, id);

	index->postings_bytes -= postings_bytes(&pair->postings);
	postings_remove(&pair->postings, gone);
	index->postings_bytes += postings_bytes(&pair->postings);
	return pair->postings.count == 0;
}

void index_pair_unlink(struct index *index, uint32_t id) {
	struct label_pair *pair = index_pair(index, id);

	CHECK(pair->postings.count == 0);
	id_table_remove(&index->pair_table, id, pair_hash, index);
	index_name(index, pair->name)->has_unused = true;
	index->pair_count--;
}

void index_names_compact(struct index *index) {
	for (uint32_t id = 0; id < index->name_end; id++) {
		struct label_name *name = index_name(index, id);
		uint32_t kept = 0;
		for (uint32_t i = 0; i < name->count && name->has_unused; i++) {
			if (index_pair(index, name->pairs[i])->postings.count > 0) {
				name->pairs[kept++] = name->pairs[i];
			}
		}
		if (name->has_unused) {
			name->count = kept;
			name->has_unused = false;
		}
	}
}

void index_pair_release(struct index *index, uint32_t id) {
	struct label_pair *pair = index_pair(index, id);

	cells_free(&index->cells, (void *)(uintptr_t)pair->value, pair->value_len);
	*pair = (struct label_pair){ 0 };
	if (index->pair_free_count == index->pair_free_capacity) {
		index->pair_free_capacity =
			index->pair_free_capacity > 0 ? index->pair_free_capacity * 2 : 64;
		index->pair_free = memory_resize(
			index->pair_free, index->pair_free_capacity, sizeof(uint32_t));
	}
	index->pair_free[index->pair_free_count++] = id;
}

size_t index_bytes(const struct index *index) {
	size_t pages = (index->pair_end + INDEX_PAGE - 1) / INDEX_PAGE;

	return cells_bytes(&index->cells) + index->postings_bytes +
	       pages * INDEX_PAGE * sizeof(struct label_pair) +
	       index->pair_table.capacity * sizeof(uint32_t) +
	       (size_t)index->pair_count * sizeof(uint32_t);
}
