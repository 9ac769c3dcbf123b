/*
 * Gateways that dial us. Whose link a connection is, its certificate says.
 */
#include "base/log.h"
#include "mesh/dialler.h"
#include "mesh/link_internal.h"

#include <string.h>

/* Two for each link there may be: one that takes the other's place. */
#define CONNECTIONS_MAX 20000

static struct link *find_identity(struct links *links, const char *identity) {
	for (struct link *link = links->first; link; link = link->next) {
		if (link->config.is_dialled_by_gateway &&
			strcmp(link->config.identity.ptr, identity) == 0) {
			return link;
		}
	}
	return NULL;
}

static void on_refuse(
	struct listener *listener, const char *peer_address, const struct err *reason) {
	struct links *links = listener_context(listener);
	refusals_tell(&links->refusals, loop_now_ns(links->loop), peer_address, reason);
	failures_note_refusal(
		&links->refused, clock_now_ms(loop_clock(links->loop)), peer_address, reason);
}

static void on_accept(struct listener *listener, struct stream *stream) {
	struct links *links = listener_context(listener);
	const char *identity = stream_peer(stream)->identity;
	struct link *link = find_identity(links, identity);
	if (link) {
		link_take_stream(link, stream);
		return;
	}
	struct err err = { 0 };
	(void)err_set(&err, ERR_DENIED,
		"no link file expects %s to dial: \"identity\" with \"dials: gateway\"", identity);
	on_refuse(listener, stream_peer_address(stream), &err);
	stream_abort(stream, NULL);
}

int links_listen(struct links *links, const char *host, uint16_t port, struct err *err) {
	static const struct listener_ops ops = { .on_accept = on_accept, .on_refuse = on_refuse };
	static const char *const protocols[] = { REVERSE_ALPN, NULL };
	links->tls = (struct tls_options){ .slot = links->slot, .alpn = protocols };
	const struct listener_options options = {
		.ops = &ops,
		.context = links,
		.tls = &links->tls,
		.connections_max = CONNECTIONS_MAX,
	};
	int rc = listener_open(links->loop, host, port, &options, &links->listener, err);
	for (struct link *link = links->first; link; link = link->next) {
		link_await(link);
	}
	return rc;
}

uint16_t links_port(const struct links *links) {
	return listener_port(links->listener);
}
