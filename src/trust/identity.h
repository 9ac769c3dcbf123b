/*
 * Identities: the names in certificates, and the one that a process presents.
 *
 * A name has the form that Linkerd's proxies verify,
 * NAME.NAMESPACE.serviceaccount.identity.linkerd.TRUSTDOMAIN, and is always lower case.
 */
#ifndef TRUST_IDENTITY_H
#define TRUST_IDENTITY_H

#include "base/buf.h"
#include "base/err.h"
#include "base/metric.h"
#include "base/str.h"
#include "io/loop.h"
#include "io/tls.h"
#include "trust/bundle.h"
#include "trust/deny.h"

#include <stdbool.h>

#define IDENTITY_LEN_MAX 253

/* A name taken apart; slices of the text it was parsed from. */
struct identity {
	struct str name;         /* "gateway" */
	struct str name_space;   /* "atoll" */
	struct str trust_domain; /* "frankfurt.atoll.internal" */
};

/* Returns 0, or ERR_INVAL with what is wrong. */
MUST_USE int identity_parse(struct str text, struct identity *out, struct err *err);
/* Appends the name. */
void identity_format(const struct identity *identity, struct buf *out);
/* Whether 'text' is one DNS label (RFC 1123, lower case, at most 63 bytes). */
bool dns_label_is_valid(struct str text);
/* Whether 'text' is labels with dots between them, at most 253 bytes. */
bool dns_name_is_valid(struct str text);

/*
 * The credentials that a process presents, read from a directory (trust/authority.h) and read again
 * whenever its contents change: by inotify, and by polling every 5 s. What is malformed, expired or
 * half written is logged and leaves the last good credentials in use. Owned by one loop; the slot
 * may be used by any thread.
 *
 * Metrics: atoll_certificate_not_after_seconds{kind="leaf"|"issuer"|"anchor", name=...},
 * atoll_certificate_reloads_total{outcome="ok"|"failed"}.
 */
struct trust_identity;

struct trust_identity_options {
	const char *directory;           /* Copied. */
	struct metric_registry *metrics; /* May be NULL. */
	/* Called on the loop after the slot has new credentials. May be NULL. */
	void (*on_change)(void *context);
	/* Called on the loop after other peers than before are denied. May be NULL. */
	void (*on_denied)(void *context);
	void *context;
};

/*
 * Loads the directory. Returns 0, or an error that names the file and what is wrong with it; an
 * expired leaf is ERR_DENIED.
 */
MUST_USE int trust_identity_open(struct loop *loop, const struct trust_identity_options *options,
	struct trust_identity **out, struct err *err);
/* Nobody may use the slot any more. */
void trust_identity_close(struct trust_identity *identity);
struct tls_slot *trust_identity_slot(const struct trust_identity *identity);
/* Our own name; changes only with the directory. */
const char *trust_identity_name(const struct trust_identity *identity);
/* Who is not believed any more: the deny-lists in the directory's folder "denied", which is
 * watched, and those that are merged into it. */
struct deny_set *trust_identity_denied(const struct trust_identity *identity);
/* Which anchors we believe, and which we descend from; changes with the slot. */
const struct trust_facts *trust_identity_facts(const struct trust_identity *identity);
/* When our own certificate expires. */
int64_t trust_identity_not_after_ms(const struct trust_identity *identity);

#endif
