#include "base/timer.h"

#include "base/compiler.h"
#include "base/rand.h"
#include "base/test.h"

struct probe {
	struct timer timer;
	struct timer_heap *heap;
	size_t ran;
	size_t order;
	int64_t again_in_ns; /* Sets itself anew, if not 0. */
	struct timer *clears;
};

static size_t ran_count;

static void note(struct timer *timer) {
	struct probe *probe = CONTAINER_OF(timer, struct probe, timer);
	probe->ran++;
	probe->order = ran_count++;
	if (probe->again_in_ns > 0) {
		timer_heap_set(probe->heap, timer, timer->due_ns + probe->again_in_ns);
	}
	if (probe->clears) {
		timer_heap_clear(probe->heap, probe->clears);
	}
}

static void runs_what_is_due_in_order_of_time(void **state) {
	(void)state;
	enum {
		COUNT = 1000
	};
	struct timer_heap heap = { 0 };
	struct probe *probes = calloc(COUNT, sizeof(*probes));
	struct rand rand;
	rand_init(&rand, 9);
	for (size_t i = 0; i < COUNT; i++) {
		probes[i].timer.run = note;
		timer_heap_set(&heap, &probes[i].timer, (int64_t)rand_below(&rand, 1000000));
	}
	/* Some move, some go. */
	for (size_t i = 0; i < COUNT; i += 3) {
		timer_heap_set(&heap, &probes[i].timer, (int64_t)rand_below(&rand, 1000000));
	}
	for (size_t i = 1; i < COUNT; i += 3) {
		timer_heap_clear(&heap, &probes[i].timer);
	}
	int64_t due = 0;
	int64_t before = -1;
	size_t ran = 0;
	while (timer_heap_next(&heap, &due)) {
		assert_true(due >= before);
		before = due;
		ran += timer_heap_run(&heap, due);
	}
	assert_int_equal(ran, COUNT - COUNT / 3);
	for (size_t i = 0; i < COUNT; i++) {
		assert_int_equal(probes[i].ran, i % 3 != 1);
		assert_int_equal(probes[i].timer.slot, 0);
	}
	timer_heap_deinit(&heap);
	free(probes);
}

static void leaves_what_is_not_due(void **state) {
	(void)state;
	struct timer_heap heap = { 0 };
	struct probe soon = { .timer.run = note };
	struct probe late = { .timer.run = note };
	timer_heap_set(&heap, &late.timer, 200);
	timer_heap_set(&heap, &soon.timer, 100);
	assert_int_equal(timer_heap_run(&heap, 99), 0);
	assert_int_equal(timer_heap_run(&heap, 100), 1);
	assert_int_equal(soon.ran, 1);
	assert_int_equal(late.ran, 0);
	timer_heap_deinit(&heap);
	assert_int_equal(late.timer.slot, 0);
}

static void lets_a_callback_set_and_clear(void **state) {
	(void)state;
	struct timer_heap heap = { 0 };
	struct probe victim = { .timer.run = note };
	struct probe actor = {
		.timer.run = note, .heap = &heap, .again_in_ns = 50, .clears = &victim.timer
	};
	timer_heap_set(&heap, &actor.timer, 10);
	timer_heap_set(&heap, &victim.timer, 10);
	assert_true(timer_heap_run(&heap, 10) >= 1);
	assert_int_equal(actor.ran, 1);
	int64_t due = 0;
	assert_true(timer_heap_next(&heap, &due));
	assert_int_equal(due, 60);
	timer_heap_clear(&heap, &actor.timer);
	timer_heap_clear(&heap, &actor.timer);
	assert_false(timer_heap_next(&heap, &due));
	timer_heap_deinit(&heap);
}

static void returns_though_a_timer_is_always_due(void **state) {
	(void)state;
	struct timer_heap heap = { 0 };
	struct probe eager = { .timer.run = note, .heap = &heap, .again_in_ns = 1 };
	timer_heap_set(&heap, &eager.timer, 0);
	assert_int_equal(timer_heap_run(&heap, 1000000), 1);
	assert_int_equal(timer_heap_run(&heap, 1000000), 1);
	timer_heap_deinit(&heap);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(runs_what_is_due_in_order_of_time),
		TEST(leaves_what_is_not_due),
		TEST(lets_a_callback_set_and_clear),
		TEST(returns_though_a_timer_is_always_due),
	};
	return TEST_RUN(tests);
}
