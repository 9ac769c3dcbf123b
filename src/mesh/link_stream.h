/*
 * Requests over a link whose answers come in pieces: what stands between a local listener and the
 * gateway. Beside link_call (link.h), which is for threads that wait for an answer as a whole.
 *
 * Everything on the loop of the links.
 */
#ifndef MESH_LINK_STREAM_H
#define MESH_LINK_STREAM_H

#include "mesh/link.h"

/*
 * Of one link, at once: half of what a gateway allows by default (limits.concurrency); and with
 * those that wait for their turn.
 */
#define LINK_STREAMS_MAX 32
#define LINK_STREAMS_WAITING_MAX 256

struct link_stream;

/* Called on the loop, never from inside link_stream_start. */
struct link_stream_ops {
	/* Status and headers of the answer; they live as long as the stream. */
	void (*on_head)(void *context, int status, const struct http_headers *headers);
	/* Returning false holds the gateway back until link_stream_resume. */
	bool (*on_data)(void *context, struct str bytes);
	/* The stream is over and gone after. NULL: the answer is whole. */
	void (*on_end)(void *context, const struct err *failure);
};

struct link_stream_request {
	struct str cluster;
	struct str export_name;
	/* Method, target, headers and body count; borrowed until the stream is gone. */
	const struct http_request *http;
	int64_t timeout_ms; /* To the answer's end. */
};

/*
 * Sends a request to an export of a linked cluster, or keeps it until a link that is being made or
 * renewed is there and it is its turn. Returns 0, ERR_CLOSED (the link is down: says why),
 * ERR_LIMIT (too many wait already) or ERR_INVAL (no such cluster or export; a header that cannot
 * be sent).
 */
MUST_USE int link_stream_start(struct links *links, const struct link_stream_request *request,
	const struct link_stream_ops *ops, void *context, struct link_stream **out,
	struct err *err);
/* Takes more of what on_data refused to make room for. */
void link_stream_resume(struct link_stream *stream);
/* Ends the stream; no callback comes after. */
void link_stream_cancel(struct link_stream *stream);

#endif
