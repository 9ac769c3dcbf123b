/*
 * Worker pools: a fixed number of threads that run jobs, with a bounded queue.
 *
 * Any thread may submit. Jobs run to their end; there is no order between them.
 */
#ifndef BASE_POOL_H
#define BASE_POOL_H

#include "base/compiler.h"
#include "base/thread.h"

#include <stdbool.h>
#include <stddef.h>

struct pool;
typedef void pool_fn(void *context);

/* 'name' is the threads' name; 'queue_max' bounds the jobs waiting. */
struct pool *pool_new(const char *name, enum thread_role role, size_t threads, size_t queue_max);
/* Waits for running and queued jobs, then ends the threads; fine with NULL. */
void pool_free(struct pool *pool);
/* Queues a job. Returns false, having done nothing, when the queue is full or the pool is closing.
 */
MUST_USE bool pool_submit(struct pool *pool, pool_fn *run, void *context);
/* Jobs waiting, not yet running. */
size_t pool_queued(struct pool *pool);

#endif
