#include "trust/authority.h"

#include "base/check.h"
#include "base/memory.h"
#include "base/rand.h"
#include "trust/bundle.h"
#include "trust/identity.h"
#include "trust/x509.h"

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/sha.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#define SERIAL_SIZE 16
#define COMMON_NAME_MAX 64
#define ANCHOR_DIGEST_SIZE 8

struct authority {
	X509 *certificate;
	EVP_PKEY *key;
	struct buf chain;   /* Its certificate. */
	struct buf anchors; /* What it can be verified by. */
	char domain[IDENTITY_LEN_MAX + 1];
	bool is_issuer;
};

/* What goes into a certificate besides its key; 'signer' NULL: self-signed. */
struct certificate_form {
	const struct authority *signer;
	const char *common_name;
	const char *organization; /* NULL: none. */
	int64_t not_before_ms;
	int64_t not_after_ms;
	const char *constraints; /* basicConstraints, as openssl.cnf writes them. */
	const char *usage;
	const char *extended_usage; /* NULL: none. */
	const char *alternative_name;
	const char *name_constraints;
};

static void set_serial(X509 *certificate) {
	unsigned char bytes[SERIAL_SIZE];
	rand_secure(bytes, sizeof(bytes));
	bytes[0] = (unsigned char)((bytes[0] & 0x7f) | 0x40); /* Positive, and always 16 bytes. */
	BIGNUM *number = BN_bin2bn(bytes, sizeof(bytes), NULL);
	CHECK(number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)));
	BN_free(number);
}

static void set_subject(X509 *certificate, const struct certificate_form *form) {
	X509_NAME *subject = X509_get_subject_name(certificate);
	if (form->organization) {
		struct str name = str_first(str_of(form->organization), COMMON_NAME_MAX);
		CHECK(X509_NAME_add_entry_by_NID(subject, NID_organizationName, MBSTRING_UTF8,
			      (const unsigned char *)name.ptr, (int)name.len, -1, 0) == 1);
	}
	struct str name = str_first(str_of(form->common_name), COMMON_NAME_MAX);
	CHECK(X509_NAME_add_entry_by_NID(subject, NID_commonName, MBSTRING_UTF8,
		      (const unsigned char *)name.ptr, (int)name.len, -1, 0) == 1);
}

static void set_times(X509 *certificate, const struct certificate_form *form) {
	time_t not_before = (time_t)(form->not_before_ms / MS_PER_S);
	time_t not_after = (time_t)(form->not_after_ms / MS_PER_S);
	CHECK(ASN1_TIME_adj(X509_getm_notBefore(certificate), not_before, 0, 0));
	CHECK(ASN1_TIME_adj(X509_getm_notAfter(certificate), not_after, 0, 0));
}

/* The values are ours, made of checked names, so that OpenSSL refusing one is a bug. */
static void add_extension(X509 *certificate, X509V3_CTX *context, int nid, const char *value) {
	if (!value) {
		return;
	}
	X509_EXTENSION *extension = X509V3_EXT_nconf_nid(NULL, context, nid, value);
	CHECK(extension && X509_add_ext(certificate, extension, -1) == 1);
	X509_EXTENSION_free(extension);
}

static X509 *make_certificate(const struct certificate_form *form, EVP_PKEY *key) {
	X509 *certificate = X509_new();
	CHECK(certificate && X509_set_version(certificate, X509_VERSION_3) == 1);
	set_serial(certificate);
	set_subject(certificate, form);
	set_times(certificate, form);
	CHECK(X509_set_pubkey(certificate, key) == 1);
	X509 *signer = form->signer ? form->signer->certificate : certificate;
	CHECK(X509_set_issuer_name(certificate, X509_get_subject_name(signer)) == 1);

	X509V3_CTX context;
	X509V3_set_ctx(&context, signer, certificate, NULL, NULL, 0);
	add_extension(certificate, &context, NID_basic_constraints, form->constraints);
	add_extension(certificate, &context, NID_key_usage, form->usage);
	add_extension(certificate, &context, NID_ext_key_usage, form->extended_usage);
	add_extension(certificate, &context, NID_subject_key_identifier, "hash");
	if (form->signer) {
		add_extension(certificate, &context, NID_authority_key_identifier, "keyid:always");
	}
	add_extension(certificate, &context, NID_name_constraints, form->name_constraints);
	add_extension(certificate, &context, NID_subject_alt_name, form->alternative_name);
	EVP_PKEY *signing_key = form->signer ? form->signer->key : key;
	CHECK(X509_sign(certificate, signing_key, EVP_sha256()) > 0);
	return certificate;
}

static EVP_PKEY *make_key(void) {
	EVP_PKEY *key = EVP_EC_gen("P-256");
	CHECK(key);
	return key;
}

static int check_lifetime(int64_t asked_ms, int64_t most_ms, struct err *err) {
	if (asked_ms < 0 || asked_ms > most_ms) {
		return err_set(err, ERR_INVAL, "a lifetime of %lld s, must be from 1 s to %lld h",
			(long long)(asked_ms / MS_PER_S), (long long)(most_ms / MS_PER_S / 3600));
	}
	return 0;
}

/* Takes the key. */
static struct authority *new_authority(X509 *certificate, EVP_PKEY *key, struct str domain) {
	struct authority *authority = MEMORY_NEW(struct authority, 1);
	CHECK(domain.len < sizeof(authority->domain));
	authority->certificate = certificate;
	authority->key = key;
	memcpy(authority->domain, domain.ptr, domain.len);
	x509_format_pem(certificate, &authority->chain);
	return authority;
}

/*
 * An anchor's name holds a digest of its key: every issuer under it repeats that name, so that a
 * peer under another anchor can tell which one was meant, though it is never sent.
 */
static void name_anchor(EVP_PKEY *key, struct buf *out) {
	unsigned char *der = NULL;
	unsigned char digest[SHA256_DIGEST_LENGTH];
	int len = i2d_PUBKEY(key, &der);
	CHECK(len > 0);
	(void)SHA256(der, (size_t)len, digest);
	OPENSSL_free(der);
	buf_add_text(out, "trust anchor ");
	for (size_t i = 0; i < ANCHOR_DIGEST_SIZE; i++) {
		buf_printf(out, "%02x", digest[i]);
	}
}

int authority_new_anchor(struct str mesh_domain, int64_t lifetime_ms, const struct clock *clock,
	struct authority **out, struct err *err) {
	/* An organization in a subject holds at most 64 bytes. */
	if (!dns_name_is_valid(mesh_domain) || mesh_domain.len > COMMON_NAME_MAX) {
		return err_set(err, ERR_INVAL,
			"mesh domain \"%.*s\" is not a lower-case DNS name of at most %d bytes",
			STR_ARG(str_first(mesh_domain, IDENTITY_LEN_MAX)), COMMON_NAME_MAX);
	}
	int rc = check_lifetime(lifetime_ms, 2 * ANCHOR_LIFETIME_MS, err);
	if (rc < 0) {
		return rc;
	}
	AUTO(buf_deinit) struct buf domain = { 0 };
	buf_add_str(&domain, mesh_domain);
	int64_t now_ms = clock_now_ms(clock);
	EVP_PKEY *key = make_key();
	AUTO(buf_deinit) struct buf name = { 0 };
	name_anchor(key, &name);
	X509 *certificate = make_certificate(
		&(struct certificate_form){
			.common_name = buf_text(&name),
			.organization = buf_text(&domain),
			.not_before_ms = now_ms - CERTIFICATE_BACKDATE_MS,
			.not_after_ms = now_ms + (lifetime_ms ? lifetime_ms : ANCHOR_LIFETIME_MS),
			.constraints = "critical,CA:TRUE,pathlen:1",
			.usage = "critical,keyCertSign,cRLSign",
		},
		key);
	struct authority *anchor = new_authority(certificate, key, mesh_domain);
	buf_add_str(&anchor->anchors, buf_str(&anchor->chain));
	*out = anchor;
	return 0;
}

/* Refuses to sign with what no peer would believe. */
static int check_signer(
	const struct authority *signer, bool as_issuer, int64_t now_ms, struct err *err) {
	if (signer->is_issuer != as_issuer) {
		return err_set(err, ERR_DENIED,
			as_issuer ? "the trust anchor signs issuers only; give the directory of an "
				    "issuer"
				  : "an issuer cannot sign another; give the directory of the "
				    "trust anchor");
	}
	if (x509_not_after_ms(signer->certificate) <= now_ms) {
		AUTO(buf_deinit) struct buf when = { 0 };
		time_format_rfc3339(x509_not_after_ms(signer->certificate), &when);
		return err_set(err, ERR_DENIED, "the %s of %s expired at %s; make a new one",
			as_issuer ? "issuer" : "trust anchor", signer->domain, buf_text(&when));
	}
	return 0;
}

static int64_t earlier(int64_t a, int64_t b) {
	return a < b ? a : b;
}

int authority_new_issuer(const struct authority *anchor, struct str cluster, int64_t lifetime_ms,
	const struct clock *clock, struct authority **out, struct err *err) {
	int64_t now_ms = clock_now_ms(clock);
	int rc = check_signer(anchor, false, now_ms, err);
	if (rc == 0) {
		rc = check_lifetime(lifetime_ms, ANCHOR_LIFETIME_MS, err);
	}
	if (rc < 0) {
		return rc;
	}
	AUTO(buf_deinit) struct buf domain = { 0 };
	buf_printf(
		&domain, "%.*s.%s", STR_ARG(str_first(cluster, IDENTITY_LEN_MAX)), anchor->domain);
	if (!dns_label_is_valid(cluster) || !dns_name_is_valid(buf_str(&domain))) {
		return err_set(err, ERR_INVAL,
			"cluster \"%.*s\" is not a name of lower-case letters, digits and '-'",
			STR_ARG(str_first(cluster, IDENTITY_LEN_MAX)));
	}
	/* A DNS constraint alone would leave URIs, addresses and mail addresses free. */
	AUTO(buf_deinit) struct buf limits = { 0 };
	buf_printf(&limits,
		"critical,permitted;DNS:%s,permitted;URI:%s,permitted;email:invalid.invalid,"
		"excluded;IP:0.0.0.0/0.0.0.0,excluded;IP:0:0:0:0:0:0:0:0/0:0:0:0:0:0:0:0",
		buf_text(&domain), buf_text(&domain));
	AUTO(buf_deinit) struct buf name = { 0 };
	buf_printf(&name, "issuer of %.*s", STR_ARG(cluster));
	int64_t end_ms = now_ms + (lifetime_ms ? lifetime_ms : ISSUER_LIFETIME_MS);
	EVP_PKEY *key = make_key();
	X509 *certificate = make_certificate(
		&(struct certificate_form){
			.signer = anchor,
			.common_name = buf_text(&name),
			.organization = anchor->domain,
			.not_before_ms = now_ms - CERTIFICATE_BACKDATE_MS,
			.not_after_ms = earlier(end_ms, x509_not_after_ms(anchor->certificate)),
			.constraints = "critical,CA:TRUE,pathlen:0",
			.usage = "critical,keyCertSign,cRLSign",
			.name_constraints = buf_text(&limits),
		},
		key);
	struct authority *issuer = new_authority(certificate, key, buf_str(&domain));
	issuer->is_issuer = true;
	buf_add_str(&issuer->anchors, buf_str(&anchor->anchors));
	*out = issuer;
	return 0;
}

/* The cluster of an issuer in the anchor's mesh; empty if it is in another. */
static struct str cluster_of(const struct authority *issuer, const struct authority *anchor) {
	struct str domain = str_of(issuer->domain);
	struct str mesh = str_of(anchor->domain);
	if (!str_ends(domain, mesh) || domain.len < mesh.len + 2) {
		return STR_EMPTY;
	}
	struct str cluster = str_first(domain, domain.len - mesh.len - 1);
	return dns_label_is_valid(cluster) && domain.ptr[cluster.len] == '.' ? cluster : STR_EMPTY;
}

static int check_predecessor(const struct authority *anchor, const struct authority *old,
	const char *directory, struct err *err) {
	if (!old->is_issuer) {
		return err_set(
			err, ERR_DENIED, "%s holds a trust anchor, not an issuer", directory);
	}
	if (cluster_of(old, anchor).len == 0) {
		return err_set(err, ERR_DENIED,
			"the issuer in %s is for %s, which is not a cluster of the anchor's mesh, "
			"%s",
			directory, old->domain, anchor->domain);
	}
	struct trust_facts facts;
	int rc = trust_facts_read(buf_str(&old->chain), buf_str(&old->anchors), &facts, err);
	if (rc < 0) {
		return err_wrap(err, rc, "%s/ca.crt", directory);
	}
	char digest[ANCHOR_DIGEST_LEN + 1];
	x509_digest(anchor->certificate, digest);
	if (!trust_facts_believe(&facts, digest)) {
		return err_set(err, ERR_DENIED,
			"%s/ca.crt does not hold the anchor %s, so nobody who was given it would "
			"believe the new issuer; add it there with atoll trust bundle first, or "
			"see atoll trust rotate-anchor",
			directory, digest);
	}
	return 0;
}

int authority_new_successor(const struct authority *anchor, const char *directory,
	int64_t lifetime_ms, const struct clock *clock, struct authority **out, struct err *err) {
	struct authority *old = NULL;
	struct authority *issuer = NULL;
	int rc = authority_load(directory, &old, err);
	if (rc < 0) {
		return rc;
	}
	rc = check_predecessor(anchor, old, directory, err);
	if (rc == 0) {
		rc = authority_new_issuer(
			anchor, cluster_of(old, anchor), lifetime_ms, clock, &issuer, err);
	}
	if (rc == 0) {
		buf_reset(&issuer->anchors);
		buf_add_str(&issuer->anchors, buf_str(&old->anchors));
		*out = issuer;
	}
	authority_free(old);
	return rc;
}

static int leaf_identity(const struct authority *issuer, const struct leaf_request *request,
	struct buf *out, struct err *err) {
	if (!dns_name_is_valid(request->name) || !dns_label_is_valid(request->name_space)) {
		return err_set(err, ERR_INVAL,
			"name \"%.*s\" in namespace \"%.*s\": use lower-case letters, digits and "
			"'-'",
			STR_ARG(str_first(request->name, IDENTITY_LEN_MAX)),
			STR_ARG(str_first(request->name_space, IDENTITY_LEN_MAX)));
	}
	const struct identity identity = {
		.name = request->name,
		.name_space = request->name_space,
		.trust_domain = str_of(issuer->domain),
	};
	identity_format(&identity, out);
	struct identity parsed;
	return identity_parse(buf_str(out), &parsed, err);
}

int authority_sign_key(const struct authority *issuer, struct str identity, EVP_PKEY *key,
	int64_t lifetime_ms, const struct clock *clock, struct buf *chain, struct err *err) {
	int64_t now_ms = clock_now_ms(clock);
	struct identity parts;
	int rc = check_signer(issuer, true, now_ms, err);
	if (rc == 0) {
		rc = check_lifetime(lifetime_ms, LEAF_LIFETIME_MS, err);
	}
	if (rc == 0) {
		rc = identity_parse(identity, &parts, err);
	}
	if (rc < 0) {
		return rc;
	}
	if (!str_equal(parts.trust_domain, str_of(issuer->domain))) {
		return err_set(err, ERR_DENIED, "the issuer is for %s and cannot sign %.*s",
			issuer->domain, STR_ARG(identity));
	}
	AUTO(buf_deinit) struct buf alternative = { 0 };
	buf_printf(&alternative, "DNS:%.*s", STR_ARG(identity));
	AUTO(buf_deinit) struct buf common_name = { 0 };
	buf_add_str(&common_name, parts.name);
	int64_t end_ms = now_ms + (lifetime_ms ? lifetime_ms : LEAF_LIFETIME_MS);
	AUTO(x509_release)
	X509 *certificate = make_certificate(
		&(struct certificate_form){
			.signer = issuer,
			.common_name = buf_text(&common_name),
			.not_before_ms = now_ms - CERTIFICATE_BACKDATE_MS,
			.not_after_ms = earlier(end_ms, x509_not_after_ms(issuer->certificate)),
			.constraints = "critical,CA:FALSE",
			.usage = "critical,digitalSignature",
			.extended_usage = "serverAuth,clientAuth",
			.alternative_name = buf_text(&alternative),
		},
		key);
	x509_format_pem(certificate, chain);
	buf_add_str(chain, buf_str(&issuer->chain));
	return 0;
}

int authority_sign(const struct authority *issuer, const struct leaf_request *request,
	const struct clock *clock, struct credentials *out, struct err *err) {
	AUTO(buf_deinit) struct buf name = { 0 };
	int rc = check_signer(issuer, true, clock_now_ms(clock), err);
	if (rc == 0) {
		rc = leaf_identity(issuer, request, &name, err);
	}
	if (rc < 0) {
		return rc;
	}
	struct credentials made = { 0 };
	AUTO(x509_key_release) EVP_PKEY *key = make_key();
	rc = authority_sign_key(
		issuer, buf_str(&name), key, request->lifetime_ms, clock, &made.chain, err);
	if (rc < 0) {
		credentials_deinit(&made);
		return rc;
	}
	x509_format_key(key, STR(""), &made.key);
	buf_add_str(&made.anchors, buf_str(&issuer->anchors));
	*out = made;
	return 0;
}

/* Finds out what the certificate makes its holder. */
static int classify(struct authority *authority, struct err *err) {
	X509 *certificate = authority->certificate;
	if (X509_check_ca(certificate) != 1) {
		return err_set(err, ERR_DENIED, "the certificate is not an authority's");
	}
	char *domain = authority->domain;
	size_t size = sizeof(authority->domain);
	authority->is_issuer = !(X509_get_extension_flags(certificate) & EXFLAG_SS);
	if (authority->is_issuer) {
		int rc = x509_constrained_domain(certificate, domain, size, err);
		return rc < 0 ? err_wrap(err, ERR_DENIED, "issuer") : 0;
	}
	x509_organization(certificate, domain, size);
	if (!dns_name_is_valid(str_of(domain))) {
		return err_set(err, ERR_DENIED,
			"the trust anchor's organization does not name the domain of a mesh");
	}
	return 0;
}

static int read_key(
	struct authority *authority, struct str key, struct str passphrase, struct err *err) {
	int rc = x509_parse_key(key, passphrase, &authority->key, err);
	if (rc < 0) {
		return err_wrap(err, rc, "tls.key");
	}
	if (X509_check_private_key(authority->certificate, authority->key) != 1) {
		return x509_error(err, ERR_INVAL, "tls.key does not belong to tls.crt");
	}
	return 0;
}

/* 'passphrase' NULL: without the key. */
static int read_authority(const struct credentials *credentials, const struct str *passphrase,
	struct authority *authority, struct err *err) {
	int rc = x509_parse_pem(buf_str(&credentials->chain), &authority->certificate, err);
	if (rc < 0) {
		return err_wrap(err, rc, "tls.crt");
	}
	if (passphrase) {
		rc = read_key(authority, buf_str(&credentials->key), *passphrase, err);
	}
	if (rc < 0) {
		return rc;
	}
	x509_format_pem(authority->certificate, &authority->chain);
	buf_add_str(&authority->anchors, buf_str(&credentials->anchors));
	return classify(authority, err);
}

static int load(const char *directory, const struct str *passphrase, struct authority **out,
	struct err *err) {
	AUTO(credentials_deinit) struct credentials credentials = { 0 };
	int rc = credentials_load(directory, &credentials, err);
	if (rc < 0) {
		return rc;
	}
	struct authority *authority = MEMORY_NEW(struct authority, 1);
	rc = read_authority(&credentials, passphrase, authority, err);
	if (rc < 0) {
		authority_free(authority);
		return err_wrap(err, rc, "%s", directory);
	}
	*out = authority;
	return 0;
}

int authority_unlock(
	const char *directory, struct str passphrase, struct authority **out, struct err *err) {
	return load(directory, &passphrase, out, err);
}

int authority_load(const char *directory, struct authority **out, struct err *err) {
	return authority_unlock(directory, STR(""), out, err);
}

int authority_load_certificate(const char *directory, struct authority **out, struct err *err) {
	return load(directory, NULL, out, err);
}

int authority_lock(const struct authority *authority, struct str passphrase, const char *directory,
	struct err *err) {
	AUTO(credentials_deinit) struct credentials credentials = { 0 };
	buf_add_str(&credentials.chain, buf_str(&authority->chain));
	buf_add_str(&credentials.anchors, buf_str(&authority->anchors));
	x509_format_key(authority->key, passphrase, &credentials.key);
	return credentials_save(directory, &credentials, err);
}

int authority_save(const struct authority *authority, const char *directory, struct err *err) {
	return authority_lock(authority, STR(""), directory, err);
}

void authority_free(struct authority *authority) {
	if (!authority) {
		return;
	}
	X509_free(authority->certificate);
	EVP_PKEY_free(authority->key);
	buf_deinit(&authority->chain);
	buf_deinit(&authority->anchors);
	free(authority);
}

struct str authority_domain(const struct authority *authority) {
	return str_of(authority->domain);
}

bool authority_is_issuer(const struct authority *authority) {
	return authority->is_issuer;
}

int64_t authority_not_after_ms(const struct authority *authority) {
	return x509_not_after_ms(authority->certificate);
}

struct str authority_certificate(const struct authority *authority) {
	return buf_str(&authority->chain);
}

void authority_sign_text(const struct authority *authority, struct str text, struct buf *out) {
	x509_sign_text(authority->key, text, out);
}

struct str authority_anchors(const struct authority *authority) {
	return buf_str(&authority->anchors);
}
