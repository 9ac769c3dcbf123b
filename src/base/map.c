#include "base/map.h"

#include "base/check.h"
#include "base/memory.h"

#include <stdlib.h>

#define CAPACITY_MIN 16

/* Linear probing. Two hashes are kept for marks; a real one of that value is moved out of the way.
 */
enum {
	SLOT_EMPTY = 0,
	SLOT_REMOVED = 1
};

struct map_slot {
	uint64_t hash;
	uint64_t value;
};

static uint64_t slot_hash(uint64_t hash) {
	return hash > SLOT_REMOVED ? hash : hash + 2;
}

/* Callers' hashes may be weak in the low bits (a number, say): the product's high half is not. */
static size_t first_slot(const struct map *map, uint64_t hash) {
	return (size_t)((hash * 0x9e3779b97f4a7c15U) >> 32) & (map->capacity - 1);
}

static size_t next_slot(const struct map *map, size_t at) {
	return (at + 1) & (map->capacity - 1);
}

void map_deinit(struct map *map) {
	free(map->slots);
	*map = (struct map){ 0 };
}

bool map_find(const struct map *map, uint64_t hash, map_equal_fn *equal, const void *key,
	uint64_t *value) {
	if (map->count == 0) {
		return false;
	}
	hash = slot_hash(hash);
	for (size_t at = first_slot(map, hash); map->slots[at].hash != SLOT_EMPTY;
		at = next_slot(map, at)) {
		if (map->slots[at].hash == hash && equal(map->slots[at].value, key)) {
			*value = map->slots[at].value;
			return true;
		}
	}
	return false;
}

static void insert(struct map *map, uint64_t hash, uint64_t value) {
	size_t at = first_slot(map, hash);
	while (map->slots[at].hash > SLOT_REMOVED) {
		at = next_slot(map, at);
	}
	map->used += map->slots[at].hash == SLOT_EMPTY;
	map->count++;
	map->slots[at] = (struct map_slot){ .hash = hash, .value = value };
}

static bool is_full(const struct map *map) {
	return map->used + 1 > map->capacity / 4 * 3;
}

/* At most half full with one more. */
static size_t capacity_wanted(const struct map *map) {
	size_t capacity = CAPACITY_MIN;
	while (capacity < 2 * (map->count + 1)) {
		capacity *= 2;
	}
	return capacity;
}

size_t map_growth_bytes(const struct map *map) {
	return is_full(map) ? capacity_wanted(map) * sizeof(struct map_slot) : 0;
}

/* Makes a table with no removed slots. */
static void rebuild(struct map *map) {
	struct map old = *map;
	size_t capacity = capacity_wanted(map);
	CHECK(capacity <= (size_t)1 << 32); /* What first_slot can reach. */
	*map = (struct map){ .capacity = capacity };
	map->slots = MEMORY_NEW(struct map_slot, capacity);
	for (size_t i = 0; i < old.capacity; i++) {
		if (old.slots[i].hash > SLOT_REMOVED) {
			insert(map, old.slots[i].hash, old.slots[i].value);
		}
	}
	free(old.slots);
}

void map_add(struct map *map, uint64_t hash, uint64_t value) {
	if (is_full(map)) {
		rebuild(map);
	}
	insert(map, slot_hash(hash), value);
}

bool map_remove(struct map *map, uint64_t hash, uint64_t value) {
	if (map->count == 0) {
		return false;
	}
	hash = slot_hash(hash);
	for (size_t at = first_slot(map, hash); map->slots[at].hash != SLOT_EMPTY;
		at = next_slot(map, at)) {
		if (map->slots[at].hash != hash || map->slots[at].value != value) {
			continue;
		}
		bool is_last = map->slots[next_slot(map, at)].hash == SLOT_EMPTY;
		map->slots[at].hash = is_last ? SLOT_EMPTY : SLOT_REMOVED;
		map->used -= is_last;
		map->count--;
		return true;
	}
	return false;
}

bool map_next(const struct map *map, size_t *cursor, uint64_t *value) {
	while (*cursor < map->capacity) {
		const struct map_slot *slot = &map->slots[(*cursor)++];
		if (slot->hash > SLOT_REMOVED) {
			*value = slot->value;
			return true;
		}
	}
	return false;
}
