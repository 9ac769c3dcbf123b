/*
 * The client half of HTTP/2 on a stream of ours: many requests at once over one link.
 *
 * Takes over a connected stream (whichever side dialled). Owned by the stream's loop. Requests are
 * whole in memory; response bodies come in pieces with flow control. Every request ends with
 * exactly one on_end, unless canceled. Callbacks may do anything to any call and to the session;
 * the session itself goes away later, from the loop, by on_close.
 */
#ifndef HTTP_SESSION_H
#define HTTP_SESSION_H

#include "base/err.h"
#include "http/message.h"
#include "io/stream.h"

#include <stdint.h>

#define HTTP_WINDOW_BYTES_LEAST ((size_t)1024 * 1024)
#define HTTP_WINDOW_BYTES_MOST ((size_t)512 * 1024 * 1024)

struct http_session;
struct http_call;

struct http_session_options {
	size_t streams_max;       /* Requests at once; more are ERR_LIMIT. 0: 1000. */
	size_t header_bytes_max;  /* 0: 64 KiB. */
	size_t window_bytes_max;  /* What one answer may have under way; 0: 8 MiB. Windows begin at
				   * the  least and grow while the round trip asks for more. */
	int64_t ping_interval_ms; /* Keep-alive; 0: 10 s. The first goes out at once. */
	int64_t ping_timeout_ms;  /* No byte at all so long after a ping closes; 0: 5 s. */
	void *context;
	/* The session is gone, and the stream with it; all calls have ended before. NULL: orderly.
	 */
	void (*on_close)(struct http_session *session, const struct err *reason);
	/* A keep-alive answer arrived after 'rtt_ns'. May be NULL. */
	void (*on_rtt)(struct http_session *session, int64_t rtt_ns);
};

/* Starts the session; the stream's callbacks and end are its own from here. */
struct http_session *http_session_new(
	struct stream *stream, const struct http_session_options *options);
/* What the options gave. */
void *http_session_context(const struct http_session *session);
/* Sends GOAWAY, lets calls under way finish, then closes. New requests are ERR_CLOSED. */
void http_session_close(struct http_session *session);
/* Ends now: calls end with ERR_CLOSED before this returns, on_close follows. */
void http_session_abort(struct http_session *session);
/* Calls that have not ended. */
size_t http_session_calls(const struct http_session *session);
/* Bytes on the wire so far, TLS included, both ways. */
uint64_t http_session_received_bytes(const struct http_session *session);
uint64_t http_session_sent_bytes(const struct http_session *session);

struct http_call_ops {
	/* Status and headers of the final response; they live as long as the call. */
	void (*on_head)(struct http_call *call, int status, const struct http_headers *headers);
	/* Returning false stops the flow-control window from opening until http_call_resume. */
	bool (*on_data)(struct http_call *call, struct str bytes);
	/* The call is over and gone after. NULL: the response is whole. */
	void (*on_end)(struct http_call *call, const struct err *failure);
};

/*
 * Sends a request (copied). Returns 0 and the call, ERR_LIMIT (too many at once), ERR_INVAL (a
 * header that cannot be sent) or ERR_CLOSED. Method, scheme, authority and target are used, headers
 * that frame a message are left out. 'timeout_ms' bounds the time to on_end; 0: none.
 */
MUST_USE int http_session_request(struct http_session *session, const struct http_request *request,
	int64_t timeout_ms, const struct http_call_ops *ops, void *context, struct http_call **out,
	struct err *err);
/* What http_session_request was given. */
void *http_call_context(const struct http_call *call);
/* Opens the window again for what on_data refused to make room for. */
void http_call_resume(struct http_call *call);
/* Ends the call (RST_STREAM CANCEL); no callback comes after. */
void http_call_cancel(struct http_call *call);
/* Bytes of DATA and HEADERS frames received for this call, frame headers included. */
uint64_t http_call_received_bytes(const struct http_call *call);

#endif
