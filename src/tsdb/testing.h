/*
 * What the tests of the database share: a directory, and samples in and out as text.
 */
#ifndef TSDB_TESTING_H
#define TSDB_TESTING_H

#include "base/rand.h"
#include "base/test.h"
#include "io/file.h"
#include "tsdb/tsdb.h"

#include <inttypes.h>
#include <unistd.h>

#define HOUR_MS INT64_C(3600000)
/* When the tests' time begins: 2026-01-01, a range's start. */
#define START_MS INT64_C(1767225600000)

struct fixture {
	char dir[64];
	struct clock clock;
	struct tsdb_options options;
	struct tsdb *db;
};

static inline void fixture_init(struct fixture *fixture) {
	struct err err = { 0 };

	*fixture = (struct fixture){ 0 };
	(void)snprintf(fixture->dir, sizeof(fixture->dir), "/tmp/atoll-tsdb-XXXXXX");
	assert_non_null(mkdtemp(fixture->dir));
	clock_init_manual(&fixture->clock, START_MS);
	tsdb_options_init(&fixture->options);
	fixture->options.path = fixture->dir;
	fixture->options.clock = &fixture->clock;
	assert_ok(tsdb_open(&fixture->options, &fixture->db, &err), err);
}

static inline void fixture_reopen(struct fixture *fixture) {
	struct err err = { 0 };

	assert_ok(tsdb_close(fixture->db, &err), err);
	fixture->db = NULL;
	assert_ok(tsdb_open(&fixture->options, &fixture->db, &err), err);
}

static inline void fixture_deinit(struct fixture *fixture) {
	struct err err = { 0 };

	assert_ok(tsdb_close(fixture->db, &err), err);
	assert_ok(dir_remove_tree(fixture->dir, &err), err);
}

/* "a=1,b=2" as a set. */
static inline struct labels labels_of(struct arena *arena, const char *text) {
	struct label pairs[16];
	struct str rest = str_of(text);
	struct labels set = { 0 };
	struct err err = { 0 };
	size_t count = 0;

	while (rest.len > 0) {
		struct str value = str_cut(&rest, ',');
		struct str name = str_cut(&value, '=');
		pairs[count++] = (struct label){ name, value };
	}
	assert_ok(labels_build(arena, pairs, count, &set, &err), err);
	return set;
}

static inline struct appender *begin(struct tsdb *db) {
	struct appendable *appendable = tsdb_appendable(db);
	return appendable->begin(appendable);
}

/* Adds one sample to a transaction; returns the outcome. */
static inline int put(
	struct appender *appender, const char *labels, int64_t time_ms, double value) {
	struct arena arena = { 0 };
	struct labels set = labels_of(&arena, labels);
	struct series_ref ref = { 0 };
	struct err err = { 0 };
	int rc = appender_append(appender, &ref, &set, time_ms, value, &err);

	arena_deinit(&arena);
	return rc;
}

/* One sample in a transaction of its own. */
static inline void put_one(struct tsdb *db, const char *labels, int64_t time_ms, double value) {
	struct appender *appender = begin(db);
	struct err err = { 0 };

	assert_int_equal(put(appender, labels, time_ms, value), APPEND_OK);
	assert_ok(appender_commit(appender, &err), err);
}

/*
 * Everything that matches in a range, as lines "{labels} time=value time=value", sorted; times from
 * START_MS on.
 */
static inline void dump_matching(struct tsdb *db, const struct matcher *matchers, size_t count,
	int64_t min_ms, int64_t max_ms, struct buf *out) {
	const struct select_request request = { .matchers = matchers,
		.matcher_count = count,
		.min_ms = min_ms,
		.max_ms = max_ms,
		.sorted = true };
	struct arena arena = { 0 };
	struct series_set *set = NULL;
	struct sample_column column = { 0 };
	struct err err = { 0 };
	int rc;

	assert_ok(store_select(tsdb_store(db), &request, &arena, &set, &err), err);
	while ((rc = series_set_next(set, &err)) == 1) {
		assert_ok(series_set_read(set, &column, &err), err);
		labels_format(&set->labels, out);
		for (size_t i = 0; i < column.count; i++) {
			buf_printf(out, " %" PRId64 "=", column.times_ms[i] - START_MS);
			if (is_stale(column.values[i])) {
				buf_add_text(out, "stale");
			} else {
				buf_printf(out, "%.17g", column.values[i]);
			}
		}
		buf_add_byte(out, '\n');
	}
	assert_ok(rc, err);
	series_set_close(set);
	sample_column_deinit(&column);
	arena_deinit(&arena);
}

static inline void dump_all(struct tsdb *db, struct buf *out) {
	dump_matching(db, NULL, 0, INT64_MIN, INT64_MAX, out);
}

static inline void assert_dump(struct tsdb *db, const char *expected) {
	struct buf text = { 0 };

	dump_all(db, &text);
	assert_string_equal(buf_text(&text), expected);
	buf_deinit(&text);
}

#endif
