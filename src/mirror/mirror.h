/*
 * Mirrors: each export of each linked cluster as a listener on this machine.
 *
 * A mirror is a loopback TCP port that stays the same over restarts, or a Unix socket. HTTP/1.1
 * comes in, goes over the link's session as a stream and comes back as fast as the client takes it.
 * What there is stands in files for Prometheus (file_sd) and Grafana (data sources), written as a
 * whole each time, and is served for Prometheus' HTTP discovery.
 *
 * Mirrors follow the links' catalogues: mirrors_update is called whenever one changed, and a timer
 * of their own turns those not ready whose catalogue has grown stale.
 *
 * Owned by the links' loop; files are written by a thread of their own.
 */
#ifndef MIRROR_MIRROR_H
#define MIRROR_MIRROR_H

#include "base/err.h"
#include "base/metric.h"
#include "http/router.h"
#include "io/loop.h"
#include "mesh/link.h"

#include <stdint.h>
#include <sys/types.h>

struct mirrors;

enum mirror_kind {
	MIRROR_TCP, /* 127.0.0.1, a port each. */
	MIRROR_UNIX /* A socket each, DIRECTORY/sockets/CLUSTER.EXPORT. */
};

/* Owner or group of sockets that is left as it is. */
#define MIRROR_ID_KEEP ((uint32_t)-1)

struct mirrors_options {
	enum mirror_kind kind;
	const char *directory; /* Of the state and the files; made if need be. Copied. */
	uint16_t port_first;   /* The range that ports are from, both included. */
	uint16_t port_last;
	uint32_t socket_mode; /* As 0600. */
	uid_t socket_uid;
	gid_t socket_gid;
	int64_t stale_ms;          /* A catalogue older than this makes its mirrors not ready. */
	int64_t grace_ms;          /* A port stays reserved so long after its mirror went. */
	int64_t timeout_ms;        /* Of a request, to its answer's end. */
	size_t per_cluster_max;    /* Mirrors of one cluster; more are left out. */
	const char *cluster_label; /* In the files. Copied. */
	struct links *links;       /* Borrowed; freed after the mirrors. */
	struct metric_registry *metrics;
};

/*
 * Reads the state, makes the directory and opens what can be opened. Returns 0, ERR_INVAL
 * (options), ERR_IO (directory; another process uses it) or ERR_CORRUPT (state).
 */
MUST_USE int mirrors_new(struct loop *loop, const struct mirrors_options *options,
	struct mirrors **out, struct err *err);
/* Closes all listeners, cutting what is under way, and writes what is to be written. NULL is fine.
 */
void mirrors_free(struct mirrors *mirrors);
/* On the loop: a link's state or catalogue changed. */
void mirrors_update(struct mirrors *mirrors);
/* Adds /api/v1/atoll/mirrors and /api/v1/atoll/mirrors/sd to a router. */
void mirrors_register(struct mirrors *mirrors, struct router *router);

#endif
