#include "tsdb/epochs.h"

#include "base/check.h"
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

void epochs_init(struct epochs *epochs) {
	*epochs = (struct epochs){ .now = 1 };
	lock_init(&epochs->lock, LOCK_RANK_LEAF);
}

void epochs_deinit(struct epochs *epochs) {
	CHECK(epochs->readers == NULL);
	(void)epochs_collect(epochs);
	CHECK(epochs->count == 0);
	free(epochs->items);
	lock_deinit(&epochs->lock);
}

void epochs_enter(struct epochs *epochs, struct epoch_reader *reader) {
	lock_take(&epochs->lock);
	reader->epoch = epochs->now;
	reader->prev = NULL;
	reader->next = epochs->readers;
	if (epochs->readers) {
		epochs->readers->prev = reader;
	} else {
		epochs->oldest = reader;
	}
	epochs->readers = reader;
	lock_drop(&epochs->lock);
}

void epochs_leave(struct epochs *epochs, struct epoch_reader *reader) {
	lock_take(&epochs->lock);
	if (reader->prev) {
		reader->prev->next = reader->next;
	} else {
		epochs->readers = reader->next;
	}
	if (reader->next) {
		reader->next->prev = reader->prev;
	} else {
		epochs->oldest = reader->prev;
	}
	lock_drop(&epochs->lock);
}

void epochs_retire(struct epochs *epochs, epoch_free_fn *run, void *context, uint64_t thing) {
	lock_take(&epochs->lock);
	if (epochs->count == epochs->capacity) {
		epochs->capacity = epochs->capacity > 0 ? epochs->capacity * 2 : 64;
		epochs->items =
			memory_resize(epochs->items, epochs->capacity, sizeof(epochs->items[0]));
	}
	epochs->items[epochs->count++] = (struct epoch_item){
		.epoch = epochs->now++, .run = run, .context = context, .thing = thing
	};
	lock_drop(&epochs->lock);
}

/* Takes the items that may go. Returns them for free(), and how many. */
static struct epoch_item *items_take(struct epochs *epochs, size_t *count, size_t *left) {
	struct epoch_item *taken = NULL;
	size_t free_count = 0;

	lock_take(&epochs->lock);
	/* A reader that came at epoch e may hold what was retired at e or later. */
	while (free_count < epochs->count &&
		(!epochs->oldest || epochs->items[free_count].epoch < epochs->oldest->epoch)) {
		free_count++;
	}
	if (free_count > 0) {
		taken = memory_alloc(free_count, sizeof(*taken));
		memcpy(taken, epochs->items, free_count * sizeof(*taken));
		epochs->count -= free_count;
		memmove(epochs->items, epochs->items + free_count,
			epochs->count * sizeof(epochs->items[0]));
	}
	*left = epochs->count;
	lock_drop(&epochs->lock);
	*count = free_count;
	return taken;
}

size_t epochs_collect(struct epochs *epochs) {
	size_t count = 0;
	size_t left = 0;
	struct epoch_item *items = items_take(epochs, &count, &left);

	for (size_t i = 0; i < count; i++) {
		items[i].run(items[i].context, items[i].thing);
	}
	free(items);
	return left;
}
