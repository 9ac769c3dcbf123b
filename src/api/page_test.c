#include "api/page.h"

#include "api/page_assets.h"
#include "codec/compress.h"
#include "http/test_server.h"

struct fixture {
	struct router *router;
	struct test_server web;
	struct test_client client;
};

/* One request with these header lines; returns the whole answer. */
static struct str ask(
	struct fixture *all, const char *method, const char *path, const char *headers) {
	AUTO(buf_deinit) struct buf request = { 0 };
	const struct http_server_options options = { .handler = router_handle,
		.context = all->router };
	test_server_open(&all->web, &options);
	test_client_open(&all->client, &all->web);
	buf_printf(&request, "%s %s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n%s\r\n", method,
		path, headers);
	test_client_send(&all->client, buf_text(&request));
	TEST_UNTIL(&all->web, !all->client.stream);
	return buf_str(&all->client.received);
}

static void done(struct fixture *all) {
	test_client_close(&all->client);
	test_server_close(&all->web);
}

static void with_page(void (*run)(struct fixture *all)) {
	struct fixture all = { .router = router_new() };
	page_register(all.router);
	run(&all);
	router_free(all.router);
}

static struct str body_of(struct str answer) {
	const char *found = strstr(answer.ptr, "\r\n\r\n");
	assert_non_null(found);
	return str_from(answer, (size_t)(found - answer.ptr) + 4);
}

/* Whether the header, in any case of letters, holds 'text'. */
static bool has(struct str answer, const char *text) {
	const char *found = strcasestr(answer.ptr, text);
	return found && found < body_of(answer).ptr;
}

static void check_plain(struct fixture *all) {
	struct str answer = ask(all, "GET", "/", "");
	assert_true(str_starts(answer, STR("HTTP/1.1 200 ")));
	assert_true(has(answer, "content-type: text/html; charset=utf-8\r\n"));
	assert_true(has(answer, "cache-control: no-cache\r\n"));
	assert_true(has(answer, "content-security-policy: default-src 'none';"));
	assert_true(has(answer, "vary: accept-encoding\r\n"));
	assert_false(has(answer, "content-encoding"));
	assert_true(str_starts(body_of(answer), STR("<!doctype html>")));
	done(all);
}

static void check_gzip(struct fixture *all) {
	AUTO(buf_deinit) struct buf plain = { 0 };
	struct err err = { 0 };
	struct str answer = ask(all, "GET", "/", "Accept-Encoding: gzip, deflate, br\r\n");
	assert_true(has(answer, "content-encoding: gzip\r\n"));
	assert_ok(decompress_body(COMPRESSION_GZIP, body_of(answer), 1 << 20, &plain, &err), err);
	assert_true(str_starts(buf_str(&plain), STR("<!doctype html>")));
	done(all);
}

static void check_unchanged(struct fixture *all) {
	char headers[128];
	(void)snprintf(headers, sizeof(headers), "If-None-Match: \"other\", W/\"%s\"\r\n",
		page_assets[0].tag);
	/* The first asset in the table need not be the page itself. */
	struct str answer = ask(all, "GET", page_assets[0].path, headers);
	assert_true(str_starts(answer, STR("HTTP/1.1 304 ")));
	assert_int_equal(body_of(answer).len, 0);
	done(all);
}

static void check_changed(struct fixture *all) {
	struct str answer = ask(all, "GET", "/", "If-None-Match: \"0123456789abcdef\"\r\n");
	assert_true(str_starts(answer, STR("HTTP/1.1 200 ")));
	done(all);
}

static void check_prometheus_addresses(struct fixture *all) {
	struct str answer = ask(all, "GET", "/graph?g0.expr=up", "");
	assert_true(str_starts(answer, STR("HTTP/1.1 200 ")));
	assert_true(has(answer, "cache-control: no-cache\r\n"));
	done(all);
}

static void check_unknown(struct fixture *all) {
	struct str answer = ask(all, "GET", "/assets/../page.c", "");
	assert_true(str_starts(answer, STR("HTTP/1.1 404 ")));
	done(all);
}

static void check_methods(struct fixture *all) {
	struct str answer = ask(all, "POST", "/", "Content-Length: 0\r\n");
	assert_true(str_starts(answer, STR("HTTP/1.1 405 ")));
	done(all);
}

static void check_each_asset(struct fixture *all) {
	for (size_t i = 0; i < page_asset_count; i++) {
		bool is_index = strcmp(page_assets[i].path, "/") == 0;
		struct str answer = ask(all, "GET", page_assets[i].path, "");
		assert_true(str_starts(answer, STR("HTTP/1.1 200 ")));
		assert_int_equal(has(answer, "immutable\r\n"), !is_index);
		assert_int_equal(body_of(answer).len, page_assets[i].plain_size);
		done(all);
	}
}

static void serves_the_page_to_any_client(void **state) {
	(void)state;
	with_page(check_plain);
}

static void serves_gzip_to_who_takes_it(void **state) {
	(void)state;
	with_page(check_gzip);
}

static void answers_304_to_who_has_it(void **state) {
	(void)state;
	with_page(check_unchanged);
}

static void answers_whole_to_who_has_another(void **state) {
	(void)state;
	with_page(check_changed);
}

static void serves_the_addresses_of_prometheus_page(void **state) {
	(void)state;
	with_page(check_prometheus_addresses);
}

static void finds_no_file_it_does_not_have(void **state) {
	(void)state;
	with_page(check_unknown);
}

static void takes_no_other_methods(void **state) {
	(void)state;
	with_page(check_methods);
}

static void serves_each_file_whole_and_forever(void **state) {
	(void)state;
	with_page(check_each_asset);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(serves_the_page_to_any_client),
		TEST(serves_gzip_to_who_takes_it),
		TEST(answers_304_to_who_has_it),
		TEST(answers_whole_to_who_has_another),
		TEST(serves_the_addresses_of_prometheus_page),
		TEST(finds_no_file_it_does_not_have),
		TEST(takes_no_other_methods),
		TEST(serves_each_file_whole_and_forever),
	};
	return TEST_RUN(tests);
}
