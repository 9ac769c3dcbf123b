#include "promql/quantile.h"

#include "base/rand.h"
#include "base/test.h"

#include <stdlib.h>

#define COUNT 500

static int cmp_values(const void *a, const void *b) {
	double x = *(const double *)a;
	double y = *(const double *)b;

	if (isnan(x) || isnan(y)) {
		return (int)!!isnan(y) - (int)!!isnan(x);
	}
	if (x == y) {
		return (int)!!signbit(y) - (int)!!signbit(x);
	}
	return x > y ? 1 : -1;
}

static double quantile_by_keys(double q, const double *values, size_t count, bool is_sorted) {
	int64_t keys[2 * COUNT];

	for (size_t i = 0; i < count; i++) {
		keys[i] = quantile_key(values[i]);
	}
	if (is_sorted) {
		quantile_sort(keys, keys + count, count);
		return quantile_of_sorted(q, keys, count);
	}
	return quantile_of(q, keys, keys + count, count);
}

/* By sorting, as it is defined. */
static double slow_quantile(double q, const double *values, size_t count) {
	double sorted[COUNT];
	double rank = q * (double)(count - 1);
	size_t low = (size_t)floor(rank);
	size_t high = low + 1 < count ? low + 1 : count - 1;

	memcpy(sorted, values, count * sizeof(*values));
	qsort(sorted, count, sizeof(*sorted), cmp_values);
	return sorted[low] * (1 - (rank - floor(rank))) + sorted[high] * (rank - floor(rank));
}

static double some_value(struct rand *rand, uint64_t kind) {
	switch (kind) {
	case 0:
		return rand_unit(rand);
	case 1:
		return (double)rand_below(rand, 5) - 2;
	case 2:
		return rand_below(rand, 2) == 0 ? 0.0 : -0.0;
	case 3:
		return rand_below(rand, 2) == 0 ? HUGE_VAL : -HUGE_VAL;
	default:
		return rand_below(rand, 4) == 0 ? double_of_bits(NORMAL_NAN_BITS)
						: (double)rand_below(rand, 1000);
	}
}

static void a_selection_gives_what_a_sort_gives(void **state) {
	struct rand rand;

	(void)state;
	rand_init(&rand, 7);
	for (int round = 0; round < 3000; round++) {
		size_t count = 1 + rand_below(&rand, round % 2 ? 20 : COUNT);
		double q =
			rand_below(&rand, 5) == 0 ? (double)rand_below(&rand, 2) : rand_unit(&rand);
		double values[COUNT];
		double expected;
		double got;

		for (size_t i = 0; i < count; i++) {
			values[i] = some_value(&rand, (uint64_t)round % 5);
		}
		expected = slow_quantile(q, values, count);
		for (int is_sorted = 0; is_sorted < 2; is_sorted++) {
			got = quantile_by_keys(q, values, count, is_sorted);
			if (double_bits(got) != double_bits(expected) &&
				!(isnan(got) && isnan(expected))) {
				fail_msg("round %d: %.17g, not %.17g", round, got, expected);
			}
		}
	}
}

static void a_sorted_or_constant_input_is_no_trouble(void **state) {
	double values[COUNT];

	(void)state;
	for (int kind = 0; kind < 3; kind++) {
		for (size_t i = 0; i < COUNT; i++) {
			values[i] = kind == 0 ? (double)i : kind == 1 ? (double)(COUNT - i) : 1;
		}
		assert_true(quantile_by_keys(1, values, COUNT, false) == (kind == 0 ? COUNT - 1
										 : kind == 1 ? COUNT
											     : 1));
	}
}

static void quantiles_outside_are_infinite(void **state) {
	double values[] = { 1, 2 };

	(void)state;
	assert_true(quantile_by_keys(-0.1, values, 2, false) == -HUGE_VAL);
	assert_true(quantile_by_keys(1.1, values, 2, false) == HUGE_VAL);
	assert_true(isnan(quantile_by_keys(0.5, values, 0, false)));
	assert_true(isnan(quantile_by_keys(double_of_bits(NORMAL_NAN_BITS), values, 2, false)));
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(a_selection_gives_what_a_sort_gives),
		TEST(a_sorted_or_constant_input_is_no_trouble),
		TEST(quantiles_outside_are_infinite),
	};
	return TEST_RUN(tests);
}
