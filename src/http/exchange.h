/*
 * Exchanges from the inside: one request and its answer, between the handler and a connection.
 *
 * The handler's side (server.h) only fills the queue and wakes the transport; the transport -
 * HTTP/1.1 or an HTTP/2 stream - pulls from it as the peer takes bytes. Freed when both sides are
 * through: the handler by ending or failing it, the transport by finishing or dropping it. Owned by
 * one loop.
 */
#ifndef HTTP_EXCHANGE_H
#define HTTP_EXCHANGE_H

#include "base/buf.h"
#include "base/timer.h"
#include "http/server.h"

/* Reading has no upper bound on handlers' time, but each step a client must take has one. */
#define HTTP_STALL_MS 60000
/* All request bodies that a server holds, as a multiple of the largest one. */
#define HTTP_BODIES_MAX 16

struct exchange_transport {
	/* The head was set, bytes were queued, or the answer ended: send what can be sent. */
	void (*wake)(struct exchange *exchange);
	/* The handler breaks the answer off: forget the exchange, which is freed next. */
	void (*fail)(struct exchange *exchange);
};

struct exchange {
	struct http_server *server; /* A reference. */
	struct loop *loop;
	const struct exchange_transport *transport; /* NULL once the client is gone or served. */
	void *connection;
	int32_t stream_id;  /* HTTP/2 only. */
	struct timer timer; /* The transport's. */

	struct arena arena;
	struct http_request request;
	struct buf body;
	size_t body_charged; /* Of the body, in the server's sum. */
	const char *identity;
	const char *peer_address;
	int64_t began_ns;

	size_t header_bytes; /* HTTP/2 only; so far. */
	bool is_request_whole;
	bool is_handled; /* The handler has it; until then the transport may free it. */
	bool has_head;   /* Status and headers are final. */
	bool has_length; /* The whole answer was queued at once. */
	bool is_ended;   /* The handler is through; it must not be told of anything. */
	bool is_refused; /* Answered by the transport before the request was whole. */
	bool is_head_sent;
	bool is_deferred; /* HTTP/2: the stream waits for bytes. */
	bool was_full;    /* The queue was above the low water mark: on_drain is owed. */
	int status;
	struct str content_type;
	struct http_headers headers;
	struct buf queue;
	size_t queue_at; /* Bytes of the queue that were taken. */
	uint64_t taken_bytes;
	uint64_t stall_mark; /* taken_bytes when the transport last looked. */

	exchange_abort_fn *aborted;
	void *abort_context;
	exchange_drain_fn *drained;
	void *drain_context;

	struct exchange *next; /* In the transport's lists. */
	struct exchange *previous;
};

/* A new exchange, being read. */
struct exchange *exchange_new(struct http_server *server,
	const struct exchange_transport *transport, void *connection, struct stream *stream);
/* Frees one that no handler has; or, once answered, that the transport is done with. */
void exchange_free(struct exchange *exchange);
/* Accounts for the body as far as it is in. Returns false when the server's bodies are too many. */
MUST_USE bool exchange_charge_body(struct exchange *exchange);
/* Hands the exchange to the server's handler, which may answer before this returns. */
void exchange_dispatch(struct exchange *exchange);
/* Sets an answer of the transport's own, a line of text, while the request is still read. */
void exchange_refuse(struct exchange *exchange, int status, const char *text);
/*
 * The connection is through with the exchange (whole or not): frees it if the handler is too, else
 * tells on_abort and leaves the exchange to its handler.
 */
void exchange_drop(struct exchange *exchange);

/* The next bytes of the answer, at most 'max'; the request stays the owner. */
struct str exchange_queued(const struct exchange *exchange, size_t max);
/* The first 'len' of them are on their way. */
void exchange_take(struct exchange *exchange, size_t len);
/* Calls on_drain if it is owed and the queue is low again. The exchange may be gone after. */
void exchange_tell_drained(struct exchange *exchange);
/* Whether everything was taken and nothing will follow. */
bool exchange_is_done(const struct exchange *exchange);
/* Whether the answer has no body whatever is queued: to HEAD, and by its status. */
bool exchange_is_bodiless(const struct exchange *exchange);

#endif
