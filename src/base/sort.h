/*
 * Sorting of what may be much: stable, stopped when nobody waits for it, in memory that is charged.
 *
 * Any thread; no state.
 */
#ifndef BASE_SORT_H
#define BASE_SORT_H

#include "base/arena.h"

/* Largest size of an item in bytes. */
#define SORT_ITEM_MAX 256
/* Comparisons between two looks at whether to go on: a few milliseconds. */
#define SORT_CHECK_EVERY 8192

struct sort {
	/* Positive when 'b' is to come before 'a'; what is equal stays in its order. */
	int (*cmp)(const void *a, const void *b, void *context);
	void *context;
	/* Whether to go on, or a negative code with its sentence in 'err'. May be NULL. */
	int (*check)(void *context, struct err *err);
	void *check_context;
};

/* Sorts in place. What it needs meanwhile, two pointers per item, is charged to the arena's budget.
 * Returns 0, ERR_LIMIT or what 'check' said; then the items are there in any order. */
MUST_USE int sort_items(void *items, size_t count, size_t size, const struct sort *how,
	const struct arena *arena, struct err *err);

#endif
