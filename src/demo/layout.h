/*
 * The demo on paper: which parts there are, on which ports, in which files. Pure functions.
 *
 * All ports come from one block: the hub has the first, each cluster the next free four (node
 * exporter, Prometheus API, gateway for other clusters, gateway's own metrics).
 *
 * Files below the state folder:
 *
 *     atoll-demo  lock  control          what it is, who runs it, how to talk to it
 *     grafana/atoll.yaml                 a data source for Grafana
 *     anchor/                            the trust anchor
 *     hub/{issuer,tls,links}  hub/hub.log
 *     clusters/NAME/{issuer,tls,data}  clusters/NAME/{prometheus,gateway}.yaml  .../PART.log
 */
#ifndef DEMO_LAYOUT_H
#define DEMO_LAYOUT_H

#include "base/buf.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

#define LAYOUT_CLUSTERS_MAX 16
#define LAYOUT_CLUSTER_PORTS 4
/* The hub's and those of all clusters. */
#define LAYOUT_PORTS (1 + LAYOUT_CLUSTERS_MAX * LAYOUT_CLUSTER_PORTS)
/* How often everything is scraped: a graph soon shows something. */
#define LAYOUT_SCRAPE_INTERVAL "2s"

/* How many targets each cluster has: its node exporter and its Prometheus. */
#define LAYOUT_TARGETS 2

enum part_kind {
	PART_HUB,
	PART_NODE_EXPORTER,
	PART_MONITOR,    /* atoll monitor */
	PART_PROMETHEUS, /* Debian's */
	PART_GATEWAY,
};

/* "hub", "node-exporter", "monitor", "prometheus", "gateway" */
const char *layout_part_name(enum part_kind kind);
/* The program: a name in PATH, or NULL for our own. */
const char *layout_program(enum part_kind kind);
/* The port of a part of the cluster in 'slot' (0 ...; of no matter for the hub). */
uint16_t layout_port(uint16_t first, size_t slot, enum part_kind kind);
/* Where the gateway serves its own metrics. */
uint16_t layout_gateway_web_port(uint16_t first, size_t slot);
/* A path that answers 200 once the part is ready. */
const char *layout_ready_path(enum part_kind kind);

/* What a cluster's files are made from. */
struct layout_cluster {
	const char *name;
	size_t slot;
	bool is_stock; /* Debian's Prometheus instead of atoll monitor. */
	uint16_t first_port;
};

/* Append the text of a file. */
void layout_prometheus_yaml(const struct layout_cluster *cluster, struct buf *out);
void layout_gateway_yaml(
	const struct layout_cluster *cluster, const char *hub_identity, struct buf *out);
void layout_link_yaml(
	const struct layout_cluster *cluster, const char *gateway_identity, struct buf *out);
void layout_grafana_yaml(uint16_t first_port, struct buf *out);
/* Appends "9491-9494 frankfurt, 9495-9498 bahrain". */
void layout_port_map(const struct layout_cluster *clusters, size_t count, struct buf *out);

#endif
