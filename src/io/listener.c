/*
 * Accepting: connections come one by one to the listener's loop; with TLS they are only shown to
 * its owner once the handshake is done.
 */
#include "base/check.h"
#include "base/memory.h"
#include "io/stream_internal.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define OPEN_TIMEOUT_MS 10000
#define CONNECTIONS_MAX 512
/* The kernel keeps this many for us, more or less (it knows a limit of its own). */
#define BACKLOG 1024
/* One round accepts at most this many, so that those accepted are served too. */
#define ACCEPTS_AT_ONCE 64
/* How long to leave the rest in the kernel when descriptors have run out. */
#define EXHAUSTED_PAUSE_MS 100
/*
 * Whoever has not shown yet who it is does not keep others out: so many handshakes at once, then
 * the oldest is ended for the next. An honest peer is through within two round trips, so one that
 * is younger than this is left alone and the next waits in the kernel.
 */
#define HANDSHAKES_MAX 256
#define HANDSHAKE_SAFE_MS 1000

struct listener {
	struct loop *loop;
	const struct listener_ops *ops;
	void *context;
	const struct tls_options *tls;
	int64_t open_timeout_ms;
	size_t connections_max;
	size_t count; /* Streams that point here, and 'holds'. */
	size_t handshakes;
	struct stream *oldest; /* Of the handshakes, the oldest first. */
	struct stream *newest;
	size_t holds;       /* Calls of ours that need it to stay. */
	bool is_closed;     /* By its owner; freed with its last stream. */
	bool is_exhausted;  /* Of descriptors. */
	bool is_crowded;    /* With young handshakes. */
	struct timer timer; /* Ends either. */
	int fd;
	struct poll *poll;
	uint16_t port;
	char *path; /* Of a Unix socket, to remove; else NULL. */
};

/* A handshake's place, unlike an open connection's, can be had. */
static bool has_room(const struct listener *listener) {
	size_t used = listener->count - listener->holds;
	return !listener->is_closed && !listener->is_exhausted && !listener->is_crowded &&
	       used - listener->handshakes < listener->connections_max;
}

static void update_poll(struct listener *listener) {
	if (!listener->is_closed) {
		poll_set(listener->poll, has_room(listener), false);
	}
}

static void on_pause_over(struct timer *timer) {
	struct listener *listener = CONTAINER_OF(timer, struct listener, timer);
	listener->is_exhausted = false;
	listener->is_crowded = false;
	update_poll(listener);
}

static void handshake_begins(struct listener *listener, struct stream *stream) {
	stream->is_handshake = true;
	stream->began_ns = loop_now_ns(listener->loop);
	stream->older = listener->newest;
	if (stream->older) {
		stream->older->newer = stream;
	} else {
		listener->oldest = stream;
	}
	listener->newest = stream;
	listener->handshakes++;
}

static void handshake_ends(struct listener *listener, struct stream *stream) {
	if (!stream->is_handshake) {
		return;
	}
	stream->is_handshake = false;
	if (stream->older) {
		stream->older->newer = stream->newer;
	} else {
		listener->oldest = stream->newer;
	}
	if (stream->newer) {
		stream->newer->older = stream->older;
	} else {
		listener->newest = stream->older;
	}
	stream->older = stream->newer = NULL;
	listener->handshakes--;
	listener->is_crowded = false;
	update_poll(listener);
}

static bool is_full(const struct listener *listener) {
	size_t used = listener->count - listener->holds;
	return listener->oldest &&
	       (used >= listener->connections_max || listener->handshakes >= HANDSHAKES_MAX);
}

/* Whether one more may come, if need be for the oldest handshake. Else it waits in the kernel. */
static bool may_accept(struct listener *listener) {
	if (!has_room(listener) || !is_full(listener)) {
		return has_room(listener);
	}
	int64_t safe_ns = listener->oldest->began_ns + HANDSHAKE_SAFE_MS * NS_PER_MS;
	listener->is_crowded = safe_ns > loop_now_ns(listener->loop);
	if (listener->is_crowded) {
		loop_timer_set(listener->loop, &listener->timer, safe_ns);
	}
	return !listener->is_crowded;
}

static void end_oldest(struct listener *listener) {
	struct stream *stream = listener->oldest;
	struct err err = { 0 };
	(void)err_set(&err, ERR_TIMEOUT,
		"peer had not finished the TLS handshake when its place was needed");
	handshake_ends(listener, stream);
	stream_end(stream, &err);
}

static void free_if_done(struct listener *listener) {
	if (listener->is_closed && listener->count == 0) {
		free(listener->path);
		free(listener);
	}
}

static void accept_failed(struct listener *listener, int reason) {
	if (reason == EAGAIN || reason == EINTR || reason == ECONNABORTED) {
		return;
	}
	listener->is_exhausted = true;
	loop_timer_after_ms(listener->loop, &listener->timer, EXHAUSTED_PAUSE_MS);
	if (listener->ops->on_refuse) {
		struct err err = { 0 };
		(void)err_errno(&err, reason, "accept");
		listener->ops->on_refuse(listener, "", &err);
	}
}

static void take(struct listener *listener, int fd, const struct sockaddr *address) {
	struct stream *stream = stream_new(listener->loop, STREAM_HANDSHAKE);
	stream_set_address(stream, address);
	stream->listener = listener;
	listener->count++;
	if (!stream_attach(stream, fd)) {
		struct err err = { 0 };
		(void)err_set(&err, ERR_IO, "too many open descriptors");
		stream_end(stream, &err);
		return;
	}
	loop_timer_after_ms(listener->loop, &stream->timer, listener->open_timeout_ms);
	if (listener->tls) {
		handshake_begins(listener, stream);
	}
	stream_established(stream, listener->tls);
}

static void on_readable(void *context, bool is_readable, bool is_writable) {
	(void)is_readable;
	(void)is_writable;
	struct listener *listener = context;
	/* Its callbacks may close it: it stays until we are done. */
	listener->holds++;
	listener->count++;
	for (int i = 0; i < ACCEPTS_AT_ONCE && may_accept(listener); i++) {
		struct sockaddr_storage address = { 0 };
		socklen_t len = sizeof(address);
		void *bytes = &address;
		int fd = accept4(listener->fd, bytes, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0) {
			accept_failed(listener, errno);
			break;
		}
		if (is_full(listener)) {
			end_oldest(listener);
		}
		take(listener, fd, bytes);
	}
	listener->holds--;
	listener->count--;
	update_poll(listener);
	free_if_done(listener);
}

void listener_accepted(struct stream *stream) {
	struct listener *listener = stream->listener;
	handshake_ends(listener, stream);
	if (listener->is_closed) {
		stream_end(stream, NULL);
		return;
	}
	stream->was_told = true;
	listener->ops->on_accept(listener, stream);
	CHECK(stream->ops || stream->state == STREAM_ENDED);
}

void listener_refused(struct stream *stream) {
	struct listener *listener = stream->listener;
	if (stream->was_told || listener->is_closed || !stream->reason) {
		return;
	}
	stream->was_told = true;
	if (listener->ops->on_refuse) {
		listener->ops->on_refuse(listener, stream->address, stream->reason);
	}
}

void listener_left(struct stream *stream) {
	struct listener *listener = stream->listener;
	handshake_ends(listener, stream);
	stream->listener = NULL;
	listener->count--;
	update_poll(listener);
	free_if_done(listener);
}

void listener_close(struct listener *listener) {
	if (!listener) {
		return;
	}
	listener->is_closed = true;
	loop_timer_clear(listener->loop, &listener->timer);
	poll_free(listener->poll);
	if (listener->path) {
		(void)unlink(listener->path); /* A socket that stays behind is replaced later. */
	}
	(void)close(listener->fd);
	free_if_done(listener);
}

static int open_failed(int fd, int reason, const char *what, struct err *err) {
	if (fd >= 0) {
		(void)close(fd);
	}
	return err_errno(err, reason, "listen on %s", what);
}

/* Binds and listens on one address. Returns a descriptor or ERR_IO. */
static int listen_on(const struct addrinfo *address, const char *what, struct err *err) {
	int yes = 1;
	int no = 0;
	int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		return open_failed(fd, errno, what, err);
	}
	bool is_set = setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) == 0;
	if (address->ai_family == AF_INET6) {
		is_set = setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof(no)) == 0 && is_set;
	}
	if (!is_set || bind(fd, address->ai_addr, address->ai_addrlen) != 0 ||
		listen(fd, BACKLOG) != 0) {
		return open_failed(fd, errno, what, err);
	}
	return fd;
}

static uint16_t port_of(int fd) {
	struct sockaddr_storage address = { 0 };
	socklen_t len = sizeof(address);
	void *bytes = &address;
	if (getsockname(fd, bytes, &len) != 0) {
		return 0;
	}
	const struct sockaddr_in6 *in6 = bytes;
	const struct sockaddr_in *in = bytes;
	// NOLINTNEXTLINE(clang-analyzer-core.CallAndMessage): 'bytes' is zeroed above
	return ntohs(address.ss_family == AF_INET6 ? in6->sin6_port : in->sin_port);
}

/* Returns a descriptor, ERR_INVAL or ERR_IO. */
// NOLINTNEXTLINE(readability-function-size): assertions of the headers count as branches
static int open_inet(const char *host, uint16_t port, struct err *err) {
	char service[8];
	char what[300];
	struct addrinfo *list = NULL;
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE };
	(void)snprintf(service, sizeof(service), "%u", port);
	(void)snprintf(what, sizeof(what), strchr(host, ':') ? "[%s]:%u" : "%s:%u", host, port);
	int reason = getaddrinfo(host[0] ? host : NULL, service, &hints, &list);
	if (reason != 0) {
		return err_set(err, ERR_INVAL, "listen on %s: not an address of this machine: %s",
			what, gai_strerror(reason));
	}
	/* Without a host, the IPv6 wildcard also takes IPv4; the list has it second. */
	int fd = ERR_IO;
	for (int pass = 0; pass < 2 && fd < 0; pass++) {
		for (const struct addrinfo *at = list; at && fd < 0; at = at->ai_next) {
			bool is_first = host[0] || at->ai_family == AF_INET6;
			if (is_first == (pass == 0)) {
				fd = listen_on(at, what, err);
			}
		}
	}
	freeaddrinfo(list);
	return fd;
}

/* Whether somebody accepts connections on the socket that lies at 'address'. */
static bool is_served(const struct sockaddr_un *address) {
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		return true;
	}
	bool is_dead =
		connect(fd, (const void *)address, sizeof(*address)) != 0 && errno == ECONNREFUSED;
	(void)close(fd);
	return !is_dead;
}

static int open_path(const char *path, struct err *err) {
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t len = strlen(path);
	struct stat info;
	if (len >= sizeof(address.sun_path)) {
		return err_set(err, ERR_INVAL, "listen on %s: longer than the %zu bytes allowed",
			path, sizeof(address.sun_path) - 1);
	}
	memcpy(address.sun_path, path, len);
	if (lstat(path, &info) == 0 && S_ISSOCK(info.st_mode) && !is_served(&address)) {
		(void)unlink(path); /* bind() says why if that failed. */
	}
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	/* The mode before bind() is the one that the socket's file gets. */
	if (fd < 0 || fchmod(fd, 0600) != 0 ||
		bind(fd, (const void *)&address, sizeof(address)) != 0 ||
		listen(fd, BACKLOG) != 0) {
		return open_failed(fd, errno, path, err);
	}
	return fd;
}

int listener_open(struct loop *loop, const char *host, uint16_t port,
	const struct listener_options *options, struct listener **out, struct err *err) {
	CHECK(options->ops->on_accept);
	bool is_path = host[0] == '/';
	int fd = is_path ? open_path(host, err) : open_inet(host, port, err);
	if (fd < 0) {
		return fd;
	}
	struct listener *listener = MEMORY_NEW(struct listener, 1);
	listener->loop = loop;
	listener->ops = options->ops;
	listener->context = options->context;
	listener->tls = options->tls;
	listener->open_timeout_ms =
		options->open_timeout_ms > 0 ? options->open_timeout_ms : OPEN_TIMEOUT_MS;
	listener->connections_max =
		options->connections_max > 0 ? options->connections_max : CONNECTIONS_MAX;
	listener->timer.run = on_pause_over;
	listener->fd = fd;
	listener->poll = poll_new(loop, fd, on_readable, listener);
	if (!listener->poll) {
		free(listener);
		return open_failed(fd, EMFILE, host, err);
	}
	if (is_path) {
		size_t size = strlen(host) + 1;
		listener->path = memory_alloc(1, size);
		memcpy(listener->path, host, size);
	} else {
		listener->port = port_of(fd);
	}
	poll_set(listener->poll, true, false);
	*out = listener;
	return 0;
}

uint16_t listener_port(const struct listener *listener) {
	return listener->port;
}

void *listener_context(const struct listener *listener) {
	return listener->context;
}
