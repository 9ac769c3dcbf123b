#include "base/pool.h"

#include "base/test.h"

struct gate {
	struct lock lock;
	struct condition changed;
	bool is_open;
	size_t waiting;
	size_t ran;
	enum thread_role role;
};

static void gate_init(struct gate *gate) {
	*gate = (struct gate){ 0 };
	lock_init(&gate->lock, LOCK_RANK_LEAF);
	condition_init(&gate->changed);
}

static void gate_deinit(struct gate *gate) {
	condition_deinit(&gate->changed);
	lock_deinit(&gate->lock);
}

static void gate_open(struct gate *gate) {
	lock_take(&gate->lock);
	gate->is_open = true;
	condition_broadcast(&gate->changed);
	lock_drop(&gate->lock);
}

/* A job that waits until the gate is open. */
static void pass(void *context) {
	struct gate *gate = context;
	lock_take(&gate->lock);
	gate->waiting++;
	condition_broadcast(&gate->changed);
	while (!gate->is_open) {
		condition_wait(&gate->changed, &gate->lock);
	}
	gate->ran++;
	gate->role = thread_role_get();
	lock_drop(&gate->lock);
}

static void await(struct gate *gate, size_t waiting) {
	lock_take(&gate->lock);
	while (gate->waiting < waiting) {
		condition_wait(&gate->changed, &gate->lock);
	}
	lock_drop(&gate->lock);
}

static void runs_every_job_before_it_ends(void **state) {
	(void)state;
	struct gate gate;
	gate_init(&gate);
	gate_open(&gate);
	struct pool *pool = pool_new("test", THREAD_QUERY, 3, 1000);
	for (size_t i = 0; i < 500; i++) {
		assert_true(pool_submit(pool, pass, &gate));
	}
	pool_free(pool);
	assert_int_equal(gate.ran, 500);
	assert_int_equal(gate.role, THREAD_QUERY);
	gate_deinit(&gate);
}

static void refuses_jobs_past_its_bound(void **state) {
	(void)state;
	struct gate gate;
	gate_init(&gate);
	struct pool *pool = pool_new("test", THREAD_QUERY, 1, 2);
	assert_true(pool_submit(pool, pass, &gate));
	await(&gate, 1);
	assert_true(pool_submit(pool, pass, &gate));
	assert_true(pool_submit(pool, pass, &gate));
	assert_false(pool_submit(pool, pass, &gate));
	assert_int_equal(pool_queued(pool), 2);
	gate_open(&gate);
	pool_free(pool);
	assert_int_equal(gate.ran, 3);
	gate_deinit(&gate);
}

static void runs_jobs_side_by_side(void **state) {
	(void)state;
	struct gate gate;
	gate_init(&gate);
	struct pool *pool = pool_new("test", THREAD_QUERY, 2, 2);
	assert_true(pool_submit(pool, pass, &gate));
	await(&gate, 1);
	assert_true(pool_submit(pool, pass, &gate));
	await(&gate, 2);
	gate_open(&gate);
	pool_free(pool);
	gate_deinit(&gate);
}

static void is_freed_when_there_is_none(void **state) {
	(void)state;
	pool_free(NULL);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(runs_every_job_before_it_ends),
		TEST(refuses_jobs_past_its_bound),
		TEST(runs_jobs_side_by_side),
		TEST(is_freed_when_there_is_none),
	};
	return TEST_RUN(tests);
}
