#include "api/render.h"

#include "base/test.h"

#include <math.h>

struct fixture {
	struct arena arena;
	struct source_answer answer;
	struct query_request request;
	struct buf out;
};

/* Two columns on three steps: a full one, and one with a gap and odd values. */
static void begin(struct fixture *fixture, bool is_range) {
	static const struct label first[] = { { { "__name__", 8 }, { "up", 2 } } };
	static const struct label second[] = { { { "job", 3 }, { "a\"b", 3 } } };
	*fixture = (struct fixture){ 0 };
	size_t count = is_range ? 3 : 1;
	struct step_column *columns = ARENA_NEW(&fixture->arena, struct step_column, 2);
	for (size_t i = 0; i < 2; i++) {
		struct err err = { 0 };
		assert_ok(step_column_build(&fixture->arena, count, &columns[i], &err), err);
	}
	columns[0].labels = (struct labels){ first, 1 };
	columns[1].labels = (struct labels){ second, 1 };
	step_set(&columns[0], 0, 1);
	step_set(&columns[1], 0, -(double)INFINITY);
	if (is_range) {
		step_set(&columns[0], 1, 0.1);
		step_set(&columns[0], 2, 1e21);
		step_set(&columns[1], 2, double_of_bits(NORMAL_NAN_BITS));
	}
	struct grid grid = { .start_ms = 1000, .step_ms = is_range ? 100 : 0, .count = count };
	fixture->answer.result.type = VALUE_VECTOR;
	fixture->answer.result.steps = (struct steps){ grid, columns, 2 };
	fixture->request.grid = grid;
	fixture->request.is_range = is_range;
}

static void expect(struct fixture *fixture, const char *json) {
	assert_string_equal(buf_text(&fixture->out), json);
	buf_deinit(&fixture->out);
	arena_deinit(&fixture->arena);
}

static bool render(struct fixture *fixture, bool with_stats) {
	static const struct stats_wish wish = { .is_wanted = true, .waited_ns = 250000000 };
	struct json_writer json;
	json_writer_init(&json, &fixture->out);
	return render_result(&json, &fixture->answer, &fixture->request, with_stats ? &wish : NULL);
}

static void writes_a_matrix_with_gaps_and_millisecond_times(void **state) {
	(void)state;
	struct fixture fixture;
	begin(&fixture, true);
	assert_false(render(&fixture, false));
	expect(&fixture,
		"{\"resultType\":\"matrix\",\"result\":["
		"{\"metric\":{\"__name__\":\"up\"},\"values\":[[1,\"1\"],[1.100,\"0.1\"],[1.200,"
		"\"1e+21\"]]},"
		"{\"metric\":{\"job\":\"a\\\"b\"},\"values\":[[1,\"-Inf\"],[1.200,\"NaN\"]]}]}");
}

static void writes_a_vector_and_says_when_the_limit_cut_it(void **state) {
	(void)state;
	struct fixture fixture;
	begin(&fixture, false);
	fixture.request.limit = 1;
	assert_true(render(&fixture, false));
	expect(&fixture, "{\"resultType\":\"vector\",\"result\":["
			 "{\"metric\":{\"__name__\":\"up\"},\"value\":[1,\"1\"]}]}");
}

/* The first column's first step becomes a histogram. */
static void put_histogram(struct fixture *fixture) {
	static int32_t indexes[] = { 1, 2, 3 };
	static double counts[] = { 2, 0, 1 };
	static const struct histogram histogram = {
		.count = 6,
		.sum = 2.5,
		.zero_threshold = 0.5,
		.zero_count = 1,
		.positive = { indexes, counts, 3 },
		.negative = { indexes, counts, 1 },
	};
	struct step_column *column = &fixture->answer.result.steps.columns[0];
	column->histograms =
		ARENA_NEW(&fixture->arena, const struct histogram *, fixture->request.grid.count);
	column->histograms[0] = &histogram;
}

#define HISTOGRAM_JSON                                                                             \
	"{\"count\":\"6\",\"sum\":\"2.5\",\"buckets\":[[1,\"-2\",\"-1\",\"2\"],"                   \
	"[3,\"-0.5\",\"0.5\",\"1\"],[0,\"1\",\"2\",\"2\"],[0,\"4\",\"8\",\"1\"]]}"

static void writes_histograms_beside_numbers(void **state) {
	(void)state;
	struct fixture fixture;
	begin(&fixture, true);
	put_histogram(&fixture);
	assert_false(render(&fixture, false));
	expect(&fixture,
		"{\"resultType\":\"matrix\",\"result\":["
		"{\"metric\":{\"__name__\":\"up\"},\"values\":[[1.100,\"0.1\"],[1.200,\"1e+21\"]],"
		"\"histograms\":[[1," HISTOGRAM_JSON "]]},"
		"{\"metric\":{\"job\":\"a\\\"b\"},\"values\":[[1,\"-Inf\"],[1.200,\"NaN\"]]}]}");
}

static void writes_a_vector_of_histograms(void **state) {
	(void)state;
	struct fixture fixture;
	begin(&fixture, false);
	put_histogram(&fixture);
	assert_false(render(&fixture, false));
	expect(&fixture, "{\"resultType\":\"vector\",\"result\":["
			 "{\"metric\":{\"__name__\":\"up\"},\"histogram\":[1," HISTOGRAM_JSON "]},"
			 "{\"metric\":{\"job\":\"a\\\"b\"},\"value\":[1,\"-Inf\"]}]}");
}

static void writes_scalars_and_strings(void **state) {
	(void)state;
	struct fixture fixture;
	begin(&fixture, false);
	fixture.answer.result.type = VALUE_SCALAR;
	assert_false(render(&fixture, false));
	expect(&fixture, "{\"resultType\":\"scalar\",\"result\":[1,\"1\"]}");
	begin(&fixture, false);
	fixture.answer.result.type = VALUE_STRING;
	fixture.answer.result.string = STR("x");
	assert_false(render(&fixture, false));
	expect(&fixture, "{\"resultType\":\"string\",\"result\":[1,\"x\"]}");
}

static void writes_single_values_without_exponents_or_padding(void **state) {
	struct fixture fixture;

	(void)state;
	begin(&fixture, false);
	fixture.answer.result.type = VALUE_SCALAR;
	fixture.request.grid.start_ms = 1500;
	fixture.answer.result.steps.columns[0].values[0] = 1.5e-7;
	assert_false(render(&fixture, false));
	expect(&fixture, "{\"resultType\":\"scalar\",\"result\":[1.5,\"0.00000015\"]}");
}

static void stats_name_each_cluster_with_its_bytes(void **state) {
	(void)state;
	struct fixture fixture;
	struct cluster_share share = { .cluster = STR("madrid"),
		.received_bytes = 321,
		.fragments = 2,
		.wait_ns = 1500000,
		.error = STR("gone") };
	begin(&fixture, false);
	fixture.answer.shares = &share;
	fixture.answer.share_count = 1;
	assert_false(render(&fixture, true));
	assert_non_null(strstr(buf_text(&fixture.out),
		"\"clusters\":[{\"cluster\":\"madrid\",\"receivedBytes\":321,\"fragments\":2,"
		"\"waitMs\":1.5,\"error\":\"gone\"}]"));
	buf_deinit(&fixture.out);
	arena_deinit(&fixture.arena);
}

static void errors_have_prometheus_types_and_codes(void **state) {
	(void)state;
	static const struct {
		int code;
		int status;
		const char *type;
	} cases[] = {
		{ ERR_INVAL, 400, "bad_data" },
		{ ERR_EXEC, 422, "execution" },
		{ ERR_LIMIT, 422, "execution" },
		{ ERR_TIMEOUT, 503, "timeout" },
		{ ERR_CANCELED, 499, "canceled" },
		{ ERR_IO, 500, "internal" },
	};
	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		AUTO(buf_deinit) struct buf out = { 0 };
		struct err err = { 0 };
		char wanted[128];
		(void)err_set(&err, cases[i].code, "why \"it\" failed");
		assert_int_equal(render_error(&out, &err), cases[i].status);
		(void)snprintf(wanted, sizeof(wanted),
			"{\"status\":\"error\",\"errorType\":\"%s\",\"error\":\"why \\\"it\\\" "
			"failed\"}",
			cases[i].type);
		assert_string_equal(buf_text(&out), wanted);
	}
}

static void notes_are_split_capped_and_counted(void **state) {
	(void)state;
	struct arena arena = { 0 };
	AUTO(buf_deinit) struct buf out = { 0 };
	struct annotations notes = { 0 };
	struct json_writer json;
	for (int i = 0; i < 12; i++) {
		annotations_add(&notes, &arena, false, arena_printf(&arena, "w%02d", i));
	}
	annotations_add(&notes, &arena, true, STR("an info"));
	json_writer_init(&json, &out);
	render_begin(&json);
	json_begin_array(&json);
	json_end_array(&json);
	render_end(&json, &notes, true);
	assert_non_null(
		strstr(buf_text(&out), "\"warnings\":[\"results truncated due to limit\",\"w00\""));
	assert_non_null(strstr(buf_text(&out), "\"w09\",\"2 more warning annotations omitted\"]"));
	assert_non_null(strstr(buf_text(&out), "\"infos\":[\"an info\"]}"));
	arena_deinit(&arena);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(writes_a_matrix_with_gaps_and_millisecond_times),
		TEST(writes_a_vector_and_says_when_the_limit_cut_it),
		TEST(writes_histograms_beside_numbers),
		TEST(writes_a_vector_of_histograms),
		TEST(writes_scalars_and_strings),
		TEST(writes_single_values_without_exponents_or_padding),
		TEST(stats_name_each_cluster_with_its_bytes),
		TEST(errors_have_prometheus_types_and_codes),
		TEST(notes_are_split_capped_and_counted),
	};
	return TEST_RUN(tests);
}
