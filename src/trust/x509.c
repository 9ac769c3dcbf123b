#include "trust/x509.h"

#include "base/check.h"
#include "trust/identity.h"

#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* Guessing passphrases should cost somebody who has the file: what OWASP advised in 2023. */
#define KEY_ITERATIONS 600000
#define KEY_SALT_LEN 16

void x509_release(X509 **certificate) {
	X509_free(*certificate);
}

void x509_key_release(EVP_PKEY **key) {
	EVP_PKEY_free(*key);
}

int x509_error(struct err *err, int code, const char *what) {
	unsigned long reason = ERR_peek_last_error();
	const char *text = reason ? ERR_reason_error_string(reason) : NULL;
	ERR_clear_error();
	return err_set(err, code, "%s: %s", what, text ? text : "malformed");
}

static BIO *reader(struct str text) {
	CHECK(text.len <= INT32_MAX);
	BIO *bio = BIO_new_mem_buf(text.len > 0 ? text.ptr : "", (int)text.len);
	CHECK(bio);
	return bio;
}

int x509_parse_der(struct str der, X509 **out, struct err *err) {
	const unsigned char *at = (const unsigned char *)der.ptr;
	X509 *certificate = d2i_X509(NULL, &at, (long)der.len);
	if (!certificate) {
		return x509_error(err, ERR_INVAL, "certificate");
	}
	if (at != (const unsigned char *)der.ptr + der.len) {
		X509_free(certificate);
		return err_set(err, ERR_INVAL, "certificate: bytes follow its end");
	}
	*out = certificate;
	return 0;
}

int x509_parse_pem(struct str pem, X509 **out, struct err *err) {
	BIO *bio = reader(pem);
	X509 *certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);
	BIO_free(bio);
	if (!certificate) {
		return x509_error(err, ERR_INVAL, "certificate in PEM");
	}
	*out = certificate;
	return 0;
}

struct asked {
	struct str passphrase;
	bool was_asked; /* So the key is encrypted. */
};

/* Never asks on the terminal. */
static int give_passphrase(char *buf, int size, int for_writing, void *context) {
	(void)for_writing;
	struct asked *asked = context;
	asked->was_asked = true;
	if (asked->passphrase.len == 0 || asked->passphrase.len > (size_t)size) {
		return -1;
	}
	memcpy(buf, asked->passphrase.ptr, asked->passphrase.len);
	return (int)asked->passphrase.len;
}

int x509_parse_key(struct str pem, struct str passphrase, EVP_PKEY **out, struct err *err) {
	struct asked asked = { .passphrase = passphrase };
	BIO *bio = reader(pem);
	EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, give_passphrase, &asked);
	BIO_free(bio);
	if (key) {
		*out = key;
		return 0;
	}
	if (asked.was_asked) {
		ERR_clear_error();
		return err_set(err, ERR_DENIED,
			passphrase.len == 0
				? "the private key is encrypted and needs its passphrase"
				: "the passphrase is not the private key's, or the key is damaged");
	}
	return x509_error(err, ERR_INVAL, "private key in PEM");
}

static void drain(BIO *bio, struct buf *out) {
	char *bytes = NULL;
	long len = BIO_get_mem_data(bio, &bytes);
	CHECK(len > 0);
	buf_append(out, bytes, (size_t)len);
	OPENSSL_cleanse(bytes, (size_t)len);
	BIO_free(bio);
}

void x509_format_pem(X509 *certificate, struct buf *out) {
	BIO *bio = BIO_new(BIO_s_mem());
	CHECK(bio && PEM_write_bio_X509(bio, certificate) == 1);
	drain(bio, out);
}

static void write_encrypted(BIO *bio, EVP_PKEY *key, struct str passphrase) {
	unsigned char salt[KEY_SALT_LEN];
	CHECK(RAND_bytes(salt, sizeof(salt)) == 1 && passphrase.len <= INT32_MAX);
	X509_ALGOR *scheme = PKCS5_pbe2_set_iv(
		EVP_aes_256_cbc(), KEY_ITERATIONS, salt, sizeof(salt), NULL, NID_hmacWithSHA256);
	PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(key);
	CHECK(scheme && info);
	X509_SIG *sealed = PKCS8_set0_pbe(passphrase.ptr, (int)passphrase.len, info, scheme);
	CHECK(sealed && PEM_write_bio_PKCS8(bio, sealed) == 1);
	X509_SIG_free(sealed);
	PKCS8_PRIV_KEY_INFO_free(info);
}

void x509_format_key(EVP_PKEY *key, struct str passphrase, struct buf *out) {
	BIO *bio = BIO_new(BIO_s_secmem());
	CHECK(bio);
	if (passphrase.len > 0) {
		write_encrypted(bio, key, passphrase);
	} else {
		CHECK(PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1);
	}
	drain(bio, out);
}

static int64_t time_ms(const ASN1_TIME *time) {
	struct tm parts;
	if (ASN1_TIME_to_tm(time, &parts) != 1) {
		return 0;
	}
	return (int64_t)timegm(&parts) * 1000;
}

int64_t x509_not_before_ms(const X509 *certificate) {
	return time_ms(X509_get0_notBefore(certificate));
}

int64_t x509_not_after_ms(const X509 *certificate) {
	return time_ms(X509_get0_notAfter(certificate));
}

static void subject_text(const X509 *certificate, int nid, char *out, size_t size) {
	CHECK(size <= INT32_MAX);
	X509_NAME *subject = X509_get_subject_name(certificate);
	if (X509_NAME_get_text_by_NID(subject, nid, out, (int)size) < 0) {
		out[0] = '\0';
	}
}

void x509_common_name(const X509 *certificate, char *out, size_t size) {
	subject_text(certificate, NID_commonName, out, size);
}

void x509_organization(const X509 *certificate, char *out, size_t size) {
	subject_text(certificate, NID_organizationName, out, size);
}

void x509_digest(const X509 *certificate, char out[65]) {
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned len = 0;
	CHECK(X509_digest(certificate, EVP_sha256(), digest, &len) == 1 && len == 32);
	for (unsigned i = 0; i < len; i++) {
		(void)snprintf(out + (size_t)2 * i, 3, "%02x", digest[i]);
	}
}

bool x509_is_signed_by(X509 *certificate, X509 *authority) {
	EVP_PKEY *key = X509_get0_pubkey(authority);
	bool is_signed = key &&
			 X509_NAME_cmp(X509_get_issuer_name(certificate),
				 X509_get_subject_name(authority)) == 0 &&
			 X509_verify(certificate, key) == 1;
	ERR_clear_error();
	return is_signed;
}

void x509_sign_text(EVP_PKEY *key, struct str text, struct buf *out) {
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	unsigned char signature[256];
	size_t size = sizeof(signature);
	CHECK(context && EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key) == 1);
	CHECK(EVP_DigestSign(
		      context, signature, &size, (const unsigned char *)text.ptr, text.len) == 1);
	EVP_MD_CTX_free(context);
	buf_append(out, signature, size);
}

bool x509_verify_text(
	X509 *certificate, struct str text, const unsigned char *signature, size_t size) {
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	EVP_PKEY *key = X509_get0_pubkey(certificate);
	CHECK(context);
	bool is_good = key && EVP_PKEY_get_base_id(key) == EVP_PKEY_EC &&
		       EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL, key) == 1 &&
		       EVP_DigestVerify(context, signature, size, (const unsigned char *)text.ptr,
			       text.len) == 1;
	EVP_MD_CTX_free(context);
	ERR_clear_error();
	return is_good;
}

void x509_serial(const X509 *certificate, char out[41]) {
	BIGNUM *number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), NULL);
	char *text = number && BN_num_bytes(number) <= 20 ? BN_bn2hex(number) : NULL;
	(void)snprintf(out, 41, "%s", text ? text : "");
	OPENSSL_free(text);
	BN_free(number);
}

static struct str ia5_text(const ASN1_IA5STRING *text) {
	return (struct str){ (const char *)ASN1_STRING_get0_data(text),
		(size_t)ASN1_STRING_length(text) };
}

static int copy_name(struct str name, char *out, size_t size, struct err *err) {
	if (str_find(name, '*') != SIZE_MAX) {
		return err_set(err, ERR_INVAL, "name \"%.*s\" has a wildcard",
			STR_ARG(str_first(name, IDENTITY_LEN_MAX)));
	}
	if (!dns_name_is_valid(name) || name.len >= size) {
		return err_set(err, ERR_INVAL, "its DNS name of %zu bytes is malformed", name.len);
	}
	memcpy(out, name.ptr, name.len);
	out[name.len] = '\0';
	return 0;
}

static const char *kind_name(int type) {
	switch (type) {
	case GEN_URI:
		return "URI";
	case GEN_IPADD:
		return "IP address";
	case GEN_EMAIL:
		return "email";
	case GEN_DIRNAME:
		return "directory name";
	default:
		return "kind";
	}
}

static int only_dns(const GENERAL_NAMES *names, char *out, size_t size, struct err *err) {
	int count = sk_GENERAL_NAME_num(names);
	for (int i = 0; i < count; i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
		if (name->type != GEN_DNS) {
			return err_set(err, ERR_INVAL,
				"it has an alternative name of type %s; only one DNS name is "
				"allowed",
				kind_name(name->type));
		}
	}
	if (count != 1) {
		return err_set(err, ERR_INVAL, "it has %d DNS names, must have exactly one", count);
	}
	return copy_name(ia5_text(sk_GENERAL_NAME_value(names, 0)->d.dNSName), out, size, err);
}

int x509_only_dns_name(const X509 *certificate, char *out, size_t size, struct err *err) {
	int critical = 0;
	GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, &critical, NULL);
	if (!names) {
		ERR_clear_error();
		return err_set(err, ERR_INVAL, "it has %s alternative names",
			critical == -1 ? "no subject" : "malformed subject");
	}
	int rc = only_dns(names, out, size, err);
	GENERAL_NAMES_free(names);
	return rc;
}

static int permitted_domain(
	const NAME_CONSTRAINTS *constraints, char *out, size_t size, struct err *err) {
	const GENERAL_NAME *found = NULL;
	for (int i = 0; i < sk_GENERAL_SUBTREE_num(constraints->permittedSubtrees); i++) {
		const GENERAL_SUBTREE *tree =
			sk_GENERAL_SUBTREE_value(constraints->permittedSubtrees, i);
		if (tree->base->type != GEN_DNS) {
			continue;
		}
		if (found) {
			return err_set(
				err, ERR_INVAL, "its name constraints permit several domains");
		}
		found = tree->base;
	}
	if (!found) {
		return err_set(err, ERR_INVAL, "its name constraints permit no domain");
	}
	return copy_name(ia5_text(found->d.dNSName), out, size, err);
}

int x509_constrained_domain(const X509 *certificate, char *out, size_t size, struct err *err) {
	int critical = 0;
	NAME_CONSTRAINTS *constraints =
		X509_get_ext_d2i(certificate, NID_name_constraints, &critical, NULL);
	if (!constraints) {
		ERR_clear_error();
		return err_set(
			err, ERR_INVAL, "it is not limited to a trust domain by name constraints");
	}
	int rc = critical == 1 ? permitted_domain(constraints, out, size, err)
			       : err_set(err, ERR_INVAL, "its name constraints are not critical");
	NAME_CONSTRAINTS_free(constraints);
	return rc;
}
