/*
 * The gateway: a cluster's front door for other clusters.
 *
 * Peers come by HTTP/2 over mutual TLS. Each request names an export by its :authority; the gateway
 * lets through what the export's kind allows, to the identities it allows, within its limits, and
 * streams the answer of the service behind it, compressed, as fast as the peer takes it. Everything
 * else is refused, counted and, for peers that are not let in at all, logged.
 *
 * A gateway that no hub can reach dials the hubs that its configuration names, and serves them over
 * those connections by the same rules (mesh/dialler.h).
 *
 * The configuration file is watched: exports come and go without a restart, and peers that follow
 * the catalogue know within a moment (docs/formats/link.md).
 *
 * Owned by one loop.
 */
#ifndef MESH_GATEWAY_H
#define MESH_GATEWAY_H

#include "base/err.h"
#include "base/metric.h"
#include "io/loop.h"
#include "io/tls.h"
#include "trust/bundle.h"

#include <stdint.h>

struct gateway;

struct gateway_options {
	const char *config_file; /* Copied, as are all strings. */
	const char *host;
	uint16_t port;        /* 0: any. */
	struct tls_slot *tls; /* Who we are; borrowed. */
	const char *identity; /* Our name in 'tls'. */
	struct metric_registry *metrics;
};

/* Reads the configuration and listens. Returns 0, ERR_INVAL (configuration; says file and line),
 * ERR_IO (file; port in use). */
MUST_USE int gateway_open(struct loop *loop, const struct gateway_options *options,
	struct gateway **out, struct err *err);
/* Stops listening; requests under way are cut. */
void gateway_close(struct gateway *gateway);
/* Which anchors we believe, for those who follow the catalogue. */
void gateway_set_trust(struct gateway *gateway, const struct trust_facts *facts);
/* The port that is listened on. */
uint16_t gateway_port(const struct gateway *gateway);

#endif
