/*
 * An HTTP/2 connection in the server's role, on a stream that either side dialled.
 *
 * nghttp2's callbacks only note what happened: requests that became whole wait in 'ready' and are
 * handed out once nghttp2 has returned, so that handlers may answer at once; drained queues
 * likewise. Each exchange has a timer: for the rest of the request to come, later for the client to
 * open its window. The connection has one: for a request to begin, or for the client to take bytes
 * at all.
 */
#include "base/check.h"
#include "base/memory.h"
#include "http/connection.h"
#include "http/h2.h"

#include <stdio.h>
#include <stdlib.h>

struct exchange_list {
	struct exchange *first;
	struct exchange *last;
};

struct h2_connection {
	struct connection base;
	struct h2 h2;
	struct exchange_list ready;  /* Whole requests that no handler has seen. */
	struct exchange_list active; /* All others. */
	struct exchange *cursor;     /* Of the walk over 'active' in tell_drained. */
	struct timer timer;
	uint64_t stall_mark;
	bool was_idle;  /* When the timer was set. */
	bool got_frame; /* Since then. */
	bool is_closing;
};

static void list_add(struct exchange_list *list, struct exchange *exchange) {
	exchange->next = NULL;
	exchange->previous = list->last;
	if (list->last) {
		list->last->next = exchange;
	} else {
		list->first = exchange;
	}
	list->last = exchange;
}

static void list_remove(struct exchange_list *list, struct exchange *exchange) {
	if (exchange->previous) {
		exchange->previous->next = exchange->next;
	} else {
		list->first = exchange->next;
	}
	if (exchange->next) {
		exchange->next->previous = exchange->previous;
	} else {
		list->last = exchange->previous;
	}
}

static struct loop *loop_of(const struct h2_connection *connection) {
	return stream_loop(connection->base.stream);
}

/* An exchange that waits in 'ready' has its request whole and no handler. */
static void forget(struct h2_connection *connection, struct exchange *exchange) {
	bool is_ready = exchange->is_request_whole && !exchange->is_handled;

	if (connection->cursor == exchange) {
		connection->cursor = exchange->next;
	}
	list_remove(is_ready ? &connection->ready : &connection->active, exchange);
	(void)nghttp2_session_set_stream_user_data(
		connection->h2.session, exchange->stream_id, NULL);
}

/* Ends the connection once what is queued, the GOAWAY too, is out. */
static void close_gently(struct h2_connection *connection) {
	if (!connection->is_closing) {
		h2_flush(&connection->h2);
		connection->is_closing = true;
		connection->h2.stream = NULL;
		loop_timer_clear(loop_of(connection), &connection->timer);
		stream_close(connection->base.stream);
	}
}

static void flush(struct h2_connection *connection) {
	if (connection->is_closing || connection->h2.busy) {
		return;
	}
	h2_flush(&connection->h2);
	if (connection->h2.flooded) {
		(void)nghttp2_session_terminate_session(
			connection->h2.session, NGHTTP2_ENHANCE_YOUR_CALM);
		server_count_refusal(connection->base.server, REFUSED_FLOOD);
	}
	if (connection->h2.flooded || h2_is_done(&connection->h2)) {
		close_gently(connection);
	}
}

static void reset_stream(struct h2_connection *connection, int32_t stream_id, uint32_t code) {
	(void)nghttp2_submit_rst_stream(connection->h2.session, NGHTTP2_FLAG_NONE, stream_id, code);
}

/* nghttp2 wants body bytes for a DATA frame. */
// NOLINTNEXTLINE(readability-function-size): nghttp2's signature
static ssize_t read_body(nghttp2_session *session, int32_t stream_id, uint8_t *bytes, size_t size,
	uint32_t *flags, nghttp2_data_source *source, void *context) {
	struct exchange *exchange = nghttp2_session_get_stream_user_data(session, stream_id);

	(void)source;
	(void)context;
	if (!exchange) {
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	}
	struct str piece = exchange_queued(exchange, size);
	if (piece.len == 0 && !exchange->is_ended) {
		exchange->is_deferred = true;
		return NGHTTP2_ERR_DEFERRED;
	}
	if (piece.len > 0) {
		memcpy(bytes, piece.ptr, piece.len);
		exchange_take(exchange, piece.len);
	}
	if (exchange_is_done(exchange)) {
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	}
	return (ssize_t)piece.len;
}

/* Sends status and header; the body follows as the windows allow. */
static int submit_head(struct h2_connection *connection, struct exchange *exchange) {
	const struct http_headers *headers = &exchange->headers;
	nghttp2_nv *fields = ARENA_NEW(&exchange->arena, nghttp2_nv, headers->count + 4);
	nghttp2_data_provider body = { .read_callback = read_body };
	bool has_body = !exchange_is_bodiless(exchange);
	char status[8];
	char length[24];
	size_t count = 0;

	(void)snprintf(status, sizeof(status), "%d", exchange->status);
	fields[count++] = h2_field(STR(":status"), str_of(status));
	fields[count++] = h2_field(STR("date"), server_date(connection->base.server));
	if (exchange->content_type.len > 0) {
		fields[count++] = h2_field(STR("content-type"), exchange->content_type);
	}
	if (exchange->has_length && exchange->status != 204 && exchange->status != 304) {
		(void)snprintf(
			length, sizeof(length), "%zu", exchange_queued(exchange, SIZE_MAX).len);
		fields[count++] = h2_field(STR("content-length"), str_of(length));
	}
	for (size_t i = 0; i < headers->count; i++) {
		fields[count++] = h2_field(headers->items[i].name, headers->items[i].value);
	}
	exchange->is_head_sent = true;
	if (has_body && exchange_is_done(exchange)) {
		has_body = false;
	}
	return nghttp2_submit_response(connection->h2.session, exchange->stream_id, fields, count,
		has_body ? &body : NULL);
}

/* Each answer with bytes waiting is looked at now and then: a window may never open. */
static void watch_stall(struct exchange *exchange) {
	if (exchange->timer.slot == 0 && exchange_queued(exchange, 1).len > 0) {
		exchange->stall_mark = exchange->taken_bytes;
		loop_timer_after_ms(exchange->loop, &exchange->timer, HTTP_STALL_MS);
	}
}

static void wake(struct exchange *exchange) {
	struct h2_connection *connection = exchange->connection;

	if (connection->is_closing || !exchange->has_head) {
		return;
	}
	if (!exchange->is_head_sent && submit_head(connection, exchange) < 0) {
		reset_stream(connection, exchange->stream_id, NGHTTP2_INTERNAL_ERROR);
	}
	if (exchange_is_bodiless(exchange)) {
		exchange_take(exchange, exchange_queued(exchange, SIZE_MAX).len);
	} else if (exchange->is_deferred &&
		   (exchange_queued(exchange, 1).len > 0 || exchange->is_ended)) {
		exchange->is_deferred = false;
		(void)nghttp2_session_resume_data(connection->h2.session, exchange->stream_id);
	}
	watch_stall(exchange);
	flush(connection);
}

static void fail(struct exchange *exchange) {
	struct h2_connection *connection = exchange->connection;

	forget(connection, exchange);
	if (!connection->is_closing) {
		reset_stream(connection, exchange->stream_id, NGHTTP2_INTERNAL_ERROR);
		flush(connection);
	}
}

static const struct exchange_transport transport = { .wake = wake, .fail = fail };

/* Reading took too long, or the client does not take its answer. */
static void run_exchange_timer(struct timer *timer) {
	struct exchange *exchange = CONTAINER_OF(timer, struct exchange, timer);
	struct h2_connection *connection = exchange->connection;

	if (!exchange->is_request_whole && !exchange->is_handled) {
		server_count_refusal(connection->base.server, REFUSED_TIMEOUT);
		exchange_refuse(exchange, 408, "the request took too long to arrive");
		return;
	}
	if (exchange->taken_bytes > exchange->stall_mark || exchange_queued(exchange, 1).len == 0) {
		watch_stall(exchange);
		return;
	}
	server_count_refusal(connection->base.server, REFUSED_STALLED);
	forget(connection, exchange);
	reset_stream(connection, exchange->stream_id, NGHTTP2_CANCEL);
	exchange_drop(exchange);
	flush(connection);
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *context) {
	struct h2_connection *connection = context;
	struct http_server *server = connection->base.server;

	if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST) {
		return 0;
	}
	struct exchange *exchange =
		exchange_new(server, &transport, connection, connection->base.stream);
	exchange->stream_id = frame->hd.stream_id;
	exchange->timer.run = run_exchange_timer;
	list_add(&connection->active, exchange);
	(void)nghttp2_session_set_stream_user_data(session, frame->hd.stream_id, exchange);
	loop_timer_after_ms(
		exchange->loop, &exchange->timer, server_options(server)->read_timeout_ms);
	return 0;
}

static void refuse(struct exchange *exchange, int status, const char *text) {
	struct h2_connection *connection = exchange->connection;

	server_count_refusal(connection->base.server, REFUSED_MALFORMED);
	exchange_refuse(exchange, status, text);
}

/* Puts a field of the request where it belongs. Returns false if it may not be. */
static bool set_field(struct exchange *exchange, struct str name, struct str value) {
	struct http_request *request = &exchange->request;
	struct str copy;

	if (name.len == 0 || name.ptr[0] != ':') {
		http_headers_add(&request->headers, &exchange->arena, name, value);
		return true;
	}
	copy = arena_copy(&exchange->arena, value);
	if (str_equal(name, STR(":method"))) {
		request->method = copy;
		return http_name_is_token(copy);
	}
	if (str_equal(name, STR(":scheme"))) {
		request->scheme = copy;
		return true;
	}
	if (str_equal(name, STR(":authority"))) {
		request->authority = copy;
		return http_authority_is_valid(copy);
	}
	/* nghttp2 lets nothing through but the four; the method may come after the path. */
	request->target = copy;
	return true;
}

// NOLINTNEXTLINE(readability-function-size): nghttp2's signature
static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
	size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags, void *context) {
	struct h2_connection *connection = context;
	struct exchange *exchange =
		nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);

	(void)flags;
	/* Trailers mean nothing to us. */
	if (!exchange || exchange->is_handled || frame->headers.cat != NGHTTP2_HCAT_REQUEST) {
		return 0;
	}
	exchange->header_bytes += name_len + value_len + H2_HEADER_OVERHEAD;
	if (exchange->header_bytes > server_options(connection->base.server)->header_bytes_max) {
		refuse(exchange, 431, "request header too long");
		return 0;
	}
	struct str field = { (const char *)name, name_len };
	if (!set_field(exchange, field, (struct str){ (const char *)value, value_len })) {
		refuse(exchange, 400, "malformed request: method or authority");
	}
	return 0;
}

static int on_data_chunk(nghttp2_session *session, uint8_t flags, int32_t stream_id,
	const uint8_t *bytes, size_t len, void *context) {
	struct h2_connection *connection = context;
	struct exchange *exchange = nghttp2_session_get_stream_user_data(session, stream_id);
	size_t max = server_options(connection->base.server)->body_bytes_max;

	(void)flags;
	/* What is kept is bounded below, not by the windows. */
	(void)nghttp2_session_consume(session, stream_id, len);
	if (!exchange || exchange->is_handled) {
		return 0;
	}
	if (len > max - exchange->body.len) {
		refuse(exchange, 413, "request body too long");
		return 0;
	}
	buf_append(&exchange->body, bytes, len);
	if (!exchange_charge_body(exchange)) {
		refuse(exchange, 503,
			"too many request bodies at once; send them one after another\n");
	}
	return 0;
}

/* The header is whole: is it a request? */
static void check_head(struct h2_connection *connection, struct exchange *exchange) {
	struct http_request *request = &exchange->request;

	if (str_equal(request->method, STR("CONNECT"))) {
		refuse(exchange, 501, "CONNECT is not served here");
		return;
	}
	if (!http_request_set_target(request, request->target)) {
		refuse(exchange, 400, "malformed request: the target is not a path");
		return;
	}
	struct str host = http_headers_get(&request->headers, STR("host"));
	if (request->authority.len == 0) {
		request->authority = host;
	}
	if (!str_equal_nocase(request->authority, host) && host.len > 0) {
		refuse(exchange, 400, "malformed request: Host is not :authority");
		return;
	}
	uint64_t length = 0;
	if (str_to_u64(http_headers_get(&request->headers, STR("content-length")), &length) &&
		length > server_options(connection->base.server)->body_bytes_max) {
		refuse(exchange, 413, "request body too long");
		return;
	}
	struct str expect = http_headers_get(&request->headers, STR("expect"));
	if (str_equal_nocase(expect, STR("100-continue"))) {
		nghttp2_nv field = h2_field(STR(":status"), STR("100"));

		(void)nghttp2_submit_headers(connection->h2.session, NGHTTP2_FLAG_NONE,
			exchange->stream_id, NULL, &field, 1, NULL);
	}
}

static int on_frame_received(nghttp2_session *session, const nghttp2_frame *frame, void *context) {
	struct h2_connection *connection = context;
	struct exchange *exchange =
		nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
	bool is_last = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;

	connection->got_frame = true;
	if (!h2_count_received(&connection->h2, frame)) {
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	}
	bool is_part = frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA;
	if (!exchange || !is_part) {
		return 0;
	}
	if (exchange->is_handled) {
		exchange->is_request_whole = is_last;
		return 0;
	}
	if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
		check_head(connection, exchange);
	}
	if (is_last && !exchange->is_handled) {
		loop_timer_clear(exchange->loop, &exchange->timer);
		list_remove(&connection->active, exchange);
		list_add(&connection->ready, exchange);
		exchange->is_request_whole = true;
		exchange->request.body = buf_str(&exchange->body);
	}
	return 0;
}

static int on_frame_sent(nghttp2_session *session, const nghttp2_frame *frame, void *context) {
	struct h2_connection *connection = context;
	bool is_part = frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA;
	const struct exchange *exchange =
		nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);

	/* A client that was refused is told not to send the rest. */
	if (exchange && exchange->is_refused && !exchange->is_request_whole && is_part &&
		(frame->hd.flags & NGHTTP2_FLAG_END_STREAM)) {
		reset_stream(connection, frame->hd.stream_id, NGHTTP2_NO_ERROR);
	}
	return h2_count_sent(&connection->h2, frame) ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE;
}

static int on_stream_closed(
	nghttp2_session *session, int32_t stream_id, uint32_t code, void *context) {
	struct h2_connection *connection = context;
	struct exchange *exchange = nghttp2_session_get_stream_user_data(session, stream_id);

	(void)code;
	if (exchange) {
		forget(connection, exchange);
		exchange_drop(exchange);
	}
	return 0;
}

static nghttp2_session_callbacks *make_callbacks(void) {
	nghttp2_session_callbacks *callbacks = NULL;

	CHECK(nghttp2_session_callbacks_new(&callbacks) == 0);
	nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data_chunk);
	nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame_received);
	nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_sent);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_closed);
	return callbacks;
}

static void set_timer(struct h2_connection *connection) {
	const struct http_server_options *options = server_options(connection->base.server);

	connection->was_idle = !connection->active.first;
	if (connection->was_idle) {
		h2_rest(&connection->h2);
	}
	connection->got_frame = false;
	connection->stall_mark = stream_sent_bytes(connection->base.stream);
	loop_timer_after_ms(loop_of(connection), &connection->timer,
		connection->was_idle ? options->idle_timeout_ms : HTTP_STALL_MS);
}

/* Nothing asked for in a long time, or nothing taken: either is the end. */
static void run_timer(struct timer *timer) {
	struct h2_connection *connection = CONTAINER_OF(timer, struct h2_connection, timer);
	struct stream *stream = connection->base.stream;
	struct err err;

	if (stream_pending(stream) > 0 && stream_sent_bytes(stream) == connection->stall_mark) {
		(void)err_set(&err, ERR_TIMEOUT, "the client takes nothing of what is sent");
		server_count_refusal(connection->base.server, REFUSED_STALLED);
		connection->is_closing = true;
		connection->h2.stream = NULL;
		stream_abort(stream, &err);
	} else if (connection->was_idle && !connection->active.first && !connection->got_frame) {
		(void)nghttp2_session_terminate_session(connection->h2.session, NGHTTP2_NO_ERROR);
		close_gently(connection);
	} else {
		set_timer(connection);
	}
}

static void dispatch_ready(struct h2_connection *connection) {
	while (connection->ready.first && !connection->is_closing) {
		struct exchange *exchange = connection->ready.first;

		list_remove(&connection->ready, exchange);
		list_add(&connection->active, exchange);
		exchange_dispatch(exchange);
	}
}

/* The windows may have let much of what was queued go. Callbacks may end any exchange. */
static void tell_drained(struct h2_connection *connection) {
	connection->cursor = connection->active.first;
	while (connection->cursor) {
		struct exchange *exchange = connection->cursor;

		connection->cursor = exchange->next;
		exchange_tell_drained(exchange);
	}
}

static void receive(struct h2_connection *connection, struct str bytes) {
	struct err err = { 0 };

	if (h2_receive(&connection->h2, bytes, &err) < 0) {
		server_count_refusal(connection->base.server,
			err.code == ERR_LIMIT ? REFUSED_FLOOD : REFUSED_MALFORMED);
		close_gently(connection);
		return;
	}
	dispatch_ready(connection);
	flush(connection);
	if (!connection->is_closing) {
		tell_drained(connection);
	}
	if (!connection->is_closing && connection->was_idle && connection->active.first) {
		set_timer(connection);
	}
}

static void on_data(struct stream *stream, struct str bytes) {
	receive(stream_context(stream), bytes);
}

static void on_drain(struct stream *stream) {
	struct h2_connection *connection = stream_context(stream);

	flush(connection);
	if (!connection->is_closing) {
		tell_drained(connection);
	}
}

static void drop_all(struct h2_connection *connection) {
	while (connection->ready.first) {
		struct exchange *exchange = connection->ready.first;

		forget(connection, exchange);
		exchange_drop(exchange);
	}
	while (connection->active.first) {
		struct exchange *exchange = connection->active.first;

		forget(connection, exchange);
		exchange_drop(exchange);
	}
}

static void on_close(struct stream *stream, const struct err *reason) {
	struct h2_connection *connection = stream_context(stream);

	loop_timer_clear(stream_loop(stream), &connection->timer);
	connection->is_closing = true;
	connection->h2.stream = NULL;
	drop_all(connection);
	if (connection->base.closed) {
		connection->base.closed(connection->base.closed_context, reason);
	}
	h2_deinit(&connection->h2);
	connection_remove(&connection->base);
	free(connection);
}

static void shut(struct connection *base) {
	struct h2_connection *connection = CONTAINER_OF(base, struct h2_connection, base);

	if (!connection->is_closing) {
		(void)nghttp2_session_terminate_session(connection->h2.session, NGHTTP2_NO_ERROR);
		close_gently(connection);
	}
}

struct connection *server_h2_start(
	struct http_server *server, struct stream *stream, struct str bytes) {
	static const struct stream_ops ops = {
		.on_data = on_data,
		.on_drain = on_drain,
		.on_close = on_close,
	};
	struct h2_connection *connection = MEMORY_NEW(struct h2_connection, 1);
	nghttp2_session_callbacks *callbacks = make_callbacks();
	struct h2_options options = {
		.is_server = true,
		.streams_max = server_options(server)->streams_max,
		.header_bytes_max = server_options(server)->header_bytes_max,
		.callbacks = callbacks,
		.context = connection,
	};

	connection_add(&connection->base, server, stream, shut);
	connection->timer.run = run_timer;
	stream_set_ops(stream, &ops, connection);
	h2_init(&connection->h2, stream, &options);
	nghttp2_session_callbacks_del(callbacks);
	set_timer(connection);
	if (bytes.len > 0) {
		receive(connection, bytes);
	} else {
		flush(connection);
	}
	return &connection->base;
}
