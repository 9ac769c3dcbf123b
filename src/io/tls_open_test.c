#include "io/tls_open.h"

#include "base/test.h"
#include "io/test_tls.h"
#include "io/tls_library.h"
#include "io/tls_session.h"

#include <openssl/ssl.h>
#include <string.h>

/* Two ends that agreed on their secrets. */
struct pair {
	struct tls_suites suites;
	struct tls_open client;
	struct tls_open server;
	struct buf wire;    /* To the server. */
	struct buf answers; /* To the client. */
	struct str input;
	size_t len;
	struct err err;
};

/* What was decrypted last. */
static char room[TLS_ROOM_BYTES];

static void pair_init(struct pair *pair, unsigned suite) {
	unsigned char secrets[2][TLS_SECRET_BYTES_MAX];
	memset(secrets[0], 'c', TLS_SECRET_BYTES_MAX);
	memset(secrets[1], 's', TLS_SECRET_BYTES_MAX);
	*pair = (struct pair){ 0 };
	tls_suites_init(&pair->suites, tls_library());
	pair->client.is_client = true;
	assert_true(tls_records_init(
		&pair->client.records, &pair->suites, suite, secrets[1], secrets[0]));
	assert_true(tls_records_init(
		&pair->server.records, &pair->suites, suite, secrets[0], secrets[1]));
}

static void pair_deinit(struct pair *pair) {
	tls_open_deinit(&pair->client);
	tls_open_deinit(&pair->server);
	tls_suites_deinit(&pair->suites);
	buf_deinit(&pair->wire);
	buf_deinit(&pair->answers);
}

/* The server reads what stands on the wire. */
static int serve(struct pair *pair) {
	return tls_open_read(
		&pair->server, &pair->input, &pair->answers, room, &pair->len, &pair->err);
}

static int serve_all(struct pair *pair) {
	pair->input = buf_str(&pair->wire);
	return serve(pair);
}

static void assert_served(struct pair *pair, const char *text) {
	assert_int_equal(serve(pair), TLS_READ_DATA);
	assert_str_equal(((struct str){ room, pair->len }), str_of(text));
}

/* What the client makes of the answers. */
static int ask(struct pair *pair) {
	struct str input = buf_str(&pair->answers);
	AUTO(buf_deinit) struct buf ignored = { 0 };
	int rc = tls_open_read(&pair->client, &input, &ignored, room, &pair->len, &pair->err);
	buf_reset(&pair->answers);
	return rc;
}

static void say(struct pair *pair, unsigned char type, const char *bytes, size_t len) {
	tls_records_seal(&pair->client.records, type, bytes, len, &pair->wire);
}

static void assert_broken_off(struct pair *pair, const char *why) {
	assert_int_equal(serve_all(pair), ERR_IO);
	if (!strstr(pair->err.text, why)) {
		fail_msg("\"%s\" instead of \"%s\"", pair->err.text, why);
	}
	assert_int_equal(ask(pair), ERR_IO); /* By an alert. */
	pair_deinit(pair);
}

static void carries_bytes_under_every_suite(void **state) {
	(void)state;
	for (unsigned suite = 0x1301; suite <= 0x1303; suite++) {
		struct pair pair;
		pair_init(&pair, suite);
		tls_open_write(&pair.client, "one", 3, &pair.wire);
		tls_open_write(&pair.client, "two", 3, &pair.wire);
		pair.input = buf_str(&pair.wire);
		assert_served(&pair, "one");
		assert_served(&pair, "two");
		assert_int_equal(serve(&pair), TLS_READ_MORE);
		tls_open_write(&pair.server, "three", 5, &pair.answers);
		assert_int_equal(ask(&pair), TLS_READ_DATA);
		assert_memory_equal(room, "three", 5);
		pair_deinit(&pair);
	}
}

static void knows_no_other_suite(void **state) {
	(void)state;
	struct tls_records records = { 0 };
	struct tls_suites suites;
	unsigned char secret[TLS_SECRET_BYTES_MAX] = { 0 };
	tls_suites_init(&suites, tls_library());
	assert_false(tls_records_init(&records, &suites, 0x1300, secret, secret));
	assert_false(tls_records_init(&records, &suites, 0x1304, secret, secret));
	tls_suites_deinit(&suites);
}

static void takes_records_in_any_parts(void **state) {
	(void)state;
	static char bytes[TLS_RECORD_BYTES];
	for (size_t step = 1; step < 40; step += 6) {
		struct pair pair;
		size_t got = 0;
		pair_init(&pair, 0x1301);
		memset(bytes, 'x', sizeof(bytes));
		tls_open_write(&pair.client, bytes, 700, &pair.wire);
		tls_open_write(&pair.client, bytes, 1, &pair.wire);
		tls_open_write(&pair.client, bytes, TLS_RECORD_BYTES, &pair.wire);
		for (size_t at = 0; at < pair.wire.len; at += step) {
			pair.input = str_first(str_from(buf_str(&pair.wire), at), step);
			int rc;
			while ((rc = serve(&pair)) == TLS_READ_DATA) {
				got += pair.len;
			}
			assert_int_equal(rc, TLS_READ_MORE);
		}
		assert_int_equal(got, 701 + TLS_RECORD_BYTES);
		assert_null(pair.server.partial);
		pair_deinit(&pair);
	}
}

static void refuses_a_record_with_any_bit_changed(void **state) {
	(void)state;
	for (size_t i = 0; i < 8 * (TLS_RECORD_OVERHEAD + 3); i++) {
		struct pair pair;
		pair_init(&pair, 0x1301);
		tls_open_write(&pair.client, "abc", 3, &pair.wire);
		pair.wire.ptr[i / 8] ^= (char)(1 << i % 8);
		int rc = serve_all(&pair);
		/* A longer length waits for what never comes. */
		bool is_longer = rc == TLS_READ_MORE && (i / 8 == 3 || i / 8 == 4);
		assert_true(is_longer || rc == ERR_IO);
		pair_deinit(&pair);
	}
}

static void refuses_a_record_that_comes_again(void **state) {
	(void)state;
	struct pair pair;
	pair_init(&pair, 0x1301);
	tls_open_write(&pair.client, "abc", 3, &pair.wire);
	AUTO(buf_deinit) struct buf twice = { 0 };
	buf_add_str(&twice, buf_str(&pair.wire));
	buf_add_str(&twice, buf_str(&pair.wire));
	pair.input = buf_str(&twice);
	assert_served(&pair, "abc");
	assert_int_equal(serve(&pair), ERR_IO);
	assert_non_null(strstr(pair.err.text, "bad record mac"));
	pair_deinit(&pair);
}

static void refuses_what_is_not_encrypted(void **state) {
	(void)state;
	struct pair pair;
	pair_init(&pair, 0x1301);
	buf_append(&pair.wire, "\x15\3\3\0\2\1\0", 7);
	assert_broken_off(&pair, "bad record type");
}

static void refuses_records_of_another_version_or_too_long(void **state) {
	(void)state;
	struct pair pair;
	pair_init(&pair, 0x1301);
	buf_append(&pair.wire, "\x17\3\1\0\x20", 5);
	assert_broken_off(&pair, "wrong version number");
	pair_init(&pair, 0x1301);
	buf_append(&pair.wire, "\x17\3\3\x41\1", 5);
	assert_broken_off(&pair, "encrypted length too long");
	pair_init(&pair, 0x1301);
	buf_append(&pair.wire, "\x17\3\3\0\5hello", 10);
	assert_broken_off(&pair, "bad record mac");
}

static void ends_when_the_peer_says_so(void **state) {
	(void)state;
	struct pair pair;
	pair_init(&pair, 0x1301);
	tls_open_write(&pair.client, "last", 4, &pair.wire);
	tls_open_shutdown(&pair.client, &pair.wire);
	pair.input = buf_str(&pair.wire);
	assert_served(&pair, "last");
	assert_int_equal(serve(&pair), TLS_READ_END);
	pair_deinit(&pair);
}

static void tells_a_refusal_from_a_failure(void **state) {
	(void)state;
	struct pair pair;
	pair_init(&pair, 0x1301);
	say(&pair, TLS_ALERT, "\2\x2a", 2);
	assert_int_equal(serve_all(&pair), ERR_DENIED);
	assert_non_null(strstr(pair.err.text, "peer refused us: "));
	pair_deinit(&pair);
	pair_init(&pair, 0x1301);
	say(&pair, TLS_ALERT, "\2\x14", 2);
	assert_int_equal(serve_all(&pair), ERR_IO);
	pair_deinit(&pair);
	pair_init(&pair, 0x1301);
	say(&pair, TLS_ALERT, "\2", 1);
	assert_broken_off(&pair, "invalid alert");
}

static void changes_keys_when_asked_and_after_many_records(void **state) {
	(void)state;
	struct pair pair;
	pair_init(&pair, 0x1302);
	say(&pair, TLS_HANDSHAKE, "\x18\0\0\1\1", 5);
	tls_records_update(&pair.client.records, &pair.client.records.out);
	tls_open_write(&pair.client, "new key", 7, &pair.wire);
	pair.input = buf_str(&pair.wire);
	assert_served(&pair, "new key");
	tls_open_write(&pair.server, "mine too", 8, &pair.answers);
	assert_int_equal(ask(&pair), TLS_READ_DATA);
	assert_memory_equal(room, "mine too", 8);

	buf_reset(&pair.wire);
	pair.client.records.out.sequence = TLS_RECORDS_PER_KEY;
	pair.server.records.in.sequence = TLS_RECORDS_PER_KEY;
	tls_open_write(&pair.client, "third", 5, &pair.wire);
	assert_true(pair.client.records.out.sequence == 1);
	pair.input = buf_str(&pair.wire);
	assert_served(&pair, "third");
	assert_int_equal(pair.answers.len, 0);
	pair_deinit(&pair);
}

static void refuses_key_updates_that_are_none(void **state) {
	(void)state;
	static const struct {
		const char *bytes;
		size_t len;
	} wrong[] = { { "\x18\0\0\1\2", 5 }, { "\x18\0\0\2\0\0", 6 }, { "\x18\0\0\1", 4 },
		{ "\x18\0\0\1\0\x18\0\0\1\0", 10 }, { "\x18", 1 }, { "\1\0\0\1\0", 5 },
		{ "\4\0\0\1\0", 5 }, { "", 0 } };
	for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
		struct pair pair;
		pair_init(&pair, 0x1301);
		say(&pair, TLS_HANDSHAKE, wrong[i].bytes, wrong[i].len);
		assert_broken_off(&pair, "TLS: ");
	}
}

static void bears_only_so_many_records_without_data(void **state) {
	(void)state;
	struct pair pair;
	pair_init(&pair, 0x1301);
	for (int i = 0; i <= TLS_IDLE_RECORDS_MAX; i++) {
		say(&pair, TLS_DATA, "", 0);
	}
	assert_broken_off(&pair, "record too small");
	pair_init(&pair, 0x1301);
	for (int i = 0; i <= TLS_IDLE_RECORDS_MAX; i++) {
		say(&pair, TLS_HANDSHAKE, "\x18\0\0\1\0", 5);
		tls_records_update(&pair.client.records, &pair.client.records.out);
	}
	assert_broken_off(&pair, "too many key updates");
}

static void a_client_drops_tickets(void **state) {
	(void)state;
	struct pair pair;
	pair_init(&pair, 0x1301);
	tls_records_seal(
		&pair.server.records, TLS_HANDSHAKE, "\4\0\0\3abc\4\0\0\5de", 13, &pair.answers);
	tls_records_seal(&pair.server.records, TLS_HANDSHAKE, "fgh", 3, &pair.answers);
	tls_open_write(&pair.server, "data", 4, &pair.answers);
	assert_int_equal(ask(&pair), TLS_READ_DATA);
	assert_memory_equal(room, "data", 4);
	tls_records_seal(&pair.server.records, TLS_HANDSHAKE, "\4\0\0\3a", 5, &pair.answers);
	tls_open_write(&pair.server, "data", 4, &pair.answers);
	assert_int_equal(ask(&pair), ERR_IO);
	pair_deinit(&pair);
}

/* OpenSSL's own client before our server. */
struct stock {
	struct clock clock;
	struct test_cert root;
	struct test_cert leaf;
	struct tls_slot *slot;
	struct tls_options options;
	struct tls_session *session;
	SSL_CTX *context;
	SSL *client;
	BIO *in;
	BIO *out;
	struct buf sent;
};

static void stock_init(struct stock *stock, const char *suite) {
	*stock = (struct stock){ 0 };
	struct err err = { 0 };
	clock_init_manual(&stock->clock, TEST_NOW_MS);
	stock->root =
		test_cert_make(&(struct test_cert_options){ .name = "root", .is_authority = true });
	stock->leaf = test_cert_make(
		&(struct test_cert_options){ .name = "leaf.test", .issuer = &stock->root });
	struct tls_identity *identity =
		test_identity(&stock->leaf, NULL, &stock->root, &stock->clock, NULL, NULL);
	stock->slot = tls_slot_new(identity);
	tls_identity_unref(identity);
	stock->options.slot = stock->slot;
	assert_ok(tls_session_new(&stock->options, false, &stock->session, &err), err);
	stock->context = SSL_CTX_new(TLS_client_method());
	assert_int_equal(SSL_CTX_use_certificate(stock->context, stock->leaf.x509), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(stock->context, stock->leaf.key), 1);
	assert_int_equal(SSL_CTX_set_ciphersuites(stock->context, suite), 1);
	stock->client = SSL_new(stock->context);
	stock->in = BIO_new(BIO_s_mem());
	stock->out = BIO_new(BIO_s_mem());
	SSL_set_bio(stock->client, stock->in, stock->out);
	SSL_set_connect_state(stock->client);
}

static void stock_deinit(struct stock *stock) {
	SSL_free(stock->client);
	SSL_CTX_free(stock->context);
	tls_session_free(stock->session);
	tls_slot_free(stock->slot);
	test_cert_free(&stock->root);
	test_cert_free(&stock->leaf);
	buf_deinit(&stock->sent);
}

/* Gives our session what the client has put out. */
static void stock_to_us(struct stock *stock) {
	char *bytes = NULL;
	long len = BIO_get_mem_data(stock->out, &bytes);
	buf_reset(&stock->sent);
	buf_append(&stock->sent, bytes, (size_t)len);
	(void)BIO_reset(stock->out);
	tls_session_input(stock->session, buf_str(&stock->sent));
}

static void us_to_stock(struct stock *stock, struct buf *ours) {
	if (ours->len > 0) {
		assert_int_equal(BIO_write(stock->in, ours->ptr, (int)ours->len), (int)ours->len);
	}
	buf_reset(ours);
}

static void stock_shake(struct stock *stock, struct buf *ours) {
	struct tls_peer peer = { 0 };
	struct err err = { 0 };
	int rc = 0;
	for (int i = 0; i < 4 && rc == 0; i++) {
		(void)SSL_do_handshake(stock->client);
		stock_to_us(stock);
		rc = tls_session_handshake(stock->session, &peer, &err);
		us_to_stock(stock, ours);
	}
	assert_true(rc == 1);
}

/* A message each way. */
static void stock_talk(struct stock *stock, struct buf *ours, const char *text) {
	size_t len = 0;
	struct err err = { 0 };
	assert_int_equal(SSL_write(stock->client, text, (int)strlen(text)), (int)strlen(text));
	stock_to_us(stock);
	assert_int_equal(tls_session_read(stock->session, room, &len, &err), TLS_READ_DATA);
	assert_str_equal(((struct str){ room, len }), str_of(text));
	assert_int_equal(tls_session_read(stock->session, room, &len, &err), TLS_READ_MORE);
	tls_session_write(stock->session, text, strlen(text));
	us_to_stock(stock, ours);
	assert_int_equal(SSL_read(stock->client, room, sizeof(room)), (int)strlen(text));
	assert_memory_equal(room, text, strlen(text));
}

static void speaks_with_openssl_through_key_updates_and_to_the_end(void **state) {
	(void)state;
	static const char *const suites[] = { "TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384",
		"TLS_CHACHA20_POLY1305_SHA256" };
	for (size_t i = 0; i < ARRAY_COUNT(suites); i++) {
		struct stock stock;
		AUTO(buf_deinit) struct buf ours = { 0 };
		size_t len = 0;
		struct err err = { 0 };
		stock_init(&stock, suites[i]);
		tls_session_output(stock.session, &ours);
		stock_shake(&stock, &ours);
		stock_talk(&stock, &ours, "first");
		assert_int_equal(SSL_key_update(stock.client, SSL_KEY_UPDATE_REQUESTED), 1);
		stock_talk(&stock, &ours, "second");
		assert_int_equal(SSL_key_update(stock.client, SSL_KEY_UPDATE_NOT_REQUESTED), 1);
		stock_talk(&stock, &ours, "third");
		tls_session_shutdown(stock.session);
		us_to_stock(&stock, &ours);
		assert_int_equal(SSL_read(stock.client, room, sizeof(room)), 0);
		assert_int_equal(SSL_get_error(stock.client, 0), SSL_ERROR_ZERO_RETURN);
		(void)SSL_shutdown(stock.client);
		stock_to_us(&stock);
		assert_int_equal(tls_session_read(stock.session, room, &len, &err), TLS_READ_END);
		stock_deinit(&stock);
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(carries_bytes_under_every_suite),
		TEST(knows_no_other_suite),
		TEST(takes_records_in_any_parts),
		TEST(refuses_a_record_with_any_bit_changed),
		TEST(refuses_a_record_that_comes_again),
		TEST(refuses_what_is_not_encrypted),
		TEST(refuses_records_of_another_version_or_too_long),
		TEST(ends_when_the_peer_says_so),
		TEST(tells_a_refusal_from_a_failure),
		TEST(changes_keys_when_asked_and_after_many_records),
		TEST(refuses_key_updates_that_are_none),
		TEST(bears_only_so_many_records_without_data),
		TEST(a_client_drops_tickets),
		TEST(speaks_with_openssl_through_key_updates_and_to_the_end),
	};
	return TEST_RUN(tests);
}
