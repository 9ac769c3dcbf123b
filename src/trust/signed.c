#include "trust/signed.h"

#include "trust/x509.h"

#include <openssl/evp.h>

#define SIGNATURE_WORD STR("signature ")
#define ANCHORS_LINE STR("\nanchors\n")
/* An ECDSA signature over P-384, in DER, has 104 bytes at most. */
#define SIGNATURE_BYTES_MAX 128

int signed_text_seal(const struct credentials *signer, struct buf *text, struct err *err) {
	AUTO(x509_release) X509 *certificate = NULL;
	AUTO(x509_key_release) EVP_PKEY *key = NULL;
	AUTO(buf_deinit) struct buf signature = { 0 };
	int rc = x509_parse_pem(buf_str(&signer->chain), &certificate, err);
	if (rc == 0) {
		rc = x509_parse_key(buf_str(&signer->key), STR_EMPTY, &key, err);
	}
	if (rc < 0) {
		return ERR_INVAL;
	}
	if (EVP_PKEY_get_base_id(key) != EVP_PKEY_EC ||
		X509_check_private_key(certificate, key) != 1) {
		return err_set(err, ERR_INVAL,
			"tls.key is no ECDSA key, or not the key of the certificate in tls.crt");
	}
	x509_sign_text(key, buf_str(text), &signature);
	buf_add_str(text, SIGNATURE_WORD);
	for (size_t i = 0; i < signature.len; i++) {
		buf_printf(text, "%02x", (unsigned char)signature.ptr[i]);
	}
	buf_add_byte(text, '\n');
	buf_add_str(text, str_trim(buf_str(&signer->chain)));
	buf_add_str(text, ANCHORS_LINE);
	buf_add_str(text, str_trim(buf_str(&signer->anchors)));
	buf_add_byte(text, '\n');
	return 0;
}

/* Where 'part' begins in 'text', or SIZE_MAX. */
static size_t find(struct str text, struct str part) {
	const char *hit = text.len > 0 ? memmem(text.ptr, text.len, part.ptr, part.len) : NULL;
	return hit ? (size_t)(hit - text.ptr) : SIZE_MAX;
}

static int hex_value(char c) {
	if (c >= '0' && c <= '9') {
		return c - '0';
	}
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Returns the length, or 0 for what is no signature in hex. */
static size_t read_hex(struct str hex, unsigned char out[SIGNATURE_BYTES_MAX]) {
	if (hex.len % 2 != 0 || hex.len / 2 > SIGNATURE_BYTES_MAX) {
		return 0;
	}
	for (size_t i = 0; i < hex.len / 2; i++) {
		int high = hex_value(hex.ptr[2 * i]);
		int low = hex_value(hex.ptr[2 * i + 1]);
		if (high < 0 || low < 0) {
			return 0;
		}
		out[i] = (unsigned char)(high << 4 | low);
	}
	return hex.len / 2;
}

/* The first such line: the caller's text has none. */
static size_t find_signature(struct str bytes) {
	size_t at = find(bytes, STR("\nsignature "));
	return at == SIZE_MAX ? SIZE_MAX : at + 1;
}

int signed_text_open(struct str bytes, struct signed_text *out, struct err *err) {
	AUTO(x509_release) X509 *signer = NULL;
	unsigned char signature[SIGNATURE_BYTES_MAX];
	size_t at = find_signature(bytes);
	if (at == SIZE_MAX) {
		return err_set(err, ERR_CORRUPT, "it is not signed: no line \"signature\"");
	}
	struct str rest = str_from(bytes, at + SIGNATURE_WORD.len);
	size_t size = read_hex(str_cut(&rest, '\n'), signature);
	size_t anchors = find(rest, ANCHORS_LINE);
	if (size == 0 || anchors == SIZE_MAX) {
		return err_set(err, ERR_CORRUPT, "its signature or its anchors are malformed");
	}
	struct signed_text read = {
		.text = str_first(bytes, at),
		.chain_pem = str_first(rest, anchors + 1),
		.anchors_pem = str_from(rest, anchors + ANCHORS_LINE.len),
	};
	if (x509_parse_pem(read.chain_pem, &signer, NULL) < 0) {
		return err_set(err, ERR_CORRUPT, "it has no certificate of its signer");
	}
	if (!x509_verify_text(signer, read.text, signature, size)) {
		return err_set(err, ERR_DENIED,
			"its signature does not fit: it was changed after it was signed");
	}
	*out = read;
	return 0;
}
