#include "tsdb/postings.h"

#include "base/check.h"
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

#define RUN UINT32_C(0x80000000)

void postings_deinit(struct postings *postings) {
	if (postings->capacity > 0) {
		free(postings->words.many);
	}
	*postings = (struct postings){ 0 };
}

static uint32_t *words_of(struct postings *postings) {
	return postings->capacity > 0 ? postings->words.many : postings->words.few;
}

static void word_add(struct postings *postings, uint32_t word) {
	if (postings->capacity == 0 && postings->used == POSTINGS_INLINE) {
		uint32_t *many = memory_resize(NULL, 6, sizeof(*many));
		memcpy(many, postings->words.few, sizeof(postings->words.few));
		postings->words.many = many;
		postings->capacity = 6;
	} else if (postings->capacity > 0 && postings->used == postings->capacity) {
		uint32_t capacity = postings->capacity + postings->capacity / 2;
		postings->words.many =
			memory_resize(postings->words.many, capacity, sizeof(uint32_t));
		postings->capacity = capacity;
	}
	words_of(postings)[postings->used++] = word;
}

void postings_add(struct postings *postings, uint32_t slot) {
	uint32_t *words = words_of(postings);
	uint32_t used = postings->used;

	CHECK(slot < POSTINGS_SLOT_MAX);
	if (used > 0 && slot == postings->last + 1) {
		/* A length follows a word with the top bit and has none itself. */
		if (used >= 2 && (words[used - 2] & RUN) != 0) {
			words[used - 1]++;
		} else {
			words[used - 1] |= RUN;
			word_add(postings, 2);
		}
	} else {
		word_add(postings, slot);
	}
	postings->last = slot;
	postings->count++;
}

void postings_mark(const struct postings *postings, struct bitmap *bitmap) {
	const uint32_t *words = postings->capacity > 0 ? postings->words.many : postings->words.few;

	for (uint32_t i = 0; i < postings->used; i++) {
		if ((words[i] & RUN) != 0) {
			bitmap_set_range(bitmap, words[i] & ~RUN, words[i + 1]);
			i++;
		} else if ((words[i] >> 6) < bitmap->count) {
			bitmap_set(bitmap, words[i]);
		}
	}
}

void postings_remove(struct postings *postings, const struct bitmap *gone) {
	const uint32_t *words = words_of(postings);
	struct postings kept = { 0 };

	for (uint32_t i = 0; i < postings->used; i++) {
		uint32_t first = words[i] & ~RUN;
		uint32_t count = (words[i] & RUN) != 0 ? words[++i] : 1;
		for (uint32_t slot = first; slot - first < count; slot++) {
			if (!bitmap_has(gone, slot)) {
				postings_add(&kept, slot);
			}
		}
	}
	postings_deinit(postings);
	*postings = kept;
}

size_t postings_bytes(const struct postings *postings) {
	return postings->capacity * sizeof(uint32_t);
}
