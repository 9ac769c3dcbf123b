#include "api/api.h"

#include "codec/compress.h"
#include "http/test_server.h"

#include <stdatomic.h>

/* A source that answers by the text of the query. */
struct fake {
	struct source source;
	_Atomic bool is_waiting; /* A query of "slow" waits to be canceled. */
	_Atomic bool was_canceled;
	_Atomic bool release;      /* Lets it end without. */
	struct query_request last; /* What was asked; 'query' is not kept. */
	size_t last_limit;
};

struct fixture {
	struct test_server web;
	struct fake fake;
	struct pool *pool;
	struct metric_registry *metrics;
	struct router *router;
	struct engine *engine; /* NULL: answers may be as long as they like. */
	struct api *api;
};

static const struct labels attic = {
	.pairs = (const struct label[]){ { { "__name__", 8 }, { "temp", 4 } },
		{ { "room", 4 }, { "at\"tic", 6 } } },
	.count = 2,
};

static int answer_columns(const struct query_request *request, struct arena *arena, size_t count,
	struct source_answer *answer, struct err *err) {
	struct steps *steps = &answer->result.steps;

	answer->result.type = VALUE_VECTOR;
	steps->grid = request->grid;
	steps->count = count;
	steps->columns = ARENA_NEW(arena, struct step_column, count);
	for (size_t i = 0; i < count; i++) {
		int rc = step_column_build(arena, request->grid.count, &steps->columns[i], err);
		if (rc < 0) {
			return rc;
		}
		steps->columns[i].labels = attic;
		for (size_t j = 0; j < request->grid.count; j++) {
			step_set(&steps->columns[i], j, 21.5);
		}
	}
	return 0;
}

static int wait_for_cancel(
	struct fake *fake, const struct query_request *request, struct err *err) {
	atomic_store(&fake->is_waiting, true);
	while (!atomic_load(&request->control->canceled) && !atomic_load(&fake->release)) {
		(void)nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	}
	atomic_store(&fake->was_canceled, atomic_load(&request->control->canceled));
	return err_set(err, ERR_CANCELED, "query was canceled in expression evaluation");
}

static int fake_query(struct source *source, const struct query_request *request,
	struct arena *arena, struct source_answer *answer, struct err *err) {
	struct fake *fake = CONTAINER_OF(source, struct fake, source);

	fake->last = *request;
	if (str_equal(request->query, STR("slow"))) {
		return wait_for_cancel(fake, request, err);
	}
	if (str_equal(request->query, STR("sum("))) {
		return err_set(err, ERR_INVAL, "1:5: parse error: unclosed left parenthesis");
	}
	if (str_equal(request->query, STR("dup"))) {
		return err_set(err, ERR_EXEC, "found duplicate series");
	}
	if (str_equal(request->query, STR("late"))) {
		return err_set(err, ERR_TIMEOUT, "query timed out in expression evaluation");
	}
	if (str_equal(request->query, STR("warn"))) {
		annotations_add(&answer->result.notes, arena, false, STR("cluster \"x\" is down"));
		return answer_columns(request, arena, 0, answer, err);
	}
	size_t count = str_equal(request->query, STR("many")) ? 1000 : 1;
	if (request->limit > 0 && request->limit < count) {
		count = request->limit;
	}
	return answer_columns(request, arena, count, answer, err);
}

static int fake_series(struct source *source, const struct meta_request *request,
	struct arena *arena, struct labels_list *out, struct annotations *notes, struct err *err) {
	struct fake *fake = CONTAINER_OF(source, struct fake, source);

	(void)notes;
	(void)err;
	fake->last_limit = request->limit;
	out->count = request->selector_count;
	out->items = ARENA_NEW(arena, struct labels, out->count);
	for (size_t i = 0; i < out->count; i++) {
		out->items[i] = attic;
	}
	return 0;
}

static int fake_names(struct source *source, const struct meta_request *request,
	struct arena *arena, struct str_list *out, struct annotations *notes, struct err *err) {
	static const struct str names[] = { { "__name__", 8 }, { "job", 3 }, { "room", 4 } };

	(void)source;
	(void)arena;
	(void)notes;
	(void)err;
	*out = (struct str_list){ names, 3 };
	if (request->limit > 0 && request->limit < 3) {
		out->count = request->limit;
	}
	return 0;
}

static int fake_values(struct source *source, struct str name, const struct meta_request *request,
	struct arena *arena, struct str_list *out, struct annotations *notes, struct err *err) {
	struct str *values = ARENA_NEW(arena, struct str, 1);

	(void)source;
	(void)request;
	(void)notes;
	(void)err;
	values[0] = arena_copy(arena, name);
	*out = (struct str_list){ values, 1 };
	return 0;
}

static int fake_document(struct source *source, struct str path, struct str args, struct buf *out,
	struct arena *arena, struct annotations *notes, struct err *err) {
	(void)source;
	(void)arena;
	(void)notes;
	if (str_equal(args, STR("limit=x"))) {
		return err_set(err, ERR_INVAL, "limit must be a number");
	}
	buf_printf(out, "{\"path\":\"%.*s\",\"args\":\"%.*s\"}", STR_ARG(path), STR_ARG(args));
	return 0;
}

static const struct source_ops fake_ops = {
	.query = fake_query,
	.series = fake_series,
	.label_names = fake_names,
	.label_values = fake_values,
	.document = fake_document,
};

static void put_config(void *context, struct buf *yaml) {
	(void)context;
	buf_add_text(yaml, "global:\n  scrape_interval: 1s\n");
}

static void put_flags(void *context, struct json_writer *members) {
	(void)context;
	json_key(members, STR("query.timeout"));
	json_put_text(members, "2m");
}

static void put_runtime(void *context, struct api_runtime *out) {
	(void)context;
	*out = (struct api_runtime){
		.start_ms = 1000,
		.reload_success = true,
		.last_config_ms = 2000,
		.retention_ms = 172800000,
	};
}

/* With 'query_bytes_max' for a query and its answer; 0: no limit. */
static void open_limited(struct fixture *fixture, size_t queue_max, uint64_t query_bytes_max) {
	const struct engine_options engine = { .query_bytes_max = query_bytes_max };
	struct err err = { 0 };

	memset(fixture, 0, sizeof(*fixture));
	fixture->engine = query_bytes_max > 0 ? engine_new(&engine, clock_system()) : NULL;
	fixture->fake.source.ops = &fake_ops;
	fixture->pool = pool_new("query", THREAD_QUERY, 1, queue_max);
	fixture->router = router_new();
	fixture->metrics = metric_registry_new();
	struct api_options options = {
		.source = &fixture->fake.source,
		.engine = fixture->engine,
		.pool = fixture->pool,
		.clock = clock_system(),
		.metrics = fixture->metrics,
		.query_timeout_ms = 120000,
		.cors_origin = "https?://(one|two)\\.example",
		.config = put_config,
		.flags = put_flags,
		.runtime = put_runtime,
	};
	assert_ok(api_new(&options, &fixture->api, &err), err);
	api_register(fixture->api, fixture->router);
	api_set_ready(fixture->api, true);
	struct http_server_options server = {
		.handler = router_handle,
		.context = fixture->router,
	};
	test_server_open(&fixture->web, &server);
}

static void open_api(struct fixture *fixture, size_t queue_max) {
	open_limited(fixture, queue_max, 0);
}

static void close_api(struct fixture *fixture) {
	http_server_close(fixture->web.server);
	fixture->web.server = NULL;
	pool_free(fixture->pool);
	test_server_close(&fixture->web);
	router_free(fixture->router);
	api_free(fixture->api);
	engine_free(fixture->engine);
	metric_registry_free(fixture->metrics);
}

/* Sends a request with these extra header lines and body; returns the whole answer, to be freed. */
static struct buf talk(
	struct fixture *fixture, const char *request, const char *lines, const char *body) {
	AUTO(buf_deinit) struct buf text = { 0 };
	struct test_client client;

	buf_printf(&text, "%s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n%s", request, lines);
	if (body[0] != '\0') {
		buf_printf(&text,
			"Content-Type: application/x-www-form-urlencoded\r\n"
			"Content-Length: %zu\r\n",
			strlen(body));
	}
	buf_printf(&text, "\r\n%s", body);
	test_client_open(&client, &fixture->web);
	test_client_send(&client, buf_text(&text));
	TEST_UNTIL(&fixture->web, !client.stream);
	return client.received;
}

/* Asserts status and body of an answer. */
static void expect_to(struct fixture *fixture, const char *request, const char *body, int status,
	const char *expected) {
	AUTO(buf_deinit) struct buf answer = talk(fixture, request, "", body);
	char status_line[40];

	(void)snprintf(status_line, sizeof(status_line), "HTTP/1.1 %d ", status);
	const char *start = strstr(buf_text(&answer), "\r\n\r\n");
	assert_non_null(start);
	if (!str_starts(buf_str(&answer), str_of(status_line)) ||
		strcmp(start + 4, expected) != 0) {
		fail_msg("%s gave\n%s\ninstead of %d\n%s", request, buf_text(&answer), status,
			expected);
	}
}

static void expect(struct fixture *fixture, const char *request, int status, const char *expected) {
	expect_to(fixture, request, "", status, expected);
}

#define SUCCESS(data) "{\"status\":\"success\",\"data\":" data "}"
#define FAILURE(type, text)                                                                        \
	"{\"status\":\"error\",\"errorType\":\"" type "\",\"error\":\"" text "\"}"
#define ATTIC "{\"__name__\":\"temp\",\"room\":\"at\\\"tic\"}"

static void answers_queries_as_prometheus_does(void **state) {
	struct fixture fixture;

	(void)state;
	open_api(&fixture, 10);
	expect(&fixture, "GET /api/v1/query?query=temp&time=1.5", 200,
		SUCCESS("{\"resultType\":\"vector\",\"result\":[{\"metric\":" ATTIC
			",\"value\":[1.500,\"21.5\"]}]}"));
	expect(&fixture, "GET /api/v1/query_range?query=temp&start=0&end=61&step=30s", 200,
		SUCCESS("{\"resultType\":\"matrix\",\"result\":[{\"metric\":" ATTIC
			",\"values\":[[0,\"21.5\"],[30,\"21.5\"],[60,\"21.5\"]]}]}"));
	assert_int_equal(fixture.fake.last.end_ms, 61000);
	expect_to(&fixture, "POST /api/v1/query?query=sum(", "query=temp&time=2", 200,
		SUCCESS("{\"resultType\":\"vector\",\"result\":[{\"metric\":" ATTIC
			",\"value\":[2,\"21.5\"]}]}"));
	close_api(&fixture);
}

static void fails_as_prometheus_does(void **state) {
	struct fixture fixture;

	(void)state;
	open_api(&fixture, 10);
	expect(&fixture, "GET /api/v1/query?query=sum(", 400,
		FAILURE("bad_data", "invalid parameter \\\"query\\\": 1:5: parse error: unclosed "
				    "left parenthesis"));
	expect(&fixture, "GET /api/v1/query?query=dup", 422,
		FAILURE("execution", "found duplicate series"));
	expect(&fixture, "GET /api/v1/query?query=late", 503,
		FAILURE("timeout", "query timed out in expression evaluation"));
	expect(&fixture, "GET /api/v1/query?query=temp&time=x", 400,
		FAILURE("bad_data", "invalid parameter \\\"time\\\": Invalid time value for "
				    "'time': cannot parse \\\"x\\\" to a valid timestamp"));
	expect(&fixture, "GET /api/v1/query?query=%zz", 400,
		FAILURE("bad_data", "error parsing form values: invalid URL escape \\\"%zz\\\""));
	expect(&fixture, "GET /api/v1/query_range?query=temp&start=0&end=1", 400,
		FAILURE("bad_data", "invalid parameter \\\"step\\\": cannot parse \\\"\\\" to a "
				    "valid duration"));
	expect(&fixture, "GET /api/v1/nothing", 404, "404 page not found\n");
	expect(&fixture, "PUT /api/v1/query", 405, "Method Not Allowed\n");
	close_api(&fixture);
}

static void warns_of_a_limit_only_when_it_cut(void **state) {
	AUTO(buf_deinit) struct buf answer = { 0 };
	struct fixture fixture;

	(void)state;
	open_api(&fixture, 10);
	answer = talk(&fixture, "GET /api/v1/query?query=many&limit=3", "", "");
	assert_non_null(strstr(
		buf_text(&answer), "]}]},\"warnings\":[\"results truncated due to limit\"]}"));
	expect(&fixture, "GET /api/v1/labels?limit=2", 200,
		"{\"status\":\"success\",\"data\":[\"__name__\",\"job\"],"
		"\"warnings\":[\"results truncated due to limit\"]}");
	expect(&fixture, "GET /api/v1/labels?limit=3", 200,
		SUCCESS("[\"__name__\",\"job\",\"room\"]"));
	expect(&fixture, "GET /api/v1/query?query=warn", 200,
		"{\"status\":\"success\",\"data\":{\"resultType\":\"vector\",\"result\":[]},"
		"\"warnings\":[\"cluster \\\"x\\\" is down\"]}");
	close_api(&fixture);
}

static void finds_series_and_names(void **state) {
	struct fixture fixture;

	(void)state;
	open_api(&fixture, 10);
	expect_to(&fixture, "POST /api/v1/series?match[]=temp", "match[]=up", 200,
		SUCCESS("[" ATTIC "," ATTIC "]"));
	expect(&fixture, "GET /api/v1/series", 400,
		FAILURE("bad_data", "no match[] parameter provided"));
	expect(&fixture, "GET /api/v1/series?match[]={}", 400,
		FAILURE("bad_data", "invalid parameter \\\"match[]\\\": match[] must contain at "
				    "least one non-empty matcher"));
	expect(&fixture, "GET /api/v1/labels?match[]={}", 400,
		FAILURE("bad_data", "match[] must contain at least one non-empty matcher"));
	expect(&fixture, "GET /api/v1/label/room/values", 200, SUCCESS("[\"room\"]"));
	expect(&fixture, "GET /api/v1/label/U__service_2e_name/values", 200,
		SUCCESS("[\"service.name\"]"));
	expect(&fixture, "GET /api/v1/label/service.name/values", 200,
		SUCCESS("[\"service.name\"]"));
	expect(&fixture, "GET /api/v1/label/%ff/values", 400,
		FAILURE("bad_data", "invalid label name: \\\"\xef\xbf\xbd\\\""));
	close_api(&fixture);
}

static void passes_documents_on(void **state) {
	struct fixture fixture;

	(void)state;
	open_api(&fixture, 10);
	expect(&fixture, "GET /api/v1/metadata?limit=1", 200,
		SUCCESS("{\"path\":\"metadata\",\"args\":\"limit=1\"}"));
	expect(&fixture, "GET /api/v1/targets", 200,
		SUCCESS("{\"path\":\"targets\",\"args\":\"\"}"));
	expect(&fixture, "GET /api/v1/metadata?limit=x", 400,
		FAILURE("bad_data", "limit must be a number"));
	close_api(&fixture);
}

static void has_no_rules_alerts_or_exemplars(void **state) {
	struct fixture fixture;

	(void)state;
	open_api(&fixture, 10);
	expect(&fixture, "GET /api/v1/rules?type=alert", 200, SUCCESS("{\"groups\":[]}"));
	expect(&fixture, "GET /api/v1/rules?type=x", 400,
		FAILURE("bad_data",
			"invalid parameter \\\"type\\\": not supported value \\\"x\\\""));
	expect(&fixture, "GET /api/v1/alerts", 200, SUCCESS("{\"alerts\":[]}"));
	expect(&fixture, "GET /api/v1/query_exemplars?query=up&start=1&end=2", 200, SUCCESS("[]"));
	expect(&fixture, "GET /api/v1/query_exemplars?query=up&start=2&end=1", 400,
		FAILURE("bad_data", "end timestamp must not be before start timestamp"));
	expect(&fixture, "GET /api/v1/query_exemplars?query=sum(", 400,
		FAILURE("bad_data", "1:5: parse error: unclosed left parenthesis"));
	close_api(&fixture);
}

static void tells_about_itself(void **state) {
	AUTO(buf_deinit) struct buf runtime = { 0 };
	AUTO(buf_deinit) struct buf build = { 0 };
	AUTO(buf_deinit) struct buf metrics = { 0 };
	struct fixture fixture;

	(void)state;
	open_api(&fixture, 10);
	expect(&fixture, "GET /api/v1/status/config", 200,
		SUCCESS("{\"yaml\":\"global:\\n  scrape_interval: 1s\\n\"}"));
	expect(&fixture, "GET /api/v1/status/flags", 200, SUCCESS("{\"query.timeout\":\"2m\"}"));
	expect(&fixture, "GET /-/healthy", 200, "Prometheus Server is Healthy.\n");
	expect(&fixture, "GET /-/ready", 200, "Prometheus Server is Ready.\n");
	expect(&fixture, "HEAD /-/healthy", 200, "");
	runtime = talk(&fixture, "GET /api/v1/status/runtimeinfo", "", "");
	assert_non_null(
		strstr(buf_text(&runtime), "{\"startTime\":\"1970-01-01T00:00:01Z\",\"CWD\":\"/"));
	assert_non_null(strstr(buf_text(&runtime), "\"storageRetention\":\"2d\"}"));
	build = talk(&fixture, "GET /api/v1/status/buildinfo", "", "");
	assert_non_null(strstr(buf_text(&build), "\"application\":\"atoll\""));
	metrics = talk(&fixture, "GET /metrics", "", "");
	assert_non_null(strstr(buf_text(&metrics), "Content-Type: text/plain; version=0.0.4"));
	assert_non_null(strstr(buf_text(&metrics), "# TYPE atoll_api_requests_under_way gauge\n"));
	close_api(&fixture);
}

static void turns_requests_away_until_ready(void **state) {
	AUTO(buf_deinit) struct buf stopping = { 0 };
	struct fixture fixture;

	(void)state;
	open_api(&fixture, 10);
	api_set_ready(fixture.api, false);
	expect(&fixture, "GET /api/v1/query?query=temp", 503, "Service Unavailable");
	expect(&fixture, "GET /-/ready", 503, "Service Unavailable");
	expect(&fixture, "GET /-/healthy", 200, "Prometheus Server is Healthy.\n");
	stopping = talk(&fixture, "GET /-/ready", "", "");
	assert_non_null(strstr(buf_text(&stopping), "X-Prometheus-Stopping: true\r\n"));
	close_api(&fixture);
}

static void lets_other_origins_in_as_configured(void **state) {
	static const char allow[] = "Access-Control-Allow-Origin: ";
	AUTO(buf_deinit) struct buf known = { 0 };
	AUTO(buf_deinit) struct buf unknown = { 0 };
	AUTO(buf_deinit) struct buf preflight = { 0 };
	struct fixture fixture;

	(void)state;
	open_api(&fixture, 10);
	known = talk(&fixture, "GET /api/v1/labels", "Origin: http://one.example\r\n", "");
	assert_non_null(
		strstr(buf_text(&known), "Access-Control-Allow-Origin: http://one.example\r\n"));
	assert_non_null(strstr(buf_text(&known), "Vary: Origin, Accept, Accept-Encoding\r\n"));
	unknown = talk(&fixture, "GET /api/v1/labels", "Origin: http://evil.example\r\n", "");
	assert_null(strstr(buf_text(&unknown), allow));
	preflight = talk(&fixture, "OPTIONS /api/v1/query", "Origin: https://two.example\r\n", "");
	assert_non_null(strstr(buf_text(&preflight), "HTTP/1.1 204 No Content\r\n"));
	assert_non_null(strstr(
		buf_text(&preflight), "Access-Control-Allow-Methods: GET, POST, OPTIONS\r\n"));
	close_api(&fixture);
}

static void compresses_large_answers_on_request(void **state) {
	AUTO(buf_deinit) struct buf small = { 0 };
	AUTO(buf_deinit) struct buf large = { 0 };
	AUTO(buf_deinit) struct buf plain = { 0 };
	AUTO(buf_deinit) struct buf unpacked = { 0 };
	struct fixture fixture;
	struct err err = { 0 };

	(void)state;
	open_api(&fixture, 10);
	small = talk(&fixture, "GET /api/v1/labels", "Accept-Encoding: gzip\r\n", "");
	assert_null(strstr(buf_text(&small), "Content-Encoding"));
	plain = talk(&fixture, "GET /api/v1/query?query=many&time=1", "", "");
	large = talk(
		&fixture, "GET /api/v1/query?query=many&time=1", "Accept-Encoding: gzip\r\n", "");
	assert_non_null(strstr(buf_text(&large), "Content-Encoding: gzip\r\n"));
	const char *start = strstr(buf_text(&large), "\r\n\r\n") + 4;
	struct str body = str_from(buf_str(&large), (size_t)(start - large.ptr));
	assert_ok(decompress_body(COMPRESSION_GZIP, body, 1 << 20, &unpacked, &err), err);
	assert_string_equal(buf_text(&unpacked), strstr(buf_text(&plain), "\r\n\r\n") + 4);
	assert_true(large.len * 5 < plain.len);
	close_api(&fixture);
}

static void an_answer_that_is_too_long_names_the_setting(void **state) {
	struct fixture fixture;

	(void)state;
	/* The result takes 2 MB, its text more. */
	open_limited(&fixture, 10, 6 << 20);
	AUTO(buf_deinit)
	struct buf answer =
		talk(&fixture, "GET /api/v1/query_range?query=many&start=0&end=199&step=1", "", "");
	assert_non_null(strstr(buf_text(&answer), "HTTP/1.1 422 "));
	assert_non_null(strstr(buf_text(&answer), "raise --query.max-memory-per-query"));
	AUTO(buf_deinit)
	struct buf shorter =
		talk(&fixture, "GET /api/v1/query_range?query=many&start=0&end=19&step=1", "", "");
	assert_non_null(strstr(buf_text(&shorter), "HTTP/1.1 200 "));
	close_api(&fixture);
}

static void cancels_the_query_of_a_client_that_left(void **state) {
	struct fixture fixture;
	struct test_client client;

	(void)state;
	open_api(&fixture, 10);
	test_client_open(&client, &fixture.web);
	test_client_send(&client, "GET /api/v1/query?query=slow HTTP/1.1\r\nHost: a\r\n\r\n");
	TEST_UNTIL(&fixture.web, atomic_load(&fixture.fake.is_waiting));
	test_client_close(&client);
	TEST_UNTIL(&fixture.web, atomic_load(&fixture.fake.was_canceled));
	close_api(&fixture);
}

static void refuses_when_too_many_wait(void **state) {
	struct fixture fixture;
	struct test_client running;
	struct test_client waiting;

	(void)state;
	open_api(&fixture, 1);
	test_client_open(&running, &fixture.web);
	test_client_send(&running, "GET /api/v1/query?query=slow HTTP/1.1\r\nHost: a\r\n\r\n");
	TEST_UNTIL(&fixture.web, atomic_load(&fixture.fake.is_waiting));
	test_client_open(&waiting, &fixture.web);
	test_client_send(&waiting, "GET /api/v1/query?query=temp HTTP/1.1\r\nHost: a\r\n\r\n");
	TEST_UNTIL(&fixture.web, pool_queued(fixture.pool) == 1);
	expect(&fixture, "GET /api/v1/query?query=temp", 503,
		FAILURE("unavailable", "too many queries are waiting; raise "
				       "--query.max-concurrency or ask less"));
	atomic_store(&fixture.fake.release, true);
	TEST_UNTIL(&fixture.web, test_client_has(&waiting, "21.5"));
	TEST_UNTIL(&fixture.web, test_client_has(&running, "HTTP/1.1 499 "));
	test_client_close(&running);
	test_client_close(&waiting);
	close_api(&fixture);
}

static void closing_while_a_query_runs_is_safe(void **state) {
	struct fixture fixture;
	struct test_client client;

	(void)state;
	open_api(&fixture, 10);
	test_client_open(&client, &fixture.web);
	test_client_send(&client, "GET /api/v1/query?query=slow HTTP/1.1\r\nHost: a\r\n\r\n");
	TEST_UNTIL(&fixture.web, atomic_load(&fixture.fake.is_waiting));
	http_server_close(fixture.web.server);
	fixture.web.server = NULL;
	TEST_UNTIL(&fixture.web, atomic_load(&fixture.fake.was_canceled) && !client.stream);
	pool_free(fixture.pool);
	test_client_close(&client);
	test_server_close(&fixture.web);
	router_free(fixture.router);
	api_free(fixture.api);
	metric_registry_free(fixture.metrics);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(answers_queries_as_prometheus_does),
		TEST(fails_as_prometheus_does),
		TEST(warns_of_a_limit_only_when_it_cut),
		TEST(finds_series_and_names),
		TEST(passes_documents_on),
		TEST(has_no_rules_alerts_or_exemplars),
		TEST(tells_about_itself),
		TEST(turns_requests_away_until_ready),
		TEST(lets_other_origins_in_as_configured),
		TEST(compresses_large_answers_on_request),
		TEST(an_answer_that_is_too_long_names_the_setting),
		TEST(cancels_the_query_of_a_client_that_left),
		TEST(refuses_when_too_many_wait),
		TEST(closing_while_a_query_runs_is_safe),
	};

	return TEST_RUN(tests);
}
