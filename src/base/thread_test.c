#include "base/thread.h"

#include "base/death.h"
#include "base/test.h"
#include "base/time.h"

struct shared {
	struct lock lock;
	struct condition changed;
	int value;
	enum thread_role role;
	char name[16];
};

static void answer(void *context) {
	struct shared *shared = context;
	lock_take(&shared->lock);
	shared->role = thread_role_get();
	(void)pthread_getname_np(pthread_self(), shared->name, sizeof(shared->name));
	shared->value = 1;
	condition_broadcast(&shared->changed);
	lock_drop(&shared->lock);
}

static void starts_threads_with_role_and_name(void **state) {
	(void)state;
	struct shared shared = { 0 };
	lock_init(&shared.lock, LOCK_RANK_LEAF);
	condition_init(&shared.changed);
	pthread_t thread = thread_start(THREAD_QUERY, "a name that is too long", answer, &shared);
	lock_take(&shared.lock);
	while (shared.value == 0) {
		condition_wait(&shared.changed, &shared.lock);
	}
	assert_int_equal(shared.role, THREAD_QUERY);
	assert_string_equal(shared.name, "a name that is ");
	lock_drop(&shared.lock);
	thread_join(thread);
	condition_deinit(&shared.changed);
	lock_deinit(&shared.lock);
}

static void gives_up_waiting_after_the_timeout(void **state) {
	(void)state;
	struct shared shared = { 0 };
	lock_init(&shared.lock, LOCK_RANK_LEAF);
	condition_init(&shared.changed);
	lock_take(&shared.lock);
	while (condition_wait_for(&shared.changed, &shared.lock, NS_PER_MS)) {
	}
	while (condition_wait_for(&shared.changed, &shared.lock, -5)) {
	}
	lock_drop(&shared.lock);
	condition_deinit(&shared.changed);
	lock_deinit(&shared.lock);
}

static void takes_locks_in_the_order_of_ranks(void **state) {
	(void)state;
	struct lock store;
	struct lock leaf;
	lock_init(&store, LOCK_RANK_STORE);
	lock_init(&leaf, LOCK_RANK_LEAF);
	lock_take(&store);
	lock_take(&leaf);
	lock_drop(&store);
	lock_drop(&leaf);
	lock_take(&store);
	lock_drop(&store);
	lock_deinit(&store);
	lock_deinit(&leaf);
}

static void take_in_the_wrong_order(void) {
	struct lock store;
	struct lock leaf;
	lock_init(&store, LOCK_RANK_STORE);
	lock_init(&leaf, LOCK_RANK_LEAF);
	lock_take(&leaf);
	lock_take(&store);
	lock_drop(&store);
	lock_drop(&leaf);
}

static void ends_the_process_on_a_wrong_order_in_debug_builds(void **state) {
	(void)state;
#ifdef ATOLL_DEBUG
	char output[8192];
	assert_true(death_of(take_in_the_wrong_order, output, sizeof(output)));
	assert_non_null(strstr(output, "a lock of rank 20 is taken while one of rank 60 is held"));
#else
	(void)take_in_the_wrong_order;
	TEST_SKIP("only a build with ATOLL_DEBUG checks ranks");
#endif
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(starts_threads_with_role_and_name),
		TEST(gives_up_waiting_after_the_timeout),
		TEST(takes_locks_in_the_order_of_ranks),
		TEST(ends_the_process_on_a_wrong_order_in_debug_builds),
	};
	return TEST_RUN(tests);
}
