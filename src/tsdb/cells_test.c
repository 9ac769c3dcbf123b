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

/* What is empty goes back to the system but for a little, and serves again when it is needed. */
static void empty_blocks_are_given_back(void **state) {
	enum {
		COUNT = 20000,
		SIZE = 512
	};
	unsigned char **things = calloc(COUNT, sizeof(*things));
	struct cells cells = { 0 };
	size_t full;

	(void)state;
	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i < COUNT; i++) {
			things[i] = cells_alloc(&cells, SIZE);
			memset(things[i], (int)(i + (size_t)round) & 0xff, SIZE);
		}
		for (size_t i = 0; i < COUNT; i++) {
			assert_int_equal(things[i][0], (i + (size_t)round) & 0xff);
			assert_int_equal(things[i][SIZE - 1], (i + (size_t)round) & 0xff);
		}
		full = cells_bytes(&cells);
		assert_false(cells_trim(&cells));
		for (size_t i = COUNT / 10; i < COUNT; i++) {
			cells_free(&cells, things[i], SIZE);
		}
		while (cells_trim(&cells)) {
		}
		assert_true(cells_bytes(&cells) < full / 2);
		for (size_t i = 0; i < COUNT / 10; i++) {
			assert_int_equal(things[i][SIZE - 1], (i + (size_t)round) & 0xff);
			cells_free(&cells, things[i], SIZE);
		}
	}
	cells_deinit(&cells);
	free(things);
}

/* Nine of ten things grow and leave holes around the tenth; moved together they take little room.
 */
static void cells_move_together(void **state) {
	enum {
		COUNT = 50000
	};
	unsigned char **things = calloc(COUNT, sizeof(*things));
	struct cells cells = { 0 };
	size_t before;

	(void)state;
	for (size_t i = 0; i < COUNT; i++) {
		things[i] = cells_alloc(&cells, 96);
		memset(things[i], (int)(i & 0xff), 96);
	}
	assert_false(cells_are_sparse(&cells));
	for (size_t i = 0; i < COUNT; i++) {
		if (i % 10 != 0) {
			cells_free(&cells, things[i], 96);
		}
	}
	assert_true(cells_are_sparse(&cells));
	before = cells_bytes(&cells);
	for (size_t i = 0; i < COUNT; i += 10) {
		things[i] = cells_compact(&cells, things[i], 96);
	}
	assert_false(cells_are_sparse(&cells));
	while (cells_trim(&cells)) {
	}
	assert_true(cells_bytes(&cells) < before / 2);
	for (size_t i = 0; i < COUNT; i += 10) {
		assert_int_equal(things[i][0], i & 0xff);
		assert_int_equal(things[i][95], i & 0xff);
		cells_free(&cells, things[i], 96);
	}
	assert_int_equal(cells.used_bytes, 0);
	cells_deinit(&cells);
	free(things);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(cells_of_all_sizes_do_not_overlap),
		TEST(what_grows_in_step_leaves_no_room_behind),
		TEST(empty_blocks_are_given_back),
		TEST(cells_move_together),
	};
	return TEST_RUN(tests);
}
