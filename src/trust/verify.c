#include "trust/verify.h"

#include "base/check.h"
#include "trust/certificate.h"
#include "trust/deny.h"
#include "trust/identity.h"
#include "trust/x509.h"

#include <openssl/ec.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

/* Curves and algorithms whose strength we and Linkerd's proxies agree on. */
static bool key_is_allowed(const X509 *certificate) {
	EVP_PKEY *key = X509_get0_pubkey(certificate);
	if (!key) {
		return false;
	}
	if (EVP_PKEY_get_base_id(key) == EVP_PKEY_ED25519) {
		return true;
	}
	char group[32];
	size_t len = 0;
	if (EVP_PKEY_get_base_id(key) != EVP_PKEY_EC ||
		EVP_PKEY_get_group_name(key, group, sizeof(group), &len) != 1) {
		return false;
	}
	int nid = OBJ_sn2nid(group);
	return nid == NID_X9_62_prime256v1 || nid == NID_secp384r1;
}

static bool signature_is_allowed(X509 *certificate) {
	int digest = NID_undef;
	int key = NID_undef;
	int bits = 0;
	if (X509_get_signature_info(certificate, &digest, &key, &bits, NULL) != 1) {
		return false;
	}
	return key == NID_ED25519 || digest == NID_sha256 || digest == NID_sha384 ||
	       digest == NID_sha512;
}

static int check_algorithms(X509 *certificate, struct err *err) {
	if (!key_is_allowed(certificate)) {
		return err_set(err, ERR_DENIED, "its key is not P-256, P-384 or Ed25519");
	}
	if (!signature_is_allowed(certificate)) {
		return err_set(err, ERR_DENIED, "it is signed with a digest weaker than SHA-256");
	}
	return 0;
}

static int check_usage(X509 *leaf, bool peer_is_client, struct err *err) {
	uint32_t flags = X509_get_extension_flags(leaf);
	if (flags & (EXFLAG_CA | EXFLAG_INVALID)) {
		return err_set(err, ERR_DENIED,
			flags & EXFLAG_CA ? "it is an authority's, not a workload's"
					  : "its extensions are malformed");
	}
	if (!(flags & EXFLAG_KUSAGE) || !(X509_get_key_usage(leaf) & X509v3_KU_DIGITAL_SIGNATURE)) {
		return err_set(err, ERR_DENIED, "its key usage lacks digitalSignature");
	}
	uint32_t wanted = peer_is_client ? XKU_SSL_CLIENT : XKU_SSL_SERVER;
	if (!(flags & EXFLAG_XKUSAGE) || !(X509_get_extended_key_usage(leaf) & wanted)) {
		return err_set(err, ERR_DENIED, "its extended key usage lacks %s",
			peer_is_client ? "clientAuth" : "serverAuth");
	}
	return 0;
}

static int check_lifetime(const X509 *leaf, struct err *err) {
	int64_t lifetime_ms = x509_not_after_ms(leaf) - x509_not_before_ms(leaf);
	if (lifetime_ms > VERIFY_LIFETIME_MAX_MS) {
		return err_set(err, ERR_DENIED,
			"it is valid for %lld hours, at most %lld are allowed",
			(long long)(lifetime_ms / MS_PER_S / 3600),
			(long long)(VERIFY_LIFETIME_MAX_MS / MS_PER_S / 3600));
	}
	return 0;
}

static int check_leaf(X509 *leaf, bool peer_is_client, struct err *err) {
	int rc = check_usage(leaf, peer_is_client, err);
	if (rc == 0) {
		rc = check_algorithms(leaf, err);
	}
	return rc == 0 ? check_lifetime(leaf, err) : rc;
}

/* The issuer may name workloads of one trust domain; that must be the leaf's. */
static int check_issuer(X509 *issuer, struct str trust_domain, struct err *err) {
	char domain[IDENTITY_LEN_MAX + 1];
	if (x509_constrained_domain(issuer, domain, sizeof(domain), err) < 0) {
		return ERR_DENIED;
	}
	if (!str_equal(trust_domain, str_of(domain))) {
		return err_set(err, ERR_DENIED,
			"it belongs to trust domain %s, the certificate names %.*s", domain,
			STR_ARG(trust_domain));
	}
	return check_algorithms(issuer, err);
}

static int check_chain(
	X509 *leaf, X509 *issuer, bool peer_is_client, char *name, size_t size, struct err *err) {
	struct identity identity;
	if (x509_only_dns_name(leaf, name, size, err) < 0 ||
		identity_parse(str_of(name), &identity, err) < 0) {
		return err_wrap(err, ERR_DENIED, "certificate");
	}
	int rc = check_leaf(leaf, peer_is_client, err);
	if (rc < 0) {
		return err_wrap(err, rc, "certificate of %s", name);
	}
	rc = check_issuer(issuer, identity.trust_domain, err);
	if (rc < 0) {
		char issuer_name[65];
		x509_common_name(issuer, issuer_name, sizeof(issuer_name));
		return err_wrap(err, rc, "certificate of %s: issuer \"%s\"", name, issuer_name);
	}
	return 0;
}

int trust_verify(void *context, const struct str *chain_der, size_t count, bool peer_is_client,
	char *identity, size_t size, struct err *err) {
	(void)context;
	CHECK(identity && size > IDENTITY_LEN_MAX);
	if (count < 2 || count > VERIFY_CHAIN_MAX) {
		return err_set(err, ERR_DENIED,
			"a chain of %zu certificates, must be leaf, issuer and anchor", count);
	}
	AUTO(x509_release) X509 *leaf = NULL;
	AUTO(x509_release) X509 *issuer = NULL;
	if (x509_parse_der(chain_der[0], &leaf, err) < 0 ||
		x509_parse_der(chain_der[1], &issuer, err) < 0) {
		return ERR_DENIED;
	}
	char name[IDENTITY_LEN_MAX + 1];
	int rc = check_chain(leaf, issuer, peer_is_client, name, sizeof(name), err);
	if (rc == 0) {
		memcpy(identity, name, strlen(name) + 1);
	}
	return rc;
}

int trust_admit(void *context, const struct tls_peer *peer, struct err *err) {
	return deny_set_denies(context, peer->identity, peer->serial, peer->issuer_digest, err)
		       ? ERR_DENIED
		       : 0;
}

/* Everything OpenSSL needs to build and check one chain. */
struct chain_check {
	STACK_OF(X509) * presented; /* Leaf first. */
	STACK_OF(X509) * anchors;
};

static void chain_check_deinit(struct chain_check *check) {
	sk_X509_pop_free(check->presented, X509_free);
	sk_X509_pop_free(check->anchors, X509_free);
}

static void push_certificate(void *context, struct str der) {
	X509 *certificate = NULL;
	if (x509_parse_der(der, &certificate, NULL) == 0) {
		CHECK(sk_X509_push(context, certificate) > 0);
	}
}

static int read_bundle(struct str pem, const char *what, STACK_OF(X509) * *out, struct err *err) {
	*out = sk_X509_new_null();
	CHECK(*out);
	int count = certificates_walk(pem, push_certificate, *out, err);
	if (count < 0) {
		return err_wrap(err, count, "%s", what);
	}
	if (sk_X509_num(*out) == 0) {
		return err_set(err, ERR_INVAL, "%s: no certificate in PEM found", what);
	}
	return 0;
}

static int judge(
	X509_STORE_CTX *store, bool peer_is_client, char *identity, size_t size, struct err *err) {
	if (X509_verify_cert(store) != 1) {
		return err_set(err, ERR_DENIED, "certificate: %s",
			X509_verify_cert_error_string(X509_STORE_CTX_get_error(store)));
	}
	STACK_OF(X509) *chain = X509_STORE_CTX_get0_chain(store);
	struct str ders[VERIFY_CHAIN_MAX];
	size_t count = (size_t)sk_X509_num(chain);
	size_t kept = count < VERIFY_CHAIN_MAX ? count : VERIFY_CHAIN_MAX;
	for (size_t i = 0; i < kept; i++) {
		unsigned char *der = NULL;
		int len = i2d_X509(sk_X509_value(chain, (int)i), &der);
		CHECK(len > 0);
		ders[i] = (struct str){ (char *)der, (size_t)len };
	}
	int rc = trust_verify(NULL, ders, count, peer_is_client, identity, size, err);
	for (size_t i = 0; i < kept; i++) {
		OPENSSL_free((void *)(uintptr_t)ders[i].ptr);
	}
	return rc;
}

static int verify_loaded(const struct chain_check *check, int64_t now_ms, bool peer_is_client,
	char *identity, size_t size, struct err *err) {
	X509_STORE_CTX *store = X509_STORE_CTX_new();
	CHECK(store && X509_STORE_CTX_init(store, NULL, sk_X509_value(check->presented, 0),
			       check->presented) == 1);
	X509_STORE_CTX_set0_trusted_stack(store, check->anchors);
	X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(store);
	CHECK(X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_X509_STRICT) == 1);
	CHECK(X509_VERIFY_PARAM_set_purpose(param,
		      peer_is_client ? X509_PURPOSE_SSL_CLIENT : X509_PURPOSE_SSL_SERVER) == 1);
	X509_VERIFY_PARAM_set_time(param, (time_t)(now_ms / MS_PER_S));
	int rc = judge(store, peer_is_client, identity, size, err);
	X509_STORE_CTX_free(store);
	return rc;
}

int trust_verify_pem(struct str chain_pem, struct str anchors_pem, int64_t now_ms,
	bool peer_is_client, char *identity, size_t size, struct err *err) {
	AUTO(chain_check_deinit) struct chain_check check = { 0 };
	int rc = read_bundle(chain_pem, "tls.crt", &check.presented, err);
	if (rc == 0) {
		rc = read_bundle(anchors_pem, "ca.crt", &check.anchors, err);
	}
	return rc < 0 ? rc : verify_loaded(&check, now_ms, peer_is_client, identity, size, err);
}
