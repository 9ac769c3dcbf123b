/*
 * Connecting: the name is looked up off the loop, then its addresses are tried one after the other,
 * each for its share of the time that is left.
 */
#include "base/check.h"
#include "base/memory.h"
#include "io/stream_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/un.h>
#include <uv.h>

#define OPEN_TIMEOUT_MS 10000
#define ADDRESSES_MAX 16

struct address {
	struct sockaddr_storage bytes;
	socklen_t len;
};

struct dial {
	uv_getaddrinfo_t request;
	struct stream *stream; /* NULL: nobody waits any more. */
	bool is_resolving;     /* 'request' is libuv's; this struct must outlive it. */
	const struct tls_options *tls;
	char *host;
	uint16_t port;
	struct address addresses[ADDRESSES_MAX];
	size_t count;
	size_t next;
	struct err err; /* Of the last address tried. */
};

static void dial_free(struct dial *dial) {
	free(dial->host);
	free(dial);
}

void dial_forget(struct stream *stream) {
	struct dial *dial = stream->dial;
	stream->dial = NULL;
	dial->stream = NULL;
	if (dial->is_resolving) {
		(void)uv_cancel((uv_req_t *)&dial->request); /* Too late for one that runs. */
	} else {
		dial_free(dial);
	}
}

/* Where to, for sentences. */
static void describe(const struct dial *dial, char *out, size_t size) {
	bool is_path = dial->host[0] == '/';
	bool has_colon = !is_path && strchr(dial->host, ':');
	(void)snprintf(out, size,
		is_path     ? "%s"
		: has_colon ? "[%s]:%u"
			    : "%s:%u",
		dial->host, (unsigned)dial->port);
}

static void set_err(struct dial *dial, int system_errno) {
	char target[300];
	describe(dial, target, sizeof(target));
	(void)err_errno(&dial->err, system_errno, "connect to %s", target);
}

/* Begins to connect to one address. Returns whether that is under way. */
static bool try_address(struct stream *stream, const struct address *address) {
	struct dial *dial = stream->dial;
	const void *bytes = &address->bytes;
	int fd = socket(address->bytes.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		set_err(dial, errno);
		return false;
	}
	stream_set_address(stream, bytes);
	int rc = connect(fd, bytes, address->len);
	int reason = errno;
	if (!stream_attach(stream, fd)) {
		set_err(dial, EMFILE);
		return false;
	}
	if (rc != 0 && reason != EINPROGRESS && reason != EINTR) {
		set_err(dial, reason);
		stream_detach(stream);
		return false;
	}
	poll_set(stream->poll, false, true);
	return true;
}

/* Tries the next address, or ends the stream with what the last one said. */
static void try_next(struct stream *stream) {
	struct dial *dial = stream->dial;
	while (dial->next < dial->count) {
		size_t left = dial->count - dial->next;
		if (try_address(stream, &dial->addresses[dial->next++])) {
			int64_t now_ns = loop_now_ns(stream->loop);
			int64_t share_ns = (stream->open_due_ns - now_ns) / (int64_t)left;
			loop_timer_set(stream->loop, &stream->timer, now_ns + share_ns);
			return;
		}
	}
	struct err err = dial->err;
	stream_end(stream, &err);
}

void dial_writable(struct stream *stream) {
	struct dial *dial = stream->dial;
	const struct tls_options *tls = dial->tls;
	int reason = 0;
	socklen_t len = sizeof(reason);
	if (getsockopt(stream->fd, SOL_SOCKET, SO_ERROR, &reason, &len) != 0) {
		reason = errno;
	}
	if (reason != 0) {
		set_err(dial, reason);
		stream_detach(stream);
		try_next(stream);
		return;
	}
	loop_timer_set(stream->loop, &stream->timer, stream->open_due_ns);
	stream_established(stream, tls);
}

void dial_timeout(struct stream *stream) {
	struct dial *dial = stream->dial;
	char target[300];
	describe(dial, target, sizeof(target));
	(void)err_set(&dial->err, ERR_TIMEOUT, "connect to %s: no answer in time", target);
	stream_detach(stream);
	if (stream->state == STREAM_CONNECTING && loop_now_ns(stream->loop) < stream->open_due_ns) {
		try_next(stream);
		return;
	}
	struct err err = dial->err;
	stream_end(stream, &err);
}

static void take_addresses(struct dial *dial, const struct addrinfo *list) {
	for (; list && dial->count < ADDRESSES_MAX; list = list->ai_next) {
		struct address *address = &dial->addresses[dial->count];
		if (list->ai_addrlen <= sizeof(address->bytes)) {
			memcpy(&address->bytes, list->ai_addr, list->ai_addrlen);
			address->len = list->ai_addrlen;
			dial->count++;
		}
	}
}

static void connect_now(struct stream *stream) {
	stream_move(stream, STREAM_CONNECTING);
	try_next(stream);
}

static void on_resolved(uv_getaddrinfo_t *request, int status, struct addrinfo *list) {
	struct dial *dial = request->data;
	struct stream *stream = dial->stream;
	dial->is_resolving = false;
	if (!stream) {
		dial_free(dial);
	} else if (status == 0) {
		take_addresses(dial, list);
		connect_now(stream);
	} else {
		struct err err = { 0 };
		bool is_unknown = status == UV_EAI_NONAME || status == UV_EAI_NODATA;
		(void)err_set(&err, ERR_IO, "host \"%s\": %s", dial->host,
			is_unknown ? "no such name" : uv_strerror(status));
		stream_end(stream, &err);
	}
	uv_freeaddrinfo(list);
}

/* Fills in the addresses of a path or a number. Returns false for a name. */
static bool resolve_now(struct dial *dial) {
	if (dial->host[0] == '/') {
		struct sockaddr_un path = { .sun_family = AF_UNIX };
		size_t len = strlen(dial->host);
		if (len >= sizeof(path.sun_path)) {
			set_err(dial, ENAMETOOLONG);
			return true;
		}
		memcpy(path.sun_path, dial->host, len);
		memcpy(&dial->addresses[0].bytes, &path, sizeof(path));
		dial->addresses[0].len = sizeof(path);
		dial->count = 1;
		return true;
	}
	char port[8];
	struct addrinfo *list = NULL;
	struct addrinfo hints = {
		.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
	};
	(void)snprintf(port, sizeof(port), "%u", dial->port);
	if (getaddrinfo(dial->host, port, &hints, &list) != 0) {
		return false;
	}
	take_addresses(dial, list);
	freeaddrinfo(list);
	return true;
}

static void resolve_later(struct stream *stream) {
	struct dial *dial = stream->dial;
	char port[8];
	struct addrinfo hints = {
		.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_ADDRCONFIG | AI_NUMERICSERV,
	};
	(void)snprintf(port, sizeof(port), "%u", dial->port);
	dial->request.data = dial;
	int rc = uv_getaddrinfo(
		loop_uv(stream->loop), &dial->request, on_resolved, dial->host, port, &hints);
	if (rc != 0) {
		struct err err = { 0 };
		(void)err_set(&err, ERR_IO, "host \"%s\": %s", dial->host, uv_strerror(rc));
		stream_end(stream, &err);
		return;
	}
	dial->is_resolving = true;
}

struct stream *stream_connect(
	struct loop *loop, const char *host, uint16_t port, const struct stream_options *options) {
	struct stream *stream = stream_new(loop, STREAM_RESOLVING);
	struct dial *dial = MEMORY_NEW(struct dial, 1);
	size_t host_size = strlen(host) + 1;
	stream_set_ops(stream, options->ops, options->context);
	stream->idle_ns = options->idle_timeout_ms * NS_PER_MS;
	int64_t timeout_ms =
		options->open_timeout_ms > 0 ? options->open_timeout_ms : OPEN_TIMEOUT_MS;
	stream->open_due_ns = loop_now_ns(loop) + timeout_ms * NS_PER_MS;
	stream->dial = dial;
	dial->stream = stream;
	dial->tls = options->tls;
	dial->port = port;
	dial->host = memory_alloc(1, host_size);
	memcpy(dial->host, host, host_size);
	(void)snprintf(stream->address, sizeof(stream->address), "%.39s:%u", host, port);
	loop_timer_set(loop, &stream->timer, stream->open_due_ns);
	if (resolve_now(dial)) {
		connect_now(stream);
	} else {
		resolve_later(stream);
	}
	return stream;
}
