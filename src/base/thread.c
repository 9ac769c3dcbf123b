#include "base/thread.h"

#include "base/check.h"
#include "base/memory.h"
#include "base/time.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NAME_MAX_BYTES 15

static _Thread_local enum thread_role thread_role_here;

#ifdef ATOLL_DEBUG
#define HELD_MAX 16

static _Thread_local struct {
	const struct lock *locks[HELD_MAX];
	size_t count;
} held;

/* Equal ranks are refused too: two threads could take such a pair in either order. */
static void note_take(const struct lock *lock) {
	for (size_t i = 0; i < held.count; i++) {
		if (held.locks[i]->rank >= lock->rank) {
			(void)fprintf(stderr,
				"a lock of rank %d is taken while one of rank %d is held\n",
				lock->rank, held.locks[i]->rank);
			CHECK(held.locks[i]->rank < lock->rank);
		}
	}
	CHECK(held.count < HELD_MAX);
	held.locks[held.count++] = lock;
}

static void note_drop(const struct lock *lock) {
	size_t at = held.count;
	while (at > 0 && held.locks[at - 1] != lock) {
		at--;
	}
	CHECK(at > 0);
	held.count--;
	memmove(&held.locks[at - 1], &held.locks[at],
		(held.count - (at - 1)) * sizeof(held.locks[0]));
}
#else
static void note_take(const struct lock *lock) {
	(void)lock;
}

static void note_drop(const struct lock *lock) {
	(void)lock;
}
#endif

void lock_init(struct lock *lock, int rank) {
	lock->rank = rank;
	CHECK(pthread_mutex_init(&lock->mutex, NULL) == 0);
}

void lock_deinit(struct lock *lock) {
	CHECK(pthread_mutex_destroy(&lock->mutex) == 0);
}

NO_THREAD_ANALYSIS void lock_take(struct lock *lock) {
	note_take(lock);
	CHECK(pthread_mutex_lock(&lock->mutex) == 0);
}

NO_THREAD_ANALYSIS void lock_drop(struct lock *lock) {
	note_drop(lock);
	CHECK(pthread_mutex_unlock(&lock->mutex) == 0);
}

void condition_init(struct condition *condition) {
	pthread_condattr_t attributes;
	CHECK(pthread_condattr_init(&attributes) == 0);
	CHECK(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0);
	CHECK(pthread_cond_init(&condition->cond, &attributes) == 0);
	(void)pthread_condattr_destroy(&attributes);
}

void condition_deinit(struct condition *condition) {
	CHECK(pthread_cond_destroy(&condition->cond) == 0);
}

void condition_wait(struct condition *condition, struct lock *lock) {
	CHECK(pthread_cond_wait(&condition->cond, &lock->mutex) == 0);
}

bool condition_wait_for(struct condition *condition, struct lock *lock, int64_t timeout_ns) {
	struct timespec until = { 0 };
	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	timeout_ns = timeout_ns > 0 ? timeout_ns : 0;
	int64_t ns = until.tv_nsec + timeout_ns % NS_PER_S;
	until.tv_sec += timeout_ns / NS_PER_S + ns / NS_PER_S;
	until.tv_nsec = ns % NS_PER_S;
	int rc = pthread_cond_timedwait(&condition->cond, &lock->mutex, &until);
	CHECK(rc == 0 || rc == ETIMEDOUT);
	return rc == 0;
}

void condition_signal(struct condition *condition) {
	CHECK(pthread_cond_signal(&condition->cond) == 0);
}

void condition_broadcast(struct condition *condition) {
	CHECK(pthread_cond_broadcast(&condition->cond) == 0);
}

struct start {
	enum thread_role role;
	char name[NAME_MAX_BYTES + 1];
	thread_fn *run;
	void *context;
};

static void *run_thread(void *context) {
	struct start start = *(struct start *)context;
	free(context);
	thread_set_role(start.role, start.name);
	start.run(start.context);
	return NULL;
}

pthread_t thread_start(enum thread_role role, const char *name, thread_fn *run, void *context) {
	struct start *start = MEMORY_NEW(struct start, 1);
	start->role = role;
	(void)snprintf(start->name, sizeof(start->name), "%s", name);
	start->run = run;
	start->context = context;
	pthread_t thread;
	int rc = pthread_create(&thread, NULL, run_thread, start);
	if (rc != 0) {
		(void)fprintf(stderr, "the system refuses thread %s (error %d)\n", name, rc);
		CHECK(rc == 0);
	}
	return thread;
}

void thread_join(pthread_t thread) {
	CHECK(pthread_join(thread, NULL) == 0);
}

void thread_set_role(enum thread_role role, const char *name) {
	char cut[NAME_MAX_BYTES + 1];
	thread_role_here = role;
	(void)snprintf(cut, sizeof(cut), "%s", name);
	/* The name is for people: a system that refuses it does no harm. */
	(void)pthread_setname_np(pthread_self(), cut);
}

enum thread_role thread_role_get(void) {
	return thread_role_here;
}
