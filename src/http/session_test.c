#include "http/test_linked.h"

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
	TEST_UNTIL(&test, linked.rtt_ns >= 0);
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

/* How much more of a long answer comes once its reader stops, on a link with that round trip. */
static uint64_t bytes_under_way(int64_t step_ms, size_t window_bytes_max) {
	static struct served served;
	struct test_server test;
	struct linked linked;
	struct outcome big;

	open_server(&test, &served, 0);
	link_with(&linked, &test, http_server_port(test.server), window_bytes_max);
	while (linked.rtt_ns < 0) {
		clock_advance_ms(&test.clock, step_ms);
		loop_wake(test.loop);
		loop_run_once(test.loop);
	}
	served.to_write = UINT64_C(64) << 20;
	struct http_call *call = start_call(&linked, "/big", &big);
	big.keeps_body = false;
	TEST_UNTIL(&test, big.body_bytes >= UINT64_C(24) << 20);
	big.takes = false;
	uint64_t before = big.body_bytes;
	for (int i = 0; i < 1000; i++) {
		loop_run_once(test.loop);
	}
	uint64_t under_way = big.body_bytes - before;
	big.takes = true;
	http_call_resume(call);
	TEST_UNTIL(&test, big.is_over);
	unlink_from(&linked);
	test_server_close(&test);
	return under_way;
}

static void windows_grow_where_the_round_trip_needs_it(void **state) {
	(void)state;
	assert_in_range(bytes_under_way(0, 0), 1, H2_STREAM_WINDOW);
	assert_in_range(bytes_under_way(10, 0), 2 * H2_STREAM_WINDOW, 8 * 1024 * 1024);
	assert_in_range(bytes_under_way(10, 2 * 1024 * 1024), 1, 2 * 1024 * 1024);
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
	test_advance(&test, 4000);
	assert_false(outcome.is_over);
	test_advance(&test, 2000);
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
		TEST(windows_grow_where_the_round_trip_needs_it),
		TEST(a_silent_peer_is_given_up),
		TEST(the_side_that_dialled_may_serve),
	};

	return TEST_RUN(tests);
}
