#include "hub/transport.h"

#include "matrix/matrix.h"

static const char *state_reason(enum link_state state) {
	switch (state) {
	case LINK_CONNECTING:
		return "the link is being made";
	case LINK_DOWN:
		return "the link is down";
	case LINK_UP:
		return "";
	}
	return "";
}

static struct str why_down(const struct link_status *link, bool has_export, struct arena *arena) {
	if (link->state != LINK_UP) {
		struct str colon = link->last_error.len > 0 ? STR(": ") : STR_EMPTY;
		return arena_printf(arena, "%s%.*s%.*s", state_reason(link->state), STR_ARG(colon),
			STR_ARG(link->last_error));
	}
	return has_export ? STR_EMPTY : STR("it exports no Prometheus");
}

static void link_clusters(struct hub_transport *transport, struct arena *arena,
	struct hub_cluster **out, size_t *count) {
	struct link_transport *self = (struct link_transport *)transport;
	struct link_status *links = NULL;
	links_snapshot(self->links, arena, &links, count);
	*out = ARENA_NEW(arena, struct hub_cluster, *count + 1);
	for (size_t i = 0; i < *count; i++) {
		struct hub_cluster *cluster = &(*out)[i];
		cluster->name = links[i].cluster;
		bool has_export = false;
		for (size_t j = 0; j < links[i].export_count && !has_export; j++) {
			has_export = str_equal(links[i].exports[j].kind, STR("prometheus"));
			cluster->export_name = links[i].exports[j].name;
		}
		cluster->down = why_down(&links[i], has_export, arena);
	}
}

static struct hub_call *link_start(
	struct hub_transport *transport, const struct hub_request *request) {
	struct link_transport *self = (struct link_transport *)transport;
	struct buf target = { 0 };
	buf_add_str(&target, request->path);
	if (request->is_get && request->form.len > 0) {
		buf_add_byte(&target, '?');
		buf_add_str(&target, request->form);
	}
	const struct link_request wanted = {
		.cluster = request->cluster,
		.export_name = request->export_name,
		.method = request->is_get ? STR("GET") : STR("POST"),
		.target = buf_str(&target),
		.content_type =
			request->is_get ? STR_EMPTY : STR("application/x-www-form-urlencoded"),
		.body = request->is_get ? STR_EMPTY : request->form,
		.accept = STR(MATRIX_MEDIA_TYPE ", application/json"),
		.timeout_ms = request->timeout_ms,
		.body_bytes_max = request->body_bytes_max,
		.canceled = request->canceled,
	};
	struct link_call *call = link_call_start(self->links, &wanted);
	buf_deinit(&target);
	return (struct hub_call *)call;
}

static int link_wait(struct hub_transport *transport, struct hub_call *call, struct arena *arena,
	struct hub_response *response, struct err *err) {
	struct link_response answer = { 0 };
	(void)transport;
	int rc = link_call_wait((struct link_call *)call, arena, &answer, err);
	if (rc == 0) {
		*response = (struct hub_response){ .status = answer.status,
			.body = answer.body,
			.received_bytes = answer.received_bytes,
			.duration_ns = answer.duration_ns };
	}
	return rc;
}

static void link_links(struct hub_transport *transport, struct arena *arena,
	struct link_status **out, size_t *count) {
	links_snapshot(((struct link_transport *)transport)->links, arena, out, count);
}

void link_transport_init(struct link_transport *transport, struct links *links) {
	static const struct hub_transport_ops ops = {
		.clusters = link_clusters,
		.start = link_start,
		.wait = link_wait,
		.links = link_links,
	};
	*transport = (struct link_transport){ .transport = { .ops = &ops }, .links = links };
}
