/*
 * The gateway's side of links that it dials itself, because no hub can reach it: it connects to the
 * hubs that its configuration names and serves them over that connection as it serves those that
 * come. Whatever ends one, it is dialled again; before a certificate of either side expires another
 * takes its place.
 *
 * Owned by one loop.
 */
#ifndef MESH_DIALLER_H
#define MESH_DIALLER_H

#include "base/metric.h"
#include "codec/json_writer.h"
#include "http/server.h"
#include "io/tls.h"
#include "mesh/exports.h"

/* After TLS by this protocol the side that was dialled opens the streams. */
#define REVERSE_ALPN "atoll-reverse/1"

struct dialler;

struct dialler_options {
	struct http_server *server; /* Serves what was dialled; borrowed. */
	struct tls_slot *tls;       /* Who we are; borrowed. */
	struct metric_registry *metrics;
};

/* Dials nobody yet. */
struct dialler *dialler_new(struct loop *loop, const struct dialler_options *options);
/* The server must have been closed before: it ends the connections. */
void dialler_free(struct dialler *dialler);
/* Writes them as an array: who, where, whether connected, and why not. */
void dialler_write(const struct dialler *dialler, struct json_writer *writer);
/* Dials these hubs, and no others any more; those that stay as they were notice nothing. */
void dialler_use(struct dialler *dialler, struct exports *exports);

#endif
