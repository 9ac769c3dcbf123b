/*
 * Polls: tell when a file descriptor can be read or written. Owned by one loop.
 */
#ifndef IO_POLL_H
#define IO_POLL_H

#include "io/loop.h"

#include <stdbool.h>

struct poll;

/* Called on the loop. A descriptor in an error state is told as readable and writable. */
typedef void poll_fn(void *context, bool is_readable, bool is_writable);

/* Watches 'fd' for nothing yet. Returns NULL if the system cannot poll it. */
struct poll *poll_new(struct loop *loop, int fd, poll_fn *run, void *context);
/* What to be told of; costs nothing when unchanged. */
void poll_set(struct poll *poll, bool readable, bool writable);
/* Stops; no callback comes after, and the descriptor may be closed at once. NULL is fine. */
void poll_free(struct poll *poll);

#endif
