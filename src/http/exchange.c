#include "http/exchange.h"

#include "base/check.h"
#include "base/memory.h"
#include "http/connection.h"

#include <stdlib.h>

struct exchange *exchange_new(struct http_server *server,
	const struct exchange_transport *transport, void *connection, struct stream *stream) {
	struct exchange *exchange = MEMORY_NEW(struct exchange, 1);

	exchange->server = server_ref(server);
	exchange->loop = stream_loop(stream);
	exchange->transport = transport;
	exchange->connection = connection;
	exchange->began_ns = loop_now_ns(exchange->loop);
	/* The exchange may outlive the stream. */
	exchange->identity =
		arena_copy(&exchange->arena, str_of(stream_peer(stream)->identity)).ptr;
	exchange->peer_address =
		arena_copy(&exchange->arena, str_of(stream_peer_address(stream))).ptr;
	exchange->request.scheme = server_is_tls(server) ? STR("https") : STR("http");
	return exchange;
}

void exchange_free(struct exchange *exchange) {
	loop_timer_clear(exchange->loop, &exchange->timer);
	server_count_exchange(exchange);
	server_release_body(exchange->server, exchange->body_charged);
	server_unref(exchange->server);
	buf_deinit(&exchange->body);
	buf_deinit(&exchange->queue);
	arena_deinit(&exchange->arena);
	free(exchange);
}

bool exchange_charge_body(struct exchange *exchange) {
	size_t more = exchange->body.len - exchange->body_charged;

	exchange->body_charged += more;
	return server_charge_body(exchange->server, more);
}

void exchange_dispatch(struct exchange *exchange) {
	exchange->is_handled = true;
	loop_timer_clear(exchange->loop, &exchange->timer);
	server_handle(exchange->server, exchange);
}

void exchange_drop(struct exchange *exchange) {
	exchange->transport = NULL;
	loop_timer_clear(exchange->loop, &exchange->timer);
	if (!exchange->is_handled || exchange->is_ended) {
		exchange_free(exchange);
		return;
	}
	/* Nobody will take what is queued. */
	buf_deinit(&exchange->queue);
	exchange->queue_at = 0;
	if (exchange->aborted) {
		exchange->aborted(exchange->abort_context);
	}
}

struct str exchange_queued(const struct exchange *exchange, size_t max) {
	return str_first(str_from(buf_str(&exchange->queue), exchange->queue_at), max);
}

static size_t queue_len(const struct exchange *exchange) {
	return exchange->queue.len - exchange->queue_at;
}

void exchange_take(struct exchange *exchange, size_t len) {
	exchange->queue_at += len;
	exchange->taken_bytes += len;
	if (exchange->queue_at == exchange->queue.len) {
		buf_reset(&exchange->queue);
		exchange->queue_at = 0;
	}
}

void exchange_tell_drained(struct exchange *exchange) {
	if (exchange->was_full && !exchange->is_ended && queue_len(exchange) <= STREAM_LOW_WATER) {
		exchange->was_full = false;
		if (exchange->drained) {
			exchange->drained(exchange->drain_context);
		}
	}
}

bool exchange_is_done(const struct exchange *exchange) {
	return exchange->is_ended && queue_len(exchange) == 0;
}

bool exchange_is_bodiless(const struct exchange *exchange) {
	return exchange->status == 204 || exchange->status == 304 ||
	       str_equal(exchange->request.method, STR("HEAD"));
}

const struct http_request *exchange_request(const struct exchange *exchange) {
	return &exchange->request;
}

const char *exchange_identity(const struct exchange *exchange) {
	return exchange->identity;
}

const char *exchange_peer_address(const struct exchange *exchange) {
	return exchange->peer_address;
}

struct arena *exchange_arena(struct exchange *exchange) {
	return &exchange->arena;
}

struct loop *exchange_loop(struct exchange *exchange) {
	return exchange->loop;
}

void exchange_on_abort(struct exchange *exchange, exchange_abort_fn *aborted, void *context) {
	exchange->aborted = aborted;
	exchange->abort_context = context;
}

void exchange_on_drain(struct exchange *exchange, exchange_drain_fn *drained, void *context) {
	exchange->drained = drained;
	exchange->drain_context = context;
}

bool exchange_is_aborted(const struct exchange *exchange) {
	return !exchange->transport;
}

void exchange_header(struct exchange *exchange, struct str name, struct str value) {
	CHECK(!exchange->has_head);
	if (!http_name_is_token(name) || !http_value_is_safe(value)) {
		return;
	}
	http_headers_add(&exchange->headers, &exchange->arena, name, value);
	struct str lower = exchange->headers.items[exchange->headers.count - 1].name;

	if (http_header_is_framing(lower) || str_equal(lower, STR("date")) ||
		str_equal(lower, STR("content-type"))) {
		exchange->headers.count--;
	}
}

static void set_head(struct exchange *exchange, int status, struct str content_type) {
	CHECK(!exchange->has_head);
	CHECK(status >= 200);
	CHECK(status <= 599);
	exchange->has_head = true;
	exchange->status = status;
	exchange->content_type = http_value_is_safe(content_type)
					 ? arena_copy(&exchange->arena, content_type)
					 : STR_EMPTY;
}

/* The handler is through. Frees the exchange if the client is gone. */
static void finish(struct exchange *exchange) {
	exchange->is_ended = true;
	if (exchange->transport) {
		exchange->transport->wake(exchange);
	} else {
		exchange_free(exchange);
	}
}

void exchange_respond(
	struct exchange *exchange, int status, struct str content_type, struct str body) {
	set_head(exchange, status, content_type);
	exchange->has_length = true;
	if (exchange->transport) {
		buf_add_str(&exchange->queue, body);
	}
	finish(exchange);
}

void exchange_respond_buf(
	struct exchange *exchange, int status, struct str content_type, struct buf *body) {
	set_head(exchange, status, content_type);
	exchange->has_length = true;
	buf_deinit(&exchange->queue);
	exchange->queue = *body;
	*body = (struct buf){ 0 };
	finish(exchange);
}

void exchange_respond_text(struct exchange *exchange, int status, const char *text) {
	exchange_respond(exchange, status, STR("text/plain; charset=utf-8"), str_of(text));
}

void exchange_refuse(struct exchange *exchange, int status, const char *text) {
	exchange->is_refused = true;
	exchange->is_handled = true;
	buf_reset(&exchange->queue);
	struct str line = arena_printf(&exchange->arena, "%s\n", text);
	exchange_respond(exchange, status, STR("text/plain; charset=utf-8"), line);
}

void exchange_begin(struct exchange *exchange, int status, struct str content_type) {
	set_head(exchange, status, content_type);
	if (exchange->transport) {
		exchange->transport->wake(exchange);
	}
}

size_t exchange_write(struct exchange *exchange, struct str bytes) {
	CHECK(exchange->has_head);
	CHECK(!exchange->is_ended);
	if (!exchange->transport) {
		return 0;
	}
	/* What was taken is dropped before the buffer would grow by more than twice its use. */
	if (exchange->queue_at > exchange->queue.len / 2) {
		buf_consume(&exchange->queue, exchange->queue_at);
		exchange->queue_at = 0;
	}
	buf_add_str(&exchange->queue, bytes);
	exchange->transport->wake(exchange);
	size_t len = queue_len(exchange);
	exchange->was_full = exchange->was_full || len > STREAM_LOW_WATER;
	return len;
}

void exchange_end(struct exchange *exchange) {
	CHECK(exchange->has_head);
	finish(exchange);
}

void exchange_fail(struct exchange *exchange) {
	exchange->is_ended = true;
	if (exchange->transport) {
		exchange->transport->fail(exchange);
	}
	exchange_free(exchange);
}
