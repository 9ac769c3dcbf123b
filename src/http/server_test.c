#include "http/server.h"

#include "http/exchange.h"
#include "http/test_server.h"

/* What the handler keeps for the test to go on with. */
struct held {
	struct exchange *exchange;
	size_t requests;
	size_t aborts;
	size_t drains;
	uint64_t written;
	uint64_t to_write; /* By on_drain. */
	size_t queued_max;
};

static void count_abort(void *context) {
	struct held *held = context;
	held->aborts++;
}

static void write_more(struct held *held) {
	static const char piece[16384] = { 'x' };
	size_t queued = 0;

	while (held->written < held->to_write && queued <= STREAM_LOW_WATER) {
		queued = exchange_write(held->exchange, (struct str){ piece, sizeof(piece) });
		held->written += sizeof(piece);
		held->queued_max = queued > held->queued_max ? queued : held->queued_max;
	}
	if (held->written >= held->to_write) {
		exchange_end(held->exchange);
		held->exchange = NULL;
	}
}

static void on_drained(void *context) {
	struct held *held = context;

	held->drains++;
	write_more(held);
}

/* /hold keeps the exchange, /pieces and /big stream, the rest echoes. */
static void handle(void *context, struct exchange *exchange) {
	struct held *held = context;
	const struct http_request *request = exchange_request(exchange);

	held->requests++;
	if (str_equal(request->path, STR("/hold"))) {
		held->exchange = exchange;
		exchange_on_abort(exchange, count_abort, held);
	} else if (str_equal(request->path, STR("/pieces"))) {
		exchange_header(exchange, STR("X-Kind"), STR("streamed"));
		exchange_begin(exchange, 200, STR("text/plain"));
		(void)exchange_write(exchange, STR("hello "));
		(void)exchange_write(exchange, STR("world"));
		exchange_end(exchange);
	} else if (str_equal(request->path, STR("/big"))) {
		held->exchange = exchange;
		exchange_on_abort(exchange, count_abort, held);
		exchange_on_drain(exchange, on_drained, held);
		exchange_begin(exchange, 200, STR("application/octet-stream"));
		write_more(held);
	} else if (str_equal(request->path, STR("/fail"))) {
		exchange_begin(exchange, 200, STR("text/plain"));
		(void)exchange_write(exchange, STR("half"));
		exchange_fail(exchange);
	} else {
		struct str text = arena_printf(exchange_arena(exchange), "%.*s %.*s [%.*s]",
			STR_ARG(request->method), STR_ARG(request->target), STR_ARG(request->body));
		exchange_respond(exchange, 200, STR("text/plain"), text);
	}
}

static void open_server(struct test_server *test, struct held *held) {
	struct http_server_options options = {
		.handler = handle,
		.context = held,
		.body_bytes_max = 1000,
		.header_bytes_max = 2000,
		.read_timeout_ms = 5000,
		.idle_timeout_ms = 20000,
	};

	*held = (struct held){ 0 };
	test_server_open(test, &options);
}

static void answers_one_request_after_another(void **state) {
	struct test_server test;
	struct test_client client;
	struct held held;

	(void)state;
	open_server(&test, &held);
	test_client_open(&client, &test);
	test_client_send(&client, "GET /a?b HTTP/1.1\r\nHost: x\r\n\r\n");
	TEST_UNTIL(&test, test_client_has(&client, "GET /a?b []"));
	assert_true(test_client_has(&client, "HTTP/1.1 200 OK\r\n"));
	assert_true(test_client_has(&client, "Date: Tue, 14 Nov 2023 22:13:20 GMT\r\n"));
	assert_true(test_client_has(&client, "Content-Length: 11\r\n"));
	test_client_send(&client, "POST /2 HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nok");
	TEST_UNTIL(&test, test_client_has(&client, "POST /2 [ok]"));
	assert_non_null(client.stream);
	test_client_close(&client);
	test_server_close(&test);
}

static void answers_pipelined_requests_in_order(void **state) {
	struct test_server test;
	struct test_client client;
	struct held held;

	(void)state;
	open_server(&test, &held);
	test_client_open(&client, &test);
	for (int i = 0; i < 50; i++) {
		test_client_send(&client, "GET /pieces HTTP/1.1\r\nHost: x\r\n\r\n"
					  "POST /b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: "
					  "chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
	}
	test_client_send(&client, "GET /last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
				  "GET /never HTTP/1.1\r\nHost: x\r\n\r\n");
	TEST_UNTIL(&test, !client.stream);
	assert_int_equal(held.requests, 101);
	assert_true(test_client_has(&client, "GET /last []"));
	assert_false(test_client_has(&client, "/never"));
	test_client_close(&client);
	test_server_close(&test);
}

static void streams_in_chunks(void **state) {
	struct test_server test;
	struct test_client client;
	struct held held;

	(void)state;
	open_server(&test, &held);
	test_client_open(&client, &test);
	test_client_send(&client, "GET /pieces HTTP/1.1\r\nHost: x\r\n\r\n");
	TEST_UNTIL(&test, test_client_has(&client, "\r\n0\r\n\r\n"));
	assert_true(test_client_has(&client, "X-Kind: streamed\r\n"));
	assert_true(test_client_has(&client, "Transfer-Encoding: chunked\r\n"));
	assert_true(test_client_has(&client, "6\r\nhello \r\n5\r\nworld\r\n0\r\n\r\n"));
	test_client_close(&client);
	test_server_close(&test);
}

static void ends_an_old_client_s_stream_by_closing(void **state) {
	struct test_server test;
	struct test_client client;
	struct held held;

	(void)state;
	open_server(&test, &held);
	test_client_open(&client, &test);
	test_client_send(&client, "GET /pieces HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
	TEST_UNTIL(&test, !client.stream);
	assert_true(test_client_has(&client, "Connection: close\r\n\r\nhello world"));
	test_client_close(&client);

	test_client_open(&client, &test);
	test_client_send(&client, "GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
	TEST_UNTIL(&test, test_client_has(&client, "GET /a []"));
	assert_true(test_client_has(&client, "Connection: keep-alive\r\n"));
	assert_non_null(client.stream);
	test_client_close(&client);
	test_server_close(&test);
}

static void gives_no_body_to_head(void **state) {
	struct test_server test;
	struct test_client client;
	struct held held;

	(void)state;
	open_server(&test, &held);
	test_client_open(&client, &test);
	test_client_send(&client, "HEAD /a HTTP/1.1\r\nHost: x\r\n\r\n"
				  "HEAD /pieces HTTP/1.1\r\nHost: x\r\n\r\n"
				  "GET /end HTTP/1.1\r\nHost: x\r\n\r\n");
	TEST_UNTIL(&test, test_client_has(&client, "GET /end []"));
	assert_true(test_client_has(&client, "Content-Length: 10\r\n\r\nHTTP/1.1 200"));
	assert_true(test_client_has(&client, "chunked\r\n\r\nHTTP/1.1 200"));
	test_client_close(&client);
	test_server_close(&test);
}

static void refuses_and_closes(void **state) {
	static const struct {
		const char *request;
		const char *answer;
	} cases[] = {
		{ "GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 400 Bad Request\r\n" },
		{ "GET / HTTP/3.0\r\n\r\n", "HTTP/1.1 505 HTTP Version Not Supported\r\n" },
		{ "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\n\r\n",
			"HTTP/1.1 413 Content Too Large\r\n" },
		{ "PRI * HTTP/2.0\r\n\r\nXX", "HTTP/1.1 505 HTTP Version Not Supported\r\n" },
	};
	struct test_server test;
	struct test_client client;
	struct held held;

	(void)state;
	open_server(&test, &held);
	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		test_client_open(&client, &test);
		test_client_send(&client, cases[i].request);
		TEST_UNTIL(&test, !client.stream);
		if (!test_client_has(&client, cases[i].answer) ||
			!test_client_has(&client, "Connection: close\r\n")) {
			fail_msg("%s gave %s", cases[i].request, buf_text(&client.received));
		}
		test_client_close(&client);
	}
	assert_int_equal(held.requests, 0);
	test_server_close(&test);
}

static void asks_for_the_body_when_the_client_waits(void **state) {
	struct test_server test;
	struct test_client client;
	struct held held;

	(void)state;
	open_server(&test, &held);
	test_client_open(&client, &test);
	test_client_send(&client, "POST /e HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n"
				  "Expect: 100-continue\r\n\r\n");
	TEST_UNTIL(&test, test_client_has(&client, "HTTP/1.1 100 Continue\r\n\r\n"));
	test_client_send(&client, "ok");
	TEST_UNTIL(&test, test_client_has(&client, "POST /e [ok]"));
	test_client_close(&client);
	/* A body that is too long is not asked for. */
	test_client_open(&client, &test);
	test_client_send(&client, "POST /e HTTP/1.1\r\nHost: x\r\nContent-Length: 2000\r\n"
				  "Expect: 100-continue\r\n\r\n");
	TEST_UNTIL(&test, !client.stream);
	assert_true(test_client_has(&client, "413"));
	assert_false(test_client_has(&client, "100 Continue"));
	test_client_close(&client);
	test_server_close(&test);
}

static void gives_up_on_a_slow_request(void **state) {
	struct test_server test;
	struct test_client client;
	struct held held;

	(void)state;
	open_server(&test, &held);
	test_client_open(&client, &test);
	test_client_send(&client, "GET / HT");
	for (int i = 0; i < 4; i++) {
		loop_run_once(test.loop);
		loop_run_once(test.loop);
		test_advance(&test, 1000);
		test_client_send(&client, "T");
	}
	assert_int_equal(client.received.len, 0);
	test_advance(&test, 1001);
	TEST_UNTIL(&test, !client.stream);
	assert_true(test_client_has(&client, "HTTP/1.1 408 Request Timeout\r\n"));
	test_client_close(&client);
	test_server_close(&test);
}

static void closes_an_idle_connection(void **state) {
	struct test_server test;
	struct test_client client;
	struct held held;

	(void)state;
	open_server(&test, &held);
	test_client_open(&client, &test);
	test_client_send(&client, "GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
	TEST_UNTIL(&test, test_client_has(&client, "GET /a []"));
	buf_reset(&client.received);
	test_advance(&test, 19000);
	assert_non_null(client.stream);
	test_advance(&test, 1001);
	TEST_UNTIL(&test, !client.stream);
	assert_int_equal(client.received.len, 0);
	test_client_close(&client);
	test_server_close(&test);
}

static void tells_the_handler_when_the_client_goes_away(void **state) {
	struct test_server test;
	struct test_client client;
	struct held held;

	(void)state;
	open_server(&test, &held);
	test_client_open(&client, &test);
	test_client_send(&client, "GET /hold HTTP/1.1\r\nHost: x\r\n\r\n");
	TEST_UNTIL(&test, held.exchange);
	test_client_close(&client);
	TEST_UNTIL(&test, held.aborts > 0);
	assert_true(exchange_is_aborted(held.exchange));
	assert_str_equal(exchange_request(held.exchange)->path, STR("/hold"));
	/* The handler may go on as if nothing was. */
	exchange_begin(held.exchange, 200, STR("text/plain"));
	assert_int_equal(exchange_write(held.exchange, STR("gone")), 0);
	exchange_end(held.exchange);
	assert_int_equal(held.aborts, 1);
	test_server_close(&test);
}

static void breaks_off_an_answer_that_fails(void **state) {
	struct test_server test;
	struct test_client client;
	struct held held;

	(void)state;
	open_server(&test, &held);
	test_client_open(&client, &test);
	test_client_send(&client, "GET /fail HTTP/1.1\r\nHost: x\r\n\r\n");
	TEST_UNTIL(&test, !client.stream);
	assert_false(test_client_has(&client, "0\r\n\r\n"));
	test_client_close(&client);
	test_server_close(&test);
}

static void holds_little_for_a_reader_that_stops(void **state) {
	struct test_server test;
	struct test_client client;
	struct held held;

	(void)state;
	open_server(&test, &held);
	held.to_write = UINT64_C(64) << 20;
	test_client_open(&client, &test);
	stream_pause(client.stream);
	test_client_send(&client, "GET /big HTTP/1.1\r\nHost: x\r\n\r\n");
	TEST_UNTIL(&test, held.exchange);
	/* The kernel takes a few MB; then the handler has to wait. */
	for (int i = 0; i < 2000; i++) {
		loop_run_once(test.loop);
	}
	assert_true(held.written < held.to_write / 2);
	assert_true(held.queued_max <= STREAM_LOW_WATER + 16384);
	stream_resume(client.stream);
	TEST_UNTIL(&test,
		test_client_has(&client, "HTTP/1.1 200") && client.received.len > held.to_write);
	assert_true(held.drains > 0);
	assert_int_equal(held.written, held.to_write);
	test_client_close(&client);
	test_server_close(&test);
}

static void cuts_off_a_client_that_takes_nothing(void **state) {
	struct test_server test;
	struct test_client client;
	struct held held;

	(void)state;
	open_server(&test, &held);
	held.to_write = UINT64_C(64) << 20;
	test_client_open(&client, &test);
	stream_pause(client.stream);
	test_client_send(&client, "GET /big HTTP/1.1\r\nHost: x\r\n\r\n");
	TEST_UNTIL(&test, held.exchange);
	for (int i = 0; i < 2000; i++) {
		loop_run_once(test.loop);
	}
	test_advance(&test, HTTP_STALL_MS);
	test_advance(&test, HTTP_STALL_MS);
	TEST_UNTIL(&test, held.aborts > 0);
	exchange_fail(held.exchange);
	test_client_close(&client);
	test_server_close(&test);
}

static void answers_that_come_after_the_close_go_nowhere(void **state) {
	struct test_server test;
	struct test_client client;
	struct held held;

	(void)state;
	open_server(&test, &held);
	test_client_open(&client, &test);
	test_client_send(&client, "GET /hold HTTP/1.1\r\nHost: x\r\n\r\n");
	TEST_UNTIL(&test, held.exchange);
	http_server_close(test.server);
	test.server = NULL;
	TEST_UNTIL(&test, held.aborts > 0);
	TEST_UNTIL(&test, !client.stream);
	exchange_respond_text(held.exchange, 200, "too late");
	test_client_close(&client);
	test_server_close(&test);
}

static void counts_what_it_serves(void **state) {
	AUTO(buf_deinit) struct buf text = { 0 };
	struct test_server test;
	struct test_client client;
	struct held held;

	(void)state;
	open_server(&test, &held);
	test_client_open(&client, &test);
	test_client_send(&client, "GET /a HTTP/1.1\r\nHost: x\r\n\r\n"
				  "INVENTED /b HTTP/1.1\r\nHost: x\r\n\r\n"
				  "BROKEN\r\n");
	TEST_UNTIL(&test, !client.stream);
	metric_write(test.metrics, &text);
	assert_non_null(strstr(
		buf_text(&text), "atoll_http_requests_total{code=\"200\",method=\"GET\"} 1\n"));
	assert_non_null(strstr(
		buf_text(&text), "atoll_http_requests_total{code=\"200\",method=\"other\"} 1\n"));
	assert_non_null(strstr(
		buf_text(&text), "atoll_http_requests_total{code=\"400\",method=\"other\"} 1\n"));
	assert_non_null(
		strstr(buf_text(&text), "atoll_http_refusals_total{reason=\"malformed\"} 1\n"));
	test_client_close(&client);
	test_server_close(&test);
}

static void drops_headers_that_would_split_an_answer(void **state) {
	struct test_server test;
	struct test_client client;
	struct held held;

	(void)state;
	open_server(&test, &held);
	test_client_open(&client, &test);
	test_client_send(&client, "GET /hold HTTP/1.1\r\nHost: x\r\n\r\n");
	TEST_UNTIL(&test, held.exchange);
	exchange_header(held.exchange, STR("X-Bad"), STR("a\r\nX-Evil: b"));
	exchange_header(held.exchange, STR("X Bad"), STR("a"));
	exchange_header(held.exchange, STR("Content-Length"), STR("7"));
	exchange_header(held.exchange, STR("X-Good"), STR("c"));
	exchange_respond_text(held.exchange, 200, "done");
	TEST_UNTIL(&test, test_client_has(&client, "done"));
	assert_false(test_client_has(&client, "Evil"));
	assert_false(test_client_has(&client, "Bad"));
	assert_false(test_client_has(&client, "Length: 7"));
	assert_true(test_client_has(&client, "X-Good: c\r\n"));
	test_client_close(&client);
	test_server_close(&test);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(answers_one_request_after_another),
		TEST(answers_pipelined_requests_in_order),
		TEST(streams_in_chunks),
		TEST(ends_an_old_client_s_stream_by_closing),
		TEST(gives_no_body_to_head),
		TEST(refuses_and_closes),
		TEST(asks_for_the_body_when_the_client_waits),
		TEST(gives_up_on_a_slow_request),
		TEST(closes_an_idle_connection),
		TEST(tells_the_handler_when_the_client_goes_away),
		TEST(breaks_off_an_answer_that_fails),
		TEST(holds_little_for_a_reader_that_stops),
		TEST(cuts_off_a_client_that_takes_nothing),
		TEST(answers_that_come_after_the_close_go_nowhere),
		TEST(counts_what_it_serves),
		TEST(drops_headers_that_would_split_an_answer),
	};

	return TEST_RUN(tests);
}
