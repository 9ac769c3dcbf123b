#include "mirror/view.h"

#include "base/hash.h"
#include "codec/json_writer.h"

/* What Grafana takes at most as the uid of a data source. */
#define UID_BYTES_MAX 40

const char *mirror_state_name(enum mirror_state state) {
	switch (state) {
	case MIRROR_READY:
		return "ready";
	case MIRROR_STALE:
		return "stale";
	case MIRROR_FAILED:
		return "failed";
	case MIRROR_REMOVED:
		return "removed";
	}
	return "";
}

void view_uid(const struct mirror_view *view, struct buf *out) {
	size_t start = out->len;
	/* Neither name can hold an underscore. */
	buf_printf(out, "atoll_%.*s_%.*s", STR_ARG(view->cluster), STR_ARG(view->export_name));
	if (out->len - start > UID_BYTES_MAX) {
		uint64_t hash = hash_str(view->export_name, hash_str(view->cluster, 1));
		out->len = start;
		buf_printf(out, "atoll_%016llx", (unsigned long long)hash);
	}
}

/* Whether a Prometheus or Grafana can be told to go there. */
static bool is_dialled_by_port(const struct mirror_view *view) {
	return view->state != MIRROR_REMOVED && view->port > 0;
}

static void put_member(struct json_writer *writer, const char *name, struct str value) {
	json_key(writer, str_of(name));
	json_put_str(writer, value);
}

static void put_address(struct json_writer *writer, const struct mirror_view *view) {
	AUTO(buf_deinit) struct buf address = { 0 };
	buf_printf(&address, "127.0.0.1:%u", view->port);
	json_put_str(writer, buf_str(&address));
}

static void put_group(
	struct json_writer *writer, const struct mirror_view *view, const char *cluster_label) {
	json_begin_object(writer);
	json_key(writer, STR("targets"));
	json_begin_array(writer);
	put_address(writer, view);
	json_end_array(writer);
	json_key(writer, STR("labels"));
	json_begin_object(writer);
	put_member(writer, cluster_label, view->cluster);
	put_member(writer, "export", view->export_name);
	put_member(writer, "__meta_atoll_cluster", view->cluster);
	put_member(writer, "__meta_atoll_export", view->export_name);
	put_member(writer, "__meta_atoll_kind", view->kind);
	put_member(writer, "__meta_atoll_identity", view->identity);
	put_member(writer, "__meta_atoll_state", str_of(mirror_state_name(view->state)));
	json_end_object(writer);
	json_end_object(writer);
}

void view_put_discovery(
	const struct mirror_view *views, size_t count, const char *cluster_label, struct buf *out) {
	struct json_writer writer;
	json_writer_init(&writer, out);
	json_begin_array(&writer);
	for (size_t i = 0; i < count; i++) {
		if (is_dialled_by_port(&views[i])) {
			put_group(&writer, &views[i], cluster_label);
		}
	}
	json_end_array(&writer);
	buf_add_byte(out, '\n');
}

static void put_name(const struct mirror_view *view, struct buf *out) {
	buf_printf(out, "  - name: \"%.*s/%.*s\"\n", STR_ARG(view->cluster),
		STR_ARG(view->export_name));
}

static void put_data_source(const struct mirror_view *view, struct buf *out) {
	put_name(view, out);
	buf_add_text(out, "    uid: \"");
	view_uid(view, out);
	buf_printf(out,
		"\"\n    type: prometheus\n    access: proxy\n    orgId: 1\n"
		"    url: \"http://127.0.0.1:%u\"\n    editable: false\n"
		"    jsonData:\n      httpMethod: POST\n      prometheusType: Prometheus\n",
		view->port);
}

void view_put_grafana(const struct mirror_view *views, size_t count, struct buf *out) {
	AUTO(buf_deinit) struct buf gone = { 0 };
	AUTO(buf_deinit) struct buf there = { 0 };
	for (size_t i = 0; i < count; i++) {
		if (views[i].state == MIRROR_REMOVED) {
			put_name(&views[i], &gone);
			buf_add_text(&gone, "    orgId: 1\n");
		} else if (is_dialled_by_port(&views[i])) {
			put_data_source(&views[i], &there);
		}
	}
	buf_printf(out, "apiVersion: 1\ndeleteDatasources:%s%s\ndatasources:%s%s\n",
		gone.len > 0 ? "\n" : " []", buf_text(&gone), there.len > 0 ? "\n" : " []",
		buf_text(&there));
}

static void put_mirror(struct json_writer *writer, const struct mirror_view *view) {
	AUTO(buf_deinit) struct buf uid = { 0 };
	view_uid(view, &uid);
	json_begin_object(writer);
	put_member(writer, "cluster", view->cluster);
	put_member(writer, "export", view->export_name);
	put_member(writer, "kind", view->kind);
	put_member(writer, "identity", view->identity);
	put_member(writer, "state", str_of(mirror_state_name(view->state)));
	put_member(writer, "reason", view->reason);
	if (view->port > 0) {
		json_key(writer, STR("address"));
		put_address(writer, view);
	}
	if (view->path.len > 0) {
		put_member(writer, "path", view->path);
	}
	put_member(writer, "uid", buf_str(&uid));
	if (view->state != MIRROR_REMOVED && view->catalogue_age_ms >= 0) {
		json_key(writer, STR("catalogue_age_ms"));
		json_put_int(writer, view->catalogue_age_ms);
	}
	json_end_object(writer);
}

void view_put_status(const struct mirror_view *views, size_t count, struct buf *out) {
	struct json_writer writer;
	json_writer_init(&writer, out);
	json_begin_object(&writer);
	put_member(&writer, "status", STR("success"));
	json_key(&writer, STR("data"));
	json_begin_object(&writer);
	json_key(&writer, STR("mirrors"));
	json_begin_array(&writer);
	for (size_t i = 0; i < count; i++) {
		put_mirror(&writer, &views[i]);
	}
	json_end_array(&writer);
	json_end_object(&writer);
	json_end_object(&writer);
}
