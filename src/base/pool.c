#include "base/pool.h"

#include "base/memory.h"

#include <stdlib.h>

struct job {
	pool_fn *run;
	void *context;
};

struct pool {
	struct lock lock;
	struct condition wake;
	struct job *queue GUARDED; /* A ring. */
	size_t queue_max;
	size_t first GUARDED;
	size_t count GUARDED;
	bool is_closing GUARDED;
	size_t thread_count;
	pthread_t threads[];
};

/* Returns false when the pool is closing and nothing is left to do. */
static bool take_job(struct pool *pool, struct job *job) {
	lock_take(&pool->lock);
	while (pool->count == 0 && !pool->is_closing) {
		condition_wait(&pool->wake, &pool->lock);
	}
	bool found = pool->count > 0;
	if (found) {
		*job = pool->queue[pool->first];
		pool->first = (pool->first + 1) % pool->queue_max;
		pool->count--;
	}
	lock_drop(&pool->lock);
	return found;
}

static void work(void *context) {
	struct pool *pool = context;
	struct job job;
	while (take_job(pool, &job)) {
		job.run(job.context);
	}
}

NO_THREAD_ANALYSIS struct pool *pool_new(
	const char *name, enum thread_role role, size_t threads, size_t queue_max) {
	CHECK(threads > 0 && queue_max > 0);
	struct pool *pool = memory_alloc(1, sizeof(*pool) + threads * sizeof(pool->threads[0]));
	lock_init(&pool->lock, LOCK_RANK_POOL);
	condition_init(&pool->wake);
	pool->queue_max = queue_max;
	pool->queue = MEMORY_NEW(struct job, queue_max);
	pool->thread_count = threads;
	for (size_t i = 0; i < threads; i++) {
		pool->threads[i] = thread_start(role, name, work, pool);
	}
	return pool;
}

NO_THREAD_ANALYSIS void pool_free(struct pool *pool) {
	if (!pool) {
		return;
	}
	lock_take(&pool->lock);
	pool->is_closing = true;
	condition_broadcast(&pool->wake);
	lock_drop(&pool->lock);
	for (size_t i = 0; i < pool->thread_count; i++) {
		thread_join(pool->threads[i]);
	}
	condition_deinit(&pool->wake);
	lock_deinit(&pool->lock);
	free(pool->queue);
	free(pool);
}

bool pool_submit(struct pool *pool, pool_fn *run, void *context) {
	lock_take(&pool->lock);
	bool fits = !pool->is_closing && pool->count < pool->queue_max;
	if (fits) {
		size_t at = (pool->first + pool->count) % pool->queue_max;
		pool->queue[at] = (struct job){ .run = run, .context = context };
		pool->count++;
		condition_signal(&pool->wake);
	}
	lock_drop(&pool->lock);
	return fits;
}

size_t pool_queued(struct pool *pool) {
	lock_take(&pool->lock);
	size_t count = pool->count;
	lock_drop(&pool->lock);
	return count;
}
