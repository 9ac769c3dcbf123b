#include "tsdb/id_table.h"

#include "base/check.h"
#include "base/memory.h"

#include <stdlib.h>

#define CAPACITY_MIN 64

void id_table_deinit(struct id_table *table) {
	free(table->slots);
	*table = (struct id_table){ 0 };
}

static size_t home(const struct id_table *table, uint32_t hash) {
	return (size_t)(hash * UINT64_C(0x9e3779b97f4a7c15) >> 24) & (table->capacity - 1);
}

bool id_table_find(const struct id_table *table, uint32_t hash, const void *key,
	id_hash_fn *hash_of, id_equal_fn *equal, const void *context, uint32_t *id) {
	if (table->count == 0) {
		return false;
	}
	for (size_t at = home(table, hash); table->slots[at] != 0;
		at = (at + 1) & (table->capacity - 1)) {
		uint32_t found = table->slots[at] - 1;
		if (hash_of(found, context) == hash && equal(found, key, context)) {
			*id = found;
			return true;
		}
	}
	return false;
}

static void insert(struct id_table *table, uint32_t id, uint32_t hash) {
	size_t at = home(table, hash);

	while (table->slots[at] != 0) {
		at = (at + 1) & (table->capacity - 1);
	}
	table->slots[at] = id + 1;
	table->count++;
}

static void grow(struct id_table *table, id_hash_fn *hash_of, const void *context) {
	struct id_table bigger = { .capacity = table->capacity > 0 ? table->capacity * 2
								   : CAPACITY_MIN };

	bigger.slots = MEMORY_NEW(uint32_t, bigger.capacity);
	for (size_t i = 0; i < table->capacity; i++) {
		if (table->slots[i] != 0) {
			uint32_t id = table->slots[i] - 1;
			insert(&bigger, id, hash_of(id, context));
		}
	}
	free(table->slots);
	*table = bigger;
}

void id_table_add(struct id_table *table, uint32_t id, id_hash_fn *hash_of, const void *context) {
	if (table->count + table->count / 3 >= table->capacity) {
		grow(table, hash_of, context);
	}
	insert(table, id, hash_of(id, context));
}

/* Closes the gap, so that no mark of a removed one is needed: later ones of the same cluster move
 * up. */
static void gap_close(
	struct id_table *table, size_t gap, id_hash_fn *hash_of, const void *context) {
	size_t mask = table->capacity - 1;

	for (size_t at = (gap + 1) & mask; table->slots[at] != 0; at = (at + 1) & mask) {
		size_t first = home(table, hash_of(table->slots[at] - 1, context));
		if (((at - first) & mask) >= ((at - gap) & mask)) {
			table->slots[gap] = table->slots[at];
			gap = at;
		}
	}
	table->slots[gap] = 0;
}

void id_table_remove(
	struct id_table *table, uint32_t id, id_hash_fn *hash_of, const void *context) {
	size_t at;

	CHECK(table->count > 0);
	at = home(table, hash_of(id, context));
	while (table->slots[at] != id + 1) {
		CHECK(table->slots[at] != 0);
		at = (at + 1) & (table->capacity - 1);
	}
	gap_close(table, at, hash_of, context);
	table->count--;
}
