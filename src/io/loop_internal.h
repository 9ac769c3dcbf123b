/*
 * What the other modules of this folder share with the loop: the libuv loop below it, work put off
 * to the end of a round of callbacks, members that end with the loop, and scratch memory.
 *
 * Everything here is called on the loop's own thread.
 */
#ifndef IO_LOOP_INTERNAL_H
#define IO_LOOP_INTERNAL_H

#include "base/buf.h"
#include "io/loop.h"

#include <stdbool.h>
#include <uv.h>

/* One read takes at most this much, so that a busy peer leaves room for the others. */
#define LOOP_SCRATCH_BYTES ((size_t)64 * 1024)

/* Embedded in what it serves; runs once for each loop_defer, after the current callbacks. */
struct loop_task {
	struct loop_task *next;
	struct loop_task *prev;
	loop_fn *run;
	void *context;
	bool is_queued;
};

/* Something that loop_free ends by calling 'end', which must remove it. */
struct loop_member {
	struct loop_member *next;
	struct loop_member *prev;
	void (*end)(struct loop_member *member);
};

/* A block of a write queue. The payload is the largest TLS record. */
#define LOOP_CHUNK_BYTES 16384U

struct loop_chunk {
	struct loop_chunk *next;
	size_t begin; /* Of what is not sent yet. */
	size_t end;
	char bytes[LOOP_CHUNK_BYTES];
};

/* The libuv loop, for handles of this folder. */
uv_loop_t *loop_uv(struct loop *loop);

/* Queues 'task'; fine if it is queued already. */
void loop_defer(struct loop *loop, struct loop_task *task);
/* Takes it back; fine if it is not queued. */
void loop_defer_clear(struct loop *loop, struct loop_task *task);

/* 'member' must be removed before it goes. */
void loop_member_add(struct loop *loop, struct loop_member *member);
void loop_member_remove(struct loop *loop, struct loop_member *member);

/*
 * Memory of LOOP_SCRATCH_BYTES for what is read from a socket, for what was decrypted, and a buffer
 * for what was encrypted. Valid until the callback that uses them returns.
 */
char *loop_scratch_received(struct loop *loop);
char *loop_scratch_plain(struct loop *loop);
struct buf *loop_scratch_sent(struct loop *loop);

/* An empty chunk from the loop's spare ones; give it back with loop_chunk_free. */
struct loop_chunk *loop_chunk_new(struct loop *loop);
void loop_chunk_free(struct loop *loop, struct loop_chunk *chunk);

#endif
