/*
 * A round: libuv polls; then due timers, posted work and put-off work run; then the next poll,
 * which waits no longer than to the first timer. libuv has one timer of ours, set to that moment;
 * with a manual clock it has none, and loop_wake is what makes time pass.
 */
#include "io/loop.h"

#include "base/check.h"
#include "base/memory.h"
#include "base/thread.h"
#include "io/loop_internal.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <uv.h>

/* A hand-over queue that once grew past this is given back after the burst. */
#define POSTS_KEPT 4096
/* Spare chunks kept: 4 MiB. */
#define CHUNKS_KEPT 32

struct post {
	loop_fn *run;
	void *context;
};

struct post_queue {
	struct post *items;
	size_t count;
	size_t capacity;
};

struct signal_watch {
	uv_signal_t handle;
	struct signal_watch *next;
	loop_fn *run;
	void *context;
};

struct loop {
	uv_loop_t uv;
	uv_async_t wake;
	uv_timer_t alarm;
	uv_prepare_t prepare;
	bool is_waiting;      /* This poll may wait. */
	int64_t alarm_due_ns; /* What 'alarm' is set to; INT64_MAX: nothing. */
	struct clock *clock;
	int64_t now_ns;
	bool is_now_stale;      /* The clock has not been read since the last poll. */
	atomic_bool is_stopped; /* Set by loop_stop, looked at after its wake-up; seq_cst both. */
	struct timer_heap timers;
	struct lock lock;
	struct post_queue posts GUARDED;
	struct post_queue running; /* The batch being run, and then the spare memory. */
	struct loop_task deferred; /* List heads. */
	struct loop_task mark;     /* In 'deferred': the end of this round's part. */
	struct loop_member members;
	struct signal_watch *signals;
	char *received;
	char *plain;
	struct buf sent;
	struct loop_chunk *chunks;
	size_t chunk_count;
};

static void on_wake(uv_async_t *handle) {
	(void)handle;
}

static void on_alarm(uv_timer_t *handle) {
	struct loop *loop = handle->data;
	loop->alarm_due_ns = INT64_MAX;
}

static void on_prepare(uv_prepare_t *handle);

struct loop *loop_new(struct clock *clock) {
	struct loop *loop = MEMORY_NEW(struct loop, 1);
	(void)signal(SIGPIPE, SIG_IGN);
	loop->clock = clock;
	loop->is_now_stale = true;
	loop->alarm_due_ns = INT64_MAX;
	loop->deferred.next = loop->deferred.prev = &loop->deferred;
	loop->members.next = loop->members.prev = &loop->members;
	loop->received = memory_alloc(1, LOOP_SCRATCH_BYTES);
	loop->plain = memory_alloc(1, LOOP_SCRATCH_BYTES);
	lock_init(&loop->lock, LOCK_RANK_QUEUE);
	/* These fail only without memory or file descriptors, before anything was served. */
	CHECK(uv_loop_init(&loop->uv) == 0);
	CHECK(uv_async_init(&loop->uv, &loop->wake, on_wake) == 0);
	CHECK(uv_timer_init(&loop->uv, &loop->alarm) == 0);
	CHECK(uv_prepare_init(&loop->uv, &loop->prepare) == 0);
	loop->alarm.data = loop;
	loop->prepare.data = loop;
	CHECK(uv_prepare_start(&loop->prepare, on_prepare) == 0);
	return loop;
}

/* Whether the queue holds anything; takes the batch into 'running'. */
static bool take_posts(struct loop *loop) {
	lock_take(&loop->lock);
	struct post_queue spare = loop->running;
	loop->running = loop->posts;
	loop->posts = spare;
	loop->posts.count = 0;
	lock_drop(&loop->lock);
	return loop->running.count > 0;
}

static void run_posts(struct loop *loop) {
	if (!take_posts(loop)) {
		return;
	}
	for (size_t i = 0; i < loop->running.count; i++) {
		loop->running.items[i].run(loop->running.items[i].context);
	}
	loop->running.count = 0;
	if (loop->running.capacity > POSTS_KEPT) {
		free(loop->running.items);
		loop->running = (struct post_queue){ 0 };
	}
}

static void task_unlink(struct loop_task *task) {
	task->prev->next = task->next;
	task->next->prev = task->prev;
	task->is_queued = false;
}

/* Runs what is queued now; what those queue comes in the next round. */
static void run_deferred(struct loop *loop) {
	loop_defer(loop, &loop->mark);
	while (loop->deferred.next != &loop->mark) {
		struct loop_task *task = loop->deferred.next;
		task_unlink(task);
		task->run(task->context);
	}
	task_unlink(&loop->mark);
}

static void process(struct loop *loop) {
	(void)timer_heap_run(&loop->timers, loop_now_ns(loop));
	run_posts(loop);
	run_deferred(loop);
}

static bool has_posts(struct loop *loop) {
	lock_take(&loop->lock);
	bool some = loop->posts.count > 0;
	lock_drop(&loop->lock);
	return some;
}

/* Sets libuv's timer to the first of ours. Returns false if that one is due already. */
static bool set_alarm(struct loop *loop) {
	int64_t due_ns = INT64_MAX;
	if (!timer_heap_next(&loop->timers, &due_ns) || loop->clock->is_manual) {
		if (loop->alarm_due_ns != INT64_MAX) {
			CHECK(uv_timer_stop(&loop->alarm) == 0);
			loop->alarm_due_ns = INT64_MAX;
		}
		return loop->clock->is_manual ? due_ns > clock_mono_ns(loop->clock) : true;
	}
	if (due_ns == loop->alarm_due_ns) {
		return true;
	}
	int64_t wait_ns = due_ns - clock_mono_ns(loop->clock);
	if (wait_ns <= 0) {
		return false;
	}
	uv_update_time(&loop->uv);
	uint64_t wait_ms = (uint64_t)((wait_ns + NS_PER_MS - 1) / NS_PER_MS);
	CHECK(uv_timer_start(&loop->alarm, on_alarm, wait_ms, 0) == 0);
	loop->alarm_due_ns = due_ns;
	return true;
}

static bool is_quiet(const struct loop *loop) {
	return loop->deferred.next == &loop->deferred;
}

/*
 * libuv runs its own timers (libcurl's among them) before it polls: what those callbacks put off or
 * set must not wait until something else ends the poll.
 */
static void on_prepare(uv_prepare_t *handle) {
	struct loop *loop = handle->data;
	if (loop->is_waiting && !(set_alarm(loop) && is_quiet(loop))) {
		loop_wake(loop);
	}
}

static void poll_once(struct loop *loop, bool may_wait) {
	loop->is_waiting = set_alarm(loop) && may_wait && is_quiet(loop) && !has_posts(loop) &&
			   !atomic_load(&loop->is_stopped);
	loop->is_now_stale = true;
	(void)uv_run(&loop->uv, loop->is_waiting ? UV_RUN_ONCE : UV_RUN_NOWAIT);
}

void loop_run(struct loop *loop) {
	process(loop);
	while (!atomic_load(&loop->is_stopped)) {
		poll_once(loop, true);
		process(loop);
	}
	atomic_store(&loop->is_stopped, false);
}

void loop_run_once(struct loop *loop) {
	loop->is_now_stale = true;
	process(loop);
	poll_once(loop, false);
	process(loop);
}

void loop_stop(struct loop *loop) {
	atomic_store(&loop->is_stopped, true);
	loop_wake(loop);
}

void loop_wake(struct loop *loop) {
	CHECK(uv_async_send(&loop->wake) == 0);
}

bool loop_post(struct loop *loop, loop_fn *run, void *context) {
	lock_take(&loop->lock);
	struct post_queue *posts = &loop->posts;
	bool has_room = posts->count < LOOP_POST_MAX;
	if (has_room && posts->count == posts->capacity) {
		posts->capacity = posts->capacity > 0 ? posts->capacity * 2 : 64;
		posts->items =
			memory_resize(posts->items, posts->capacity, sizeof(posts->items[0]));
	}
	if (has_room) {
		posts->items[posts->count++] = (struct post){ run, context };
	}
	lock_drop(&loop->lock);
	if (has_room) {
		loop_wake(loop);
	}
	return has_room;
}

struct clock *loop_clock(struct loop *loop) {
	return loop->clock;
}

int64_t loop_now_ns(struct loop *loop) {
	if (loop->is_now_stale || loop->clock->is_manual) {
		loop->now_ns = clock_mono_ns(loop->clock);
		loop->is_now_stale = false;
	}
	return loop->now_ns;
}

void loop_timer_set(struct loop *loop, struct timer *timer, int64_t due_ns) {
	timer_heap_set(&loop->timers, timer, due_ns);
}

void loop_timer_after_ms(struct loop *loop, struct timer *timer, int64_t ms) {
	timer_heap_set(&loop->timers, timer, loop_now_ns(loop) + ms * NS_PER_MS);
}

void loop_timer_clear(struct loop *loop, struct timer *timer) {
	timer_heap_clear(&loop->timers, timer);
}

static void on_signal(uv_signal_t *handle, int signal) {
	(void)signal;
	struct signal_watch *watch = handle->data;
	watch->run(watch->context);
}

void loop_on_signal(struct loop *loop, int signal, loop_fn *run, void *context) {
	struct signal_watch *watch = MEMORY_NEW(struct signal_watch, 1);
	watch->run = run;
	watch->context = context;
	watch->next = loop->signals;
	loop->signals = watch;
	CHECK(uv_signal_init(&loop->uv, &watch->handle) == 0);
	watch->handle.data = watch;
	CHECK(uv_signal_start(&watch->handle, on_signal, signal) == 0);
}

uv_loop_t *loop_uv(struct loop *loop) {
	return &loop->uv;
}

void loop_defer(struct loop *loop, struct loop_task *task) {
	if (task->is_queued) {
		return;
	}
	task->is_queued = true;
	task->next = &loop->deferred;
	task->prev = loop->deferred.prev;
	task->prev->next = task;
	loop->deferred.prev = task;
}

void loop_defer_clear(struct loop *loop, struct loop_task *task) {
	(void)loop;
	if (task->is_queued) {
		task_unlink(task);
	}
}

void loop_member_add(struct loop *loop, struct loop_member *member) {
	member->next = &loop->members;
	member->prev = loop->members.prev;
	member->prev->next = member;
	loop->members.prev = member;
}

void loop_member_remove(struct loop *loop, struct loop_member *member) {
	(void)loop;
	member->prev->next = member->next;
	member->next->prev = member->prev;
}

char *loop_scratch_received(struct loop *loop) {
	return loop->received;
}

char *loop_scratch_plain(struct loop *loop) {
	return loop->plain;
}

struct buf *loop_scratch_sent(struct loop *loop) {
	return &loop->sent;
}

struct loop_chunk *loop_chunk_new(struct loop *loop) {
	struct loop_chunk *chunk = loop->chunks;
	if (chunk) {
		loop->chunks = chunk->next;
		loop->chunk_count--;
	} else {
		chunk = memory_resize(NULL, 1, sizeof(*chunk));
	}
	chunk->next = NULL;
	chunk->begin = chunk->end = 0;
	return chunk;
}

void loop_chunk_free(struct loop *loop, struct loop_chunk *chunk) {
	if (loop->chunk_count >= CHUNKS_KEPT) {
		free(chunk);
		return;
	}
	chunk->next = loop->chunks;
	loop->chunks = chunk;
	loop->chunk_count++;
}

/* Ends what still lives on the loop and lets every put-off callback come. */
static void end_members(struct loop *loop) {
	process(loop);
	while (loop->members.next != &loop->members) {
		loop->members.next->end(loop->members.next);
		process(loop);
	}
	while (loop->deferred.next != &loop->deferred || has_posts(loop)) {
		process(loop);
	}
}

static void close_handles(struct loop *loop) {
	for (struct signal_watch *watch = loop->signals; watch; watch = watch->next) {
		uv_close((uv_handle_t *)&watch->handle, NULL);
	}
	uv_close((uv_handle_t *)&loop->wake, NULL);
	uv_close((uv_handle_t *)&loop->alarm, NULL);
	uv_close((uv_handle_t *)&loop->prepare, NULL);
	/* Also waits for name look-ups under way, whose memory is theirs until they return. */
	(void)uv_run(&loop->uv, UV_RUN_DEFAULT);
	/* Fails when a listener, fetcher, watch or process was not closed before. */
	CHECK(uv_loop_close(&loop->uv) == 0);
}

void loop_free(struct loop *loop) {
	if (!loop) {
		return;
	}
	end_members(loop);
	close_handles(loop);
	while (loop->signals) {
		struct signal_watch *watch = loop->signals;
		loop->signals = watch->next;
		free(watch);
	}
	while (loop->chunks) {
		struct loop_chunk *chunk = loop->chunks;
		loop->chunks = chunk->next;
		free(chunk);
	}
	timer_heap_deinit(&loop->timers);
	lock_take(&loop->lock);
	free(loop->posts.items);
	lock_drop(&loop->lock);
	lock_deinit(&loop->lock);
	buf_deinit(&loop->sent);
	free(loop->running.items);
	free(loop->received);
	free(loop->plain);
	free(loop);
}
