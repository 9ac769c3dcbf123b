#include "http/router.h"

#include "http/test_server.h"

static void tell(void *context, struct exchange *exchange, struct str param) {
	struct str text = arena_printf(
		exchange_arena(exchange), "%s(%.*s)", (const char *)context, STR_ARG(param));

	exchange_respond(exchange, 200, STR("text/plain"), text);
}

static struct router *make_router(void) {
	static char names[][10] = { "exact", "segment", "tail", "root", "get", "post" };
	struct router *router = router_new();

	router_add(router, "GET,POST,OPTIONS", "/api/v1/query", tell, names[0]);
	router_add(router, "GET", "/api/v1/label/*/values", tell, names[1]);
	router_add(router, "GET", "/api/*", tell, names[2]);
	router_add(router, "GET", "/*", tell, names[3]);
	router_add(router, "GET", "/both", tell, names[4]);
	router_add(router, "POST", "/both", tell, names[5]);
	return router;
}

static const struct {
	const char *request;
	const char *answer;
} cases[] = {
	{ "GET /api/v1/query?x=1", "exact()" },
	{ "POST /api/v1/query", "exact()" },
	{ "OPTIONS /api/v1/query", "exact()" },
	{ "PUT /api/v1/query", "Allow: GET, HEAD, POST, OPTIONS\r\n" },
	{ "HEAD /api/v1/query", "Content-Length: 7\r\nConnection: close\r\n\r\n" },
	{ "GET /api/v1/label/a%2Fb/values", "segment(a/b)" },
	{ "GET /api/v1/label/a%zz/values", "HTTP/1.1 400" },
	{ "GET /api/v1/label//values", "tail(v1/label//values)" },
	{ "GET /api/v1/label/a/b/values", "tail(v1/label/a/b/values)" },
	{ "GET /api/", "tail()" },
	{ "GET /api", "root(api)" },
	{ "GET /", "root()" },
	{ "GET /%61pi/v1/query", "root(api/v1/query)" },
	{ "GET /api/v1/../v1/query", "tail(v1/../v1/query)" },
	{ "GET /both", "get()" },
	{ "POST /both", "post()" },
	{ "PUT /both", "Allow: GET, HEAD, POST\r\n" },
	{ "POST /x", "HTTP/1.1 405" },
	{ "OPTIONS *", "HTTP/1.1 404" },
};

static void finds_the_handler_of_each_path(void **state) {
	struct router *router = make_router();
	struct http_server_options options = { .handler = router_handle, .context = router };
	struct test_server test;
	struct test_client client;

	(void)state;
	test_server_open(&test, &options);
	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		test_client_open(&client, &test);
		test_client_send(&client, cases[i].request);
		test_client_send(&client, " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
		TEST_UNTIL(&test, !client.stream);
		if (!test_client_has(&client, cases[i].answer)) {
			fail_msg("%s gave %s", cases[i].request, buf_text(&client.received));
		}
		test_client_close(&client);
	}
	test_server_close(&test);
	router_free(router);
}

static void an_empty_router_knows_nothing(void **state) {
	struct router *router = router_new();
	struct http_server_options options = { .handler = router_handle, .context = router };
	struct test_server test;
	struct test_client client;

	(void)state;
	test_server_open(&test, &options);
	test_client_open(&client, &test);
	test_client_send(&client, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
	TEST_UNTIL(&test, test_client_has(&client, "404 page not found\n"));
	test_client_close(&client);
	test_server_close(&test);
	router_free(router);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(finds_the_handler_of_each_path),
		TEST(an_empty_router_knows_nothing),
	};

	return TEST_RUN(tests);
}
