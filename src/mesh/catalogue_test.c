#include "mesh/catalogue.h"

#include "base/test.h"

static void a_document_survives_being_written(void **state) {
	(void)state;
	AUTO(arena_deinit) struct arena arena = { 0 };
	AUTO(buf_deinit) struct buf line = { 0 };
	struct catalogue_entry entries[] = {
		{ STR("a"), STR("prometheus"), UINT64_MAX },
		{ STR("b-2"), STR("prometheus"), 7 },
	};
	struct catalogue written = {
		.version = 0x8000000000000001, .entries = entries, .count = 2
	};
	struct catalogue read;
	struct err err = { 0 };
	catalogue_format(&written, &line);
	assert_str_equal(buf_str(&line),
		STR("{\"format\":1,\"version\":\"8000000000000001\",\"exports\":["
		    "{\"name\":\"a\",\"kind\":\"prometheus\",\"version\":\"ffffffffffffffff\"},"
		    "{\"name\":\"b-2\",\"kind\":\"prometheus\",\"version\":\"0000000000000007\"}]}"
		    "\n"));
	assert_ok(catalogue_parse(&arena, buf_str(&line), &read, &err), err);
	assert_true(read.version == written.version);
	assert_false(read.is_heartbeat);
	assert_int_equal(read.count, 2);
	assert_str_equal(read.entries[1].name, STR("b-2"));
	assert_true(read.entries[0].version == UINT64_MAX);
}

static void a_heartbeat_says_how_old_the_last_document_is(void **state) {
	(void)state;
	AUTO(arena_deinit) struct arena arena = { 0 };
	AUTO(buf_deinit) struct buf line = { 0 };
	struct catalogue read;
	struct err err = { 0 };
	catalogue_format(
		&(struct catalogue){ .version = 1, .is_heartbeat = true, .age_ms = 5000 }, &line);
	assert_ok(catalogue_parse(&arena, buf_str(&line), &read, &err), err);
	assert_true(read.is_heartbeat);
	assert_int_equal(read.age_ms, 5000);
}

static void entries_are_sorted_and_unknown_members_ignored(void **state) {
	(void)state;
	AUTO(arena_deinit) struct arena arena = { 0 };
	struct catalogue read;
	struct err err = { 0 };
	struct str line =
		STR("{\"format\":1,\"version\":\"0000000000000001\",\"new\":{},\"exports\":["
		    "{\"name\":\"b\",\"kind\":\"k\",\"version\":\"0000000000000001\"},"
		    "{\"name\":\"a\",\"kind\":\"k\",\"version\":\"0000000000000001\","
		    "\"x\":1}]}");
	assert_ok(catalogue_parse(&arena, line, &read, &err), err);
	assert_str_equal(read.entries[0].name, STR("a"));
}

static void the_digest_tells_lists_apart(void **state) {
	(void)state;
	struct catalogue_entry entries[] = {
		{ STR("a"), STR("k"), 1 },
		{ STR("b"), STR("k"), 1 },
	};
	uint64_t both = catalogue_digest(entries, 2);
	assert_true(both != catalogue_digest(entries, 1));
	assert_true(both != catalogue_digest(entries, 0));
	entries[1].version = 2;
	assert_true(both != catalogue_digest(entries, 2));
}

static void what_is_no_catalogue_is_refused(void **state) {
	(void)state;
	static const char *const wrong[] = {
		"",
		"{",
		"[]",
		"null",
		"{}",
		"{\"format\":2,\"version\":\"0000000000000001\",\"exports\":[]}",
		"{\"format\":1,\"exports\":[]}",
		"{\"format\":1,\"version\":1,\"exports\":[]}",
		"{\"format\":1,\"version\":\"1\",\"exports\":[]}",
		"{\"format\":1,\"version\":\"000000000000000G\",\"exports\":[]}",
		"{\"format\":1,\"version\":\"0000000000000001\"}",
		"{\"format\":1,\"version\":\"0000000000000001\",\"exports\":{}}",
		"{\"format\":1,\"version\":\"0000000000000001\",\"exports\":[1]}",
		"{\"format\":1,\"version\":\"0000000000000001\",\"exports\":[{\"name\":\"../x\","
		"\"kind\":\"k\",\"version\":\"0000000000000001\"}]}",
		"{\"format\":1,\"version\":\"0000000000000001\",\"exports\":["
		"{\"name\":\"a\",\"kind\":\"k\",\"version\":\"0000000000000001\"},"
		"{\"name\":\"a\",\"kind\":\"k\",\"version\":\"0000000000000001\"}]}",
		"{\"format\":1,\"format\":1,\"version\":\"0000000000000001\",\"exports\":[]}",
	};
	for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
		AUTO(arena_deinit) struct arena arena = { 0 };
		struct catalogue read;
		struct err err = { 0 };
		if (catalogue_parse(&arena, str_of(wrong[i]), &read, &err) != ERR_CORRUPT) {
			fail_msg("taken: %s", wrong[i]);
		}
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(a_document_survives_being_written),
		TEST(a_heartbeat_says_how_old_the_last_document_is),
		TEST(entries_are_sorted_and_unknown_members_ignored),
		TEST(the_digest_tells_lists_apart),
		TEST(what_is_no_catalogue_is_refused),
	};
	return TEST_RUN(tests);
}
