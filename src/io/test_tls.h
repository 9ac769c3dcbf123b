/*
 * For tests: certificates made on the spot.
 */
#ifndef IO_TEST_TLS_H
#define IO_TEST_TLS_H

#include "base/buf.h"
#include "base/test.h"
#include "io/tls.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#define TEST_DAY_MS (INT64_C(24) * 3600 * MS_PER_S)
/* What test clocks begin with: 2026-11-22T10:00:00Z. */
#define TEST_NOW_MS INT64_C(1795341600000)

/* A certificate with its key. */
struct test_cert {
	X509 *x509;
	EVP_PKEY *key;
};

struct test_cert_options {
	const char *name;               /* Common name; of a leaf also its DNS name. */
	const struct test_cert *issuer; /* NULL: signs itself. */
	bool is_authority;
	const char *usage;    /* "serverAuth,clientAuth"; NULL: both. */
	int64_t not_after_ms; /* 0: a day after TEST_NOW_MS. */
};

static inline void test_cert_extend(X509 *x509, X509 *issuer, int nid, const char *value) {
	X509V3_CTX context;
	X509V3_set_ctx(&context, issuer, x509, NULL, NULL, 0);
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
	assert_non_null(extension);
	assert_int_equal(X509_add_ext(x509, extension, -1), 1);
	X509_EXTENSION_free(extension);
}

/* Makes one. */
static inline struct test_cert test_cert_make(const struct test_cert_options *options) {
	static long serial = 1;
	struct test_cert made = { X509_new(), EVP_EC_gen("P-256") };
	X509 *issuer = options->issuer ? options->issuer->x509 : made.x509;
	int64_t end_ms = options->not_after_ms ? options->not_after_ms : TEST_NOW_MS + TEST_DAY_MS;
	const unsigned char *name = (const unsigned char *)options->name;
	char san[300];

	assert_int_equal(X509_set_version(made.x509, X509_VERSION_3), 1);
	ASN1_INTEGER_set(X509_get_serialNumber(made.x509), serial++);
	X509_NAME_add_entry_by_txt(
		X509_get_subject_name(made.x509), "CN", MBSTRING_ASC, name, -1, -1, 0);
	X509_set_issuer_name(made.x509, X509_get_subject_name(issuer));
	X509_set_pubkey(made.x509, made.key);
	ASN1_TIME_set(X509_getm_notBefore(made.x509), (TEST_NOW_MS - TEST_DAY_MS) / MS_PER_S);
	ASN1_TIME_set(X509_getm_notAfter(made.x509), end_ms / MS_PER_S);
	test_cert_extend(made.x509, issuer, NID_subject_key_identifier, "hash");
	test_cert_extend(made.x509, issuer, NID_authority_key_identifier, "keyid:always");
	if (options->is_authority) {
		test_cert_extend(made.x509, issuer, NID_basic_constraints, "critical,CA:TRUE");
		test_cert_extend(made.x509, issuer, NID_key_usage, "critical,keyCertSign,cRLSign");
	} else {
		(void)snprintf(san, sizeof(san), "DNS:%s", options->name);
		test_cert_extend(made.x509, issuer, NID_basic_constraints, "critical,CA:FALSE");
		test_cert_extend(made.x509, issuer, NID_key_usage, "critical,digitalSignature");
		test_cert_extend(made.x509, issuer, NID_ext_key_usage,
			options->usage ? options->usage : "serverAuth,clientAuth");
		test_cert_extend(made.x509, issuer, NID_subject_alt_name, san);
	}
	assert_true(X509_sign(made.x509, options->issuer ? options->issuer->key : made.key,
			    EVP_sha256()) > 0);
	return made;
}

static inline void test_cert_free(struct test_cert *cert) {
	X509_free(cert->x509);
	EVP_PKEY_free(cert->key);
}

static inline void test_pem_take(BIO *bio, struct buf *out) {
	char *bytes = NULL;
	long len = BIO_get_mem_data(bio, &bytes);
	buf_append(out, bytes, (size_t)len);
	BIO_free(bio);
}

/* Appends the certificate. */
static inline void test_cert_pem(const struct test_cert *cert, struct buf *out) {
	BIO *bio = BIO_new(BIO_s_mem());
	assert_int_equal(PEM_write_bio_X509(bio, cert->x509), 1);
	test_pem_take(bio, out);
}

/* Appends the key. */
static inline void test_key_pem(const struct test_cert *cert, struct buf *out) {
	BIO *bio = BIO_new(BIO_s_mem());
	assert_int_equal(PEM_write_bio_PrivateKey(bio, cert->key, NULL, NULL, 0, NULL, NULL), 1);
	test_pem_take(bio, out);
}

/*
 * An identity that presents 'leaf' (and 'issuer', if not NULL) and trusts 'anchor'.
 */
static inline struct tls_identity *test_identity(const struct test_cert *leaf,
	const struct test_cert *issuer, const struct test_cert *anchor, struct clock *clock,
	tls_verify_fn *verify, void *context) {
	AUTO(buf_deinit) struct buf chain = { 0 };
	AUTO(buf_deinit) struct buf key = { 0 };
	AUTO(buf_deinit) struct buf anchors = { 0 };
	struct tls_identity *identity = NULL;
	struct err err = { 0 };

	test_cert_pem(leaf, &chain);
	if (issuer) {
		test_cert_pem(issuer, &chain);
	}
	test_key_pem(leaf, &key);
	test_cert_pem(anchor, &anchors);
	assert_ok(tls_identity_new(buf_str(&chain), buf_str(&key), buf_str(&anchors), clock,
			  &(struct tls_rules){ .verify = verify, .context = context }, &identity,
			  &err),
		err);
	return identity;
}

#endif
