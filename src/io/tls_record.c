#include "io/tls_record.h"

#include "base/check.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <string.h>

#define KEY_BYTES_MAX 32

/* In the order of their numbers, from FIRST_SUITE. */
#define FIRST_SUITE 0x1301
static const struct {
	const char *cipher;
	const char *digest;
	size_t key_len;
	size_t secret_len;
} suite_table[] = {
	{ "AES-128-GCM", "SHA2-256", 16, 32 },
	{ "AES-256-GCM", "SHA2-384", 32, 48 },
	{ "ChaCha20-Poly1305", "SHA2-256", 32, 32 },
};

void tls_suites_init(struct tls_suites *suites, OSSL_LIB_CTX *library) {
	suites->kdf = EVP_KDF_fetch(library, "TLS13-KDF", NULL);
	CHECK(suites->kdf);
	for (size_t i = 0; i < ARRAY_COUNT(suite_table); i++) {
		suites->ciphers[i] = EVP_CIPHER_fetch(library, suite_table[i].cipher, NULL);
		CHECK(suites->ciphers[i]);
	}
}

void tls_suites_deinit(struct tls_suites *suites) {
	EVP_KDF_free(suites->kdf);
	for (size_t i = 0; i < ARRAY_COUNT(suite_table); i++) {
		EVP_CIPHER_free(suites->ciphers[i]);
	}
}

size_t tls_suite_secret_len(unsigned id) {
	size_t suite = id - FIRST_SUITE;
	return id >= FIRST_SUITE && suite < ARRAY_COUNT(suite_table) ? suite_table[suite].secret_len
								     : 0;
}

/* HKDF-Expand-Label without context (RFC 8446, section 7.1). */
static void expand(const struct tls_records *records, const unsigned char *secret,
	const char *label, unsigned char *out, size_t len) {
	size_t suite = records->suite;
	int mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY;
	/* OpenSSL takes pointers to what it only reads. */
	const OSSL_PARAM params[] = {
		OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode),
		OSSL_PARAM_construct_utf8_string(
			OSSL_KDF_PARAM_DIGEST, (char *)(uintptr_t)suite_table[suite].digest, 0),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)(uintptr_t)secret,
			suite_table[suite].secret_len),
		OSSL_PARAM_construct_octet_string(
			OSSL_KDF_PARAM_PREFIX, (void *)(uintptr_t) "tls13 ", 6),
		OSSL_PARAM_construct_octet_string(
			OSSL_KDF_PARAM_LABEL, (void *)(uintptr_t)label, strlen(label)),
		OSSL_PARAM_construct_end(),
	};
	EVP_KDF_CTX *context = EVP_KDF_CTX_new(records->suites->kdf);
	CHECK(context && EVP_KDF_derive(context, out, len, params) == 1);
	EVP_KDF_CTX_free(context);
}

/* Puts the keys that follow from the half's secret in place. */
static void use_secret(struct tls_records *records, struct tls_half *half) {
	unsigned char key[KEY_BYTES_MAX];
	EVP_CIPHER *cipher = records->suites->ciphers[records->suite];
	expand(records, half->secret, "key", key, suite_table[records->suite].key_len);
	expand(records, half->secret, "iv", half->nonce, TLS_NONCE_BYTES);
	int rc = half == &records->in ? EVP_DecryptInit_ex2(half->cipher, cipher, key, NULL, NULL)
				      : EVP_EncryptInit_ex2(half->cipher, cipher, key, NULL, NULL);
	CHECK(rc == 1);
	OPENSSL_cleanse(key, sizeof(key));
	half->sequence = 0;
}

bool tls_records_init(struct tls_records *records, const struct tls_suites *suites, unsigned id,
	const unsigned char *in_secret, const unsigned char *out_secret) {
	size_t secret_len = tls_suite_secret_len(id);
	if (secret_len == 0) {
		return false;
	}
	*records = (struct tls_records){ .suites = suites, .suite = id - FIRST_SUITE };
	records->in.cipher = EVP_CIPHER_CTX_new();
	records->out.cipher = EVP_CIPHER_CTX_new();
	CHECK(records->in.cipher && records->out.cipher);
	memcpy(records->in.secret, in_secret, secret_len);
	memcpy(records->out.secret, out_secret, secret_len);
	use_secret(records, &records->in);
	use_secret(records, &records->out);
	return true;
}

void tls_records_deinit(struct tls_records *records) {
	EVP_CIPHER_CTX_free(records->in.cipher);
	EVP_CIPHER_CTX_free(records->out.cipher);
	OPENSSL_cleanse(records, sizeof(*records));
}

void tls_records_update(struct tls_records *records, struct tls_half *half) {
	unsigned char next[TLS_SECRET_BYTES_MAX];
	size_t len = suite_table[records->suite].secret_len;
	expand(records, half->secret, "traffic upd", next, len);
	memcpy(half->secret, next, len);
	OPENSSL_cleanse(next, sizeof(next));
	use_secret(records, half);
}

/* The nonce of the next record: the number of the record under the half's own. */
static void next_nonce(struct tls_half *half, unsigned char nonce[TLS_NONCE_BYTES]) {
	uint64_t sequence = half->sequence++;
	memcpy(nonce, half->nonce, TLS_NONCE_BYTES);
	for (size_t i = 0; i < sizeof(sequence); i++) {
		nonce[TLS_NONCE_BYTES - 1 - i] ^= (unsigned char)(sequence >> (8 * i));
	}
}

void tls_records_seal(struct tls_records *records, unsigned char type, const char *bytes,
	size_t len, struct buf *out) {
	CHECK(len <= TLS_RECORD_BYTES);
	size_t sealed = len + 1 + TLS_TAG_BYTES;
	buf_reserve(out, TLS_RECORD_HEADER_BYTES + sealed);
	unsigned char *at = (unsigned char *)out->ptr + out->len;
	const unsigned char header[TLS_RECORD_HEADER_BYTES] = { TLS_DATA, 3, 3,
		(unsigned char)(sealed >> 8), (unsigned char)sealed };
	unsigned char nonce[TLS_NONCE_BYTES];
	EVP_CIPHER_CTX *cipher = records->out.cipher;
	int count = 0;
	next_nonce(&records->out, nonce);
	memcpy(at, header, sizeof(header));
	at += sizeof(header);
	CHECK(EVP_EncryptInit_ex2(cipher, NULL, NULL, nonce, NULL) == 1);
	CHECK(EVP_EncryptUpdate(cipher, NULL, &count, header, sizeof(header)) == 1);
	if (len > 0) {
		CHECK(EVP_EncryptUpdate(
			      cipher, at, &count, (const unsigned char *)bytes, (int)len) == 1);
		CHECK(count == (int)len);
	}
	CHECK(EVP_EncryptUpdate(cipher, at + len, &count, &type, 1) == 1 && count == 1);
	CHECK(EVP_EncryptFinal_ex(cipher, at + len + 1, &count) == 1 && count == 0);
	CHECK(EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_GET_TAG, TLS_TAG_BYTES, at + len + 1) == 1);
	out->len += TLS_RECORD_HEADER_BYTES + sealed;
}

/* The type of content is the last byte that is not zero; zeroes after it are padding. */
static int strip_padding(const char *plain, size_t *len) {
	while (*len > 0 && plain[*len - 1] == 0) {
		(*len)--;
	}
	if (*len == 0) {
		return -1;
	}
	(*len)--;
	return (unsigned char)plain[*len];
}

int tls_records_open(struct tls_records *records, struct str record, char *out, size_t *len) {
	if (record.len < TLS_RECORD_HEADER_BYTES + TLS_TAG_BYTES) {
		return -1;
	}
	const unsigned char *header = (const unsigned char *)record.ptr;
	const unsigned char *sealed = header + TLS_RECORD_HEADER_BYTES;
	size_t plain_len = record.len - TLS_RECORD_HEADER_BYTES - TLS_TAG_BYTES;
	unsigned char tag[TLS_TAG_BYTES];
	unsigned char nonce[TLS_NONCE_BYTES];
	EVP_CIPHER_CTX *cipher = records->in.cipher;
	int count = 0;
	next_nonce(&records->in, nonce);
	memcpy(tag, sealed + plain_len, sizeof(tag));
	CHECK(EVP_DecryptInit_ex2(cipher, NULL, NULL, nonce, NULL) == 1);
	CHECK(EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_SET_TAG, TLS_TAG_BYTES, tag) == 1);
	CHECK(EVP_DecryptUpdate(cipher, NULL, &count, header, TLS_RECORD_HEADER_BYTES) == 1);
	if (plain_len > 0 && EVP_DecryptUpdate(cipher, (unsigned char *)out, &count, sealed,
				     (int)plain_len) != 1) {
		return -1;
	}
	unsigned char rest[TLS_TAG_BYTES];
	if (EVP_DecryptFinal_ex(cipher, rest, &count) != 1) {
		return -1;
	}
	*len = plain_len;
	return strip_padding(out, len);
}
