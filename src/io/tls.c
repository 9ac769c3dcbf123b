#include "io/tls.h"

#include "base/check.h"
#include "base/memory.h"
#include "base/reuse.h"
#include "base/thread.h"
#include "io/tls_internal.h"
#include "io/tls_library.h"

#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <time.h>

/* What a peer may send as its chain; a leaf and its issuer have some 1,200 bytes. */
#define CHAIN_BYTES_MAX 16384L
/* AES-128 first: cheapest where the processor has AES instructions, as good as the others. */
#define CIPHERS "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"

struct tls_slot {
	struct lock lock;
	struct tls_identity *identity GUARDED;
};

static void *allocate(size_t size, const char *file, int line) {
	(void)file, (void)line;
	return reuse_alloc(size);
}

static void *resize(void *block, size_t size, const char *file, int line) {
	(void)file, (void)line;
	return reuse_resize(block, size);
}

static void give_back(void *block, const char *file, int line) {
	(void)file, (void)line;
	reuse_free(block);
}

void tls_reuse_memory(void) {
	CHECK(CRYPTO_set_mem_functions(allocate, resize, give_back) == 1);
}

static int fail(struct err *err, int code, const char *what) {
	unsigned long error = ERR_peek_error();
	const char *reason = error ? ERR_reason_error_string(error) : NULL;
	ERR_clear_error();
	return err_set(err, code, "%s: %s", what, reason ? reason : "out of memory");
}

/* An encrypted key must fail instead of asking on a terminal. */
// NOLINTNEXTLINE(readability-non-const-parameter): the type is OpenSSL's
static int no_password(char *buf, int size, int for_writing, void *context) {
	(void)buf;
	(void)size;
	(void)for_writing;
	(void)context;
	return -1;
}

int64_t tls_time_ms(const ASN1_TIME *time) {
	struct tm fields = { 0 };
	if (!time || ASN1_TIME_to_tm(time, &fields) != 1) {
		return INT64_MAX;
	}
	return (int64_t)timegm(&fields) * MS_PER_S;
}

static void note_expiry(const X509 *certificate, int64_t *earliest_ms) {
	int64_t ms = tls_time_ms(X509_get0_notAfter(certificate));
	if (ms < *earliest_ms) {
		*earliest_ms = ms;
	}
}

/* Whether reading a list of PEM blocks ended because there are no more. */
static bool is_end_of_pem(void) {
	unsigned long error = ERR_peek_last_error();
	bool is_end =
		ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
	ERR_clear_error();
	return is_end;
}

static int use_chain_certificate(struct tls_identity *identity, X509 *certificate, size_t index) {
	note_expiry(certificate, &identity->chain_not_after_ms);
	if (index > 0) {
		return SSL_CTX_add1_chain_cert(identity->context, certificate) == 1;
	}
	identity->not_after_ms = tls_time_ms(X509_get0_notAfter(certificate));
	return SSL_CTX_use_certificate(identity->context, certificate) == 1;
}

static int add_anchor(struct tls_identity *identity, X509 *certificate, size_t index) {
	(void)index;
	note_expiry(certificate, &identity->chain_not_after_ms);
	X509_STORE *store = SSL_CTX_get_cert_store(identity->context);
	return X509_STORE_add_cert(store, certificate) == 1;
}

/* The next one, whose key is of our library context; NULL at the end and when malformed. */
static X509 *read_certificate(BIO *bio) {
	X509 *certificate = X509_new_ex(tls_library(), NULL);
	CHECK(certificate);
	if (!PEM_read_bio_X509(bio, &certificate, no_password, NULL)) {
		X509_free(certificate);
		return NULL;
	}
	return certificate;
}

typedef int use_fn(struct tls_identity *identity, X509 *certificate, size_t index);

/* Reads every certificate in 'pem' and gives it to 'use'. At least one must be there. */
static int read_certificates(struct tls_identity *identity, struct str pem, const char *what,
	use_fn *use, struct err *err) {
	BIO *bio = BIO_new_mem_buf(pem.ptr, pem.len < INT_MAX ? (int)pem.len : INT_MAX);
	CHECK(bio);
	size_t count = 0;
	int rc = 0;
	X509 *certificate = NULL;
	ERR_clear_error();
	while (rc == 0 && (certificate = read_certificate(bio))) {
		if (!use(identity, certificate, count++)) {
			rc = fail(err, ERR_INVAL, what);
		}
		X509_free(certificate);
	}
	if (rc == 0 && !is_end_of_pem()) {
		rc = err_set(err, ERR_INVAL, "%s: certificate %zu is malformed", what, count + 1);
	} else if (rc == 0 && count == 0) {
		rc = err_set(err, ERR_INVAL, "%s: no certificate in PEM form", what);
	}
	BIO_free(bio);
	return rc;
}

static int read_key(struct tls_identity *identity, struct str pem, struct err *err) {
	BIO *bio = BIO_new_mem_buf(pem.ptr, pem.len < INT_MAX ? (int)pem.len : INT_MAX);
	CHECK(bio);
	EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL);
	BIO_free(bio);
	if (!key) {
		return fail(err, ERR_INVAL, "private key");
	}
	int rc = 0;
	if (SSL_CTX_use_PrivateKey(identity->context, key) != 1 ||
		SSL_CTX_check_private_key(identity->context) != 1) {
		rc = fail(err, ERR_INVAL, "private key does not belong to the certificate");
	}
	EVP_PKEY_free(key);
	return rc;
}

static int configure(struct tls_identity *identity, struct err *err) {
	SSL_CTX *context = identity->context;
	bool is_set = SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) == 1 &&
		      SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION) == 1 &&
		      SSL_CTX_set_ciphersuites(context, CIPHERS) == 1 &&
		      SSL_CTX_set_num_tickets(context, 0) == 1;
	if (!is_set) {
		return fail(err, ERR_IO, "TLS 1.3 cannot be set up");
	}
	/* No resumption: every connection is verified, with the certificates of today. */
	(void)SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	(void)SSL_CTX_set_options(context, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION);
	/* Idle connections hold no record buffers; the chain is what we were given, nothing else.
	 */
	(void)SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN);
	SSL_CTX_set_max_cert_list(context, CHAIN_BYTES_MAX);
	SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	SSL_CTX_set_cert_verify_callback(context, tls_session_verify, identity);
	SSL_CTX_set_alpn_select_cb(context, tls_session_select_alpn, NULL);
	SSL_CTX_set_keylog_callback(context, tls_session_take_secret);
	return 0;
}

// NOLINTNEXTLINE(readability-function-size): three texts, who judges them by which clock
int tls_identity_new(struct str chain_pem, struct str key_pem, struct str anchors_pem,
	struct clock *clock, const struct tls_rules *rules, struct tls_identity **out,
	struct err *err) {
	struct tls_identity *identity = MEMORY_NEW(struct tls_identity, 1);
	atomic_init(&identity->refs, 1);
	identity->clock = clock;
	identity->rules = rules ? *rules : (struct tls_rules){ 0 };
	tls_verdicts_init(&identity->verdicts);
	tls_suites_init(&identity->suites, tls_library());
	identity->chain_not_after_ms = INT64_MAX;
	identity->bio = tls_session_bio_method();
	identity->context = SSL_CTX_new_ex(tls_library(), NULL, TLS_method());
	identity->sha256 = EVP_MD_fetch(tls_library(), "SHA2-256", NULL);
	CHECK(identity->bio && identity->context && identity->sha256);

	int rc = configure(identity, err);
	if (rc == 0) {
		rc = read_certificates(
			identity, chain_pem, "certificate chain", use_chain_certificate, err);
	}
	if (rc == 0) {
		rc = read_key(identity, key_pem, err);
	}
	if (rc == 0) {
		rc = read_certificates(identity, anchors_pem, "trust anchors", add_anchor, err);
	}
	if (rc < 0) {
		tls_identity_unref(identity);
		return rc;
	}
	*out = identity;
	return 0;
}

struct tls_identity *tls_identity_ref(struct tls_identity *identity) {
	atomic_fetch_add_explicit(&identity->refs, 1, memory_order_relaxed);
	return identity;
}

void tls_identity_unref(struct tls_identity *identity) {
	if (!identity || atomic_fetch_sub_explicit(&identity->refs, 1, memory_order_acq_rel) > 1) {
		return;
	}
	SSL_CTX_free(identity->context);
	BIO_meth_free(identity->bio);
	EVP_MD_free(identity->sha256);
	tls_suites_deinit(&identity->suites);
	tls_verdicts_deinit(&identity->verdicts);
	free(identity);
}

int64_t tls_identity_not_after_ms(const struct tls_identity *identity) {
	return identity->not_after_ms;
}

int64_t tls_identity_chain_not_after_ms(const struct tls_identity *identity) {
	return identity->chain_not_after_ms;
}

struct tls_slot *tls_slot_new(struct tls_identity *identity) {
	struct tls_slot *slot = MEMORY_NEW(struct tls_slot, 1);
	lock_init(&slot->lock, LOCK_RANK_LEAF);
	lock_take(&slot->lock);
	slot->identity = tls_identity_ref(identity);
	lock_drop(&slot->lock);
	return slot;
}

void tls_slot_free(struct tls_slot *slot) {
	if (!slot) {
		return;
	}
	lock_take(&slot->lock);
	struct tls_identity *identity = slot->identity;
	lock_drop(&slot->lock);
	tls_identity_unref(identity);
	lock_deinit(&slot->lock);
	free(slot);
}

void tls_slot_swap(struct tls_slot *slot, struct tls_identity *identity) {
	(void)tls_identity_ref(identity);
	lock_take(&slot->lock);
	struct tls_identity *old = slot->identity;
	slot->identity = identity;
	lock_drop(&slot->lock);
	tls_identity_unref(old);
}

struct tls_identity *tls_slot_get(struct tls_slot *slot) {
	lock_take(&slot->lock);
	struct tls_identity *identity = tls_identity_ref(slot->identity);
	lock_drop(&slot->lock);
	return identity;
}
