#include "demo/group.h"

#include "base/check.h"
#include "base/memory.h"
#include "io/file.h"
#include "trust/authority.h"
#include "trust/identity.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORKLOAD_NAMESPACE "atoll"

static void join(struct buf *out, const char *folder, const char *name) {
	buf_reset(out);
	buf_printf(out, "%s/%s", folder, name);
}

int group_make_anchor(const char *folder, struct err *err) {
	AUTO(buf_deinit) struct buf path = { 0 };
	struct authority *anchor = NULL;
	join(&path, folder, "anchor");
	int rc = dir_remove_tree(buf_text(&path), err);
	if (rc == 0) {
		rc = authority_new_anchor(
			STR(MESH_DOMAIN_DEFAULT), 0, clock_system(), &anchor, err);
	}
	if (rc == 0) {
		rc = authority_save(anchor, buf_text(&path), err);
	}
	authority_free(anchor);
	return rc;
}

/* The name of a process of ours: "gateway" of frankfurt, "hub" of the hub. */
static void identity_of(const char *workload, const char *group, struct buf *out) {
	AUTO(buf_deinit) struct buf domain = { 0 };
	buf_printf(&domain, "%s.%s", group, MESH_DOMAIN_DEFAULT);
	const struct identity identity = {
		.name = str_of(workload),
		.name_space = STR(WORKLOAD_NAMESPACE),
		.trust_domain = buf_str(&domain),
	};
	identity_format(&identity, out);
}

/* Makes the group's issuer under the demo's anchor and saves it. */
static int make_issuer(
	const struct group *group, const char *folder, struct authority **out, struct err *err) {
	AUTO(buf_deinit) struct buf path = { 0 };
	struct authority *anchor = NULL;
	join(&path, group->shared->folder, "anchor");
	int rc = authority_load(buf_text(&path), &anchor, err);
	if (rc == 0) {
		rc = authority_new_issuer(anchor, str_of(group->name), 0, clock_system(), out, err);
	}
	authority_free(anchor);
	return rc == 0 ? authority_save(*out, folder, err) : rc;
}

static int sign_leaf(
	const struct authority *issuer, const char *workload, const char *folder, struct err *err) {
	struct credentials credentials = { 0 };
	const struct leaf_request request = {
		.name = str_of(workload),
		.name_space = STR(WORKLOAD_NAMESPACE),
	};
	int rc = authority_sign(issuer, &request, clock_system(), &credentials, err);
	if (rc == 0) {
		rc = credentials_save(folder, &credentials, err);
	}
	credentials_deinit(&credentials);
	return rc;
}

/* The issuer, the certificate of the one process that speaks TLS, and who renews it. */
static int make_trust(struct group *group, struct err *err) {
	AUTO(buf_deinit) struct buf issuer_folder = { 0 };
	AUTO(buf_deinit) struct buf leaf_folder = { 0 };
	struct authority *issuer = NULL;
	join(&issuer_folder, group->folder, "issuer");
	join(&leaf_folder, group->folder, "tls");
	const char *leaves[] = { buf_text(&leaf_folder) };
	const struct keeper_options options = {
		.issuer_directory = buf_text(&issuer_folder),
		.leaf_directories = leaves,
		.leaf_count = 1,
	};

	int rc = make_issuer(group, buf_text(&issuer_folder), &issuer, err);
	if (rc == 0) {
		rc = sign_leaf(issuer, layout_part_name(group->is_hub ? PART_HUB : PART_GATEWAY),
			buf_text(&leaf_folder), err);
	}
	authority_free(issuer);
	return rc == 0 ? keeper_start(group->shared->loop, &options, &group->keeper, err) : rc;
}

static int write_text(
	const struct group *group, const char *name, const struct buf *text, struct err *err) {
	AUTO(buf_deinit) struct buf path = { 0 };
	join(&path, group->folder, name);
	return file_write_atomic(buf_text(&path), buf_str(text), 0600, err);
}

static struct layout_cluster layout_of(const struct group *group) {
	return (struct layout_cluster){
		.name = group->name,
		.slot = group->slot,
		.is_stock = group->is_stock,
		.first_port = group->shared->first_port,
	};
}

static int write_configuration(const struct group *group, struct err *err) {
	AUTO(buf_deinit) struct buf text = { 0 };
	AUTO(buf_deinit) struct buf hub = { 0 };
	const struct layout_cluster cluster = layout_of(group);
	layout_prometheus_yaml(&cluster, &text);
	int rc = write_text(group, "prometheus.yaml", &text, err);
	if (rc == 0) {
		identity_of(layout_part_name(PART_HUB), GROUP_NAME_HUB, &hub);
		buf_reset(&text);
		layout_gateway_yaml(&cluster, buf_text(&hub), &text);
		rc = write_text(group, "gateway.yaml", &text, err);
	}
	return rc;
}

static struct part *add_part(struct group *group, enum part_kind kind) {
	const struct group_context *shared = group->shared;
	const char *program = layout_program(kind);
	AUTO(buf_deinit) struct buf log = { 0 };
	buf_printf(&log, "%s/%s.log", group->folder, layout_part_name(kind));
	CHECK(group->part_count < GROUP_PARTS_MAX);
	struct part *part = &group->parts[group->part_count++];
	const struct part_options options = {
		.loop = shared->loop,
		.fetcher = shared->fetcher,
		.changed = shared->changed,
		.context = shared->context,
		.kind = kind,
		.program = program ? program : shared->program,
		.log_path = buf_text(&log),
		.ready_port = kind == PART_GATEWAY
				      ? layout_gateway_web_port(shared->first_port, group->slot)
				      : layout_port(shared->first_port, group->slot, kind),
	};
	part_init(part, &options);
	if (!program) {
		part_argument(part, "%s", layout_part_name(kind));
	}
	return part;
}

static void add_hub(struct group *group) {
	struct part *part = add_part(group, PART_HUB);
	part_argument(part, "--web.listen-address=127.0.0.1:%u", group->shared->first_port);
	part_argument(part, "--links.directory=%s/links", group->folder);
	part_argument(part, "--tls.directory=%s/tls", group->folder);
}

static void add_cluster(struct group *group) {
	uint16_t first = group->shared->first_port;
	size_t slot = group->slot;
	enum part_kind server = group->is_stock ? PART_PROMETHEUS : PART_MONITOR;

	struct part *part = add_part(group, PART_NODE_EXPORTER);
	part_argument(part, "--web.listen-address=127.0.0.1:%u",
		layout_port(first, slot, PART_NODE_EXPORTER));

	part = add_part(group, server);
	part_argument(part, "--config.file=%s/prometheus.yaml", group->folder);
	part_argument(part, "--storage.tsdb.path=%s/data", group->folder);
	part_argument(part, "--web.listen-address=127.0.0.1:%u", layout_port(first, slot, server));

	part = add_part(group, PART_GATEWAY);
	part_argument(part, "--config.file=%s/gateway.yaml", group->folder);
	part_argument(part, "--tls.directory=%s/tls", group->folder);
	part_argument(part, "--gateway.listen-address=127.0.0.1:%u",
		layout_port(first, slot, PART_GATEWAY));
	part_argument(
		part, "--web.listen-address=127.0.0.1:%u", layout_gateway_web_port(first, slot));
}

/* Folders; what an earlier run left in them but a cluster's samples goes. */
static int make_folders(const struct group *group, struct err *err) {
	static const char *const stale[] = { "issuer", "tls", "links" };
	AUTO(buf_deinit) struct buf path = { 0 };
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < ARRAY_COUNT(stale); i++) {
		join(&path, group->folder, stale[i]);
		rc = dir_remove_tree(buf_text(&path), err);
	}
	if (rc == 0) {
		join(&path, group->folder, group->is_hub ? "links" : "data");
		rc = dir_make(buf_text(&path), 0700, err);
	}
	return rc;
}

static int remove_old_logs(const struct group *group, struct err *err) {
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < group->part_count; i++) {
		rc = dir_remove_tree(group->parts[i].log_path, err);
	}
	return rc;
}

static int make_files(struct group *group, struct err *err) {
	int rc = make_folders(group, err);
	if (rc == 0) {
		rc = make_trust(group, err);
	}
	if (rc == 0 && !group->is_hub) {
		rc = write_configuration(group, err);
	}
	return rc;
}

int group_new(const struct group_context *shared, const char *name, size_t slot, bool is_stock,
	struct group **out, struct err *err) {
	if (!dns_label_is_valid(str_of(name))) {
		return err_set(err, ERR_INVAL,
			"\"%.100s\" is not a cluster's name: lower-case letters, digits and '-', "
			"at most 63",
			name);
	}
	struct group *group = MEMORY_NEW(struct group, 1);
	group->shared = shared;
	group->slot = slot;
	group->is_stock = is_stock;
	group->is_hub = strcmp(name, GROUP_NAME_HUB) == 0;
	(void)snprintf(group->name, sizeof(group->name), "%s", name);
	(void)snprintf(group->folder, sizeof(group->folder), "%s/%s%s", shared->folder,
		group->is_hub ? "" : "clusters/", name);
	if (group->is_hub) {
		add_hub(group);
	} else {
		add_cluster(group);
	}
	int rc = make_files(group, err);
	if (rc == 0) {
		rc = remove_old_logs(group, err);
	}
	if (rc < 0) {
		group_free(group);
		return err_wrap(err, rc, "%s", name);
	}
	*out = group;
	return 0;
}

void group_free(struct group *group) {
	if (!group) {
		return;
	}
	for (size_t i = 0; i < group->part_count; i++) {
		part_deinit(&group->parts[i]);
	}
	keeper_stop(group->keeper);
	free(group);
}

int group_remove_files(const struct group *group, struct err *err) {
	return dir_remove_tree(group->folder, err);
}

int group_start(struct group *group, struct err *err) {
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < group->part_count; i++) {
		if (!part_is_running(&group->parts[i])) {
			rc = part_start(&group->parts[i], err);
		}
	}
	return rc;
}

void group_stop(struct group *group) {
	for (size_t i = 0; i < group->part_count; i++) {
		part_stop(&group->parts[i]);
	}
}

bool group_is_running(const struct group *group) {
	bool is_running = false;
	for (size_t i = 0; i < group->part_count; i++) {
		is_running = is_running || part_is_running(&group->parts[i]);
	}
	return is_running;
}

struct part *group_find_part(struct group *group, struct str name) {
	for (size_t i = 0; i < group->part_count; i++) {
		if (str_equal(name, str_of(layout_part_name(group->parts[i].kind)))) {
			return &group->parts[i];
		}
	}
	return NULL;
}

static void link_path(const struct group *group, struct buf *out) {
	buf_printf(out, "%s/hub/links/%s.yaml", group->shared->folder, group->name);
}

int group_link(const struct group *group, struct err *err) {
	AUTO(buf_deinit) struct buf path = { 0 };
	AUTO(buf_deinit) struct buf text = { 0 };
	AUTO(buf_deinit) struct buf gateway = { 0 };
	const struct layout_cluster cluster = layout_of(group);
	identity_of(layout_part_name(PART_GATEWAY), group->name, &gateway);
	layout_link_yaml(&cluster, buf_text(&gateway), &text);
	link_path(group, &path);
	return file_write_atomic(buf_text(&path), buf_str(&text), 0600, err);
}

int group_unlink(const struct group *group, struct err *err) {
	AUTO(buf_deinit) struct buf path = { 0 };
	link_path(group, &path);
	return path_exists(buf_text(&path)) ? file_remove(buf_text(&path), err) : 0;
}
