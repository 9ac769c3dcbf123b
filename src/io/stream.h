/*
 * Streams: connected byte pipes over TCP, with or without TLS; and the listeners that accept them.
 *
 * Owned by one loop; every call and callback is on its thread. Writes are queued without blocking:
 * the writer looks at stream_pending and waits for on_drain, so memory stays bounded. Reading can
 * be paused. Every stream ends with exactly one on_close, after which the pointer is gone. on_close
 * never comes from inside a call of the user's (stream_close, stream_abort, stream_write), always
 * from the loop; any callback may close or abort any stream, after which that stream's other
 * callbacks stay away. Writing to a stream that is closing does nothing.
 *
 * Writes of one round of callbacks leave together: one TLS record or system call for many of them.
 */
#ifndef IO_STREAM_H
#define IO_STREAM_H

#include "base/err.h"
#include "base/str.h"
#include "io/loop.h"
#include "io/tls.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* on_drain is called when the queue falls from above to below this many bytes. */
#define STREAM_LOW_WATER ((size_t)64 * 1024)
/* A writer that ignores stream_pending is cut off (ERR_LIMIT) here. */
#define STREAM_PENDING_MAX ((size_t)64 * 1024 * 1024)
#define STREAM_CLOSE_TIMEOUT_MS 5000

struct stream;

struct stream_ops {
	/*
	 * Connected, handshake done. In TLS 1.3 a client is done before the server has judged its
	 * certificate: a refusal follows as on_close with ERR_DENIED.
	 */
	void (*on_open)(struct stream *stream);
	void (*on_data)(struct stream *stream, struct str bytes);
	void (*on_drain)(struct stream *stream);
	/* 'reason' is NULL after our own stream_close and the peer's orderly end. */
	void (*on_close)(struct stream *stream, const struct err *reason);
};

struct stream_options {
	const struct stream_ops *ops;
	void *context;
	const struct tls_options *tls; /* NULL: plain. Borrowed for the stream's life. */
	int64_t open_timeout_ms;       /* Connect and handshake together; 0: 10 s. */
	int64_t idle_timeout_ms;       /* No byte either way; 0: none. */
};

/*
 * Starts connecting to 'host' (a name, an address, or the absolute path of a Unix socket; then
 * 'port' means nothing) and 'port'. Returns a stream at once; failure comes by on_close, with
 * ERR_IO, ERR_TIMEOUT or ERR_DENIED (a peer that verification refused, or that refused us).
 */
struct stream *stream_connect(
	struct loop *loop, const char *host, uint16_t port, const struct stream_options *options);

/* What the options or stream_set_ops gave. */
void *stream_context(const struct stream *stream);
/* Hands the stream to another owner, from the next callback on. */
void stream_set_ops(struct stream *stream, const struct stream_ops *ops, void *context);
struct loop *stream_loop(struct stream *stream);
/* Never NULL; empty before the handshake is done and on a plain stream. */
const struct tls_peer *stream_peer(const struct stream *stream);
/* "127.0.0.1:4143"; "unix" for a Unix socket. */
const char *stream_peer_address(const struct stream *stream);

/* Queues a copy of the bytes. */
void stream_write(struct stream *stream, const void *bytes, size_t len);
/* Bytes queued and not yet taken by the system. */
size_t stream_pending(const struct stream *stream);
/* Stops and restarts on_data. What is in flight waits in the kernel and slows the peer down. */
void stream_pause(struct stream *stream);
void stream_resume(struct stream *stream);
/* As in the options, counted from now. */
void stream_set_idle_timeout(struct stream *stream, int64_t ms);
/*
 * Sends what is queued, then ends (TLS close_notify, FIN), giving a peer that still sends a moment
 * to read it. A peer that takes nothing for STREAM_CLOSE_TIMEOUT_MS is cut off (ERR_TIMEOUT).
 */
void stream_close(struct stream *stream);
/* Ends at once; 'reason' (may be NULL) is given to on_close. */
void stream_abort(struct stream *stream, const struct err *reason);
/* Bytes on the wire so far, TLS records included. */
uint64_t stream_received_bytes(const struct stream *stream);
uint64_t stream_sent_bytes(const struct stream *stream);

struct listener;

struct listener_ops {
	/* A connection, handshake done. Sets its ops with stream_set_ops before returning. */
	void (*on_accept)(struct listener *listener, struct stream *stream);
	/* A peer that never got that far: wrong certificate, no TLS, too slow. May be NULL. */
	void (*on_refuse)(
		struct listener *listener, const char *peer_address, const struct err *reason);
};

struct listener_options {
	const struct listener_ops *ops;
	void *context;
	const struct tls_options
		*tls;            /* NULL: plain. A client certificate is then not asked for. */
	int64_t open_timeout_ms; /* Handshake; 0: 10 s. */
	size_t connections_max;  /* Accepted at once; more wait in the kernel. 0: 512. */
};

/*
 * Listens on host:port (port 0: any), or on a Unix socket when 'host' is an absolute path: made
 * with mode 0600, replacing a socket that nobody listens on, removed by listener_close. Returns 0,
 * ERR_INVAL (bad address) or ERR_IO (in use).
 */
MUST_USE int listener_open(struct loop *loop, const char *host, uint16_t port,
	const struct listener_options *options, struct listener **out, struct err *err);
/* Stops accepting; streams go on. The pointer is gone. */
void listener_close(struct listener *listener);
/* The port it got; 0 for a Unix socket. */
uint16_t listener_port(const struct listener *listener);
/* What the options gave. */
void *listener_context(const struct listener *listener);

#endif
