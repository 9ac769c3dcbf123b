#include "io/loop.h"

#include "base/test.h"
#include "base/thread.h"
#include "io/loop_internal.h"

#include <signal.h>
#include <stdatomic.h>

static int64_t ms(int64_t n) {
	return n * NS_PER_MS;
}

struct bell {
	struct timer timer;
	struct loop *loop;
	int rung;
	int64_t again_ms;
};

static void ring(struct timer *timer) {
	struct bell *bell = CONTAINER_OF(timer, struct bell, timer);
	bell->rung++;
	if (bell->again_ms > 0) {
		loop_timer_after_ms(bell->loop, &bell->timer, bell->again_ms);
	} else if (bell->again_ms < 0) {
		loop_stop(bell->loop);
	}
}

static void timers_wait_for_a_manual_clock(void **state) {
	(void)state;
	struct clock clock;
	clock_init_manual(&clock, 0);
	struct loop *loop = loop_new(&clock);
	struct bell first = { .timer.run = ring, .loop = loop };
	struct bell often = { .timer.run = ring, .loop = loop, .again_ms = 10 };

	loop_timer_after_ms(loop, &first.timer, 10);
	loop_timer_after_ms(loop, &often.timer, 10);
	loop_run_once(loop);
	assert_int_equal(first.rung, 0);
	clock_advance_ms(&clock, 10);
	loop_run_once(loop);
	assert_int_equal(first.rung, 1);
	assert_int_equal(often.rung, 1);
	clock_advance_ms(&clock, 10);
	loop_run_once(loop);
	assert_int_equal(first.rung, 1);
	assert_int_equal(often.rung, 2);
	loop_timer_clear(loop, &often.timer);
	clock_advance_ms(&clock, 10);
	loop_run_once(loop);
	assert_int_equal(often.rung, 2);
	assert_int_equal(loop_now_ns(loop), clock_mono_ns(&clock));
	loop_free(loop);
}

static void timers_fire_by_themselves_on_the_system_clock(void **state) {
	(void)state;
	struct loop *loop = loop_new(clock_system());
	struct bell late = { .timer.run = ring, .loop = loop, .again_ms = -1 };
	struct bell soon = { .timer.run = ring, .loop = loop };
	int64_t begin_ns = clock_mono_ns(clock_system());

	loop_timer_set(loop, &late.timer, begin_ns + ms(3));
	loop_timer_set(loop, &soon.timer, begin_ns + ms(1));
	loop_run(loop);
	assert_int_equal(late.rung, 1);
	assert_int_equal(soon.rung, 1);
	assert_true(clock_mono_ns(clock_system()) - begin_ns >= ms(3));
	loop_free(loop);
}

struct tally {
	struct loop *loop;
	int order[8];
	int count;
};

static void post_one(void *context) {
	struct tally *tally = context;
	tally->order[tally->count++] = 1;
}

static void post_two(void *context) {
	struct tally *tally = context;
	tally->order[tally->count++] = 2;
	assert_true(loop_post(tally->loop, post_one, tally));
}

static void posts_run_in_order_and_may_post_again(void **state) {
	(void)state;
	struct loop *loop = loop_new(clock_system());
	struct tally tally = { .loop = loop };

	assert_true(loop_post(loop, post_two, &tally));
	assert_true(loop_post(loop, post_one, &tally));
	loop_run_once(loop);
	loop_run_once(loop);
	assert_int_equal(tally.count, 3);
	assert_int_equal(tally.order[0], 2);
	assert_int_equal(tally.order[1], 1);
	loop_free(loop);
}

static void nothing(void *context) {
	(void)context;
}

static void refuses_posts_beyond_its_limit(void **state) {
	(void)state;
	struct loop *loop = loop_new(clock_system());

	for (int i = 0; i < LOOP_POST_MAX; i++) {
		assert_true(loop_post(loop, nothing, NULL));
	}
	assert_false(loop_post(loop, nothing, NULL));
	loop_run_once(loop);
	assert_true(loop_post(loop, nothing, NULL));
	loop_free(loop);
}

static void runs_what_was_posted_before_it_was_freed(void **state) {
	(void)state;
	struct loop *loop = loop_new(clock_system());
	struct tally tally = { .loop = loop };

	assert_true(loop_post(loop, post_two, &tally));
	loop_free(loop);
	assert_int_equal(tally.count, 2);
}

struct race {
	struct loop *loop;
	int received; /* On the loop's thread only, then after its end. */
	_Atomic int sent;
};

static void receive(void *context) {
	struct race *race = context;
	race->received++;
}

static void stop(void *context) {
	struct race *race = context;
	loop_stop(race->loop);
}

static void run_loop(void *context) {
	struct race *race = context;
	loop_run(race->loop);
}

static void send_many(void *context) {
	struct race *race = context;
	for (int i = 0; i < 5000; i++) {
		if (loop_post(race->loop, receive, race)) {
			race->sent++;
		}
	}
}

static void takes_posts_from_many_threads(void **state) {
	(void)state;
	struct race race = { .loop = loop_new(clock_system()) };
	pthread_t threads[3];

	pthread_t owner = thread_start(THREAD_LOOP, "loop", run_loop, &race);
	for (size_t i = 0; i < ARRAY_COUNT(threads); i++) {
		threads[i] = thread_start(THREAD_QUERY, "poster", send_many, &race);
	}
	for (size_t i = 0; i < ARRAY_COUNT(threads); i++) {
		thread_join(threads[i]);
	}
	assert_true(loop_post(race.loop, stop, &race));
	thread_join(owner);
	assert_int_equal(race.received, race.sent);
	loop_free(race.loop);
}

static void stop_on_signal(void *context) {
	struct race *race = context;
	race->received++;
	loop_stop(race->loop);
}

static void hears_a_signal(void **state) {
	(void)state;
	struct race race = { .loop = loop_new(clock_system()) };

	loop_on_signal(race.loop, SIGHUP, stop_on_signal, &race);
	assert_int_equal(raise(SIGHUP), 0);
	loop_run(race.loop);
	assert_int_equal(race.received, 1);
	loop_free(race.loop);
}

struct chore {
	struct loop_task task;
	struct loop *loop;
	struct loop_task *other;
	int runs;
};

static void run_chore(void *context) {
	struct chore *chore = context;
	chore->runs++;
	if (chore->other) {
		loop_defer(chore->loop, chore->other);
	}
}

static void put_off_work_runs_once_and_may_put_off_more(void **state) {
	(void)state;
	struct loop *loop = loop_new(clock_system());
	struct chore second = { .loop = loop, .task.run = run_chore };
	struct chore first = { .loop = loop, .task.run = run_chore, .other = &second.task };
	struct chore cleared = { .loop = loop, .task.run = run_chore };
	first.task.context = &first;
	second.task.context = &second;
	cleared.task.context = &cleared;

	loop_defer(loop, &first.task);
	loop_defer(loop, &first.task);
	loop_defer(loop, &cleared.task);
	loop_defer_clear(loop, &cleared.task);
	loop_run_once(loop);
	loop_run_once(loop);
	assert_int_equal(first.runs, 1);
	assert_int_equal(second.runs, 1);
	assert_int_equal(cleared.runs, 0);
	loop_free(loop);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(timers_wait_for_a_manual_clock),
		TEST(timers_fire_by_themselves_on_the_system_clock),
		TEST(posts_run_in_order_and_may_post_again),
		TEST(refuses_posts_beyond_its_limit),
		TEST(runs_what_was_posted_before_it_was_freed),
		TEST(takes_posts_from_many_threads),
		TEST(hears_a_signal),
		TEST(put_off_work_runs_once_and_may_put_off_more),
	};
	return TEST_RUN(tests);
}
