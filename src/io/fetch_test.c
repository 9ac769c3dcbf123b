#include "io/fetch.h"

#include "base/memory.h"
#include "base/test.h"
#include "io/test_folder.h"
#include "io/test_pair.h"

#include <signal.h>
#include <zlib.h>

/* A server that answers every request on a connection with the same bytes, and the fetch's fate. */
struct scene {
	struct clock clock;
	struct loop *loop;
	struct fetcher *fetcher;
	struct test_server server;
	struct buf answer;
	bool closes;    /* After the answer. */
	bool is_silent; /* No answer at all. */
	struct buf url;
	struct fetch *fetch;
	int heads;
	int done;
	int status;
	bool has_failed;
	struct err failure;
	struct buf content_type;
	struct buf body;
	struct buf streamed;
	uint64_t wire_bytes;
	int pauses;
};

static void answer(struct test_end *end) {
	struct test_server *server = CONTAINER_OF(end, struct test_server, end);
	struct scene *scene = CONTAINER_OF(server, struct scene, server);
	bool is_whole = str_ends(buf_str(&end->received), STR("\r\n\r\n")) ||
			str_ends(buf_str(&end->received), STR("\r\n\r\nthe body"));
	if (!is_whole || scene->is_silent) {
		return;
	}
	stream_write(end->stream, scene->answer.ptr, scene->answer.len);
	if (scene->closes) {
		stream_close(end->stream);
	}
}

static void scene_init(struct scene *scene, const char *head, const char *body) {
	*scene = (struct scene){ 0 };
	clock_init_manual(&scene->clock, 0);
	scene->loop = loop_new(&scene->clock);
	scene->fetcher = fetcher_new(scene->loop);
	scene->server.end.on_data = answer;
	test_server_open(&scene->server, scene->loop, NULL);
	buf_printf(&scene->url, "http://127.0.0.1:%u/metrics?a=b",
		listener_port(scene->server.listener));
	buf_printf(&scene->answer, "HTTP/1.1 %s\r\nContent-Length: %zu\r\n\r\n%s", head,
		strlen(body), body);
}

static void scene_deinit(struct scene *scene) {
	fetcher_free(scene->fetcher);
	test_end_deinit(&scene->server.end);
	listener_close(scene->server.listener);
	loop_free(scene->loop);
	buf_deinit(&scene->answer);
	buf_deinit(&scene->url);
	buf_deinit(&scene->content_type);
	buf_deinit(&scene->body);
	buf_deinit(&scene->streamed);
}

static void on_head(struct fetch *fetch, int status, struct str content_type) {
	struct scene *scene = fetch_context(fetch);
	assert_true(status >= 200);
	assert_true(content_type.len < 100);
	scene->heads++;
}

static void on_done(struct fetch *fetch, const struct fetch_result *result) {
	struct scene *scene = fetch_context(fetch);
	scene->fetch = NULL;
	scene->done++;
	scene->status = result->status;
	scene->has_failed = result->failure;
	if (result->failure) {
		scene->failure = *result->failure;
	}
	buf_reset(&scene->content_type);
	buf_add_str(&scene->content_type, result->content_type);
	buf_reset(&scene->body);
	buf_add_str(&scene->body, result->body);
	scene->wire_bytes = result->wire_bytes;
	fetch_cancel(fetch); /* Does nothing any more. */
}

static void start(struct scene *scene, struct fetch_request request) {
	request.url = request.url ? request.url : buf_text(&scene->url);
	request.context = scene;
	request.on_head = on_head;
	request.on_done = on_done;
	scene->fetch = fetch_start(scene->fetcher, &request);
}

static void run(struct scene *scene, struct fetch_request request) {
	int before = scene->done;
	start(scene, request);
	TEST_RUN_UNTIL(scene->loop, scene->done > before);
}

static void sends_what_was_asked_and_collects_the_answer(void **state) {
	(void)state;
	struct scene scene;
	scene_init(&scene, "200 OK\r\nContent-Type: text/plain; version=0.0.4", "up 1\n");
	const char *const headers[] = { "X-Test: yes", "Accept: text/plain", NULL };

	run(&scene, (struct fetch_request){ .headers = headers, .user = "me", .password = "pw" });
	assert_false(scene.has_failed);
	assert_int_equal(scene.status, 200);
	assert_int_equal(scene.heads, 1);
	assert_str_equal(buf_str(&scene.content_type), STR("text/plain; version=0.0.4"));
	assert_str_equal(buf_str(&scene.body), STR("up 1\n"));
	assert_int_equal(scene.wire_bytes, scene.answer.len);
	const char *request = buf_text(&scene.server.end.received);
	assert_ptr_equal(strstr(request, "GET /metrics?a=b HTTP/1.1\r\n"), request);
	assert_non_null(strstr(request, "\r\nX-Test: yes\r\n"));
	assert_non_null(strstr(request, "\r\nAccept: text/plain\r\n"));
	assert_non_null(strstr(request, "\r\nAuthorization: Basic bWU6cHc=\r\n"));
	assert_non_null(strstr(request, "\r\nUser-Agent: atoll/"));
	assert_null(strstr(request, "Expect"));
	scene_deinit(&scene);
}

static void posts_a_body_and_reuses_the_connection(void **state) {
	(void)state;
	struct scene scene;
	scene_init(&scene, "204 No Content", "");
	const char *const headers[] = { "Content-Type: application/x-protobuf", NULL };

	for (int i = 0; i < 2; i++) {
		run(&scene,
			(struct fetch_request){
				.method = "POST", .headers = headers, .body = STR("the body") });
		assert_false(scene.has_failed);
		assert_int_equal(scene.status, 204);
	}
	assert_int_equal(scene.server.accepts, 1);
	const char *request = buf_text(&scene.server.end.received);
	assert_ptr_equal(strstr(request, "POST /metrics?a=b HTTP/1.1\r\n"), request);
	assert_non_null(strstr(request, "Content-Type: application/x-protobuf\r\n"));
	assert_non_null(strstr(request, "Content-Length: 8\r\n"));
	scene_deinit(&scene);
}

static void gives_error_answers_as_answers(void **state) {
	(void)state;
	struct scene scene;
	scene_init(&scene, "503 Service Unavailable", "not now");
	run(&scene, (struct fetch_request){ 0 });
	assert_false(scene.has_failed);
	assert_int_equal(scene.status, 503);
	assert_str_equal(buf_str(&scene.body), STR("not now"));
	scene_deinit(&scene);
}

static void follows_redirects_only_if_told(void **state) {
	(void)state;
	struct scene scene;
	scene_init(&scene, "302 Found\r\nLocation: /elsewhere", "");
	run(&scene, (struct fetch_request){ 0 });
	assert_int_equal(scene.status, 302);
	assert_int_equal(scene.heads, 1);
	run(&scene, (struct fetch_request){ .follow_redirects = true });
	assert_true(scene.has_failed);
	assert_non_null(strstr(scene.failure.text, "Maximum (10) redirects followed"));
	assert_non_null(strstr(buf_text(&scene.server.end.received), "GET /elsewhere "));
	scene_deinit(&scene);
}

static void does_not_leave_http_by_a_redirect(void **state) {
	(void)state;
	struct scene scene;
	scene_init(&scene, "302 Found\r\nLocation: file:///etc/passwd", "");
	run(&scene, (struct fetch_request){ .follow_redirects = true });
	assert_true(scene.has_failed);
	assert_int_equal(scene.failure.code, ERR_INVAL);
	scene_deinit(&scene);
}

/* Replaces the answer by 'size' bytes of zeroes, compressed. */
static void answer_compressed(struct scene *scene, size_t size) {
	char *plain = memory_alloc(1, size);
	z_stream stream = { 0 };
	size_t room = size / 100 + 1000;
	char *packed = memory_alloc(1, room);
	assert_int_equal(
		deflateInit2(&stream, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
	stream.next_in = (Bytef *)plain;
	stream.avail_in = (uInt)size;
	stream.next_out = (Bytef *)packed;
	stream.avail_out = (uInt)room;
	assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
	buf_reset(&scene->answer);
	buf_printf(&scene->answer,
		"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %lu\r\n\r\n",
		stream.total_out);
	buf_append(&scene->answer, packed, stream.total_out);
	assert_int_equal(deflateEnd(&stream), Z_OK);
	free(plain);
	free(packed);
}

static void decodes_and_counts_what_was_on_the_wire(void **state) {
	(void)state;
	struct scene scene;
	scene_init(&scene, "200 OK", "");
	answer_compressed(&scene, 1000000);
	run(&scene, (struct fetch_request){ .decode = true });
	assert_false(scene.has_failed);
	assert_int_equal(scene.body.len, 1000000);
	assert_int_equal(scene.wire_bytes, scene.answer.len);
	assert_non_null(strstr(
		buf_text(&scene.server.end.received), "\r\nAccept-Encoding: gzip, zstd\r\n"));
	scene_deinit(&scene);
}

static void limits_the_body_after_decoding(void **state) {
	(void)state;
	struct scene scene;
	scene_init(&scene, "200 OK", "");
	answer_compressed(&scene, 1000000);
	run(&scene, (struct fetch_request){ .decode = true, .body_bytes_max = 999999 });
	assert_true(scene.has_failed);
	assert_int_equal(scene.failure.code, ERR_LIMIT);
	assert_non_null(strstr(scene.failure.text, "999999 bytes"));
	assert_true(scene.body.len <= 999999);
	scene_deinit(&scene);
}

static void gives_up_in_time(void **state) {
	(void)state;
	struct scene scene;
	scene_init(&scene, "200 OK", "");
	scene.is_silent = true;
	start(&scene, (struct fetch_request){ .timeout_ms = 1000 });
	TEST_RUN_UNTIL(scene.loop, scene.server.end.received.len > 0);
	clock_advance_ms(&scene.clock, 999);
	loop_run_once(scene.loop);
	assert_int_equal(scene.done, 0);
	clock_advance_ms(&scene.clock, 1);
	loop_run_once(scene.loop);
	assert_int_equal(scene.done, 1);
	assert_int_equal(scene.failure.code, ERR_TIMEOUT);
	assert_string_equal(scene.failure.text, "no complete answer within 1000 ms");
	scene_deinit(&scene);
}

static void says_why_it_failed(void **state) {
	(void)state;
	struct scene scene;
	scene_init(&scene, "200 OK", "");
	run(&scene, (struct fetch_request){ .url = "http://no-such-host.invalid/" });
	assert_int_equal(scene.failure.code, ERR_IO);
	assert_non_null(strstr(scene.failure.text, "no-such-host.invalid"));
	run(&scene, (struct fetch_request){ .url = "http://[" });
	assert_int_equal(scene.failure.code, ERR_INVAL);
	run(&scene, (struct fetch_request){ .url = "file:///etc/passwd" });
	assert_int_equal(scene.failure.code, ERR_INVAL);
	listener_close(scene.server.listener);
	run(&scene, (struct fetch_request){ 0 });
	assert_int_equal(scene.failure.code, ERR_IO);
	assert_non_null(strstr(scene.failure.text, "Connection refused"));
	assert_int_equal(scene.status, 0);
	scene.server.listener = NULL;
	scene_deinit(&scene);
}

static void tells_an_answer_that_breaks_off(void **state) {
	(void)state;
	struct scene scene;
	scene_init(&scene, "200 OK", "cut");
	scene.answer.len--;
	scene.closes = true;
	run(&scene, (struct fetch_request){ 0 });
	assert_true(scene.has_failed);
	assert_int_equal(scene.failure.code, ERR_CLOSED);
	assert_int_equal(scene.status, 200);
	scene_deinit(&scene);
}

static void refuses_an_answer_of_two_lengths(void **state) {
	(void)state;
	struct scene scene;
	scene_init(&scene, "200 OK\r\nContent-Length: 9", "up 1\n");
	run(&scene, (struct fetch_request){ 0 });
	assert_true(scene.has_failed);
	assert_string_equal(scene.failure.text, "the answer says two different content lengths");
	scene_deinit(&scene);
}

static bool take_and_pause(struct fetch *fetch, struct str bytes) {
	struct scene *scene = fetch_context(fetch);
	buf_add_str(&scene->streamed, bytes);
	scene->pauses++;
	return false;
}

static void streams_a_body_with_pauses(void **state) {
	(void)state;
	struct scene scene;
	size_t size = 300000;
	scene_init(&scene, "200 OK", "");
	answer_compressed(&scene, size);
	struct fetch_request request = { .decode = true, .on_data = take_and_pause };
	start(&scene, request);
	TEST_RUN_UNTIL(scene.loop, scene.pauses == 1);
	for (int i = 0; i < 50; i++) {
		loop_run_once(scene.loop);
	}
	assert_int_equal(scene.pauses, 1);
	assert_int_equal(scene.done, 0);
	while (!scene.done) {
		fetch_resume(scene.fetch);
		loop_run_once(scene.loop);
	}
	assert_false(scene.has_failed);
	assert_int_equal(scene.streamed.len, size);
	assert_int_equal(scene.body.len, 0);
	scene_deinit(&scene);
}

static bool cancel_itself(struct fetch *fetch, struct str bytes) {
	struct scene *scene = fetch_context(fetch);
	buf_add_str(&scene->streamed, bytes);
	fetch_cancel(fetch);
	scene->fetch = NULL;
	return true;
}

static void may_be_canceled_at_any_time(void **state) {
	(void)state;
	struct scene scene;
	scene_init(&scene, "200 OK", "some bytes");
	start(&scene, (struct fetch_request){ 0 });
	fetch_cancel(scene.fetch);
	for (int i = 0; i < 20; i++) {
		loop_run_once(scene.loop);
	}
	assert_int_equal(scene.server.accepts, 0);
	start(&scene, (struct fetch_request){ .on_data = cancel_itself });
	TEST_RUN_UNTIL(scene.loop, scene.streamed.len > 0);
	start(&scene, (struct fetch_request){ .url = "http://no-such-host.invalid/" });
	loop_run_once(scene.loop);
	fetch_cancel(scene.fetch);
	start(&scene, (struct fetch_request){ 0 });
	for (int i = 0; i < 20; i++) {
		loop_run_once(scene.loop);
	}
	/* The last one is left to fetcher_free. */
	assert_true(scene.done <= 1);
	scene_deinit(&scene);
}

static void start_another(struct fetch *fetch, const struct fetch_result *result) {
	struct scene *scene = fetch_context(fetch);
	assert_null(result->failure);
	start(scene, (struct fetch_request){ 0 });
}

static void may_start_another_when_done(void **state) {
	(void)state;
	struct scene scene;
	scene_init(&scene, "200 OK", "x");
	struct fetch_request request = {
		.url = buf_text(&scene.url), .context = &scene, .on_done = start_another
	};
	(void)fetch_start(scene.fetcher, &request);
	TEST_RUN_UNTIL(scene.loop, scene.done == 1);
	assert_false(scene.has_failed);
	scene_deinit(&scene);
}

static void uses_no_proxy_of_the_environment(void **state) {
	(void)state;
	struct scene scene;
	scene_init(&scene, "200 OK", "direct");
	// NOLINTNEXTLINE(concurrency-mt-unsafe): before any other thread
	assert_int_equal(setenv("http_proxy", "http://127.0.0.1:1/", 1), 0);
	run(&scene, (struct fetch_request){ 0 });
	assert_false(scene.has_failed);
	/* One that the request names is used, whatever the environment says. */
	AUTO(buf_deinit) struct buf proxy = { 0 };
	buf_printf(&proxy, "http://127.0.0.1:%u/", listener_port(scene.server.listener));
	// NOLINTNEXTLINE(concurrency-mt-unsafe): as above
	assert_int_equal(setenv("no_proxy", "*", 1), 0);
	run(&scene, (struct fetch_request){
			    .url = "http://far.invalid/x", .proxy_url = buf_text(&proxy) });
	assert_false(scene.has_failed);
	assert_non_null(
		strstr(buf_text(&scene.server.end.received), "GET http://far.invalid/x HTTP/1.1"));
	scene_deinit(&scene);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(sends_what_was_asked_and_collects_the_answer),
		TEST(posts_a_body_and_reuses_the_connection),
		TEST(gives_error_answers_as_answers),
		TEST(follows_redirects_only_if_told),
		TEST(does_not_leave_http_by_a_redirect),
		TEST(decodes_and_counts_what_was_on_the_wire),
		TEST(limits_the_body_after_decoding),
		TEST(gives_up_in_time),
		TEST(says_why_it_failed),
		TEST(tells_an_answer_that_breaks_off),
		TEST(refuses_an_answer_of_two_lengths),
		TEST(streams_a_body_with_pauses),
		TEST(may_be_canceled_at_any_time),
		TEST(may_start_another_when_done),
		TEST(uses_no_proxy_of_the_environment),
	};
	return TEST_RUN(tests);
}
