/*
 * Bundles of trust anchors: the contents of ca.crt, one or more anchors in PEM. Any thread.
 */
#ifndef TRUST_BUNDLE_H
#define TRUST_BUNDLE_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>

/* Anchors that one process believes. Two while one takes the other's place; more by mistake. */
#define BUNDLE_ANCHORS_MAX 16
#define ANCHOR_DIGEST_LEN 64

/* What a process says of its trust: the anchors that it believes, and the one that its own
 * certificate descends from. Digests are SHA-256 of the DER in hex. */
struct trust_facts {
	char anchors[BUNDLE_ANCHORS_MAX][ANCHOR_DIGEST_LEN + 1]; /* Sorted. */
	size_t anchor_count;
	char chain_anchor[ANCHOR_DIGEST_LEN + 1]; /* Empty: none of them. */
};

/*
 * Appends those anchors of 'pem' to the bundle that it does not hold yet, as plain PEM; order and
 * comments of 'bundle' stay. Returns how many, ERR_INVAL (malformed, or a certificate that is no
 * anchor, named) or ERR_LIMIT (BUNDLE_ANCHORS_MAX).
 */
MUST_USE int bundle_add(struct buf *bundle, struct str pem, struct err *err);

/* Reads the anchors and finds the one that signed the last of a chain's certificates, or is it.
 * Whether anything has expired does not matter here. Returns 0, ERR_INVAL or ERR_LIMIT. */
MUST_USE int trust_facts_read(
	struct str chain_pem, struct str anchors_pem, struct trust_facts *out, struct err *err);
/* Whether the anchor with that digest is believed. */
bool trust_facts_believe(const struct trust_facts *facts, const char *digest);
bool trust_facts_equal(const struct trust_facts *a, const struct trust_facts *b);

/*
 * Makes a directory believe the anchors of 'pem', too, or ('replaces') nobody else; its certificate
 * and key stay. Refused, with ERR_DENIED, if its own certificate would then descend from none of
 * them. The three files are replaced at once, and only if something changes. Returns 1 if it did,
 * 0, or as bundle_add and credentials_load.
 */
MUST_USE int bundle_install(const char *directory, struct str pem, bool replaces, struct err *err);

#endif
