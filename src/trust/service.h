/*
 * The issuing service of a cluster: signs certificates for processes that do not hold the issuer's
 * key, over HTTPS. A first one for a join token (trust/token.h), others for who presents a valid
 * one of the same name.
 *
 *   POST /v1/join   "Authorization: Bearer TOKEN", a request for a certificate in PEM as body
 *   POST /v1/renew  by mutual TLS, a request as body
 *
 * Both are answered with the leaf, its issuer and the anchors, in PEM, or with a sentence. The
 * issuer is read anew each time. Who has a certificate is also told whom the service believes:
 *
 *   GET  /v1/trust   digests: "anchors HEX" and "denied HEX", a line each
 *   POST /v1/denied  takes deny-lists and answers with those known here
 *
 * Owned by one loop.
 */
#ifndef TRUST_SERVICE_H
#define TRUST_SERVICE_H

#include "base/err.h"
#include "base/metric.h"
#include "io/loop.h"
#include "io/tls.h"
#include "trust/deny.h"

#include <stdint.h>

struct trust_service;

struct trust_service_options {
	const char *issuer_directory; /* Copied, as are all strings. */
	const char *token_directory;
	const char *host;
	uint16_t port;           /* 0: any. */
	struct tls_slot *tls;    /* Who we are; borrowed. */
	struct deny_set *denied; /* Borrowed. */
	int64_t lifetime_ms;     /* Of certificates; 0: LEAF_LIFETIME_MS. */
	struct metric_registry *metrics;
};

/* Listens. Returns 0, or an error if the issuer cannot be read or the address not be listened on.
 */
MUST_USE int trust_service_open(struct loop *loop, const struct trust_service_options *options,
	struct trust_service **out, struct err *err);
void trust_service_close(struct trust_service *service);
/* To be called when the deny-lists are other ones: cuts connections of those who are on them. */
void trust_service_denied_changed(struct trust_service *service);
/* The port that is listened on. */
uint16_t trust_service_port(const struct trust_service *service);

#endif
