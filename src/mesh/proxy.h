/*
 * One request on its way through a gateway: from the peer to the service, and the answer back as
 * fast as the peer takes it, compressed. Memory is bounded by the queues on both sides, whatever
 * the size of the answer.
 *
 * Owned by one loop.
 */
#ifndef MESH_PROXY_H
#define MESH_PROXY_H

#include "http/server.h"
#include "io/fetch.h"
#include "mesh/export_state.h"
#include "mesh/exports.h"

/* All that is under way; owned by the gateway. */
struct proxies {
	struct loop *loop;
	struct fetcher *fetcher;
	const char *identity; /* The gateway's own. */
	struct proxy *first;
};

/*
 * Asks the service behind 'exported' (an item of 'exports', of which a reference is taken) and
 * answers the exchange. What may be asked has been judged before.
 */
void proxy_start(struct proxies *proxies, struct exchange *exchange, struct exports *exports,
	const struct exported *exported, struct export_state *state);
/* Cuts all that is under way; their exchanges end broken off. */
void proxies_stop(struct proxies *proxies);

/* Whether a request has been through this gateway before; its Atoll-Via header says so. */
bool proxy_is_loop(const struct http_request *request, const char *identity);

#endif
