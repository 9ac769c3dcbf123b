/*
 * For tests: a server that answers in several ways, and a session of ours linked to it, on one loop
 * with a clock that only the test moves.
 */
#ifndef HTTP_TEST_LINKED_H
#define HTTP_TEST_LINKED_H

#include "http/h2.h"
#include "http/session.h"
#include "http/test_server.h"

#define MANY 1000

/* The server's side. */
struct served {
	struct exchange *held[MANY];
	size_t held_count;
	size_t requests;
	size_t aborts;
	uint64_t written;
	uint64_t to_write;
	struct exchange *writer;
	char identity[64];
};

/* One call's outcome. */
struct outcome {
	int status;
	struct buf body;
	uint64_t body_bytes;
	bool keeps_body;
	bool takes; /* What on_data returns. */
	bool is_over;
	struct err failure; /* code 0: none. */
	uint64_t received_bytes;
	char kind[32];
	char length[32];
};

/* A session towards the test server. */
struct linked {
	struct test_server *test;
	struct stream *stream;
	struct http_session *session;
	struct http_session_options options;
	bool is_closed;
	bool has_reason;
	struct err reason;
	int64_t rtt_ns;
};

static inline void count_abort(void *context) {
	struct served *served = context;
	served->aborts++;
}

static inline void write_more(void *context) {
	static const char piece[16384] = { 'x' };
	struct served *served = context;
	size_t queued = 0;

	while (served->writer && served->written < served->to_write && queued <= STREAM_LOW_WATER) {
		queued = exchange_write(served->writer, (struct str){ piece, sizeof(piece) });
		served->written += sizeof(piece);
	}
	if (served->writer && served->written >= served->to_write) {
		exchange_end(served->writer);
		served->writer = NULL;
	}
}

static inline void handle(void *context, struct exchange *exchange) {
	struct served *served = context;
	const struct http_request *request = exchange_request(exchange);

	served->requests++;
	if (str_equal(request->path, STR("/hold"))) {
		assert_true(served->held_count < MANY);
		served->held[served->held_count++] = exchange;
		exchange_on_abort(exchange, count_abort, served);
	} else if (str_equal(request->path, STR("/big"))) {
		served->writer = exchange;
		exchange_on_abort(exchange, count_abort, served);
		exchange_on_drain(exchange, write_more, served);
		exchange_begin(exchange, 200, STR_EMPTY);
		write_more(served);
	} else if (str_equal(request->path, STR("/fail"))) {
		exchange_begin(exchange, 200, STR_EMPTY);
		(void)exchange_write(exchange, STR("half"));
		exchange_fail(exchange);
	} else {
		struct str kind = http_headers_get(&request->headers, STR("x-kind"));
		struct str text = arena_printf(exchange_arena(exchange), "%.*s %.*s [%.*s] %.*s",
			STR_ARG(request->method), STR_ARG(request->target), STR_ARG(request->body),
			STR_ARG(request->authority));

		exchange_header(exchange, STR("x-kind"), kind);
		exchange_respond(exchange, 203, STR("text/plain"), text);
	}
}

static inline void open_server(
	struct test_server *test, struct served *served, size_t streams_max) {
	struct http_server_options options = {
		.handler = handle,
		.context = served,
		.streams_max = streams_max,
		.body_bytes_max = 100000,
		.header_bytes_max = 10000,
		.read_timeout_ms = 5000,
		.idle_timeout_ms = 20000,
	};

	*served = (struct served){ 0 };
	test_server_open(test, &options);
}

static inline void on_session_close(struct http_session *session, const struct err *reason) {
	struct linked *linked = http_session_context(session);

	assert_int_equal(http_session_calls(session), 0);
	linked->session = NULL;
	linked->is_closed = true;
	linked->has_reason = reason != NULL;
	if (reason) {
		linked->reason = *reason;
	}
}

static inline void on_rtt(struct http_session *session, int64_t rtt_ns) {
	struct linked *linked = http_session_context(session);
	linked->rtt_ns = rtt_ns;
}

static inline void on_connected(struct stream *stream) {
	struct linked *linked = stream_context(stream);

	linked->stream = NULL;
	linked->session = http_session_new(stream, &linked->options);
}

static inline void on_connect_failed(struct stream *stream, const struct err *reason) {
	(void)stream;
	fail_msg("%s", reason ? reason->text : "closed");
}

static inline void swallow(struct stream *stream, struct str bytes) {
	(void)stream;
	(void)bytes;
}

static inline void link_with(
	struct linked *linked, struct test_server *test, uint16_t port, size_t window_bytes_max) {
	static const struct stream_ops ops = {
		.on_open = on_connected,
		.on_data = swallow,
		.on_close = on_connect_failed,
	};
	struct stream_options options = { .ops = &ops, .context = linked };

	*linked = (struct linked){ .test = test };
	linked->options = (struct http_session_options){
		.context = linked,
		.on_close = on_session_close,
		.on_rtt = on_rtt,
		.window_bytes_max = window_bytes_max,
	};
	linked->rtt_ns = -1;
	linked->stream = stream_connect(test->loop, "127.0.0.1", port, &options);
	TEST_UNTIL(test, linked->session);
}

static inline void link_to(struct linked *linked, struct test_server *test, uint16_t port) {
	link_with(linked, test, port, 0);
}

static inline void unlink_from(struct linked *linked) {
	if (linked->session) {
		http_session_abort(linked->session);
		TEST_UNTIL(linked->test, linked->is_closed);
	}
}

static inline void on_head(struct http_call *call, int status, const struct http_headers *headers) {
	struct outcome *outcome = http_call_context(call);
	struct str kind = http_headers_get(headers, STR("x-kind"));

	outcome->status = status;
	struct str length = http_headers_get(headers, STR("content-length"));

	(void)snprintf(outcome->length, sizeof(outcome->length), "%.*s", STR_ARG(length));
	(void)snprintf(outcome->kind, sizeof(outcome->kind), "%.*s", STR_ARG(kind));
}

static inline bool on_data(struct http_call *call, struct str bytes) {
	struct outcome *outcome = http_call_context(call);

	outcome->body_bytes += bytes.len;
	if (outcome->keeps_body) {
		buf_add_str(&outcome->body, bytes);
	}
	return outcome->takes;
}

static inline void on_end(struct http_call *call, const struct err *failure) {
	struct outcome *outcome = http_call_context(call);

	assert_false(outcome->is_over);
	outcome->is_over = true;
	outcome->received_bytes = http_call_received_bytes(call);
	if (failure) {
		outcome->failure = *failure;
	}
}

static const struct http_call_ops call_ops = {
	.on_head = on_head,
	.on_data = on_data,
	.on_end = on_end,
};

static inline int try_call(struct linked *linked, const char *path, struct str body,
	int64_t timeout_ms, struct outcome *outcome, struct http_call **call, struct err *err) {
	struct http_request request = {
		.method = body.len > 0 ? STR("POST") : STR("GET"),
		.scheme = STR("http"),
		.authority = STR("prometheus"),
		.target = str_of(path),
		.body = body,
	};

	*outcome = (struct outcome){ .keeps_body = true, .takes = true };
	return http_session_request(
		linked->session, &request, timeout_ms, &call_ops, outcome, call, err);
}

static inline struct http_call *start_call(
	struct linked *linked, const char *path, struct outcome *outcome) {
	struct http_call *call = NULL;
	struct err err = { 0 };

	assert_ok(try_call(linked, path, STR_EMPTY, 0, outcome, &call, &err), err);
	return call;
}

static inline void ignore_drain(struct stream *stream) {
	(void)stream;
}

static inline void ignore_close(struct stream *stream, const struct err *reason) {
	(void)stream;
	(void)reason;
}

#endif
