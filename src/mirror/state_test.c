#include "base/test.h"
#include "mirror/state.h"

#define ENTRY(cluster, port)                                                                       \
	"{\"cluster\":\"" cluster "\",\"export\":\"prometheus\",\"kind\":\"prometheus\","          \
	"\"identity\":\"\",\"port\":" port "}"

static void comes_back_as_it_was(void **state) {
	(void)state;
	AUTO(arena_deinit) struct arena arena = { 0 };
	AUTO(buf_deinit) struct buf text = { 0 };
	const struct mirror_view views[] = {
		{ .cluster = STR("east"),
			.export_name = STR("prometheus"),
			.kind = STR("prometheus"),
			.identity = STR("gateway.atoll.example"),
			.state = MIRROR_READY,
			.port = 19500 },
		{ .cluster = STR("west"),
			.export_name = STR("a-b"),
			.kind = STR("prometheus"),
			.identity = STR_EMPTY,
			.state = MIRROR_REMOVED,
			.port = 65535,
			.removed_ms = 1700000000000 },
	};
	struct mirror_view *read = NULL;
	struct err err = { 0 };
	size_t count = 0;
	state_format(views, ARRAY_COUNT(views), &text);
	assert_ok(state_parse(&arena, buf_str(&text), &read, &count, &err), err);
	assert_int_equal(2, count);
	assert_int_equal(0, view_compare(&views[0], &read[0]));
	assert_int_equal(MIRROR_STALE, read[0].state);
	assert_str_equal(STR("gateway.atoll.example"), read[0].identity);
	assert_int_equal(19500, read[0].port);
	assert_int_equal(MIRROR_REMOVED, read[1].state);
	assert_int_equal(65535, read[1].port);
	assert_true(read[1].removed_ms == 1700000000000);
}

static void sorts_what_somebody_wrote_in_another_order(void **state) {
	(void)state;
	AUTO(arena_deinit) struct arena arena = { 0 };
	struct mirror_view *read = NULL;
	struct err err = { 0 };
	size_t count = 0;
	assert_ok(state_parse(&arena,
			  STR("{\"format\":1,\"mirrors\":[" ENTRY("west", "2") "," ENTRY(
				  "east", "1") "]}"),
			  &read, &count, &err),
		err);
	assert_str_equal(STR("east"), read[0].cluster);
	assert_str_equal(STR("west"), read[1].cluster);
}

static void refuses_what_is_no_state(void **state) {
	(void)state;
	static const struct {
		const char *text;
		const char *sentence;
	} cases[] = {
		{ "", "expected" },
		{ "[]", "format" },
		{ "{\"format\":2,\"mirrors\":[]}", "format 2" },
		{ "{\"format\":1}", "format" },
		{ "{\"format\":1,\"mirrors\":[7]}", "without cluster" },
		{ "{\"format\":1,\"mirrors\":[" ENTRY("../x", "1") "]}", "without cluster" },
		{ "{\"format\":1,\"mirrors\":[" ENTRY("", "1") "]}", "without cluster" },
		{ "{\"format\":1,\"mirrors\":[" ENTRY("west", "65536") "]}", "port" },
		{ "{\"format\":1,\"mirrors\":[" ENTRY("west", "-1") "]}", "port" },
		{ "{\"format\":1,\"mirrors\":[" ENTRY("west", "\"1\"") "]}", "port" },
		{ "{\"format\":1,\"mirrors\":[" ENTRY("west", "1") "," ENTRY("west", "2") "]}",
			"west/prometheus stands twice" },
		{ "{\"format\":1,\"mirrors\":[" ENTRY("west", "1") "," ENTRY("east", "1") "]}",
			"port 1 stands twice" },
	};
	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		AUTO(arena_deinit) struct arena arena = { 0 };
		struct mirror_view *read = NULL;
		struct err err = { 0 };
		size_t count = 7;
		int rc = state_parse(&arena, str_of(cases[i].text), &read, &count, &err);
		if (rc != ERR_CORRUPT || count != 7 || !strstr(err.text, cases[i].sentence)) {
			fail_msg("case %zu: %d, \"%s\"", i, rc, err.text);
		}
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(comes_back_as_it_was),
		TEST(sorts_what_somebody_wrote_in_another_order),
		TEST(refuses_what_is_no_state),
	};
	return TEST_RUN(tests);
}
