#include "matrix/matrix.h"

#include "base/rand.h"
#include "base/test.h"
#include "codec/compress.h"
#include "matrix/layout.h"

#include <math.h>

static const struct matrix_options plain = { .bytes_max = 1 << 24 };

static struct labels make_labels(struct arena *arena, struct rand *rand, size_t number) {
	static const char *const names[] = { "__name__", "instance", "job", "mode", "\xc3\xbc" };
	struct label pairs[ARRAY_COUNT(names) + 1];
	struct labels out = { 0 };
	size_t count = 0;
	for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
		if (rand_below(rand, 4) > 0) {
			pairs[count++] = (struct label){ str_of(names[i]),
				arena_printf(arena, "v%d", (int)rand_below(rand, 4)) };
		}
	}
	pairs[count++] = (struct label){ STR("n"), arena_printf(arena, "%zu", number) };
	assert_int_equal(labels_build(arena, pairs, count, &out, NULL), 0);
	return out;
}

static struct query_result make_steps(
	struct arena *arena, struct rand *rand, size_t series, size_t steps) {
	struct query_result result = { .type = VALUE_VECTOR, .is_ordered = steps == 1 };
	result.steps.grid = (struct grid){
		.start_ms = INT64_C(1700000000123), .step_ms = steps > 1 ? 15000 : 0, .count = steps
	};
	result.steps.columns = ARENA_NEW(arena, struct step_column, series + 1);
	result.steps.count = series;
	for (size_t i = 0; i < series; i++) {
		struct step_column *column = &result.steps.columns[i];
		uint64_t density = rand_below(rand, 5);
		assert_int_equal(step_column_build(arena, steps, column, NULL), 0);
		column->labels = make_labels(arena, rand, i);
		for (size_t step = 0; step < steps; step++) {
			/* A series has a value somewhere, or an answer would not name it. */
			if (step == 0 || rand_below(rand, 4) < density) {
				step_set(column, step,
					density == 2 ? (double)rand_next(rand) * 1e-7
						     : (double)rand_below(rand, 9));
			}
		}
	}
	return result;
}

static struct query_result round_trip(const struct query_result *result, struct arena *arena) {
	AUTO(buf_deinit) struct buf bytes = { 0 };
	struct query_result read = { 0 };
	struct err err = { 0 };
	matrix_encode(result, &bytes);
	assert_true(matrix_is(buf_str(&bytes)));
	assert_ok(matrix_decode(buf_str(&bytes), &plain, arena, &read, &err), err);
	return read;
}

static void assert_same_steps(const struct steps *a, const struct steps *b) {
	assert_int_equal(a->grid.start_ms, b->grid.start_ms);
	assert_int_equal(a->grid.step_ms, b->grid.step_ms);
	assert_int_equal(a->grid.count, b->grid.count);
	assert_int_equal(a->count, b->count);
	for (size_t i = 0; i < a->count; i++) {
		const struct step_column *left = &a->columns[i];
		const struct step_column *right = &b->columns[i];
		assert_true(labels_equal(&left->labels, &right->labels));
		for (size_t step = 0; step < a->grid.count; step++) {
			assert_int_equal(step_present(left, step), step_present(right, step));
			if (step_present(left, step)) {
				assert_int_equal(double_bits(left->values[step]),
					double_bits(right->values[step]));
			}
		}
	}
}

static void steps_come_back_as_they_were(void **state) {
	(void)state;
	struct rand rand;
	rand_init(&rand, 3);
	for (size_t round = 0; round < 300; round++) {
		struct arena arena = { 0 };
		size_t series = rand_below(&rand, 40);
		size_t steps = 1 + rand_below(&rand, 130);
		struct query_result result = make_steps(&arena, &rand, series, steps);
		struct query_result read = round_trip(&result, &arena);
		assert_int_equal(read.type, VALUE_VECTOR);
		assert_int_equal(read.is_ordered, result.is_ordered);
		assert_same_steps(&result.steps, &read.steps);
		arena_deinit(&arena);
	}
}

static void series_without_values_are_left_out(void **state) {
	(void)state;
	struct arena arena = { 0 };
	struct rand rand;
	rand_init(&rand, 19);
	struct query_result result = make_steps(&arena, &rand, 3, 70);
	memset(result.steps.columns[1].present, 0, step_words(70) * sizeof(uint64_t));
	struct query_result read = round_trip(&result, &arena);
	assert_int_equal(read.steps.count, 2);
	assert_true(labels_equal(&read.steps.columns[1].labels, &result.steps.columns[2].labels));
	arena_deinit(&arena);
}

static void scalars_and_strings_come_back(void **state) {
	(void)state;
	struct arena arena = { 0 };
	struct rand rand;
	rand_init(&rand, 5);
	struct query_result result = make_steps(&arena, &rand, 1, 1);
	result.type = VALUE_SCALAR;
	result.steps.columns[0].labels = (struct labels){ 0 };
	struct query_result read = round_trip(&result, &arena);
	assert_int_equal(read.type, VALUE_SCALAR);
	assert_same_steps(&result.steps, &read.steps);
	const struct query_result text = { .type = VALUE_STRING, .string = STR("a \"b\"") };
	read = round_trip(&text, &arena);
	assert_int_equal(read.type, VALUE_STRING);
	assert_str_equal(read.string, text.string);
	arena_deinit(&arena);
}

static void raw_samples_come_back(void **state) {
	(void)state;
	struct arena arena = { 0 };
	struct rand rand;
	int64_t times[] = { INT64_C(1700000000001), INT64_C(1700000015002),
		INT64_C(1700000030000) };
	double values[] = { 1, (double)NAN, -0.0 };
	rand_init(&rand, 9);
	struct raw_series series[] = {
		{ make_labels(&arena, &rand, 1), times, values, 3 },
		{ make_labels(&arena, &rand, 2), times, values, 0 },
		{ make_labels(&arena, &rand, 3), times + 1, values + 1, 1 },
	};
	const struct query_result result = {
		.type = VALUE_MATRIX, .raw = series, .raw_count = ARRAY_COUNT(series)
	};
	struct query_result read = round_trip(&result, &arena);
	assert_int_equal(read.type, VALUE_MATRIX);
	assert_int_equal(read.raw_count, ARRAY_COUNT(series));
	for (size_t i = 0; i < ARRAY_COUNT(series); i++) {
		assert_true(labels_equal(&read.raw[i].labels, &series[i].labels));
		assert_int_equal(read.raw[i].count, series[i].count);
		assert_memory_equal(read.raw[i].times_ms, series[i].times_ms,
			series[i].count * sizeof(times[0]));
		assert_memory_equal(
			read.raw[i].values, series[i].values, series[i].count * sizeof(values[0]));
	}
	arena_deinit(&arena);
}

static void notes_and_stats_come_along(void **state) {
	(void)state;
	struct arena arena = { 0 };
	struct query_result result = { .type = VALUE_STRING, .string = STR("x") };
	annotations_add(&result.notes, &arena, true, STR("an info"));
	annotations_add(&result.notes, &arena, false, STR("a warning"));
	result.stats = (struct query_stats){
		.samples = 1000000, .samples_peak = 17, .bytes_peak = 1 << 20, .eval_ns = 123456789
	};
	struct query_result read = round_trip(&result, &arena);
	assert_int_equal(read.notes.count, 2);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(read.notes.items[i].is_info, result.notes.items[i].is_info);
		assert_str_equal(read.notes.items[i].text, result.notes.items[i].text);
	}
	assert_memory_equal(&read.stats, &result.stats, sizeof(result.stats));
	arena_deinit(&arena);
}

static void a_label_can_be_put_on_every_series(void **state) {
	(void)state;
	struct arena arena = { 0 };
	struct rand rand;
	AUTO(buf_deinit) struct buf bytes = { 0 };
	struct query_result read = { 0 };
	struct err err = { 0 };
	bool has_stored = false;
	struct matrix_options options = plain;
	options.label_name = STR("cluster");
	options.label_value = STR("a");
	options.has_stored = &has_stored;
	rand_init(&rand, 11);
	struct query_result result = make_steps(&arena, &rand, 3, 5);
	matrix_encode(&result, &bytes);
	assert_ok(matrix_decode(buf_str(&bytes), &options, &arena, &read, &err), err);
	assert_false(has_stored);
	for (size_t i = 0; i < 3; i++) {
		assert_str_equal(
			labels_get(&read.steps.columns[i].labels, STR("cluster")), STR("a"));
	}
	options.label_name = STR("n");
	assert_ok(matrix_decode(buf_str(&bytes), &options, &arena, &read, &err), err);
	assert_true(has_stored);
	assert_str_equal(labels_get(&read.steps.columns[2].labels, STR("n")), STR("a"));
	arena_deinit(&arena);
}

/* The content of a matrix, cut or changed, under a fresh frame. */
static int decode_content(struct str content, struct arena *arena, struct err *err) {
	AUTO(buf_deinit) struct buf bytes = { 0 };
	struct query_result read = { 0 };
	buf_append(&bytes, LAYOUT_MAGIC, LAYOUT_MAGIC_LEN);
	buf_add_byte(&bytes, LAYOUT_VERSION);
	compress_body(COMPRESSION_ZSTD, 1, content, &bytes);
	return matrix_decode(buf_str(&bytes), &plain, arena, &read, err);
}

static void what_is_cut_off_or_too_long_is_refused(void **state) {
	(void)state;
	struct arena arena = { 0 };
	struct rand rand;
	AUTO(buf_deinit) struct buf bytes = { 0 };
	AUTO(buf_deinit) struct buf content = { 0 };
	struct err err = { 0 };
	rand_init(&rand, 13);
	struct query_result result = make_steps(&arena, &rand, 6, 9);
	matrix_encode(&result, &bytes);
	struct str packed = str_from(buf_str(&bytes), LAYOUT_MAGIC_LEN + 1);
	assert_ok(decompress_body(COMPRESSION_ZSTD, packed, 1 << 20, &content, &err), err);
	assert_ok(decode_content(buf_str(&content), &arena, &err), err);
	for (size_t len = 0; len < content.len; len++) {
		int rc = decode_content(str_first(buf_str(&content), len), &arena, &err);
		assert_int_equal(rc, ERR_CORRUPT);
	}
	buf_add_byte(&content, 0);
	assert_int_equal(decode_content(buf_str(&content), &arena, &err), ERR_CORRUPT);
	for (size_t len = 0; len < bytes.len; len++) {
		struct query_result read = { 0 };
		int rc =
			matrix_decode(str_first(buf_str(&bytes), len), &plain, &arena, &read, &err);
		assert_int_equal(rc, ERR_CORRUPT);
	}
	arena_deinit(&arena);
}

static void a_newer_version_is_named(void **state) {
	(void)state;
	struct arena arena = { 0 };
	struct query_result read = { 0 };
	struct err err = { 0 };
	assert_int_equal(
		matrix_decode(STR("\x89MTX\x02..."), &plain, &arena, &read, &err), ERR_ABSENT);
	assert_non_null(strstr(err.text, "version 2"));
	arena_deinit(&arena);
}

static void limits_hold_and_are_named(void **state) {
	(void)state;
	struct rand rand;
	struct arena arena = { 0 };
	AUTO(buf_deinit) struct buf bytes = { 0 };
	struct query_result read = { 0 };
	struct err err = { 0 };
	struct budget budget = { 0 };
	struct arena small;
	rand_init(&rand, 17);
	struct query_result result = make_steps(&arena, &rand, 50, 1000);
	matrix_encode(&result, &bytes);
	const struct matrix_options options = { .bytes_max = 100 };
	assert_int_equal(matrix_decode(buf_str(&bytes), &options, &arena, &read, &err), ERR_LIMIT);
	budget_init(&budget, NULL, "--query.max-memory-per-query", 100000);
	arena_init(&small, &budget);
	assert_int_equal(matrix_decode(buf_str(&bytes), &plain, &small, &read, &err), ERR_LIMIT);
	assert_non_null(strstr(err.text, "--query.max-memory-per-query"));
	arena_deinit(&small);
	budget_deinit(&budget);
	arena_deinit(&arena);
}

static void accept_headers_are_understood(void **state) {
	(void)state;
	assert_true(matrix_is_accepted(STR("application/vnd.atoll.matrix")));
	assert_true(matrix_is_accepted(STR("application/json, application/vnd.atoll.matrix;v=1")));
	assert_false(matrix_is_accepted(STR("application/vnd.atoll.matrix;q=0")));
	assert_false(matrix_is_accepted(STR("application/json, */*")));
	assert_false(matrix_is_accepted(STR("")));
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(steps_come_back_as_they_were),
		TEST(series_without_values_are_left_out),
		TEST(scalars_and_strings_come_back),
		TEST(raw_samples_come_back),
		TEST(notes_and_stats_come_along),
		TEST(a_label_can_be_put_on_every_series),
		TEST(what_is_cut_off_or_too_long_is_refused),
		TEST(a_newer_version_is_named),
		TEST(limits_hold_and_are_named),
		TEST(accept_headers_are_understood),
	};
	return TEST_RUN(tests);
}
