/*
 * The other side of an issuing service (trust/service.h): a process that has its certificates from
 * there. The first one for a join token, others by the current one, at two thirds of its lifetime.
 *
 * One that keeps its certificates also looks, every few seconds, whom the service believes: when it
 * has other anchors the certificates are renewed at once, and deny-lists go both ways, into the
 * folder "denied" of the credentials, where the process that uses them watches.
 *
 * Keys are made here and never leave. Owned by one loop.
 */
#ifndef TRUST_JOINER_H
#define TRUST_JOINER_H

#include "base/err.h"
#include "base/time.h"
#include "io/loop.h"

#include <stdbool.h>

/* Between two looks; also how soon a machine that slept or a moved wall clock is noticed. */
#define JOINER_LOOK_MS (INT64_C(5) * MS_PER_S)

struct joiner;

struct joiner_options {
	const char *url;          /* "https://host:port"; copied, as are all strings. */
	const char *server;       /* The identity of the service. */
	const char *directory;    /* Of the credentials. */
	const char *anchors_file; /* To join: whom to believe before there are credentials. */
	const char *identity;     /* To join: the name that the token is for; NULL: renew. */
	const char *token;
	bool keeps; /* Goes on renewing; else one certificate is all. */
	/* Called on the loop, without 'keeps' once, after the first attempt; NULL: it succeeded.
	 * With 'keeps' a failure to join ends it too, one to renew is logged and tried again. */
	void (*on_done)(void *context, const struct err *failure);
	void *context;
};

/* Begins. Returns 0, ERR_INVAL, or an error if the credentials to renew cannot be read. */
MUST_USE int joiner_start(struct loop *loop, const struct joiner_options *options,
	struct joiner **out, struct err *err);
void joiner_stop(struct joiner *joiner);

#endif
