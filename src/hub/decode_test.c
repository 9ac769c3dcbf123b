#include "hub/decode.h"

#include "base/test.h"

static const struct decode_options on_three_steps = {
	.grid = { .start_ms = 10000, .step_ms = 500, .count = 3 },
	.is_range = true,
	.cluster_label = { "cluster", 7 },
	.cluster = { "a", 1 },
	.bytes_max = 1 << 20,
};

static int decode(const char *body, int status, struct arena *arena, struct query_result *out,
	struct err *err) {
	return decode_query(str_of(body), status, &on_three_steps, arena, out, err);
}

static void puts_values_on_their_steps_and_the_cluster_on_the_labels(void **state) {
	(void)state;
	struct arena arena = { 0 };
	struct query_result result = { 0 };
	struct err err = { 0 };
	assert_ok(decode("{\"status\":\"success\",\"data\":{\"resultType\":\"matrix\",\"result\":["
			 "{\"metric\":{\"job\":\"x\",\"cluster\":\"stored\"},"
			 "\"values\":[[10,\"1.5\"],[11,\"+Inf\"]]}]},\"warnings\":[\"careful\"]}",
			  200, &arena, &result, &err),
		err);
	const struct step_column *column = &result.steps.columns[0];
	assert_int_equal(result.steps.count, 1);
	assert_true(step_present(column, 0));
	assert_false(step_present(column, 1));
	assert_true(step_present(column, 2));
	assert_true(column->values[0] == 1.5);
	assert_str_equal(labels_get(&column->labels, STR("cluster")), STR("a"));
	assert_str_equal(labels_get(&column->labels, STR("job")), STR("x"));
	assert_str_equal(result.notes.items[0].text, STR("cluster \"a\": careful"));
	arena_deinit(&arena);
}

#define SERIES(values)                                                                             \
	"{\"status\":\"success\",\"data\":{\"resultType\":\"matrix\",\"result\":[{\"metric\":{},"  \
	"\"values\":" values "}]}}"

static void refuses_what_was_not_asked_for(void **state) {
	(void)state;
	static const char *const bodies[] = {
		SERIES("[[10.25,\"1\"]]"),              /* between steps */
		SERIES("[[12,\"1\"]]"),                 /* after the end */
		SERIES("[[9,\"1\"]]"),                  /* before the start */
		SERIES("[[11,\"1\"],[10,\"1\"]]"),      /* back in time */
		SERIES("[[10,\"1\"],[10,\"1\"]]"),      /* twice */
		SERIES("[[10,\"one\"]]"),               /* no number */
		SERIES("[[10]]"),                       /* no value */
		SERIES("[[\"10\",\"1\"]]"),             /* time as text */
		SERIES("[[1e300,\"1\"]]"),              /* time out of range */
		"{\"status\":\"success\",\"data\":{}}", /* no result */
		"{\"status\":\"success\"}",
		"[1",
	};
	for (size_t i = 0; i < ARRAY_COUNT(bodies); i++) {
		struct arena arena = { 0 };
		struct query_result result = { 0 };
		struct err err = { 0 };
		int rc = decode(bodies[i], 200, &arena, &result, &err);
		if (rc != ERR_CORRUPT) {
			fail_msg("%s: %d %s", bodies[i], rc, err.text);
		}
		arena_deinit(&arena);
	}
}

static void an_instant_is_at_the_time_that_was_asked_for(void **state) {
	(void)state;
	static const struct {
		const char *result;
		int rc;
	} cases[] = {
		{ "\"vector\",\"result\":[{\"metric\":{},\"value\":[10,\"1\"]}]", 0 },
		{ "\"vector\",\"result\":[{\"metric\":{},\"value\":[11,\"1\"]}]", ERR_CORRUPT },
		{ "\"vector\",\"result\":[{\"metric\":{},\"values\":[[10,\"1\"]]}]", ERR_CORRUPT },
		{ "\"scalar\",\"result\":[10,\"1\"]", 0 },
		{ "\"string\",\"result\":[10,\"1\"]", ERR_CORRUPT },
	};
	struct decode_options options = on_three_steps;
	options.is_range = false;
	options.grid.count = 1;
	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		AUTO(buf_deinit) struct buf body = { 0 };
		struct arena arena = { 0 };
		struct query_result result = { 0 };
		struct err err = { 0 };
		buf_printf(&body, "{\"status\":\"success\",\"data\":{\"resultType\":%s}}",
			cases[i].result);
		int rc = decode_query(buf_str(&body), 200, &options, &arena, &result, &err);
		if (rc != cases[i].rc) {
			fail_msg("%s: %d %s", cases[i].result, rc, err.text);
		}
		arena_deinit(&arena);
	}
}

static void errors_come_back_with_their_kind_and_sentence(void **state) {
	(void)state;
	static const struct {
		const char *body;
		int status;
		int code;
		const char *sentence;
	} cases[] = {
		{ "{\"status\":\"error\",\"errorType\":\"execution\",\"error\":\"many-to-many\"}",
			422, ERR_EXEC, "many-to-many" },
		{ "{\"status\":\"error\",\"errorType\":\"bad_data\",\"error\":\"no such "
		  "function\"}",
			400, ERR_INVAL, "no such function" },
		{ "{\"status\":\"error\",\"errorType\":\"timeout\",\"error\":\"slow\"}", 503,
			ERR_TIMEOUT, "slow" },
		{ "{\"status\":\"error\",\"errorType\":\"canceled\",\"error\":\"shutting down\"}",
			503, ERR_CLOSED, "shutting down" },
		{ "upstream is down\n", 502, ERR_IO, "answered HTTP 502: upstream is down" },
		{ "{}", 500, ERR_CORRUPT, "answered HTTP 500 without data" },
	};
	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		struct arena arena = { 0 };
		struct query_result result = { 0 };
		struct err err = { 0 };
		assert_int_equal(decode(cases[i].body, cases[i].status, &arena, &result, &err),
			cases[i].code);
		assert_string_equal(err.text, cases[i].sentence);
		arena_deinit(&arena);
	}
}

static void native_histograms_are_named_as_missing(void **state) {
	(void)state;
	struct arena arena = { 0 };
	struct query_result result = { 0 };
	struct err err = { 0 };
	assert_int_equal(
		decode("{\"status\":\"success\",\"data\":{\"resultType\":\"matrix\",\"result\":["
		       "{\"metric\":{},\"histograms\":[]}]}}",
			200, &arena, &result, &err),
		ERR_ABSENT);
	arena_deinit(&arena);
}

static void copies_documents_without_going_deep(void **state) {
	(void)state;
	static const char text[] = "{\"a\":[1,2.5,\"x\",true,null],\"b\":{}}";
	struct json_document *document = NULL;
	struct err err = { 0 };
	AUTO(buf_deinit) struct buf out = { 0 };
	AUTO(buf_deinit) struct buf deep = { 0 };
	struct json_writer json;
	assert_ok(json_document_new(STR(text), &document, &err), err);
	json_writer_init(&json, &out);
	decode_copy(json_root(document), &json);
	assert_string_equal(buf_text(&out), text);
	json_document_free(document);

	for (int i = 0; i < 500; i++) {
		buf_add_byte(&deep, '[');
	}
	for (int i = 0; i < 500; i++) {
		buf_add_byte(&deep, ']');
	}
	assert_ok(json_document_new(buf_str(&deep), &document, &err), err);
	buf_reset(&out);
	json_writer_init(&json, &out);
	decode_copy(json_root(document), &json);
	assert_true(out.len < 100);
	json_document_free(document);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(puts_values_on_their_steps_and_the_cluster_on_the_labels),
		TEST(refuses_what_was_not_asked_for),
		TEST(an_instant_is_at_the_time_that_was_asked_for),
		TEST(errors_come_back_with_their_kind_and_sentence),
		TEST(native_histograms_are_named_as_missing),
		TEST(copies_documents_without_going_deep),
	};
	return TEST_RUN(tests);
}
