#include "store/store.h"

#include "base/test.h"

static void a_column_keeps_what_was_added_in_order(void **state) {
	struct sample_column column = { 0 };

	(void)state;
	for (int64_t i = 0; i < 1000; i++) {
		sample_column_add(&column, i * 10, (double)i);
	}
	assert_int_equal(column.count, 1000);
	for (int64_t i = 0; i < 1000; i++) {
		assert_int_equal(column.times_ms[i], i * 10);
		assert_true(column.values[i] == (double)i);
	}
	sample_column_deinit(&column);
	assert_null(column.times_ms);
}

static void a_column_keeps_the_bits_of_a_stale_marker(void **state) {
	struct sample_column column = { 0 };

	(void)state;
	sample_column_add(&column, 1, double_of_bits(STALE_NAN_BITS));
	sample_column_add(&column, 2, double_of_bits(NORMAL_NAN_BITS));
	assert_true(is_stale(column.values[0]));
	assert_false(is_stale(column.values[1]));
	sample_column_deinit(&column);
}

static void reserving_keeps_the_samples(void **state) {
	struct sample_column column = { 0 };

	(void)state;
	sample_column_add(&column, 7, 1.5);
	assert_int_equal(sample_column_reserve(&column, 5000, NULL), 0);
	assert_true(column.capacity >= 5001);
	assert_int_equal(column.times_ms[0], 7);
	assert_int_equal(column.count, 1);
	sample_column_deinit(&column);
}

static void a_column_with_a_budget_takes_no_more(void **state) {
	struct budget budget;
	struct sample_column column = { .budget = &budget };
	struct err err = { 0 };

	(void)state;
	budget_init(&budget, NULL, "--room", 100000);
	assert_int_equal(sample_column_reserve(&column, 5000, &err), 0);
	assert_true(budget_used(&budget) >= 5000 * 16);
	assert_int_equal(sample_column_reserve(&column, 10000, &err), ERR_LIMIT);
	assert_non_null(strstr(err.text, "--room"));
	sample_column_deinit(&column);
	assert_int_equal(budget_used(&budget), 0);
}

static void start_timestamps_are_those_of_the_samples_that_got_one(void **state) {
	struct sample_column column = { 0 };

	(void)state;
	sample_column_add(&column, 10, 1);
	assert_false(column.has_starts);
	sample_column_add(&column, 20, 2);
	assert_int_equal(sample_column_set_start(&column, 15, NULL), 0);
	for (int64_t i = 3; i < 300; i++) {
		sample_column_add(&column, i * 10, (double)i);
	}
	assert_int_equal(sample_column_set_start(&column, 2985, NULL), 0);
	assert_true(column.has_starts);
	assert_int_equal(column.starts_ms[0], 0);
	assert_int_equal(column.starts_ms[1], 15);
	assert_int_equal(column.starts_ms[2], 0);
	assert_int_equal(column.starts_ms[298], 2985);
	sample_column_clear(&column);
	assert_false(column.has_starts);
	sample_column_add(&column, 10, 1);
	sample_column_add(&column, 20, 1);
	assert_int_equal(sample_column_set_start(&column, 5, NULL), 0);
	assert_int_equal(column.starts_ms[0], 0);
	assert_int_equal(column.starts_ms[1], 5);
	sample_column_deinit(&column);
}

static void start_timestamps_are_charged_too(void **state) {
	struct budget budget;
	struct sample_column column = { .budget = &budget };
	struct err err = { 0 };

	(void)state;
	budget_init(&budget, NULL, "--room", 128 * 40 - 1);
	assert_int_equal(sample_column_reserve(&column, 1, &err), 0);
	sample_column_add(&column, 10, 1);
	assert_int_equal(sample_column_set_start(&column, 5, &err), ERR_LIMIT);
	assert_false(column.has_starts);
	sample_column_deinit(&column);
	budget_deinit(&budget);
	budget_init(&budget, NULL, "--room", 100000);
	column.budget = &budget;
	assert_int_equal(sample_column_reserve(&column, 1, &err), 0);
	sample_column_add(&column, 10, 1);
	assert_int_equal(sample_column_set_start(&column, 5, &err), 0);
	assert_int_equal(budget_used(&budget), 128 * 24);
	assert_int_equal(sample_column_reserve(&column, 200, &err), 0);
	assert_int_equal(budget_used(&budget), 256 * 24);
	sample_column_deinit(&column);
	assert_int_equal(budget_used(&budget), 0);
}

static int nothing_to_close;

static void count_close(struct series_set *set) {
	(void)set;
	nothing_to_close++;
}

static void closing_no_set_is_fine(void **state) {
	const struct series_set_ops ops = { .close = count_close };
	struct series_set set = { .ops = &ops };

	(void)state;
	series_set_close(NULL);
	series_set_close(&set);
	assert_int_equal(nothing_to_close, 1);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(a_column_keeps_what_was_added_in_order),
		TEST(a_column_keeps_the_bits_of_a_stale_marker),
		TEST(reserving_keeps_the_samples),
		TEST(start_timestamps_are_those_of_the_samples_that_got_one),
		TEST(start_timestamps_are_charged_too),
		TEST(a_column_with_a_budget_takes_no_more),
		TEST(closing_no_set_is_fine),
	};
	return TEST_RUN(tests);
}
