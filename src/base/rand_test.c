#include "base/rand.h"

#include "base/test.h"

static void repeats_itself_for_the_same_seed(void **state) {
	(void)state;
	struct rand a;
	struct rand b;
	struct rand other;
	rand_init(&a, 42);
	rand_init(&b, 42);
	rand_init(&other, 43);
	bool differs = false;
	for (size_t i = 0; i < 100; i++) {
		uint64_t value = rand_next(&a);
		assert_true(value == rand_next(&b));
		differs = differs || value != rand_next(&other);
	}
	assert_true(differs);
}

static void stays_below_the_bound_and_reaches_all(void **state) {
	(void)state;
	struct rand rand;
	size_t counts[7] = { 0 };
	rand_init(&rand, 1);
	for (size_t i = 0; i < 70000; i++) {
		uint64_t value = rand_below(&rand, 7);
		assert_true(value < 7);
		counts[value]++;
	}
	for (size_t i = 0; i < 7; i++) {
		assert_in_range(counts[i], 9000, 11000);
	}
	assert_true(rand_below(&rand, 1) == 0);
	assert_true(rand_below(&rand, UINT64_MAX) < UINT64_MAX);
}

static void gives_fractions_of_one(void **state) {
	(void)state;
	struct rand rand;
	double sum = 0;
	rand_init(&rand, 2);
	for (size_t i = 0; i < 10000; i++) {
		double value = rand_unit(&rand);
		assert_true(value >= 0 && value < 1);
		sum += value;
	}
	assert_true(sum > 4800 && sum < 5200);
}

static void fills_secrets_to_the_last_byte(void **state) {
	(void)state;
	unsigned char bytes[1000] = { 0 };
	unsigned char last = 0;
	for (size_t i = 0; i < 20; i++) {
		rand_secure(bytes, sizeof(bytes));
		last |= bytes[sizeof(bytes) - 1];
	}
	assert_int_not_equal(last, 0);
	rand_secure(bytes, 0);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(repeats_itself_for_the_same_seed),
		TEST(stays_below_the_bound_and_reaches_all),
		TEST(gives_fractions_of_one),
		TEST(fills_secrets_to_the_last_byte),
	};
	return TEST_RUN(tests);
}
