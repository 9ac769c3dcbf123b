/*
 * What both ends of HTTP/2 share: an nghttp2 session on a stream of ours, with limits, windows fit
 * for long links, flood counters and one way to read and write.
 *
 * nghttp2 only ever sees bytes. Its callbacks run inside h2_receive and h2_flush, where neither may
 * be called again: 'busy' says so, and whoever submits frames then leaves the flush to the outer
 * call. Owned by the stream's loop.
 */
#ifndef HTTP_H2_H
#define HTTP_H2_H

#include "base/buf.h"
#include "base/err.h"
#include "http/flood.h"
#include "http/message.h"
#include "io/stream.h"

#include <nghttp2/nghttp2.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Links are long and fat: 200 ms at 40 Mbit/s is 1 MiB under way. */
#define H2_STREAM_WINDOW (1024 * 1024)
#define H2_CONNECTION_WINDOW (4 * 1024 * 1024)
/* DATA below this many bytes that does not end its stream counts as empty. */
#define H2_SMALL_DATA 16
/* A header list of the size limit costs each header this much besides its bytes (RFC 9113 6.5.2).
 */
#define H2_HEADER_OVERHEAD 32

/* nghttp2's buffer for a frame to send, and how much of it may stay touched. */
#define H2_FRAME_BYTES 16384
#define H2_FRAME_KEPT 4000

/* Stays where it is while its session lives. */
struct h2 {
	nghttp2_session *session;
	struct stream *stream; /* NULL once gone. */
	struct flood flood_guard;
	bool is_server;
	bool busy;
	bool flooded;
	enum flood_kind flood;
	/* Pages of its own, of which only those take memory that were written to. NULL: none. */
	void *frame;
	size_t frame_bytes;
	bool is_frame_full;
};

struct h2_options {
	bool is_server;
	size_t streams_max;
	size_t header_bytes_max;
	nghttp2_session_callbacks *callbacks; /* Borrowed for the call. */
	void *context;                        /* nghttp2's user data. */
};

/* Starts a session: preface and settings are queued, not yet flushed. */
void h2_init(struct h2 *h2, struct stream *stream, const struct h2_options *options);
void h2_deinit(struct h2 *h2);

/*
 * Feeds bytes from the peer. Returns 0, or ERR_CORRUPT (a protocol error) or ERR_LIMIT (a flood)
 * with the reason; the GOAWAY that tells the peer is queued then, and the stream is to be closed.
 */
MUST_USE int h2_receive(struct h2 *h2, struct str bytes, struct err *err);
/* Nothing goes on for the time being: gives memory back. */
void h2_rest(struct h2 *h2);
/* Moves queued frames to the stream, as many as it takes well. No-op while busy. */
void h2_flush(struct h2 *h2);
/* Whether the session has come to its end: nothing to read or write any more. */
bool h2_is_done(const struct h2 *h2);

/* For on_frame_recv: counts a frame. Returns false when the peer floods us. */
bool h2_count_received(struct h2 *h2, const nghttp2_frame *frame);
/* For on_frame_send: credits window updates, counts resets. Returns false on a flood. */
bool h2_count_sent(struct h2 *h2, const nghttp2_frame *frame);

/* A header field that nghttp2 copies. */
nghttp2_nv h2_field(struct str name, struct str value);

#endif
