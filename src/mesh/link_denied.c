/*
 * Deny-lists over a link: whenever the gateway tells of others than are known here, each side is
 * given those of the other. Once is enough for every pair of states: what one side does not believe
 * it will not believe the next time either.
 */
#include "base/log.h"
#include "mesh/link_internal.h"

#define SYNC_TIMEOUT_MS 10000
/* Of an answer: all lists, each with a line before it. */
#define ANSWER_BYTES_MAX (2 * DENY_SET_BYTES_MAX)

static void on_head(struct http_call *call, int status, const struct http_headers *headers) {
	struct link *link = http_call_context(call);
	(void)headers;
	if (status != 200) {
		log_warn("deny-lists not handed on", KV("cluster", link->config.cluster.ptr),
			KV_INT("status", status));
	}
}

static bool on_data(struct http_call *call, struct str bytes) {
	struct link *link = http_call_context(call);
	if (link->denied.answer.len + bytes.len <= ANSWER_BYTES_MAX) {
		buf_add_str(&link->denied.answer, bytes);
	}
	return true;
}

static void on_end(struct http_call *call, const struct err *failure) {
	struct link *link = http_call_context(call);
	struct links *links = link->links;
	struct err err = { 0 };
	link->denied.call = NULL;
	if (failure || link->is_removed || links->is_closed) {
		return;
	}
	int rc = deny_set_merge(links->denied, buf_str(&link->denied.answer), &err);
	buf_reset(&link->denied.answer);
	if (rc < 0) {
		log_warn("deny-lists of a gateway not all taken",
			KV("cluster", link->config.cluster.ptr), KV_ERR(&err));
	}
	/* Not from within a session's own callback, which this may end. */
	links_denied_soon(links);
}

static const struct http_call_ops sync_ops = {
	.on_head = on_head,
	.on_data = on_data,
	.on_end = on_end,
};

void link_denied_sync(struct link *link) {
	struct link_denied *denied = &link->denied;
	if (!link->links->denied || !link->is_ready || !denied->is_told || denied->call) {
		return;
	}
	uint64_t own = deny_set_digest(link->links->denied);
	if (own == denied->told ||
		(own == denied->tried_own && denied->told == denied->tried_told)) {
		return;
	}
	AUTO(buf_deinit) struct buf lists = { 0 };
	struct err err = { 0 };
	deny_set_write(link->links->denied, &lists);
	buf_reset(&denied->answer);
	const struct http_request request = {
		.method = STR("POST"),
		.scheme = STR("https"),
		.authority = STR("atoll"),
		.target = STR("/atoll/v1/denied"),
		.body = buf_str(&lists),
	};
	denied->tried_own = own;
	denied->tried_told = denied->told;
	if (http_session_request(link->session, &request, SYNC_TIMEOUT_MS, &sync_ops, link,
		    &denied->call, &err) < 0) {
		denied->call = NULL;
		denied->tried_own = denied->tried_told = 0;
		log_warn("deny-lists not handed on", KV("cluster", link->config.cluster.ptr),
			KV_ERR(&err));
	}
}

static bool is_denied(const struct link *link, const struct link_peer *peer, struct err *why) {
	return deny_set_denies(
		link->links->denied, peer->identity, peer->serial, peer->issuer_digest, why);
}

void link_denied_cut(struct link *link) {
	struct err why = { 0 };
	if (!link->links->denied) {
		return;
	}
	if (link->old_session && is_denied(link, &link->old_peer, &why)) {
		http_session_abort(link->old_session);
	}
	if (link->session && is_denied(link, &link->peer, &why)) {
		link_end_session(link, &why);
	}
}
