/*
 * For tests: a server and raw clients on one loop, with a clock that only the test moves.
 */
#ifndef HTTP_TEST_SERVER_H
#define HTTP_TEST_SERVER_H

#include "base/test.h"
#include "http/server.h"

#include <stdlib.h>
#include <time.h>

/* Real seconds that a condition may take on a busy machine. */
#define TEST_PATIENCE_S 60

struct test_server {
	struct clock clock;
	struct loop *loop;
	struct http_server *server; /* NULL once closed. */
	struct metric_registry *metrics;
};

/* A connection of raw bytes. */
struct test_client {
	struct test_server *server;
	struct stream *stream; /* NULL once closed. */
	bool is_open;
	struct buf received;
};

static inline void test_server_open(
	struct test_server *test, const struct http_server_options *options) {
	struct http_server_options all = *options;
	struct err err = { 0 };

	*test = (struct test_server){ 0 };
	clock_init_manual(&test->clock, INT64_C(1700000000000));
	test->loop = loop_new(&test->clock);
	test->metrics = metric_registry_new();
	all.host = "127.0.0.1";
	all.metrics = test->metrics;
	assert_ok(http_server_open(test->loop, &all, &test->server, &err), err);
}

static inline void test_server_close(struct test_server *test) {
	if (test->server) {
		http_server_close(test->server);
	}
	loop_free(test->loop);
	metric_registry_free(test->metrics);
}

/* Runs the loop until the condition holds; fails the test after TEST_PATIENCE_S real seconds. */
#define TEST_UNTIL(test, condition)                                                                \
	do {                                                                                       \
		time_t test_end = time(NULL) + TEST_PATIENCE_S;                                    \
		while (!(condition)) {                                                             \
			loop_run_once((test)->loop);                                               \
			if (time(NULL) > test_end) {                                               \
				fail_msg("not in time: %s", #condition);                           \
			}                                                                          \
		}                                                                                  \
	} while (0)

/* Moves the clock and lets what is due happen. */
static inline void test_advance(struct test_server *test, int64_t ms) {
	clock_advance_ms(&test->clock, ms);
	loop_wake(test->loop);
	loop_run_once(test->loop);
}

static inline void test_client_on_open(struct stream *stream) {
	struct test_client *client = stream_context(stream);
	client->is_open = true;
}

static inline void test_client_on_data(struct stream *stream, struct str bytes) {
	struct test_client *client = stream_context(stream);
	buf_add_str(&client->received, bytes);
}

static inline void test_client_on_drain(struct stream *stream) {
	(void)stream;
}

static inline void test_client_on_close(struct stream *stream, const struct err *reason) {
	struct test_client *client = stream_context(stream);

	(void)reason;
	client->stream = NULL;
}

/* Connects; on return the connection stands. */
static inline void test_client_open(struct test_client *client, struct test_server *test) {
	static const struct stream_ops ops = {
		.on_open = test_client_on_open,
		.on_data = test_client_on_data,
		.on_drain = test_client_on_drain,
		.on_close = test_client_on_close,
	};
	struct stream_options options = { .ops = &ops, .context = client };

	*client = (struct test_client){ .server = test };
	client->stream =
		stream_connect(test->loop, "127.0.0.1", http_server_port(test->server), &options);
	TEST_UNTIL(test, client->is_open || !client->stream);
	assert_non_null(client->stream);
}

static inline void test_client_send(struct test_client *client, const char *text) {
	stream_write(client->stream, text, strlen(text));
}

static inline bool test_client_has(const struct test_client *client, const char *text) {
	return strstr(buf_text(&client->received), text) != NULL;
}

static inline void test_client_close(struct test_client *client) {
	if (client->stream) {
		stream_abort(client->stream, NULL);
		TEST_UNTIL(client->server, !client->stream);
	}
	buf_deinit(&client->received);
}

#endif
