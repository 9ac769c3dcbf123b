#include "source/local.h"

#include "base/test.h"
#include "promql/parse.h"
#include "store/test_store.h"

#define MINUTE INT64_C(60000)

struct fixture {
	struct test_store store;
	struct clock clock;
	struct engine *engine;
	struct local_source local;
	struct source *source;
	struct arena arena;
	struct expr_tree trees[4];
	struct selector *selectors[4];
	size_t selector_count;
	struct err err;
};

static void add_series(struct fixture *f, const char *name, const char *job) {
	const struct label pairs[] = { { LABEL_NAME, str_of(name) }, { STR("job"), str_of(job) } };
	struct labels labels;
	struct test_series *series;

	assert_ok(labels_build(&f->arena, pairs, 2, &labels, &f->err), f->err);
	series = test_store_series(&f->store, &labels);
	for (int64_t i = 0; i <= 10; i++) {
		test_series_add(series, i * MINUTE, (double)i);
	}
}

static int setup(void **state) {
	const struct engine_options options = {
		.lookback_ms = 5 * MINUTE,
		.default_subquery_step_ms = MINUTE,
		.samples_max = 1000,
		.query_bytes_max = 1 << 20,
		.process_bytes_max = 4 << 20,
	};
	struct fixture *f = MEMORY_NEW(struct fixture, 1);

	clock_init_manual(&f->clock, 1000);
	test_store_init(&f->store);
	f->engine = engine_new(&options, &f->clock);
	local_source_init(&f->local, f->engine, &f->store.store, NULL, NULL);
	f->source = &f->local.source;
	add_series(f, "up", "node");
	add_series(f, "up", "api");
	add_series(f, "requests_total", "api");
	*state = f;
	return 0;
}

static int teardown(void **state) {
	struct fixture *f = *state;

	for (size_t i = 0; i < f->selector_count; i++) {
		expr_tree_deinit(&f->trees[i]);
	}
	engine_free(f->engine);
	test_store_deinit(&f->store);
	arena_deinit(&f->arena);
	free(f);
	return 0;
}

static void add_selector(struct fixture *f, const char *text) {
	size_t i = f->selector_count++;

	assert_ok(promql_parse_selector(str_of(text), &f->trees[i], &f->selectors[i], &f->err),
		f->err);
}

static struct meta_request request_of(struct fixture *f) {
	return (struct meta_request){ .selectors = f->selectors,
		.selector_count = f->selector_count,
		.min_ms = 0,
		.max_ms = 10 * MINUTE };
}

static struct query_request instant(const char *query) {
	return (struct query_request){ .query = str_of(query), .grid = { 10 * MINUTE, 0, 1 } };
}

static void answers_a_query(void **state) {
	struct fixture *f = *state;
	struct query_request request = instant("sum(up)");
	struct source_answer answer;

	assert_ok(f->source->ops->query(f->source, &request, &f->arena, &answer, &f->err), f->err);
	assert_int_equal(answer.result.type, VALUE_VECTOR);
	assert_int_equal(answer.result.steps.count, 1);
	assert_true(answer.result.steps.columns[0].values[0] == 20);
	assert_int_equal(answer.share_count, 0);
	assert_int_equal(answer.result.stats.samples, 2);
}

static void cuts_an_answer_to_the_limit(void **state) {
	struct fixture *f = *state;
	struct query_request request = instant("up");
	struct source_answer answer;

	request.limit = 1;
	assert_ok(f->source->ops->query(f->source, &request, &f->arena, &answer, &f->err), f->err);
	assert_int_equal(answer.result.steps.count, 1);
}

static void says_where_a_query_is_wrong(void **state) {
	struct fixture *f = *state;
	struct query_request request = instant("sum(up");
	struct source_answer answer;

	assert_int_equal(
		f->source->ops->query(f->source, &request, &f->arena, &answer, &f->err), ERR_INVAL);
	assert_non_null(strstr(f->err.text, "parse error"));
}

static void refuses_a_range_query_of_a_range_vector(void **state) {
	struct fixture *f = *state;
	struct query_request request = instant("up[5m]");
	struct source_answer answer;

	request.is_range = true;
	assert_int_equal(
		f->source->ops->query(f->source, &request, &f->arena, &answer, &f->err), ERR_INVAL);
	assert_string_equal(f->err.text,
		"invalid expression type \"range vector\" for range query, must be Scalar or "
		"instant Vector");
}

static void lists_series_of_any_selector_once(void **state) {
	struct fixture *f = *state;
	struct labels_list found;

	add_selector(f, "up");
	add_selector(f, "{job=\"api\"}");
	struct meta_request request = request_of(f);

	assert_ok(f->source->ops->series(f->source, &request, &f->arena, &found, NULL, &f->err),
		f->err);
	assert_int_equal(found.count, 3);
	for (size_t i = 1; i < found.count; i++) {
		assert_true(labels_cmp(&found.items[i - 1], &found.items[i]) < 0);
	}
	request.limit = 2;
	assert_ok(f->source->ops->series(f->source, &request, &f->arena, &found, NULL, &f->err),
		f->err);
	assert_int_equal(found.count, 2);
	assert_int_equal(f->store.open_sets, 0);
}

static void joins_label_names_of_selectors(void **state) {
	struct fixture *f = *state;
	struct str_list found;

	add_selector(f, "up");
	add_selector(f, "requests_total");
	struct meta_request request = request_of(f);

	assert_ok(
		f->source->ops->label_names(f->source, &request, &f->arena, &found, NULL, &f->err),
		f->err);
	assert_int_equal(found.count, 2);
	assert_str_equal(found.items[0], STR("__name__"));
	assert_str_equal(found.items[1], STR("job"));
}

static void joins_label_values_of_selectors(void **state) {
	struct fixture *f = *state;
	struct str_list found;

	add_selector(f, "up{job=\"node\"}");
	add_selector(f, "requests_total");
	struct meta_request request = request_of(f);

	assert_ok(f->source->ops->label_values(
			  f->source, STR("job"), &request, &f->arena, &found, NULL, &f->err),
		f->err);
	assert_int_equal(found.count, 2);
	assert_str_equal(found.items[0], STR("api"));
	assert_str_equal(found.items[1], STR("node"));
	request.limit = 1;
	assert_ok(f->source->ops->label_values(
			  f->source, STR("job"), &request, &f->arena, &found, NULL, &f->err),
		f->err);
	assert_int_equal(found.count, 1);
}

static void lists_all_values_without_a_selector(void **state) {
	struct fixture *f = *state;
	struct meta_request request = request_of(f);
	struct str_list found;

	assert_ok(f->source->ops->label_values(
			  f->source, LABEL_NAME, &request, &f->arena, &found, NULL, &f->err),
		f->err);
	assert_int_equal(found.count, 2);
}

static void stops_listing_when_canceled(void **state) {
	struct fixture *f = *state;
	struct query_control control = { .canceled = true };
	struct meta_request request = request_of(f);
	struct labels_list found;

	request.control = &control;
	assert_int_equal(
		f->source->ops->series(f->source, &request, &f->arena, &found, NULL, &f->err),
		ERR_CANCELED);
}

static void stops_listing_at_the_deadline(void **state) {
	struct fixture *f = *state;
	struct query_control control = { .deadline_ns = clock_mono_ns(&f->clock) + NS_PER_MS };
	struct meta_request request = request_of(f);
	struct str_list found;

	request.control = &control;
	assert_ok(
		f->source->ops->label_names(f->source, &request, &f->arena, &found, NULL, &f->err),
		f->err);
	clock_advance_ms(&f->clock, 2);
	assert_int_equal(
		f->source->ops->label_names(f->source, &request, &f->arena, &found, NULL, &f->err),
		ERR_TIMEOUT);
}

static void has_no_documents_without_a_writer(void **state) {
	struct fixture *f = *state;
	AUTO(buf_deinit) struct buf out = { 0 };

	assert_int_equal(f->source->ops->document(f->source, STR("targets"), STR_EMPTY, &out,
				 &f->arena, NULL, &f->err),
		ERR_ABSENT);
}

static int write_path(
	void *context, struct str path, struct str args, struct buf *out, struct err *err) {
	(void)err;
	buf_printf(out, "%s:%.*s?%.*s", (const char *)context, STR_ARG(path), STR_ARG(args));
	return 0;
}

static void asks_the_writer_for_documents(void **state) {
	struct fixture *f = *state;
	AUTO(buf_deinit) struct buf out = { 0 };
	static char context[] = "own";

	local_source_init(&f->local, f->engine, &f->store.store, write_path, context);
	assert_ok(f->source->ops->document(f->source, STR("metadata"), STR("limit=1"), &out,
			  &f->arena, NULL, &f->err),
		f->err);
	assert_str_equal(buf_str(&out), STR("own:metadata?limit=1"));
}

#define TEST_FIXTURE(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST_FIXTURE(answers_a_query),
		TEST_FIXTURE(cuts_an_answer_to_the_limit),
		TEST_FIXTURE(says_where_a_query_is_wrong),
		TEST_FIXTURE(refuses_a_range_query_of_a_range_vector),
		TEST_FIXTURE(lists_series_of_any_selector_once),
		TEST_FIXTURE(joins_label_names_of_selectors),
		TEST_FIXTURE(joins_label_values_of_selectors),
		TEST_FIXTURE(lists_all_values_without_a_selector),
		TEST_FIXTURE(stops_listing_when_canceled),
		TEST_FIXTURE(stops_listing_at_the_deadline),
		TEST_FIXTURE(has_no_documents_without_a_writer),
		TEST_FIXTURE(asks_the_writer_for_documents),
	};
	return TEST_RUN(tests);
}
