/*
 * TLS: what a connection presents, what it trusts, and how a peer is judged.
 *
 * A 'tls_identity' is immutable and counted: certificate chain, private key and trust anchors. A
 * 'tls_slot' holds the current one; a reload swaps it, new handshakes use the new, open connections
 * keep what they began with. TLS 1.3 only. Any thread.
 */
#ifndef IO_TLS_H
#define IO_TLS_H

#include "base/err.h"
#include "base/str.h"
#include "base/time.h"

#include <stdbool.h>
#include <stdint.h>

/* What the handshake learned of the peer; lives as long as the stream. */
struct tls_peer {
	char identity[256];         /* The peer's verified name; empty on a stream without TLS. */
	char alpn[64];              /* The protocol agreed on, or empty. */
	char serial[41];            /* Of the peer's certificate, in upper-case hex. */
	char issuer_digest[65];     /* SHA-256 of its issuer's, in lower-case hex. */
	int64_t not_before_ms;      /* Since when it is valid. */
	int64_t not_after_ms;       /* When the peer's certificate expires. */
	int64_t chain_not_after_ms; /* When the first certificate of its chain does. */
};

/*
 * Judges a peer's chain after OpenSSL accepted it: 'chain_der' are the certificates, leaf first.
 * Writes the peer's name to 'identity' (of 'size' bytes). Returns 0, or ERR_DENIED with the reason.
 * By these bytes alone: that they are good is remembered while they are within their time.
 */
typedef int tls_verify_fn(void *context, const struct str *chain_der, size_t count,
	bool peer_is_client, char *identity, size_t size, struct err *err);
/*
 * Judges what may change: asked at every handshake, when the chain has been found good. 'peer' has
 * everything but the protocol. Returns 0, or ERR_DENIED with the reason.
 */
typedef int tls_admit_fn(void *context, const struct tls_peer *peer, struct err *err);

/* The caller's own rules on top of OpenSSL's. Either may be NULL. */
struct tls_rules {
	tls_verify_fn *verify;
	tls_admit_fn *admit;
	void *context; /* Must outlive the identity. */
};

/* OpenSSL takes its memory from base/reuse.h from now on. Before anything else of OpenSSL's, as the
 * process begins. */
void tls_reuse_memory(void);

struct tls_identity;

/*
 * Builds an identity from PEM text. 'rules' (may be NULL: none) are copied.
 * Times are judged by 'clock', so that tests own expiry. Returns 0, ERR_INVAL (malformed, or key
 * and certificate do not belong together), ERR_IO.
 */
MUST_USE int tls_identity_new(struct str chain_pem, struct str key_pem, struct str anchors_pem,
	struct clock *clock, const struct tls_rules *rules, struct tls_identity **out,
	struct err *err);
/* Another reference; the last unref frees. */
struct tls_identity *tls_identity_ref(struct tls_identity *identity);
void tls_identity_unref(struct tls_identity *identity);
/* When our own certificate expires. */
int64_t tls_identity_not_after_ms(const struct tls_identity *identity);
/* When the first of our certificate, its chain and the trust anchors does. */
int64_t tls_identity_chain_not_after_ms(const struct tls_identity *identity);

struct tls_slot;

struct tls_slot *tls_slot_new(struct tls_identity *identity); /* Takes a reference. */
/* Drops its identity. No connection may use the slot any more. */
void tls_slot_free(struct tls_slot *slot);
/* Puts 'identity' (a new reference is taken) in the place of the old one. */
void tls_slot_swap(struct tls_slot *slot, struct tls_identity *identity);
struct tls_identity *tls_slot_get(struct tls_slot *slot); /* A new reference. */

/* How one listener or connection uses a slot. Strings are borrowed for its life. */
struct tls_options {
	struct tls_slot *slot;
	/*
	 * NULL-terminated, preferred first. A peer that shares none is refused; NULL: not spoken
	 * of.
	 */
	const char *const *alpn;
	const char *server_name; /* Clients: sent as SNI; the verify function checks identity. */
	bool admits_anonymous;   /* Servers: clients without a certificate too, with identity "". */
	const char *expect_identity; /* The peer must have exactly this name; NULL: any verified. */
};

#endif
