#include "base/timer.h"

#include "base/check.h"
#include "base/memory.h"

#include <stdlib.h>

/* A binary heap; each timer knows its place, so that clearing one needs no search. */

void timer_heap_deinit(struct timer_heap *heap) {
	for (size_t i = 0; i < heap->count; i++) {
		heap->items[i]->slot = 0;
	}
	free(heap->items);
	*heap = (struct timer_heap){ 0 };
}

static void put(struct timer_heap *heap, size_t at, struct timer *timer) {
	heap->items[at] = timer;
	timer->slot = at + 1;
}

static void sift_up(struct timer_heap *heap, size_t at) {
	struct timer *timer = heap->items[at];
	while (at > 0) {
		size_t parent = (at - 1) / 2;
		if (heap->items[parent]->due_ns <= timer->due_ns) {
			break;
		}
		put(heap, at, heap->items[parent]);
		at = parent;
	}
	put(heap, at, timer);
}

static void sift_down(struct timer_heap *heap, size_t at) {
	struct timer *timer = heap->items[at];
	for (size_t child = 2 * at + 1; child < heap->count; child = 2 * at + 1) {
		if (child + 1 < heap->count &&
			heap->items[child + 1]->due_ns < heap->items[child]->due_ns) {
			child++;
		}
		if (timer->due_ns <= heap->items[child]->due_ns) {
			break;
		}
		put(heap, at, heap->items[child]);
		at = child;
	}
	put(heap, at, timer);
}

static void settle(struct timer_heap *heap, size_t at) {
	sift_down(heap, at);
	sift_up(heap, heap->items[at]->slot - 1);
}

void timer_heap_set(struct timer_heap *heap, struct timer *timer, int64_t due_ns) {
	CHECK(timer->run);
	timer->due_ns = due_ns;
	if (timer->slot == 0) {
		if (heap->count == heap->capacity) {
			heap->capacity = heap->capacity > 0 ? heap->capacity * 2 : 16;
			heap->items =
				memory_resize(heap->items, heap->capacity, sizeof(struct timer *));
		}
		put(heap, heap->count++, timer);
	}
	CHECK(heap->items[timer->slot - 1] == timer);
	settle(heap, timer->slot - 1);
}

void timer_heap_clear(struct timer_heap *heap, struct timer *timer) {
	if (timer->slot == 0) {
		return;
	}
	size_t at = timer->slot - 1;
	CHECK(at < heap->count && heap->items[at] == timer);
	struct timer *last = heap->items[--heap->count];
	timer->slot = 0;
	if (last != timer) {
		put(heap, at, last);
		settle(heap, at);
	}
}

bool timer_heap_next(const struct timer_heap *heap, int64_t *due_ns) {
	if (heap->count == 0) {
		return false;
	}
	*due_ns = heap->items[0]->due_ns;
	return true;
}

size_t timer_heap_run(struct timer_heap *heap, int64_t now_ns) {
	/* A callback that sets a timer for now or earlier must not keep us here for ever. */
	size_t max = heap->count;
	size_t ran = 0;
	while (ran < max && heap->count > 0 && heap->items[0]->due_ns <= now_ns) {
		struct timer *timer = heap->items[0];
		timer_heap_clear(heap, timer);
		timer->run(timer);
		ran++;
	}
	return ran;
}
