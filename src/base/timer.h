/*
 * Timers: a heap of deadlines that an event loop drains.
 *
 * A timer is embedded in what it serves. Owned by one loop; its callback runs on that loop and may
 * set or clear any timer, itself included.
 */
#ifndef BASE_TIMER_H
#define BASE_TIMER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct timer;
typedef void timer_fn(struct timer *timer);

struct timer {
	int64_t due_ns; /* On the loop's monotonic clock. */
	size_t slot;    /* Place in the heap + 1; 0 when not set. */
	timer_fn *run;
};

struct timer_heap {
	struct timer **items;
	size_t count;
	size_t capacity;
};

/* Forgets all timers; the heap is empty and usable after. */
void timer_heap_deinit(struct timer_heap *heap);
/* Sets or moves 'timer' to 'due_ns'; run must be filled in. */
void timer_heap_set(struct timer_heap *heap, struct timer *timer, int64_t due_ns);
/* Forgets 'timer'; fine if it is not set. */
void timer_heap_clear(struct timer_heap *heap, struct timer *timer);
/* Returns whether any timer is set, and when the first is due. */
bool timer_heap_next(const struct timer_heap *heap, int64_t *due_ns);
/* Runs every timer due at 'now_ns', in order of time, but no more than were set when
 * it began: what callbacks set for now may wait for the next call. Returns how many ran. */
size_t timer_heap_run(struct timer_heap *heap, int64_t now_ns);

#endif
