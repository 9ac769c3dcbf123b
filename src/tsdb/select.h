/*
 * Which series a request means: matchers to a bitmap of slots.
 */
#ifndef TSDB_SELECT_H
#define TSDB_SELECT_H

#include "tsdb/bitmap.h"
#include "tsdb/head.h"

/*
 * The series that all matchers accept, none that is not there. The caller is an epoch's reader.
 * Returns 0, ERR_LIMIT when the arena's budget is spent, or ERR_CANCELED. Takes the index lock,
 * never while a regular expression runs.
 */
MUST_USE int select_slots(struct tsdb *db, const struct matcher *matchers, size_t count,
	const _Atomic bool *canceled, struct arena *arena, struct bitmap *out, struct err *err);

/* Returns ERR_CANCELED when '*canceled' is set; NULL is fine. */
MUST_USE int select_check(const _Atomic bool *canceled, struct err *err);

/* Sorts as sort_items does, until 'canceled', which may be NULL, is set. */
MUST_USE int select_sort(void *items, size_t count, size_t size,
	int (*cmp)(const void *a, const void *b, void *context), void *context,
	const _Atomic bool *canceled, const struct arena *arena, struct err *err);

#endif
