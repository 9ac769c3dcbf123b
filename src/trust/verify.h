/*
 * Our judgement of a peer's certificates, on top of OpenSSL's.
 *
 * OpenSSL has checked signatures, times, name constraints and that the chain ends in one of our
 * anchors. It still lets through what must not name a workload: names of other kinds that no
 * constraint covers, wildcards, several names, leaves that live for years, an issuer without any
 * constraint. trust_verify refuses all of these, each with a sentence.
 */
#ifndef TRUST_VERIFY_H
#define TRUST_VERIFY_H

#include "base/err.h"
#include "base/str.h"
#include "base/time.h"
#include "io/tls.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Leaf, issuer, anchor. */
#define VERIFY_CHAIN_MAX 3
/* A leaf of the longest lifetime (a day), backdated, with room for what other issuers add. */
#define VERIFY_LIFETIME_MAX_MS (INT64_C(25) * 3600 * MS_PER_S)

/*
 * A tls_verify_fn (io/tls.h); 'context' is not used. 'chain_der' are the certificates that OpenSSL
 * built, leaf first, anchor last. Puts the leaf's one identity into 'identity'. Returns 0, or
 * ERR_DENIED with a sentence. Any thread.
 */
MUST_USE int trust_verify(void *context, const struct str *chain_der, size_t count,
	bool peer_is_client, char *identity, size_t size, struct err *err);

/* A tls_admit_fn (io/tls.h): whether the deny_set (trust/deny.h) 'context' lets the peer be. */
MUST_USE int trust_admit(void *context, const struct tls_peer *peer, struct err *err);

/*
 * Judges a chain as a peer would, OpenSSL's checks first: at 'now_ms', against anchors. Writes the
 * identity. Returns 0, ERR_INVAL (malformed PEM) or ERR_DENIED with a sentence. Any thread.
 */
MUST_USE int trust_verify_pem(struct str chain_pem, struct str anchors_pem, int64_t now_ms,
	bool peer_is_client, char *identity, size_t size, struct err *err);

#endif
