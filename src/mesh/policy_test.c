#include "mesh/policy.h"

#include "base/test.h"

#define FORM "application/x-www-form-urlencoded"

static enum verdict judge(
	const char *method, const char *target, const char *type, const char *body) {
	AUTO(arena_deinit) struct arena arena = { 0 };
	struct http_request request = { .method = str_of(method), .body = str_of(body) };
	struct err err = { 0 };
	if (!http_request_set_target(&request, str_of(target))) {
		return VERDICT_PATH;
	}
	if (type) {
		http_headers_add(&request.headers, &arena, STR("content-type"), str_of(type));
	}
	enum verdict verdict = prometheus_policy(&request, &err);
	assert_int_equal(verdict == VERDICT_ALLOW, err.text[0] == '\0');
	return verdict;
}

static const struct {
	const char *method;
	const char *target;
	enum verdict verdict;
} requests[] = {
	{ "GET", "/api/v1/query?query=up", VERDICT_ALLOW },
	{ "GET", "/api/v1/query_range?query=up&start=1&end=2&step=1", VERDICT_ALLOW },
	{ "GET", "/api/v1/query_exemplars?query=up", VERDICT_ALLOW },
	{ "GET", "/api/v1/format_query?query=up", VERDICT_ALLOW },
	{ "GET", "/api/v1/series?match[]=up", VERDICT_ALLOW },
	{ "GET", "/api/v1/labels", VERDICT_ALLOW },
	{ "GET", "/api/v1/label/job/values", VERDICT_ALLOW },
	{ "GET", "/api/v1/label/__name__/values?match[]=up", VERDICT_ALLOW },
	{ "GET", "/api/v1/label/U__a_2e_b/values", VERDICT_ALLOW },
	{ "GET", "/api/v1/metadata", VERDICT_ALLOW },
	{ "GET", "/api/v1/rules", VERDICT_ALLOW },
	{ "GET", "/api/v1/alerts", VERDICT_ALLOW },
	{ "GET", "/api/v1/targets?state=active", VERDICT_ALLOW },
	{ "GET", "/api/v1/status/buildinfo", VERDICT_ALLOW },
	{ "GET", "/api/v1/status/runtimeinfo", VERDICT_ALLOW },
	{ "GET", "/federate?match[]=up", VERDICT_ALLOW },
	{ "GET", "/-/healthy", VERDICT_ALLOW },
	{ "HEAD", "/-/healthy", VERDICT_ALLOW },
	{ "GET", "/-/ready", VERDICT_ALLOW },
	{ "HEAD", "/-/ready", VERDICT_ALLOW },
	/* What changes something, or shows what is nobody's business. */
	{ "POST", "/api/v1/admin/tsdb/delete_series?match[]=up", VERDICT_PATH },
	{ "POST", "/api/v1/admin/tsdb/snapshot", VERDICT_PATH },
	{ "POST", "/api/v1/admin/tsdb/clean_tombstones", VERDICT_PATH },
	{ "POST", "/api/v1/write", VERDICT_PATH },
	{ "POST", "/api/v1/otlp/v1/metrics", VERDICT_PATH },
	{ "POST", "/-/reload", VERDICT_PATH },
	{ "PUT", "/-/reload", VERDICT_PATH },
	{ "POST", "/-/quit", VERDICT_PATH },
	{ "GET", "/-/quit", VERDICT_PATH },
	{ "GET", "/api/v1/status/config", VERDICT_PATH },
	{ "GET", "/api/v1/status/flags", VERDICT_PATH },
	{ "GET", "/api/v1/status/tsdb", VERDICT_PATH },
	{ "GET", "/api/v1/status/walreplay", VERDICT_PATH },
	{ "GET", "/api/v1/targets/metadata", VERDICT_PATH },
	{ "GET", "/api/v1/alertmanagers", VERDICT_PATH },
	{ "GET", "/debug/pprof/heap", VERDICT_PATH },
	{ "GET", "/metrics", VERDICT_PATH },
	{ "GET", "/config", VERDICT_PATH },
	{ "GET", "/", VERDICT_PATH },
	{ "GET", "", VERDICT_PATH },
	{ "OPTIONS", "*", VERDICT_PATH },
	/* The right path in the wrong spelling. */
	{ "GET", "/api/v1/query/", VERDICT_PATH },
	{ "GET", "//api/v1/query", VERDICT_PATH },
	{ "GET", "/api//v1/query", VERDICT_PATH },
	{ "GET", "/./api/v1/query", VERDICT_PATH },
	{ "GET", "/x/../api/v1/query", VERDICT_PATH },
	{ "GET", "/API/v1/query", VERDICT_PATH },
	{ "GET", "/api/v1/%71uery", VERDICT_PATH },
	{ "GET", "/api%2fv1%2fquery", VERDICT_PATH },
	{ "GET", "/api/v1/query;x=1", VERDICT_PATH },
	{ "GET", "/api/v1/query%00", VERDICT_PATH },
	{ "GET", "/api/v1/query%2e", VERDICT_PATH },
	{ "GET", "\\api\\v1\\query", VERDICT_PATH },
	{ "GET", "http://other/api/v1/query", VERDICT_PATH },
	/* An allowed path as a way to another. */
	{ "GET", "/api/v1/query/../admin/tsdb/snapshot", VERDICT_PATH },
	{ "GET", "/api/v1/label/../../admin/tsdb/snapshot/values", VERDICT_PATH },
	{ "GET", "/api/v1/label/..%2f..%2fadmin/values", VERDICT_PATH },
	{ "GET", "/api/v1/label/%2e%2e/values", VERDICT_PATH },
	{ "GET", "/api/v1/label/a/b/values", VERDICT_PATH },
	{ "GET", "/api/v1/label//values", VERDICT_PATH },
	{ "GET", "/api/v1/label/values", VERDICT_PATH },
	{ "GET", "/api/v1/label/a b/values", VERDICT_PATH },
	{ "GET", "/-/healthy/../quit", VERDICT_PATH },
	/* Methods. */
	{ "DELETE", "/api/v1/series?match[]=up", VERDICT_METHOD },
	{ "PUT", "/api/v1/query", VERDICT_METHOD },
	{ "PATCH", "/api/v1/query", VERDICT_METHOD },
	{ "HEAD", "/api/v1/query", VERDICT_METHOD },
	{ "OPTIONS", "/api/v1/query", VERDICT_METHOD },
	{ "CONNECT", "/api/v1/query", VERDICT_METHOD },
	{ "get", "/api/v1/query", VERDICT_METHOD },
	{ "POST", "/api/v1/metadata", VERDICT_METHOD },
	{ "POST", "/api/v1/targets", VERDICT_METHOD },
	{ "POST", "/api/v1/label/job/values", VERDICT_METHOD },
	{ "POST", "/federate", VERDICT_METHOD },
	{ "POST", "/-/healthy", VERDICT_METHOD },
	{ "GET", "/api/v1/read", VERDICT_METHOD },
};

static void only_reading_goes_through(void **state) {
	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(requests); i++) {
		enum verdict verdict = judge(requests[i].method, requests[i].target, NULL, "");
		if (verdict != requests[i].verdict) {
			fail_msg("%s %s: %s instead of %s", requests[i].method, requests[i].target,
				verdict_name(verdict), verdict_name(requests[i].verdict));
		}
	}
}

static void queries_may_be_posted_as_forms_only(void **state) {
	(void)state;
	static const char *const paths[] = { "/api/v1/query", "/api/v1/query_range",
		"/api/v1/query_exemplars", "/api/v1/format_query", "/api/v1/series",
		"/api/v1/labels" };
	for (size_t i = 0; i < ARRAY_COUNT(paths); i++) {
		assert_int_equal(judge("POST", paths[i], FORM, "query=up"), VERDICT_ALLOW);
		assert_int_equal(
			judge("POST", paths[i], FORM "; charset=utf-8", "a=b"), VERDICT_ALLOW);
		assert_int_equal(judge("POST", paths[i], "application/json", "{}"), VERDICT_BODY);
		assert_int_equal(judge("POST", paths[i], NULL, "query=up"), VERDICT_BODY);
	}
}

static void remote_read_is_protobuf(void **state) {
	(void)state;
	assert_int_equal(
		judge("POST", "/api/v1/read", "application/x-protobuf", "x"), VERDICT_ALLOW);
	assert_int_equal(judge("POST", "/api/v1/read", FORM, "x"), VERDICT_BODY);
}

static void a_get_has_no_body(void **state) {
	(void)state;
	assert_int_equal(judge("GET", "/api/v1/query?query=up", FORM, "query=x"), VERDICT_BODY);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(only_reading_goes_through),
		TEST(queries_may_be_posted_as_forms_only),
		TEST(remote_read_is_protobuf),
		TEST(a_get_has_no_body),
	};
	return TEST_RUN(tests);
}
