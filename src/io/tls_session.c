#include "io/tls_session.h"

#include "base/check.h"
#include "base/memory.h"
#include "io/tls_internal.h"
#include "io/tls_open.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Issuers between a leaf and its anchor. */
#define CHAIN_DEPTH_MAX 2
/* Of our anchors, in a refusal. */
#define ANCHORS_SHOWN_MAX 3
/* Most that may wait to be sent when a peer asks for answers (key updates) and takes none. */
#define OUTPUT_BYTES_MAX ((size_t)1024 * 1024)

struct tls_session {
	SSL *ssl; /* Until the handshake is done; then 'open' goes on. */
	struct tls_open open;
	unsigned char client_secret[TLS_SECRET_BYTES_MAX]; /* Until then. */
	unsigned char server_secret[TLS_SECRET_BYTES_MAX];
	struct tls_identity *identity;
	const struct tls_options *options;
	bool is_client;
	struct str input;
	struct buf *output;
	struct tls_peer *peer; /* Filled by the verification; set during the handshake's calls. */
	struct err *err;       /* Likewise: where it says why. */
	int refusal;           /* What the verification returned. */
};

static int read_input(BIO *bio, char *out, size_t size, size_t *len) {
	struct tls_session *session = BIO_get_data(bio);
	BIO_clear_retry_flags(bio);
	if (session->input.len == 0) {
		BIO_set_retry_read(bio);
		return 0;
	}
	*len = size < session->input.len ? size : session->input.len;
	memcpy(out, session->input.ptr, *len);
	session->input = str_from(session->input, *len);
	return 1;
}

static int write_output(BIO *bio, const char *bytes, size_t len, size_t *written) {
	struct tls_session *session = BIO_get_data(bio);
	BIO_clear_retry_flags(bio);
	if (!session->output || session->output->len + len > OUTPUT_BYTES_MAX) {
		return 0;
	}
	buf_append(session->output, bytes, len);
	*written = len;
	return 1;
}

static long control(BIO *bio, int command, long number, void *pointer) {
	(void)bio;
	(void)number;
	(void)pointer;
	return command == BIO_CTRL_FLUSH;
}

BIO_METHOD *tls_session_bio_method(void) {
	BIO_METHOD *method = BIO_meth_new(BIO_TYPE_MEM, "atoll");
	if (method && (BIO_meth_set_read_ex(method, read_input) != 1 ||
			      BIO_meth_set_write_ex(method, write_output) != 1 ||
			      BIO_meth_set_ctrl(method, control) != 1)) {
		BIO_meth_free(method);
		return NULL;
	}
	return method;
}

/* The protocols as TLS sends them: each with its length in a byte before it. */
static size_t encode_alpn(const char *const *names, unsigned char out[256]) {
	size_t used = 0;
	for (size_t i = 0; names[i]; i++) {
		size_t len = strlen(names[i]);
		CHECK(len > 0 && used + 1 + len <= 256);
		out[used++] = (unsigned char)len;
		memcpy(out + used, names[i], len);
		used += len;
	}
	return used;
}

static bool prepare_client(struct tls_session *session) {
	const struct tls_options *options = session->options;
	SSL_set_connect_state(session->ssl);
	if (options->alpn) {
		unsigned char names[256];
		size_t len = encode_alpn(options->alpn, names);
		if (SSL_set_alpn_protos(session->ssl, names, (unsigned)len) != 0) {
			return false;
		}
	}
	if (!options->server_name) {
		return true;
	}
	char name[TLSEXT_MAXLEN_host_name + 1]; /* OpenSSL's macro takes no const. */
	int len = snprintf(name, sizeof(name), "%s", options->server_name);
	return (size_t)len < sizeof(name) && SSL_set_tlsext_host_name(session->ssl, name) == 1;
}

int tls_session_new(const struct tls_options *options, bool is_client, struct tls_session **out,
	struct err *err) {
	struct tls_session *session = MEMORY_NEW(struct tls_session, 1);
	session->options = options;
	session->is_client = is_client;
	session->identity = tls_slot_get(options->slot);
	session->ssl = SSL_new(session->identity->context);
	BIO *bio = BIO_new(session->identity->bio);
	CHECK(session->ssl && bio);
	BIO_set_data(bio, session);
	BIO_set_init(bio, 1);
	SSL_set_bio(session->ssl, bio, bio);
	CHECK(SSL_set_app_data(session->ssl, session) == 1);
	if (!is_client && options->admits_anonymous) {
		SSL_set_verify(session->ssl, SSL_VERIFY_PEER, NULL);
	}
	if (!is_client) {
		SSL_set_accept_state(session->ssl);
	} else if (!prepare_client(session)) {
		tls_session_free(session);
		ERR_clear_error();
		return err_set(err, ERR_INVAL, "server name \"%s\" cannot be sent in TLS",
			options->server_name ? options->server_name : "");
	}
	*out = session;
	return 0;
}

void tls_session_free(struct tls_session *session) {
	if (session) {
		SSL_free(session->ssl);
		tls_open_deinit(&session->open);
		OPENSSL_cleanse(session->client_secret, TLS_SECRET_BYTES_MAX);
		OPENSSL_cleanse(session->server_secret, TLS_SECRET_BYTES_MAX);
		tls_identity_unref(session->identity);
		free(session);
	}
}

void tls_session_input(struct tls_session *session, struct str bytes) {
	session->input = bytes;
}

struct str tls_session_unread(const struct tls_session *session) {
	return session->input;
}

void tls_session_output(struct tls_session *session, struct buf *output) {
	session->output = output;
}

/* Where 'name' stands in a peer's list, or NULL. */
static const unsigned char *find_protocol(
	const char *name, const unsigned char *list, unsigned list_len) {
	size_t len = strlen(name);
	for (unsigned at = 0; at < list_len; at += 1U + list[at]) {
		if (list[at] == len && at + 1 + len <= list_len &&
			memcmp(list + at + 1, name, len) == 0) {
			return list + at + 1;
		}
	}
	return NULL;
}

// NOLINTNEXTLINE(readability-function-size): the type is OpenSSL's
int tls_session_select_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
	const unsigned char *in, unsigned in_len, void *unused) {
	(void)unused;
	const struct tls_session *session = SSL_get_app_data(ssl);
	const char *const *names = session->options->alpn;
	for (size_t i = 0; names && names[i]; i++) {
		const unsigned char *hit = find_protocol(names[i], in, in_len);
		if (hit) {
			*out = hit;
			*out_len = hit[-1];
			return SSL_TLSEXT_ERR_OK;
		}
	}
	return names ? SSL_TLSEXT_ERR_ALERT_FATAL : SSL_TLSEXT_ERR_NOACK;
}

/* How a certificate is called in a refusal: its first DNS name, or its subject. */
static void describe(X509 *certificate, char *out, size_t size) {
	GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
	out[0] = '\0';
	for (int i = 0; names && out[0] == '\0' && i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
		if (name->type != GEN_DNS) {
			continue;
		}
		int len = ASN1_STRING_length(name->d.dNSName);
		const unsigned char *text = ASN1_STRING_get0_data(name->d.dNSName);
		if (len > 0 && (size_t)len < size && !memchr(text, 0, (size_t)len)) {
			memcpy(out, text, (size_t)len);
			out[len] = '\0';
		}
	}
	GENERAL_NAMES_free(names);
	if (out[0] == '\0') {
		(void)X509_NAME_oneline(X509_get_subject_name(certificate), out, (int)size);
	}
}

/* Whether a chain failed because it does not lead to one of our anchors. */
static bool leads_elsewhere(int code) {
	return code == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY ||
	       code == X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN;
}

static void add_common_name(X509_NAME *name, struct buf *out) {
	char text[128];
	int len = X509_NAME_get_text_by_NID(name, NID_commonName, text, sizeof(text));
	buf_printf(out, "\"%s\"", len >= 0 ? text : "");
}

/* Which anchor the peer's chain names, and which are ours: the two that do not agree. */
static void explain_anchors(X509 *at, X509_STORE_CTX *store, struct buf *out) {
	STACK_OF(X509_OBJECT) *anchors = X509_STORE_get0_objects(X509_STORE_CTX_get0_store(store));
	buf_add_text(out, "; it is signed by ");
	add_common_name(X509_get_issuer_name(at), out);
	buf_add_text(out, ", we trust ");
	for (int i = 0; i < sk_X509_OBJECT_num(anchors) && i < ANCHORS_SHOWN_MAX; i++) {
		X509 *anchor = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(anchors, i));
		buf_add_text(out, i > 0 ? ", " : "");
		if (anchor) {
			add_common_name(X509_get_subject_name(anchor), out);
		}
	}
}

/* When it is valid, and what our clock says. */
static void explain_times(X509 *at, int64_t now_ms, struct buf *out) {
	buf_add_text(out, "; it is valid from ");
	time_format_rfc3339(tls_time_ms(X509_get0_notBefore(at)), out);
	buf_add_text(out, " to ");
	time_format_rfc3339(tls_time_ms(X509_get0_notAfter(at)), out);
	buf_add_text(out, ", our clock says ");
	time_format_rfc3339(now_ms / MS_PER_S * MS_PER_S, out);
}

static int refuse_chain(struct tls_session *session, X509_STORE_CTX *store) {
	int code = X509_STORE_CTX_get_error(store);
	X509 *at = X509_STORE_CTX_get_current_cert(store);
	char name[256] = "";
	if (at) {
		describe(at, name, sizeof(name));
	}
	AUTO(buf_deinit) struct buf anchors = { 0 };
	if (at && leads_elsewhere(code)) {
		explain_anchors(at, store, &anchors);
	}
	if (at && (code == X509_V_ERR_CERT_HAS_EXPIRED || code == X509_V_ERR_CERT_NOT_YET_VALID)) {
		explain_times(at, clock_now_ms(session->identity->clock), &anchors);
	}
	ERR_clear_error();
	return err_set(session->err, ERR_DENIED, "certificate of %s \"%s\" refused: %s%s",
		X509_STORE_CTX_get_error_depth(store) > 0 ? "issuer" : "peer", name,
		X509_verify_cert_error_string(code), buf_text(&anchors));
}

/* Hands the verified chain to the caller's own rules. */
static int judge(struct tls_session *session, STACK_OF(X509) * chain) {
	struct str der[CHAIN_DEPTH_MAX + 2];
	unsigned char *owned[CHAIN_DEPTH_MAX + 2] = { 0 };
	size_t count = (size_t)sk_X509_num(chain);
	const struct tls_identity *identity = session->identity;
	struct tls_peer *peer = session->peer;
	int rc = 0;

	CHECK(count <= ARRAY_COUNT(der));
	for (size_t i = 0; i < count; i++) {
		int len = i2d_X509(sk_X509_value(chain, (int)i), &owned[i]);
		CHECK(len > 0);
		der[i] = (struct str){ (const char *)owned[i], (size_t)len };
	}
	if (identity->rules.verify) {
		rc = identity->rules.verify(identity->rules.context, der, count,
			!session->is_client, peer->identity, sizeof(peer->identity), session->err);
	} else {
		describe(sk_X509_value(chain, 0), peer->identity, sizeof(peer->identity));
	}
	for (size_t i = 0; i < count; i++) {
		OPENSSL_free(owned[i]);
	}
	return rc;
}

/* Notes between which times the whole chain is valid; returns the first. */
static int64_t note_times(struct tls_peer *peer, STACK_OF(X509) * chain) {
	int64_t not_before_ms = INT64_MIN;
	peer->chain_not_after_ms = INT64_MAX;
	for (int i = 0; i < sk_X509_num(chain); i++) {
		const X509 *certificate = sk_X509_value(chain, i);
		int64_t begin_ms = tls_time_ms(X509_get0_notBefore(certificate));
		int64_t end_ms = tls_time_ms(X509_get0_notAfter(certificate));
		if (i == 0) {
			peer->not_after_ms = end_ms;
			peer->not_before_ms = begin_ms;
		}
		if (begin_ms > not_before_ms) {
			not_before_ms = begin_ms;
		}
		if (end_ms < peer->chain_not_after_ms) {
			peer->chain_not_after_ms = end_ms;
		}
	}
	return not_before_ms;
}

/* What a deny-list may name it by. */
static void note_names(struct tls_peer *peer, STACK_OF(X509) * chain) {
	BIGNUM *number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(sk_X509_value(chain, 0)), NULL);
	char *text = number && BN_num_bytes(number) <= 20 ? BN_bn2hex(number) : NULL;
	(void)snprintf(peer->serial, sizeof(peer->serial), "%s", text ? text : "");
	OPENSSL_free(text);
	BN_free(number);
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned len = 0;
	X509 *issuer = sk_X509_value(chain, sk_X509_num(chain) > 1 ? 1 : 0);
	CHECK(X509_digest(issuer, EVP_sha256(), digest, &len) == 1 && len == 32);
	for (unsigned i = 0; i < len; i++) {
		(void)snprintf(peer->issuer_digest + (size_t)2 * i, 3, "%02x", digest[i]);
	}
}

/* OpenSSL's verification, at 'now_ms' by our clock. */
static int verify_chain(struct tls_session *session, X509_STORE_CTX *store, int64_t now_ms) {
	X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(store);
	X509_VERIFY_PARAM_set_time(param, (time_t)(now_ms / MS_PER_S));
	X509_VERIFY_PARAM_set_depth(param, CHAIN_DEPTH_MAX);
	if (X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_X509_STRICT) != 1 ||
		X509_VERIFY_PARAM_set_purpose(param,
			session->is_client ? X509_PURPOSE_SSL_SERVER : X509_PURPOSE_SSL_CLIENT) !=
			1) {
		return err_set(session->err, ERR_IO, "verification cannot be set up");
	}
	return X509_verify_cert(store) == 1 ? 0 : refuse_chain(session, store);
}

/* A digest of our role and all certificates that the peer sent, as they were sent. */
static void digest_chain(
	const struct tls_session *session, X509_STORE_CTX *store, unsigned char *out) {
	STACK_OF(X509) *sent = X509_STORE_CTX_get0_untrusted(store); /* With the leaf. */
	EVP_MD_CTX *digest = EVP_MD_CTX_new();
	unsigned char role = session->is_client;
	CHECK(digest && EVP_DigestInit_ex2(digest, session->identity->sha256, NULL) == 1);
	CHECK(EVP_DigestUpdate(digest, &role, 1) == 1);
	for (int i = 0; i < sk_X509_num(sent); i++) {
		unsigned char *der = NULL;
		int len = i2d_X509(sk_X509_value(sent, i), &der);
		CHECK(len > 0); /* In DER, so it says itself where it ends. */
		CHECK(EVP_DigestUpdate(digest, der, (size_t)len) == 1);
		OPENSSL_free(der);
	}
	CHECK(EVP_DigestFinal_ex(digest, out, NULL) == 1);
	EVP_MD_CTX_free(digest);
}

/*
 * The peer's certificates as libssl keeps them for the connection's life: its issuers have been
 * judged and go, and all connections of the peer share one copy of its own.
 */
static void share_leaf(X509_STORE_CTX *store, X509 *leaf) {
	STACK_OF(X509) *sent = X509_STORE_CTX_get0_untrusted(store);
	while (sk_X509_num(sent) > 1) {
		X509_free(sk_X509_pop(sent));
	}
	X509 *parsed = sk_X509_value(sent, 0);
	CHECK(sk_X509_set(sent, 0, leaf) == leaf);
	X509_free(parsed);
}

/* Whether the bytes that the peer sent are a good chain; fills in what they say of it. */
static int learn_peer(struct tls_session *session, X509_STORE_CTX *store) {
	struct tls_identity *identity = session->identity;
	int64_t now_ms = clock_now_ms(identity->clock);
	struct tls_verdict verdict;
	digest_chain(session, store, verdict.digest);
	X509 *leaf = tls_verdicts_find(&identity->verdicts, verdict.digest, now_ms, session->peer);
	if (leaf) {
		share_leaf(store, leaf);
		return 0;
	}
	int rc = verify_chain(session, store, now_ms);
	if (rc < 0) {
		return rc;
	}
	STACK_OF(X509) *chain = X509_STORE_CTX_get0_chain(store);
	rc = judge(session, chain);
	if (rc < 0) {
		return rc;
	}
	verdict.not_before_ms = note_times(session->peer, chain);
	note_names(session->peer, chain);
	verdict.peer = *session->peer;
	verdict.leaf = sk_X509_value(chain, 0);
	tls_verdicts_keep(&identity->verdicts, &verdict);
	CHECK(X509_up_ref(verdict.leaf) == 1);
	share_leaf(store, verdict.leaf);
	return 0;
}

static int verify(struct tls_session *session, X509_STORE_CTX *store) {
	const struct tls_rules *rules = &session->identity->rules;
	int rc = learn_peer(session, store);
	if (rc == 0 && rules->admit) {
		rc = rules->admit(rules->context, session->peer, session->err);
	}
	const char *expected = session->options->expect_identity;
	if (rc == 0 && expected && strcmp(expected, session->peer->identity) != 0) {
		return err_set(session->err, ERR_DENIED, "peer is \"%s\", expected \"%s\"",
			session->peer->identity, expected);
	}
	return rc;
}

int tls_session_verify(X509_STORE_CTX *store, void *identity) {
	(void)identity;
	SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct tls_session *session = SSL_get_app_data(ssl);
	session->refusal = verify(session, store);
	if (session->refusal < 0 && X509_STORE_CTX_get_error(store) == X509_V_OK) {
		X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_REJECTED);
	}
	return session->refusal == 0;
}

/* Alerts by which a peer says that it does not accept who we are or what we offer. */
static bool is_refusal_alert(int reason) {
	switch (reason) {
	case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
	case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
	case SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED:
	case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
	case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
	case SSL_R_TLSV1_ALERT_ACCESS_DENIED:
	case SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL:
	case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
	case SSL_R_TLSV1_UNRECOGNIZED_NAME:
	case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
		return true;
	default:
		return false;
	}
}

int tls_alert_fail(int alert, struct err *err) {
	int reason = SSL_AD_REASON_OFFSET + alert;
	const char *text = ERR_reason_error_string(ERR_PACK(ERR_LIB_SSL, 0, reason));
	text = text ? text : "an alert without a name";
	return is_refusal_alert(reason) ? err_set(err, ERR_DENIED, "peer refused us: %s", text)
					: err_set(err, ERR_IO, "TLS: %s", text);
}

/* The reason of a failed handshake, in words. */
static int explain(struct tls_session *session, struct err *err) {
	unsigned long error = ERR_peek_error();
	int reason = ERR_GET_LIB(error) == ERR_LIB_SSL ? ERR_GET_REASON(error) : 0;
	const char *text = error ? ERR_reason_error_string(error) : NULL;
	ERR_clear_error();
	if (session->refusal < 0) {
		return session->refusal;
	}
	if (reason == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE) {
		return err_set(err, ERR_DENIED, "peer sent no certificate");
	}
	if (reason == SSL_R_NO_APPLICATION_PROTOCOL) {
		return err_set(err, ERR_DENIED, "peer offers none of our protocols (ALPN)");
	}
	if (is_refusal_alert(reason)) {
		return err_set(err, ERR_DENIED, "peer refused us: %s", text);
	}
	return err_set(
		err, ERR_IO, "TLS handshake: %s", text ? text : "the peer broke the protocol");
}

static int check_alpn(struct tls_session *session, struct tls_peer *peer, struct err *err) {
	const unsigned char *name = NULL;
	unsigned len = 0;
	SSL_get0_alpn_selected(session->ssl, &name, &len);
	if (len >= sizeof(peer->alpn)) {
		len = 0;
	}
	if (len > 0) {
		memcpy(peer->alpn, name, len);
	}
	peer->alpn[len] = '\0';
	if (session->options->alpn && len == 0) {
		return err_set(err, ERR_DENIED, "peer offers none of our protocols (ALPN)");
	}
	return 1;
}

static int digit(char c) {
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Lines are "LABEL RANDOM SECRET", the last two in hex. */
void tls_session_take_secret(const SSL *ssl, const char *line) {
	struct tls_session *session = SSL_get_app_data(ssl);
	unsigned char *out =
		str_starts(str_of(line), STR("CLIENT_TRAFFIC_SECRET_0 "))   ? session->client_secret
		: str_starts(str_of(line), STR("SERVER_TRAFFIC_SECRET_0 ")) ? session->server_secret
									    : NULL;
	const char *at = strrchr(line, ' ');
	for (size_t i = 0; out && at && i < TLS_SECRET_BYTES_MAX; i++) {
		int high = digit(at[1 + 2 * i]);
		int low = high < 0 ? -1 : digit(at[2 + 2 * i]);
		if (low < 0) {
			return;
		}
		out[i] = (unsigned char)(high << 4 | low);
	}
}

/* The handshake is done: from here on it is records. */
static int open_connection(struct tls_session *session, struct err *err) {
	const SSL_CIPHER *cipher = SSL_get_current_cipher(session->ssl);
	const unsigned char *in = session->server_secret;
	const unsigned char *out = session->client_secret;
	if (!session->is_client) {
		in = session->client_secret;
		out = session->server_secret;
	}
	/* Nothing may have come in the record of the last message, nor been read beyond it. */
	if (SSL_has_pending(session->ssl) || !cipher ||
		!tls_records_init(&session->open.records, &session->identity->suites,
			SSL_CIPHER_get_protocol_id(cipher), in, out)) {
		return err_set(err, ERR_IO, "TLS handshake: the peer broke the protocol");
	}
	session->open.is_client = session->is_client;
	OPENSSL_cleanse(session->client_secret, TLS_SECRET_BYTES_MAX);
	OPENSSL_cleanse(session->server_secret, TLS_SECRET_BYTES_MAX);
	SSL_free(session->ssl);
	session->ssl = NULL;
	return 1;
}

int tls_session_handshake(struct tls_session *session, struct tls_peer *peer, struct err *err) {
	session->peer = peer;
	session->err = err;
	ERR_clear_error();
	int result = SSL_do_handshake(session->ssl);
	int kind = result == 1 ? SSL_ERROR_NONE : SSL_get_error(session->ssl, result);
	int rc = 0;
	if (kind == SSL_ERROR_NONE) {
		rc = check_alpn(session, peer, err);
		rc = rc < 0 ? rc : open_connection(session, err);
	} else if (kind != SSL_ERROR_WANT_READ) {
		rc = explain(session, err);
	}
	session->peer = NULL;
	session->err = NULL;
	return rc;
}

int tls_session_read(struct tls_session *session, char *out, size_t *len, struct err *err) {
	if (!session->output || session->output->len > OUTPUT_BYTES_MAX) {
		return err_set(err, ERR_IO, "TLS: the peer takes none of our answers");
	}
	return tls_open_read(&session->open, &session->input, session->output, out, len, err);
}

void tls_session_write(struct tls_session *session, const char *bytes, size_t len) {
	tls_open_write(&session->open, bytes, len, session->output);
}

void tls_session_shutdown(struct tls_session *session) {
	if (!session->ssl) {
		tls_open_shutdown(&session->open, session->output);
		return;
	}
	ERR_clear_error();
	(void)SSL_shutdown(session->ssl);
	ERR_clear_error();
}
