/*
 * Everybody at once: writers, readers, maintenance with checkpoints, chunks that are cut and files
 * that are dropped. What each reader sees must make sense by itself; the sanitizers see the rest.
 */
#include "tsdb/testing.h"

#include "base/check.h"
#include "base/thread.h"
#include "tsdb/head.h"

#include <stdatomic.h>

#define SERIES 30
#define COMMITS 1500
#define STEP_MS INT64_C(10000)
#define READERS 3

struct stage {
	struct fixture fixture;
	_Atomic bool is_over; /* Relaxed: only ends loops. */
	_Atomic uint64_t reads;
};

/* The steady series: all of them in every commit, a value that tells series and time. */
static double value_of(uint64_t series, int64_t time_ms) {
	return (double)((time_ms - START_MS) * 64 + (int64_t)series);
}

static void steady_commit(struct tsdb *db, struct series_ref *refs, int64_t time_ms) {
	struct appender *appender = begin(db);
	struct arena arena = { 0 };
	struct err err = { 0 };

	for (uint64_t i = 0; i < SERIES; i++) {
		char text[64];
		struct labels set;
		(void)snprintf(text, sizeof(text), "__name__=steady,n=%d", (int)i);
		set = labels_of(&arena, text);
		CHECK(appender_append(appender, &refs[i], &set, time_ms, value_of(i, time_ms),
			      &err) == APPEND_OK);
	}
	CHECK(appender_commit(appender, &err) == 0);
	arena_deinit(&arena);
}

static void steady_run(void *context) {
	struct stage *stage = context;
	struct series_ref refs[SERIES] = { 0 };

	/* On a busy machine the others may need longer to come to it. */
	for (int64_t i = 1; i <= COMMITS || atomic_load(&stage->reads) < READERS; i++) {
		steady_commit(stage->fixture.db, refs, START_MS + HOUR_MS + i * STEP_MS);
		clock_advance_ms(&stage->fixture.clock, STEP_MS);
	}
	atomic_store_explicit(&stage->is_over, true, memory_order_relaxed);
}

/* Series that come and go; now and then a transaction is dropped, or a reference kept for long. */
static void fleeting_run(void *context) {
	struct stage *stage = context;
	struct tsdb *db = stage->fixture.db;
	struct series_ref kept = { 0 };
	struct arena arena = { 0 };
	struct labels set = labels_of(&arena, "__name__=kept,n=1");
	struct err err = { 0 };

	for (int i = 0; !atomic_load_explicit(&stage->is_over, memory_order_relaxed); i++) {
		int64_t now_ms = clock_now_ms(&stage->fixture.clock);
		struct appender *appender = begin(db);
		char text[64];
		int rc;
		(void)snprintf(text, sizeof(text), "__name__=fleeting,n=%d", i / 4);
		rc = put(appender, text, now_ms, i);
		CHECK(rc >= 0);
		rc = appender_append(appender, &kept, &set, now_ms, i, &err);
		if (rc == APPEND_UNKNOWN_REF) {
			kept = (struct series_ref){ 0 };
		}
		CHECK(rc >= 0);
		if (i % 7 == 0) {
			appender_rollback(appender);
		} else {
			CHECK(appender_commit(appender, &err) == 0);
		}
	}
	arena_deinit(&arena);
}

/* Without a hole from the first sample that retention left on. */
static void steady_check(struct series_set *set, const struct sample_column *column) {
	uint64_t n = 0;

	CHECK(str_to_u64(labels_get(&set->labels, STR("n")), &n));
	for (size_t i = 0; i < column->count; i++) {
		CHECK(column->values[i] == value_of(n, column->times_ms[i]));
		CHECK(i == 0 || column->times_ms[i] == column->times_ms[i - 1] + STEP_MS);
	}
}

/* Reads all of one name; returns the newest time. */
static int64_t select_check_one(struct tsdb *db, const char *name, bool is_steady) {
	const struct matcher matcher = {
		.op = MATCHER_EQUAL, .name = LABEL_NAME, .value = str_of(name)
	};
	const struct select_request request = { .matchers = &matcher,
		.matcher_count = 1,
		.min_ms = INT64_MIN,
		.max_ms = INT64_MAX,
		.sorted = true };
	struct arena arena = { 0 };
	struct series_set *set = NULL;
	struct sample_column column = { 0 };
	struct err err = { 0 };
	int64_t newest = INT64_MIN;
	size_t count = 0;
	int rc;

	CHECK(store_select(tsdb_store(db), &request, &arena, &set, &err) == 0);
	while ((rc = series_set_next(set, &err)) == 1) {
		CHECK(series_set_read(set, &column, &err) == 0);
		CHECK(str_equal(labels_get(&set->labels, LABEL_NAME), str_of(name)));
		if (!is_steady) {
			continue;
		}
		steady_check(set, &column);
		/* All of a commit is seen, or none of it. */
		CHECK(column.count > 0);
		CHECK(count == 0 || column.times_ms[column.count - 1] == newest);
		newest = column.times_ms[column.count - 1];
		count++;
	}
	CHECK(rc == 0);
	CHECK(!is_steady || count == SERIES);
	series_set_close(set);
	sample_column_deinit(&column);
	arena_deinit(&arena);
	return newest;
}

static void names_check(struct tsdb *db) {
	const struct select_request request = { .min_ms = INT64_MIN, .max_ms = INT64_MAX };
	struct arena arena = { 0 };
	struct str_list list = { 0 };
	struct err err = { 0 };

	CHECK(store_label_values(tsdb_store(db), LABEL_NAME, &request, &arena, &list, &err) == 0);
	for (size_t i = 1; i < list.count; i++) {
		CHECK(str_cmp(list.items[i - 1], list.items[i]) < 0);
	}
	arena_deinit(&arena);
}

static void reader_run(void *context) {
	struct stage *stage = context;
	struct tsdb *db = stage->fixture.db;
	int64_t before = INT64_MIN;

	do {
		int64_t newest = select_check_one(db, "steady", true);
		/* What was seen once does not go. */
		CHECK(newest >= before);
		before = newest;
		(void)select_check_one(db, "fleeting", false);
		(void)select_check_one(db, "kept", false);
		names_check(db);
		atomic_fetch_add_explicit(&stage->reads, 1, memory_order_relaxed);
	} while (!atomic_load_explicit(&stage->is_over, memory_order_relaxed));
}

static void maintenance_run(void *context) {
	struct stage *stage = context;
	struct tsdb *db = stage->fixture.db;
	struct tsdb_stats stats;
	struct err err = { 0 };

	for (int i = 0; i == 0 || !atomic_load_explicit(&stage->is_over, memory_order_relaxed);
		i++) {
		CHECK(tsdb_maintain(db, &err) == 0);
		head_compact(db);
		if (i % 5 == 0) {
			CHECK(head_checkpoint(db, &err) == 0);
		}
		tsdb_stats_get(db, &stats);
		CHECK(stats.series >= SERIES);
	}
}

static void stage_run(struct stage *stage) {
	pthread_t readers[READERS];
	pthread_t steady = thread_start(THREAD_LOOP, "steady", steady_run, stage);
	pthread_t fleeting = thread_start(THREAD_LOOP, "fleeting", fleeting_run, stage);
	pthread_t maintenance = thread_start(THREAD_QUERY, "maintain", maintenance_run, stage);

	for (int i = 0; i < READERS; i++) {
		readers[i] = thread_start(THREAD_QUERY, "reader", reader_run, stage);
	}
	thread_join(steady);
	thread_join(fleeting);
	thread_join(maintenance);
	for (int i = 0; i < READERS; i++) {
		thread_join(readers[i]);
	}
}

static void everybody_at_once(void **state) {
	struct stage stage = { 0 };
	struct series_ref refs[SERIES] = { 0 };
	struct buf before = { 0 };
	struct buf after = { 0 };
	struct tsdb_stats stats;
	int64_t from_ms;

	(void)state;
	fixture_init(&stage.fixture);
	stage.fixture.options.retention_ms = HOUR_MS;
	stage.fixture.options.wal_segment_size = 4 * WAL_PAGE;
	stage.fixture.options.samples_per_chunk = 7;
	/* Two files of chunks that retention takes away while all are busy. */
	for (int part = 0; part < 2; part++) {
		fixture_reopen(&stage.fixture);
		for (int64_t i = 1; i <= HOUR_MS / STEP_MS / 2; i++) {
			memset(refs, 0, sizeof(refs));
			steady_commit(stage.fixture.db, refs,
				START_MS + part * HOUR_MS / 2 + i * STEP_MS);
			clock_advance_ms(&stage.fixture.clock, STEP_MS);
		}
	}
	fixture_reopen(&stage.fixture);
	stage_run(&stage);
	tsdb_stats_get(stage.fixture.db, &stats);
	assert_true(atomic_load(&stage.reads) > 0);
	assert_true(stats.checkpoints > 0);
	assert_int_equal(stats.wal_failures, 0);
	/* And what is not too old is there after a restart. */
	from_ms = clock_now_ms(&stage.fixture.clock) - HOUR_MS;
	dump_matching(stage.fixture.db, NULL, 0, from_ms, INT64_MAX, &before);
	fixture_reopen(&stage.fixture);
	dump_matching(stage.fixture.db, NULL, 0, from_ms, INT64_MAX, &after);
	assert_string_equal(buf_text(&before), buf_text(&after));
	buf_deinit(&before);
	buf_deinit(&after);
	fixture_deinit(&stage.fixture);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(everybody_at_once),
	};
	return TEST_RUN(tests);
}
