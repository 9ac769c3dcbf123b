#include "tsdb/postings.h"

#include "base/rand.h"
#include "base/test.h"

#define SLOTS 4096

static void the_neighbours_of_one_target_take_two_words(void **state) {
	struct postings postings = { 0 };

	(void)state;
	for (uint32_t slot = 1000; slot < 2000; slot++) {
		postings_add(&postings, slot);
	}
	assert_int_equal(postings.used, 2);
	assert_int_equal(postings.count, 1000);
	assert_int_equal(postings_bytes(&postings), 0);
	postings_deinit(&postings);
}

static void marks_what_was_added_in_any_order(void **state) {
	struct rand rand;

	(void)state;
	rand_init(&rand, 5);
	for (int round = 0; round < 300; round++) {
		bool expected[SLOTS] = { false };
		struct arena arena = { 0 };
		struct bitmap bitmap = { 0 };
		struct bitmap gone = { 0 };
		struct postings postings = { 0 };
		size_t left = 0;
		struct err err = { 0 };

		assert_ok(bitmap_build(&arena, SLOTS, &bitmap, &err), err);
		assert_ok(bitmap_build(&arena, SLOTS, &gone, &err), err);
		for (int i = 0; i < 60; i++) {
			uint32_t slot = (uint32_t)rand_below(&rand, SLOTS);
			uint32_t end = slot + (uint32_t)rand_below(&rand, 90);
			for (; slot < end && slot < SLOTS; slot++) {
				if (!expected[slot]) {
					postings_add(&postings, slot);
					expected[slot] = true;
				}
			}
		}
		for (int i = 0; i < 400; i++) {
			uint32_t slot = (uint32_t)rand_below(&rand, SLOTS);
			bitmap_set(&gone, slot);
			expected[slot] = false;
		}
		postings_remove(&postings, &gone);
		postings_mark(&postings, &bitmap);
		for (uint32_t slot = 0; slot < SLOTS; slot++) {
			assert_int_equal(bitmap_has(&bitmap, slot), expected[slot]);
			left += expected[slot];
		}
		assert_int_equal(postings.count, left);
		assert_int_equal(bitmap_count(&bitmap), left);
		postings_deinit(&postings);
		arena_deinit(&arena);
	}
}

static void leaves_out_slots_made_after_the_bitmap(void **state) {
	struct arena arena = { 0 };
	struct bitmap bitmap = { 0 };
	struct postings postings = { 0 };
	struct err err = { 0 };
	uint32_t slot = 0;

	(void)state;
	assert_ok(bitmap_build(&arena, 100, &bitmap, &err), err);
	for (uint32_t i = 90; i < 300; i++) {
		postings_add(&postings, i);
	}
	postings_add(&postings, 5000);
	postings_mark(&postings, &bitmap);
	assert_true(bitmap_next(&bitmap, &slot));
	assert_int_equal(slot, 90);
	postings_deinit(&postings);
	arena_deinit(&arena);
}

static void set_operations_agree_with_their_meaning(void **state) {
	struct rand rand;

	(void)state;
	rand_init(&rand, 6);
	for (int round = 0; round < 100; round++) {
		struct arena arena = { 0 };
		struct bitmap a = { 0 };
		struct bitmap b = { 0 };
		struct bitmap c = { 0 };
		struct err err = { 0 };
		uint32_t seen = 0;
		uint32_t at = 0;

		assert_ok(bitmap_build(&arena, 1000, &a, &err), err);
		assert_ok(bitmap_build(&arena, 1000, &b, &err), err);
		assert_ok(bitmap_build(&arena, 1000, &c, &err), err);
		for (int i = 0; i < 500; i++) {
			bitmap_set(&a, (uint32_t)rand_below(&rand, 1000));
			bitmap_set(&b, (uint32_t)rand_below(&rand, 1000));
		}
		memcpy(c.words, a.words, a.count * sizeof(uint64_t));
		bitmap_and(&a, &b);
		bitmap_and_not(&c, &b);
		for (uint32_t i = 0; i < 1000; i++) {
			assert_false(bitmap_has(&a, i) && !bitmap_has(&b, i));
			assert_false(bitmap_has(&c, i) && bitmap_has(&b, i));
		}
		for (at = 0; bitmap_next(&a, &at); at++) {
			assert_true(bitmap_has(&a, at));
			seen++;
		}
		assert_int_equal(seen, bitmap_count(&a));
		arena_deinit(&arena);
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(the_neighbours_of_one_target_take_two_words),
		TEST(marks_what_was_added_in_any_order),
		TEST(leaves_out_slots_made_after_the_bitmap),
		TEST(set_operations_agree_with_their_meaning),
	};
	return TEST_RUN(tests);
}
