#include "trust/certificate.h"

#include "base/buf.h"
#include "base/check.h"
#include "trust/identity.h"
#include "trust/x509.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>

/* More certificates in one text than this are a mistake. */
#define CERTIFICATES_MAX 1000

int certificate_read(struct str der, struct certificate_info *out, struct err *err) {
	AUTO(x509_release) X509 *certificate = NULL;
	int rc = x509_parse_der(der, &certificate, err);
	if (rc < 0) {
		return rc;
	}
	*out = (struct certificate_info){
		.not_before_ms = x509_not_before_ms(certificate),
		.not_after_ms = x509_not_after_ms(certificate),
		.is_authority = X509_check_ca(certificate) > 0,
		.is_self_signed = X509_get_extension_flags(certificate) & EXFLAG_SS,
	};
	x509_digest(certificate, out->digest);
	if (x509_only_dns_name(certificate, out->name, sizeof(out->name), NULL) < 0) {
		x509_common_name(certificate, out->name, sizeof(out->name));
	}
	if (x509_constrained_domain(certificate, out->domain, sizeof(out->domain), NULL) < 0) {
		out->domain[0] = '\0';
	}
	return 0;
}

int certificate_organization(struct str der, char *out, size_t size) {
	AUTO(x509_release) X509 *certificate = NULL;
	int rc = x509_parse_der(der, &certificate, NULL);
	if (rc == 0) {
		x509_organization(certificate, out, size);
	}
	return rc;
}

static int walk(BIO *bio, certificate_fn *each, void *context, struct err *err) {
	int count = 0;
	X509 *certificate;
	while ((certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL))) {
		unsigned char *der = NULL;
		int len = i2d_X509(certificate, &der);
		X509_free(certificate);
		CHECK(len > 0);
		each(context, (struct str){ (char *)der, (size_t)len });
		OPENSSL_free(der);
		if (++count > CERTIFICATES_MAX) {
			return err_set(
				err, ERR_INVAL, "more than %d certificates", CERTIFICATES_MAX);
		}
	}
	if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE) {
		return x509_error(err, ERR_INVAL, "certificate in PEM");
	}
	ERR_clear_error();
	return count;
}

int certificates_walk(struct str pem, certificate_fn *each, void *context, struct err *err) {
	if (pem.len > INT32_MAX) {
		return err_set(err, ERR_INVAL, "%zu bytes of certificates", pem.len);
	}
	BIO *bio = BIO_new_mem_buf(pem.len > 0 ? pem.ptr : "", (int)pem.len);
	CHECK(bio);
	int count = walk(bio, each, context, err);
	BIO_free(bio);
	return count;
}

static void add_digest(void *context, struct str der) {
	unsigned char digest[SHA256_DIGEST_LENGTH];
	(void)SHA256((const unsigned char *)der.ptr, der.len, digest);
	buf_append(context, digest, sizeof(digest));
}

static int compare_digests(const void *a, const void *b) {
	return memcmp(a, b, SHA256_DIGEST_LENGTH);
}

int certificates_digest(struct str pem, char out[65], struct err *err) {
	AUTO(buf_deinit) struct buf digests = { 0 };
	int count = certificates_walk(pem, add_digest, &digests, err);
	if (count < 0) {
		return count;
	}
	if (count == 0) {
		return err_set(err, ERR_INVAL, "no certificate in PEM found");
	}
	qsort(digests.ptr, (size_t)count, SHA256_DIGEST_LENGTH, compare_digests);
	unsigned char all[SHA256_DIGEST_LENGTH];
	(void)SHA256((const unsigned char *)digests.ptr, digests.len, all);
	for (size_t i = 0; i < sizeof(all); i++) {
		(void)snprintf(out + 2 * i, 3, "%02x", all[i]);
	}
	return 0;
}
