/* Walks that are shared out between threads, and labels that are left out. */
#include "tsdb/testing.h"

static void fill(struct tsdb *db) {
	put_one(db, "__name__=m,a=1,job=x", START_MS, 1);
	put_one(db, "__name__=m,a=2,job=x", START_MS, 2);
	put_one(db, "__name__=m,__type__=gauge,a=3,job=y", START_MS, 3);
	put_one(db, "__name__=m,a=4", START_MS, 4);
}

static struct series_set *select_all(
	struct tsdb *db, struct arena *arena, const struct str *wanted, size_t count) {
	struct matcher all = { .op = MATCHER_EQUAL, .name = LABEL_NAME, .value = STR("m") };
	struct select_request request = { .matchers = &all,
		.matcher_count = 1,
		.min_ms = 0,
		.max_ms = INT64_MAX,
		.sorted = true,
		.wanted = wanted,
		.wanted_count = count,
		.is_projected = wanted != NULL };
	struct series_set *set = NULL;
	struct err err = { 0 };

	assert_ok(store_select(tsdb_store(db), &request, arena, &set, &err), err);
	return set;
}

/* The next series as "{labels}=value", or "" at the end. */
static const char *next_text(struct series_set *set, struct buf *out) {
	struct sample_column samples = { 0 };
	struct err err = { 0 };
	int rc = series_set_next(set, &err);

	buf_reset(out);
	assert_ok(rc, err);
	if (rc > 0) {
		assert_ok(series_set_read(set, &samples, &err), err);
		assert_int_equal(samples.count, 1);
		labels_format(&set->labels, out);
		buf_printf(out, "=%g", samples.values[0]);
	}
	sample_column_deinit(&samples);
	buf_append(out, "", 1);
	return out->ptr;
}

static void a_fork_walks_on_its_own(void **state) {
	struct fixture f;
	struct arena arena = { 0 };
	struct arena other = { 0 };
	struct buf out = { 0 };
	struct series_set *set;
	struct series_set *fork = NULL;
	struct err err = { 0 };

	(void)state;
	fixture_init(&f);
	fill(f.db);
	set = select_all(f.db, &arena, NULL, 0);
	assert_true(series_set_is_shareable(set));
	assert_int_equal(series_set_count(set), 4);
	assert_string_equal(next_text(set, &out), "m{__type__=\"gauge\", a=\"3\", job=\"y\"}=3");
	assert_ok(series_set_fork(set, &other, &fork, &err), err);
	series_set_seek(fork, 3);
	assert_string_equal(next_text(fork, &out), "m{a=\"4\"}=4");
	assert_string_equal(next_text(fork, &out), "");
	series_set_seek(fork, 1);
	assert_string_equal(next_text(fork, &out), "m{a=\"1\", job=\"x\"}=1");
	assert_string_equal(next_text(set, &out), "m{a=\"1\", job=\"x\"}=1");
	series_set_close(fork);
	arena_deinit(&other);
	assert_string_equal(next_text(set, &out), "m{a=\"2\", job=\"x\"}=2");
	series_set_close(set);
	arena_deinit(&arena);
	buf_deinit(&out);
	fixture_deinit(&f);
}

static void leaves_out_labels_that_nobody_wants(void **state) {
	const struct str wanted[] = { STR("job"), STR("none") };
	struct fixture f;
	struct arena arena = { 0 };
	struct buf out = { 0 };
	struct series_set *set;

	(void)state;
	fixture_init(&f);
	fill(f.db);
	set = select_all(f.db, &arena, wanted, 2);
	/* One with a type keeps all. */
	assert_string_equal(next_text(set, &out), "m{__type__=\"gauge\", a=\"3\", job=\"y\"}=3");
	assert_string_equal(next_text(set, &out), "m{job=\"x\"}=1");
	assert_string_equal(next_text(set, &out), "m{job=\"x\"}=2");
	assert_string_equal(next_text(set, &out), "m=4");
	assert_string_equal(next_text(set, &out), "");
	series_set_close(set);
	arena_deinit(&arena);
	buf_deinit(&out);
	fixture_deinit(&f);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(a_fork_walks_on_its_own),
		TEST(leaves_out_labels_that_nobody_wants),
	};
	return TEST_RUN(tests);
}
