#include "base/arena.h"

#include "base/poison.h"
#include "base/rand.h"
#include "base/test.h"

#include <stdalign.h>

static void gives_zeroed_aligned_memory(void **state) {
	(void)state;
	struct arena arena = { 0 };
	for (size_t round = 0; round < 3; round++) {
		for (size_t i = 1; i < 3000; i++) {
			(void)arena_copy(&arena, STR("x"));
			char *ptr = arena_alloc(&arena, i, 1);
			assert_int_equal((uintptr_t)ptr % alignof(max_align_t), 0);
			for (size_t k = 0; k < i; k += 37) {
				assert_int_equal(ptr[k], 0);
			}
			memset(ptr, 0xff, i);
		}
		arena_reset(&arena);
	}
	arena_deinit(&arena);
}

static void keeps_what_was_written_apart(void **state) {
	(void)state;
	enum {
		COUNT = 800
	};
	struct arena arena = { 0 };
	struct rand rand;
	rand_init(&rand, 3);
	struct str items[COUNT];
	for (size_t i = 0; i < COUNT; i++) {
		size_t len = i % 100 == 0 ? rand_below(&rand, 600000) : rand_below(&rand, 100);
		char *ptr = arena_alloc(&arena, len, 1);
		memset(ptr, (int)(i % 251), len);
		items[i] = (struct str){ ptr, len };
	}
	for (size_t i = 0; i < COUNT; i++) {
		for (size_t k = 0; k<items[i].len; k += items[i].len> 1000 ? 997 : 1) {
			assert_int_equal((unsigned char)items[i].ptr[k], i % 251);
		}
	}
	arena_deinit(&arena);
}

static void copies_and_prints_with_a_nul_behind(void **state) {
	(void)state;
	struct arena arena = { 0 };
	struct str copy = arena_copy(&arena, STR("a\0b"));
	assert_str_equal(copy, STR("a\0b"));
	assert_int_equal(copy.ptr[3], '\0');
	struct str empty = arena_copy(&arena, (struct str){ NULL, 0 });
	assert_int_equal(empty.ptr[0], '\0');
	struct str text = arena_printf(&arena, "%s-%d", "x", 7);
	assert_str_equal(text, STR("x-7"));
	assert_int_equal(text.ptr[3], '\0');
	arena_deinit(&arena);
}

static void keeps_one_block_on_reset(void **state) {
	(void)state;
	struct arena arena = { 0 };
	for (size_t i = 0; i < 10000; i++) {
		(void)arena_alloc(&arena, 100, 1);
	}
	(void)arena_alloc(&arena, 1 << 22, 1);
	arena_reset(&arena);
	assert_true(arena.bytes > 0 && arena.bytes <= 1 << 20);
	size_t held = arena.bytes;
	(void)arena_alloc(&arena, 100, 1);
	assert_int_equal(arena.bytes, held);
	arena_deinit(&arena);
	assert_int_equal(arena.bytes, 0);
}

static void fails_softly_when_the_budget_is_spent(void **state) {
	(void)state;
	struct budget budget;
	struct arena arena;
	struct err err = { 0 };
	budget_init(&budget, NULL, "--query.memory-max", 100000);
	arena_init(&arena, &budget);
	assert_non_null(arena_try_alloc(&arena, 1, 50000, &err));
	assert_null(arena_try_alloc(&arena, 1, 1 << 21, &err));
	assert_int_equal(err.code, ERR_LIMIT);
	assert_non_null(strstr(err.text, "--query.memory-max"));
	assert_true(budget_used(&budget) >= 50000 && budget_used(&budget) <= 100000);
	/* What is small goes on all the same. */
	for (size_t i = 0; i < 10000; i++) {
		assert_non_null(arena_alloc(&arena, 1, 100));
	}
	assert_true(budget_used(&budget) <= 100000);
	arena_deinit(&arena);
	assert_int_equal(budget_used(&budget), 0);
	budget_deinit(&budget);
}

static void uses_the_last_of_a_budget(void **state) {
	(void)state;
	struct budget budget;
	struct arena arena;
	struct err err = { 0 };
	budget_init(&budget, NULL, "few", 1 << 20);
	arena_init(&arena, &budget);
	size_t got = 0;
	while (arena_try_alloc(&arena, 1, 1000, &err)) {
		got += 1000;
	}
	assert_true(got > 900000);
	arena_deinit(&arena);
	budget_deinit(&budget);
}

static void refuses_sizes_that_overflow(void **state) {
	(void)state;
	struct arena arena = { 0 };
	struct err err = { 0 };
	assert_null(arena_try_alloc(&arena, SIZE_MAX / 2, 3, &err));
	assert_int_equal(err.code, ERR_LIMIT);
	arena_deinit(&arena);
}

static void forbids_freed_memory_under_asan(void **state) {
	(void)state;
#ifdef POISON_ON
	struct arena arena = { 0 };
	char *ptr = arena_alloc(&arena, 1, 40);
	assert_false(__asan_address_is_poisoned(ptr + 39));
	assert_true(__asan_address_is_poisoned(ptr + 40));
	arena_reset(&arena);
	assert_true(__asan_address_is_poisoned(ptr));
	arena_deinit(&arena);
#else
	TEST_SKIP("only a build with AddressSanitizer poisons");
#endif
}

static void what_is_owed_fails_the_next_that_asks(void **state) {
	(void)state;
	struct budget budget;
	struct arena arena;
	struct err err = { 0 };
	size_t rounds = 0;
	budget_init(&budget, NULL, "--room", 100000);
	arena_init(&arena, &budget);
	while (arena_try_alloc(&arena, 1, 16, &err)) {
		(void)arena_alloc(&arena, 1000, 1); /* By far the most. */
		assert_true(++rounds < 200);
	}
	assert_int_equal(err.code, ERR_LIMIT);
	assert_true(arena.bytes < 100000 + 8192);
	/* With more room it goes on, and the debt is paid. */
	budget.max_bytes = 200000;
	assert_non_null(arena_try_alloc(&arena, 1, 16, &err));
	assert_int_equal(arena.owed_bytes, 0);
	assert_int_equal(budget_used(&budget), arena.bytes);
	arena_deinit(&arena);
	assert_int_equal(budget_used(&budget), 0);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(gives_zeroed_aligned_memory),
		TEST(keeps_what_was_written_apart),
		TEST(copies_and_prints_with_a_nul_behind),
		TEST(keeps_one_block_on_reset),
		TEST(fails_softly_when_the_budget_is_spent),
		TEST(uses_the_last_of_a_budget),
		TEST(refuses_sizes_that_overflow),
		TEST(forbids_freed_memory_under_asan),
		TEST(what_is_owed_fails_the_next_that_asks),
	};
	return TEST_RUN(tests);
}
