#include "chunk/xor.h"
#include "tsdb/testing.h"

#include <signal.h>
#include <sys/resource.h>

static void returns_what_was_committed(void **state) {
	struct fixture f;
	struct appender *appender;
	struct err err = { 0 };

	(void)state;
	fixture_init(&f);
	appender = begin(f.db);
	assert_int_equal(put(appender, "__name__=up,job=b", START_MS, 1), APPEND_OK);
	assert_int_equal(put(appender, "__name__=up,job=a", START_MS, 0), APPEND_OK);
	assert_dump(f.db, "");
	assert_ok(appender_commit(appender, &err), err);
	put_one(f.db, "__name__=up,job=a", START_MS + 15000, double_of_bits(STALE_NAN_BITS));
	assert_dump(f.db, "up{job=\"a\"} 0=0 15000=stale\nup{job=\"b\"} 0=1\n");
	fixture_deinit(&f);
}

static void a_rollback_leaves_no_sample(void **state) {
	struct fixture f;
	struct appender *appender;

	(void)state;
	fixture_init(&f);
	appender = begin(f.db);
	assert_int_equal(put(appender, "a=1", START_MS, 1), APPEND_OK);
	appender_rollback(appender);
	assert_dump(f.db, "");
	put_one(f.db, "a=1", START_MS + 5, 2);
	assert_dump(f.db, "{a=\"1\"} 5=2\n");
	fixture_reopen(&f);
	assert_dump(f.db, "{a=\"1\"} 5=2\n");
	fixture_deinit(&f);
}

static void tells_what_became_of_a_sample(void **state) {
	struct fixture f;
	struct appender *appender;
	struct tsdb_stats stats;

	(void)state;
	fixture_init(&f);
	put_one(f.db, "a=1", START_MS, 1);
	appender = begin(f.db);
	assert_int_equal(put(appender, "a=1", START_MS, 1), APPEND_OK);
	assert_int_equal(put(appender, "a=1", START_MS, 2), APPEND_DUPLICATE);
	assert_int_equal(put(appender, "a=1", START_MS - 1, 2), APPEND_OUT_OF_ORDER);
	assert_int_equal(put(appender, "a=1", START_MS - HOUR_MS - 1, 2), APPEND_TOO_OLD);
	assert_int_equal(put(appender, "b=1", START_MS - HOUR_MS, 2), APPEND_OK);
	assert_int_equal(put(appender, "b=1", START_MS - HOUR_MS - 1, 2), APPEND_TOO_OLD);
	appender_rollback(appender);
	tsdb_stats_get(f.db, &stats);
	assert_int_equal(stats.duplicates, 1);
	assert_int_equal(stats.out_of_order, 1);
	assert_int_equal(stats.too_old, 2);
	assert_dump(f.db, "{a=\"1\"} 0=1\n");
	fixture_deinit(&f);
}

static void appends_by_reference(void **state) {
	struct fixture f;
	struct arena arena = { 0 };
	struct labels set;
	struct appender *appender;
	struct series_ref ref = { 0 };
	struct series_ref odd = { UINT64_C(7) << 32 };
	struct series_ref far = { (UINT64_C(1) << 32) + 0x7fffffff };
	struct err err = { 0 };

	(void)state;
	fixture_init(&f);
	set = labels_of(&arena, "a=1,b=2");
	appender = begin(f.db);
	assert_int_equal(appender_append(appender, &ref, &set, START_MS, 1, &err), APPEND_OK);
	assert_true(ref.v != 0);
	assert_ok(appender_commit(appender, &err), err);
	appender = begin(f.db);
	assert_int_equal(appender_append(appender, &ref, NULL, START_MS + 1, 2, &err), APPEND_OK);
	assert_int_equal(
		appender_append(appender, &odd, NULL, START_MS + 1, 2, &err), APPEND_UNKNOWN_REF);
	assert_int_equal(
		appender_append(appender, &far, NULL, START_MS + 1, 2, &err), APPEND_UNKNOWN_REF);
	assert_ok(appender_commit(appender, &err), err);
	assert_dump(f.db, "{a=\"1\", b=\"2\"} 0=1 1=2\n");
	arena_deinit(&arena);
	fixture_deinit(&f);
}

static void refuses_a_series_without_labels(void **state) {
	struct fixture f;
	struct appender *appender;

	(void)state;
	fixture_init(&f);
	appender = begin(f.db);
	assert_int_equal(put(appender, "", START_MS, 1), ERR_INVAL);
	appender_rollback(appender);
	fixture_deinit(&f);
}

/* A time long enough for many chunks, over several ranges, a gap in the middle. */
static void fill(struct tsdb *db, int series, int samples, int64_t step_ms) {
	struct err err = { 0 };

	for (int i = 0; i < samples; i++) {
		struct appender *appender = begin(db);
		int64_t time_ms = START_MS + i * step_ms + (i > samples / 2 ? 3 * HOUR_MS : 0);
		for (int k = 0; k < series; k++) {
			char labels[64];
			(void)snprintf(labels, sizeof(labels), "__name__=m,n=%d", k);
			assert_int_equal(put(appender, labels, time_ms, i * 100 + k), APPEND_OK);
		}
		assert_ok(appender_commit(appender, &err), err);
	}
}

static void many_chunks_read_back_whole_and_in_part(void **state) {
	struct fixture f;
	struct buf before = { 0 };
	struct buf after = { 0 };
	struct buf part = { 0 };
	struct tsdb_stats stats;

	(void)state;
	fixture_init(&f);
	fill(f.db, 3, 2000, 15000);
	tsdb_stats_get(f.db, &stats);
	assert_int_equal(stats.samples, 6000);
	assert_true(stats.chunks >= 50);
	assert_true(stats.chunk_file_bytes > 1000);
	dump_all(f.db, &before);
	dump_matching(f.db, NULL, 0, START_MS + 300 * 15000, START_MS + 301 * 15000, &part);
	assert_string_equal(buf_text(&part), "m{n=\"0\"} 4500000=30000 4515000=30100\n"
					     "m{n=\"1\"} 4500000=30001 4515000=30101\n"
					     "m{n=\"2\"} 4500000=30002 4515000=30102\n");
	buf_reset(&part);
	/* Within the gap, before everything and after everything there is nothing. */
	dump_matching(f.db, NULL, 0, START_MS + 1001 * 15000, START_MS + 1002 * 15000, &part);
	dump_matching(f.db, NULL, 0, 0, START_MS - 1, &part);
	dump_matching(f.db, NULL, 0, START_MS + 100 * HOUR_MS, INT64_MAX, &part);
	assert_string_equal(buf_text(&part), "");
	fixture_reopen(&f);
	dump_all(f.db, &after);
	assert_string_equal(buf_text(&before), buf_text(&after));
	buf_deinit(&before);
	buf_deinit(&after);
	buf_deinit(&part);
	fixture_deinit(&f);
}

/* Two series, one after the other, 3,000 samples each in one transaction. */
static void loads_series_one_after_the_other(void **state) {
	struct fixture f;
	struct buf before = { 0 };
	struct buf after = { 0 };
	struct tsdb_stats stats;
	struct appender *appender;
	struct err err = { 0 };

	(void)state;
	fixture_init(&f);
	f.options.any_age = true;
	fixture_reopen(&f);
	appender = begin(f.db);
	for (int64_t i = 0; i < 6000; i++) {
		assert_int_equal(put(appender, i < 3000 ? "a=1" : "a=2",
					 START_MS + i % 3000 * 15000, (double)i / 7),
			APPEND_OK);
	}
	assert_ok(appender_commit(appender, &err), err);
	dump_all(f.db, &before);
	f.options.any_age = false;
	/* The log is read back in batches that hold many samples of a series, too. */
	for (int round = 0; round < 2; round++) {
		tsdb_stats_get(f.db, &stats);
		assert_true(stats.chunks >= 50 && stats.chunks <= 100);
		assert_int_equal(stats.out_of_order, 0);
		fixture_reopen(&f);
		buf_reset(&after);
		dump_all(f.db, &after);
		assert_string_equal(buf_text(&before), buf_text(&after));
		assert_ok(tsdb_checkpoint(f.db, &err), err);
	}
	buf_deinit(&before);
	buf_deinit(&after);
	fixture_deinit(&f);
}

/* One series after the other, each with more samples than a chunk can count. */
static void append_in_one_commit(struct tsdb *db, const char *labels, int samples) {
	struct rand rand = { 0 };
	struct appender *appender = begin(db);
	struct err err = { 0 };

	rand_init(&rand, 7);
	for (int i = 0; i < samples; i++) {
		double value = (double)rand_next(&rand) / 3;
		assert_int_equal(put(appender, labels, START_MS + i * 1000, value), APPEND_OK);
	}
	assert_ok(appender_commit(appender, &err), err);
}

static void a_commit_may_bring_many_chunks_of_a_series(void **state) {
	struct fixture f;
	struct tsdb_stats stats;
	struct buf before = { 0 };
	struct buf chunks = { 0 };
	struct err err = { 0 };

	(void)state;
	fixture_init(&f);
	f.options.any_age = true;
	fixture_reopen(&f);
	append_in_one_commit(f.db, "n=1", XOR_COUNT_MAX + 1000);
	append_in_one_commit(f.db, "n=2", XOR_COUNT_MAX + 1000);
	tsdb_stats_get(f.db, &stats);
	assert_int_equal(stats.samples, 2 * (XOR_COUNT_MAX + 1000));
	assert_int_equal(stats.out_of_order, 0);
	assert_true(stats.chunks >= 2 * XOR_COUNT_MAX / f.options.samples_per_chunk);
	dump_all(f.db, &before);
	fixture_reopen(&f);
	assert_dump(f.db, buf_text(&before));
	/* From the log alone. */
	buf_printf(&chunks, "%s/chunks_head", f.dir);
	assert_ok(tsdb_close(f.db, &err), err);
	assert_ok(dir_remove_tree(buf_text(&chunks), &err), err);
	assert_ok(tsdb_open(&f.options, &f.db, &err), err);
	assert_dump(f.db, buf_text(&before));
	fixture_deinit(&f);
	buf_deinit(&before);
	buf_deinit(&chunks);
}

static void a_walk_sees_what_was_there_when_it_began(void **state) {
	const struct select_request request = { .min_ms = INT64_MIN, .max_ms = INT64_MAX };
	struct fixture f;
	struct arena arena = { 0 };
	struct series_set *set = NULL;
	struct sample_column column = { 0 };
	struct err err = { 0 };

	(void)state;
	fixture_init(&f);
	fill(f.db, 1, 5, 15000);
	assert_ok(store_select(tsdb_store(f.db), &request, &arena, &set, &err), err);
	/* The open chunk goes on, is cut, and others follow it. */
	for (int i = 5; i < 500; i++) {
		put_one(f.db, "__name__=m,n=0", START_MS + 4 * HOUR_MS + i * 15000, i);
		if (i == 6) {
			assert_int_equal(series_set_next(set, &err), 1);
			assert_ok(series_set_read(set, &column, &err), err);
			assert_int_equal(column.count, 5);
		}
	}
	assert_ok(series_set_read(set, &column, &err), err);
	assert_int_equal(column.count, 5);
	assert_int_equal(column.times_ms[4], START_MS + 3 * HOUR_MS + 60000);
	assert_int_equal(series_set_next(set, &err), 0);
	series_set_close(set);
	sample_column_deinit(&column);
	arena_deinit(&arena);
	fixture_deinit(&f);
}

static void names_and_values_of_labels(void **state) {
	struct regex_set regexes = { 0 };
	const struct regex *regex = NULL;
	struct matcher matcher = { .op = MATCHER_REGEX, .name = STR("job"), .value = STR("a.*") };
	struct select_request request = { .min_ms = INT64_MIN, .max_ms = INT64_MAX };
	struct fixture f;
	struct arena arena = { 0 };
	struct str_list list = { 0 };
	struct err err = { 0 };

	(void)state;
	fixture_init(&f);
	put_one(f.db, "__name__=up,job=ab,x=1", START_MS, 1);
	put_one(f.db, "__name__=up,job=aa", START_MS, 1);
	put_one(f.db, "__name__=down,job=c,y=1", START_MS + HOUR_MS / 2, 1);
	assert_ok(store_label_names(tsdb_store(f.db), &request, &arena, &list, &err), err);
	assert_int_equal(list.count, 4);
	assert_str_equal(list.items[0], STR("__name__"));
	assert_str_equal(list.items[3], STR("y"));
	assert_ok(store_label_values(tsdb_store(f.db), STR("job"), &request, &arena, &list, &err),
		err);
	assert_int_equal(list.count, 3);
	assert_str_equal(list.items[0], STR("aa"));
	assert_str_equal(list.items[2], STR("c"));
	assert_ok(store_label_values(tsdb_store(f.db), STR("zz"), &request, &arena, &list, &err),
		err);
	assert_int_equal(list.count, 0);
	assert_ok(regex_set_add(&regexes, matcher.value, &regex, &err), err);
	matcher.regex = regex;
	request.matchers = &matcher;
	request.matcher_count = 1;
	assert_ok(store_label_names(tsdb_store(f.db), &request, &arena, &list, &err), err);
	assert_int_equal(list.count, 3);
	request.limit = 1;
	assert_ok(store_label_values(
			  tsdb_store(f.db), STR("__name__"), &request, &arena, &list, &err),
		err);
	assert_int_equal(list.count, 1);
	assert_str_equal(list.items[0], STR("up"));
	/* A range of time leaves out what has no sample in it. */
	request = (struct select_request){ .min_ms = START_MS + 1, .max_ms = INT64_MAX };
	assert_ok(store_label_values(tsdb_store(f.db), STR("job"), &request, &arena, &list, &err),
		err);
	assert_int_equal(list.count, 1);
	regex_set_deinit(&regexes);
	arena_deinit(&arena);
	fixture_deinit(&f);
}

/* Random matchers against random series: what select gives is what matchers_match accepts. */
static void selects_what_the_matchers_accept(void **state) {
	static const char *const patterns[] = { "", "a", "b|c", "a|", ".*", ".+", "[ab]", "[^a]*",
		"a.*", "x", "x|y", "(b|c)?", "v[0-9]+", "v1.*" };
	const char *seed_text = getenv("SEED"); // NOLINT(concurrency-mt-unsafe): tests only
	uint64_t seed = seed_text ? strtoull(seed_text, NULL, 10) : 11;
	struct fixture f;
	struct arena arena = { 0 };
	struct labels sets[150];
	struct rand rand;
	struct err err = { 0 };

	(void)state;
	print_message("SEED=%" PRIu64 "\n", seed);
	rand_init(&rand, seed);
	fixture_init(&f);
	for (size_t i = 0; i < ARRAY_COUNT(sets); i++) {
		static const char *const values[] = { "a", "b", "c", "ab" };
		struct buf text = { 0 };
		buf_printf(&text, "id=v%zu", i);
		for (const char *name = "pqr"; *name; name++) {
			if (rand_below(&rand, 3) > 0) {
				buf_printf(&text, ",%c=%s", *name, values[rand_below(&rand, 4)]);
			}
		}
		sets[i] = labels_of(&arena, buf_text(&text));
		put_one(f.db, buf_text(&text), START_MS, (double)i);
		buf_deinit(&text);
	}
	for (int round = 0; round < 1500; round++) {
		static const char *const names[] = { "p", "q", "r", "id", "none" };
		struct arena query = { 0 };
		struct regex_set regexes = { 0 };
		struct matcher matchers[3];
		size_t count = 1 + rand_below(&rand, 3);
		struct select_request request = { .matchers = matchers,
			.matcher_count = count,
			.min_ms = INT64_MIN,
			.max_ms = INT64_MAX,
			.sorted = true };
		struct series_set *set = NULL;
		struct labels last = { 0 };
		size_t expected = 0;
		size_t found = 0;
		int rc;

		for (size_t i = 0; i < count; i++) {
			matchers[i] = (struct matcher){ .op = (enum matcher_op)rand_below(&rand, 4),
				.name = str_of(names[rand_below(&rand, ARRAY_COUNT(names))]),
				.value = str_of(
					patterns[rand_below(&rand, ARRAY_COUNT(patterns))]) };
			if (matchers[i].op >= MATCHER_REGEX) {
				assert_ok(regex_set_add(&regexes, matchers[i].value,
						  &matchers[i].regex, &err),
					err);
			}
		}
		for (size_t i = 0; i < ARRAY_COUNT(sets); i++) {
			expected += matchers_match(matchers, count, &sets[i]);
		}
		assert_ok(store_select(tsdb_store(f.db), &request, &query, &set, &err), err);
		while ((rc = series_set_next(set, &err)) == 1) {
			assert_true(matchers_match(matchers, count, &set->labels));
			assert_true(found == 0 || labels_cmp(&last, &set->labels) < 0);
			last = set->labels;
			found++;
		}
		assert_ok(rc, err);
		if (found != expected) {
			struct buf text = { 0 };
			for (size_t i = 0; i < count; i++) {
				matcher_format(&matchers[i], &text);
				buf_add_byte(&text, ' ');
			}
			fail_msg("%s: %zu series, expected %zu", buf_text(&text), found, expected);
		}
		series_set_close(set);
		regex_set_deinit(&regexes);
		arena_deinit(&query);
	}
	arena_deinit(&arena);
	fixture_deinit(&f);
}

static void a_limit_cuts_the_series(void **state) {
	struct select_request request = {
		.min_ms = INT64_MIN, .max_ms = INT64_MAX, .limit = 2, .sorted = true
	};
	struct fixture f;
	struct arena arena = { 0 };
	struct series_set *set = NULL;
	struct err err = { 0 };
	size_t found = 0;

	(void)state;
	fixture_init(&f);
	fill(f.db, 5, 1, 15000);
	assert_ok(store_select(tsdb_store(f.db), &request, &arena, &set, &err), err);
	while (series_set_next(set, &err) == 1) {
		found++;
	}
	assert_int_equal(found, 2);
	series_set_close(set);
	arena_deinit(&arena);
	fixture_deinit(&f);
}

static void a_canceled_select_says_so(void **state) {
	const _Atomic bool canceled = true;
	struct select_request request = {
		.min_ms = INT64_MIN, .max_ms = INT64_MAX, .canceled = &canceled
	};
	struct fixture f;
	struct arena arena = { 0 };
	struct series_set *set = NULL;
	struct err err = { 0 };

	(void)state;
	fixture_init(&f);
	assert_int_equal(
		store_select(tsdb_store(f.db), &request, &arena, &set, &err), ERR_CANCELED);
	arena_deinit(&arena);
	fixture_deinit(&f);
}

static void a_spent_budget_ends_a_select(void **state) {
	struct select_request request = { .min_ms = INT64_MIN, .max_ms = INT64_MAX };
	struct fixture f;
	struct budget budget;
	struct arena arena;
	struct series_set *set = NULL;
	struct err err = { 0 };
	int rc;

	(void)state;
	fixture_init(&f);
	fill(f.db, 200, 1, 15000);
	budget_init(&budget, NULL, "query.max-bytes", 10000);
	arena_init(&arena, &budget);
	rc = store_select(tsdb_store(f.db), &request, &arena, &set, &err);
	while (rc >= 0 && (rc = series_set_next(set, &err)) == 1) {
	}
	assert_int_equal(rc, ERR_LIMIT);
	series_set_close(set);
	arena_deinit(&arena);
	budget_deinit(&budget);
	fixture_deinit(&f);
}

static void refuses_a_directory_with_blocks(void **state) {
	struct fixture f;
	char path[128];
	struct err err = { 0 };

	(void)state;
	fixture_init(&f);
	assert_ok(tsdb_close(f.db, &err), err);
	f.db = NULL;
	(void)snprintf(path, sizeof(path), "%s/01J9ZZZZZZZZZZZZZZZZZZZZZZ", f.dir);
	assert_ok(dir_make(path, 0700, &err), err);
	assert_int_equal(tsdb_open(&f.options, &f.db, &err), ERR_ABSENT);
	assert_non_null(strstr(err.text, "holds 1 blocks (01J9ZZZZZZZZZZZZZZZZZZZZZZ ...)"));
	fixture_deinit(&f);
}

static void refuses_a_second_opener(void **state) {
	struct fixture f;
	struct tsdb *other = NULL;
	struct err err = { 0 };

	(void)state;
	fixture_init(&f);
	assert_int_equal(tsdb_open(&f.options, &other, &err), ERR_IO);
	assert_non_null(strstr(err.text, "lock"));
	fixture_deinit(&f);
}

static void a_reader_beside_the_server_changes_nothing(void **state) {
	struct fixture f;
	struct tsdb_options options;
	struct tsdb *reader = NULL;
	struct buf ours = { 0 };
	struct buf theirs = { 0 };
	struct dir_list before = { 0 };
	struct dir_list after = { 0 };
	char wal[128];
	struct err err = { 0 };

	(void)state;
	fixture_init(&f);
	fill(f.db, 2, 700, 15000);
	(void)snprintf(wal, sizeof(wal), "%s/wal", f.dir);
	assert_ok(dir_list(wal, &before, &err), err);
	options = f.options;
	options.read_only = true;
	assert_ok(tsdb_open(&options, &reader, &err), err);
	dump_all(reader, &theirs);
	dump_all(f.db, &ours);
	assert_string_equal(buf_text(&ours), buf_text(&theirs));
	assert_ok(tsdb_close(reader, &err), err);
	assert_ok(dir_list(wal, &after, &err), err);
	assert_int_equal(before.count, after.count);
	dir_list_free(&before);
	dir_list_free(&after);
	buf_deinit(&ours);
	buf_deinit(&theirs);
	fixture_deinit(&f);
}

/* A full disk, as a limit of the files' size: the log refuses, nothing shows, later it goes on. */
static void a_full_disk_fails_a_commit_and_nothing_else(void **state) {
	struct fixture f;
	struct appender *appender;
	struct rlimit before;
	struct rlimit small;
	struct buf text = { 0 };
	struct buf again = { 0 };
	struct tsdb_stats stats;
	struct err err = { 0 };

	(void)state;
	fixture_init(&f);
	f.options.no_wal_compression = true;
	fixture_reopen(&f);
	fill(f.db, 50, 10, 15000);
	dump_all(f.db, &text);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	small = (struct rlimit){ 9000, before.rlim_max };
	(void)signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	appender = begin(f.db);
	for (int k = 0; k < 300; k++) {
		char labels[64];
		(void)snprintf(labels, sizeof(labels), "__name__=m,n=%d", k);
		assert_int_equal(put(appender, labels, START_MS + 11 * 15000 + 3 * HOUR_MS, 1), 0);
	}
	assert_int_equal(appender_commit(appender, &err), ERR_IO);
	assert_non_null(strstr(err.text, "log segment"));
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	tsdb_stats_get(f.db, &stats);
	assert_int_equal(stats.wal_failures, 1);
	dump_all(f.db, &again);
	assert_string_equal(buf_text(&text), buf_text(&again));
	put_one(f.db, "__name__=z", START_MS + 12 * 15000 + 3 * HOUR_MS, 7);
	buf_reset(&text);
	dump_all(f.db, &text);
	assert_non_null(strstr(buf_text(&text), "z 10980000=7\n"));
	fixture_reopen(&f);
	buf_reset(&again);
	dump_all(f.db, &again);
	assert_string_equal(buf_text(&text), buf_text(&again));
	buf_deinit(&text);
	buf_deinit(&again);
	fixture_deinit(&f);
}

/* The chunk files' disk is full, the log's is not: full chunks stay in memory, then go. */
static void chunks_that_cannot_be_cut_wait_in_memory(void **state) {
	struct fixture f;
	struct tsdb_stats stats;
	struct buf text = { 0 };
	struct buf again = { 0 };
	char path[128];
	struct err err = { 0 };

	(void)state;
	fixture_init(&f);
	(void)snprintf(path, sizeof(path), "%s/chunks_head", f.dir);
	assert_ok(dir_remove_tree(path, &err), err);
	fill(f.db, 2, 600, 15000);
	tsdb_stats_get(f.db, &stats);
	assert_int_equal(stats.chunks, 2);
	dump_all(f.db, &text);
	assert_ok(dir_make(path, 0700, &err), err);
	put_one(f.db, "__name__=m,n=0", START_MS + 20 * HOUR_MS, 1);
	put_one(f.db, "__name__=m,n=1", START_MS + 20 * HOUR_MS, 1);
	tsdb_stats_get(f.db, &stats);
	assert_int_equal(stats.chunks, 4);
	buf_reset(&text);
	dump_all(f.db, &text);
	fixture_reopen(&f);
	dump_all(f.db, &again);
	assert_string_equal(buf_text(&text), buf_text(&again));
	buf_deinit(&text);
	buf_deinit(&again);
	fixture_deinit(&f);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(returns_what_was_committed),
		TEST(a_rollback_leaves_no_sample),
		TEST(tells_what_became_of_a_sample),
		TEST(appends_by_reference),
		TEST(refuses_a_series_without_labels),
		TEST(many_chunks_read_back_whole_and_in_part),
		TEST(loads_series_one_after_the_other),
		TEST(a_commit_may_bring_many_chunks_of_a_series),
		TEST(a_walk_sees_what_was_there_when_it_began),
		TEST(names_and_values_of_labels),
		TEST(selects_what_the_matchers_accept),
		TEST(a_limit_cuts_the_series),
		TEST(a_canceled_select_says_so),
		TEST(a_spent_budget_ends_a_select),
		TEST(refuses_a_directory_with_blocks),
		TEST(refuses_a_second_opener),
		TEST(a_reader_beside_the_server_changes_nothing),
		TEST(a_full_disk_fails_a_commit_and_nothing_else),
		TEST(chunks_that_cannot_be_cut_wait_in_memory),
	};
	return TEST_RUN(tests);
}
