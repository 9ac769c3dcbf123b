#include "matrix/column.h"

#include "base/rand.h"
#include "base/test.h"
#include "store/store.h"

#include <math.h>

#define COUNT 240

/* Writes and reads a column; every bit must survive. Returns the bytes it took. */
static size_t round_trip(const double *values, size_t count) {
	struct column_scratch scratch = { 0 };
	struct buf bytes = { 0 };
	double read[COUNT] = { 0 };
	column_encode(values, count, &scratch, &bytes);
	size_t len = bytes.len;
	struct reader in = { (const uint8_t *)buf_text(&bytes),
		(const uint8_t *)buf_text(&bytes) + len, false };
	column_decode(&in, read, count);
	assert_false(in.has_failed);
	assert_int_equal(reader_left(&in), 0);
	for (size_t i = 0; i < count; i++) {
		if (double_bits(values[i]) != double_bits(read[i])) {
			fail_msg("value %zu: %a became %a", i, values[i], read[i]);
		}
	}
	column_scratch_deinit(&scratch);
	buf_deinit(&bytes);
	return len;
}

static void nothing_takes_nothing(void **state) {
	(void)state;
	assert_int_equal(round_trip(NULL, 0), 0);
}

static void one_value_again_and_again_takes_nine_bytes(void **state) {
	(void)state;
	double values[COUNT];
	for (size_t i = 0; i < COUNT; i++) {
		values[i] = 0.1 + 0.2;
	}
	assert_int_equal(round_trip(values, COUNT), 9);
}

static void decimals_take_their_differences(void **state) {
	(void)state;
	double values[COUNT];
	for (size_t i = 0; i < COUNT; i++) {
		values[i] = (double)(2150 + (int)(i * 7 % 40)) / 100; /* 21.50, 21.57, ... */
	}
	assert_true(round_trip(values, COUNT) < COUNT * 2);
	for (size_t i = 0; i < COUNT; i++) {
		values[i] = 1e9 + (double)(i * 15); /* a counter */
	}
	assert_true(round_trip(values, COUNT) < COUNT * 2);
}

static void rates_of_counters_take_whole_numbers_of_a_unit(void **state) {
	(void)state;
	double values[COUNT];
	for (size_t i = 0; i < COUNT; i++) {
		/* An increase over 299.987 s, extrapolated, by the second. */
		values[i] = (double)(i * 13 % 50) * (300.0 / 299.987) / 300.0;
	}
	assert_true(round_trip(values, COUNT) < COUNT * 3);
}

static void special_values_keep_their_bits(void **state) {
	(void)state;
	const double values[] = { 0.0, -0.0, HUGE_VAL, -HUGE_VAL, double_of_bits(STALE_NAN_BITS),
		double_of_bits(NORMAL_NAN_BITS), double_of_bits(UINT64_C(0xfff8000000000123)),
		5e-324, -5e-324, 1.7976931348623157e308, 9007199254740993.0, 0.1, 1e22, 1e-22 };
	size_t count = ARRAY_COUNT(values);
	(void)round_trip(values, count);
	for (size_t i = 0; i < count; i++) {
		(void)round_trip(&values[i], 1);
		for (size_t j = 0; j < count; j++) {
			const double pair[] = { values[i], values[j], values[i] };
			(void)round_trip(pair, ARRAY_COUNT(pair));
		}
	}
}

static double any_value(struct rand *rand) {
	static const double units[] = { 1, 0.01, 1.0 / 15, 1e-9, 1e17, 0.1 + 0.2 };
	switch (rand_below(rand, 4)) {
	case 0:
		return double_of_bits(rand_next(rand));
	case 1:
		return (double)((int64_t)rand_below(rand, 2000) - 1000) *
		       units[rand_below(rand, ARRAY_COUNT(units))];
	case 2:
		return (double)rand_below(rand, 100000) / 1000;
	default:
		return (double)rand_below(rand, 3);
	}
}

static void any_mixture_keeps_every_bit(void **state) {
	(void)state;
	struct rand rand;
	rand_init(&rand, 7);
	for (size_t round = 0; round < 4000; round++) {
		double values[COUNT];
		size_t count = 1 + rand_below(&rand, 30);
		uint64_t kinds = 1 + rand_below(&rand, 4);
		for (size_t i = 0; i < count; i++) {
			values[i] = i > 0 && rand_below(&rand, kinds) > 0 ? values[i - 1]
									  : any_value(&rand);
		}
		(void)round_trip(values, count);
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(nothing_takes_nothing),
		TEST(one_value_again_and_again_takes_nine_bytes),
		TEST(decimals_take_their_differences),
		TEST(rates_of_counters_take_whole_numbers_of_a_unit),
		TEST(special_values_keep_their_bits),
		TEST(any_mixture_keeps_every_bit),
	};
	return TEST_RUN(tests);
}
