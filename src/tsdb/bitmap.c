#include "tsdb/bitmap.h"

int bitmap_build(struct arena *arena, size_t slots, struct bitmap *out, struct err *err) {
	size_t count = (slots + 63) / 64;
	uint64_t *words = ARENA_TRY_NEW(arena, uint64_t, count > 0 ? count : 1, err);

	if (!words) {
		return ERR_LIMIT;
	}
	*out = (struct bitmap){ words, count };
	return 0;
}

void bitmap_set_range(struct bitmap *bitmap, uint32_t first, uint32_t count) {
	uint64_t end = (uint64_t)first + count;
	uint64_t at = first;

	end = end < (uint64_t)bitmap->count * 64 ? end : (uint64_t)bitmap->count * 64;
	while (at < end && (at & 63) != 0) {
		bitmap_set(bitmap, (uint32_t)at++);
	}
	while (end - at >= 64 && at < end) {
		bitmap->words[at >> 6] = UINT64_MAX;
		at += 64;
	}
	while (at < end) {
		bitmap_set(bitmap, (uint32_t)at++);
	}
}

void bitmap_and(struct bitmap *a, const struct bitmap *b) {
	for (size_t i = 0; i < a->count; i++) {
		a->words[i] &= i < b->count ? b->words[i] : 0;
	}
}

void bitmap_and_not(struct bitmap *a, const struct bitmap *b) {
	for (size_t i = 0; i < a->count && i < b->count; i++) {
		a->words[i] &= ~b->words[i];
	}
}

size_t bitmap_count(const struct bitmap *bitmap) {
	size_t count = 0;

	for (size_t i = 0; i < bitmap->count; i++) {
		count += (size_t)__builtin_popcountll(bitmap->words[i]);
	}
	return count;
}

bool bitmap_next(const struct bitmap *bitmap, uint32_t *slot) {
	size_t index = *slot >> 6;
	uint64_t word;

	if (index >= bitmap->count) {
		return false;
	}
	word = bitmap->words[index] & UINT64_MAX << (*slot & 63);
	while (word == 0) {
		if (++index == bitmap->count) {
			return false;
		}
		word = bitmap->words[index];
	}
	*slot = (uint32_t)(index * 64 + (size_t)__builtin_ctzll(word));
	return true;
}
