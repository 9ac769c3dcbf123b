#include "http/upstream.h"

#include "http/test_server.h"

/* What a call comes to. */
struct outcome {
	struct upstream_call *call; /* NULL once over. */
	int status;
	struct buf body;
	bool stops; /* on_data returns false. */
	bool is_over;
	struct err failure;
	char kind[32];
	unsigned drains;
	struct str upload; /* Still to be written. */
};

static void on_head(struct upstream_call *call, int status, const struct http_headers *headers) {
	struct outcome *outcome = upstream_context(call);
	struct str kind = http_headers_get(headers, STR("x-kind"));
	outcome->status = status;
	(void)snprintf(outcome->kind, sizeof(outcome->kind), "%.*s", STR_ARG(kind));
}

static bool on_data(struct upstream_call *call, struct str bytes) {
	struct outcome *outcome = upstream_context(call);
	buf_add_str(&outcome->body, bytes);
	return !outcome->stops;
}

static void upload(struct outcome *outcome) {
	while (outcome->upload.len > 0 && upstream_takes(outcome->call)) {
		struct str piece = str_first(outcome->upload, 10000);
		(void)upstream_write(outcome->call, piece);
		outcome->upload = str_from(outcome->upload, piece.len);
		if (outcome->upload.len == 0) {
			upstream_finish(outcome->call);
		}
	}
}

static void on_drain(struct upstream_call *call) {
	struct outcome *outcome = upstream_context(call);
	outcome->drains++;
	upload(outcome);
}

static void on_end(struct upstream_call *call, const struct err *failure) {
	struct outcome *outcome = upstream_context(call);
	assert_ptr_equal(call, outcome->call);
	outcome->call = NULL;
	outcome->is_over = true;
	outcome->failure = failure ? *failure : (struct err){ 0 };
}

static const struct upstream_ops ops = {
	.on_head = on_head,
	.on_data = on_data,
	.on_drain = on_drain,
	.on_end = on_end,
};

/* A service that answers by the path, and whoever asks it. */
struct world {
	struct test_server test;
	struct upstream *upstream;
	struct arena arena;
	unsigned requests;
	struct exchange *held[64];
	size_t held_count;
	/* A listener that answers as bytes say. */
	struct listener *listener;
	struct stream *peer; /* The newest; NULL: none. */
	struct buf received;
	const char *answers[4]; /* To the first, second ... request on each connection. */
	unsigned connections;
	unsigned answered;
	bool hangs_up; /* After each answer. */
};

static void count_abort(void *context) {
	(void)context;
}

static void handle(void *context, struct exchange *exchange) {
	struct world *world = context;
	const struct http_request *request = exchange_request(exchange);
	world->requests++;
	if (str_equal(request->path, STR("/hold"))) {
		exchange_on_abort(exchange, count_abort, world);
		world->held[world->held_count++] = exchange;
		return;
	}
	exchange_header(
		exchange, STR("x-kind"), http_headers_get(&request->headers, STR("x-kind")));
	struct str text = arena_printf(exchange_arena(exchange), "%.*s %.*s [%.*s] %zu",
		STR_ARG(request->method), STR_ARG(request->target), STR_ARG(request->authority),
		request->body.len);
	exchange_respond(exchange, 203, STR("text/plain"), text);
}

static void open_world(struct world *world, const struct upstream_options *options) {
	*world = (struct world){ 0 };
	test_server_open(
		&world->test, &(struct http_server_options){ .handler = handle, .context = world });
	struct upstream_options all = options ? *options : (struct upstream_options){ 0 };
	all.host = "127.0.0.1";
	all.port = http_server_port(world->test.server);
	world->upstream = upstream_new(world->test.loop, &all);
}

static void close_world(struct world *world) {
	upstream_free(world->upstream);
	if (world->listener) {
		listener_close(world->listener);
	}
	for (size_t i = 0; i < world->held_count; i++) {
		exchange_fail(world->held[i]);
	}
	test_server_close(&world->test);
	buf_deinit(&world->received);
	arena_deinit(&world->arena);
}

static void start(
	struct world *world, struct outcome *outcome, const struct upstream_request *request) {
	struct upstream_request all = *request;
	all.arena = &world->arena;
	all.method = all.method.len > 0 ? all.method : STR("GET");
	all.host = STR("prometheus:9090");
	*outcome = (struct outcome){ .stops = outcome->stops, .upload = outcome->upload };
	outcome->call = upstream_start(world->upstream, &all, &ops, outcome);
}

static void get(struct world *world, struct outcome *outcome, const char *target) {
	*outcome = (struct outcome){ 0 };
	start(world, outcome, &(struct upstream_request){ .target = str_of(target) });
}

static void finish_ok(struct world *world, struct outcome *outcome, const char *body) {
	TEST_UNTIL(&world->test, outcome->is_over);
	assert_string_equal(outcome->failure.text, "");
	assert_str_equal(buf_str(&outcome->body), str_of(body));
	buf_deinit(&outcome->body);
}

static void finish_failed(struct world *world, struct outcome *outcome, int code, const char *why) {
	TEST_UNTIL(&world->test, outcome->is_over);
	assert_int_equal(outcome->failure.code, code);
	assert_non_null(strstr(outcome->failure.text, why));
	buf_deinit(&outcome->body);
}

static void a_connection_serves_one_request_after_another(void **state) {
	(void)state;
	struct world world;
	struct outcome outcome = { 0 };
	open_world(&world, NULL);
	const struct http_header headers[] = { { STR("x-kind"), STR("b") } };
	for (int i = 0; i < 20; i++) {
		start(&world, &outcome,
			&(struct upstream_request){
				.target = STR("/a?b"), .headers = headers, .header_count = 1 });
		finish_ok(&world, &outcome, "GET /a?b [prometheus:9090] 0");
		assert_int_equal(outcome.status, 203);
		assert_string_equal(outcome.kind, "b");
	}
	assert_int_equal(upstream_connections(world.upstream), 1);
	start(&world, &outcome,
		&(struct upstream_request){ .method = STR("HEAD"), .target = STR("/") });
	finish_ok(&world, &outcome, "");
	start(&world, &outcome,
		&(struct upstream_request){
			.method = STR("POST"), .target = STR("/"), .body = STR("12345") });
	finish_ok(&world, &outcome, "POST / [prometheus:9090] 5");
	assert_int_equal(upstream_connections(world.upstream), 1);
	close_world(&world);
}

static void requests_beyond_the_connections_wait_in_line(void **state) {
	(void)state;
	struct world world;
	struct outcome held[2];
	struct outcome waiting[3];
	struct outcome refused;
	open_world(&world, &(struct upstream_options){ .connections_max = 2, .waiting_max = 3 });
	for (int i = 0; i < 2; i++) {
		get(&world, &held[i], "/hold");
	}
	TEST_UNTIL(&world.test, world.held_count == 2);
	for (int i = 0; i < 3; i++) {
		get(&world, &waiting[i], "/");
	}
	get(&world, &refused, "/");
	finish_failed(&world, &refused, ERR_LIMIT, "3 requests wait already for one of 2");
	assert_int_equal(upstream_connections(world.upstream), 2);
	assert_int_equal(world.requests, 2);
	upstream_cancel(waiting[1].call);
	exchange_respond_text(world.held[0], 200, "done");
	world.held_count = 0;
	finish_ok(&world, &held[0], "done");
	finish_ok(&world, &waiting[0], "GET / [prometheus:9090] 0");
	finish_ok(&world, &waiting[2], "GET / [prometheus:9090] 0");
	upstream_cancel(held[1].call);
	exchange_fail(world.held[1]);
	TEST_UNTIL(&world.test, upstream_connections(world.upstream) == 1);
	close_world(&world);
}

static void a_call_ends_at_its_time(void **state) {
	(void)state;
	struct world world;
	struct outcome outcome = { 0 };
	open_world(&world, NULL);
	start(&world, &outcome,
		&(struct upstream_request){ .target = STR("/hold"), .timeout_ms = 5000 });
	TEST_UNTIL(&world.test, world.held_count == 1);
	test_advance(&world.test, 4000);
	assert_false(outcome.is_over);
	test_advance(&world.test, 1000);
	finish_failed(&world, &outcome, ERR_TIMEOUT, "within 5000 ms");
	TEST_UNTIL(&world.test, upstream_connections(world.upstream) == 0);
	close_world(&world);
}

static void idle_connections_are_closed(void **state) {
	(void)state;
	struct world world;
	struct outcome outcome;
	open_world(&world, &(struct upstream_options){ .idle_timeout_ms = 1000 });
	get(&world, &outcome, "/");
	finish_ok(&world, &outcome, "GET / [prometheus:9090] 0");
	test_advance(&world.test, 900);
	assert_int_equal(upstream_connections(world.upstream), 1);
	test_advance(&world.test, 700);
	test_advance(&world.test, 700);
	TEST_UNTIL(&world.test, upstream_connections(world.upstream) == 0);
	get(&world, &outcome, "/");
	finish_ok(&world, &outcome, "GET / [prometheus:9090] 0");
	close_world(&world);
}

static void nobody_there_is_told(void **state) {
	(void)state;
	struct world world;
	struct outcome outcome;
	open_world(&world, NULL);
	http_server_close(world.test.server);
	world.test.server = NULL;
	get(&world, &outcome, "/");
	finish_failed(&world, &outcome, ERR_IO, "not reached");
	close_world(&world);
}

static void bodies_of_any_length_are_streamed(void **state) {
	(void)state;
	static char bytes[3000000];
	struct world world;
	open_world(&world, NULL);
	for (int i = 0; i < 2; i++) {
		struct outcome outcome = { .upload = { bytes, sizeof(bytes) } };
		start(&world, &outcome,
			&(struct upstream_request){ .method = STR("PUT"),
				.target = STR("/"),
				.body_kind = i == 0 ? UPSTREAM_BODY_LENGTH : UPSTREAM_BODY_CHUNKED,
				.body_length = sizeof(bytes) });
		upload(&outcome);
		finish_ok(&world, &outcome, "PUT / [prometheus:9090] 3000000");
	}
	assert_int_equal(upstream_connections(world.upstream), 1);
	close_world(&world);
}

/* The other kind of service: bytes as a test wants them. */
static void peer_data(struct stream *stream, struct str bytes) {
	struct world *world = stream_context(stream);
	buf_add_str(&world->received, bytes);
	while (strstr(buf_text(&world->received), "\r\n\r\n")) {
		const char *answer = world->answers[world->answered];
		buf_reset(&world->received);
		if (!answer) {
			stream_abort(stream, NULL);
			return;
		}
		world->answered++;
		stream_write(stream, answer, strlen(answer));
		if (world->hangs_up) {
			stream_close(stream);
		}
	}
}

static void peer_drain(struct stream *stream) {
	(void)stream;
}

static void peer_close(struct stream *stream, const struct err *reason) {
	struct world *world = stream_context(stream);
	(void)reason;
	if (world->peer == stream) {
		world->peer = NULL;
	}
}

static void accept_peer(struct listener *listener, struct stream *stream) {
	static const struct stream_ops peer_ops = {
		.on_data = peer_data,
		.on_drain = peer_drain,
		.on_close = peer_close,
	};
	struct world *world = listener_context(listener);
	world->connections++;
	world->answered = 0;
	world->peer = stream;
	stream_set_ops(stream, &peer_ops, world);
}

static void open_raw(struct world *world, const char *first, const char *second) {
	static const struct listener_ops listener_ops = { .on_accept = accept_peer };
	struct err err = { 0 };
	open_world(world, NULL);
	upstream_free(world->upstream);
	world->answers[0] = first;
	world->answers[1] = second;
	assert_ok(listener_open(world->test.loop, "127.0.0.1", 0,
			  &(struct listener_options){ .ops = &listener_ops, .context = world },
			  &world->listener, &err),
		err);
	world->upstream =
		upstream_new(world->test.loop, &(struct upstream_options){ .host = "127.0.0.1",
						       .port = listener_port(world->listener) });
}

#define SMALL "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

static void a_kept_connection_that_died_is_tried_anew_if_that_does_no_harm(void **state) {
	(void)state;
	for (int is_repeatable = 0; is_repeatable < 2; is_repeatable++) {
		struct world world;
		struct outcome outcome = { 0 };
		open_raw(&world, SMALL, NULL);
		get(&world, &outcome, "/");
		finish_ok(&world, &outcome, "ok");
		start(&world, &outcome,
			&(struct upstream_request){
				.target = STR("/"), .is_repeatable = is_repeatable });
		if (is_repeatable) {
			finish_ok(&world, &outcome, "ok");
			assert_int_equal(world.connections, 2);
		} else {
			finish_failed(&world, &outcome, ERR_CLOSED, "without an answer");
		}
		close_world(&world);
	}
}

static void a_fresh_connection_that_dies_is_not_tried_anew(void **state) {
	(void)state;
	struct world world;
	struct outcome outcome = { 0 };
	open_raw(&world, NULL, NULL);
	start(&world, &outcome,
		&(struct upstream_request){ .target = STR("/"), .is_repeatable = true });
	finish_failed(&world, &outcome, ERR_CLOSED, "");
	assert_int_equal(world.connections, 1);
	close_world(&world);
}

static void a_body_may_end_with_the_connection(void **state) {
	(void)state;
	struct world world;
	struct outcome outcome;
	open_raw(&world, "HTTP/1.1 200 OK\r\n\r\nas long as it lasts", NULL);
	world.hangs_up = true;
	get(&world, &outcome, "/");
	finish_ok(&world, &outcome, "as long as it lasts");
	close_world(&world);
}

static void an_answer_that_breaks_off_is_a_failure(void **state) {
	(void)state;
	struct world world;
	struct outcome outcome;
	open_raw(&world, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", NULL);
	world.hangs_up = true;
	get(&world, &outcome, "/");
	finish_failed(&world, &outcome, ERR_CLOSED, "before the answer did");
	assert_int_equal(outcome.status, 200);
	close_world(&world);
}

/* Else the next answer would begin with what is left of this one. */
static void a_connection_with_bytes_too_many_is_not_used_again(void **state) {
	(void)state;
	struct world world;
	struct outcome outcome;
	open_raw(&world, SMALL "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", SMALL);
	for (unsigned i = 1; i <= 3; i++) {
		get(&world, &outcome, "/");
		finish_ok(&world, &outcome, "ok");
		assert_int_equal(world.connections, i);
	}
	close_world(&world);
}

static void bytes_that_nobody_asked_for_end_a_kept_connection(void **state) {
	(void)state;
	struct world world;
	struct outcome outcome;
	open_raw(&world, SMALL, SMALL);
	get(&world, &outcome, "/");
	finish_ok(&world, &outcome, "ok");
	stream_write(world.peer, SMALL, strlen(SMALL));
	TEST_UNTIL(&world.test, upstream_connections(world.upstream) == 0);
	get(&world, &outcome, "/");
	finish_ok(&world, &outcome, "ok");
	assert_int_equal(world.connections, 2);
	close_world(&world);
}

static void a_malformed_answer_is_a_failure(void **state) {
	(void)state;
	struct world world;
	struct outcome outcome;
	open_raw(&world, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
		NULL);
	get(&world, &outcome, "/");
	finish_failed(&world, &outcome, ERR_CORRUPT, "given twice");
	TEST_UNTIL(&world.test, upstream_connections(world.upstream) == 0);
	close_world(&world);
}

static void an_answer_before_the_requests_end_costs_the_connection(void **state) {
	(void)state;
	struct world world;
	struct outcome outcome = { 0 };
	open_raw(&world, SMALL, SMALL);
	start(&world, &outcome,
		&(struct upstream_request){ .method = STR("PUT"),
			.target = STR("/"),
			.body_kind = UPSTREAM_BODY_CHUNKED });
	finish_ok(&world, &outcome, "ok");
	TEST_UNTIL(&world.test, upstream_connections(world.upstream) == 0);
	close_world(&world);
}

static void a_reader_that_stops_holds_the_service_up(void **state) {
	(void)state;
	struct world world;
	struct outcome outcome;
	AUTO(buf_deinit) struct buf large = { 0 };
	buf_add_text(&large, "HTTP/1.1 200 OK\r\nContent-Length: 20000000\r\n\r\n");
	memset(buf_reserve(&large, 20000000), 'x', 20000000);
	large.len += 20000000;
	open_raw(&world, buf_text(&large), NULL);
	get(&world, &outcome, "/");
	outcome.stops = true;
	TEST_UNTIL(&world.test, outcome.body.len > 0);
	for (int i = 0; i < 300; i++) {
		loop_run_once(world.test.loop);
	}
	size_t held = outcome.body.len;
	assert_true(held < 1024 * 1024);
	outcome.stops = false;
	upstream_resume(outcome.call);
	TEST_UNTIL(&world.test, outcome.is_over);
	assert_int_equal(outcome.body.len, 20000000);
	assert_int_equal(outcome.failure.code, 0);
	buf_deinit(&outcome.body);
	close_world(&world);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(a_connection_serves_one_request_after_another),
		TEST(requests_beyond_the_connections_wait_in_line),
		TEST(a_call_ends_at_its_time),
		TEST(idle_connections_are_closed),
		TEST(nobody_there_is_told),
		TEST(bodies_of_any_length_are_streamed),
		TEST(a_kept_connection_that_died_is_tried_anew_if_that_does_no_harm),
		TEST(a_fresh_connection_that_dies_is_not_tried_anew),
		TEST(a_body_may_end_with_the_connection),
		TEST(an_answer_that_breaks_off_is_a_failure),
		TEST(a_connection_with_bytes_too_many_is_not_used_again),
		TEST(bytes_that_nobody_asked_for_end_a_kept_connection),
		TEST(a_malformed_answer_is_a_failure),
		TEST(an_answer_before_the_requests_end_costs_the_connection),
		TEST(a_reader_that_stops_holds_the_service_up),
	};
	return TEST_RUN(tests);
}
