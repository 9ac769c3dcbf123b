#include "trust/request.h"

#include "base/check.h"
#include "trust/identity.h"
#include "trust/x509.h"

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>

static void request_release(X509_REQ **request) {
	X509_REQ_free(*request);
}

void request_make(struct str identity, EVP_PKEY **key, struct buf *pem) {
	AUTO(request_release) X509_REQ *request = X509_REQ_new();
	AUTO(buf_deinit) struct buf names = { 0 };
	EVP_PKEY *made = EVP_EC_gen("P-256");
	buf_printf(&names, "DNS:%.*s", STR_ARG(identity));
	CHECK(request && made && X509_REQ_set_pubkey(request, made) == 1);
	X509_EXTENSION *extension =
		X509V3_EXT_nconf_nid(NULL, NULL, NID_subject_alt_name, buf_text(&names));
	STACK_OF(X509_EXTENSION) *extensions = sk_X509_EXTENSION_new_null();
	CHECK(extension && extensions && sk_X509_EXTENSION_push(extensions, extension) > 0);
	CHECK(X509_REQ_add_extensions(request, extensions) == 1);
	sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
	CHECK(X509_REQ_sign(request, made, EVP_sha256()) > 0);
	BIO *bio = BIO_new(BIO_s_mem());
	char *bytes = NULL;
	CHECK(bio && PEM_write_bio_X509_REQ(bio, request) == 1);
	long len = BIO_get_mem_data(bio, &bytes);
	buf_append(pem, bytes, (size_t)len);
	BIO_free(bio);
	*key = made;
}

static bool is_p256(EVP_PKEY *key) {
	char group[32];
	size_t len = 0;
	return EVP_PKEY_get_base_id(key) == EVP_PKEY_EC &&
	       EVP_PKEY_get_group_name(key, group, sizeof(group), &len) == 1 &&
	       OBJ_sn2nid(group) == NID_X9_62_prime256v1;
}

/* The one DNS name, if that is the one extension. */
static int read_name(X509_REQ *request, char *out, size_t size, struct err *err) {
	STACK_OF(X509_EXTENSION) *extensions = X509_REQ_get_extensions(request);
	int count = sk_X509_EXTENSION_num(extensions);
	GENERAL_NAMES *names = X509V3_get_d2i(extensions, NID_subject_alt_name, NULL, NULL);
	const GENERAL_NAME *name = sk_GENERAL_NAME_num(names) == 1 && count == 1
					   ? sk_GENERAL_NAME_value(names, 0)
					   : NULL;
	int rc = 0;
	struct identity identity;
	if (!name || name->type != GEN_DNS) {
		rc = err_set(err, ERR_INVAL,
			"the request must ask for one DNS name and for nothing else");
	} else {
		struct str text = { (const char *)ASN1_STRING_get0_data(name->d.dNSName),
			(size_t)ASN1_STRING_length(name->d.dNSName) };
		rc = identity_parse(text, &identity, err);
		if (rc == 0) {
			CHECK(text.len < size);
			memcpy(out, text.ptr, text.len);
			out[text.len] = '\0';
		}
	}
	GENERAL_NAMES_free(names);
	sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
	return rc;
}

int request_parse(struct str pem, EVP_PKEY **key, char *identity, size_t size, struct err *err) {
	if (pem.len == 0 || pem.len > REQUEST_BYTES_MAX) {
		return err_set(err, ERR_INVAL, "a request of %zu bytes, must be 1 to %zu", pem.len,
			REQUEST_BYTES_MAX);
	}
	BIO *bio = BIO_new_mem_buf(pem.ptr, (int)pem.len);
	CHECK(bio);
	AUTO(request_release) X509_REQ *request = PEM_read_bio_X509_REQ(bio, NULL, NULL, NULL);
	BIO_free(bio);
	if (!request) {
		return x509_error(err, ERR_INVAL, "request for a certificate in PEM");
	}
	EVP_PKEY *asked = X509_REQ_get0_pubkey(request);
	if (!asked || !is_p256(asked)) {
		ERR_clear_error();
		return err_set(err, ERR_INVAL, "the key of the request is not P-256");
	}
	if (X509_REQ_verify(request, asked) != 1) {
		ERR_clear_error();
		return err_set(err, ERR_INVAL, "the request is not signed by its own key");
	}
	int rc = read_name(request, identity, size, err);
	ERR_clear_error();
	if (rc == 0) {
		CHECK(EVP_PKEY_up_ref(asked) == 1);
		*key = asked;
	}
	return rc;
}
