#include "base/sort.h"

#include "base/check.h"
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

struct sorting {
	const struct sort *how;
	struct err *err;
	size_t compared; /* Since the last look. */
	int rc;          /* Not 0: to be stopped. */
};

static bool is_after(struct sorting *sorting, const void *a, const void *b) {
	const struct sort *how = sorting->how;

	if (++sorting->compared == SORT_CHECK_EVERY) {
		sorting->compared = 0;
		if (sorting->rc == 0 && how->check) {
			int rc = how->check(how->check_context, sorting->err);

			sorting->rc = rc < 0 ? rc : 0;
		}
	}
	return how->cmp(a, b, how->context) > 0;
}

/* Merges two neighbouring runs, up to 'middle' and up to 'count', into 'to'. */
static void merge(
	struct sorting *sorting, void *const *from, size_t middle, size_t count, void **to) {
	size_t left = 0;
	size_t right = middle;

	/* Often they are in order already. */
	if (middle == count || !is_after(sorting, from[middle - 1], from[middle])) {
		memcpy((void *)to, (const void *)from, count * sizeof(*to));
		return;
	}
	for (size_t i = 0; i < count && sorting->rc == 0; i++) {
		bool takes_left = right == count ||
				  (left < middle && !is_after(sorting, from[left], from[right]));

		to[i] = from[takes_left ? left++ : right++];
	}
}

/* From the bottom up: runs of one, two, four ... Returns where the order is, in 'from' or 'to'. */
static void **merge_all(struct sorting *sorting, void **from, void **to, size_t count) {
	for (size_t width = 1; width < count && sorting->rc == 0; width *= 2) {
		void **last = from;

		for (size_t at = 0; at < count && sorting->rc == 0; at += 2 * width) {
			size_t rest = count - at;

			merge(sorting, from + at, rest < width ? rest : width,
				rest < 2 * width ? rest : 2 * width, to + at);
		}
		from = to;
		to = last;
	}
	return from;
}

/* Moves each item to its place, along the cycles that they make. */
static void arrange(char *items, size_t count, size_t size, void **order) {
	char kept[SORT_ITEM_MAX];

	for (size_t i = 0; i < count; i++) {
		size_t at = i;
		size_t from = (size_t)((char *)order[i] - items) / size;

		if (from == i) {
			continue;
		}
		memcpy(kept, items + i * size, size);
		while (from != i) {
			memcpy(items + at * size, items + from * size, size);
			order[at] = items + at * size;
			at = from;
			from = (size_t)((char *)order[at] - items) / size;
		}
		memcpy(items + at * size, kept, size);
		order[at] = items + at * size;
	}
}

int sort_items(void *items, size_t count, size_t size, const struct sort *how,
	const struct arena *arena, struct err *err) {
	struct sorting sorting = { .how = how, .err = err };
	uint64_t bytes = 2 * (uint64_t)count * sizeof(void *);
	void **pointers;
	void **order;
	int rc;

	CHECK(size > 0 && size <= SORT_ITEM_MAX);
	if (count < 2) {
		return 0;
	}
	rc = arena_charge(arena, bytes, err);
	if (rc < 0) {
		return rc;
	}
	pointers = MEMORY_NEW(void *, 2 * count);
	for (size_t i = 0; i < count; i++) {
		pointers[i] = (char *)items + i * size;
	}
	order = merge_all(&sorting, pointers, pointers + count, count);
	if (sorting.rc == 0) {
		arrange(items, count, size, order);
	}
	free((void *)pointers);
	arena_release(arena, bytes);
	return sorting.rc;
}
