/*
 * Deny-lists: what is not believed any more though its certificate has not expired.
 *
 * A list is signed: by a cluster's issuer for identities and serial numbers of its own trust
 * domain, or by the trust anchor for identities of any and for whole issuers. So anybody may hand
 * it on (docs/formats/deny.md). Of each signer's domain the list with the highest number holds.
 *
 * A 'deny_set' holds the lists that a process knows. It is changed by one loop and asked by any
 * thread.
 */
#ifndef TRUST_DENY_H
#define TRUST_DENY_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "base/time.h"
#include "trust/authority.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DENY_LIST_BYTES_MAX ((size_t)256 * 1024)
#define DENY_ENTRIES_MAX 1000
/* Lists in one set, and their bytes together. */
#define DENY_LISTS_MAX 1000
#define DENY_SET_BYTES_MAX ((size_t)4 * 1024 * 1024)
/* A serial number in hex: 20 bytes at most. */
#define SERIAL_LEN_MAX 40

enum deny_kind {
	DENY_IDENTITY, /* A name; all certificates for it. */
	DENY_SERIAL,   /* One leaf, by its serial number, in upper-case hex as openssl shows it. */
	DENY_ISSUER,   /* An issuer and all its leaves, by the SHA-256 of its certificate. */
	DENY_KIND_COUNT
};

struct deny_entry {
	enum deny_kind kind;
	struct str value;
};

struct deny_list {
	struct arena arena;
	bool is_by_anchor;
	struct str scope; /* The trust domain of the issuer, or the domain of the anchor's mesh. */
	char signer[65];  /* SHA-256 of the signer's certificate. */
	int64_t number;
	struct deny_entry *entries;
	size_t count;
};

/* Whether 'signer' may deny that. Returns 0 or ERR_INVAL with what is wrong. */
MUST_USE int deny_entry_check(
	const struct deny_entry *entry, bool is_by_anchor, struct str scope, struct err *err);
/* Appends a signed list. The entries have been checked. */
void deny_list_format(const struct authority *signer, int64_t number,
	const struct deny_entry *entries, size_t count, struct buf *out);
/*
 * Reads a list and checks its signature, and that its signer is one of the anchors or descends from
 * one. Returns 0, ERR_CORRUPT, ERR_LIMIT or ERR_DENIED.
 */
MUST_USE int deny_list_parse(
	struct str text, struct str anchors_pem, struct deny_list *out, struct err *err);
void deny_list_deinit(struct deny_list *list);
/* The name of the file that holds a list of that signer: "west.mesh.deny". */
void deny_list_file_name(bool is_by_anchor, struct str scope, struct buf *out);

struct deny_set;

/* Lists in a directory, which need not exist, as *.deny; those that arrive otherwise are written
 * there. The directory is copied. */
struct deny_set *deny_set_new(const char *directory, const struct clock *clock);
void deny_set_free(struct deny_set *set);
/* By whom lists may be signed from now on; those that are held are judged anew. */
void deny_set_use_anchors(struct deny_set *set, struct str anchors_pem);
/* Looks into the directory. Returns 1 if something changed, 0 if not; what is wrong with files is
 * logged, once for each content. */
int deny_set_load(struct deny_set *set);
/*
 * Takes the lists that deny_set_write wrote elsewhere, those that are new and good. Returns 1 if
 * something changed, 0 if not, ERR_CORRUPT or ERR_LIMIT for what is no such text, ERR_DENIED if a
 * list was not taken (the others were).
 */
MUST_USE int deny_set_merge(struct deny_set *set, struct str text, struct err *err);
/* Appends all lists. On the loop. */
void deny_set_write(const struct deny_set *set, struct buf *out);
/* A digest of all lists; 0 for none. On the loop. */
uint64_t deny_set_digest(const struct deny_set *set);

/* Any thread: whether one with that name, serial number and issuer is denied; then says so. */
bool deny_set_denies(struct deny_set *set, const char *identity, const char *serial,
	const char *issuer_digest, struct err *why);

#endif
