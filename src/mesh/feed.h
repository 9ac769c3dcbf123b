/*
 * The gateway's side of the catalogue: peers that follow it, each told of what its identity may
 * use.
 *
 * Owned by one loop.
 */
#ifndef MESH_FEED_H
#define MESH_FEED_H

#include "base/metric.h"
#include "http/server.h"
#include "mesh/exports.h"
#include "trust/bundle.h"

struct feed;

/* A feed without followers, of no exports. */
struct feed *feed_new(struct loop *loop, struct metric_registry *metrics);
/* Ends all followers. */
void feed_free(struct feed *feed);
/* Takes a reference to new exports and tells the followers whose part of them changed. */
void feed_publish(struct feed *feed, struct exports *exports);
/* What we believe from now on; followers are told. Copied. */
void feed_tell_trust(struct feed *feed, const struct trust_facts *facts);
/* Which deny-lists we know from now on, by a digest; followers are told. */
void feed_tell_denied(struct feed *feed, uint64_t digest);
/* Answers GET /atoll/v1/catalogue: one document, or with ?watch=1 all to come. */
void feed_serve(struct feed *feed, struct exchange *exchange);

#endif
