/*
 * Histograms in scripts of tests: how a store would hand them back, how classic ones become native
 * ones, and when two are the same.
 */
#ifndef PROMQLTEST_CLASSIC_H
#define PROMQLTEST_CLASSIC_H

#include "promqltest/script.h"
#include "store/test_store.h"

/* The classic histograms of one load, gathered series by series. */
struct test_conversions {
	struct arena *arena;
	struct test_conversion *items;
	size_t count;
	size_t step_count; /* Of the longest series. */
};

/* Whether two numbers are the same as far as scripts write them. */
typedef bool test_equal_fn(double a, double b);

/* Stores a histogram, which lives as long as the arena. */
void test_series_add_histogram(struct test_series *series, struct arena *arena, int64_t time_ms,
	const struct histogram *histogram);
/* Begins with room for 'series_count' series of at most 'step_count' values. Returns 0 or
 * ERR_LIMIT. */
MUST_USE int test_conversions_init(struct test_conversions *conversions, struct arena *arena,
	size_t series_count, size_t step_count, struct err *err);
/* Takes note of a series if it is one of a classic histogram; of start timestamps, of which each of
 * its series has its own, it does not. Returns 0 or ERR_LIMIT. */
MUST_USE int test_conversions_add(
	struct test_conversions *conversions, const struct script_series *series, struct err *err);
/* Stores what was noted as native histograms. Returns 0 or ERR_LIMIT. */
MUST_USE int test_conversions_store(struct test_conversions *conversions, struct test_store *store,
	int64_t step_ms, struct err *err);
/* Whether 'actual' is what was written; its hint only where one was. */
bool test_histogram_equal(
	const struct script_value *wanted, const struct histogram *actual, test_equal_fn *equal);

#endif
