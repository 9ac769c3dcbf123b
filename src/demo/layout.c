#include "demo/layout.h"

#include "base/check.h"

/* Ports of a cluster, after its first. */
enum {
	NODE_EXPORTER_OFFSET,
	API_OFFSET,
	GATEWAY_OFFSET,
	GATEWAY_WEB_OFFSET
};

static const struct {
	const char *name;
	const char *program;
	const char *ready_path;
	unsigned offset;
} parts[] = {
	[PART_HUB] = { "hub", NULL, "/-/ready", 0 },
	[PART_NODE_EXPORTER] = { "node-exporter", "prometheus-node-exporter", "/",
		NODE_EXPORTER_OFFSET },
	[PART_MONITOR] = { "monitor", NULL, "/-/ready", API_OFFSET },
	[PART_PROMETHEUS] = { "prometheus", "prometheus", "/-/ready", API_OFFSET },
	[PART_GATEWAY] = { "gateway", NULL, "/-/ready", GATEWAY_OFFSET },
};

const char *layout_part_name(enum part_kind kind) {
	return parts[kind].name;
}

const char *layout_program(enum part_kind kind) {
	return parts[kind].program;
}

const char *layout_ready_path(enum part_kind kind) {
	return parts[kind].ready_path;
}

static uint16_t cluster_port(uint16_t first, size_t slot, unsigned offset) {
	CHECK(slot < LAYOUT_CLUSTERS_MAX);
	return (uint16_t)(first + 1 + slot * LAYOUT_CLUSTER_PORTS + offset);
}

uint16_t layout_port(uint16_t first, size_t slot, enum part_kind kind) {
	return kind == PART_HUB ? first : cluster_port(first, slot, parts[kind].offset);
}

uint16_t layout_gateway_web_port(uint16_t first, size_t slot) {
	return cluster_port(first, slot, GATEWAY_WEB_OFFSET);
}

void layout_prometheus_yaml(const struct layout_cluster *cluster, struct buf *out) {
	enum part_kind server = cluster->is_stock ? PART_PROMETHEUS : PART_MONITOR;
	buf_printf(out,
		"# Made by atoll demo for %s.\n"
		"global:\n"
		"  scrape_interval: " LAYOUT_SCRAPE_INTERVAL "\n"
		"  scrape_timeout: " LAYOUT_SCRAPE_INTERVAL "\n"
		"scrape_configs:\n"
		"  - job_name: node\n"
		"    static_configs:\n"
		"      - targets: ['127.0.0.1:%u']\n"
		"  - job_name: %s\n"
		"    static_configs:\n"
		"      - targets: ['127.0.0.1:%u']\n",
		cluster->name, layout_port(cluster->first_port, cluster->slot, PART_NODE_EXPORTER),
		layout_part_name(server), layout_port(cluster->first_port, cluster->slot, server));
}

void layout_gateway_yaml(
	const struct layout_cluster *cluster, const char *hub_identity, struct buf *out) {
	buf_printf(out,
		"# Made by atoll demo for %s: the hub may read its Prometheus API, nobody else.\n"
		"exports:\n"
		"  - name: prometheus\n"
		"    kind: prometheus\n"
		"    url: http://127.0.0.1:%u\n"
		"    allow:\n"
		"      - %s\n",
		cluster->name, layout_port(cluster->first_port, cluster->slot, PART_MONITOR),
		hub_identity);
}

void layout_link_yaml(
	const struct layout_cluster *cluster, const char *gateway_identity, struct buf *out) {
	buf_printf(out,
		"# Made by atoll demo: where the gateway of %s is, and who it must be.\n"
		"cluster: %s\n"
		"identity: %s\n"
		"addresses:\n"
		"  - 127.0.0.1:%u\n",
		cluster->name, cluster->name, gateway_identity,
		layout_port(cluster->first_port, cluster->slot, PART_GATEWAY));
}

void layout_grafana_yaml(uint16_t first_port, struct buf *out) {
	buf_printf(out,
		"# Made by atoll demo. For Grafana: put it into provisioning/datasources.\n"
		"apiVersion: 1\n"
		"datasources:\n"
		"  - name: atoll demo\n"
		"    uid: atoll-demo\n"
		"    type: prometheus\n"
		"    access: proxy\n"
		"    url: http://127.0.0.1:%u\n"
		"    isDefault: true\n"
		"    jsonData:\n"
		"      httpMethod: POST\n"
		"      timeInterval: " LAYOUT_SCRAPE_INTERVAL "\n"
		"      queryTimeout: 60s\n"
		"      prometheusType: Prometheus\n"
		"      cacheLevel: Low\n"
		"      incrementalQuerying: true\n"
		"      incrementalQueryOverlapWindow: 1m\n",
		first_port);
}

void layout_port_map(const struct layout_cluster *clusters, size_t count, struct buf *out) {
	for (size_t i = 0; i < count; i++) {
		uint16_t first = cluster_port(clusters[i].first_port, clusters[i].slot, 0);
		buf_printf(out, "%s%d-%d %s", i > 0 ? ", " : "", first,
			first + LAYOUT_CLUSTER_PORTS - 1, clusters[i].name);
	}
}
