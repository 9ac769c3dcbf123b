#include "demo/answers.h"

#include "base/test.h"

#include <math.h>

static void reads_how_many_targets_are_up(void **state) {
	(void)state;
	struct arena arena = { 0 };
	struct answer_up *ups = NULL;
	size_t count = 0;
	struct err err = { 0 };

	assert_ok(answers_read_up(STR("{\"status\":\"success\",\"data\":{\"resultType\":\"vector\","
				      "\"result\":[{\"metric\":{\"cluster\":\"bahrain\"},"
				      "\"value\":[1795341600.1,\"2\"]},{\"metric\":{},"
				      "\"value\":[1795341600.1,\"1\"]}]},\"warnings\":[\"x\"]}"),
			  &arena, &ups, &count, &err),
		err);
	assert_int_equal(count, 2);
	assert_str_equal(ups[0].cluster, STR("bahrain"));
	assert_true(ups[0].count == 2);
	assert_int_equal(ups[1].cluster.len, 0);
	arena_deinit(&arena);
}

static void reads_the_clusters(void **state) {
	(void)state;
	struct arena arena = { 0 };
	struct answer_cluster *clusters = NULL;
	size_t count = 0;
	struct err err = { 0 };

	assert_ok(answers_read_clusters(
			  STR("{\"status\":\"success\",\"data\":{\"clusters\":["
			      "{\"cluster\":\"bahrain\",\"state\":\"up\",\"lastError\":\"\","
			      "\"lastAnswer\":{\"bytes\":812,\"durationMs\":2.5},\"series\":1200},"
			      "{\"cluster\":\"madrid\",\"state\":\"down\","
			      "\"lastError\":\"connection refused\",\"lastAnswer\":null,"
			      "\"series\":null}]}}"),
			  &arena, &clusters, &count, &err),
		err);
	assert_int_equal(count, 2);
	assert_str_equal(clusters[0].state, STR("up"));
	assert_true(clusters[0].has_answered);
	assert_true(clusters[0].last_bytes == 812 && clusters[0].last_ms == 2.5);
	assert_true(clusters[0].series == 1200);
	assert_false(clusters[1].has_answered);
	assert_true(isnan(clusters[1].series));
	assert_str_equal(clusters[1].last_error, STR("connection refused"));
	arena_deinit(&arena);
}

static void says_what_the_hub_answered_instead(void **state) {
	(void)state;
	static const struct {
		const char *body;
		const char *reason;
	} cases[] = {
		{ "{\"status\":\"error\",\"errorType\":\"bad_data\",\"error\":\"no such thing\"}",
			"the hub answers: no such thing" },
		{ "{\"data\":{\"result\":7}}", "the hub answers: {\"data\":{\"result\":7}}" },
		{ "Service Unavailable", "answer of the hub: " },
		{ "", "answer of the hub: " },
	};
	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		struct arena arena = { 0 };
		struct answer_up *ups = NULL;
		size_t count = 77;
		struct err err = { 0 };
		assert_int_equal(answers_read_up(str_of(cases[i].body), &arena, &ups, &count, &err),
			ERR_CORRUPT);
		assert_ptr_equal(strstr(err.text, cases[i].reason), err.text);
		assert_int_equal(count, 77);
		arena_deinit(&arena);
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(reads_how_many_targets_are_up),
		TEST(reads_the_clusters),
		TEST(says_what_the_hub_answered_instead),
	};
	return TEST_RUN(tests);
}
