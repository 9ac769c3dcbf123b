/*
 * Certificates, read for people and for comparing. Any thread.
 */
#ifndef TRUST_CERTIFICATE_H
#define TRUST_CERTIFICATE_H

#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a certificate says, for people. */
struct certificate_info {
	char name[256];   /* The DNS name, or else the subject's common name. */
	char digest[65];  /* SHA-256 of the DER, hex. */
	char domain[256]; /* Of an issuer: the trust domain it is limited to; else empty. */
	int64_t not_before_ms;
	int64_t not_after_ms;
	bool is_authority;
	bool is_self_signed;
};

/* Reads one certificate. Returns 0 or ERR_INVAL. */
MUST_USE int certificate_read(struct str der, struct certificate_info *out, struct err *err);

/* The first organization of its subject, of an anchor the domain of its mesh, or "". Returns 0 or
 * ERR_INVAL. */
MUST_USE int certificate_organization(struct str der, char *out, size_t size);

/* Walks the certificates of a PEM text: calls 'each' with their DER. Returns how many, or ERR_INVAL
 * for a block that is malformed. */
typedef void certificate_fn(void *context, struct str der);
MUST_USE int certificates_walk(
	struct str pem, certificate_fn *each, void *context, struct err *err);

/* SHA-256 over the digests of all certificates of a bundle, sorted: the same for the same anchors
 * in any order. Returns 0 or ERR_INVAL. */
MUST_USE int certificates_digest(struct str pem, char out[65], struct err *err);

#endif
