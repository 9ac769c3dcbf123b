/*
 * The client half of HTTP/1.1: requests to services nearby, over connections that are kept.
 *
 * A 'upstream' is one service; it has at most so many connections, and requests beyond them wait
 * their turn. A connection serves one request at a time and is kept for the next if the answer left
 * it in order. What cannot be relied on any more (bytes that nobody asked for, an answer before the
 * request's end, a malformed one) ends the connection.
 *
 * Every call ends with exactly one on_end, unless it is canceled. Callbacks may do anything to any
 * call. Owned by one loop.
 */
#ifndef HTTP_UPSTREAM_H
#define HTTP_UPSTREAM_H

#include "base/arena.h"
#include "base/err.h"
#include "http/message.h"
#include "io/loop.h"
#include "io/stream.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct upstream;
struct upstream_call;

struct upstream_options {
	const char *host; /* A name, an address, or the path of a Unix socket. Copied. */
	uint16_t port;
	size_t connections_max;  /* 0: 256. */
	size_t waiting_max;      /* Calls that wait for one of them; more are ERR_LIMIT. 0: 1000. */
	size_t header_bytes_max; /* Of an answer. 0: 64 KiB. */
	int64_t connect_timeout_ms; /* 0: 10 s. */
	int64_t idle_timeout_ms;    /* Of a kept connection. 0: 30 s. */
};

/* Connects to nobody yet. */
struct upstream *upstream_new(struct loop *loop, const struct upstream_options *options);
/* All calls have ended or been canceled; not from a callback. Connections end in the loop's next
 * rounds. */
void upstream_free(struct upstream *upstream);

/* How the body of a request comes. */
enum upstream_body {
	UPSTREAM_BODY_WHOLE,   /* In 'request.body'; may be empty. */
	UPSTREAM_BODY_LENGTH,  /* By upstream_write, 'body_length' bytes. */
	UPSTREAM_BODY_CHUNKED, /* By upstream_write, of unknown length. */
};

struct upstream_request {
	struct str method;
	struct str target;
	struct str host;                   /* The Host header. */
	const struct http_header *headers; /* None that frame the message. */
	size_t header_count;
	enum upstream_body body_kind;
	struct str body; /* Must live as long as the call. */
	uint64_t body_length;
	bool is_repeatable;  /* May be sent again if a kept connection turns out to be dead. */
	int64_t timeout_ms;  /* To on_end; 0: none. */
	struct arena *arena; /* The answer's headers go there; outlives the call. */
};

struct upstream_ops {
	/* Status and headers of the final answer; they live in the request's arena. */
	void (*on_head)(struct upstream_call *call, int status, const struct http_headers *headers);
	/*
	 * Some of the body, taken whatever is returned. False: no more is read from the service
	 * until upstream_resume, but for what has been received already.
	 */
	bool (*on_data)(struct upstream_call *call, struct str bytes);
	/* What upstream_write queued fell to STREAM_LOW_WATER, or the connection is there. NULL
	 * with UPSTREAM_BODY_WHOLE. */
	void (*on_drain)(struct upstream_call *call);
	/*
	 * The call is over and gone after. 'failure' NULL: the answer is whole; else ERR_TIMEOUT,
	 * ERR_IO (not reached), ERR_CLOSED (broken off), ERR_CORRUPT or ERR_LIMIT.
	 */
	void (*on_end)(struct upstream_call *call, const struct err *failure);
};

/* Begins. The request's strings but for the body are copied; no callback comes before the loop's
 * next round. */
struct upstream_call *upstream_start(struct upstream *upstream,
	const struct upstream_request *request, const struct upstream_ops *ops, void *context);
/* What upstream_start was given. */
void *upstream_context(const struct upstream_call *call);
/* Reads on after on_data returned false. */
void upstream_resume(struct upstream_call *call);
/* Ends it without callbacks; the connection goes with it if the request was sent. */
void upstream_cancel(struct upstream_call *call);

/* Queues some of the body (not with UPSTREAM_BODY_WHOLE). Returns the bytes that are queued: above
 * STREAM_LOW_WATER, wait for on_drain. Before the connection is there nothing is taken: wait. */
size_t upstream_write(struct upstream_call *call, struct str bytes);
/* Whether upstream_write may be called: the connection is there and takes more. */
bool upstream_takes(const struct upstream_call *call);
/* The body is complete. */
void upstream_finish(struct upstream_call *call);

/* Connections that are open or being opened, for tests and metrics. */
size_t upstream_connections(const struct upstream *upstream);

#endif
