/*
 * Watches: tell when a file or anything in a directory may have changed, by inotify and, because
 * that misses network file systems, by polling as well. Owned by one loop.
 */
#ifndef IO_WATCH_H
#define IO_WATCH_H

#include "io/loop.h"

struct watch;
/* Called on the loop, once for a burst of changes; the path may also be gone, or unchanged. */
typedef void watch_fn(void *context);

/* Never fails: a path that does not exist yet is polled until it does. 'poll_ms' 0: 5 s. */
struct watch *watch_start(
	struct loop *loop, const char *path, int64_t poll_ms, watch_fn *changed, void *context);
/* Ends it; no callback comes after. */
void watch_stop(struct watch *watch);

#endif
