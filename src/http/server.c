#include "http/server.h"

#include "base/check.h"
#include "base/memory.h"
#include "http/connection.h"
#include "http/h1.h"

#include <stdio.h>
#include <stdlib.h>

#define DEFAULT_CONNECTIONS_MAX 512
#define DEFAULT_HEADER_BYTES_MAX ((size_t)64 * 1024)
#define DEFAULT_BODY_BYTES_MAX ((size_t)10 * 1024 * 1024)
#define DEFAULT_STREAMS_MAX 128
#define DEFAULT_TIMEOUT_MS 300000
/* Looked at this often at least, so that a machine that slept or a moved wall clock is noticed. */
#define EXPIRY_LOOK_MS_MAX 60000

struct server_metrics {
	struct metric_family *requests;
	struct metric *duration;
	struct metric *response_bytes;
	struct metric *connections;
	struct metric_family *refusals;
};

struct http_server {
	size_t refs; /* One for whoever opened it, one for each connection and exchange. */
	struct loop *loop;
	struct listener *listener; /* NULL once closed. */
	struct http_server_options options;
	bool has_metrics;
	struct server_metrics metrics;
	struct connection *connections;
	size_t body_bytes; /* Request bodies held by all exchanges. */
	int64_t date_s;
	struct buf date;
};

static void declare_metrics(struct http_server *server) {
	static const char *const request_labels[] = { "code", "method", NULL };
	static const char *const refusal_labels[] = { "reason", NULL };
	static const double bounds[] = { 0.001, 0.005, 0.02, 0.1, 0.4, 1, 3, 8, 20, 60, 120 };
	struct metric_registry *registry = server->options.metrics;
	struct server_metrics *metrics = &server->metrics;

	if (!registry) {
		return;
	}
	server->has_metrics = true;
	metrics->requests = metric_declare(registry, METRIC_COUNTER, "atoll_http_requests_total",
		"HTTP requests served, by status and method; 499 is a client that went away.",
		request_labels);
	metrics->duration = metric_single(
		metric_declare_histogram(registry, "atoll_http_request_duration_seconds",
			"From the first byte of a request to the last of its answer.", NULL, bounds,
			ARRAY_COUNT(bounds)));
	metrics->response_bytes = metric_single(metric_declare(registry, METRIC_COUNTER,
		"atoll_http_response_body_bytes_total", "Body bytes handed to clients.", NULL));
	metrics->connections = metric_single(metric_declare(
		registry, METRIC_GAUGE, "atoll_http_connections", "Open HTTP connections.", NULL));
	metrics->refusals = metric_declare(registry, METRIC_COUNTER, "atoll_http_refusals_total",
		"Connections and requests that were ended for what the client did.",
		refusal_labels);
}

struct http_server *server_ref(struct http_server *server) {
	server->refs++;
	return server;
}

void server_unref(struct http_server *server) {
	CHECK(server->refs > 0);
	if (--server->refs == 0) {
		buf_deinit(&server->date);
		free(server);
	}
}

bool server_is_tls(const struct http_server *server) {
	return server->options.tls != NULL;
}

const struct http_server_options *server_options(const struct http_server *server) {
	return &server->options;
}

struct str server_date(struct http_server *server) {
	int64_t now_ms = clock_now_ms(loop_clock(server->loop));
	int64_t now_s = now_ms / MS_PER_S;

	if (now_s != server->date_s || server->date.len == 0) {
		server->date_s = now_s;
		buf_reset(&server->date);
		http_date_format(now_ms, &server->date);
	}
	return buf_str(&server->date);
}

bool server_charge_body(struct http_server *server, size_t bytes) {
	server->body_bytes += bytes;
	return server->body_bytes / HTTP_BODIES_MAX <= server->options.body_bytes_max;
}

void server_release_body(struct http_server *server, size_t bytes) {
	CHECK(server->body_bytes >= bytes);
	server->body_bytes -= bytes;
}

void server_handle(struct http_server *server, struct exchange *exchange) {
	if (!server->listener) {
		exchange_respond_text(exchange, 503, "the server is closing\n");
		return;
	}
	server->options.handler(server->options.context, exchange);
}

/* The method if it is one that clients use, so that a client cannot invent label values. */
static const char *method_label(struct str method) {
	static const char *const known[] = { "GET", "POST", "HEAD", "OPTIONS", "PUT", "DELETE" };

	for (size_t i = 0; i < ARRAY_COUNT(known); i++) {
		if (str_equal(method, str_of(known[i]))) {
			return known[i];
		}
	}
	return "other";
}

void server_count_exchange(const struct exchange *exchange) {
	struct http_server *server = exchange->server;
	char code[8];

	if (!server->has_metrics || !exchange->is_handled) {
		return;
	}
	bool is_whole = exchange->has_head && exchange_is_done(exchange);
	(void)snprintf(code, sizeof(code), "%d", is_whole ? exchange->status : 499);
	const char *values[] = { code, method_label(exchange->request.method), NULL };

	metric_inc(metric_child(server->metrics.requests, values));
	metric_add(server->metrics.response_bytes, (double)exchange->taken_bytes);
	metric_observe(server->metrics.duration,
		(double)(loop_now_ns(exchange->loop) - exchange->began_ns) / 1e9);
}

void server_count_refusal(struct http_server *server, enum server_refusal refusal) {
	static const char *const reasons[] = {
		[REFUSED_MALFORMED] = "malformed",
		[REFUSED_FLOOD] = "flood",
		[REFUSED_TIMEOUT] = "timeout",
		[REFUSED_STALLED] = "stalled",
	};

	if (server->has_metrics) {
		const char *values[] = { reasons[refusal], NULL };
		metric_inc(metric_child(server->metrics.refusals, values));
	}
}

static void count_connection(struct http_server *server, double change) {
	if (server->has_metrics) {
		metric_add(server->metrics.connections, change);
	}
}

static void tell_refused(
	const struct http_server *server, const char *peer_address, const struct err *reason) {
	if (server->options.on_refuse) {
		server->options.on_refuse(server->options.context, peer_address, reason);
	}
}

static void wait_for_expiry(struct connection *connection) {
	struct loop *loop = connection->server->loop;
	int64_t left_ms = stream_peer(connection->stream)->chain_not_after_ms -
			  clock_now_ms(loop_clock(loop));
	loop_timer_after_ms(loop, &connection->expiry,
		left_ms < EXPIRY_LOOK_MS_MAX ? left_ms + 1 : EXPIRY_LOOK_MS_MAX);
}

/* Who is not to come back is not renewed: that must also end what is open. */
static void run_expiry(struct timer *timer) {
	struct connection *connection = CONTAINER_OF(timer, struct connection, expiry);
	struct http_server *server = connection->server;
	const struct tls_peer *peer = stream_peer(connection->stream);
	struct err err = { 0 };

	if (clock_now_ms(loop_clock(server->loop)) <= peer->chain_not_after_ms) {
		wait_for_expiry(connection);
		return;
	}
	(void)err_set(&err, ERR_DENIED, "certificate has expired: that of %s, since it connected",
		peer->identity);
	tell_refused(server, stream_peer_address(connection->stream), &err);
	connection_unlist(connection);
	connection->shut(connection);
}

void http_server_cut(struct http_server *server, http_peer_fn *is_unwanted, void *context) {
	struct connection *next = NULL;
	for (struct connection *connection = server->connections; connection; connection = next) {
		struct err why = { 0 };
		next = connection->next;
		if (!connection->stream ||
			!is_unwanted(context, stream_peer(connection->stream), &why)) {
			continue;
		}
		tell_refused(server, stream_peer_address(connection->stream), &why);
		connection_unlist(connection);
		connection->shut(connection);
	}
}

void connection_add(struct connection *connection, struct http_server *server,
	struct stream *stream, void (*shut)(struct connection *connection)) {
	connection->server = server_ref(server);
	connection->stream = stream;
	connection->shut = shut;
	connection->is_listed = true;
	connection->previous = NULL;
	connection->next = server->connections;
	if (server->connections) {
		server->connections->previous = connection;
	}
	server->connections = connection;
	connection->expiry.run = run_expiry;
	if (stream_peer(stream)->chain_not_after_ms > 0) {
		wait_for_expiry(connection);
	}
	count_connection(server, 1);
}

void connection_unlist(struct connection *connection) {
	struct http_server *server = connection->server;

	if (!connection->is_listed) {
		return;
	}
	connection->is_listed = false;
	loop_timer_clear(server->loop, &connection->expiry);
	if (connection->previous) {
		connection->previous->next = connection->next;
	} else {
		server->connections = connection->next;
	}
	if (connection->next) {
		connection->next->previous = connection->previous;
	}
	count_connection(server, -1);
}

void connection_remove(struct connection *connection) {
	connection_unlist(connection);
	server_unref(connection->server);
	connection->server = NULL;
}

/* Whether the peer may have one connection more. */
static bool admit(const struct http_server *server, struct stream *stream) {
	const char *identity = stream_peer(stream)->identity;
	size_t max = server->options.connections_per_peer_max;
	size_t count = 0;
	struct err err = { 0 };

	for (const struct connection *at = server->connections; max > 0 && at; at = at->next) {
		count += strcmp(stream_peer(at->stream)->identity, identity) == 0;
	}
	if (max == 0 || count < max) {
		return true;
	}
	(void)err_set(&err, ERR_LIMIT, "%s has %zu connections, as many as one peer may", identity,
		count);
	tell_refused(server, stream_peer_address(stream), &err);
	return false;
}

static void on_accept(struct listener *listener, struct stream *stream) {
	struct http_server *server = listener_context(listener);
	const char *alpn = stream_peer(stream)->alpn;

	if (!admit(server, stream)) {
		stream_abort(stream, NULL);
		return;
	}
	if (strcmp(alpn, "h2") == 0) {
		(void)server_h2_start(server, stream, STR_EMPTY);
	} else {
		server_h1_start(server, stream, alpn[0] == '\0');
	}
}

static void on_refuse(
	struct listener *listener, const char *peer_address, const struct err *reason) {
	tell_refused(listener_context(listener), peer_address, reason);
}

static void fill_defaults(struct http_server_options *options) {
	if (options->connections_max == 0) {
		options->connections_max = DEFAULT_CONNECTIONS_MAX;
	}
	if (options->header_bytes_max == 0) {
		options->header_bytes_max = DEFAULT_HEADER_BYTES_MAX;
	}
	if (options->body_bytes_max == 0) {
		options->body_bytes_max = DEFAULT_BODY_BYTES_MAX;
	}
	if (options->streams_max == 0) {
		options->streams_max = DEFAULT_STREAMS_MAX;
	}
	if (options->read_timeout_ms == 0) {
		options->read_timeout_ms = DEFAULT_TIMEOUT_MS;
	}
	if (options->idle_timeout_ms == 0) {
		options->idle_timeout_ms = DEFAULT_TIMEOUT_MS;
	}
}

int http_server_open(struct loop *loop, const struct http_server_options *options,
	struct http_server **out, struct err *err) {
	static const struct listener_ops ops = { .on_accept = on_accept, .on_refuse = on_refuse };
	struct http_server *server = MEMORY_NEW(struct http_server, 1);

	server->refs = 1;
	server->loop = loop;
	server->options = *options;
	fill_defaults(&server->options);
	struct listener_options listening = {
		.ops = &ops,
		.context = server,
		.tls = options->tls,
		.connections_max = server->options.connections_max,
	};
	int rc = listener_open(
		loop, options->host, options->port, &listening, &server->listener, err);
	if (rc < 0) {
		server_unref(server);
		return rc;
	}
	declare_metrics(server);
	*out = server;
	return 0;
}

void http_server_close(struct http_server *server) {
	listener_close(server->listener);
	server->listener = NULL;
	/* Shutting one may, through an abort callback, end others: always the first that is left.
	 */
	while (server->connections) {
		struct connection *connection = server->connections;

		connection->closed = NULL;
		connection_unlist(connection);
		connection->shut(connection);
	}
	/* The registry may go before the last answer comes back. */
	server->has_metrics = false;
	server_unref(server);
}

uint16_t http_server_port(const struct http_server *server) {
	return listener_port(server->listener);
}

void http_server_adopt(
	struct http_server *server, struct stream *stream, http_closed_fn *closed, void *context) {
	struct connection *connection = server_h2_start(server, stream, STR_EMPTY);

	connection->closed = closed;
	connection->closed_context = context;
}
