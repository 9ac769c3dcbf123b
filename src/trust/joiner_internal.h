/*
 * A joiner from the inside: renewal (joiner.c), and the looks in between at what the service
 * believes (joiner_look.c).
 */
#ifndef TRUST_JOINER_INTERNAL_H
#define TRUST_JOINER_INTERNAL_H

#include "base/buf.h"
#include "base/rand.h"
#include "io/fetch.h"
#include "trust/deny.h"
#include "trust/identity.h"
#include "trust/joiner.h"

/* The two digests that the last exchange began with: what did not help is not done again. */
struct joiner_tried {
	char own[65];
	char told[65];
};

struct joiner {
	struct loop *loop;
	struct joiner_options options;
	struct buf authorization; /* Of a first certificate; empty: renews. */
	char identity[IDENTITY_LEN_MAX + 1];
	struct fetcher *fetcher;
	struct fetch *fetch;     /* NULL: none under way. */
	struct evp_pkey_st *key; /* Of the request for a certificate under way. */
	struct timer timer;
	struct rand rand;

	struct deny_set *denied; /* NULL without 'keeps'. */
	struct joiner_tried anchors_tried;
	struct joiner_tried denied_tried;
	bool look_failed; /* Said so; not again until one succeeds. */
};

/* Puts a request to the service, as who we are, or anonymously for a first certificate. */
void joiner_fetch(struct joiner *joiner, const char *method, const char *path,
	const char *const *headers, struct str body,
	void (*on_done)(struct fetch *fetch, const struct fetch_result *result));
/* Asks for a certificate; what follows is set in motion when the answer is there. */
void joiner_renew(struct joiner *joiner);
/* Waits until the certificate is to be renewed, or for the next look. */
void joiner_wait(struct joiner *joiner);

/* Asks what the service believes, and takes that over. Ends in joiner_renew or joiner_wait. */
void joiner_look(struct joiner *joiner);

#endif
