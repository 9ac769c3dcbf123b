/*
 * Epochs: when what readers may still look at can be freed.
 *
 * A reader is active from epochs_enter to epochs_leave. What is taken out of the structures is
 * retired, not freed; epochs_collect frees what was retired before the oldest active reader came.
 * Any thread; locks itself (leaf).
 */
#ifndef TSDB_EPOCHS_H
#define TSDB_EPOCHS_H

#include "base/thread.h"

#include <stddef.h>
#include <stdint.h>

/* Embedded in what reads. */
struct epoch_reader {
	struct epoch_reader *next;
	struct epoch_reader *prev;
	uint64_t epoch;
};

/* Frees a retired thing: a number, or a pointer as one. Runs in epochs_collect. */
typedef void epoch_free_fn(void *context, uint64_t thing);

struct epoch_item {
	uint64_t epoch;
	epoch_free_fn *run;
	void *context;
	uint64_t thing;
};

struct epochs {
	struct lock lock;
	uint64_t now;
	struct epoch_reader *readers; /* Newest first. */
	struct epoch_reader *oldest;
	struct epoch_item *items; /* In order of epoch. */
	size_t count;
	size_t capacity;
};

/* No readers, nothing retired. */
void epochs_init(struct epochs *epochs);
/* Frees everything retired; there must be no reader. */
void epochs_deinit(struct epochs *epochs);
/* Makes 'reader' active: what it finds from now on stays until it leaves. */
void epochs_enter(struct epochs *epochs, struct epoch_reader *reader);
/* Ends that. */
void epochs_leave(struct epochs *epochs, struct epoch_reader *reader);
/* Hands over a thing that no new reader can find. */
void epochs_retire(struct epochs *epochs, epoch_free_fn *run, void *context, uint64_t thing);
/* Frees what no reader can hold any more. Returns how many things wait on. */
size_t epochs_collect(struct epochs *epochs);

#endif
