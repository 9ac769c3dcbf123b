/*
 * Hash tables from a 64-bit hash to a 64-bit value, keys kept by the caller.
 *
 * Open addressing; the caller compares its own keys in a callback, so that a table of a million
 * series costs 16 bytes a slot and holds no key twice. { 0 } is an empty table. Owned by one
 * thread, or guarded by its owner's lock.
 */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct map_slot;

struct map {
	struct map_slot *slots;
	size_t count;
	size_t used;     /* Live and removed slots. */
	size_t capacity; /* A power of two, or 0. */
};

/* Whether the item 'value' is the one that 'key' means. */
typedef bool map_equal_fn(uint64_t value, const void *key);

/* Frees the table; it is empty and usable after. */
void map_deinit(struct map *map);
/* Returns whether a value with that hash and key is there, and puts it into '*value' if so. */
bool map_find(const struct map *map, uint64_t hash, map_equal_fn *equal, const void *key,
	uint64_t *value);
/* The bytes that the next map_add allocates: 0 unless the table grows. */
size_t map_growth_bytes(const struct map *map);
/* Adds without looking: the caller knows that the key is not there. */
void map_add(struct map *map, uint64_t hash, uint64_t value);
/* Removes the slot with exactly this hash and value. Returns whether it was there. */
bool map_remove(struct map *map, uint64_t hash, uint64_t value);
/* Walks all values in no order: '*cursor' starts at 0. Returns false at the end. Removing
 * values during the walk is fine, adding is not. */
bool map_next(const struct map *map, size_t *cursor, uint64_t *value);

/* For tables whose values are pointers: the way there and back. */
static inline uint64_t map_value(const void *pointer) {
	return (uintptr_t)pointer;
}

static inline void *map_pointer(uint64_t value) {
	return (void *)(uintptr_t)value; // NOLINT(performance-no-int-to-ptr)
}

#endif
