/*
 * Authorities: the trust anchor, each cluster's issuer, and the leaves that issuers sign.
 *
 * An anchor vouches for issuers. An issuer belongs to one cluster and X.509 name constraints limit
 * it to that cluster's trust domain, CLUSTER.MESHDOMAIN, so that a stolen issuer key cannot name
 * workloads of another cluster. A leaf is a workload's: one DNS name (trust/identity.h),
 * short-lived.
 *
 * All three are kept alike: a directory with tls.crt (the certificate, then those between it and
 * the anchor), tls.key (mode 0600) and ca.crt (the anchors), replaced as a whole: a reader sees the
 * old three or the new three. The same names as in Kubernetes' TLS secrets.
 *
 * An authority is immutable once built; any thread may sign with it.
 */
#ifndef TRUST_AUTHORITY_H
#define TRUST_AUTHORITY_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "base/time.h"

#include <stdbool.h>
#include <stdint.h>

/* What is used where 0 is given: ten years, one year, a day. */
#define ANCHOR_LIFETIME_MS (INT64_C(3650) * 24 * 3600 * MS_PER_S)
#define ISSUER_LIFETIME_MS (INT64_C(365) * 24 * 3600 * MS_PER_S)
#define LEAF_LIFETIME_MS (INT64_C(24) * 3600 * MS_PER_S)
/* Certificates are valid this much earlier than made, for peers whose clocks are behind. */
#define CERTIFICATE_BACKDATE_MS (INT64_C(300) * MS_PER_S)
/* What a mesh is called when nobody named it. */
#define MESH_DOMAIN_DEFAULT "atoll.internal"

struct authority;
struct evp_pkey_st; /* OpenSSL's EVP_PKEY. */

/* The three PEM texts of one directory. { 0 } is empty. */
struct credentials {
	struct buf chain;   /* tls.crt */
	struct buf key;     /* tls.key */
	struct buf anchors; /* ca.crt */
};

/* Wipes the key. */
void credentials_deinit(struct credentials *credentials);
/*
 * Reads a directory. Returns 0, ERR_IO (missing or unreadable; names the file) or ERR_LIMIT.
 * Whether the texts are any good is found out by whoever uses them.
 */
MUST_USE int credentials_load(const char *directory, struct credentials *out, struct err *err);
/* Replaces the directory's three files at once, making the directory (0700) if need be. */
MUST_USE int credentials_save(
	const char *directory, const struct credentials *credentials, struct err *err);

/*
 * Makes a self-signed anchor for a mesh. 'mesh_domain' is a DNS name; 'lifetime_ms' 0:
 * ANCHOR_LIFETIME_MS. Returns 0 or ERR_INVAL.
 */
MUST_USE int authority_new_anchor(struct str mesh_domain, int64_t lifetime_ms,
	const struct clock *clock, struct authority **out, struct err *err);

/*
 * Makes an issuer for 'cluster' (one DNS label) under 'anchor', limited to the trust domain
 * CLUSTER.MESHDOMAIN. 'lifetime_ms' 0: ISSUER_LIFETIME_MS; never beyond the anchor's end. Returns
 * 0, ERR_INVAL (a name that is none) or ERR_DENIED ('anchor' may not sign issuers, or has expired).
 */
MUST_USE int authority_new_issuer(const struct authority *anchor, struct str cluster,
	int64_t lifetime_ms, const struct clock *clock, struct authority **out, struct err *err);

/*
 * Makes an issuer to take the place of the one in 'directory': a new key for the same cluster under
 * 'anchor', which may be another than before. What the directory believes (ca.crt) goes over to it,
 * and 'anchor' must be among it: else leaves of the new issuer would not be believed. The old one
 * may have expired. Writes nothing. Returns 0, ERR_DENIED, or as authority_load and
 * authority_new_issuer.
 */
MUST_USE int authority_new_successor(const struct authority *anchor, const char *directory,
	int64_t lifetime_ms, const struct clock *clock, struct authority **out, struct err *err);

/*
 * Reads an authority from its directory. Returns 0, ERR_IO, ERR_INVAL (malformed; key and
 * certificate do not belong together) or ERR_DENIED (not a certificate authority).
 */
MUST_USE int authority_load(const char *directory, struct authority **out, struct err *err);
/* As authority_load, of a key that may be encrypted. Also ERR_DENIED: the passphrase is missing or
 * is not the key's. */
MUST_USE int authority_unlock(
	const char *directory, struct str passphrase, struct authority **out, struct err *err);
/* As authority_load, without the key, which may be encrypted: it cannot sign. */
MUST_USE int authority_load_certificate(
	const char *directory, struct authority **out, struct err *err);
/* Writes it to a directory of its own. */
MUST_USE int authority_save(
	const struct authority *authority, const char *directory, struct err *err);
/* As authority_save; the key is encrypted unless the passphrase is empty. */
MUST_USE int authority_lock(const struct authority *authority, struct str passphrase,
	const char *directory, struct err *err);
void authority_free(struct authority *authority);

/* "atoll.internal" of an anchor, "frankfurt.atoll.internal" of an issuer; borrowed. */
struct str authority_domain(const struct authority *authority);
/* Whether it is an issuer (signs leaves) rather than an anchor (signs issuers). */
bool authority_is_issuer(const struct authority *authority);
int64_t authority_not_after_ms(const struct authority *authority);

/* The anchors it can be verified by (ca.crt); borrowed. */
struct str authority_anchors(const struct authority *authority);
/* Its certificate in PEM; borrowed. */
struct str authority_certificate(const struct authority *authority);
/* Appends a signature over 'text', in DER. */
void authority_sign_text(const struct authority *authority, struct str text, struct buf *out);

/* What to put into a leaf. */
struct leaf_request {
	struct str name;       /* "gateway": DNS labels. */
	struct str name_space; /* "atoll": one DNS label. */
	int64_t lifetime_ms;   /* 0: LEAF_LIFETIME_MS, which is also the most. */
};

/*
 * Makes a new P-256 key and signs a certificate for it, for clients and servers alike, never valid
 * beyond the issuer. Returns 0, ERR_INVAL (names, lifetime) or ERR_DENIED ('issuer' is an anchor,
 * or has expired).
 */
MUST_USE int authority_sign(const struct authority *issuer, const struct leaf_request *request,
	const struct clock *clock, struct credentials *out, struct err *err);

/*
 * As authority_sign, for a key that somebody else has: appends the certificate and the issuer's.
 * 'identity' must be of the issuer's trust domain, else ERR_DENIED.
 */
MUST_USE int authority_sign_key(const struct authority *issuer, struct str identity,
	struct evp_pkey_st *key, int64_t lifetime_ms, const struct clock *clock, struct buf *chain,
	struct err *err);

#endif
