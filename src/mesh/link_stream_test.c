#include "mesh/link_stream.h"

#include "mesh/test_world.h"

/* A stream under way: begun and told of on the loop, looked at by the test once it has ended. */
struct flow {
	struct world *world;
	const char *export_name;
	struct http_request http;
	struct link_stream *stream;
	size_t hold_at; /* No more is taken from so many bytes on; 0: never. */
	bool is_held;

	int start_rc;
	int status;
	size_t bytes;
	struct err failure;
	unsigned heads;
	unsigned holds;
	unsigned ends;
};

static void on_head(void *context, int status, const struct http_headers *headers) {
	struct flow *flow = context;
	(void)headers;
	flow->status = status;
	world_tell(flow->world, &flow->heads);
}

static bool on_data(void *context, struct str bytes) {
	struct flow *flow = context;
	flow->bytes += bytes.len;
	if (flow->hold_at > 0 && flow->bytes >= flow->hold_at && !flow->is_held) {
		flow->is_held = true;
		world_tell(flow->world, &flow->holds);
	}
	return !flow->is_held;
}

static void on_end(void *context, const struct err *failure) {
	struct flow *flow = context;
	flow->stream = NULL;
	if (failure) {
		flow->failure = *failure;
	}
	world_tell(flow->world, &flow->ends);
}

static const struct link_stream_ops ops = {
	.on_head = on_head,
	.on_data = on_data,
	.on_end = on_end,
};

static void begin(void *context) {
	struct flow *flow = context;
	const struct link_stream_request request = {
		.cluster = STR("west"),
		.export_name = str_of(flow->export_name),
		.http = &flow->http,
		.timeout_ms = 10000,
	};
	flow->start_rc = link_stream_start(
		flow->world->links, &request, &ops, flow, &flow->stream, &flow->failure);
	if (flow->start_rc < 0) {
		world_tell(flow->world, &flow->ends);
	}
}

static struct flow make(struct world *world, const char *target) {
	return (struct flow){ .world = world,
		.export_name = "prometheus",
		.http = { .method = STR("GET"), .target = str_of(target) } };
}

static void start(struct flow *flow) {
	assert_true(loop_post(flow->world->loop, begin, flow));
}

static void wait_end(struct flow *flow) {
	world_wait_count(flow->world, &flow->ends, 0);
}

static void resume(void *context) {
	struct flow *flow = context;
	flow->is_held = false;
	flow->hold_at = 0;
	link_stream_resume(flow->stream);
}

static void cancel(void *context) {
	struct flow *flow = context;
	link_stream_cancel(flow->stream);
	flow->stream = NULL;
	world_tell(flow->world, &flow->ends);
}

static void an_answer_comes_in_pieces(void **state) {
	(void)state;
	struct world world;
	world_init(&world);
	/* Begun before the link is up. */
	struct flow flow = make(&world, "/api/v1/series");
	start(&flow);
	wait_end(&flow);
	assert_int_equal(0, flow.failure.code);
	assert_int_equal(200, flow.status);
	assert_int_equal(TEST_LARGE_BYTES, flow.bytes);
	world_deinit(&world);
}

static void a_reader_that_waits_holds_the_service_back(void **state) {
	(void)state;
	struct world world;
	world_init(&world);
	struct flow flow = make(&world, "/api/v1/series");
	flow.hold_at = 100000;
	start(&flow);
	world_wait_count(&world, &flow.holds, 0);
	/* Another goes past it over the same session. */
	struct flow other = make(&world, "/api/v1/query");
	start(&other);
	wait_end(&other);
	assert_int_equal(200, other.status);
	assert_int_equal(0, flow.ends);
	assert_true(loop_post(world.loop, resume, &flow));
	wait_end(&flow);
	assert_int_equal(0, flow.failure.code);
	assert_int_equal(TEST_LARGE_BYTES, flow.bytes);
	world_deinit(&world);
}

static void a_canceled_stream_ends_at_the_service_too(void **state) {
	(void)state;
	struct world world;
	world_init(&world);
	struct flow flow = make(&world, "/api/v1/labels");
	start(&flow);
	world_wait_count(&world, &world.asked, 0);
	assert_true(loop_post(world.loop, cancel, &flow));
	wait_end(&flow);
	world_wait_count(&world, &world.aborted, 0);
	world_deinit(&world);
}

static void what_is_not_there_is_said_at_once(void **state) {
	(void)state;
	struct world world;
	AUTO(arena_deinit) struct arena arena = { 0 };
	world_init(&world);
	(void)world_wait_link(&world, "west", world_is_up, &arena);
	struct flow flow = make(&world, "/api/v1/query");
	flow.export_name = "nothing";
	start(&flow);
	wait_end(&flow);
	assert_int_equal(ERR_INVAL, flow.start_rc);
	assert_non_null(strstr(flow.failure.text, "exports no \"nothing\""));
	world_deinit(&world);
}

static void a_link_that_breaks_ends_its_streams(void **state) {
	(void)state;
	struct world world;
	world_init(&world);
	struct flow flow = make(&world, "/api/v1/labels");
	start(&flow);
	world_wait_count(&world, &world.asked, 0);
	world_do(&world, world_close_gateway);
	wait_end(&flow);
	assert_true(flow.failure.code < 0);
	assert_non_null(strstr(flow.failure.text, "link to west: "));
	world_deinit(&world);
}

static void shutting_down_ends_streams(void **state) {
	(void)state;
	struct world world;
	world_init(&world);
	struct flow flow = make(&world, "/api/v1/labels");
	start(&flow);
	world_wait_count(&world, &world.asked, 0);
	world_deinit(&world);
	assert_int_equal(ERR_CLOSED, flow.failure.code);
}

static void start_some(void *context) {
	struct flow *flows = context;
	for (size_t i = 0; i < LINK_STREAMS_MAX; i++) {
		begin(&flows[i]);
	}
}

/* The gateway of the world lets 2 through at once. */
static void more_at_once_than_the_gateway_allows_take_turns(void **state) {
	(void)state;
	static struct flow flows[LINK_STREAMS_MAX];
	struct world world;
	AUTO(arena_deinit) struct arena arena = { 0 };
	AUTO(buf_deinit) struct buf metrics = { 0 };
	world_init(&world);
	(void)world_wait_link(&world, "west", world_is_up, &arena);
	for (size_t i = 0; i < ARRAY_COUNT(flows); i++) {
		flows[i] = make(&world, "/api/v1/query");
	}
	assert_true(loop_post(world.loop, start_some, flows));
	for (size_t i = 0; i < ARRAY_COUNT(flows); i++) {
		wait_end(&flows[i]);
		assert_int_equal(0, flows[i].failure.code);
		assert_int_equal(200, flows[i].status);
	}
	metric_write(world.metrics, &metrics);
	assert_non_null(
		strstr(buf_text(&metrics), "atoll_gateway_denied_total{reason=\"concurrency\"}"));
	world_deinit(&world);
}

static void start_many(void *context) {
	struct flow *flows = context;
	for (size_t i = 0; i <= LINK_STREAMS_WAITING_MAX; i++) {
		begin(&flows[i]);
	}
}

static void too_many_that_wait_are_refused(void **state) {
	(void)state;
	static struct flow flows[LINK_STREAMS_WAITING_MAX + 1];
	struct world world;
	AUTO(arena_deinit) struct arena arena = { 0 };
	world_init(&world);
	(void)world_wait_link(&world, "west", world_is_up, &arena);
	for (size_t i = 0; i < ARRAY_COUNT(flows); i++) {
		flows[i] = make(&world, "/api/v1/query");
	}
	assert_true(loop_post(world.loop, start_many, flows));
	struct flow *last = &flows[LINK_STREAMS_WAITING_MAX];
	wait_end(last);
	assert_int_equal(ERR_LIMIT, last->start_rc);
	assert_non_null(strstr(last->failure.text, "256 requests to cluster west"));
	for (size_t i = 0; i < LINK_STREAMS_WAITING_MAX; i++) {
		wait_end(&flows[i]);
		assert_int_equal(0, flows[i].failure.code);
		assert_int_equal(200, flows[i].status);
	}
	world_deinit(&world);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(an_answer_comes_in_pieces),
		TEST(a_reader_that_waits_holds_the_service_back),
		TEST(a_canceled_stream_ends_at_the_service_too),
		TEST(what_is_not_there_is_said_at_once),
		TEST(a_link_that_breaks_ends_its_streams),
		TEST(shutting_down_ends_streams),
		TEST(more_at_once_than_the_gateway_allows_take_turns),
		TEST(too_many_that_wait_are_refused),
	};
	return TEST_RUN(tests);
}
