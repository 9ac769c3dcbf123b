#include "mesh/backoff.h"

#include "base/test.h"
#include "base/time.h"

static void waits_longer_up_to_a_limit_that_grows_with_age(void **state) {
	(void)state;
	struct clock clock;
	struct rand rand;
	struct backoff backoff = { 0 };
	int64_t longest_ms = 0;
	clock_init_manual(&clock, 0);
	rand_init(&rand, 1);
	int64_t start_ns = clock_mono_ns(&clock);
	while (clock_mono_ns(&clock) - start_ns < BACKOFF_YOUNG_NS) {
		int64_t ms = backoff_next(&backoff, &rand, clock_mono_ns(&clock), false);
		assert_true(ms >= BACKOFF_MS_MIN / 2 && ms <= BACKOFF_MS_MAX_YOUNG);
		clock_advance_ms(&clock, ms);
		longest_ms = ms > longest_ms ? ms : longest_ms;
	}
	assert_true(longest_ms > BACKOFF_MS_MAX_YOUNG / 2);
	for (int i = 0; i < 20; i++) {
		int64_t ms = backoff_next(&backoff, &rand, clock_mono_ns(&clock), false);
		assert_true(ms >= BACKOFF_MS_MAX_OLD / 2 && ms <= BACKOFF_MS_MAX_OLD);
		clock_advance_ms(&clock, ms);
	}
}

static void begins_anew_after_success(void **state) {
	(void)state;
	struct rand rand;
	struct backoff backoff = { 0 };
	rand_init(&rand, 1);
	for (int i = 0; i < 50; i++) {
		(void)backoff_next(&backoff, &rand, i * 1000 * NS_PER_MS, false);
	}
	backoff_reset(&backoff);
	assert_true(backoff_next(&backoff, &rand, 0, false) <= BACKOFF_MS_MIN);
}

static void a_refusal_is_not_asked_about_often(void **state) {
	(void)state;
	struct rand rand;
	struct backoff backoff = { 0 };
	int64_t ms = 0;
	rand_init(&rand, 1);
	for (int i = 0; i < 10; i++) {
		ms = backoff_next(&backoff, &rand, 0, true);
	}
	assert_true(ms >= BACKOFF_MS_MAX_OLD / 2);
}

static void links_do_not_come_back_together(void **state) {
	(void)state;
	int64_t seen[8];
	for (uint64_t seed = 0; seed < ARRAY_COUNT(seen); seed++) {
		struct rand rand;
		struct backoff backoff = { 0 };
		rand_init(&rand, seed);
		for (int i = 0; i < 6; i++) {
			seen[seed] = backoff_next(&backoff, &rand, 0, false);
		}
	}
	for (size_t i = 1; i < ARRAY_COUNT(seen); i++) {
		assert_true(seen[i] != seen[0]);
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(waits_longer_up_to_a_limit_that_grows_with_age),
		TEST(begins_anew_after_success),
		TEST(a_refusal_is_not_asked_about_often),
		TEST(links_do_not_come_back_together),
	};
	return TEST_RUN(tests);
}
