/*
 * The records of an open TLS 1.3 connection (RFC 8446, section 5): what OpenSSL's handshake agreed
 * on goes on here with its ciphers alone, so that an open connection holds two keys instead of some
 * 14 kB, and bytes are encrypted from where they lie to where they are sent.
 *
 * Nothing here decides whom to believe. Every way of breaking the protocol ends the connection.
 * Owned by one session.
 */
#ifndef IO_TLS_RECORD_H
#define IO_TLS_RECORD_H

#include "base/buf.h"
#include "base/compiler.h"
#include "base/str.h"

#include <openssl/types.h>
#include <stddef.h>
#include <stdint.h>

/* The largest plaintext of one record. */
#define TLS_RECORD_BYTES 16384
/* What a record adds to its plaintext: header, type and tag. */
#define TLS_RECORD_OVERHEAD (TLS_RECORD_HEADER_BYTES + 1 + TLS_TAG_BYTES)
#define TLS_RECORD_HEADER_BYTES 5
#define TLS_TAG_BYTES 16
#define TLS_NONCE_BYTES 12
#define TLS_SECRET_BYTES_MAX 48
/* After so many records we change our key: less than AES-GCM bears (RFC 8446, section 5.5). */
#define TLS_RECORDS_PER_KEY (UINT64_C(1) << 23)

/* Types of content. */
#define TLS_ALERT 21
#define TLS_HANDSHAKE 22
#define TLS_DATA 23

/* Algorithms looked up once, for all connections. */
struct tls_suites {
	EVP_KDF *kdf;
	EVP_CIPHER *ciphers[3];
};

/* One direction. */
struct tls_half {
	EVP_CIPHER_CTX *cipher;
	unsigned char secret[TLS_SECRET_BYTES_MAX];
	unsigned char nonce[TLS_NONCE_BYTES];
	uint64_t sequence;
};

struct tls_records {
	const struct tls_suites *suites; /* Borrowed. */
	size_t suite;
	struct tls_half in;
	struct tls_half out;
};

/* Those of 'library'. */
void tls_suites_init(struct tls_suites *suites, OSSL_LIB_CTX *library);
void tls_suites_deinit(struct tls_suites *suites);

/*
 * Begins with the application's secrets of a handshake that agreed on the suite with the number
 * 'id' (0x1301 to 0x1303). Returns false for another one.
 */
MUST_USE bool tls_records_init(struct tls_records *records, const struct tls_suites *suites,
	unsigned id, const unsigned char *in_secret, const unsigned char *out_secret);
/* Wipes the secrets; fine after a failed init on zeroed memory. */
void tls_records_deinit(struct tls_records *records);

/* How long the secrets of a suite are; 0 for one that is not ours. */
size_t tls_suite_secret_len(unsigned id);

/* Appends one record of up to TLS_RECORD_BYTES. */
void tls_records_seal(struct tls_records *records, unsigned char type, const char *bytes,
	size_t len, struct buf *out);
/*
 * Takes apart one whole record, header and all; its plaintext goes to 'out', which has room for
 * the record's length. Returns the type of content, or -1 if it was not made with the keys.
 */
MUST_USE int tls_records_open(
	struct tls_records *records, struct str record, char *out, size_t *len);
/* The next keys of one direction. */
void tls_records_update(struct tls_records *records, struct tls_half *half);

#endif
