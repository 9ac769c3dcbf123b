/*
 * Link bundles: one file by which a side that can be reached tells the other all that a link needs
 * (docs/link.md): who it is, where, and the anchors to believe it by.
 *
 * It is signed by the certificate that the link will show, so whoever changes an address or a name
 * on the way is noticed; it ends within hours, and counts once. Any thread.
 */
#ifndef MESH_LINK_BUNDLE_H
#define MESH_LINK_BUNDLE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "mesh/link_file.h"
#include "trust/authority.h"
#include "trust/bundle.h"

#include <stdbool.h>
#include <stdint.h>

#define LINK_BUNDLE_BYTES_MAX ((size_t)256 * 1024)
#define LINK_BUNDLE_ID_LEN 32
/* The clock of who reads it may be so far behind that of who made it. */
#define LINK_BUNDLE_SKEW_MS (INT64_C(300) * MS_PER_S)

/* How who reads it has a first certificate of the signer's cluster (atoll trust join). */
struct link_join {
	struct str url;
	struct str server;   /* The identity of the issuing service. */
	struct str identity; /* The name that the token is for. */
	struct str token;    /* Empty: there is none, nor the others. */
};

struct link_bundle {
	struct str id;  /* LINK_BUNDLE_ID_LEN hex digits. */
	bool is_of_hub; /* A hub is reached at the addresses, and a gateway dials; else the reverse.
			 */
	struct str cluster;  /* Of the gateway. */
	struct str identity; /* Of whoever is reached, and signed it. */
	struct str peer;     /* Of a hub's: the gateway that it expects; else empty. */
	struct link_address *addresses;
	size_t address_count;
	int64_t created_ms;
	int64_t expires_ms;
	struct link_join join;
	/* Read, not written: */
	struct trust_facts trust; /* Whom the signer believes, and which it descends from. */
	struct str chain_pem;
	struct str anchors_pem;
};

/* Makes an id. */
void link_bundle_make_id(char out[LINK_BUNDLE_ID_LEN + 1]);
/* Appends it, signed. Returns 0, or ERR_INVAL: 'signer' cannot sign, or is not 'identity'. */
MUST_USE int link_bundle_write(const struct link_bundle *bundle, const struct credentials *signer,
	struct buf *out, struct err *err);
/*
 * Reads one into 'arena' and checks that it was signed by the identity that it names; whether to
 * believe that is link_bundle_judge's. Returns 0, ERR_CORRUPT, ERR_LIMIT or ERR_DENIED.
 */
MUST_USE int link_bundle_parse(
	struct arena *arena, struct str bytes, struct link_bundle *out, struct err *err);
/*
 * Judges it at 'now_ms'. 'anchors_pem' are our own anchors; empty: none. Returns 1 if who signed it
 * descends from one of them, 0 if only from its own (then whoever had it in hand could have made
 * it: its digest is to be compared), or ERR_DENIED with a sentence: it has ended, is of the future,
 * or its certificates are no good.
 */
MUST_USE int link_bundle_judge(
	const struct link_bundle *bundle, struct str anchors_pem, int64_t now_ms, struct err *err);
/* SHA-256 of the file, in hex: what two people compare. */
void link_bundle_digest(struct str bytes, char out[65]);
/*
 * Uses it up: notes its id in the folder ".bundles" of 'directory' until it ends. Returns 0,
 * ERR_DENIED (it was used already) or ERR_IO.
 */
MUST_USE int link_bundle_use(
	const char *directory, const struct link_bundle *bundle, int64_t now_ms, struct err *err);
/* Appends the link file, or for a gateway that dials the hub's entry, that it stands for. */
void link_bundle_format_file(const struct link_bundle *bundle, struct buf *out);

#endif
