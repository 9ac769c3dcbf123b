#include "io/poll.h"

#include "base/check.h"
#include "base/memory.h"
#include "io/loop_internal.h"

#include <stdlib.h>
#include <uv.h>

struct poll {
	uv_poll_t handle;
	poll_fn *run;
	void *context;
	int events;
};

static void on_events(uv_poll_t *handle, int status, int events) {
	struct poll *poll = handle->data;
	if (status < 0) {
		/* libuv stopped the handle; whoever reads or writes now gets the reason. */
		poll->events = 0;
		poll->run(poll->context, true, true);
		return;
	}
	poll->run(poll->context, events & UV_READABLE, events & UV_WRITABLE);
}

struct poll *poll_new(struct loop *loop, int fd, poll_fn *run, void *context) {
	struct poll *poll = MEMORY_NEW(struct poll, 1);
	if (uv_poll_init(loop_uv(loop), &poll->handle, fd) != 0) {
		free(poll);
		return NULL;
	}
	poll->handle.data = poll;
	poll->run = run;
	poll->context = context;
	return poll;
}

void poll_set(struct poll *poll, bool readable, bool writable) {
	int events = (readable ? UV_READABLE : 0) | (writable ? UV_WRITABLE : 0);
	if (events == poll->events) {
		return;
	}
	poll->events = events;
	if (events == 0) {
		CHECK(uv_poll_stop(&poll->handle) == 0);
	} else {
		CHECK(uv_poll_start(&poll->handle, events, on_events) == 0);
	}
}

static void on_closed(uv_handle_t *handle) {
	free(handle->data);
}

void poll_free(struct poll *poll) {
	if (poll) {
		uv_close((uv_handle_t *)&poll->handle, on_closed);
	}
}
