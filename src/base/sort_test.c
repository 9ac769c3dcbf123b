#include "base/sort.h"

#include "base/memory.h"
#include "base/rand.h"
#include "base/test.h"

#include <stdlib.h>

struct item {
	uint32_t key;
	uint32_t place; /* Before it was sorted. */
	char rest[24];  /* So that items are larger than words. */
};

static int cmp_keys(const void *a, const void *b, void *context) {
	uint32_t left = ((const struct item *)a)->key;
	uint32_t right = ((const struct item *)b)->key;

	(*(size_t *)context)++;
	return (left > right) - (left < right);
}

static struct item *random_items(size_t count, uint32_t keys) {
	struct item *items = MEMORY_NEW(struct item, count);
	struct rand rand;

	rand_init(&rand, count);
	for (size_t i = 0; i < count; i++) {
		items[i] = (struct item){ (uint32_t)rand_below(&rand, keys), (uint32_t)i, "" };
	}
	return items;
}

static void assert_sorted(const struct item *items, size_t count) {
	for (size_t i = 1; i < count; i++) {
		assert_true(items[i - 1].key <= items[i].key);
		if (items[i - 1].key == items[i].key) {
			assert_true(items[i - 1].place < items[i].place);
		}
	}
}

static void sorts_any_number_and_keeps_equal_ones_in_order(void **state UNUSED) {
	static const size_t counts[] = { 0, 1, 2, 3, 7, 8, 9, 100, 1023, 20000 };
	struct arena arena = { 0 };
	size_t compared = 0;
	const struct sort how = { .cmp = cmp_keys, .context = &compared };

	for (size_t i = 0; i < ARRAY_COUNT(counts); i++) {
		size_t count = counts[i];
		struct item *items = random_items(count, (uint32_t)(count / 3 + 1));
		bool *seen = MEMORY_NEW(bool, count);

		assert_int_equal(sort_items(items, count, sizeof(*items), &how, &arena, NULL), 0);
		assert_sorted(items, count);
		for (size_t k = 0; k < count; k++) {
			assert_false(seen[items[k].place]);
			seen[items[k].place] = true;
		}
		free(seen);
		free(items);
	}
}

static void what_is_in_order_is_compared_once_each(void **state UNUSED) {
	struct arena arena = { 0 };
	struct item *items = random_items(1000, 1);
	size_t compared = 0;
	const struct sort how = { .cmp = cmp_keys, .context = &compared };

	assert_int_equal(sort_items(items, 1000, sizeof(*items), &how, &arena, NULL), 0);
	assert_true(compared < 1000);
	free(items);
}

static int refuse(void *context, struct err *err) {
	return --*(int *)context < 0 ? err_set(err, ERR_CANCELED, "enough") : 0;
}

static void stops_soon_after_it_is_told_to(void **state UNUSED) {
	struct arena arena = { 0 };
	struct item *items = random_items(100000, 1000000);
	size_t compared = 0;
	int looks = 3;
	const struct sort how = { cmp_keys, &compared, refuse, &looks };
	struct err err = { 0 };

	assert_int_equal(
		sort_items(items, 100000, sizeof(*items), &how, &arena, &err), ERR_CANCELED);
	assert_string_equal(err.text, "enough");
	assert_int_equal(compared, 4 * SORT_CHECK_EVERY);
	free(items);
}

static void what_it_needs_is_charged(void **state UNUSED) {
	struct budget budget;
	struct arena arena;
	struct item *items = random_items(1000, 1000);
	size_t compared = 0;
	const struct sort how = { .cmp = cmp_keys, .context = &compared };
	struct err err = { 0 };

	budget_init(&budget, NULL, "--limit", 15000);
	arena_init(&arena, &budget);
	assert_int_equal(sort_items(items, 1000, sizeof(*items), &how, &arena, &err), ERR_LIMIT);
	assert_non_null(strstr(err.text, "--limit"));
	assert_int_equal(sort_items(items, 900, sizeof(*items), &how, &arena, &err), 0);
	assert_int_equal(budget_used(&budget), 0);
	arena_deinit(&arena);
	budget_deinit(&budget);
	free(items);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(sorts_any_number_and_keeps_equal_ones_in_order),
		TEST(what_is_in_order_is_compared_once_each),
		TEST(stops_soon_after_it_is_told_to),
		TEST(what_it_needs_is_charged),
	};

	return TEST_RUN(tests);
}
