/*
 * Postings: the slots of the series that carry one label pair, in order of creation.
 *
 * The series of one target are made one after the other and get neighbouring slots, so that a pair
 * they all share takes two words, not one for each. Guarded by the index' lock.
 */
#ifndef TSDB_POSTINGS_H
#define TSDB_POSTINGS_H

#include "tsdb/bitmap.h"

#include <stdint.h>

#define POSTINGS_INLINE 2
/* Slots must be below. */
#define POSTINGS_SLOT_MAX UINT32_C(0x80000000)

/*
 * A word without the top bit is a slot; one with it is the first slot of a run, and the next word
 * its length. { 0 } is empty.
 */
struct postings {
	union {
		uint32_t few[POSTINGS_INLINE];
		uint32_t *many;
	} words;
	uint32_t used;
	uint32_t capacity; /* 0: the words are inside. */
	uint32_t last;     /* The slot added last. */
	uint32_t count;    /* Slots. */
};

/* Frees the words; what is left is empty. */
void postings_deinit(struct postings *postings);
/* Adds a slot that is not there. */
void postings_add(struct postings *postings, uint32_t slot);
/* Sets the bit of every slot; those past the bitmap's size are left out. */
void postings_mark(const struct postings *postings, struct bitmap *bitmap);
/* Removes the slots that are in 'gone'. */
void postings_remove(struct postings *postings, const struct bitmap *gone);
/* Bytes on the heap. */
size_t postings_bytes(const struct postings *postings);

#endif
