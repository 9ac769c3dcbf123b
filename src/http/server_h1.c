/*
 * An HTTP/1.1 connection: one exchange at a time, what comes behind it waits in 'in'.
 *
 * Reading goes on while an answer is made, because only a reader learns that the client is gone; it
 * stops when a pipelining client has sent ahead more than PIPELINE_BYTES_MAX. One timer serves all
 * waits, which exclude each other: for a request to begin, for the rest of it, for the client to
 * take its answer.
 */
#include "base/memory.h"
#include "http/connection.h"
#include "http/h1.h"

#include <stdlib.h>

#define PIPELINE_BYTES_MAX ((size_t)64 * 1024)
#define PIECE_BYTES ((size_t)64 * 1024)

static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

enum wait {
	WAIT_NONE,
	WAIT_IDLE,
	WAIT_REQUEST,
	WAIT_STALL
};

struct h1_connection {
	struct connection base;
	struct h1_reader reader;
	struct exchange *exchange; /* Being read or answered. */
	struct buf in;
	struct buf out;
	struct timer timer;
	enum wait wait;
	uint64_t stall_mark; /* Bytes sent when the stall timer was set. */
	bool may_be_h2;
	bool is_pumping;
	bool is_paused;
	bool is_closing; /* Nothing more is read or answered. */
	bool keep_alive; /* After the exchange under way. */
	bool continue_sent;
};

static void pump(struct h1_connection *connection);

static struct loop *loop_of(struct h1_connection *connection) {
	return stream_loop(connection->base.stream);
}

static void wait_for(struct h1_connection *connection, enum wait wait, int64_t ms) {
	connection->wait = wait;
	if (wait == WAIT_NONE) {
		loop_timer_clear(loop_of(connection), &connection->timer);
	} else {
		loop_timer_after_ms(loop_of(connection), &connection->timer, ms);
	}
}

static void wait_for_client(struct h1_connection *connection) {
	if (connection->wait != WAIT_STALL) {
		connection->stall_mark = stream_sent_bytes(connection->base.stream);
		wait_for(connection, WAIT_STALL, HTTP_STALL_MS);
	}
}

/* Sends what is queued and ends the connection. on_close comes later. */
static void close_gently(struct h1_connection *connection) {
	connection->is_closing = true;
	wait_for(connection, WAIT_NONE, 0);
	stream_close(connection->base.stream);
}

static void cut(struct h1_connection *connection, const struct err *reason) {
	connection->is_closing = true;
	wait_for(connection, WAIT_NONE, 0);
	stream_abort(connection->base.stream, reason);
}

static void flush_out(struct h1_connection *connection) {
	if (connection->out.len > 0) {
		stream_write(connection->base.stream, connection->out.ptr, connection->out.len);
		buf_reset(&connection->out);
	}
}

static enum h1_framing framing_of(const struct exchange *exchange, bool is_http10) {
	if (exchange->status == 204 || exchange->status == 304) {
		return H1_FRAMING_NONE;
	}
	if (exchange->has_length) {
		return H1_FRAMING_LENGTH;
	}
	return is_http10 ? H1_FRAMING_CLOSE : H1_FRAMING_CHUNKED;
}

static void put_head(struct h1_connection *connection, struct exchange *exchange) {
	struct h1_answer answer = {
		.status = exchange->status,
		.is_http10 = connection->reader.is_http10,
		.framing = framing_of(exchange, connection->reader.is_http10),
		.content_length = exchange_queued(exchange, SIZE_MAX).len,
		.content_type = exchange->content_type,
		.date = server_date(connection->base.server),
		.headers = &exchange->headers,
	};

	if (answer.framing == H1_FRAMING_CLOSE) {
		connection->keep_alive = false;
	}
	answer.keep_alive = connection->keep_alive;
	h1_write_head(&answer, &connection->out);
	exchange->is_head_sent = true;
}

/* Moves body bytes to the stream while it takes them well. */
static void put_body(struct h1_connection *connection, struct exchange *exchange) {
	bool is_chunked = framing_of(exchange, connection->reader.is_http10) == H1_FRAMING_CHUNKED;

	if (exchange_is_bodiless(exchange)) {
		exchange_take(exchange, exchange_queued(exchange, SIZE_MAX).len);
		return;
	}
	/* Above the low water mark the stream's on_drain is sure to come. */
	while (stream_pending(connection->base.stream) <= STREAM_LOW_WATER) {
		struct str piece = exchange_queued(exchange, PIECE_BYTES);
		if (piece.len == 0) {
			break;
		}
		if (is_chunked) {
			h1_write_chunk(piece, &connection->out);
		} else {
			buf_add_str(&connection->out, piece);
		}
		exchange_take(exchange, piece.len);
		flush_out(connection);
	}
	if (is_chunked && exchange_is_done(exchange)) {
		h1_write_last_chunk(&connection->out);
	}
}

/* The answer is out: on to the next request, or to the end. */
static void finish(struct h1_connection *connection, struct exchange *exchange) {
	connection->exchange = NULL;
	exchange_drop(exchange);
	if (!connection->keep_alive) {
		close_gently(connection);
	} else {
		wait_for(connection, WAIT_IDLE,
			server_options(connection->base.server)->idle_timeout_ms);
	}
}

/* Sends what the exchange has ready. Returns whether it is through. */
static bool send_ready(struct h1_connection *connection) {
	struct exchange *exchange = connection->exchange;

	if (!exchange->has_head) {
		return false;
	}
	if (!exchange->is_head_sent) {
		put_head(connection, exchange);
	}
	put_body(connection, exchange);
	flush_out(connection);
	if (exchange_is_done(exchange)) {
		finish(connection, exchange);
		return true;
	}
	if (stream_pending(connection->base.stream) > 0) {
		wait_for_client(connection);
	}
	return false;
}

static void wake(struct exchange *exchange) {
	struct h1_connection *connection = exchange->connection;

	if (send_ready(connection)) {
		pump(connection);
	}
}

static void fail(struct exchange *exchange) {
	struct h1_connection *connection = exchange->connection;

	connection->exchange = NULL;
	cut(connection, NULL);
}

static const struct exchange_transport transport = { .wake = wake, .fail = fail };

static void refuse(
	struct h1_connection *connection, int status, enum server_refusal why, const char *text) {
	server_count_refusal(connection->base.server, why);
	connection->keep_alive = false;
	exchange_refuse(connection->exchange, status, text);
}

static void begin_exchange(struct h1_connection *connection) {
	const struct http_server_options *options = server_options(connection->base.server);
	struct exchange *exchange = exchange_new(
		connection->base.server, &transport, connection, connection->base.stream);

	connection->exchange = exchange;
	connection->continue_sent = false;
	h1_reader_init(&connection->reader, &exchange->arena, &exchange->request, &exchange->body,
		options->header_bytes_max, options->body_bytes_max);
	wait_for(connection, WAIT_REQUEST, options->read_timeout_ms);
}

/* The client holds its body back until it knows that somebody wants it. */
static void answer_expectation(struct h1_connection *connection) {
	if (connection->reader.expects_continue && !connection->continue_sent &&
		connection->in.len == 0) {
		static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";

		stream_write(connection->base.stream, text, sizeof(text) - 1);
	}
	connection->continue_sent = true;
}

static void dispatch(struct h1_connection *connection) {
	connection->keep_alive = connection->reader.keep_alive;
	wait_for(connection, WAIT_NONE, 0);
	exchange_dispatch(connection->exchange);
}

/* Reads on in the request under way. Returns whether there is more to do with what is in. */
static bool read_request(struct h1_connection *connection) {
	struct err err = { 0 };
	size_t used = 0;
	int event = h1_read(&connection->reader, buf_str(&connection->in), &used, &err);

	buf_consume(&connection->in, used);
	if (event < 0) {
		refuse(connection, connection->reader.status, REFUSED_MALFORMED, err.text);
		return false;
	}
	if (!exchange_charge_body(connection->exchange)) {
		refuse(connection, 503, REFUSED_MALFORMED,
			"too many request bodies at once; send them one after another\n");
		return false;
	}
	if (event == H1_HAS_HEAD) {
		answer_expectation(connection);
	}
	if (event == H1_HAS_ALL) {
		dispatch(connection);
	}
	return event != H1_MORE;
}

/* Serves what is in 'in', one request after the other. */
static void pump(struct h1_connection *connection) {
	/* A handler that answers at once comes back here through wake: the outer call goes on. */
	if (connection->is_pumping) {
		return;
	}
	connection->is_pumping = true;
	while (!connection->is_closing && connection->in.len > 0) {
		if (!connection->exchange) {
			begin_exchange(connection);
		}
		if (connection->exchange->is_handled || !read_request(connection)) {
			break;
		}
	}
	connection->is_pumping = false;
	if (connection->is_paused && !connection->is_closing &&
		connection->in.len < PIPELINE_BYTES_MAX) {
		connection->is_paused = false;
		stream_resume(connection->base.stream);
	}
}

static void connection_free(struct h1_connection *connection) {
	connection_remove(&connection->base);
	buf_deinit(&connection->in);
	buf_deinit(&connection->out);
	free(connection);
}

/* Hands the stream to HTTP/2. The connection is gone. */
static void become_h2(struct h1_connection *connection) {
	struct http_server *server = server_ref(connection->base.server);
	struct stream *stream = connection->base.stream;
	struct buf in = connection->in;

	wait_for(connection, WAIT_NONE, 0);
	connection->in = (struct buf){ 0 };
	connection_free(connection);
	(void)server_h2_start(server, stream, buf_str(&in));
	server_unref(server);
	buf_deinit(&in);
}

static void on_data(struct stream *stream, struct str bytes) {
	struct h1_connection *connection = stream_context(stream);
	struct str expected = { preface, sizeof(preface) - 1 };

	buf_add_str(&connection->in, bytes);
	if (connection->may_be_h2) {
		struct str seen = str_first(buf_str(&connection->in), expected.len);

		if (str_equal(seen, expected)) {
			become_h2(connection);
			return;
		}
		connection->may_be_h2 = str_starts(expected, seen);
		if (connection->may_be_h2) {
			return;
		}
	}
	if (connection->exchange && connection->exchange->is_handled &&
		connection->in.len >= PIPELINE_BYTES_MAX) {
		connection->is_paused = true;
		stream_pause(stream);
	}
	pump(connection);
}

static void on_drain(struct stream *stream) {
	struct h1_connection *connection = stream_context(stream);
	struct exchange *exchange = connection->exchange;

	if (!exchange) {
		return;
	}
	if (send_ready(connection)) {
		pump(connection);
	} else {
		exchange_tell_drained(exchange);
	}
}

static void on_close(struct stream *stream, const struct err *reason) {
	struct h1_connection *connection = stream_context(stream);

	(void)reason;
	wait_for(connection, WAIT_NONE, 0);
	if (connection->exchange) {
		exchange_drop(connection->exchange);
	}
	connection_free(connection);
}

/* The client takes its time: fine while it takes anything at all. */
static void check_stall(struct h1_connection *connection) {
	struct stream *stream = connection->base.stream;
	uint64_t sent = stream_sent_bytes(stream);

	if (stream_pending(stream) == 0) {
		connection->wait = WAIT_NONE;
	} else if (sent > connection->stall_mark) {
		connection->stall_mark = sent;
		wait_for(connection, WAIT_STALL, HTTP_STALL_MS);
	} else {
		struct err err;

		(void)err_set(&err, ERR_TIMEOUT, "the client took nothing of its answer for %d s",
			HTTP_STALL_MS / 1000);
		server_count_refusal(connection->base.server, REFUSED_STALLED);
		cut(connection, &err);
	}
}

static void run_timer(struct timer *timer) {
	struct h1_connection *connection = CONTAINER_OF(timer, struct h1_connection, timer);

	switch (connection->wait) {
	case WAIT_IDLE:
		close_gently(connection);
		break;
	case WAIT_REQUEST:
		refuse(connection, 408, REFUSED_TIMEOUT, "the request took too long to arrive");
		break;
	case WAIT_STALL:
		check_stall(connection);
		break;
	case WAIT_NONE:
		break;
	}
}

static void shut(struct connection *base) {
	struct h1_connection *connection = CONTAINER_OF(base, struct h1_connection, base);

	if (connection->is_closing) {
		return;
	}
	if (connection->exchange) {
		cut(connection, NULL);
	} else {
		close_gently(connection);
	}
}

void server_h1_start(struct http_server *server, struct stream *stream, bool may_be_h2) {
	static const struct stream_ops ops = {
		.on_data = on_data,
		.on_drain = on_drain,
		.on_close = on_close,
	};
	struct h1_connection *connection = MEMORY_NEW(struct h1_connection, 1);

	connection_add(&connection->base, server, stream, shut);
	connection->may_be_h2 = may_be_h2;
	connection->timer.run = run_timer;
	stream_set_ops(stream, &ops, connection);
	wait_for(connection, WAIT_IDLE, server_options(server)->idle_timeout_ms);
}
