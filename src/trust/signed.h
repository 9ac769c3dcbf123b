/*
 * Texts that a process signs with the key of its own certificate, and that carry what is needed to
 * judge them anywhere: the signature, the chain, and the anchors that the signer believes.
 *
 *     TEXT, lines of the caller's
 *     signature HEX                 over all bytes before this line
 *     -----BEGIN CERTIFICATE-----   the signer's, then those up to its anchor
 *     anchors
 *     -----BEGIN CERTIFICATE-----   the anchors
 *
 * A signature shows that nobody changed the text since the holder of that certificate wrote it. Who
 * that is, and whether to believe it, trust_verify_pem says of 'chain'. Any thread.
 */
#ifndef TRUST_SIGNED_H
#define TRUST_SIGNED_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "trust/authority.h"

/* Slices of what was read. */
struct signed_text {
	struct str text;
	struct str chain_pem;
	struct str anchors_pem;
};

/*
 * Appends signature and certificates to 'text', which ends in a newline. Returns 0, or ERR_INVAL:
 * key and certificate do not belong together, or the key is none for signing so.
 */
MUST_USE int signed_text_seal(const struct credentials *signer, struct buf *text, struct err *err);
/*
 * Takes one apart and checks its signature, nothing else. Returns 0, ERR_CORRUPT (malformed) or
 * ERR_DENIED (the signature is not over this text, or not by this certificate).
 */
MUST_USE int signed_text_open(struct str bytes, struct signed_text *out, struct err *err);

#endif
