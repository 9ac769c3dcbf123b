/*
 * The server from its connections' side, and what HTTP/1.1 and HTTP/2 connections have in common.
 *
 * The server is counted: connections and exchanges keep it until the last of them is gone, so that
 * an answer may come after http_server_close. Owned by one loop.
 */
#ifndef HTTP_CONNECTION_H
#define HTTP_CONNECTION_H

#include "http/exchange.h"

struct connection {
	struct http_server *server; /* A reference. */
	struct stream *stream;      /* NULL once gone. */
	/* The server closes: say goodbye if the protocol can, cut everything else. */
	void (*shut)(struct connection *connection);
	struct timer expiry;    /* Of the client's certificate. */
	http_closed_fn *closed; /* Of an adopted stream; may be NULL. */
	void *closed_context;
	bool is_listed;
	struct connection *next;
	struct connection *previous;
};

/* Why connections were ended by us, as a label of a counter. */
enum server_refusal {
	REFUSED_MALFORMED,
	REFUSED_FLOOD,
	REFUSED_TIMEOUT,
	REFUSED_STALLED
};

/* One more user of the server. */
struct http_server *server_ref(struct http_server *server);
/* One less; the last frees it. */
void server_unref(struct http_server *server);
/* Whether clients come over TLS. */
bool server_is_tls(const struct http_server *server);
/* The options, defaults filled in. */
const struct http_server_options *server_options(const struct http_server *server);
/* The time as a Date header has it; valid until the next call. */
struct str server_date(struct http_server *server);
/* Accounts for request bodies. Returns false when the server holds too many already. */
MUST_USE bool server_charge_body(struct http_server *server, size_t bytes);
/* Gives back what was charged. */
void server_release_body(struct http_server *server, size_t bytes);
/* Runs the handler; a server that is closed answers 503 itself. */
void server_handle(struct http_server *server, struct exchange *exchange);
/* Counts an exchange that comes to its end. */
void server_count_exchange(const struct exchange *exchange);
/* Counts a connection or request that we ended, and why. */
void server_count_refusal(struct http_server *server, enum server_refusal refusal);

/* Registers a connection with the server, taking a reference. */
void connection_add(struct connection *connection, struct http_server *server,
	struct stream *stream, void (*shut)(struct connection *connection));
/* Takes it off the server's list; fine if it is not there. */
void connection_unlist(struct connection *connection);
/* Takes it off the list and gives the reference back. */
void connection_remove(struct connection *connection);

/* Starts HTTP/1.1 on a stream; HTTP/2's preface moves it over when 'may_be_h2'. */
void server_h1_start(struct http_server *server, struct stream *stream, bool may_be_h2);
/* Starts HTTP/2 on a stream, with bytes that were read already; it may be over with them. */
struct connection *server_h2_start(
	struct http_server *server, struct stream *stream, struct str bytes);

#endif
