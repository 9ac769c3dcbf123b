/*
 * What fetch.c and fetch_prepare.c share: the fetch's insides.
 */
#ifndef IO_FETCH_INTERNAL_H
#define IO_FETCH_INTERNAL_H

#include "base/buf.h"
#include "io/fetch.h"
#include "io/loop_internal.h"

#include <curl/curl.h>

struct fetch {
	struct fetch *next;
	struct fetch *prev;
	struct fetcher *fetcher;
	struct loop_task attend;
	struct timer timer; /* The whole request's limit. */
	CURL *easy;
	struct curl_slist *headers;
	struct curl_slist *connect_to;
	void *context;
	void (*on_head)(struct fetch *fetch, int status, struct str content_type);
	bool (*on_data)(struct fetch *fetch, struct str bytes);
	void (*on_done)(struct fetch *fetch, const struct fetch_result *result);
	bool is_new; /* Not yet given to libcurl. */
	bool is_canceled;
	bool is_done; /* on_done runs. */
	bool is_paused;
	bool is_resumed; /* libcurl is to be told. */
	bool is_too_large;
	bool has_two_lengths; /* The answer says two different ones. */
	bool follows_redirects;
	bool is_secret; /* Had credentials: its handle is not used again. */
	int status;
	int64_t timeout_ms;
	int64_t begin_ns;
	uint64_t body_bytes;
	uint64_t body_bytes_max;
	struct buf content_type;
	struct buf content_encoding;
	struct buf content_length;
	struct buf body;
	char error_text[CURL_ERROR_SIZE];
};

/* Sets the libcurl handle, new or as if new, for a request. */
void fetch_prepare(struct fetch *fetch, const struct fetch_request *request,
	curl_write_callback on_header, curl_write_callback on_body);

#endif
