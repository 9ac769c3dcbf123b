/*
 * Threads, locks and the annotations that clang checks them by.
 *
 * A thread has a role and a name (seen in top -H). Locks carry a rank: a debug build aborts when a
 * thread takes a lock whose rank is not above all that it holds. No lock is held across I/O, a wait
 * for anything but its own condition, or a callback.
 */
#ifndef BASE_THREAD_H
#define BASE_THREAD_H

#include "base/check.h"
#include "base/compiler.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#if defined(__clang__)
#define THREAD_ATTRIBUTE(x) __attribute__((x))
#else
#define THREAD_ATTRIBUTE(x)
#endif
#define CAPABILITY THREAD_ATTRIBUTE(capability("mutex"))
#define GUARDED THREAD_ATTRIBUTE(guarded_var)
#define REQUIRES(lock) THREAD_ATTRIBUTE(requires_capability(lock))
#define EXCLUDES(lock) THREAD_ATTRIBUTE(locks_excluded(lock))
#define ACQUIRES(lock) THREAD_ATTRIBUTE(acquire_capability(lock))
#define RELEASES(lock) THREAD_ATTRIBUTE(release_capability(lock))
#define NO_THREAD_ANALYSIS THREAD_ATTRIBUTE(no_thread_safety_analysis)

enum thread_role {
	THREAD_NONE,
	THREAD_MAIN,
	THREAD_LOOP,
	THREAD_SCRAPE,
	THREAD_QUERY
};

/* The lock order, lowest first. A thread may only take a lock of a higher rank than it holds. */
enum lock_rank {
	LOCK_RANK_SERVICE = 10, /* Services' own state: targets, clusters, links. */
	LOCK_RANK_STORE = 20,   /* The head's shards and index. */
	LOCK_RANK_POOL = 30,    /* Worker pools. */
	LOCK_RANK_QUEUE = 40,   /* Hand-over queues of loops. */
	LOCK_RANK_METRIC = 50,  /* Registries. */
	LOCK_RANK_LEAF = 60,    /* Takes nothing else while held. */
};

struct CAPABILITY lock {
	pthread_mutex_t mutex;
	int rank;
};

/* 'rank' is one of enum lock_rank. At deinit nobody may hold it. */
void lock_init(struct lock *lock, int rank);
void lock_deinit(struct lock *lock);
/* Waits for the lock; gives it back. Not recursive. */
void lock_take(struct lock *lock) ACQUIRES(*lock);
void lock_drop(struct lock *lock) RELEASES(*lock);

struct condition {
	pthread_cond_t cond;
};

/* What threads wait on; its waits are on the monotonic clock. At deinit nobody may wait. */
void condition_init(struct condition *condition);
void condition_deinit(struct condition *condition);
/* Lets go of 'lock', waits to be woken (may be spurious) and takes it again. */
void condition_wait(struct condition *condition, struct lock *lock) REQUIRES(*lock);
/* Waits at most 'timeout_ns'. Returns whether it was signalled (may be spurious) in time. */
bool condition_wait_for(struct condition *condition, struct lock *lock, int64_t timeout_ns)
	REQUIRES(*lock);
/* Wakes one waiter, or all. */
void condition_signal(struct condition *condition);
void condition_broadcast(struct condition *condition);

typedef void thread_fn(void *context);

/* Starts a thread; aborts if the system has none. 'name' is cut to 15 bytes. */
pthread_t thread_start(enum thread_role role, const char *name, thread_fn *run, void *context);
/* Waits for its end. Each started thread is joined once. */
void thread_join(pthread_t thread);
/* Gives the calling thread (main) its role. */
void thread_set_role(enum thread_role role, const char *name);
/* The calling thread's role; THREAD_NONE for threads of libraries. */
enum thread_role thread_role_get(void);

#define CHECK_THREAD(role) CHECK(thread_role_get() == (role))

#endif
