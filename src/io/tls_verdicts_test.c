#include "io/tls_verdicts.h"

#include "base/memory.h"
#include "base/test.h"
#include "io/test_tls.h"
#include "io/tls_session.h"

/* A server whose rules count and can turn against a peer, and what signs its clients. */
struct world {
	struct clock clock;
	struct clock client_clock; /* Stands still. */
	struct test_cert root;
	struct test_cert stranger;
	struct test_cert issuer;
	struct test_cert server_leaf;
	struct test_cert client_leaf;
	struct tls_slot *server;
	struct tls_slot *client;
	int verified;
	int admitted;
	bool is_denied;
	struct tls_peer peer; /* As the server knew it last. */
};

static int count_verified(void *context, const struct str *chain_der, size_t count,
	bool peer_is_client, char *identity, size_t size, struct err *err) {
	(void)chain_der, (void)count, (void)peer_is_client, (void)err;
	((struct world *)context)->verified++;
	(void)snprintf(identity, size, "judged.test");
	return 0;
}

static int count_admitted(void *context, const struct tls_peer *peer, struct err *err) {
	struct world *world = context;
	assert_string_equal(peer->identity, "judged.test");
	assert_true(strlen(peer->serial) > 0 && strlen(peer->issuer_digest) == 64);
	world->admitted++;
	return world->is_denied ? err_set(err, ERR_DENIED, "is revoked: its name") : 0;
}

static struct tls_slot *slot_of(struct world *world, const struct test_cert *leaf,
	const struct test_cert *anchor, const struct tls_rules *rules) {
	AUTO(buf_deinit) struct buf chain = { 0 };
	AUTO(buf_deinit) struct buf key = { 0 };
	AUTO(buf_deinit) struct buf anchors = { 0 };
	struct tls_identity *identity = NULL;
	struct err err = { 0 };
	test_cert_pem(leaf, &chain);
	test_cert_pem(&world->issuer, &chain);
	test_key_pem(leaf, &key);
	test_cert_pem(anchor, &anchors);
	assert_ok(tls_identity_new(buf_str(&chain), buf_str(&key), buf_str(&anchors),
			  rules ? &world->clock : &world->client_clock, rules, &identity, &err),
		err);
	struct tls_slot *slot = tls_slot_new(identity);
	tls_identity_unref(identity);
	return slot;
}

static void world_init(struct world *world) {
	const struct tls_rules rules = { count_verified, count_admitted, world };
	clock_init_manual(&world->clock, TEST_NOW_MS);
	clock_init_manual(&world->client_clock, TEST_NOW_MS);
	world->root =
		test_cert_make(&(struct test_cert_options){ .name = "root", .is_authority = true });
	world->stranger = test_cert_make(
		&(struct test_cert_options){ .name = "stranger", .is_authority = true });
	world->issuer = test_cert_make(&(struct test_cert_options){
		.name = "issuer", .issuer = &world->root, .is_authority = true });
	world->server_leaf = test_cert_make(
		&(struct test_cert_options){ .name = "server.test", .issuer = &world->issuer });
	world->client_leaf = test_cert_make(&(struct test_cert_options){ .name = "client.test",
		.issuer = &world->issuer,
		.not_after_ms = TEST_NOW_MS + TEST_DAY_MS / 2 });
	world->server = slot_of(world, &world->server_leaf, &world->root, &rules);
	world->client = slot_of(world, &world->client_leaf, &world->root, NULL);
}

static void world_deinit(struct world *world) {
	tls_slot_free(world->server);
	tls_slot_free(world->client);
	test_cert_free(&world->root);
	test_cert_free(&world->stranger);
	test_cert_free(&world->issuer);
	test_cert_free(&world->server_leaf);
	test_cert_free(&world->client_leaf);
}

/* One side's turn: takes what the other said. */
static int turn(struct tls_session *session, struct tls_peer *peer, struct buf *in, struct buf *out,
	struct err *err) {
	tls_session_input(session, buf_str(in));
	tls_session_output(session, out);
	int rc = tls_session_handshake(session, peer, err);
	buf_reset(in);
	return rc;
}

/* A handshake; returns what the server made of it. */
static int shake_hands(
	struct world *world, struct tls_slot *server, struct tls_slot *client, struct err *err) {
	const struct tls_options serving = { .slot = server };
	const struct tls_options dialling = { .slot = client };
	struct tls_session *ends[2];
	struct tls_peer seen_by_client = { 0 };
	AUTO(buf_deinit) struct buf to_server = { 0 };
	AUTO(buf_deinit) struct buf to_client = { 0 };
	assert_ok(tls_session_new(&serving, false, &ends[0], err), *err);
	assert_ok(tls_session_new(&dialling, true, &ends[1], err), *err);
	int rc = 0;
	world->peer = (struct tls_peer){ 0 };
	for (int i = 0; i < 4 && rc == 0; i++) {
		struct err ignored = { 0 };
		(void)!turn(ends[1], &seen_by_client, &to_client, &to_server, &ignored);
		rc = turn(ends[0], &world->peer, &to_server, &to_client, err);
	}
	tls_session_free(ends[0]);
	tls_session_free(ends[1]);
	return rc;
}

static void verifies_a_chain_once_and_asks_each_time_whether_it_is_welcome(void **state) {
	(void)state;
	struct world world = { 0 };
	struct err err = { 0 };
	world_init(&world);
	assert_ok(shake_hands(&world, world.server, world.client, &err), err);
	struct tls_peer first = world.peer;
	assert_int_equal(world.verified, 1);
	assert_ok(shake_hands(&world, world.server, world.client, &err), err);
	assert_int_equal(world.verified, 1);
	assert_int_equal(world.admitted, 2);
	assert_memory_equal(&first, &world.peer, sizeof(first));
	assert_int_equal(world.peer.not_after_ms, TEST_NOW_MS + TEST_DAY_MS / 2);
	world_deinit(&world);
}

static void refuses_a_known_chain_that_has_expired(void **state) {
	(void)state;
	struct world world = { 0 };
	struct err err = { 0 };
	world_init(&world);
	assert_ok(shake_hands(&world, world.server, world.client, &err), err);
	clock_advance_ms(&world.clock, TEST_DAY_MS / 2 - 1);
	assert_ok(shake_hands(&world, world.server, world.client, &err), err);
	clock_advance_ms(&world.clock, 1);
	assert_int_equal(shake_hands(&world, world.server, world.client, &err), ERR_DENIED);
	assert_non_null(strstr(err.text, "certificate has expired"));
	assert_int_equal(world.verified, 1);
	world_deinit(&world);
}

static void refuses_a_known_chain_before_its_time(void **state) {
	(void)state;
	struct world world = { 0 };
	struct err err = { 0 };
	world_init(&world);
	assert_ok(shake_hands(&world, world.server, world.client, &err), err);
	clock_advance_ms(&world.clock, -TEST_DAY_MS - 1000);
	assert_int_equal(shake_hands(&world, world.server, world.client, &err), ERR_DENIED);
	assert_non_null(strstr(err.text, "certificate is not yet valid"));
	world_deinit(&world);
}

static void refuses_a_known_chain_that_is_denied_now(void **state) {
	(void)state;
	struct world world = { 0 };
	struct err err = { 0 };
	world_init(&world);
	assert_ok(shake_hands(&world, world.server, world.client, &err), err);
	world.is_denied = true;
	assert_int_equal(shake_hands(&world, world.server, world.client, &err), ERR_DENIED);
	assert_string_equal(err.text, "is revoked: its name");
	world.is_denied = false;
	assert_ok(shake_hands(&world, world.server, world.client, &err), err);
	assert_int_equal(world.verified, 1);
	world_deinit(&world);
}

static void other_anchors_do_not_know_what_these_found_good(void **state) {
	(void)state;
	struct world world = { 0 };
	struct err err = { 0 };
	world_init(&world);
	assert_ok(shake_hands(&world, world.server, world.client, &err), err);
	const struct tls_rules rules = { count_verified, count_admitted, &world };
	struct tls_slot *other = slot_of(&world, &world.server_leaf, &world.stranger, &rules);
	assert_int_equal(shake_hands(&world, other, world.client, &err), ERR_DENIED);
	struct tls_identity *swapped = tls_slot_get(other);
	tls_slot_swap(world.server, swapped);
	tls_identity_unref(swapped);
	assert_int_equal(shake_hands(&world, world.server, world.client, &err), ERR_DENIED);
	assert_int_equal(world.verified, 1);
	tls_slot_free(other);
	world_deinit(&world);
}

static void other_bytes_of_the_same_name_are_verified_anew(void **state) {
	(void)state;
	struct world world = { 0 };
	struct err err = { 0 };
	world_init(&world);
	assert_ok(shake_hands(&world, world.server, world.client, &err), err);
	struct test_cert forged_issuer = test_cert_make(&(struct test_cert_options){
		.name = "issuer", .issuer = &world.stranger, .is_authority = true });
	struct test_cert forged = test_cert_make(
		&(struct test_cert_options){ .name = "client.test", .issuer = &forged_issuer });
	struct tls_slot *forger = slot_of(&world, &forged, &world.root, NULL);
	assert_int_equal(shake_hands(&world, world.server, forger, &err), ERR_DENIED);
	assert_int_equal(world.verified, 1);
	tls_slot_free(forger);
	test_cert_free(&forged);
	test_cert_free(&forged_issuer);
	world_deinit(&world);
}

static size_t count_kept(struct tls_verdicts *verdicts) NO_THREAD_ANALYSIS {
	size_t count = 0;
	for (size_t i = 0; i < TLS_VERDICT_PLACES; i++) {
		for (size_t j = 0; j < TLS_VERDICT_WAYS; j++) {
			count += verdicts->kept[i][j] != NULL;
		}
	}
	return count;
}

static void holds_only_so_many(void **state) {
	(void)state;
	struct tls_verdicts *verdicts = MEMORY_NEW(struct tls_verdicts, 1);
	struct tls_verdict verdict = { .peer.chain_not_after_ms = INT64_MAX, .leaf = X509_new() };
	struct tls_peer peer = { .alpn = "h2" };
	tls_verdicts_init(verdicts);
	for (unsigned i = 0; i < 20 * TLS_VERDICT_PLACES; i++) {
		verdict.digest[0] = (unsigned char)(i % TLS_VERDICT_PLACES);
		verdict.digest[1] = (unsigned char)(i / TLS_VERDICT_PLACES);
		tls_verdicts_keep(verdicts, &verdict);
		X509 *leaf = tls_verdicts_find(verdicts, verdict.digest, TEST_NOW_MS, &peer);
		assert_ptr_equal(leaf, verdict.leaf);
		X509_free(leaf);
	}
	assert_string_equal(peer.alpn, "h2");
	assert_int_equal(count_kept(verdicts), TLS_VERDICT_PLACES * TLS_VERDICT_WAYS);
	verdict.digest[1] = 0;
	assert_null(tls_verdicts_find(verdicts, verdict.digest, TEST_NOW_MS, &peer));
	tls_verdicts_deinit(verdicts);
	X509_free(verdict.leaf);
	free(verdicts);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(verifies_a_chain_once_and_asks_each_time_whether_it_is_welcome),
		TEST(refuses_a_known_chain_that_has_expired),
		TEST(refuses_a_known_chain_before_its_time),
		TEST(refuses_a_known_chain_that_is_denied_now),
		TEST(other_anchors_do_not_know_what_these_found_good),
		TEST(other_bytes_of_the_same_name_are_verified_anew),
		TEST(holds_only_so_many),
	};
	return TEST_RUN(tests);
}
