/*
 * The HTTP server: HTTP/1.1 and HTTP/2 (by ALPN, or prior knowledge on a plain port), one handler.
 *
 * Owned by one loop. Every request becomes an 'exchange' once its header and body (up to a limit)
 * are in. The handler answers at once or later, whole or in pieces; other threads hand their answer
 * to the loop first (loop_post). An exchange stays valid until it is answered to the end, even when
 * the client is gone: writes then go nowhere, and on_abort has said so.
 *
 * A TLS connection ends when the client's certificate expires.
 */
#ifndef HTTP_SERVER_H
#define HTTP_SERVER_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/metric.h"
#include "http/message.h"
#include "io/loop.h"
#include "io/stream.h"

#include <stdbool.h>
#include <stdint.h>

struct http_server;
struct exchange;

/* Called on the loop. */
typedef void http_handler_fn(void *context, struct exchange *exchange);

struct http_server_options {
	const char *host;
	uint16_t port;                 /* 0: any; see http_server_port. */
	const struct tls_options *tls; /* NULL: plain. Borrowed. */
	http_handler_fn *handler;
	void *context;
	size_t connections_max;          /* Open at once; more wait in the kernel. 0: 512. */
	size_t connections_per_peer_max; /* Of one identity; more are refused. 0: any number. */
	size_t header_bytes_max;         /* 0: 64 KiB; 431 beyond. */
	size_t body_bytes_max;           /* 0: 10 MiB; 413 beyond. */
	size_t streams_max;              /* HTTP/2 requests at once on one connection; 0: 128. */
	int64_t read_timeout_ms;         /* A whole request must be in by then; 0: 300 s. */
	int64_t idle_timeout_ms;         /* Between requests; 0: 300 s. */
	struct metric_registry *metrics; /* May be NULL. */
	/*
	 * Told of TLS peers that were refused: in the handshake, as one connection too many
	 * (ERR_LIMIT), or cut off because their certificate expired meanwhile. May be NULL.
	 */
	void (*on_refuse)(void *context, const char *peer_address, const struct err *reason);
};

/* Listens and serves. Returns 0, ERR_INVAL (bad address) or ERR_IO (in use). */
MUST_USE int http_server_open(struct loop *loop, const struct http_server_options *options,
	struct http_server **out, struct err *err);
/* Stops accepting, ends idle connections, waits for nothing; answers under way are cut. */
void http_server_close(struct http_server *server);
/* The port that is listened on. */
uint16_t http_server_port(const struct http_server *server);

/* Whether a client is not to stay; then says why. */
typedef bool http_peer_fn(void *context, const struct tls_peer *peer, struct err *why);
/* Ends the TLS connections of such clients, adopted ones too; on_refuse is told. Not from a handler
 * whose exchange has not been answered. */
void http_server_cut(struct http_server *server, http_peer_fn *is_unwanted, void *context);

/* Told, on the loop, that an adopted stream is gone. 'reason' NULL: orderly. */
typedef void http_closed_fn(void *context, const struct err *reason);
/*
 * Serves HTTP/2 on a stream that exists already (a link that we dialled). Takes the stream, which
 * may still be aborted. 'closed' may be NULL; it does not come after http_server_close.
 */
void http_server_adopt(
	struct http_server *server, struct stream *stream, http_closed_fn *closed, void *context);

/* What was asked; lives as long as the exchange. */
const struct http_request *exchange_request(const struct exchange *exchange);
/* The verified identity of the client, or "" without TLS. */
const char *exchange_identity(const struct exchange *exchange);
/* "127.0.0.1:52100" */
const char *exchange_peer_address(const struct exchange *exchange);
/* Memory that lives as long as the exchange. Loop thread only. */
struct arena *exchange_arena(struct exchange *exchange);
/* The server's loop, on which everything here is called. */
struct loop *exchange_loop(struct exchange *exchange);

/* Called at most once, on the loop, if the client goes away before the answer is out. */
typedef void exchange_abort_fn(void *context);
/* Sets the callback; on an exchange that is aborted already it is never called. */
void exchange_on_abort(struct exchange *exchange, exchange_abort_fn *aborted, void *context);

/*
 * Adds a header to the answer to come. Headers that frame the message (Content-Length, Connection,
 * Date, ...) are the server's own and left out, as are names and values that HTTP does not allow.
 */
void exchange_header(struct exchange *exchange, struct str name, struct str value);
/* The whole answer; the exchange is gone. HEAD gets the header only. */
void exchange_respond(
	struct exchange *exchange, int status, struct str content_type, struct str body);
/* As exchange_respond, taking the buffer's bytes instead of copying them. */
void exchange_respond_buf(
	struct exchange *exchange, int status, struct str content_type, struct buf *body);
/* As exchange_respond with text/plain. */
void exchange_respond_text(struct exchange *exchange, int status, const char *text);

/* An answer in pieces: begin, any number of writes, end (after which the exchange is gone). */
void exchange_begin(struct exchange *exchange, int status, struct str content_type);
/* Queues a copy. Returns the bytes still queued: above STREAM_LOW_WATER, wait for on_drain. */
size_t exchange_write(struct exchange *exchange, struct str bytes);
typedef void exchange_drain_fn(void *context);
/* Sets what is called, on the loop, each time the queue has fallen to STREAM_LOW_WATER again. */
void exchange_on_drain(struct exchange *exchange, exchange_drain_fn *drained, void *context);
/* The answer is complete. The exchange is gone. */
void exchange_end(struct exchange *exchange);
/* Breaks the answer off so that the client sees it is not whole. The exchange is gone. */
void exchange_fail(struct exchange *exchange);
/* Whether the client is gone. */
bool exchange_is_aborted(const struct exchange *exchange);

#endif
