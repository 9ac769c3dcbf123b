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
 * The configuration file is watched, and so is a directory of further exports (mesh/export_files.h)
 * into which programs may put them over HTTP (mesh/export_api.h): exports come and go without a
 * restart, and peers that follow the catalogue know within a moment (docs/formats/link.md).
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
#include "trust/deny.h"
#include "trust/identity.h"

#include <stdint.h>

struct gateway;
struct router;

struct gateway_options {
	const char *config_file; /* Copied, as are all strings. */
	/* Of further exports, one to a file; watched. NULL: none. */
	const char *exports_directory;
	/* Of further hubs to dial, one to a file; watched. NULL: none. */
	const char *hubs_directory;
	const char *host;
	uint16_t port;                   /* 0: any. */
	size_t connections_max;          /* Open at once; more wait in the kernel. 0: 512. */
	size_t connections_per_peer_max; /* Of one identity; more are refused. 0: 64. */
	struct tls_slot *tls;            /* Who we are; borrowed. */
	const char *identity;            /* Our name in 'tls'. */
	struct deny_set *denied;         /* Who is not believed any more; borrowed. NULL: nobody. */
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
/*
 * Adds /atoll/v1/exports and /atoll/v1/exports/NAME to a router: exports are listed, and put into
 * the directory of exports and removed from it, by whoever knows the token that stands in
 * 'token_file' (read anew for each request). Only with an exports_directory, and once.
 */
void gateway_register_api(struct gateway *gateway, const char *token_file, struct router *router);
/*
 * Adds GET /atoll/v1/status to a router: who we are and whom we believe, the clock, what is
 * exported, the hubs that are dialled and why that failed; and GET /atoll/v1/refusals: the peers
 * that were not let in last, and why. Once.
 */
void gateway_register_status(
	struct gateway *gateway, const struct trust_identity *identity, struct router *router);
/* Others than before are denied: their connections end, and peers are told. */
void gateway_denied_changed(struct gateway *gateway);
/* The port that is listened on. */
uint16_t gateway_port(const struct gateway *gateway);

#endif
