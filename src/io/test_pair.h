/*
 * For tests: streams and listeners that write down what happens to them.
 */
#ifndef IO_TEST_PAIR_H
#define IO_TEST_PAIR_H

#include "base/buf.h"
#include "base/test.h"
#include "io/stream.h"

/* Longer than any working test takes; a test that hangs fails here. */
#define TEST_PATIENCE_NS (INT64_C(60) * NS_PER_S)

/* One end of a connection. */
struct test_end {
	struct stream *stream; /* NULL before and after. */
	struct buf received;
	int opens;
	int drains;
	int closes;
	bool was_orderly;
	struct err reason;
	void (*on_data)(struct test_end *end); /* May be NULL. */
};

/* A listener with the last connection it accepted. */
struct test_server {
	struct listener *listener;
	struct test_end end;
	int accepts;
	int refusals;
	struct err refusal;
};

/* Runs the loop until 'condition' holds. */
#define TEST_RUN_UNTIL(loop, condition)                                                            \
	do {                                                                                       \
		int64_t test_until = clock_mono_ns(clock_system()) + TEST_PATIENCE_NS;             \
		while (!(condition)) {                                                             \
			if (clock_mono_ns(clock_system()) > test_until) {                          \
				fail_msg("still not: %s", #condition);                             \
			}                                                                          \
			loop_run_once(loop);                                                       \
		}                                                                                  \
	} while (0)

static inline void test_end_opened(struct stream *stream) {
	struct test_end *end = stream_context(stream);
	end->opens++;
}

static inline void test_end_data(struct stream *stream, struct str bytes) {
	struct test_end *end = stream_context(stream);
	buf_add_str(&end->received, bytes);
	if (end->on_data) {
		end->on_data(end);
	}
}

static inline void test_end_drained(struct stream *stream) {
	struct test_end *end = stream_context(stream);
	end->drains++;
}

static inline void test_end_closed(struct stream *stream, const struct err *reason) {
	struct test_end *end = stream_context(stream);
	end->stream = NULL;
	end->closes++;
	end->was_orderly = !reason;
	if (reason) {
		end->reason = *reason;
	}
}

static const struct stream_ops test_end_ops = {
	.on_open = test_end_opened,
	.on_data = test_end_data,
	.on_drain = test_end_drained,
	.on_close = test_end_closed,
};

static inline void test_server_accepted(struct listener *listener, struct stream *stream) {
	struct test_server *server = listener_context(listener);
	server->accepts++;
	server->end.stream = stream;
	stream_set_ops(stream, &test_end_ops, &server->end);
}

static inline void test_server_refused(
	struct listener *listener, const char *peer_address, const struct err *reason) {
	struct test_server *server = listener_context(listener);
	assert_non_null(peer_address);
	server->refusals++;
	server->refusal = *reason;
}

static const struct listener_ops test_server_ops = {
	.on_accept = test_server_accepted,
	.on_refuse = test_server_refused,
};

/* Listens on a port of the system's choice. */
static inline void test_server_open(
	struct test_server *server, struct loop *loop, const struct tls_options *tls) {
	struct err err = { 0 };
	struct listener_options options = {
		.ops = &test_server_ops,
		.context = server,
		.tls = tls,
	};
	assert_ok(listener_open(loop, "127.0.0.1", 0, &options, &server->listener, &err), err);
	assert_true(listener_port(server->listener) > 0);
}

/* Connects to it. */
static inline void test_end_connect(struct test_end *end, struct loop *loop,
	const struct test_server *server, const struct tls_options *tls) {
	struct stream_options options = { .ops = &test_end_ops, .context = end, .tls = tls };
	end->stream = stream_connect(loop, "127.0.0.1", listener_port(server->listener), &options);
}

static inline void test_end_deinit(struct test_end *end) {
	if (end->stream) {
		stream_abort(end->stream, NULL);
	}
	buf_deinit(&end->received);
}

#endif
