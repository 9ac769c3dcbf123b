#include "promql/histogram.h"

#include "promql/histogram_mean.h"
#include "promql/histogram_parts.h"

#include "base/test.h"

#include <float.h>
#include <math.h>

/* A histogram of buckets 'first', 'first' + 1 ... of the positive side. */
static struct histogram make(
	struct arena *arena, int32_t schema, int32_t first, const double *counts, size_t count) {
	struct histogram histogram = { .schema = schema };

	histogram.positive.indexes = ARENA_NEW(arena, int32_t, count + 1);
	histogram.positive.counts = ARENA_NEW(arena, double, count + 1);
	histogram.positive.count = count;
	for (size_t i = 0; i < count; i++) {
		histogram.positive.indexes[i] = first + (int32_t)i;
		histogram.positive.counts[i] = counts[i];
		histogram.count += counts[i];
	}
	return histogram;
}

static void bounds_are_prometheus_to_the_last_bit(void **state) {
	(void)state;
	assert_true(histogram_bound(0, 0) == 1);
	assert_true(histogram_bound(-3, 0) == 0.125);
	/* Not the closest double to the root of 2, but the one below. */
	assert_true(histogram_bound(1, 1) == 2 * 0.7071067811865475);
	assert_true(histogram_bound(-1, 1) == 0.7071067811865475);
	assert_true(histogram_bound(3, 2) == 2 * 0.8408964152537144);
	assert_true(histogram_bound(2, -1) == 16);
	assert_true(histogram_bound(-1, -4) == 0x1p-16);
	/* The last bucket of finite numbers ends at the last of them. */
	assert_true(histogram_bound(1024, 0) == DBL_MAX);
	assert_true(isinf(histogram_bound(1025, 0)));
	assert_true(histogram_bound(64, -4) == DBL_MAX);
}

static void a_coarser_schema_takes_buckets_together(void **state) {
	static const double counts[] = { 1, 2, 4, 8, 16 };
	AUTO(arena_deinit) struct arena arena = { 0 };
	struct histogram fine = make(&arena, 1, -1, counts, 5);
	struct histogram coarse;
	struct err err;

	(void)state;
	assert_ok(histogram_copy_to_schema(&arena, &fine, 0, &coarse, &err), err);
	assert_int_equal(coarse.positive.count, 3);
	assert_int_equal(coarse.positive.indexes[0], 0);
	assert_true(coarse.positive.counts[0] == 3);
	assert_true(coarse.positive.counts[1] == 12);
	assert_true(coarse.positive.counts[2] == 16);
	/* The original is as it was. */
	assert_int_equal(fine.positive.count, 5);
}

static void a_bucket_of_zero_swallows_what_it_covers(void **state) {
	static const double counts[] = { 1, 2, 4 };
	AUTO(arena_deinit) struct arena arena = { 0 };
	struct histogram narrow = make(&arena, 0, 0, counts, 3);
	struct histogram wide = make(&arena, 0, 2, counts, 1);
	struct err err;

	(void)state;
	wide.zero_threshold = 2;
	wide.zero_count = 10;
	/* (0.5, 1] and (1, 2] lie in [-2, 2]. */
	assert_int_equal(histogram_add(&arena, &narrow, &wide, &err), 0);
	assert_true(narrow.zero_threshold == 2);
	assert_true(narrow.zero_count == 13);
	assert_int_equal(narrow.positive.count, 1);
	assert_true(narrow.positive.counts[0] == 5);
}

static void a_sum_keeps_what_rounding_takes(void **state) {
	static const double large[] = { 1e100 };
	static const double small[] = { 1 };
	AUTO(arena_deinit) struct arena arena = { 0 };
	struct histogram sum = make(&arena, 0, 0, large, 1);
	struct histogram one = make(&arena, 0, 0, small, 1);
	struct histogram less = make(&arena, 0, 0, large, 1);
	struct histogram_rest rest = { 0 };
	struct err err;

	(void)state;
	histogram_multiply(&less, -1);
	assert_int_equal(histogram_sum(&arena, &sum, &rest, &one, &err), 0);
	assert_int_equal(histogram_sum(&arena, &sum, &rest, &less, &err), 0);
	assert_int_equal(histogram_settle(&arena, &sum, &rest, &err), 0);
	assert_true(sum.positive.counts[0] == 1);
	assert_true(sum.count == 1);
}

static void a_missing_bucket_is_a_reset(void **state) {
	static const double before_counts[] = { 1, 1 };
	static const double now_counts[] = { 5 };
	AUTO(arena_deinit) struct arena arena = { 0 };
	struct histogram before = make(&arena, 0, 0, before_counts, 2);
	struct histogram now = make(&arena, 0, 0, now_counts, 1);

	(void)state;
	assert_true(histogram_was_reset(&now, &before));
	now.hint = HISTOGRAM_NOT_RESET;
	assert_false(histogram_was_reset(&now, &before));
	before.positive.counts[1] = 0;
	now.hint = HISTOGRAM_UNKNOWN;
	assert_false(histogram_was_reset(&now, &before));
}

static void memory_is_charged(void **state) {
	static const double counts[100] = { 1 };
	AUTO(arena_deinit) struct arena arena = { 0 };
	struct histogram histogram = make(&arena, 0, 0, counts, 100);
	struct histogram copy;
	struct budget budget;
	struct arena small;
	struct err err;

	(void)state;
	budget_init(&budget, NULL, "--limit", 64);
	arena_init(&small, &budget);
	assert_int_equal(histogram_copy(&small, &histogram, &copy, &err), ERR_LIMIT);
	assert_non_null(strstr(err.text, "--limit"));
	arena_deinit(&small);
	budget_deinit(&budget);
}

int main(void) {
	static const struct CMUnitTest tests[] = {
		TEST(bounds_are_prometheus_to_the_last_bit),
		TEST(a_coarser_schema_takes_buckets_together),
		TEST(a_bucket_of_zero_swallows_what_it_covers),
		TEST(a_sum_keeps_what_rounding_takes),
		TEST(a_missing_bucket_is_a_reset),
		TEST(memory_is_charged),
	};

	return TEST_RUN(tests);
}
