#include "http/session.h"

#include "http/h2.h"
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

static void count_abort(void *context) {
	struct served *served = context;
	served->aborts++;
}

static void write_more(void *context) {
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

static void handle(void *context, struct exchange *exchange) {
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

static void open_server(struct test_server *test, struct served *served, size_t streams_max) {
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

static void on_session_close(struct http_session *session, const struct err *reason) {
	struct linked *linked = http_session_context(session);

	assert_int_equal(http_session_calls(session), 0);
	linked->session = NULL;
	linked->is_closed = true;
	linked->has_reason = reason != NULL;
	if (reason) {
		linked->reason = *reason;
	}
}

static void on_rtt(struct http_session *session, int64_t rtt_ns) {
	struct linked *linked = http_session_context(session);
	linked->rtt_ns = rtt_ns;
}

static void on_connected(struct stream *stream) {
	struct linked *linked = stream_context(stream);

	linked->stream = NULL;
	linked->session = http_session_new(stream, &linked->options);
}

static void on_connect_failed(struct stream *stream, const struct err *reason) {
	(void)stream;
	fail_msg("%s", reason ? reason->text : "closed");
}

static void swallow(struct stream *stream, struct str bytes) {
	(void)stream;
	(void)bytes;
}

static void link_to(struct linked *linked, struct test_server *test, uint16_t port) {
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
	};
	linked->rtt_ns = -1;
	linked->stream = stream_connect(test->loop, "127.0.0.1", port, &options);
	TEST_UNTIL(test, linked->session);
}

static void unlink_from(struct linked *linked) {
	if (linked->session) {
		http_session_abort(linked->session);
		TEST_UNTIL(linked->test, linked->is_closed);
	}
}

static void on_head(struct http_call *call, int status, const struct http_headers *headers) {
	struct outcome *outcome = http_call_context(call);
	struct str kind = http_headers_get(headers, STR("x-kind"));

	outcome->status = status;
	struct str length = http_headers_get(headers, STR("content-length"));

	(void)snprintf(outcome->length, sizeof(outcome->length), "%.*s", STR_ARG(length));
	(void)snprintf(outcome->kind, sizeof(outcome->kind), "%.*s", STR_ARG(kind));
}

static bool on_data(struct http_call *call, struct str bytes) {
	struct outcome *outcome = http_call_context(call);

	outcome->body_bytes += bytes.len;
	if (outcome->keeps_body) {
		buf_add_str(&outcome->body, bytes);
	}
	return outcome->takes;
}

static void on_end(struct http_call *call, const struct err *failure) {
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

static int try_call(struct linked *linked, const char *path, struct str body, int64_t timeout_ms,
	struct outcome *outcome, struct http_call **call, struct err *err) {
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

static struct http_call *start_call(
	struct linked *linked, const char *path, struct outcome *outcome) {
	struct http_call *call = NULL;
	struct err err = { 0 };

	assert_ok(try_call(linked, path, STR_EMPTY, 0, outcome, &call, &err), err);
	return call;
}

static void carries_a_request_and_its_answer(void **state) {
	AUTO(arena_deinit) struct arena arena = { 0 };
	struct http_request request = {
		.method = STR("POST"),
		.scheme = STR("http"),
		.authority = STR("prometheus:9090"),
		.target = STR("/api/v1/query?x=1"),
		.body = STR("query=up"),
	};
	struct outcome outcome = { .keeps_body = true, .takes = true };
	struct http_call *call = NULL;
	struct err err = { 0 };
	struct test_server test;
	struct served served;
	struct linked linked;

	(void)state;
	open_server(&test, &served, 0);
	link_to(&linked, &test, http_server_port(test.server));
	http_headers_add(&request.headers, &arena, STR("X-Kind"), STR("test"));
	http_headers_add(&request.headers, &arena, STR("Connection"), STR("close"));
	assert_ok(
		http_session_request(linked.session, &request, 0, &call_ops, &outcome, &call, &err),
		err);
	TEST_UNTIL(&test, outcome.is_over);
	assert_int_equal(outcome.failure.code, 0);
	assert_int_equal(outcome.status, 203);
	assert_string_equal(outcome.kind, "test");
	assert_string_equal(
		buf_text(&outcome.body), "POST /api/v1/query?x=1 [query=up] prometheus:9090");
	/* Two frame headers, the body, and some bytes of header fields. */
	assert_true(outcome.received_bytes > 18 + outcome.body.len);
	assert_true(outcome.received_bytes < http_session_received_bytes(linked.session));
	buf_deinit(&outcome.body);
	unlink_from(&linked);
	test_server_close(&test);
}

static void head_tells_the_length_of_what_it_leaves_out(void **state) {
	struct http_request request = {
		.method = STR("HEAD"),
		.scheme = STR("http"),
		.authority = STR("a"),
		.target = STR("/"),
	};
	struct outcome outcome = { .takes = true };
	struct http_call *call = NULL;
	struct err err = { 0 };
	struct test_server test;
	static struct served served;
	struct linked linked;

	(void)state;
	open_server(&test, &served, 0);
	link_to(&linked, &test, http_server_port(test.server));
	assert_ok(
		http_session_request(linked.session, &request, 0, &call_ops, &outcome, &call, &err),
		err);
	TEST_UNTIL(&test, outcome.is_over);
	assert_int_equal(outcome.failure.code, 0);
	assert_string_equal(outcome.length, "11");
	assert_int_equal(outcome.body_bytes, 0);
	unlink_from(&linked);
	test_server_close(&test);
}

static void carries_a_thousand_requests_at_once(void **state) {
	static struct outcome outcomes[MANY];
	struct test_server test;
	static struct served served;
	struct linked linked;
	struct http_call *call = NULL;
	struct outcome one_more;
	struct err err = { 0 };

	(void)state;
	open_server(&test, &served, MANY);
	link_to(&linked, &test, http_server_port(test.server));
	for (size_t i = 0; i < MANY; i++) {
		(void)start_call(&linked, "/hold", &outcomes[i]);
	}
	assert_int_equal(try_call(&linked, "/", STR_EMPTY, 0, &one_more, &call, &err), ERR_LIMIT);
	TEST_UNTIL(&test, served.held_count == MANY);
	for (size_t i = MANY; i > 0; i--) {
		exchange_respond_text(served.held[i - 1], 200, "ok");
	}
	TEST_UNTIL(&test, http_session_calls(linked.session) == 0);
	for (size_t i = 0; i < MANY; i++) {
		assert_int_equal(outcomes[i].failure.code, 0);
		assert_string_equal(buf_text(&outcomes[i].body), "ok");
		buf_deinit(&outcomes[i].body);
	}
	unlink_from(&linked);
	test_server_close(&test);
}

static void requests_beyond_the_server_s_limit_wait(void **state) {
	struct outcome outcomes[10];
	struct test_server test;
	static struct served served;
	struct linked linked;

	(void)state;
	open_server(&test, &served, 3);
	link_to(&linked, &test, http_server_port(test.server));
	(void)start_call(&linked, "/", &outcomes[0]);
	TEST_UNTIL(&test, outcomes[0].is_over);
	buf_deinit(&outcomes[0].body);
	for (size_t i = 0; i < 10; i++) {
		(void)start_call(&linked, "/hold", &outcomes[i]);
	}
	for (size_t i = 0; i < 10; i++) {
		TEST_UNTIL(&test, served.held_count > i);
		assert_true(served.held_count <= i + 3);
		exchange_respond_text(served.held[i], 200, "ok");
	}
	TEST_UNTIL(&test, http_session_calls(linked.session) == 0);
	for (size_t i = 0; i < 10; i++) {
		assert_int_equal(outcomes[i].failure.code, 0);
		buf_deinit(&outcomes[i].body);
	}
	unlink_from(&linked);
	test_server_close(&test);
}

static void a_reader_that_stops_holds_up_only_its_own_call(void **state) {
	struct test_server test;
	static struct served served;
	struct linked linked;
	struct outcome big;
	struct outcome small;

	(void)state;
	open_server(&test, &served, 0);
	link_to(&linked, &test, http_server_port(test.server));
	served.to_write = UINT64_C(32) << 20;
	struct http_call *call = start_call(&linked, "/big", &big);
	big.keeps_body = false;
	big.takes = false;
	TEST_UNTIL(&test, big.body_bytes >= H2_STREAM_WINDOW);
	for (int i = 0; i < 100; i++) {
		loop_run_once(test.loop);
	}
	assert_int_equal(big.body_bytes, H2_STREAM_WINDOW);
	assert_true(served.written < H2_STREAM_WINDOW + 4 * STREAM_LOW_WATER);
	(void)start_call(&linked, "/small", &small);
	TEST_UNTIL(&test, small.is_over);
	assert_int_equal(small.failure.code, 0);
	buf_deinit(&small.body);
	big.takes = true;
	http_call_resume(call);
	TEST_UNTIL(&test, big.is_over);
	assert_int_equal(big.failure.code, 0);
	assert_int_equal(big.body_bytes, served.to_write);
	unlink_from(&linked);
	test_server_close(&test);
}

static void a_window_that_never_opens_ends_the_answer(void **state) {
	struct test_server test;
	static struct served served;
	struct linked linked;
	struct outcome big;

	(void)state;
	open_server(&test, &served, 0);
	link_to(&linked, &test, http_server_port(test.server));
	served.to_write = UINT64_C(32) << 20;
	(void)start_call(&linked, "/big", &big);
	big.keeps_body = false;
	big.takes = false;
	TEST_UNTIL(&test, big.body_bytes >= H2_STREAM_WINDOW);
	/* Pings go on meanwhile, so that only the stalled answer ends. */
	for (int i = 0; i < 30 && served.aborts == 0; i++) {
		test_advance(&test, 4900);
		for (int j = 0; j < 10; j++) {
			loop_run_once(test.loop);
		}
	}
	assert_int_equal(served.aborts, 1);
	exchange_fail(served.writer);
	TEST_UNTIL(&test, big.is_over);
	assert_int_equal(big.failure.code, ERR_CLOSED);
	assert_non_null(linked.session);
	unlink_from(&linked);
	test_server_close(&test);
}

static void canceling_tells_the_handler(void **state) {
	struct test_server test;
	static struct served served;
	struct linked linked;
	struct outcome outcome;

	(void)state;
	open_server(&test, &served, 0);
	link_to(&linked, &test, http_server_port(test.server));
	struct http_call *call = start_call(&linked, "/hold", &outcome);
	TEST_UNTIL(&test, served.held_count == 1);
	http_call_cancel(call);
	assert_int_equal(http_session_calls(linked.session), 0);
	TEST_UNTIL(&test, served.aborts == 1);
	assert_true(exchange_is_aborted(served.held[0]));
	exchange_respond_text(served.held[0], 200, "nobody");
	assert_false(outcome.is_over);
	unlink_from(&linked);
	test_server_close(&test);
}

static void calls_end_at_their_time(void **state) {
	struct test_server test;
	static struct served served;
	struct linked linked;
	struct outcome outcome;
	struct http_call *call = NULL;
	struct err err = { 0 };

	(void)state;
	open_server(&test, &served, 0);
	link_to(&linked, &test, http_server_port(test.server));
	assert_ok(try_call(&linked, "/hold", STR_EMPTY, 1500, &outcome, &call, &err), err);
	TEST_UNTIL(&test, served.held_count == 1);
	test_advance(&test, 1499);
	assert_false(outcome.is_over);
	test_advance(&test, 1);
	TEST_UNTIL(&test, outcome.is_over);
	assert_int_equal(outcome.failure.code, ERR_TIMEOUT);
	TEST_UNTIL(&test, served.aborts == 1);
	exchange_respond_text(served.held[0], 200, "nobody");
	unlink_from(&linked);
	test_server_close(&test);
}

static void an_answer_that_breaks_off_is_a_failure(void **state) {
	struct test_server test;
	static struct served served;
	struct linked linked;
	struct outcome outcome;

	(void)state;
	open_server(&test, &served, 0);
	link_to(&linked, &test, http_server_port(test.server));
	(void)start_call(&linked, "/fail", &outcome);
	TEST_UNTIL(&test, outcome.is_over);
	assert_int_equal(outcome.failure.code, ERR_CLOSED);
	assert_non_null(linked.session);
	buf_deinit(&outcome.body);
	unlink_from(&linked);
	test_server_close(&test);
}

static void closing_lets_calls_finish(void **state) {
	struct test_server test;
	static struct served served;
	struct linked linked;
	struct outcome outcome;
	struct outcome late;
	struct http_call *call = NULL;
	struct err err = { 0 };

	(void)state;
	open_server(&test, &served, 0);
	link_to(&linked, &test, http_server_port(test.server));
	(void)start_call(&linked, "/hold", &outcome);
	TEST_UNTIL(&test, served.held_count == 1);
	http_session_close(linked.session);
	assert_int_equal(try_call(&linked, "/", STR_EMPTY, 0, &late, &call, &err), ERR_CLOSED);
	loop_run_once(test.loop);
	assert_false(outcome.is_over);
	exchange_respond_text(served.held[0], 200, "in time");
	TEST_UNTIL(&test, linked.is_closed);
	assert_int_equal(outcome.failure.code, 0);
	assert_string_equal(buf_text(&outcome.body), "in time");
	assert_false(linked.has_reason);
	buf_deinit(&outcome.body);
	test_server_close(&test);
}

static void aborting_ends_calls_at_once(void **state) {
	struct test_server test;
	static struct served served;
	struct linked linked;
	struct outcome outcome;

	(void)state;
	open_server(&test, &served, 0);
	link_to(&linked, &test, http_server_port(test.server));
	(void)start_call(&linked, "/hold", &outcome);
	TEST_UNTIL(&test, served.held_count == 1);
	http_session_abort(linked.session);
	assert_true(outcome.is_over);
	assert_int_equal(outcome.failure.code, ERR_CLOSED);
	TEST_UNTIL(&test, linked.is_closed && served.aborts == 1);
	exchange_fail(served.held[0]);
	test_server_close(&test);
}

static void a_server_that_closes_says_goodbye(void **state) {
	struct test_server test;
	static struct served served;
	struct linked linked;
	struct outcome outcome;

	(void)state;
	open_server(&test, &served, 0);
	link_to(&linked, &test, http_server_port(test.server));
	(void)start_call(&linked, "/hold", &outcome);
	TEST_UNTIL(&test, served.held_count == 1);
	http_server_close(test.server);
	test.server = NULL;
	TEST_UNTIL(&test, linked.is_closed && served.aborts == 1);
	assert_int_equal(outcome.failure.code, ERR_CLOSED);
	exchange_fail(served.held[0]);
	test_server_close(&test);
}

static void refuses_bodies_and_headers_that_are_too_long(void **state) {
	AUTO(arena_deinit) struct arena arena = { 0 };
	static char body[150000];
	static char value[12000];
	struct http_request request = {
		.method = STR("GET"),
		.scheme = STR("http"),
		.authority = STR("a"),
		.target = STR("/"),
	};
	struct test_server test;
	static struct served served;
	struct linked linked;
	struct outcome outcome;
	struct http_call *call = NULL;
	struct err err = { 0 };

	(void)state;
	open_server(&test, &served, 0);
	link_to(&linked, &test, http_server_port(test.server));
	assert_ok(try_call(&linked, "/", (struct str){ body, sizeof(body) }, 0, &outcome, &call,
			  &err),
		err);
	TEST_UNTIL(&test, outcome.is_over);
	assert_int_equal(outcome.status, 413);
	buf_deinit(&outcome.body);

	memset(value, 'v', sizeof(value));
	http_headers_add(&request.headers, &arena, STR("x"), (struct str){ value, sizeof(value) });
	outcome = (struct outcome){ .keeps_body = true, .takes = true };
	assert_ok(
		http_session_request(linked.session, &request, 0, &call_ops, &outcome, &call, &err),
		err);
	TEST_UNTIL(&test, outcome.is_over);
	assert_int_equal(outcome.status, 431);
	buf_deinit(&outcome.body);
	assert_int_equal(served.requests, 0);
	unlink_from(&linked);
	test_server_close(&test);
}

static void pings_tell_the_round_trip(void **state) {
	struct test_server test;
	static struct served served;
	struct linked linked;

	(void)state;
	open_server(&test, &served, 0);
	link_to(&linked, &test, http_server_port(test.server));
	for (int i = 0; i < 20; i++) {
		linked.rtt_ns = -1;
		test_advance(&test, 10000);
		TEST_UNTIL(&test, linked.rtt_ns >= 0);
		/* The server, idle for minutes but pinged, keeps the connection. */
		assert_non_null(linked.session);
	}
	unlink_from(&linked);
	test_server_close(&test);
}

static void ignore_drain(struct stream *stream) {
	(void)stream;
}

static void ignore_close(struct stream *stream, const struct err *reason) {
	(void)stream;
	(void)reason;
}

static void accept_silently(struct listener *listener, struct stream *stream) {
	static const struct stream_ops ops = {
		.on_data = swallow,
		.on_drain = ignore_drain,
		.on_close = ignore_close,
	};
	stream_set_ops(stream, &ops, listener_context(listener));
}

static void a_silent_peer_is_given_up(void **state) {
	static const struct listener_ops ops = { .on_accept = accept_silently };
	struct listener_options options = { .ops = &ops };
	struct listener *listener = NULL;
	struct err err = { 0 };
	struct test_server test;
	static struct served served;
	struct linked linked;
	struct outcome outcome;

	(void)state;
	open_server(&test, &served, 0);
	assert_ok(listener_open(test.loop, "127.0.0.1", 0, &options, &listener, &err), err);
	link_to(&linked, &test, listener_port(listener));
	(void)start_call(&linked, "/", &outcome);
	test_advance(&test, 10000);
	assert_false(outcome.is_over);
	test_advance(&test, 5000);
	TEST_UNTIL(&test, linked.is_closed);
	assert_int_equal(outcome.failure.code, ERR_TIMEOUT);
	assert_int_equal(linked.reason.code, ERR_TIMEOUT);
	listener_close(listener);
	test_server_close(&test);
}

static void accept_as_client(struct listener *listener, struct stream *stream) {
	struct linked *linked = listener_context(listener);

	linked->session = http_session_new(stream, &linked->options);
}

static void dialed(struct stream *stream) {
	struct test_server *test = stream_context(stream);

	http_server_adopt(test->server, stream, NULL, NULL);
}

static void the_side_that_dialled_may_serve(void **state) {
	static const struct listener_ops ops = { .on_accept = accept_as_client };
	static const struct stream_ops dial_ops = {
		.on_open = dialed,
		.on_data = swallow,
		.on_close = on_connect_failed,
	};
	struct test_server test;
	static struct served served;
	struct linked linked = { .test = &test };
	struct outcome outcome;
	struct listener *listener = NULL;
	struct err err = { 0 };

	(void)state;
	open_server(&test, &served, 0);
	linked.options = (struct http_session_options){
		.context = &linked,
		.on_close = on_session_close,
	};
	struct listener_options options = { .ops = &ops, .context = &linked };
	assert_ok(listener_open(test.loop, "127.0.0.1", 0, &options, &listener, &err), err);
	struct stream_options dialing = { .ops = &dial_ops, .context = &test };
	(void)stream_connect(test.loop, "127.0.0.1", listener_port(listener), &dialing);
	TEST_UNTIL(&test, linked.session);
	(void)start_call(&linked, "/reverse", &outcome);
	TEST_UNTIL(&test, outcome.is_over);
	assert_string_equal(buf_text(&outcome.body), "GET /reverse [] prometheus");
	buf_deinit(&outcome.body);
	listener_close(listener);
	unlink_from(&linked);
	test_server_close(&test);
}

/* Raw frames, for what no honest client sends. */

#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

static void add_frame(
	struct buf *out, uint8_t type, uint8_t flags, uint32_t stream_id, struct str payload) {
	char head[9] = { (char)(payload.len >> 16), (char)(payload.len >> 8), (char)payload.len,
		(char)type, (char)flags, (char)(stream_id >> 24), (char)(stream_id >> 16),
		(char)(stream_id >> 8), (char)stream_id };

	buf_append(out, head, sizeof(head));
	buf_add_str(out, payload);
}

static void add_preface(struct buf *out) {
	buf_add_text(out, PREFACE);
	add_frame(out, NGHTTP2_SETTINGS, 0, 0, STR_EMPTY);
}

/* GET http://a/hold, in HPACK without state. */
#define HOLD_FIELDS                                                                                \
	STR("\x82\x86\x04\x05/hold\x41\x01"                                                        \
	    "a")
#define POST_FIELDS                                                                                \
	STR("\x83\x86\x84\x41\x01"                                                                 \
	    "a")

/* Whether a GOAWAY with this code is among the frames received. */
static bool has_goaway(const struct buf *received, uint32_t code) {
	struct str rest = buf_str(received);

	while (rest.len >= 9) {
		const uint8_t *bytes = (const uint8_t *)rest.ptr;
		size_t len = (size_t)bytes[0] << 16 | (size_t)bytes[1] << 8 | bytes[2];

		if (bytes[3] == NGHTTP2_GOAWAY && rest.len >= 17) {
			return (uint32_t)(bytes[13] << 24 | bytes[14] << 16 | bytes[15] << 8 |
					  bytes[16]) == code;
		}
		rest = str_from(rest, 9 + len);
	}
	return false;
}

static void expect_goaway(const struct buf *frames, uint32_t code, const char *what) {
	struct test_server test;
	static struct served served;
	struct test_client client;

	open_server(&test, &served, 0);
	test_client_open(&client, &test);
	stream_write(client.stream, frames->ptr, frames->len);
	TEST_UNTIL(&test, !client.stream);
	if (!has_goaway(&client.received, code)) {
		fail_msg("no GOAWAY %u after %s", code, what);
	}
	for (size_t i = 0; i < served.held_count; i++) {
		exchange_fail(served.held[i]);
	}
	test_client_close(&client);
	test_server_close(&test);
}

static void floods_end_the_connection(void **state) {
	static const struct {
		const char *what;
		uint8_t type;
		uint8_t payload_len;
		size_t count;
	} floods[] = {
		{ "settings", NGHTTP2_SETTINGS, 0, 3000 },
		{ "pings", NGHTTP2_PING, 8, 3000 },
		{ "priorities", NGHTTP2_PRIORITY, 5, 3000 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(floods); i++) {
		AUTO(buf_deinit) struct buf frames = { 0 };
		bool is_priority = floods[i].type == NGHTTP2_PRIORITY;

		add_preface(&frames);
		for (size_t j = 0; j < floods[i].count; j++) {
			add_frame(&frames, floods[i].type, 0,
				is_priority ? (uint32_t)(2 * j + 1) : 0,
				(struct str){ "\0\0\0\0\0\0\0\0", floods[i].payload_len });
		}
		expect_goaway(&frames, NGHTTP2_ENHANCE_YOUR_CALM, floods[i].what);
	}
}

static void rapid_resets_end_the_connection_and_reach_no_handler(void **state) {
	AUTO(buf_deinit) struct buf frames = { 0 };
	struct test_server test;
	static struct served served;
	struct test_client client;

	(void)state;
	add_preface(&frames);
	for (uint32_t i = 0; i < 5000; i++) {
		add_frame(&frames, NGHTTP2_HEADERS, 5, 2 * i + 1, HOLD_FIELDS);
		add_frame(&frames, NGHTTP2_RST_STREAM, 0, 2 * i + 1, STR("\0\0\0\x08"));
	}
	open_server(&test, &served, 0);
	test_client_open(&client, &test);
	stream_write(client.stream, frames.ptr, frames.len);
	TEST_UNTIL(&test, !client.stream);
	/* The few whose reset fell into the next read were handed out; they are told. */
	assert_true(served.requests <= 20);
	TEST_UNTIL(&test, served.aborts == served.held_count);
	for (size_t i = 0; i < served.held_count; i++) {
		exchange_fail(served.held[i]);
	}
	test_client_close(&client);
	test_server_close(&test);
}

static void empty_data_ends_the_connection(void **state) {
	AUTO(buf_deinit) struct buf frames = { 0 };

	(void)state;
	add_preface(&frames);
	add_frame(&frames, NGHTTP2_HEADERS, 4, 1, POST_FIELDS);
	for (int i = 0; i < 12000; i++) {
		add_frame(&frames, NGHTTP2_DATA, 0, 1, STR_EMPTY);
	}
	expect_goaway(&frames, NGHTTP2_ENHANCE_YOUR_CALM, "empty data");
}

static void window_updates_beyond_reason_end_the_connection(void **state) {
	AUTO(buf_deinit) struct buf frames = { 0 };

	(void)state;
	add_preface(&frames);
	for (int i = 0; i < 12000; i++) {
		add_frame(&frames, NGHTTP2_WINDOW_UPDATE, 0, 0, STR("\0\0\0\1"));
	}
	expect_goaway(&frames, NGHTTP2_ENHANCE_YOUR_CALM, "window updates");
}

static void a_header_that_never_ends_is_cut(void **state) {
	AUTO(buf_deinit) struct buf frames = { 0 };

	(void)state;
	add_preface(&frames);
	add_frame(&frames, NGHTTP2_HEADERS, 0, 1, POST_FIELDS);
	for (int i = 0; i < 100; i++) {
		add_frame(&frames, NGHTTP2_CONTINUATION, 0, 1, STR_EMPTY);
	}
	expect_goaway(&frames, NGHTTP2_PROTOCOL_ERROR, "continuations");
}

/* Settings first; to whatever comes, interim answers (":status: 103") without end. */
static void answer_in_between(struct stream *stream, struct str bytes) {
	AUTO(buf_deinit) struct buf frames = { 0 };
	(void)bytes;
	for (int i = 0; i < 2000; i++) {
		add_frame(&frames, NGHTTP2_HEADERS, 4, 1,
			STR("\x08\x03"
			    "103"));
	}
	stream_write(stream, frames.ptr, frames.len);
}

static void accept_to_answer_in_between(struct listener *listener, struct stream *stream) {
	static const struct stream_ops ops = {
		.on_data = answer_in_between,
		.on_drain = ignore_drain,
		.on_close = ignore_close,
	};
	AUTO(buf_deinit) struct buf frames = { 0 };
	stream_set_ops(stream, &ops, listener_context(listener));
	add_frame(&frames, NGHTTP2_SETTINGS, 0, 0, STR_EMPTY);
	stream_write(stream, frames.ptr, frames.len);
}

static void interim_answers_without_end_are_a_header_too_long(void **state) {
	static const struct listener_ops ops = { .on_accept = accept_to_answer_in_between };
	struct listener_options options = { .ops = &ops };
	struct listener *listener = NULL;
	struct err err = { 0 };
	struct test_server test;
	static struct served served;
	struct linked linked;
	struct outcome outcome;

	(void)state;
	open_server(&test, &served, 0);
	assert_ok(listener_open(test.loop, "127.0.0.1", 0, &options, &listener, &err), err);
	link_to(&linked, &test, listener_port(listener));
	(void)start_call(&linked, "/", &outcome);
	TEST_UNTIL(&test, outcome.is_over);
	assert_int_equal(outcome.failure.code, ERR_LIMIT);
	assert_int_equal(outcome.status, 0);
	unlink_from(&linked);
	listener_close(listener);
	test_server_close(&test);
}

static void a_slow_request_is_refused_while_others_go_on(void **state) {
	AUTO(buf_deinit) struct buf frames = { 0 };
	struct test_server test;
	static struct served served;
	struct test_client client;

	(void)state;
	add_preface(&frames);
	add_frame(&frames, NGHTTP2_HEADERS, 4, 1, POST_FIELDS);
	add_frame(&frames, NGHTTP2_HEADERS, 5, 3, HOLD_FIELDS);
	open_server(&test, &served, 0);
	test_client_open(&client, &test);
	stream_write(client.stream, frames.ptr, frames.len);
	TEST_UNTIL(&test, served.held_count == 1);
	size_t before = client.received.len;
	test_advance(&test, 5001);
	TEST_UNTIL(&test, client.received.len > before);
	assert_int_equal(served.aborts, 0);
	exchange_respond_text(served.held[0], 200, "still here");
	TEST_UNTIL(&test, memmem(client.received.ptr, client.received.len, "still here", 10));
	assert_non_null(memmem(client.received.ptr, client.received.len, "too long to arrive", 18));
	assert_non_null(client.stream);
	test_client_close(&client);
	test_server_close(&test);
}

static void an_idle_connection_is_closed(void **state) {
	AUTO(buf_deinit) struct buf frames = { 0 };
	struct test_server test;
	static struct served served;
	struct test_client client;

	(void)state;
	add_preface(&frames);
	open_server(&test, &served, 0);
	test_client_open(&client, &test);
	stream_write(client.stream, frames.ptr, frames.len);
	TEST_UNTIL(&test, client.received.len > 0);
	test_advance(&test, 20001);
	test_advance(&test, 20001);
	TEST_UNTIL(&test, !client.stream);
	assert_true(has_goaway(&client.received, NGHTTP2_NO_ERROR));
	test_client_close(&client);
	test_server_close(&test);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(carries_a_request_and_its_answer),
		TEST(head_tells_the_length_of_what_it_leaves_out),
		TEST(carries_a_thousand_requests_at_once),
		TEST(requests_beyond_the_server_s_limit_wait),
		TEST(a_reader_that_stops_holds_up_only_its_own_call),
		TEST(a_window_that_never_opens_ends_the_answer),
		TEST(canceling_tells_the_handler),
		TEST(calls_end_at_their_time),
		TEST(an_answer_that_breaks_off_is_a_failure),
		TEST(closing_lets_calls_finish),
		TEST(aborting_ends_calls_at_once),
		TEST(a_server_that_closes_says_goodbye),
		TEST(refuses_bodies_and_headers_that_are_too_long),
		TEST(pings_tell_the_round_trip),
		TEST(a_silent_peer_is_given_up),
		TEST(the_side_that_dialled_may_serve),
		TEST(floods_end_the_connection),
		TEST(rapid_resets_end_the_connection_and_reach_no_handler),
		TEST(empty_data_ends_the_connection),
		TEST(window_updates_beyond_reason_end_the_connection),
		TEST(a_header_that_never_ends_is_cut),
		TEST(interim_answers_without_end_are_a_header_too_long),
		TEST(a_slow_request_is_refused_while_others_go_on),
		TEST(an_idle_connection_is_closed),
	};

	return TEST_RUN(tests);
}
