#include "tsdb/cells.h"

#include "base/compiler.h"
#include "base/rand.h"
#include "base/test.h"

#include <string.h>

static void cells_of_all_sizes_do_not_overlap(void **state) {
	struct {
		unsigned char *ptr;
		size_t size;
		unsigned char mark;
	} live[500] = { 0 };
	struct cells cells = { 0 };
	struct rand rand;

	(void)state;
	rand_init(&rand, 1);
	for (int round = 0; round < 100000; round++) {
		size_t i = rand_below(&rand, ARRAY_COUNT(live));
		if (live[i].ptr) {
			for (size_t k = 0; k < live[i].size; k++) {
				assert_int_equal(live[i].ptr[k], live[i].mark);
			}
			cells_free(&cells, live[i].ptr, live[i].size);
		}
		live[i].size = 1 + rand_below(&rand, 1300);
		live[i].mark = (unsigned char)round;
		live[i].ptr = cells_alloc(&cells, live[i].size);
		assert_int_equal((uintptr_t)live[i].ptr % CELL_STEP, 0);
		memset(live[i].ptr, live[i].mark, live[i].size);
	}
	for (size_t i = 0; i < ARRAY_COUNT(live); i++) {
		cells_free(&cells, live[i].ptr, live[i].size);
	}
	assert_int_equal(cells.large_bytes, 0);
	cells_deinit(&cells);
}

/* Ten thousand things that grow in step: no more than what the largest step needs, and a little. */
static void what_grows_in_step_leaves_no_room_behind(void **state) {
	enum {
		COUNT = 10000
	};
	void **things = calloc(COUNT, sizeof(void *));
	struct cells cells = { 0 };

	(void)state;
	for (size_t size = 32; size <= 512; size += 32) {
		for (size_t i = 0; i < COUNT; i++) {
			void *bigger = cells_alloc(&cells, size);
			cells_free(&cells, things[i], size - 32);
			things[i] = bigger;
		}
	}
	assert_true(cells_bytes(&cells) < COUNT * 512 * 12 / 10);
	for (size_t i = 0; i < COUNT; i++) {
		cells_free(&cells, things[i], 512);
	}
	cells_deinit(&cells);
	free(things);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(cells_of_all_sizes_do_not_overlap),
		TEST(what_grows_in_step_leaves_no_room_behind),
	};
	return TEST_RUN(tests);
}
