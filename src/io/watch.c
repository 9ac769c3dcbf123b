/*
 * inotify tells at once, on file systems that it knows; a poll of what stat says tells everywhere,
 * later. For a path whose last part may be renamed away (editors, Kubernetes' links) the directory
 * above is watched as well as the path itself.
 *
 * Every change marks the watch and waits SETTLE_MS, so that a burst is one call.
 */
#include "io/watch.h"

#include "base/buf.h"
#include "base/hash.h"
#include "base/memory.h"
#include "io/file.h"
#include "io/poll.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#define POLL_MS 5000
/* A burst of changes (a file written, then renamed) is over after this. */
#define SETTLE_MS 50
#define EVENTS                                                                                     \
	(IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ATTRIB |        \
		IN_MODIFY | IN_DELETE_SELF | IN_MOVE_SELF)

struct watch {
	struct loop *loop;
	char *path;
	char *parent;
	int64_t poll_ms;
	watch_fn *changed;
	void *context;
	int fd; /* -1: no inotify. */
	int path_id;
	int parent_id;
	bool is_changed; /* It was told of the path itself, not only of a neighbour. */
	struct poll *poll;
	struct timer poll_timer;
	struct timer settle_timer;
	uint64_t seen; /* Digest of what stat said. */
};

static uint64_t add_stat(uint64_t digest, const char *path) {
	struct stat info;
	if (stat(path, &info) != 0) {
		return hash_mix(digest, (uint64_t)errno);
	}
	digest = hash_mix(digest, info.st_ino);
	digest = hash_mix(digest, (uint64_t)info.st_size);
	digest = hash_mix(digest, (uint64_t)info.st_mtim.tv_sec);
	return hash_mix(digest, (uint64_t)info.st_mtim.tv_nsec);
}

/* Of the path and, if it is a directory, of all in it. */
static uint64_t digest(const char *path) {
	struct dir_list list = { 0 };
	AUTO(buf_deinit) struct buf name = { 0 };
	uint64_t result = add_stat(1, path);
	if (dir_list(path, &list, NULL) < 0) {
		return result;
	}
	for (size_t i = 0; i < list.count; i++) {
		buf_reset(&name);
		buf_printf(&name, "%s/%s", path, list.names[i]);
		result = hash_mix(result, hash_str(buf_str(&name), 0));
		result = add_stat(result, buf_text(&name));
	}
	dir_list_free(&list);
	return result;
}

/* Watches what is there by now; adding a path that is watched changes nothing. */
static void add_paths(struct watch *watch) {
	if (watch->fd >= 0) {
		/* One that is not there yet is found by the poll. */
		watch->path_id = inotify_add_watch(watch->fd, watch->path, EVENTS);
		watch->parent_id = inotify_add_watch(watch->fd, watch->parent, EVENTS);
	}
}

/* Tells if there is something to tell; the watch may be gone after. */
static void tell(struct watch *watch) {
	uint64_t now = digest(watch->path);
	bool is_changed = watch->is_changed || now != watch->seen;
	add_paths(watch);
	watch->seen = now;
	watch->is_changed = false;
	if (is_changed) {
		loop_timer_clear(watch->loop, &watch->settle_timer);
		watch->changed(watch->context);
	}
}

static void on_poll_timer(struct timer *timer) {
	struct watch *watch = CONTAINER_OF(timer, struct watch, poll_timer);
	loop_timer_after_ms(watch->loop, &watch->poll_timer, watch->poll_ms);
	tell(watch);
}

static void on_settled(struct timer *timer) {
	tell(CONTAINER_OF(timer, struct watch, settle_timer));
}

/*
 * Whether an event is of the path itself. One of a neighbour may matter too (a link on the way to
 * the path was replaced); then stat shows it.
 */
static bool is_own(const struct watch *watch, const struct inotify_event *event) {
	if (event->wd == watch->path_id || (event->mask & IN_Q_OVERFLOW)) {
		return true;
	}
	const char *slash = strrchr(watch->path, '/');
	return event->wd == watch->parent_id && event->len > 0 &&
	       strcmp(event->name, slash ? slash + 1 : watch->path) == 0;
}

static void on_events(void *context, bool is_readable, bool is_writable) {
	(void)is_readable;
	(void)is_writable;
	struct watch *watch = context;
	_Alignas(struct inotify_event) char events[4096];
	ssize_t got;
	while ((got = read(watch->fd, events, sizeof(events))) > 0) {
		for (ssize_t at = 0; at < got;) {
			const void *bytes = events + at;
			const struct inotify_event *event = bytes;
			watch->is_changed = watch->is_changed || is_own(watch, event);
			at += (ssize_t)sizeof(*event) + event->len;
		}
	}
	if (watch->settle_timer.slot == 0) {
		loop_timer_after_ms(watch->loop, &watch->settle_timer, SETTLE_MS);
	}
}

static char *copy(const char *text) {
	size_t size = strlen(text) + 1;
	return memcpy(memory_alloc(1, size), text, size);
}

struct watch *watch_start(
	struct loop *loop, const char *path, int64_t poll_ms, watch_fn *changed, void *context) {
	struct watch *watch = MEMORY_NEW(struct watch, 1);
	watch->loop = loop;
	watch->path = copy(path);
	watch->parent = copy(strchr(path, '/') ? path : ".");
	char *slash = strrchr(watch->parent, '/');
	if (slash) {
		slash[slash == watch->parent] = '\0'; /* "/" stays. */
	}
	watch->poll_ms = poll_ms > 0 ? poll_ms : POLL_MS;
	watch->changed = changed;
	watch->context = context;
	watch->poll_timer.run = on_poll_timer;
	watch->settle_timer.run = on_settled;
	watch->path_id = watch->parent_id = -1;
	watch->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (watch->fd >= 0) {
		watch->poll = poll_new(loop, watch->fd, on_events, watch);
	}
	if (watch->poll) {
		poll_set(watch->poll, true, false);
	}
	add_paths(watch);
	watch->seen = digest(path);
	loop_timer_after_ms(loop, &watch->poll_timer, watch->poll_ms);
	return watch;
}

void watch_stop(struct watch *watch) {
	if (!watch) {
		return;
	}
	loop_timer_clear(watch->loop, &watch->poll_timer);
	loop_timer_clear(watch->loop, &watch->settle_timer);
	poll_free(watch->poll);
	if (watch->fd >= 0) {
		(void)close(watch->fd);
	}
	free(watch->path);
	free(watch->parent);
	free(watch);
}
