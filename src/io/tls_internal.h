/*
 * The inside of an identity, for the sessions made from it.
 */
#ifndef IO_TLS_INTERNAL_H
#define IO_TLS_INTERNAL_H

#include "io/tls.h"
#include "io/tls_record.h"
#include "io/tls_verdicts.h"

#include <openssl/ssl.h>
#include <stdatomic.h>

struct tls_identity {
	atomic_uint refs; /* Release at unref, acquire by whoever frees. */
	SSL_CTX *context;
	BIO_METHOD *bio; /* Bytes in and out of a tls_session. */
	struct clock *clock;
	EVP_MD *sha256;
	struct tls_suites suites;
	struct tls_rules rules;
	struct tls_verdicts verdicts;
	int64_t not_after_ms;
	int64_t chain_not_after_ms;
};

/* Milliseconds since 1970 of a certificate's time; INT64_MAX if it cannot be read. */
int64_t tls_time_ms(const ASN1_TIME *time);

/* For SSL_CTX_set_cert_verify_callback and SSL_CTX_set_alpn_select_cb (tls_session.c). */
int tls_session_verify(X509_STORE_CTX *store_context, void *identity);
int tls_session_select_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
	const unsigned char *in, unsigned in_len, void *unused);
/* For SSL_CTX_set_keylog_callback: the secrets that the records after the handshake need. */
void tls_session_take_secret(const SSL *ssl, const char *line);
/* What a peer's alert means: ERR_DENIED if it refuses us, else ERR_IO; with a sentence. */
int tls_alert_fail(int alert, struct err *err);
/* A new method table for BIOs whose data is a tls_session. Returns NULL without memory. */
BIO_METHOD *tls_session_bio_method(void);

#endif
