/*
 * Streams: connected byte pipes over TCP, with or without TLS; and the listeners that accept them.
 *
 * Owned by one loop; every call and callback is on its thread. Writes are queued without blocking:
 * the writer looks at stream_pending and waits for on_drain, so memory stays bounded. Reading can be
 * paused. Every stream ends with exactly one on_close, after which the pointer is gone; callbacks may
 * close or abort the stream they are called for.
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
#define STREAM_LOW_WATER (64U * 1024U)
/* A writer that ignores stream_pending is cut off (ERR_LIMIT) here. */
#define STREAM_PENDING_MAX (64U * 1024U * 1024U)

struct stream;

struct stream_ops {
	void (*on_open)(struct stream *stream);  /* Connected, handshake done. */
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
 * Starts connecting to 'host' (a name or address) and 'port'. Returns a stream at once; failure comes
 * by on_close, with ERR_IO, ERR_TIMEOUT or ERR_DENIED (a peer that the verify function refused).
 */
struct stream *stream_connect(struct loop *loop, const char *host, uint16_t port,
	const struct stream_options *options);

void *stream_context(const struct stream *stream);
void stream_set_ops(struct stream *stream, const struct stream_ops *ops, void *context);
struct loop *stream_loop(struct stream *stream);
const struct tls_peer *stream_peer(const struct stream *stream);
/* "127.0.0.1:4143" */
const char *stream_peer_address(const struct stream *stream);

/* Queues a copy of the bytes. */
void stream_write(struct stream *stream, const void *bytes, size_t len);
/* Bytes queued and not yet taken by the system. */
size_t stream_pending(const struct stream *stream);
void stream_pause(struct stream *stream);
void stream_resume(struct stream *stream);
void stream_set_idle_timeout(struct stream *stream, int64_t ms);
/* Sends what is queued, then ends (TLS close_notify, FIN). */
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
	void (*on_refuse)(struct listener *listener, const char *peer_address,
		const struct err *reason);
};

struct listener_options {
	const struct listener_ops *ops;
	void *context;
	const struct tls_options *tls; /* NULL: plain. A client certificate is then not asked for. */
	int64_t open_timeout_ms;       /* Handshake; 0: 10 s. */
	size_t connections_max;        /* Accepted at once; more wait in the kernel. 0: 512. */
};

/* Listens on host:port (port 0: any). Returns 0, ERR_INVAL (bad address) or ERR_IO (in use). */
MUST_USE int listener_open(struct loop *loop, const char *host, uint16_t port,
	const struct listener_options *options, struct listener **out, struct err *err);
/* Stops accepting; streams go on. The pointer is gone. */
void listener_close(struct listener *listener);
uint16_t listener_port(const struct listener *listener);
void *listener_context(const struct listener *listener);

#endif
