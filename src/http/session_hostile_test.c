/*
 * Peers that speak HTTP/2 with bad intent: what a server of ours and a session of ours bear, and
 * where they end the connection.
 */
#include "http/test_linked.h"

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
