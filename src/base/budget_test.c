#include "base/budget.h"

#include "base/test.h"

static void charges_all_above_or_none(void **state) {
	(void)state;
	struct budget process;
	struct budget query;
	struct err err = { 0 };
	budget_init(&process, NULL, "--memory.max", 100);
	budget_init(&query, &process, "--query.memory-max", 80);
	assert_ok(budget_charge(&query, 50, &err), err);
	assert_int_equal(budget_used(&process), 50);
	assert_ok(budget_charge(&process, 40, &err), err);

	assert_int_equal(budget_charge(&query, 20, &err), ERR_LIMIT);
	assert_string_equal(
		err.text, "20 more bytes are needed, 90 of 100 are in use; raise --memory.max");
	assert_int_equal(budget_used(&query), 50);
	assert_int_equal(budget_used(&process), 90);

	assert_int_equal(budget_charge(&query, 31, &err), ERR_LIMIT);
	assert_non_null(strstr(err.text, "--query.memory-max"));
	budget_release(&query, 50);
	assert_int_equal(budget_used(&query), 0);
	assert_int_equal(budget_used(&process), 40);
	budget_deinit(&query);
	budget_deinit(&process);
}

static void returns_what_is_left_at_the_end(void **state) {
	(void)state;
	struct budget process;
	struct budget query;
	struct err err = { 0 };
	budget_init(&process, NULL, "all", 0);
	budget_init(&query, &process, "one", 0);
	assert_ok(budget_charge(&query, 70, &err), err);
	budget_deinit(&query);
	assert_int_equal(budget_used(&process), 0);
	assert_int_equal(budget_peak(&process), 70);
	budget_deinit(&process);
}

static void counts_without_a_limit_of_its_own(void **state) {
	(void)state;
	struct budget budget;
	struct err err = { 0 };
	budget_init(&budget, NULL, "none", 0);
	assert_ok(budget_charge(&budget, UINT64_MAX - 1, &err), err);
	assert_int_equal(budget_charge(&budget, 2, &err), ERR_LIMIT);
	budget_deinit(&budget);
}

static void takes_its_last_byte(void **state) {
	(void)state;
	struct budget budget;
	struct err err = { 0 };
	budget_init(&budget, NULL, "few", 10);
	assert_int_equal(budget_charge(&budget, 11, NULL), ERR_LIMIT);
	assert_ok(budget_charge(&budget, 10, &err), err);
	assert_int_equal(budget_charge(&budget, 1, NULL), ERR_LIMIT);
	assert_ok(budget_charge(&budget, 0, &err), err);
	budget_deinit(&budget);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(charges_all_above_or_none),
		TEST(returns_what_is_left_at_the_end),
		TEST(counts_without_a_limit_of_its_own),
		TEST(takes_its_last_byte),
	};
	return TEST_RUN(tests);
}
