#include "io/stream.h"

#include "base/memory.h"
#include "base/test.h"
#include "io/test_folder.h"
#include "io/test_pair.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define MIB (1024U * 1024U)

/* Two connected ends on one loop. */
struct pair {
	struct clock clock;
	struct loop *loop;
	struct test_server server;
	struct test_end client;
};

static void pair_open(struct pair *pair) {
	clock_init_manual(&pair->clock, 0);
	pair->loop = loop_new(&pair->clock);
	test_server_open(&pair->server, pair->loop, NULL);
	test_end_connect(&pair->client, pair->loop, &pair->server, NULL);
	assert_int_equal(pair->client.opens, 0);
	TEST_RUN_UNTIL(pair->loop, pair->client.opens && pair->server.accepts);
}

static void pair_close(struct pair *pair) {
	test_end_deinit(&pair->client);
	test_end_deinit(&pair->server.end);
	listener_close(pair->server.listener);
	loop_free(pair->loop);
}

static void carries_bytes_both_ways_and_ends_orderly(void **state) {
	(void)state;
	struct pair pair = { 0 };
	pair_open(&pair);
	struct test_end *client = &pair.client;
	struct test_end *served = &pair.server.end;

	stream_write(client->stream, "hel", 3);
	stream_write(client->stream, "lo", 2);
	stream_write(served->stream, "welcome", 7);
	TEST_RUN_UNTIL(pair.loop, served->received.len == 5 && client->received.len == 7);
	assert_str_equal(buf_str(&served->received), STR("hello"));
	assert_int_equal(stream_received_bytes(served->stream), 5);
	assert_int_equal(stream_sent_bytes(client->stream), 5);
	assert_string_equal(stream_peer(client->stream)->identity, "");
	assert_non_null(strstr(stream_peer_address(served->stream), "127.0.0.1:"));

	stream_write(client->stream, "bye", 3);
	stream_close(client->stream);
	stream_write(client->stream, "not sent", 8);
	assert_int_equal(client->closes, 0);
	TEST_RUN_UNTIL(pair.loop, client->closes && served->closes);
	assert_true(client->was_orderly);
	assert_true(served->was_orderly);
	assert_str_equal(buf_str(&served->received), STR("hellobye"));
	pair_close(&pair);
}

static void keeps_the_queue_bounded_while_the_peer_does_not_read(void **state) {
	(void)state;
	struct pair pair = { 0 };
	pair_open(&pair);
	struct test_end *client = &pair.client;
	struct test_end *served = &pair.server.end;
	char *block = memory_alloc(1, 32768);
	size_t written = 0;

	stream_pause(served->stream);
	/* A well-behaved writer stops above the mark; the kernel takes what it can in between. */
	for (int round = 0; round < 2000; round++) {
		while (stream_pending(client->stream) <= STREAM_LOW_WATER) {
			stream_write(client->stream, block, 32768);
			written += 32768;
		}
		assert_true(stream_pending(client->stream) <= STREAM_LOW_WATER + 32768);
		loop_run_once(pair.loop);
		if (client->drains == 0 && round > 100) {
			break;
		}
		client->drains = 0;
	}
	assert_int_equal(served->received.len, 0);
	assert_true(stream_pending(client->stream) > STREAM_LOW_WATER);

	stream_resume(served->stream);
	TEST_RUN_UNTIL(pair.loop, served->received.len == written);
	assert_int_equal(client->drains, 1);
	assert_int_equal(stream_pending(client->stream), 0);
	free(block);
	pair_close(&pair);
}

static void cuts_off_a_writer_that_ignores_the_queue(void **state) {
	(void)state;
	struct pair pair = { 0 };
	pair_open(&pair);
	char *block = memory_alloc(1, MIB);

	stream_pause(pair.server.end.stream);
	for (int i = 0; i < 128; i++) {
		stream_write(pair.client.stream, block, MIB);
	}
	assert_int_equal(pair.client.closes, 0);
	TEST_RUN_UNTIL(pair.loop, pair.client.closes);
	assert_int_equal(pair.client.reason.code, ERR_LIMIT);
	free(block);
	pair_close(&pair);
}

static void carries_many_megabytes_unchanged(void **state) {
	(void)state;
	struct pair pair = { 0 };
	pair_open(&pair);
	struct test_end *served = &pair.server.end;
	size_t size = 5U * MIB + 12345;
	char *bytes = memory_alloc(1, size);

	for (size_t i = 0; i < size; i++) {
		bytes[i] = (char)(i * 2654435761U >> 13);
	}
	for (size_t at = 0; at < size; at += 70001) {
		stream_write(pair.client.stream, bytes + at, size - at < 70001 ? size - at : 70001);
	}
	stream_close(pair.client.stream);
	TEST_RUN_UNTIL(pair.loop, served->closes);
	assert_int_equal(served->received.len, size);
	assert_memory_equal(served->received.ptr, bytes, size);
	free(bytes);
	pair_close(&pair);
}

static void abort_in_its_own_callback(struct test_end *end) {
	struct err err = { 0 };
	(void)err_set(&err, ERR_CORRUPT, "not what I like");
	stream_abort(end->stream, &err);
	assert_int_equal(end->closes, 0);
	stream_write(end->stream, "x", 1);
	stream_close(end->stream);
	stream_abort(end->stream, NULL);
}

static void may_be_aborted_in_its_own_callback(void **state) {
	(void)state;
	struct pair pair = { 0 };
	pair_open(&pair);
	struct test_end *served = &pair.server.end;

	served->on_data = abort_in_its_own_callback;
	stream_write(pair.client.stream, "x", 1);
	TEST_RUN_UNTIL(pair.loop, served->closes && pair.client.closes);
	assert_int_equal(served->closes, 1);
	assert_int_equal(served->reason.code, ERR_CORRUPT);
	assert_string_equal(served->reason.text, "not what I like");
	pair_close(&pair);
}

static void close_in_its_own_callback(struct test_end *end) {
	stream_write(end->stream, "bye", 3);
	stream_close(end->stream);
}

static void may_be_closed_in_its_own_callback(void **state) {
	(void)state;
	struct pair pair = { 0 };
	pair_open(&pair);
	struct test_end *served = &pair.server.end;

	served->on_data = close_in_its_own_callback;
	stream_write(pair.client.stream, "x", 1);
	TEST_RUN_UNTIL(pair.loop, served->closes && pair.client.closes);
	assert_true(served->was_orderly && pair.client.was_orderly);
	assert_str_equal(buf_str(&pair.client.received), STR("bye"));
	pair_close(&pair);
}

static void tells_a_writer_that_the_peer_is_gone(void **state) {
	(void)state;
	struct pair pair = { 0 };
	pair_open(&pair);

	/* Unread bytes make the kernel answer with a reset instead of an orderly end. */
	stream_pause(pair.server.end.stream);
	loop_run_once(pair.loop);
	stream_write(pair.client.stream, "unread", 6);
	loop_run_once(pair.loop);
	stream_abort(pair.server.end.stream, NULL);
	TEST_RUN_UNTIL(pair.loop, pair.client.closes);
	assert_int_equal(pair.client.reason.code, ERR_CLOSED);
	assert_non_null(strstr(pair.client.reason.text, "reset"));
	pair_close(&pair);
}

static void ends_a_connection_that_idles(void **state) {
	(void)state;
	struct pair pair = { 0 };
	pair_open(&pair);
	struct test_end *served = &pair.server.end;

	stream_set_idle_timeout(pair.client.stream, 1000);
	clock_advance_ms(&pair.clock, 999);
	loop_run_once(pair.loop);
	stream_write(served->stream, "x", 1);
	TEST_RUN_UNTIL(pair.loop, pair.client.received.len == 1);
	clock_advance_ms(&pair.clock, 999);
	loop_run_once(pair.loop);
	loop_run_once(pair.loop);
	assert_int_equal(pair.client.closes, 0);
	clock_advance_ms(&pair.clock, 1);
	TEST_RUN_UNTIL(pair.loop, pair.client.closes);
	assert_int_equal(pair.client.reason.code, ERR_TIMEOUT);
	pair_close(&pair);
}

static void cuts_off_a_peer_that_takes_nothing_at_the_end(void **state) {
	(void)state;
	struct pair pair = { 0 };
	pair_open(&pair);
	char *block = memory_alloc(1, 16U * MIB);

	stream_pause(pair.server.end.stream);
	stream_write(pair.client.stream, block, 16U * MIB);
	stream_close(pair.client.stream);
	size_t before = 0;
	while (before != stream_pending(pair.client.stream)) {
		before = stream_pending(pair.client.stream);
		loop_run_once(pair.loop);
	}
	assert_true(before > 0);
	clock_advance_ms(&pair.clock, STREAM_CLOSE_TIMEOUT_MS);
	TEST_RUN_UNTIL(pair.loop, pair.client.closes);
	assert_int_equal(pair.client.reason.code, ERR_TIMEOUT);
	free(block);
	pair_close(&pair);
}

/* Binds a port that nobody listens on. Returns its descriptor. */
static int take_port(uint16_t *port) {
	struct sockaddr_in address = { .sin_family = AF_INET };
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, (void *)&address, len), 0);
	assert_int_equal(getsockname(fd, (void *)&address, &len), 0);
	*port = ntohs(address.sin_port);
	return fd;
}

static void says_why_it_could_not_connect(void **state) {
	(void)state;
	struct loop *loop = loop_new(clock_system());
	struct test_end end = { 0 };
	struct stream_options options = { .ops = &test_end_ops, .context = &end };
	uint16_t port = 0;
	int fd = take_port(&port);

	end.stream = stream_connect(loop, "127.0.0.1", port, &options);
	assert_int_equal(end.closes, 0);
	TEST_RUN_UNTIL(loop, end.closes);
	assert_int_equal(end.reason.code, ERR_IO);
	assert_non_null(strstr(end.reason.text, "connect to 127.0.0.1:"));
	assert_non_null(strstr(end.reason.text, "refused"));

	end.stream = stream_connect(loop, "no-such-host.invalid", 80, &options);
	TEST_RUN_UNTIL(loop, end.closes == 2);
	assert_int_equal(end.reason.code, ERR_IO);
	assert_non_null(strstr(end.reason.text, "no-such-host.invalid"));

	end.stream = stream_connect(loop, "/nonexistent/socket", 0, &options);
	TEST_RUN_UNTIL(loop, end.closes == 3);
	assert_non_null(strstr(end.reason.text, "/nonexistent/socket: No such file"));
	assert_int_equal(close(fd), 0);
	test_end_deinit(&end);
	loop_free(loop);
}

static void gives_up_connecting_in_time(void **state) {
	(void)state;
	struct clock clock;
	clock_init_manual(&clock, 0);
	struct loop *loop = loop_new(&clock);
	struct test_end ends[8] = { 0 };
	uint16_t port = 0;
	int fd = take_port(&port);
	size_t closed = 0;

	/* A full backlog: the kernel lets further connections wait. */
	assert_int_equal(listen(fd, 0), 0);
	for (size_t i = 0; i < ARRAY_COUNT(ends); i++) {
		struct stream_options options = {
			.ops = &test_end_ops, .context = &ends[i], .open_timeout_ms = 500
		};
		ends[i].stream = stream_connect(loop, "127.0.0.1", port, &options);
	}
	for (int i = 0; i < 50; i++) {
		loop_run_once(loop);
	}
	clock_advance_ms(&clock, 500);
	loop_run_once(loop);
	for (size_t i = 0; i < ARRAY_COUNT(ends); i++) {
		if (ends[i].closes > 0) {
			assert_int_equal(ends[i].reason.code, ERR_TIMEOUT);
			closed++;
		}
		test_end_deinit(&ends[i]);
	}
	assert_true(closed > 0);
	assert_int_equal(close(fd), 0);
	loop_free(loop);
}

static void may_be_given_up_while_it_looks_up_a_name(void **state) {
	(void)state;
	struct loop *loop = loop_new(clock_system());
	struct test_end end = { 0 };
	struct stream_options options = { .ops = &test_end_ops, .context = &end };

	end.stream = stream_connect(loop, "no-such-host.invalid", 80, &options);
	stream_abort(end.stream, NULL);
	loop_free(loop);
	assert_int_equal(end.closes, 1);
	test_end_deinit(&end);
}

static void the_loop_ends_what_is_left(void **state) {
	(void)state;
	struct pair pair = { 0 };
	pair_open(&pair);

	listener_close(pair.server.listener);
	loop_free(pair.loop);
	assert_int_equal(pair.client.closes, 1);
	assert_int_equal(pair.server.end.closes, 1);
	assert_int_equal(pair.client.reason.code, ERR_CANCELED);
	test_end_deinit(&pair.client);
	test_end_deinit(&pair.server.end);
}

static void resolves_localhost(void **state) {
	(void)state;
	struct loop *loop = loop_new(clock_system());
	struct test_server server = { 0 };
	struct test_end client = { 0 };
	struct stream_options options = { .ops = &test_end_ops, .context = &client };

	test_server_open(&server, loop, NULL);
	client.stream = stream_connect(loop, "localhost", listener_port(server.listener), &options);
	TEST_RUN_UNTIL(loop, client.opens && server.accepts);
	test_end_deinit(&client);
	test_end_deinit(&server.end);
	listener_close(server.listener);
	loop_free(loop);
}

static void leaves_more_connections_in_the_kernel(void **state) {
	(void)state;
	struct loop *loop = loop_new(clock_system());
	struct test_server server = { 0 };
	struct test_end ends[3] = { 0 };
	struct err err = { 0 };
	struct listener_options options = {
		.ops = &test_server_ops,
		.context = &server,
		.connections_max = 2,
	};

	assert_ok(listener_open(loop, "127.0.0.1", 0, &options, &server.listener, &err), err);
	for (size_t i = 0; i < ARRAY_COUNT(ends); i++) {
		test_end_connect(&ends[i], loop, &server, NULL);
	}
	TEST_RUN_UNTIL(loop, ends[0].opens && ends[1].opens && ends[2].opens);
	TEST_RUN_UNTIL(loop, server.accepts == 2);
	for (int i = 0; i < 50; i++) {
		loop_run_once(loop);
	}
	assert_int_equal(server.accepts, 2);
	stream_abort(server.end.stream, NULL);
	TEST_RUN_UNTIL(loop, server.accepts == 3);
	for (size_t i = 0; i < ARRAY_COUNT(ends); i++) {
		test_end_deinit(&ends[i]);
	}
	listener_close(server.listener);
	loop_free(loop);
	test_end_deinit(&server.end);
}

static void says_that_a_port_is_in_use(void **state) {
	(void)state;
	struct loop *loop = loop_new(clock_system());
	struct test_server server = { 0 };
	struct listener_options options = { .ops = &test_server_ops, .context = &server };
	struct listener *other = NULL;
	struct err err = { 0 };

	test_server_open(&server, loop, NULL);
	uint16_t port = listener_port(server.listener);
	assert_int_equal(listener_open(loop, "127.0.0.1", port, &options, &other, &err), ERR_IO);
	assert_non_null(strstr(err.text, "Address already in use"));
	assert_int_equal(
		listener_open(loop, "no address", port, &options, &other, &err), ERR_INVAL);
	listener_close(server.listener);
	assert_ok(listener_open(loop, "127.0.0.1", port, &options, &other, &err), err);
	listener_close(other);
	loop_free(loop);
}

static void serves_a_socket_file_of_its_owner_only(void **state) {
	(void)state;
	char folder[64];
	struct loop *loop = loop_new(clock_system());
	struct test_server server = { 0 };
	struct test_end client = { 0 };
	struct listener_options listen_options = { .ops = &test_server_ops, .context = &server };
	struct stream_options options = { .ops = &test_end_ops, .context = &client };
	struct listener *second = NULL;
	struct err err = { 0 };
	struct stat info;
	AUTO(buf_deinit) struct buf path = { 0 };
	AUTO(buf_deinit) struct buf stale = { 0 };

	test_folder_make(folder);
	const char *socket_path = test_folder_path(&path, folder, "socket");
	assert_ok(
		listener_open(loop, socket_path, 0, &listen_options, &server.listener, &err), err);
	assert_int_equal(stat(socket_path, &info), 0);
	assert_int_equal(info.st_mode & 0777, 0600);
	assert_int_equal(
		listener_open(loop, socket_path, 0, &listen_options, &second, &err), ERR_IO);
	client.stream = stream_connect(loop, socket_path, 0, &options);
	TEST_RUN_UNTIL(loop, client.opens && server.accepts);
	assert_string_equal(stream_peer_address(server.end.stream), "unix");
	stream_write(client.stream, "x", 1);
	TEST_RUN_UNTIL(loop, server.end.received.len == 1);

	/* One that its owner left behind is replaced. */
	assert_int_equal(link(socket_path, test_folder_path(&stale, folder, "stale")), 0);
	listener_close(server.listener);
	assert_ok(listener_open(loop, buf_text(&stale), 0, &listen_options, &second, &err), err);
	listener_close(second);
	assert_false(path_exists(buf_text(&stale)));
	test_end_deinit(&client);
	test_end_deinit(&server.end);
	loop_free(loop);
	test_folder_remove(folder);
}

static void close_the_listener(struct listener *listener, struct stream *stream) {
	struct test_server *server = listener_context(listener);
	server->end.stream = stream;
	server->accepts++;
	stream_set_ops(stream, &test_end_ops, &server->end);
	listener_close(listener);
	server->listener = NULL;
}

static void a_listener_may_be_closed_in_its_own_callback(void **state) {
	(void)state;
	static const struct listener_ops ops = { .on_accept = close_the_listener };
	struct loop *loop = loop_new(clock_system());
	struct test_server server = { 0 };
	struct test_end client = { 0 };
	struct listener_options options = { .ops = &ops, .context = &server };
	struct err err = { 0 };

	assert_ok(listener_open(loop, "127.0.0.1", 0, &options, &server.listener, &err), err);
	test_end_connect(&client, loop, &server, NULL);
	TEST_RUN_UNTIL(loop, server.accepts == 1);
	stream_write(server.end.stream, "still here", 10);
	TEST_RUN_UNTIL(loop, client.received.len == 10);
	test_end_deinit(&client);
	test_end_deinit(&server.end);
	loop_free(loop);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(carries_bytes_both_ways_and_ends_orderly),
		TEST(keeps_the_queue_bounded_while_the_peer_does_not_read),
		TEST(cuts_off_a_writer_that_ignores_the_queue),
		TEST(carries_many_megabytes_unchanged),
		TEST(may_be_aborted_in_its_own_callback),
		TEST(may_be_closed_in_its_own_callback),
		TEST(tells_a_writer_that_the_peer_is_gone),
		TEST(ends_a_connection_that_idles),
		TEST(cuts_off_a_peer_that_takes_nothing_at_the_end),
		TEST(says_why_it_could_not_connect),
		TEST(gives_up_connecting_in_time),
		TEST(may_be_given_up_while_it_looks_up_a_name),
		TEST(the_loop_ends_what_is_left),
		TEST(resolves_localhost),
		TEST(leaves_more_connections_in_the_kernel),
		TEST(says_that_a_port_is_in_use),
		TEST(serves_a_socket_file_of_its_owner_only),
		TEST(a_listener_may_be_closed_in_its_own_callback),
	};
	return TEST_RUN(tests);
}
