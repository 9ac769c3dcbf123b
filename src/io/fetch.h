/*
 * Fetches: HTTP requests to other people's servers, through libcurl on our loop.
 *
 * Owned by one loop. A fetch ends with exactly one on_done, unless fetch_cancel ends it first; then
 * none comes. Bodies are streamed to on_data (which may pause) or collected up to a limit.
 */
#ifndef IO_FETCH_H
#define IO_FETCH_H

#include "base/buf.h"
#include "base/err.h"
#include "io/loop.h"

#include <stdint.h>

struct fetcher; /* Connections and their cache, one per loop. */
struct fetch;

struct fetch_result {
	const struct err *failure; /* NULL: a response arrived whole. ERR_LIMIT: body_bytes_max. */
	int status;                /* HTTP status; 0 if none came. */
	struct str content_type;
	struct str
		content_encoding; /* As sent; the body has been decoded by libcurl if 'decode'. */
	struct str body;          /* Collected; empty when on_data took it. */
	uint64_t wire_bytes;      /* Header and body bytes received, before decoding. */
	int64_t duration_ns;
};

struct fetch_request {
	const char *url;
	const char *method;         /* NULL: GET. */
	const char *const *headers; /* "Name: value", NULL-terminated; may be NULL. */
	struct str body;            /* Copied. */
	int64_t timeout_ms;         /* Whole request; 0: 30 s. */
	uint64_t body_bytes_max;    /* After decoding; 0: 64 MiB. */
	bool decode;                /* Ask for gzip/zstd and decode. */
	bool follow_redirects;
	const char *proxy_url; /* NULL: none (the environment is not read). */
	const char *ca_file;   /* TLS towards the server; NULL: the system's. */
	const char *cert_file;
	const char *key_file;
	const char *server_name;
	bool insecure_skip_verify;
	const char *user; /* Basic auth; NULL: none. */
	const char *password;
	void *context;
	void (*on_head)(
		struct fetch *fetch, int status, struct str content_type); /* May be NULL. */
	/* May be NULL. Returning false pauses until fetch_resume (the bytes were taken). */
	bool (*on_data)(struct fetch *fetch, struct str bytes);
	void (*on_done)(struct fetch *fetch, const struct fetch_result *result);
};

/* A fetcher on that loop. */
struct fetcher *fetcher_new(struct loop *loop);
/* Cancels what is under way, without callbacks. Not from a callback of a fetch of its own. */
void fetcher_free(struct fetcher *fetcher);

/* Starts a request; everything in 'request' is copied. Malformed URLs fail by on_done. */
struct fetch *fetch_start(struct fetcher *fetcher, const struct fetch_request *request);
/* What the request gave. */
void *fetch_context(const struct fetch *fetch);
/* Ends the request; no callback comes after and the pointer is gone. */
void fetch_cancel(struct fetch *fetch);
/* Goes on after on_data returned false. */
void fetch_resume(struct fetch *fetch);

#endif
