#include "mesh/proxy.h"

#include "base/check.h"
#include "base/log.h"
#include "base/memory.h"
#include "codec/compress_stream.h"
#include "mesh/answer.h"

#include <stdlib.h>

/* An answer that is over before so many bytes is not worth compressing. */
#define COMPRESS_BYTES_MIN 512
#define FORWARDED_HEADERS_MAX 10
/* Gateways that a request may have been through. */
#define HOPS_MAX 4

struct proxy {
	struct proxies *proxies;
	struct proxy *next;
	struct proxy *previous;
	struct exchange *exchange;
	struct exports *exports;
	const struct exported *exported;
	struct export_state *state;
	struct fetch *fetch;
	int64_t began_ns;

	int status;
	struct str content_type;
	struct buf first; /* The answer's beginning, until it is known to be long. */
	bool has_begun;
	struct compressor *compressor; /* NULL: not compressed. */
	struct buf packed;
};

static void unlink_proxy(struct proxy *proxy) {
	if (proxy->previous) {
		proxy->previous->next = proxy->next;
	} else {
		proxy->proxies->first = proxy->next;
	}
	if (proxy->next) {
		proxy->next->previous = proxy->previous;
	}
}

/* Counts the request and frees; the exchange has been ended by the caller. */
static void finish(struct proxy *proxy, int status) {
	int64_t now_ns = loop_now_ns(proxy->proxies->loop);
	export_state_end(proxy->state, status, now_ns - proxy->began_ns);
	unlink_proxy(proxy);
	compressor_free(proxy->compressor);
	buf_deinit(&proxy->first);
	buf_deinit(&proxy->packed);
	exports_unref(proxy->exports);
	free(proxy);
}

static bool is_compressible(struct str content_type) {
	return !str_starts(content_type, STR("application/vnd.atoll.matrix")) &&
	       !str_starts(content_type, STR("application/x-protobuf")) &&
	       !str_starts(content_type, STR("application/x-streamed-protobuf"));
}

static void begin(struct proxy *proxy) {
	struct exchange *exchange = proxy->exchange;
	const struct http_request *request = exchange_request(exchange);
	struct str accepted = http_headers_get(&request->headers, STR("accept-encoding"));
	enum compression kind = COMPRESSION_NONE;
	if (is_compressible(proxy->content_type)) {
		kind = compression_negotiate(accepted, true);
	}
	if (kind == COMPRESSION_ZSTD || kind == COMPRESSION_GZIP) {
		proxy->compressor = compressor_new(kind);
		exchange_header(exchange, STR("content-encoding"), str_of(compression_name(kind)));
	}
	exchange_header(exchange, STR("vary"), STR("accept-encoding"));
	exchange_begin(exchange, proxy->status, proxy->content_type);
	proxy->has_begun = true;
}

/* Sends what is packed. Returns whether the peer takes more. */
static bool flush(struct proxy *proxy, struct str bytes) {
	if (bytes.len == 0) {
		return true;
	}
	metric_add(proxy->state->sent_bytes, (double)bytes.len);
	return exchange_write(proxy->exchange, bytes) <= STREAM_LOW_WATER;
}

static bool emit(struct proxy *proxy, struct str bytes) {
	if (!proxy->compressor) {
		return flush(proxy, bytes);
	}
	buf_reset(&proxy->packed);
	compressor_write(proxy->compressor, bytes, &proxy->packed);
	return flush(proxy, buf_str(&proxy->packed));
}

static void on_head(struct fetch *fetch, int status, struct str content_type) {
	struct proxy *proxy = fetch_context(fetch);
	proxy->status = status;
	proxy->content_type = arena_copy(exchange_arena(proxy->exchange), content_type);
}

static bool on_data(struct fetch *fetch, struct str bytes) {
	struct proxy *proxy = fetch_context(fetch);
	metric_add(proxy->state->upstream_bytes, (double)bytes.len);
	if (proxy->has_begun) {
		return emit(proxy, bytes);
	}
	buf_add_str(&proxy->first, bytes);
	if (proxy->first.len < COMPRESS_BYTES_MIN) {
		return true;
	}
	begin(proxy);
	bool takes_more = emit(proxy, buf_str(&proxy->first));
	buf_deinit(&proxy->first);
	return takes_more;
}

/* The service's answer did not come whole. */
static void fail(struct proxy *proxy, const struct err *failure) {
	const struct exported *exported = proxy->exported;
	struct err err = *failure;
	int status = failure->code == ERR_TIMEOUT ? 504 : 502;
	const char *word = failure->code == ERR_TIMEOUT ? "timeout" : "upstream";
	if (failure->code == ERR_LIMIT) {
		word = "limit";
		(void)err_set(&err, ERR_LIMIT,
			"its answer is larger than %llu bytes; raise "
			"limits.response_bytes or ask for less",
			(unsigned long long)exported->limits.response_bytes);
	}
	(void)err_wrap(&err, err.code, "export \"%.*s\" at %.*s", STR_ARG(exported->name),
		STR_ARG(exported->url));
	if (proxy->has_begun) {
		log_warn("answer broken off", KV_ERR(&err),
			KV("peer", exchange_identity(proxy->exchange)));
		exchange_fail(proxy->exchange);
	} else {
		answer_error(proxy->exchange, status, word, err.text);
	}
	finish(proxy, status);
}

static void end(struct proxy *proxy) {
	struct exchange *exchange = proxy->exchange;
	if (!proxy->has_begun) {
		metric_add(proxy->state->sent_bytes, (double)proxy->first.len);
		exchange_respond(
			exchange, proxy->status, proxy->content_type, buf_str(&proxy->first));
	} else {
		if (proxy->compressor) {
			buf_reset(&proxy->packed);
			compressor_end(proxy->compressor, &proxy->packed);
			(void)flush(proxy, buf_str(&proxy->packed));
		}
		exchange_end(exchange);
	}
	finish(proxy, proxy->status);
}

static void on_done(struct fetch *fetch, const struct fetch_result *result) {
	struct proxy *proxy = fetch_context(fetch);
	proxy->fetch = NULL;
	if (result->failure) {
		fail(proxy, result->failure);
		return;
	}
	if (proxy->status < 200 || proxy->status > 599) {
		struct err err = { 0 };
		(void)err_set(&err, ERR_IO, "it answered with status %d", proxy->status);
		fail(proxy, &err);
		return;
	}
	end(proxy);
}

static void on_drain(void *context) {
	struct proxy *proxy = context;
	if (proxy->fetch) {
		fetch_resume(proxy->fetch);
	}
}

static void on_abort(void *context) {
	struct proxy *proxy = context;
	fetch_cancel(proxy->fetch);
	exchange_fail(proxy->exchange);
	finish(proxy, 0);
}

/*
 * Only these of the peer's headers go on, so whatever claims to say who it is or where it comes
 * from does not; who it is, we say.
 */
static const char *const *make_headers(const struct proxy *proxy) {
	static const struct str passed[] = { STR("accept"), STR("content-type"),
		STR("x-prometheus-remote-read-version") };
	struct arena *arena = exchange_arena(proxy->exchange);
	const struct http_request *request = exchange_request(proxy->exchange);
	const char *peer = exchange_identity(proxy->exchange);
	const char *own = proxy->proxies->identity;
	const char **headers = ARENA_NEW(arena, const char *, FORWARDED_HEADERS_MAX);
	size_t count = 0;
	for (size_t i = 0; i < ARRAY_COUNT(passed); i++) {
		struct str value = http_headers_get(&request->headers, passed[i]);
		if (value.len > 0) {
			headers[count++] = arena_printf(
				arena, "%.*s: %.*s", STR_ARG(passed[i]), STR_ARG(value))
						   .ptr;
		}
	}
	struct str via = http_headers_get(&request->headers, STR("atoll-via"));
	headers[count++] = arena_printf(
		arena, "Atoll-Via: %.*s%s%s", STR_ARG(via), via.len > 0 ? ", " : "", own)
				   .ptr;
	headers[count++] = arena_printf(arena, "Forwarded: by=%s;for=%s;host=%.*s;proto=https", own,
		peer, STR_ARG(proxy->exported->name))
				   .ptr;
	headers[count++] = arena_printf(arena, "L5d-Client-Id: %s", peer).ptr;
	/* The service is near: compressing is ours. What it compresses all the same is decoded. */
	headers[count++] = "Accept-Encoding: identity";
	headers[count++] = "User-Agent: atoll-gateway/" ATOLL_VERSION;
	CHECK(count < FORWARDED_HEADERS_MAX);
	return headers;
}

bool proxy_is_loop(const struct http_request *request, const char *identity) {
	struct str rest = http_headers_get(&request->headers, STR("atoll-via"));
	size_t hops = 0;
	while (rest.len > 0) {
		struct str hop = str_trim(str_cut(&rest, ','));
		if (str_equal(hop, str_of(identity)) || ++hops >= HOPS_MAX) {
			return true;
		}
	}
	return false;
}

void proxy_start(struct proxies *proxies, struct exchange *exchange, struct exports *exports,
	const struct exported *exported, struct export_state *state) {
	struct proxy *proxy = MEMORY_NEW(struct proxy, 1);
	const struct http_request *request = exchange_request(exchange);
	struct arena *arena = exchange_arena(exchange);
	proxy->proxies = proxies;
	proxy->exchange = exchange;
	proxy->exports = exports_ref(exports);
	proxy->exported = exported;
	proxy->state = state;
	proxy->began_ns = loop_now_ns(proxies->loop);
	proxy->next = proxies->first;
	if (proxy->next) {
		proxy->next->previous = proxy;
	}
	proxies->first = proxy;
	export_state_begin(state);
	exchange_on_abort(exchange, on_abort, proxy);
	exchange_on_drain(exchange, on_drain, proxy);
	proxy->fetch = fetch_start(
		proxies->fetcher, &(struct fetch_request){
					  .url = arena_printf(arena, "%.*s%.*s",
						  STR_ARG(exported->url), STR_ARG(request->target))
							 .ptr,
					  .method = arena_copy(arena, request->method).ptr,
					  .headers = make_headers(proxy),
					  .body = request->body,
					  .timeout_ms = exported->limits.timeout_ms,
					  .body_bytes_max = exported->limits.response_bytes,
					  .context = proxy,
					  .on_head = on_head,
					  .on_data = on_data,
					  .on_done = on_done,
				  });
}

void proxies_stop(struct proxies *proxies) {
	while (proxies->first) {
		on_abort(proxies->first);
	}
}
