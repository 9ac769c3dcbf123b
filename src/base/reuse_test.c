#include "base/reuse.h"

#include "base/test.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static void gives_blocks_of_every_size(void **state) {
	(void)state;
	for (size_t size = 1; size < 3 * REUSE_BLOCK_BYTES_MAX; size += 1 + size / 37) {
		char *first = reuse_alloc(size);
		char *second = reuse_alloc(size);
		assert_non_null(first);
		assert_non_null(second);
		assert_ptr_not_equal(first, second);
		memset(first, 1, size);
		memset(second, 2, size);
		assert_int_equal(first[size - 1], 1);
		reuse_free(first);
		reuse_free(second);
	}
	assert_null(reuse_alloc(0));
	reuse_free(NULL);
}

static void zeroes_what_was_used_before(void **state) {
	(void)state;
	for (int round = 0; round < 3; round++) {
		unsigned char *block = reuse_alloc_zeroed(10, 77);
		assert_non_null(block);
		for (size_t i = 0; i < 770; i++) {
			assert_int_equal(block[i], 0);
		}
		memset(block, 0xff, 770);
		reuse_free(block);
	}
	assert_null(reuse_alloc_zeroed(SIZE_MAX / 2, 3));
}

static void keeps_the_bytes_when_a_block_grows_and_shrinks(void **state) {
	(void)state;
	static const size_t sizes[] = { 1, 40, 512, 513, 20000, 32768, 32769, 200000, 100000, 300,
		8 };
	unsigned char *block = NULL;
	size_t held = 0;
	for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
		block = reuse_resize(block, sizes[i]);
		assert_non_null(block);
		for (size_t j = 0; j < held && j < sizes[i]; j++) {
			assert_int_equal(block[j], (unsigned char)(j * 7));
		}
		for (size_t j = 0; j < sizes[i]; j++) {
			block[j] = (unsigned char)(j * 7);
		}
		held = sizes[i];
	}
	assert_null(reuse_resize(block, 0));
}

static void mixes_with_the_systems_allocator(void **state) {
	(void)state;
	for (size_t size = 1; size < 2 * REUSE_BLOCK_BYTES_MAX; size += 1 + size / 11) {
		reuse_free(malloc(size));
		char *block = reuse_alloc(size);
		assert_non_null(block);
		memset(block, 3, size);
		free(block);
	}
}

/* Many more than are kept, from a thread that ends: the leak checker sees what is lost. */
static void *take_and_give(void *unused) {
	enum {
		BLOCKS = 3000
	};
	static _Thread_local void *blocks[BLOCKS];
	(void)unused;
	for (size_t i = 0; i < BLOCKS; i++) {
		blocks[i] = reuse_alloc(1 + i * 13 % 5000);
	}
	for (size_t i = 0; i < BLOCKS; i++) {
		reuse_free(blocks[i]);
	}
	return NULL;
}

static void what_a_thread_keeps_goes_with_it(void **state) {
	(void)state;
	pthread_t threads[4];
	for (size_t i = 0; i < ARRAY_COUNT(threads); i++) {
		assert_int_equal(pthread_create(&threads[i], NULL, take_and_give, NULL), 0);
	}
	for (size_t i = 0; i < ARRAY_COUNT(threads); i++) {
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(gives_blocks_of_every_size),
		TEST(zeroes_what_was_used_before),
		TEST(keeps_the_bytes_when_a_block_grows_and_shrinks),
		TEST(mixes_with_the_systems_allocator),
		TEST(what_a_thread_keeps_goes_with_it),
	};
	return TEST_RUN(tests);
}
