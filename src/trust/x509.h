/*
 * What the rest of this folder needs of OpenSSL's X.509, in our types. Any thread.
 */
#ifndef TRUST_X509_H
#define TRUST_X509_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <stdint.h>

/* For AUTO. */
void x509_release(X509 **certificate);
/* For AUTO. */
void x509_key_release(EVP_PKEY **key);

/* As err_set, ending in OpenSSL's own reason; empties its queue. */
int x509_error(struct err *err, int code, const char *what);

/* Returns 0 or ERR_INVAL. */
MUST_USE int x509_parse_der(struct str der, X509 **out, struct err *err);
/* The first certificate of a PEM text. Returns 0 or ERR_INVAL. */
MUST_USE int x509_parse_pem(struct str pem, X509 **out, struct err *err);
/*
 * A private key; 'passphrase' is not needed for one that is not encrypted. Returns 0, ERR_DENIED
 * (encrypted, and the passphrase is missing or wrong) or ERR_INVAL.
 */
MUST_USE int x509_parse_key(struct str pem, struct str passphrase, EVP_PKEY **out, struct err *err);
/* Appends as PEM. */
void x509_format_pem(X509 *certificate, struct buf *out);
/*
 * Appends as PKCS #8 PEM: with a passphrase encrypted by AES-256 under PBKDF2 (PBES2, RFC 8018),
 * which takes a fraction of a second by intent.
 */
void x509_format_key(EVP_PKEY *key, struct str passphrase, struct buf *out);

/* Milliseconds since 1970. */
int64_t x509_not_before_ms(const X509 *certificate);
int64_t x509_not_after_ms(const X509 *certificate);
/* The first common name of the subject, or "". */
void x509_common_name(const X509 *certificate, char *out, size_t size);
/* The first organization of the subject, or "". */
void x509_organization(const X509 *certificate, char *out, size_t size);
/* SHA-256 of the DER, in lower-case hex. */
void x509_digest(const X509 *certificate, char out[65]);

/* Whether the key of 'authority', which the certificate names as its issuer, signed it. */
bool x509_is_signed_by(X509 *certificate, X509 *authority);

/* Appends a signature over 'text', with SHA-256. */
void x509_sign_text(EVP_PKEY *key, struct str text, struct buf *out);
/* Whether that is the signature over 'text' by the certificate's key. */
bool x509_verify_text(
	X509 *certificate, struct str text, const unsigned char *signature, size_t size);
/* The serial number in upper-case hex, as openssl shows it; empty if it is longer than 20 bytes. */
void x509_serial(const X509 *certificate, char out[41]);

/*
 * The one DNS name of a certificate. Returns 0, or ERR_INVAL with what is wrong: none, several, a
 * name of another kind beside it, a wildcard, bytes that are no name.
 */
MUST_USE int x509_only_dns_name(const X509 *certificate, char *out, size_t size, struct err *err);
/*
 * The one DNS subtree that a certificate's name constraints permit: the trust domain an issuer is
 * limited to. Returns 0, or ERR_INVAL: unconstrained, or not in that form.
 */
MUST_USE int x509_constrained_domain(
	const X509 *certificate, char *out, size_t size, struct err *err);

#endif
