#include "base/map.h"

#include "base/rand.h"
#include "base/test.h"

static bool same_number(uint64_t value, const void *key) {
	return value == *(const uint64_t *)key;
}

static bool holds(const struct map *map, uint64_t hash, uint64_t value) {
	uint64_t found = 0;
	return map_find(map, hash, same_number, &value, &found) && found == value;
}

static void finds_what_was_added(void **state) {
	(void)state;
	struct map map = { 0 };
	assert_false(holds(&map, 1, 1));
	for (uint64_t i = 0; i < 10000; i++) {
		map_add(&map, i, i * 3);
	}
	assert_int_equal(map.count, 10000);
	for (uint64_t i = 0; i < 10000; i++) {
		assert_true(holds(&map, i, i * 3));
		assert_false(holds(&map, i, i * 3 + 1));
	}
	map_deinit(&map);
	assert_false(holds(&map, 1, 3));
}

static void tells_keys_of_one_hash_apart(void **state) {
	(void)state;
	struct map map = { 0 };
	for (uint64_t i = 0; i < 100; i++) {
		map_add(&map, i % 2, i);
	}
	for (uint64_t i = 0; i < 100; i++) {
		assert_true(holds(&map, i % 2, i));
		assert_true(map_remove(&map, i % 2, i));
		assert_false(map_remove(&map, i % 2, i));
		assert_false(holds(&map, i % 2, i));
	}
	assert_int_equal(map.count, 0);
	map_deinit(&map);
}

static void agrees_with_a_plain_list(void **state) {
	(void)state;
	enum {
		VALUES = 500
	};
	struct map map = { 0 };
	bool there[VALUES] = { false };
	struct rand rand;
	rand_init(&rand, 11);
	for (size_t i = 0; i < 200000; i++) {
		uint64_t value = rand_below(&rand, VALUES);
		if (there[value]) {
			assert_true(map_remove(&map, value & 63, value));
		} else {
			map_add(&map, value & 63, value);
		}
		there[value] = !there[value];
		assert_int_equal(holds(&map, value & 63, value), there[value]);
	}
	size_t count = 0;
	for (uint64_t value = 0; value < VALUES; value++) {
		assert_int_equal(holds(&map, value & 63, value), there[value]);
		count += there[value];
	}
	assert_int_equal(map.count, count);
	assert_true(map.capacity <= 2048);
	map_deinit(&map);
}

static void does_not_grow_by_adding_and_removing(void **state) {
	(void)state;
	struct map map = { 0 };
	for (uint64_t i = 0; i < 100000; i++) {
		map_add(&map, i * 0x9e3779b97f4a7c15U, i);
		if (i >= 10) {
			assert_true(map_remove(&map, (i - 10) * 0x9e3779b97f4a7c15U, i - 10));
		}
	}
	assert_int_equal(map.count, 10);
	assert_true(map.capacity <= 64);
	map_deinit(&map);
}

static void walks_all_values_and_may_remove_them(void **state) {
	(void)state;
	struct map map = { 0 };
	uint64_t sum = 0;
	for (uint64_t i = 1; i <= 1000; i++) {
		map_add(&map, i, i);
	}
	size_t cursor = 0;
	uint64_t value = 0;
	while (map_next(&map, &cursor, &value)) {
		sum += value;
		assert_true(map_remove(&map, value, value));
	}
	assert_int_equal(sum, 500500);
	assert_int_equal(map.count, 0);
	map_deinit(&map);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(finds_what_was_added),
		TEST(tells_keys_of_one_hash_apart),
		TEST(agrees_with_a_plain_list),
		TEST(does_not_grow_by_adding_and_removing),
		TEST(walks_all_values_and_may_remove_them),
	};
	return TEST_RUN(tests);
}
