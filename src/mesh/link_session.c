/*
 * One link's connection. It is up once the gateway has sent its catalogue: in TLS 1.3 a client is
 * through with the handshake before the server has judged its certificate, so only an answer shows
 * that both sides accept each other.
 *
 * A session does not outlive the certificates it was opened with: some time before the first of
 * them expires another takes its place, with those that are current then, while the old one's calls
 * end.
 */
#include "base/check.h"
#include "base/log.h"
#include "mesh/catalogue.h"
#include "mesh/link_internal.h"
#include "mesh/renewal.h"

#include <stdio.h>
#include <stdlib.h>

#define DIAL_TIMEOUT_MS 10000
/* Before the next address of several is tried. */
#define NEXT_ADDRESS_MS 50
static struct loop *loop_of(const struct link *link) {
	return link->links->loop;
}

const char *link_address_text(const struct link *link) {
	return link->config.address_count > 0 ? link->config.addresses[link->address_index].text.ptr
					      : link->peer_address;
}

static void set_gauge(struct metric *metric, double value) {
	if (metric) {
		metric_set(metric, value);
	}
}

/* 'why' is empty for a link that is up. */
static void set_state(struct link *link, enum link_state state, const char *why) {
	struct links *links = link->links;
	lock_take(&links->lock);
	if (link->state != state || link->since_ms == 0) {
		link->since_ms = clock_now_ms(loop_clock(links->loop));
	}
	link->state = state;
	(void)snprintf(link->last_error, sizeof(link->last_error), "%s", why);
	lock_drop(&links->lock);
	set_gauge(link->up_metric, state == LINK_UP);
}

static void count_bytes(
	struct link *link, const struct http_session *session, struct link_bytes *counted) {
	if (!session) {
		return;
	}
	uint64_t received = http_session_received_bytes(session) - counted->received;
	uint64_t sent = http_session_sent_bytes(session) - counted->sent;
	if (received == 0 && sent == 0) {
		return;
	}
	counted->received += received;
	counted->sent += sent;
	lock_take(&link->links->lock);
	link->received_bytes += received;
	link->sent_bytes += sent;
	lock_drop(&link->links->lock);
	if (link->received_metric) {
		metric_add(link->received_metric, (double)received);
		metric_add(link->sent_metric, (double)sent);
	}
}

void link_count_bytes(struct link *link) {
	count_bytes(link, link->session, &link->counted);
	count_bytes(link, link->old_session, &link->old_counted);
}

void link_free(struct link *link) {
	CHECK(!link->stream && !link->session);
	CHECK(!link->old_session && link->aborted_sessions == 0);
	CHECK(!link->waiting && !link->active && !link->streams);
	loop_timer_clear(loop_of(link), &link->timer);
	loop_timer_clear(loop_of(link), &link->renewal);
	buf_deinit(&link->line);
	buf_deinit(&link->denied.answer);
	failures_deinit(&link->failures);
	arena_deinit(&link->exports_arena);
	arena_deinit(&link->arena);
	free(link->file);
	links_unref(link->links);
	free(link);
}

static void free_if_gone(struct link *link) {
	if (!link->stream && !link->session && !link->old_session && link->aborted_sessions == 0) {
		link_free(link);
	}
}

static void dial_later(struct link *link, const struct err *reason) {
	link->tried++;
	bool has_others = link->tried < link->config.address_count;
	int64_t wait_ms = NEXT_ADDRESS_MS;
	if (!has_others) {
		link->tried = 0;
		wait_ms = backoff_next(&link->backoff, &link->links->rand,
			loop_now_ns(loop_of(link)), reason->code == ERR_DENIED);
	}
	link->next_index = (link->address_index + 1) % link->config.address_count;
	loop_timer_after_ms(loop_of(link), &link->timer, wait_ms);
}

/* The connection is gone, or never came to be. */
static void go_down(struct link *link, enum failure_stage stage, const struct err *reason) {
	if (link->is_removed) {
		free_if_gone(link);
		return;
	}
	failures_note(&link->failures, clock_now_ms(loop_clock(loop_of(link))),
		link_address_text(link), stage, reason);
	bool was_up = link->state == LINK_UP;
	bool is_news = was_up || strcmp(link->last_error, reason->text) != 0;
	if (is_news) {
		log_warn("link down", KV("cluster", link->config.cluster.ptr),
			KV("address", link_address_text(link)), KV_ERR(reason));
	}
	set_state(link, LINK_DOWN, reason->text);
	link_calls_fail(link, reason);
	link_streams_fail(link, reason);
	if (!link->config.is_dialled_by_gateway) {
		dial_later(link, reason);
	}
	if (is_news) {
		links_changed(link->links);
	}
}

/* A session that another has taken the place of is gone. */
static void forget_session(struct link *link, const struct http_session *session) {
	if (session == link->old_session) {
		link->old_session = NULL;
	} else {
		link->aborted_sessions--;
	}
	if (link->is_removed) {
		free_if_gone(link);
	}
}

static void on_session_close(struct http_session *session, const struct err *reason) {
	struct link *link = http_session_context(session);
	struct err err = { 0 };
	link_count_bytes(link);
	if (session != link->session) {
		forget_session(link, session);
		return;
	}
	enum failure_stage stage = link->is_ready ? STAGE_SESSION : STAGE_CATALOGUE;
	link->session = NULL;
	link->is_ready = false;
	link->catalogue_call = NULL;
	loop_timer_clear(loop_of(link), &link->timer);
	loop_timer_clear(loop_of(link), &link->renewal);
	if (link->failure.code != 0) {
		err = link->failure;
	} else if (reason) {
		err = *reason;
	} else {
		(void)err_set(&err, ERR_CLOSED, "the gateway closed the connection");
	}
	go_down(link, stage, &err);
}

static void on_rtt(struct http_session *session, int64_t rtt_ns) {
	struct link *link = http_session_context(session);
	lock_take(&link->links->lock);
	link->rtt_ns = rtt_ns;
	lock_drop(&link->links->lock);
	set_gauge(link->rtt_metric, (double)rtt_ns / (double)NS_PER_S);
}

void link_end_session(struct link *link, const struct err *reason) {
	if (link->failure.code == 0) {
		link->failure = *reason;
	}
	http_session_abort(link->session);
}

static void take_exports(struct link *link, const struct catalogue *catalogue) {
	struct arena arena = { 0 };
	struct link_export *exports = ARENA_NEW(&arena, struct link_export, catalogue->count);
	for (size_t i = 0; i < catalogue->count; i++) {
		exports[i] = (struct link_export){
			.name = arena_copy(&arena, catalogue->entries[i].name),
			.kind = arena_copy(&arena, catalogue->entries[i].kind),
			.version = catalogue->entries[i].version,
		};
	}
	lock_take(&link->links->lock);
	struct arena old = link->exports_arena;
	link->exports_arena = arena;
	link->exports = exports;
	link->export_count = catalogue->count;
	link->denied.is_told = catalogue->has_denied;
	link->denied.told = catalogue->denied;
	link->has_trust = catalogue->trust != NULL;
	if (catalogue->trust) {
		link->trust = *catalogue->trust;
	}
	lock_drop(&link->links->lock);
	arena_deinit(&old);
}

static void come_up(struct link *link) {
	backoff_reset(&link->backoff);
	link->tried = 0;
	link->is_ready = true;
	if (link->state != LINK_UP) {
		log_info("link up", KV("cluster", link->config.cluster.ptr),
			KV("address", link_address_text(link)), KV("identity", link->identity));
	}
	set_state(link, LINK_UP, "");
	link_calls_send_waiting(link);
	link_streams_send_waiting(link);
}

/* Reading costs us more than writing costs the gateway. */
static int count_line(struct link *link, struct err *err) {
	int64_t now_ns = loop_now_ns(loop_of(link));
	if (now_ns - link->lines_since_ns > CATALOGUE_SILENCE_MS * NS_PER_MS) {
		link->lines_since_ns = now_ns;
		link->line_count = 0;
	}
	if (++link->line_count > CATALOGUE_LINES_MAX) {
		return err_set(err, ERR_LIMIT, "catalogue: more than %d lines in %d s",
			CATALOGUE_LINES_MAX, CATALOGUE_SILENCE_MS / 1000);
	}
	return 0;
}

/* A line has taken half of a round trip to come here. */
static void take_time(struct link *link, int64_t time_ms) {
	if (time_ms <= 0) {
		return;
	}
	int64_t skew_ms =
		time_ms + link->rtt_ns / 2 / NS_PER_MS - clock_now_ms(loop_clock(loop_of(link)));
	lock_take(&link->links->lock);
	link->skew_ms = skew_ms;
	link->has_skew = true;
	lock_drop(&link->links->lock);
	set_gauge(link->skew_metric, (double)skew_ms / (double)MS_PER_S);
}

static void take_document(struct link *link, struct str line) {
	AUTO(arena_deinit) struct arena arena = { 0 };
	struct catalogue catalogue;
	struct err err = { 0 };
	if (count_line(link, &err) < 0 || catalogue_parse(&arena, line, &catalogue, &err) < 0) {
		link_end_session(link, &err);
		return;
	}
	loop_timer_after_ms(loop_of(link), &link->timer, CATALOGUE_SILENCE_MS);
	lock_take(&link->links->lock);
	link->confirmed_ns = loop_now_ns(loop_of(link));
	lock_drop(&link->links->lock);
	take_time(link, catalogue.time_ms);
	if (catalogue.is_heartbeat) {
		return;
	}
	take_exports(link, &catalogue);
	log_debug("catalogue received", KV("cluster", link->config.cluster.ptr),
		KV_INT("exports", catalogue.count));
	if (!link->is_ready) {
		come_up(link);
	}
	link_denied_sync(link);
	links_changed(link->links);
}

static void on_catalogue_head(
	struct http_call *call, int status, const struct http_headers *headers) {
	struct link *link = http_call_context(call);
	(void)headers;
	if (status != 200) {
		struct err err = { 0 };
		(void)err_set(&err, ERR_DENIED,
			"the gateway answered %d when asked for its catalogue%s", status,
			status == 508 ? ": is this its own identity?" : "");
		link_end_session(link, &err);
	}
}

static bool on_catalogue_data(struct http_call *call, struct str bytes) {
	struct link *link = http_call_context(call);
	while (bytes.len > 0 && link->catalogue_call == call) {
		size_t newline = str_find(bytes, '\n');
		if (newline == SIZE_MAX) {
			buf_add_str(&link->line, bytes);
			break;
		}
		buf_add_str(&link->line, str_first(bytes, newline));
		bytes = str_from(bytes, newline + 1);
		take_document(link, buf_str(&link->line));
		buf_reset(&link->line);
	}
	if (link->line.len > CATALOGUE_LINE_MAX) {
		struct err err = { 0 };
		(void)err_set(&err, ERR_LIMIT, "catalogue: a line longer than %zu bytes",
			CATALOGUE_LINE_MAX);
		buf_reset(&link->line);
		link_end_session(link, &err);
	}
	return true;
}

static void on_catalogue_end(struct http_call *call, const struct err *failure) {
	struct link *link = http_call_context(call);
	struct err err = { 0 };
	link->catalogue_call = NULL;
	if (failure) {
		err = *failure;
	} else {
		(void)err_set(&err, ERR_CLOSED, "the gateway ended its catalogue");
	}
	/* A session that goes away by itself says better why. */
	if (link->failure.code == 0 && err.code != ERR_CLOSED) {
		link->failure = err;
	}
	http_session_abort(link->session);
}

static const struct http_call_ops catalogue_ops = {
	.on_head = on_catalogue_head,
	.on_data = on_catalogue_data,
	.on_end = on_catalogue_end,
};

/* A gateway that dials sees to it; it must be done when its certificate ends. */
static void plan_renewal(struct link *link, const struct tls_peer *peer) {
	int64_t now_ms = clock_now_ms(loop_clock(loop_of(link)));
	int64_t wait_ms = link->config.is_dialled_by_gateway
				  ? peer->chain_not_after_ms - now_ms
				  : renewal_after_ms(link->own_not_after_ms, peer->not_after_ms,
					    now_ms, &link->links->rand);
	loop_timer_after_ms(loop_of(link), &link->renewal, wait_ms);
}

static void note_peer(struct link *link, const struct tls_peer *peer) {
	struct link_peer *noted = &link->peer;
	(void)snprintf(noted->identity, sizeof(noted->identity), "%s", peer->identity);
	(void)snprintf(noted->serial, sizeof(noted->serial), "%s", peer->serial);
	(void)snprintf(
		noted->issuer_digest, sizeof(noted->issuer_digest), "%s", peer->issuer_digest);
}

/* A connection with the gateway stands: whether it is good for anything, its catalogue shows. */
static void open_session(struct link *link, struct stream *stream) {
	const struct tls_peer *peer = stream_peer(stream);
	plan_renewal(link, peer);
	note_peer(link, peer);
	lock_take(&link->links->lock);
	(void)snprintf(link->identity, sizeof(link->identity), "%s", peer->identity);
	link->cert_not_after_ms = peer->not_after_ms;
	lock_drop(&link->links->lock);
	set_gauge(link->expiry_metric, (double)(peer->not_after_ms / MS_PER_S));
	link->counted = (struct link_bytes){ 0 };
	link->failure = (struct err){ 0 };
	buf_reset(&link->line);
	link->session =
		http_session_new(stream, &(struct http_session_options){
						 .context = link,
						 .on_close = on_session_close,
						 .on_rtt = on_rtt,
						 .window_bytes_max = link->links->window_bytes_max,
					 });
	loop_timer_after_ms(loop_of(link), &link->timer, DIAL_TIMEOUT_MS);
	const struct http_request request = {
		.method = STR("GET"),
		.scheme = STR("https"),
		.authority = STR("atoll"),
		.target = STR("/atoll/v1/catalogue?watch=1"),
	};
	struct err err = { 0 };
	if (http_session_request(link->session, &request, 0, &catalogue_ops, link,
		    &link->catalogue_call, &err) < 0) {
		link_end_session(link, &err);
	}
}

static void on_open(struct stream *stream) {
	struct link *link = stream_context(stream);
	link->stream = NULL;
	open_session(link, stream);
}

static void on_stream_data(struct stream *stream, struct str bytes) {
	(void)stream, (void)bytes;
}

static void on_stream_close(struct stream *stream, const struct err *reason) {
	struct link *link = stream_context(stream);
	struct err err = { 0 };
	link->stream = NULL;
	if (reason) {
		err = *reason;
	} else {
		(void)err_set(&err, ERR_CLOSED, "the connection was closed");
	}
	go_down(link, failure_stage_of(&err), &err);
}

static const struct stream_ops dial_ops = {
	.on_open = on_open,
	.on_data = on_stream_data,
	.on_close = on_stream_close,
};

static void dial(struct link *link) {
	const struct link_address *address = &link->config.addresses[link->next_index];
	lock_take(&link->links->lock);
	link->address_index = link->next_index;
	lock_drop(&link->links->lock);
	struct tls_identity *own = tls_slot_get(link->links->slot);
	link->own_not_after_ms = tls_identity_not_after_ms(own);
	tls_identity_unref(own);
	link->stream = stream_connect(loop_of(link), address->host.ptr, address->port,
		&(struct stream_options){
			.ops = &dial_ops,
			.context = link,
			.tls = &link->tls,
			.open_timeout_ms = DIAL_TIMEOUT_MS,
		});
}

static void on_timer(struct timer *timer) {
	struct link *link = CONTAINER_OF(timer, struct link, timer);
	if (!link->session) {
		dial(link);
		return;
	}
	struct err err = { 0 };
	(void)err_set(&err, ERR_TIMEOUT, "no word from the gateway for %d s",
		(link->is_ready ? CATALOGUE_SILENCE_MS : DIAL_TIMEOUT_MS) / 1000);
	link_end_session(link, &err);
}

/* Calls that are under way over the session end over it; others wait for the next one. */
static void retire_session(struct link *link) {
	link_count_bytes(link);
	if (link->old_session) {
		http_session_abort(link->old_session);
		link->aborted_sessions++;
	}
	link->old_session = link->session;
	link->old_counted = link->counted;
	link->old_peer = link->peer;
	link->session = NULL;
	link->is_ready = false;
	loop_timer_clear(loop_of(link), &link->timer);
	if (link->catalogue_call) {
		struct http_call *call = link->catalogue_call;
		link->catalogue_call = NULL;
		http_call_cancel(call);
	}
	http_session_close(link->old_session);
}

/* The link stays up; calls begun meanwhile wait for the new session, a moment if all is well. */
static void on_renewal(struct timer *timer) {
	struct link *link = CONTAINER_OF(timer, struct link, renewal);
	if (link->config.is_dialled_by_gateway) {
		struct err err = { 0 };
		(void)err_set(
			&err, ERR_DENIED, "the gateway's certificate has expired since it dialled");
		link_end_session(link, &err);
		return;
	}
	if (!link->is_ready || link->old_session) {
		return; /* The certificate's end is the session's then. */
	}
	log_debug("link renewed", KV("cluster", link->config.cluster.ptr));
	retire_session(link);
	link->next_index = link->address_index;
	dial(link);
}

void link_take_stream(struct link *link, struct stream *stream) {
	log_debug("gateway dialled", KV("cluster", link->config.cluster.ptr),
		KV("address", stream_peer_address(stream)));
	if (link->session) {
		retire_session(link);
	}
	lock_take(&link->links->lock);
	(void)snprintf(
		link->peer_address, sizeof(link->peer_address), "%s", stream_peer_address(stream));
	lock_drop(&link->links->lock);
	open_session(link, stream);
}

void link_await(struct link *link) {
	if (link->config.is_dialled_by_gateway && !link->session) {
		set_state(link, LINK_DOWN,
			link->links->listener ? "its gateway has not dialled yet"
					      : "its gateway is to dial, and nothing listens for "
						"it here (--links.listen-address)");
	}
}

void link_start(struct link *link) {
	static const char *const protocols[] = { "h2", NULL };
	link->tls = (struct tls_options){
		.slot = link->links->slot,
		.alpn = protocols,
		.server_name = link->config.identity.ptr,
		.expect_identity = link->config.identity.ptr,
	};
	link->timer.run = on_timer;
	link->renewal.run = on_renewal;
	if (link->config.is_dialled_by_gateway) {
		link_await(link);
		return;
	}
	set_state(link, LINK_CONNECTING, "");
	dial(link);
}

void link_retry(struct link *link) {
	if (!link->session && !link->stream && !link->config.is_dialled_by_gateway) {
		backoff_reset(&link->backoff);
		loop_timer_clear(loop_of(link), &link->timer);
		dial(link);
	}
}

void link_remove(struct link *link, const char *why) {
	struct err err = { 0 };
	(void)err_set(&err, ERR_CLOSED, "the link was removed: %s", why);
	link->is_removed = true;
	loop_timer_clear(loop_of(link), &link->timer);
	loop_timer_clear(loop_of(link), &link->renewal);
	link_calls_fail(link, &err);
	link_streams_fail(link, &err);
	bool is_gone = !link->session && !link->stream && !link->old_session &&
		       link->aborted_sessions == 0;
	if (link->old_session) {
		http_session_abort(link->old_session);
	}
	if (link->session) {
		http_session_abort(link->session);
	} else if (link->stream) {
		stream_abort(link->stream, NULL);
	}
	/* Otherwise the last of them frees it, from the loop. */
	if (is_gone) {
		link_free(link);
	}
}
