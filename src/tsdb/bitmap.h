/*
 * Bitmaps over series slots: what a matcher selects.
 *
 * All bitmaps of one query have the same size. They live in the query's arena, whose budget they
 * are charged to. Owned by one thread.
 */
#ifndef TSDB_BITMAP_H
#define TSDB_BITMAP_H

#include "base/arena.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bitmap {
	uint64_t *words;
	size_t count; /* Words. */
};

/* An empty bitmap for slots below 'slots'. Returns 0 or ERR_LIMIT. */
MUST_USE int bitmap_build(struct arena *arena, size_t slots, struct bitmap *out, struct err *err);
/* Sets one; it must be below the size. */
static inline void bitmap_set(struct bitmap *bitmap, uint32_t slot) {
	bitmap->words[slot >> 6] |= UINT64_C(1) << (slot & 63);
}
static inline void bitmap_clear(struct bitmap *bitmap, uint32_t slot) {
	bitmap->words[slot >> 6] &= ~(UINT64_C(1) << (slot & 63));
}
static inline bool bitmap_has(const struct bitmap *bitmap, uint32_t slot) {
	return (slot >> 6) < bitmap->count && (bitmap->words[slot >> 6] >> (slot & 63) & 1) != 0;
}
/* Sets 'count' slots from 'first' on; those past the size are left out. */
void bitmap_set_range(struct bitmap *bitmap, uint32_t first, uint32_t count);
/* a = a & b; what 'b' is too short for counts as absent there. */
void bitmap_and(struct bitmap *a, const struct bitmap *b);
/* a = a & ~b */
void bitmap_and_not(struct bitmap *a, const struct bitmap *b);
size_t bitmap_count(const struct bitmap *bitmap);
/* Finds the first set slot from '*slot' on. Returns false when there is none. */
bool bitmap_next(const struct bitmap *bitmap, uint32_t *slot);

#endif
