#include "cmd/link_probe.h"

#include "http/session.h"
#include "io/stream.h"

#include <stdio.h>
#include <string.h>

#define DIAL_TIMEOUT_MS 10000
#define CATALOGUE_TIMEOUT_MS 10000
#define EXPORT_TIMEOUT_MS 5000
/* Exports that are asked; the others only stand in the catalogue. */
#define EXPORTS_ASKED_MAX 8

/* A probe under way. */
struct probing {
	struct loop *loop;
	struct arena *arena;
	struct link_probe *probe;
	struct http_session *session;
	struct buf body;
	int status;
	int64_t asked_ns;
	size_t next_export;
	size_t asked_exports;
	bool is_done;
};

static void fail(struct probing *probing, enum failure_stage stage, const struct err *err) {
	if (probing->probe->err.code == 0 && !probing->is_done) {
		probing->probe->err = *err;
		probing->probe->stage = stage;
	}
}

static void finish(struct probing *probing) {
	probing->is_done = true;
	http_session_abort(probing->session);
}

static void ask_next_export(struct probing *probing);

static void on_export_head(struct http_call *call, int status, const struct http_headers *headers) {
	struct probing *probing = http_call_context(call);
	struct probed_export *export = &probing->probe->exports[probing->next_export];
	(void)headers;
	if (status == 403) {
		(void)err_set(&export->err, ERR_DENIED,
			"the gateway refuses the request though its catalogue has the export");
	} else if (status >= 400) {
		(void)err_set(&export->err, ERR_IO, "its service behind the gateway answers %d%s",
			status, status == 502 || status == 504 ? ": it cannot be reached" : "");
	}
}

static bool on_export_data(struct http_call *call, struct str bytes) {
	(void)call, (void)bytes;
	return true;
}

static void on_export_end(struct http_call *call, const struct err *failure) {
	struct probing *probing = http_call_context(call);
	struct probed_export *export = &probing->probe->exports[probing->next_export];
	if (failure && export->err.code == 0) {
		export->err = *failure;
	}
	probing->next_export++;
	ask_next_export(probing);
}

static const struct http_call_ops export_ops = {
	.on_head = on_export_head,
	.on_data = on_export_data,
	.on_end = on_export_end,
};

static void ask_next_export(struct probing *probing) {
	struct link_probe *probe = probing->probe;
	struct http_call *call = NULL;
	while (probing->next_export < probe->catalogue.count &&
		!str_equal(
			probe->catalogue.entries[probing->next_export].kind, STR("prometheus"))) {
		probing->next_export++;
	}
	if (probing->is_done || probing->next_export == probe->catalogue.count ||
		probing->asked_exports++ == EXPORTS_ASKED_MAX) {
		finish(probing);
		return;
	}
	struct probed_export *export = &probe->exports[probing->next_export];
	const struct http_request request = {
		.method = STR("GET"),
		.scheme = STR("https"),
		.authority = probe->catalogue.entries[probing->next_export].name,
		.target = STR("/-/ready"),
	};
	export->was_asked = true;
	if (http_session_request(probing->session, &request, EXPORT_TIMEOUT_MS, &export_ops,
		    probing, &call, &export->err) < 0) {
		finish(probing);
	}
}

static void take_catalogue(struct probing *probing) {
	struct link_probe *probe = probing->probe;
	struct err err = { 0 };
	int64_t now_ms = clock_now_ms(loop_clock(probing->loop));
	int rc = 0;
	if (probing->status != 200) {
		rc = err_set(&err, ERR_DENIED,
			"the gateway answered %d when asked for its catalogue%s", probing->status,
			probing->status == 508 ? ": is this its own identity?" : "");
	} else {
		rc = catalogue_parse(
			probing->arena, buf_str(&probing->body), &probe->catalogue, &err);
	}
	if (rc < 0) {
		fail(probing, STAGE_CATALOGUE, &err);
		finish(probing);
		return;
	}
	probe->has_skew = probe->catalogue.time_ms > 0;
	probe->skew_ms = probe->catalogue.time_ms + probe->rtt_ns / 2 / NS_PER_MS - now_ms;
	probe->exports =
		ARENA_NEW(probing->arena, struct probed_export, probe->catalogue.count + 1);
	ask_next_export(probing);
}

static void on_catalogue_head(
	struct http_call *call, int status, const struct http_headers *headers) {
	struct probing *probing = http_call_context(call);
	(void)headers;
	probing->status = status;
	probing->probe->rtt_ns = clock_mono_ns(loop_clock(probing->loop)) - probing->asked_ns;
}

static bool on_catalogue_data(struct http_call *call, struct str bytes) {
	struct probing *probing = http_call_context(call);
	if (probing->body.len + bytes.len <= CATALOGUE_LINE_MAX) {
		buf_add_str(&probing->body, bytes);
	}
	return true;
}

static void on_catalogue_end(struct http_call *call, const struct err *failure) {
	struct probing *probing = http_call_context(call);
	if (!failure) {
		take_catalogue(probing);
	} else if (failure->code != ERR_CLOSED) {
		/* A session that goes away says better why. */
		fail(probing, STAGE_CATALOGUE, failure);
		finish(probing);
	}
}

static const struct http_call_ops catalogue_ops = {
	.on_head = on_catalogue_head,
	.on_data = on_catalogue_data,
	.on_end = on_catalogue_end,
};

static void on_session_close(struct http_session *session, const struct err *reason) {
	struct probing *probing = http_session_context(session);
	struct err closed = { 0 };
	(void)err_set(&closed, ERR_CLOSED, "the gateway closed the connection");
	fail(probing, STAGE_CATALOGUE, reason ? reason : &closed);
	loop_stop(probing->loop);
}

static void on_open(struct stream *stream) {
	struct probing *probing = stream_context(stream);
	struct http_call *call = NULL;
	struct err err = { 0 };
	probing->probe->peer = *stream_peer(stream);
	(void)snprintf(probing->probe->address, sizeof(probing->probe->address), "%s",
		stream_peer_address(stream));
	probing->session = http_session_new(stream, &(struct http_session_options){
							    .context = probing,
							    .on_close = on_session_close,
						    });
	const struct http_request request = {
		.method = STR("GET"),
		.scheme = STR("https"),
		.authority = STR("atoll"),
		.target = STR("/atoll/v1/catalogue"),
	};
	probing->asked_ns = clock_mono_ns(loop_clock(probing->loop));
	if (http_session_request(probing->session, &request, CATALOGUE_TIMEOUT_MS, &catalogue_ops,
		    probing, &call, &err) < 0) {
		fail(probing, STAGE_CATALOGUE, &err);
		finish(probing);
	}
}

static void on_data(struct stream *stream, struct str bytes) {
	(void)stream, (void)bytes;
}

static void on_close(struct stream *stream, const struct err *reason) {
	struct probing *probing = stream_context(stream);
	struct err closed = { 0 };
	(void)err_set(&closed, ERR_CLOSED, "the connection was closed");
	reason = reason ? reason : &closed;
	fail(probing, failure_stage_of(reason), reason);
	loop_stop(probing->loop);
}

void link_probe_run(struct loop *loop, struct tls_slot *tls, const struct link_config *config,
	const struct link_address *address, struct arena *arena, struct link_probe *out) {
	static const struct stream_ops ops = {
		.on_open = on_open,
		.on_data = on_data,
		.on_close = on_close,
	};
	static const char *const protocols[] = { "h2", NULL };
	struct probing probing = { .loop = loop, .arena = arena, .probe = out };
	const struct tls_options options = {
		.slot = tls,
		.alpn = protocols,
		.server_name = config->identity.ptr,
		.expect_identity = config->identity.ptr,
	};
	*out = (struct link_probe){ 0 };
	(void)stream_connect(loop, address->host.ptr, address->port,
		&(struct stream_options){
			.ops = &ops,
			.context = &probing,
			.tls = &options,
			.open_timeout_ms = DIAL_TIMEOUT_MS,
		});
	loop_run(loop);
	buf_deinit(&probing.body);
}
