/*
 * For tests: certificates of any shape, right or wrong, and chains of them as PEM.
 */
#ifndef TRUST_TEST_CERTIFICATES_H
#define TRUST_TEST_CERTIFICATES_H

#include "base/buf.h"
#include "base/rand.h"
#include "base/test.h"
#include "base/time.h"

#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

/* 2026-11-22T10:00:00Z */
#define TEST_NOW_MS INT64_C(1795341600000)
#define HOUR_MS (INT64_C(3600) * MS_PER_S)
#define WEST "p.m.serviceaccount.identity.linkerd.west.mesh"
#define EAST "p.m.serviceaccount.identity.linkerd.east.mesh"

struct test_certificate {
	X509 *certificate;
	EVP_PKEY *key;
};

/* Extension values are written as in openssl.cnf; NULL leaves an extension out. */
struct test_form {
	const char *common_name;
	const char *constraints;
	const char *usage;
	const char *extended_usage;
	const char *names;
	const char *limits;
	int64_t not_before_ms; /* 0: an hour ago. */
	int64_t not_after_ms;  /* 0: in an hour. */
	const char *curve;     /* NULL: P-256; "ED25519"; "RSA". */
	const EVP_MD *digest;  /* NULL: SHA-256. */
};

static inline EVP_PKEY *test_key(const char *curve) {
	if (!curve) {
		return EVP_EC_gen("P-256");
	}
	if (strcmp(curve, "RSA") == 0) {
		return EVP_RSA_gen(2048);
	}
	return strcmp(curve, "ED25519") == 0 ? EVP_PKEY_Q_keygen(NULL, NULL, "ED25519")
					     : EVP_EC_gen(curve);
}

static inline void test_extension(
	X509 *certificate, X509V3_CTX *context, int nid, const char *value) {
	if (value) {
		X509_EXTENSION *extension = X509V3_EXT_nconf_nid(NULL, context, nid, value);
		assert_non_null(extension);
		assert_int_equal(X509_add_ext(certificate, extension, -1), 1);
		X509_EXTENSION_free(extension);
	}
}

static inline struct test_certificate test_make(
	const struct test_certificate *signer, const struct test_form *form) {
	struct test_certificate made = { X509_new(), test_key(form->curve) };
	X509 *by = signer ? signer->certificate : made.certificate;
	int64_t from_ms = form->not_before_ms ? form->not_before_ms : TEST_NOW_MS - HOUR_MS;
	int64_t to_ms = form->not_after_ms ? form->not_after_ms : TEST_NOW_MS + HOUR_MS;
	uint32_t serial = 0;
	rand_secure(&serial, sizeof(serial));
	assert_non_null(made.key);
	(void)X509_set_version(made.certificate, X509_VERSION_3);
	(void)ASN1_INTEGER_set(X509_get_serialNumber(made.certificate), serial);
	if (form->common_name) {
		(void)X509_NAME_add_entry_by_txt(X509_get_subject_name(made.certificate), "CN",
			MBSTRING_ASC, (const unsigned char *)form->common_name, -1, -1, 0);
	}
	(void)ASN1_TIME_set(X509_getm_notBefore(made.certificate), (time_t)(from_ms / 1000));
	(void)ASN1_TIME_set(X509_getm_notAfter(made.certificate), (time_t)(to_ms / 1000));
	(void)X509_set_pubkey(made.certificate, made.key);
	(void)X509_set_issuer_name(made.certificate, X509_get_subject_name(by));
	X509V3_CTX context;
	X509V3_set_ctx(&context, by, made.certificate, NULL, NULL, 0);
	test_extension(made.certificate, &context, NID_basic_constraints, form->constraints);
	test_extension(made.certificate, &context, NID_key_usage, form->usage);
	test_extension(made.certificate, &context, NID_ext_key_usage, form->extended_usage);
	test_extension(made.certificate, &context, NID_subject_key_identifier, "hash");
	if (signer) {
		test_extension(
			made.certificate, &context, NID_authority_key_identifier, "keyid:always");
	}
	test_extension(made.certificate, &context, NID_name_constraints, form->limits);
	test_extension(made.certificate, &context, NID_subject_alt_name, form->names);
	EVP_PKEY *key = signer ? signer->key : made.key;
	bool is_ed25519 = EVP_PKEY_get_base_id(key) == EVP_PKEY_ED25519;
	const EVP_MD *digest = form->digest ? form->digest : EVP_sha256();
	assert_true(X509_sign(made.certificate, key, is_ed25519 ? NULL : digest) > 0);
	return made;
}

static inline void test_release(struct test_certificate *made) {
	X509_free(made->certificate);
	EVP_PKEY_free(made->key);
}

static inline void test_pem(const struct test_certificate *made, struct buf *out) {
	BIO *bio = BIO_new(BIO_s_mem());
	char *bytes = NULL;
	assert_int_equal(PEM_write_bio_X509(bio, made->certificate), 1);
	long len = BIO_get_mem_data(bio, &bytes);
	buf_append(out, bytes, (size_t)len);
	BIO_free(bio);
}

static inline struct test_certificate test_anchor(void) {
	return test_make(NULL, &(struct test_form){
				       .common_name = "anchor",
				       .constraints = "critical,CA:TRUE",
				       .usage = "critical,keyCertSign",
			       });
}

#define FULL_LIMITS                                                                                \
	"critical,permitted;DNS:west.mesh,permitted;URI:west.mesh,permitted;email:invalid."        \
	"invalid,"                                                                                 \
	"excluded;IP:0.0.0.0/0.0.0.0,excluded;IP:0:0:0:0:0:0:0:0/0:0:0:0:0:0:0:0"

static inline struct test_form test_issuer_form(const char *limits) {
	return (struct test_form){
		.common_name = "issuer",
		.constraints = "critical,CA:TRUE,pathlen:0",
		.usage = "critical,keyCertSign,cRLSign",
		.limits = limits,
	};
}

static inline struct test_form test_leaf_form(const char *names) {
	return (struct test_form){
		.common_name = "leaf",
		.constraints = "critical,CA:FALSE",
		.usage = "critical,digitalSignature",
		.extended_usage = "serverAuth,clientAuth",
		.names = names,
	};
}

#endif
