#include "io/tls.h"

#include "base/memory.h"
#include "base/test.h"
#include "base/thread.h"
#include "io/test_pair.h"
#include "io/test_tls.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

static const char *const alpn_h2[] = { "h2", NULL };
static const char *const alpn_both[] = { "h2", "http/1.1", NULL };
static const char *const alpn_other[] = { "atoll-other", NULL };

/* A root, an issuer below it, and a root that nobody trusts. */
struct world {
	struct clock clock;
	struct loop *loop;
	struct test_cert root;
	struct test_cert issuer;
	struct test_cert stranger;
	struct test_cert server_leaf;
	struct tls_slot *server_slot;
	struct tls_options server_tls;
	struct test_server server;
	struct test_end client;
	struct tls_slot *client_slot;
	struct tls_options client_tls;
};

static struct tls_slot *slot_of(struct world *world, const struct test_cert *leaf,
	const struct test_cert *anchor, tls_verify_fn *verify) {
	struct tls_identity *identity =
		test_identity(leaf, &world->issuer, anchor, &world->clock, verify, world);
	struct tls_slot *slot = tls_slot_new(identity);
	tls_identity_unref(identity);
	return slot;
}

static void world_init(struct world *world, tls_verify_fn *server_verify) {
	clock_init_manual(&world->clock, TEST_NOW_MS);
	world->loop = loop_new(&world->clock);
	world->root = test_cert_make(&(struct test_cert_options){ .name = "root",
		.is_authority = true,
		.not_after_ms = TEST_NOW_MS + 9 * TEST_DAY_MS });
	world->stranger = test_cert_make(
		&(struct test_cert_options){ .name = "stranger", .is_authority = true });
	world->issuer = test_cert_make(&(struct test_cert_options){ .name = "issuer",
		.issuer = &world->root,
		.is_authority = true,
		.not_after_ms = TEST_NOW_MS + 5 * TEST_DAY_MS });
	world->server_leaf = test_cert_make(&(struct test_cert_options){ .name = "server.test",
		.issuer = &world->issuer,
		.not_after_ms = TEST_NOW_MS + 6 * TEST_DAY_MS });
	world->server_slot = slot_of(world, &world->server_leaf, &world->root, server_verify);
	world->server_tls = (struct tls_options){ .slot = world->server_slot, .alpn = alpn_both };
}

static void world_serve(struct world *world) {
	test_server_open(&world->server, world->loop, &world->server_tls);
}

/* A client with a certificate of these options (issued by the issuer unless they say). */
static void world_client(
	struct world *world, struct test_cert_options options, const struct test_cert *anchor) {
	options.issuer = options.issuer ? options.issuer : &world->issuer;
	struct test_cert leaf = test_cert_make(&options);
	world->client_slot = slot_of(world, &leaf, anchor, NULL);
	world->client_tls = (struct tls_options){ .slot = world->client_slot, .alpn = alpn_h2 };
	test_cert_free(&leaf);
}

static void world_connect(struct world *world) {
	test_end_connect(&world->client, world->loop, &world->server, &world->client_tls);
}

static void world_deinit(struct world *world) {
	test_end_deinit(&world->client);
	test_end_deinit(&world->server.end);
	listener_close(world->server.listener);
	loop_free(world->loop);
	tls_slot_free(world->server_slot);
	tls_slot_free(world->client_slot);
	test_cert_free(&world->root);
	test_cert_free(&world->issuer);
	test_cert_free(&world->stranger);
	test_cert_free(&world->server_leaf);
}

static void knows_its_peer_and_carries_bytes(void **state) {
	(void)state;
	struct world world = { 0 };
	world_init(&world, NULL);
	world_serve(&world);
	world_client(&world, (struct test_cert_options){ .name = "client.test" }, &world.root);
	world.client_tls.expect_identity = "server.test";
	world.client_tls.server_name = "server.test";
	world_connect(&world);
	TEST_RUN_UNTIL(world.loop, world.client.opens && world.server.accepts);

	struct test_end *served = &world.server.end;
	const struct tls_peer *peer = stream_peer(served->stream);
	assert_string_equal(peer->identity, "client.test");
	assert_string_equal(peer->alpn, "h2");
	assert_int_equal(peer->not_after_ms, TEST_NOW_MS + TEST_DAY_MS);
	peer = stream_peer(world.client.stream);
	assert_string_equal(peer->identity, "server.test");
	assert_int_equal(peer->not_after_ms, TEST_NOW_MS + 6 * TEST_DAY_MS);
	assert_int_equal(peer->chain_not_after_ms, TEST_NOW_MS + 5 * TEST_DAY_MS);

	stream_write(world.client.stream, "ques", 4);
	stream_write(world.client.stream, "tion", 4);
	stream_write(served->stream, "answer", 6);
	TEST_RUN_UNTIL(world.loop, served->received.len == 8 && world.client.received.len == 6);
	assert_str_equal(buf_str(&served->received), STR("question"));
	stream_close(world.client.stream);
	TEST_RUN_UNTIL(world.loop, world.client.closes && served->closes);
	assert_true(world.client.was_orderly && served->was_orderly);
	world_deinit(&world);
}

static void carries_many_megabytes_with_pauses(void **state) {
	(void)state;
	struct world world = { 0 };
	size_t size = (size_t)8 * 1024 * 1024 + 321;
	char *bytes = memory_alloc(1, size);
	world_init(&world, NULL);
	world_serve(&world);
	world_client(&world, (struct test_cert_options){ .name = "client.test" }, &world.root);
	world_connect(&world);
	TEST_RUN_UNTIL(world.loop, world.client.opens && world.server.accepts);
	struct test_end *served = &world.server.end;

	for (size_t i = 0; i < size; i++) {
		bytes[i] = (char)(i * 2654435761U >> 11);
	}
	stream_write(world.client.stream, bytes, size);
	stream_close(world.client.stream);
	for (int i = 0; !served->closes; i++) {
		assert_true(i < 1000000);
		if (i % 3 == 0) {
			stream_pause(served->stream);
		} else {
			stream_resume(served->stream);
		}
		loop_run_once(world.loop);
	}
	assert_int_equal(served->received.len, size);
	assert_memory_equal(served->received.ptr, bytes, size);
	assert_true(served->was_orderly);
	free(bytes);
	world_deinit(&world);
}

static void keeps_the_queue_bounded_while_the_peer_does_not_read(void **state) {
	(void)state;
	struct world world = { 0 };
	world_init(&world, NULL);
	world_serve(&world);
	world_client(&world, (struct test_cert_options){ .name = "client.test" }, &world.root);
	world_connect(&world);
	TEST_RUN_UNTIL(world.loop, world.client.opens && world.server.accepts);
	char *block = memory_alloc(1, 32768);
	size_t written = 0;

	stream_pause(world.server.end.stream);
	for (int round = 0; round < 300; round++) {
		while (stream_pending(world.client.stream) <= STREAM_LOW_WATER) {
			stream_write(world.client.stream, block, 32768);
			written += 32768;
		}
		assert_true(stream_pending(world.client.stream) <= 256U * 1024U);
		loop_run_once(world.loop);
	}
	world.client.drains = 0;
	stream_resume(world.server.end.stream);
	TEST_RUN_UNTIL(world.loop, world.server.end.received.len == written);
	assert_int_equal(world.client.drains, 1);
	free(block);
	world_deinit(&world);
}

/* Connects a client that the server has to refuse, and returns the server's reason. */
static const char *refusal_of(
	struct world *world, struct test_cert_options options, struct err *told) {
	world_serve(world);
	world_client(world, options, &world->root);
	world_connect(world);
	TEST_RUN_UNTIL(world->loop, world->server.refusals && world->client.closes);
	assert_int_equal(world->server.accepts, 0);
	assert_int_equal(world->server.refusals, 1);
	assert_int_equal(world->server.refusal.code, ERR_DENIED);
	assert_int_equal(world->client.reason.code, ERR_DENIED);
	*told = world->client.reason;
	return world->server.refusal.text;
}

static void refuses_a_client_of_a_stranger(void **state) {
	(void)state;
	struct world world = { 0 };
	struct err told = { 0 };
	world_init(&world, NULL);
	struct test_cert_options options = { .name = "evil.test", .issuer = &world.stranger };
	const char *reason = refusal_of(&world, options, &told);
	assert_string_equal(reason, "certificate of peer \"evil.test\" refused: "
				    "unable to get local issuer certificate; it is "
				    "signed by \"stranger\", we trust \"root\"");
	assert_non_null(strstr(told.text, "peer refused us: tlsv1 alert unknown ca"));
	world_deinit(&world);
}

static void refuses_an_expired_client(void **state) {
	(void)state;
	struct world world = { 0 };
	struct err told = { 0 };
	world_init(&world, NULL);
	struct test_cert_options options = { .name = "old.test",
		.not_after_ms = TEST_NOW_MS - 1000 };
	const char *reason = refusal_of(&world, options, &told);
	assert_non_null(strstr(reason, "certificate has expired"));
	assert_non_null(strstr(told.text, "certificate expired"));
	world_deinit(&world);
}

static void refuses_a_server_certificate_from_a_client(void **state) {
	(void)state;
	struct world world = { 0 };
	struct err told = { 0 };
	world_init(&world, NULL);
	struct test_cert_options options = { .name = "server.test", .usage = "serverAuth" };
	const char *reason = refusal_of(&world, options, &told);
	assert_non_null(strstr(reason, "purpose"));
	world_deinit(&world);
}

static void judges_expiry_by_its_own_clock_at_each_handshake(void **state) {
	(void)state;
	struct world world = { 0 };
	world_init(&world, NULL);
	world_serve(&world);
	world_client(&world, (struct test_cert_options){ .name = "client.test" }, &world.root);
	world_connect(&world);
	TEST_RUN_UNTIL(world.loop, world.client.opens && world.server.accepts);
	stream_abort(world.client.stream, NULL);
	TEST_RUN_UNTIL(world.loop, world.client.closes && world.server.end.closes);

	clock_advance_ms(&world.clock, TEST_DAY_MS + 1000);
	world_connect(&world);
	TEST_RUN_UNTIL(world.loop, world.server.refusals);
	assert_non_null(strstr(world.server.refusal.text, "certificate has expired"));
	world_deinit(&world);
}

static int deny_all(void *context, const struct str *chain_der, size_t count, bool peer_is_client,
	char *identity, size_t size, struct err *err) {
	const struct world *world = context;
	(void)identity;
	assert_true(size >= 256);
	assert_non_null(world->loop);
	assert_true(peer_is_client);
	assert_int_equal(count, 3);
	for (size_t i = 0; i < count; i++) {
		assert_true(chain_der[i].len > 100 && chain_der[i].ptr[0] == 0x30);
	}
	return err_set(err, ERR_DENIED, "not on the list");
}

static void the_callers_rules_come_on_top(void **state) {
	(void)state;
	struct world world = { 0 };
	struct err told = { 0 };
	world_init(&world, deny_all);
	struct test_cert_options options = { .name = "client.test" };
	assert_string_equal(refusal_of(&world, options, &told), "not on the list");
	world_deinit(&world);
}

static void a_client_refuses_a_server_of_another_name(void **state) {
	(void)state;
	struct world world = { 0 };
	world_init(&world, NULL);
	world_serve(&world);
	world_client(&world, (struct test_cert_options){ .name = "client.test" }, &world.root);
	world.client_tls.expect_identity = "other.test";
	world_connect(&world);
	TEST_RUN_UNTIL(world.loop, world.client.closes && world.server.refusals);
	assert_int_equal(world.client.opens, 0);
	assert_int_equal(world.client.reason.code, ERR_DENIED);
	assert_string_equal(
		world.client.reason.text, "peer is \"server.test\", expected \"other.test\"");
	world_deinit(&world);
}

static void a_client_refuses_an_unknown_anchor(void **state) {
	(void)state;
	struct world world = { 0 };
	world_init(&world, NULL);
	world_serve(&world);
	world_client(&world, (struct test_cert_options){ .name = "client.test" }, &world.stranger);
	world_connect(&world);
	TEST_RUN_UNTIL(world.loop, world.client.closes && world.server.refusals);
	assert_int_equal(world.client.reason.code, ERR_DENIED);
	assert_string_equal(world.client.reason.text,
		"certificate of issuer \"/CN=issuer\" refused: "
		"unable to get local issuer certificate; it is signed by \"root\", we trust "
		"\"stranger\"");
	assert_non_null(strstr(world.server.refusal.text, "peer refused us"));
	world_deinit(&world);
}

static void refuses_a_peer_without_a_common_protocol(void **state) {
	(void)state;
	struct world world = { 0 };
	world_init(&world, NULL);
	world_serve(&world);
	world_client(&world, (struct test_cert_options){ .name = "client.test" }, &world.root);
	world.client_tls.alpn = alpn_other;
	world_connect(&world);
	TEST_RUN_UNTIL(world.loop, world.client.closes && world.server.refusals);
	assert_non_null(strstr(world.server.refusal.text, "none of our protocols"));
	assert_int_equal(world.client.reason.code, ERR_DENIED);

	/* And one that names no protocol at all. */
	world.client_tls.alpn = NULL;
	world_connect(&world);
	TEST_RUN_UNTIL(world.loop, world.server.refusals == 2);
	assert_int_equal(world.server.refusal.code, ERR_DENIED);
	assert_non_null(strstr(world.server.refusal.text, "none of our protocols"));
	assert_int_equal(world.server.accepts, 0);
	world_deinit(&world);
}

static int connect_raw(uint16_t port) {
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(connect(fd, (void *)&address, sizeof(address)), 0);
	return fd;
}

static void gives_a_silent_peer_only_so_long(void **state) {
	(void)state;
	struct world world = { 0 };
	world_init(&world, NULL);
	world_serve(&world);
	int fd = connect_raw(listener_port(world.server.listener));
	for (int i = 0; i < 20; i++) {
		loop_run_once(world.loop);
	}
	assert_int_equal(world.server.refusals, 0);
	clock_advance_ms(&world.clock, 10000);
	TEST_RUN_UNTIL(world.loop, world.server.refusals);
	assert_int_equal(world.server.refusal.code, ERR_TIMEOUT);
	assert_int_equal(close(fd), 0);
	world_deinit(&world);
}

/* As many as the listener lets begin, and one who means it. */
static void silent_peers_do_not_keep_others_out(void **state) {
	(void)state;
	struct world world = { 0 };
	int silent[256];
	world_init(&world, NULL);
	world_serve(&world);
	for (size_t i = 0; i < ARRAY_COUNT(silent); i++) {
		silent[i] = connect_raw(listener_port(world.server.listener));
		loop_run_once(world.loop);
	}
	world_client(&world, (struct test_cert_options){ .name = "client.test" }, &world.root);
	world_connect(&world);
	for (int i = 0; i < 20; i++) {
		loop_run_once(world.loop);
	}
	assert_int_equal(world.server.accepts, 0);
	clock_advance_ms(&world.clock, 1000);
	TEST_RUN_UNTIL(world.loop, world.server.accepts);
	assert_int_equal(world.server.refusals, 1);
	assert_int_equal(world.server.refusal.code, ERR_TIMEOUT);
	assert_non_null(strstr(world.server.refusal.text, "when its place was needed"));
	for (size_t i = 0; i < ARRAY_COUNT(silent); i++) {
		assert_int_equal(close(silent[i]), 0);
	}
	world_deinit(&world);
}

static void refuses_what_is_not_tls(void **state) {
	(void)state;
	struct world world = { 0 };
	world_init(&world, NULL);
	world_serve(&world);
	int fd = connect_raw(listener_port(world.server.listener));
	assert_int_equal(write(fd, "GET / HTTP/1.1\r\n\r\n", 18), 18);
	TEST_RUN_UNTIL(world.loop, world.server.refusals);
	assert_int_equal(world.server.refusal.code, ERR_IO);
	assert_non_null(strstr(world.server.refusal.text, "TLS handshake: http request"));
	assert_int_equal(close(fd), 0);
	world_deinit(&world);
}

static void tells_of_a_peer_that_leaves_during_the_handshake(void **state) {
	(void)state;
	struct world world = { 0 };
	world_init(&world, NULL);
	world_serve(&world);
	int fd = connect_raw(listener_port(world.server.listener));
	assert_int_equal(write(fd, "\x16\x03\x01\x00", 4), 4);
	loop_run_once(world.loop);
	assert_int_equal(close(fd), 0);
	TEST_RUN_UNTIL(world.loop, world.server.refusals);
	assert_int_equal(world.server.refusal.code, ERR_CLOSED);
	assert_non_null(strstr(world.server.refusal.text, "during the handshake"));
	world_deinit(&world);
}

/* A client of OpenSSL's own on a blocking socket, run by its thread. */
struct foreign {
	uint16_t port;
	int version; /* 0: any. */
	_Atomic int done;
};

static void run_foreign(void *context) {
	struct foreign *foreign = context;
	SSL_CTX *ssl_context = SSL_CTX_new(TLS_client_method());
	if (foreign->version) {
		(void)SSL_CTX_set_max_proto_version(ssl_context, foreign->version);
	}
	SSL *ssl = SSL_new(ssl_context);
	int fd = connect_raw(foreign->port);
	char byte = 0;
	(void)SSL_set_fd(ssl, fd);
	(void)SSL_set_alpn_protos(ssl, (const unsigned char *)"\x02h2", 3);
	if (SSL_connect(ssl) == 1) {
		(void)SSL_read(ssl, &byte, 1);
	}
	SSL_free(ssl);
	(void)close(fd);
	SSL_CTX_free(ssl_context);
	ERR_clear_error();
	foreign->done = 1;
}

static void refused_foreigner(int version, const char *reason, int code) {
	struct world world = { 0 };
	struct foreign foreign = { .version = version };
	world_init(&world, NULL);
	world_serve(&world);
	foreign.port = listener_port(world.server.listener);
	pthread_t thread = thread_start(THREAD_QUERY, "foreign", run_foreign, &foreign);
	TEST_RUN_UNTIL(world.loop, world.server.refusals && foreign.done);
	thread_join(thread);
	assert_int_equal(world.server.accepts, 0);
	assert_int_equal(world.server.refusal.code, code);
	assert_non_null(strstr(world.server.refusal.text, reason));
	world_deinit(&world);
}

static void refuses_a_client_without_a_certificate(void **state) {
	(void)state;
	refused_foreigner(0, "peer sent no certificate", ERR_DENIED);
}

static void refuses_an_older_protocol(void **state) {
	(void)state;
	refused_foreigner(TLS1_2_VERSION, "unsupported protocol", ERR_IO);
}

static void a_cut_without_farewell_is_no_orderly_end(void **state) {
	(void)state;
	struct world world = { 0 };
	world_init(&world, NULL);
	world_serve(&world);
	world_client(&world, (struct test_cert_options){ .name = "client.test" }, &world.root);
	world_connect(&world);
	TEST_RUN_UNTIL(world.loop, world.client.opens && world.server.accepts);
	stream_abort(world.client.stream, NULL);
	TEST_RUN_UNTIL(world.loop, world.server.end.closes);
	assert_int_equal(world.server.end.reason.code, ERR_CLOSED);
	world_deinit(&world);
}

static void new_handshakes_use_the_swapped_identity(void **state) {
	(void)state;
	struct world world = { 0 };
	world_init(&world, NULL);
	world_serve(&world);
	world_client(&world, (struct test_cert_options){ .name = "client.test" }, &world.root);
	struct test_end first = { 0 };
	test_end_connect(&first, world.loop, &world.server, &world.client_tls);
	TEST_RUN_UNTIL(world.loop, first.opens && world.server.accepts);
	struct stream *served = world.server.end.stream;

	struct test_cert_options options = { .name = "renewed.test", .issuer = &world.issuer };
	struct test_cert leaf = test_cert_make(&options);
	struct tls_identity *identity =
		test_identity(&leaf, &world.issuer, &world.root, &world.clock, NULL, NULL);
	tls_slot_swap(world.client_slot, identity);
	assert_int_equal(tls_identity_not_after_ms(identity), TEST_NOW_MS + TEST_DAY_MS);
	assert_int_equal(tls_identity_chain_not_after_ms(identity), TEST_NOW_MS + TEST_DAY_MS);
	tls_identity_unref(identity);
	test_cert_free(&leaf);
	world_connect(&world);
	TEST_RUN_UNTIL(world.loop, world.client.opens && world.server.accepts == 2);
	assert_string_equal(stream_peer(world.server.end.stream)->identity, "renewed.test");
	assert_string_equal(stream_peer(served)->identity, "client.test");
	stream_abort(first.stream, NULL);
	TEST_RUN_UNTIL(world.loop, first.closes && world.server.end.closes);
	world.server.end.stream = NULL;
	test_end_deinit(&first);
	world_deinit(&world);
}

static void refuses_identities_that_do_not_fit_together(void **state) {
	(void)state;
	struct world world = { 0 };
	world_init(&world, NULL);
	AUTO(buf_deinit) struct buf chain = { 0 };
	AUTO(buf_deinit) struct buf key = { 0 };
	AUTO(buf_deinit) struct buf anchors = { 0 };
	struct tls_identity *identity = NULL;
	struct err err = { 0 };
	test_cert_pem(&world.server_leaf, &chain);
	test_key_pem(&world.issuer, &key);
	test_cert_pem(&world.root, &anchors);

	assert_int_equal(tls_identity_new(buf_str(&chain), buf_str(&key), buf_str(&anchors),
				 &world.clock, NULL, &identity, &err),
		ERR_INVAL);
	assert_string_equal(
		err.text, "private key does not belong to the certificate: key values mismatch");
	assert_int_equal(tls_identity_new(STR("nothing"), buf_str(&key), buf_str(&anchors),
				 &world.clock, NULL, &identity, &err),
		ERR_INVAL);
	assert_string_equal(err.text, "certificate chain: no certificate in PEM form");
	buf_reset(&key);
	test_key_pem(&world.server_leaf, &key);
	assert_int_equal(tls_identity_new(buf_str(&chain), STR("x"), buf_str(&anchors),
				 &world.clock, NULL, &identity, &err),
		ERR_INVAL);
	buf_add_text(&chain, "-----BEGIN CERTIFICATE-----\nZm9v\n-----END CERTIFICATE-----\n");
	assert_int_equal(tls_identity_new(buf_str(&chain), buf_str(&key), buf_str(&anchors),
				 &world.clock, NULL, &identity, &err),
		ERR_INVAL);
	assert_string_equal(err.text, "certificate chain: certificate 2 is malformed");
	assert_null(identity);
	tls_slot_free(world.server_slot);
	world.server_slot = NULL;
	world_deinit(&world);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(knows_its_peer_and_carries_bytes),
		TEST(carries_many_megabytes_with_pauses),
		TEST(keeps_the_queue_bounded_while_the_peer_does_not_read),
		TEST(refuses_a_client_of_a_stranger),
		TEST(refuses_an_expired_client),
		TEST(refuses_a_server_certificate_from_a_client),
		TEST(judges_expiry_by_its_own_clock_at_each_handshake),
		TEST(the_callers_rules_come_on_top),
		TEST(a_client_refuses_a_server_of_another_name),
		TEST(a_client_refuses_an_unknown_anchor),
		TEST(refuses_a_peer_without_a_common_protocol),
		TEST(gives_a_silent_peer_only_so_long),
		TEST(silent_peers_do_not_keep_others_out),
		TEST(refuses_what_is_not_tls),
		TEST(tells_of_a_peer_that_leaves_during_the_handshake),
		TEST(refuses_a_client_without_a_certificate),
		TEST(refuses_an_older_protocol),
		TEST(a_cut_without_farewell_is_no_orderly_end),
		TEST(new_handshakes_use_the_swapped_identity),
		TEST(refuses_identities_that_do_not_fit_together),
	};
	return TEST_RUN(tests);
}
