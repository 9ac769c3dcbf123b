/*
 * Chains that were found good: what OpenSSL and the caller's rules said of exactly these bytes, so
 * that a peer that comes again is not verified from the beginning.
 *
 * Belongs to one tls_identity, so to its anchors and rules; only what does not change with time is
 * kept. The caller still judges times, deny-lists and expected names at every handshake. Bounded:
 * a chain may take the place of another. Any thread.
 */
#ifndef IO_TLS_VERDICTS_H
#define IO_TLS_VERDICTS_H

#include "base/thread.h"
#include "io/tls.h"

#include <openssl/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TLS_DIGEST_BYTES 32
/* Chains remembered: in 128 places by digest, four each; some 6 kB a chain. */
#define TLS_VERDICT_PLACES 128
#define TLS_VERDICT_WAYS 4

struct tls_verdict {
	unsigned char digest[TLS_DIGEST_BYTES]; /* SHA-256 of the chain's bytes and the role. */
	struct tls_peer peer;                   /* Without a protocol. */
	int64_t not_before_ms;                  /* When the last of the chain became valid. */
	X509 *leaf;                             /* Counted; all connections of the peer share it. */
};

struct tls_verdicts {
	struct lock lock;
	struct tls_verdict *kept[TLS_VERDICT_PLACES][TLS_VERDICT_WAYS] GUARDED;
	uint8_t next[TLS_VERDICT_PLACES] GUARDED; /* Whose turn it is to give way. */
};

/* None are known. */
void tls_verdicts_init(struct tls_verdicts *verdicts);
/* Nobody may use them any more. */
void tls_verdicts_deinit(struct tls_verdicts *verdicts);
/*
 * Looks for a chain all of whose certificates are valid at 'now_ms'. Returns a new reference to its
 * leaf, and then what it says of the peer, leaving the protocol in 'peer' alone; or NULL.
 */
X509 *tls_verdicts_find(struct tls_verdicts *verdicts, const unsigned char digest[TLS_DIGEST_BYTES],
	int64_t now_ms, struct tls_peer *peer);
/* Keeps a copy, with a reference to the leaf of its own. */
void tls_verdicts_keep(struct tls_verdicts *verdicts, const struct tls_verdict *verdict);

#endif
