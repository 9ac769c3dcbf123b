/*
 * Event loops: one thread each, sockets, timers and work handed over from other threads.
 *
 * Timers are base/timer.h's heap on the loop's clock, so that a test with a manual clock owns them
 * (after clock_advance_ms it calls loop_wake). Everything but loop_post, loop_wake and loop_stop is
 * called on the loop's own thread. Callbacks never block and never compute for long.
 */
#ifndef IO_LOOP_H
#define IO_LOOP_H

#include "base/compiler.h"
#include "base/time.h"
#include "base/timer.h"

#include <stddef.h>

/* Most callbacks waiting in a loop's hand-over queue; loop_post refuses more. */
#define LOOP_POST_MAX 100000

struct loop;
typedef void loop_fn(void *context);

/* Also makes this process ignore SIGPIPE: writing to a peer that left is an error, not a death. */
struct loop *loop_new(struct clock *clock);
/*
 * Runs what was posted before, aborts the streams that are still there (their on_close comes now)
 * and frees. Listeners, fetchers, watches and processes of the loop must be closed already.
 */
void loop_free(struct loop *loop);

/* Runs until loop_stop. */
void loop_run(struct loop *loop);
/* Handles what is ready now, without waiting; for tests. */
void loop_run_once(struct loop *loop);
/* Any thread, and signal-safe: ends loop_run after the current callbacks. */
void loop_stop(struct loop *loop);
/* Any thread: makes the loop look at its clock and queue. */
void loop_wake(struct loop *loop);
/* Any thread: runs 'run' on the loop. Returns false when LOOP_POST_MAX are waiting. */
MUST_USE bool loop_post(struct loop *loop, loop_fn *run, void *context);

/* The clock that the loop was made with. */
struct clock *loop_clock(struct loop *loop);
/* The loop's monotonic time when this round of callbacks began. */
int64_t loop_now_ns(struct loop *loop);

/* Sets or moves a timer (its 'run' filled in) on the loop's monotonic clock; clears it. */
void loop_timer_set(struct loop *loop, struct timer *timer, int64_t due_ns);
void loop_timer_after_ms(struct loop *loop, struct timer *timer, int64_t ms);
void loop_timer_clear(struct loop *loop, struct timer *timer);

/*
 * Calls 'run' on the loop when SIGINT or SIGTERM (or SIGHUP, with 'signal') arrives. One handler a
 * signal a process.
 */
void loop_on_signal(struct loop *loop, int signal, loop_fn *run, void *context);

#endif
