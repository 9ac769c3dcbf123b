#include "api/page.h"

#include "api/page_assets.h"
#include "base/check.h"
#include "codec/compress.h"

/* The page has no inline scripts and styles, no frames, no fonts, and talks to nobody else. */
#define CONTENT_SECURITY_POLICY                                                                    \
	"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "                \
	"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"

/* Names of all files but "/" hold a hash of their content, so they never change. */
#define CACHE_FOR_EVER STR("public, max-age=31536000, immutable")
#define CACHE_ASK_FIRST STR("no-cache")

static const struct page_asset *find(struct str path) {
	for (size_t i = 0; i < page_asset_count; i++) {
		if (str_equal(path, str_of(page_assets[i].path))) {
			return &page_assets[i];
		}
	}
	return NULL;
}

/* Whether an If-None-Match list names 'tag'. It is compared weakly: "W/" in front is fine. */
static bool has_tag(struct str list, struct str tag) {
	while (list.len > 0) {
		struct str one = str_trim(str_cut(&list, ','));
		if (str_starts(one, STR("W/"))) {
			one = str_from(one, 2);
		}
		if (str_equal(one, tag) || str_equal(one, STR("*"))) {
			return true;
		}
	}
	return false;
}

static void put_headers(
	struct exchange *exchange, const struct page_asset *asset, bool is_index, struct str tag) {
	exchange_header(exchange, STR("etag"), tag);
	exchange_header(
		exchange, STR("cache-control"), is_index ? CACHE_ASK_FIRST : CACHE_FOR_EVER);
	exchange_header(exchange, STR("vary"), STR("accept-encoding"));
	exchange_header(exchange, STR("x-content-type-options"), STR("nosniff"));
	if (str_starts(str_of(asset->content_type), STR("text/html"))) {
		exchange_header(
			exchange, STR("content-security-policy"), STR(CONTENT_SECURITY_POLICY));
		/* The address holds the query: it is nobody else's business. */
		exchange_header(exchange, STR("referrer-policy"), STR("same-origin"));
	}
}

/* For the few clients that do not take gzip. */
static void respond_plain(struct exchange *exchange, const struct page_asset *asset) {
	struct buf plain = { 0 };
	struct str packed = { (const char *)asset->bytes, asset->size };
	CHECK(decompress_body(COMPRESSION_GZIP, packed, asset->plain_size, &plain, NULL) == 0);
	exchange_respond_buf(exchange, 200, str_of(asset->content_type), &plain);
}

static void serve(struct exchange *exchange, const struct page_asset *asset, bool is_index) {
	const struct http_headers *headers = &exchange_request(exchange)->headers;
	struct str accepted = http_headers_get(headers, STR("accept-encoding"));
	bool is_gzip = compression_negotiate(accepted, false) == COMPRESSION_GZIP;
	struct str tag = arena_printf(
		exchange_arena(exchange), "\"%s%s\"", asset->tag, is_gzip ? "-gzip" : "");
	put_headers(exchange, asset, is_index, tag);
	if (has_tag(http_headers_get(headers, STR("if-none-match")), tag)) {
		exchange_respond(exchange, 304, STR_EMPTY, STR_EMPTY);
	} else if (is_gzip) {
		exchange_header(exchange, STR("content-encoding"), STR("gzip"));
		exchange_respond(exchange, 200, str_of(asset->content_type),
			(struct str){ (const char *)asset->bytes, asset->size });
	} else {
		respond_plain(exchange, asset);
	}
}

static void serve_index(void *context, struct exchange *exchange, struct str param) {
	(void)context;
	(void)param;
	serve(exchange, find(STR("/")), true);
}

static void serve_asset(void *context, struct exchange *exchange, struct str param) {
	const struct page_asset *asset = find(exchange_request(exchange)->path);
	(void)context;
	(void)param;
	if (asset) {
		serve(exchange, asset, false);
	} else {
		exchange_respond_text(exchange, 404, "no such file\n");
	}
}

void page_register(struct router *router) {
	CHECK(find(STR("/")));
	router_add(router, "GET", "/", serve_index, NULL);
	router_add(router, "GET", "/graph", serve_index, NULL);
	router_add(router, "GET", "/query", serve_index, NULL);
	router_add(router, "GET", "/assets/*", serve_asset, NULL);
}
