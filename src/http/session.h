/*
 * The client half of HTTP/2 on a stream of ours: many requests at once over one link.
 *
 * Takes over a connected stream (whichever side dialled). Owned by the stream's loop. Requests are
 * whole in memory; response bodies come in pieces with flow control. Every request ends with exactly
 * one on_end, unless canceled.
 */
#ifndef HTTP_SESSION_H
#define HTTP_SESSION_H

#include "base/err.h"
#include "http/message.h"
#include "io/stream.h"

#include <stdint.h>

struct http_session;
struct http_call;

struct http_session_options {
	size_t streams_max;       /* Requests at once; more are ERR_LIMIT. 0: 1000. */
	size_t header_bytes_max;  /* 0: 64 KiB. */
	int64_t ping_interval_ms; /* Keep-alive; 0: 10 s. No answer within ping_timeout_ms closes. */
	int64_t ping_timeout_ms;  /* 0: 5 s. */
	void *context;
	/* The session is gone, and the stream with it; all calls have ended before. */
	void (*on_close)(struct http_session *session, const struct err *reason);
	/* A keep-alive answer arrived after 'rtt_ns'. May be NULL. */
	void (*on_rtt)(struct http_session *session, int64_t rtt_ns);
};

struct http_session *http_session_new(struct stream *stream,
	const struct http_session_options *options);
void *http_session_context(const struct http_session *session);
/* Sends GOAWAY, lets calls under way finish, then closes. */
void http_session_close(struct http_session *session);
void http_session_abort(struct http_session *session);
size_t http_session_calls(const struct http_session *session);
uint64_t http_session_received_bytes(const struct http_session *session);

struct http_call_ops {
	void (*on_head)(struct http_call *call, int status, const struct http_headers *headers);
	/* Returning false stops the flow-control window from opening until http_call_resume. */
	bool (*on_data)(struct http_call *call, struct str bytes);
	/* NULL: the response is whole. */
	void (*on_end)(struct http_call *call, const struct err *failure);
};

/*
 * Sends a request (copied). Returns 0 and the call, ERR_LIMIT (too many at once) or ERR_CLOSED.
 * 'timeout_ms' bounds the time to on_end; 0: none.
 */
MUST_USE int http_session_request(struct http_session *session, const struct http_request *request,
	int64_t timeout_ms, const struct http_call_ops *ops, void *context,
	struct http_call **out, struct err *err);
void *http_call_context(const struct http_call *call);
void http_call_resume(struct http_call *call);
/* Ends the call (RST_STREAM CANCEL); no callback comes after. */
void http_call_cancel(struct http_call *call);
/* Bytes of DATA and HEADERS frames received for this call, frame headers included. */
uint64_t http_call_received_bytes(const struct http_call *call);

#endif
