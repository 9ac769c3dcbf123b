/*
 * A keeper renews leaves before they expire: the process that holds an issuer's key.
 *
 * Each leaf is a directory as trust/authority.h writes it. At two thirds of its lifetime (less some
 * jitter) a new key and certificate for the same name replace it; whoever presents it notices
 * (trust/identity.h) and needs no restart. A renewal that fails is tried again within a minute for
 * as long as it takes, also after the leaf has expired. Issuer and leaves are read anew each time.
 * The issuer's directory is watched: when another issuer or other anchors (ca.crt) appear there,
 * all leaves are renewed at once, and so they are at the start if they are not of this issuer.
 *
 * Owned by one loop, on whose clock it is. Signing takes well under a millisecond.
 */
#ifndef TRUST_KEEPER_H
#define TRUST_KEEPER_H

#include "base/err.h"
#include "io/loop.h"

#include <stddef.h>
#include <stdint.h>

struct keeper;

struct keeper_options {
	const char *issuer_directory; /* Copied. */
	const char *const *leaf_directories;
	size_t leaf_count;
	int64_t lifetime_ms; /* Of new leaves; 0: LEAF_LIFETIME_MS. */
};

/*
 * Renews at once what is due. Returns 0, or an error if the issuer or a leaf cannot be read now, or
 * the one cannot renew the other (ERR_DENIED).
 */
MUST_USE int keeper_start(struct loop *loop, const struct keeper_options *options,
	struct keeper **out, struct err *err);
void keeper_stop(struct keeper *keeper);

#endif
