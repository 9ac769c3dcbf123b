/*
 * What a kill, a damaged disk and age leave.
 */
#include "tsdb/testing.h"

#include "base/hash.h"
#include "tsdb/head.h"

#include <signal.h>
#include <sys/wait.h>

/* Appends for ever; tells the parent the time of each commit that queries can see. */
static void child_run(const char *dir, int tell, uint64_t seed) {
	struct tsdb_options options;
	struct tsdb *db = NULL;
	struct tsdb_stats stats;
	struct err err = { 0 };
	struct rand rand;
	int64_t next;

	rand_init(&rand, seed);
	tsdb_options_init(&options);
	options.path = dir;
	options.wal_segment_size = WAL_PAGE * 8;
	options.samples_per_chunk = 10;
	if (tsdb_open(&options, &db, &err) < 0) {
		_exit(3);
	}
	tsdb_stats_get(db, &stats);
	next = clock_now_ms(options.clock);
	next = stats.max_time_ms < next ? next : stats.max_time_ms + 1;
	for (int64_t i = next;; i++) {
		struct appender *appender = begin(db);
		for (int k = 0; k < 40; k++) {
			char labels[64];
			(void)snprintf(labels, sizeof(labels), "__name__=m,n=%d", k);
			if (put(appender, labels, i, (double)(i * 64 + k)) != APPEND_OK) {
				_exit(4);
			}
		}
		if (appender_commit(appender, &err) < 0 ||
			write(tell, &i, sizeof(i)) != sizeof(i)) {
			_exit(5);
		}
		if (rand_below(&rand, 100) == 0 && head_checkpoint(db, &err) < 0) {
			_exit(6);
		}
	}
}

/* Lets a child write, kills it, returns the last time it told. */
static int64_t child_kill(const char *dir, uint64_t seed, size_t after) {
	int pipe_fds[2];
	int64_t last = 0;
	int64_t told;
	pid_t pid;
	int status;

	assert_int_equal(pipe(pipe_fds), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		(void)close(pipe_fds[0]);
		child_run(dir, pipe_fds[1], seed);
	}
	(void)close(pipe_fds[1]);
	for (size_t i = 0; i < after; i++) {
		assert_int_equal(read(pipe_fds[0], &told, sizeof(told)), sizeof(told));
		last = told;
	}
	assert_int_equal(kill(pid, SIGKILL), 0);
	while (read(pipe_fds[0], &told, sizeof(told)) == sizeof(told)) {
		last = told;
	}
	(void)close(pipe_fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	return last;
}

/* Every series has each time up to 'last', none twice, and perhaps one more commit, whole. */
static void assert_complete(struct tsdb *db, int64_t last) {
	const struct select_request request = { .min_ms = INT64_MIN, .max_ms = INT64_MAX };
	struct arena arena = { 0 };
	struct series_set *set = NULL;
	struct sample_column column = { 0 };
	struct err err = { 0 };
	int64_t newest = 0;
	size_t series = 0;

	assert_ok(store_select(tsdb_store(db), &request, &arena, &set, &err), err);
	while (series_set_next(set, &err) == 1) {
		struct str n = labels_get(&set->labels, STR("n"));
		uint64_t k = 0;
		assert_true(str_to_u64(n, &k));
		assert_ok(series_set_read(set, &column, &err), err);
		assert_true(column.count > 0);
		for (size_t i = 0; i < column.count; i++) {
			assert_true(
				column.values[i] == (double)(column.times_ms[i] * 64 + (int64_t)k));
			assert_true(i == 0 || column.times_ms[i] > column.times_ms[i - 1]);
		}
		assert_true(column.times_ms[column.count - 1] >= last);
		assert_true(newest == 0 || column.times_ms[column.count - 1] == newest);
		newest = column.times_ms[column.count - 1];
		series++;
	}
	assert_int_equal(series, 40);
	series_set_close(set);
	sample_column_deinit(&column);
	arena_deinit(&arena);
}

static void what_was_visible_survives_kill_9(void **state) {
	char dir[] = "/tmp/atoll-tsdb-XXXXXX";
	struct rand rand;
	struct err err = { 0 };

	(void)state;
	rand_init(&rand, (uint64_t)getpid());
	assert_non_null(mkdtemp(dir));
	for (int round = 0; round < 12; round++) {
		int64_t last = child_kill(dir, rand_next(&rand), 1 + rand_below(&rand, 600));
		struct tsdb_options options;
		struct tsdb *db = NULL;
		tsdb_options_init(&options);
		options.path = dir;
		assert_ok(tsdb_open(&options, &db, &err), err);
		assert_complete(db, last);
		assert_ok(tsdb_close(db, &err), err);
	}
	assert_ok(dir_remove_tree(dir, &err), err);
}

/* The newest file of a folder, by its name. */
static void newest_path(const char *dir, const char *folder, size_t back, char *out, size_t size) {
	struct dir_list names = { 0 };
	char path[128];
	struct err err = { 0 };
	const char *name = NULL;
	size_t seen = 0;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, folder);
	assert_ok(dir_list(path, &names, &err), err);
	for (size_t i = names.count; i > 0 && !name; i--) {
		uint64_t number;
		if (str_to_u64(str_of(names.names[i - 1]), &number) && seen++ == back) {
			name = names.names[i - 1];
		}
	}
	assert_non_null(name);
	(void)snprintf(out, size, "%s/%s", path, name);
	dir_list_free(&names);
}

static uint64_t size_of(const char *path) {
	struct mapping mapping = { 0 };
	struct err err = { 0 };
	uint64_t size;

	assert_ok(file_map(path, &mapping, &err), err);
	size = mapping.size;
	file_unmap(&mapping);
	return size;
}

static void cut_file(const char *path, uint64_t size) {
	assert_int_equal(truncate(path, (off_t)size), 0);
}

static void flip_byte(const char *path, uint64_t at) {
	FILE *file = fopen(path, "r+b");
	int byte;

	assert_non_null(file);
	assert_int_equal(fseek(file, (long)at, SEEK_SET), 0);
	byte = fgetc(file);
	assert_int_equal(fseek(file, (long)at, SEEK_SET), 0);
	assert_int_not_equal(fputc(byte ^ 0x55, file), EOF);
	assert_int_equal(fclose(file), 0);
}

/* Cut the log at every byte of its last records: all whole commits are there, nothing else. */
static void a_torn_log_is_cut_at_the_last_good_record(void **state) {
	struct fixture f;
	struct err err = { 0 };
	char path[192];
	uint64_t sizes[6];
	struct buf texts[6] = { 0 };

	(void)state;
	fixture_init(&f);
	newest_path(f.dir, "wal", 0, path, sizeof(path));
	for (int i = 0; i < 6; i++) {
		put_one(f.db, i % 2 == 0 ? "a=1" : "b=2", START_MS + i, i);
		sizes[i] = size_of(path);
		dump_all(f.db, &texts[i]);
	}
	assert_ok(tsdb_close(f.db, &err), err);
	for (uint64_t size = sizes[5]; size > sizes[2]; size--) {
		int good = size >= sizes[5] ? 5 : size >= sizes[4] ? 4 : size >= sizes[3] ? 3 : 2;
		char command[512];
		struct tsdb_stats stats;
		struct fixture copy = f;
		(void)snprintf(copy.dir, sizeof(copy.dir), "%.40s-copy", f.dir);
		(void)snprintf(command, sizeof(command), "cp -a %s %s", f.dir, copy.dir);
		assert_int_equal(system(command), 0); // NOLINT: a test
		copy.options.path = copy.dir;
		newest_path(copy.dir, "wal", 0, path, sizeof(path));
		cut_file(path, size);
		assert_ok(tsdb_open(&copy.options, &copy.db, &err), err);
		assert_dump(copy.db, buf_text(&texts[good]));
		tsdb_stats_get(copy.db, &stats);
		assert_int_equal(stats.replay_corruptions, size != sizes[good]);
		/* It goes on, and the repair is not found again. */
		put_one(copy.db, "c=3", START_MS + 10, 1);
		fixture_reopen(&copy);
		tsdb_stats_get(copy.db, &stats);
		assert_int_equal(stats.replay_corruptions, 0);
		fixture_deinit(&copy);
	}
	for (int i = 0; i < 6; i++) {
		buf_deinit(&texts[i]);
	}
	assert_ok(dir_remove_tree(f.dir, &err), err);
}

static void damage_in_the_middle_of_the_log_ends_it_there(void **state) {
	struct fixture f;
	struct err err = { 0 };
	struct tsdb_stats stats;
	char path[192];

	(void)state;
	fixture_init(&f);
	put_one(f.db, "a=1", START_MS, 1);
	fixture_reopen(&f);
	newest_path(f.dir, "wal", 0, path, sizeof(path));
	put_one(f.db, "a=1", START_MS + 1, 2);
	fixture_reopen(&f);
	put_one(f.db, "a=1", START_MS + 2, 3);
	assert_ok(tsdb_close(f.db, &err), err);
	flip_byte(path, 10);
	f.db = NULL;
	assert_ok(tsdb_open(&f.options, &f.db, &err), err);
	tsdb_stats_get(f.db, &stats);
	assert_int_equal(stats.replay_corruptions, 1);
	assert_dump(f.db, "{a=\"1\"} 0=1\n");
	put_one(f.db, "a=1", START_MS + 3, 4);
	fixture_reopen(&f);
	assert_dump(f.db, "{a=\"1\"} 0=1 3=4\n");
	fixture_deinit(&f);
}

/* Opens the database, with what it logs going to 'text'. */
static void open_and_listen(struct fixture *fixture, struct buf *text) {
	FILE *file = tmpfile();
	int saved = dup(STDERR_FILENO);
	struct err err = { 0 };
	char byte;
	int rc;

	assert_non_null(file);
	assert_true(saved >= 0 && dup2(fileno(file), STDERR_FILENO) >= 0);
	rc = tsdb_open(&fixture->options, &fixture->db, &err);
	assert_true(dup2(saved, STDERR_FILENO) >= 0);
	assert_int_equal(close(saved), 0);
	assert_ok(rc, err);
	rewind(file);
	while (fread(&byte, 1, 1, file) == 1) {
		buf_add_byte(text, byte);
	}
	assert_int_equal(fclose(file), 0);
}

/* As Prometheus does: what is before a bad record stays, all that follows goes, and the log says
 * so.
 */
static void a_bad_record_among_good_ones_ends_the_log_and_is_told(void **state) {
	struct fixture f;
	struct err err = { 0 };
	struct buf text = { 0 };
	char path[192];
	char place[64];
	uint64_t good;

	(void)state;
	fixture_init(&f);
	fixture_reopen(&f);
	newest_path(f.dir, "wal", 0, path, sizeof(path));
	put_one(f.db, "a=1", START_MS, 1);
	put_one(f.db, "a=1", START_MS + 1, 2);
	good = size_of(path);
	put_one(f.db, "a=1", START_MS + 2, 3);
	put_one(f.db, "a=1", START_MS + 3, 4);
	fixture_reopen(&f);
	put_one(f.db, "a=1", START_MS + 4, 5);
	assert_ok(tsdb_close(f.db, &err), err);
	flip_byte(path, good + 9);
	open_and_listen(&f, &text);
	assert_dump(f.db, "{a=\"1\"} 0=1 1=2\n");
	assert_int_equal(size_of(path), good);
	(void)snprintf(place, sizeof(place), "/wal/00000001 at %" PRIu64 ": checksum", good);
	assert_non_null(strstr(buf_text(&text), "level=warn msg=\"damaged log: cut behind"));
	assert_non_null(strstr(buf_text(&text), place));
	assert_non_null(strstr(buf_text(&text), "later_segments=1"));
	buf_reset(&text);
	assert_ok(tsdb_close(f.db, &err), err);
	open_and_listen(&f, &text);
	assert_null(strstr(buf_text(&text), "damaged"));
	buf_deinit(&text);
	fixture_deinit(&f);
}

/* What a lost power may leave: a longer file than was written. */
static void zeroes_at_the_end_of_the_log_are_no_damage(void **state) {
	struct fixture f;
	struct err err = { 0 };
	struct tsdb_stats stats;
	char path[192];

	(void)state;
	fixture_init(&f);
	newest_path(f.dir, "wal", 0, path, sizeof(path));
	put_one(f.db, "a=1", START_MS, 1);
	assert_ok(tsdb_close(f.db, &err), err);
	cut_file(path, 2 * WAL_PAGE + 77);
	assert_ok(tsdb_open(&f.options, &f.db, &err), err);
	tsdb_stats_get(f.db, &stats);
	assert_int_equal(stats.replay_corruptions, 0);
	put_one(f.db, "a=1", START_MS + 1, 2);
	fixture_reopen(&f);
	assert_dump(f.db, "{a=\"1\"} 0=1 1=2\n");
	fixture_deinit(&f);
}

static void refuses_a_damaged_checkpoint(void **state) {
	struct fixture f;
	struct err err = { 0 };
	char path[192];

	(void)state;
	fixture_init(&f);
	put_one(f.db, "a=1", START_MS, 1);
	assert_ok(head_checkpoint(f.db, &err), err);
	assert_ok(tsdb_close(f.db, &err), err);
	(void)snprintf(path, sizeof(path), "%s/wal/checkpoint.00000000/00000000", f.dir);
	flip_byte(path, 12);
	assert_int_equal(tsdb_open(&f.options, &f.db, &err), ERR_CORRUPT);
	assert_non_null(strstr(err.text, "checkpoint.00000000/00000000"));
	assert_ok(dir_remove_tree(f.dir, &err), err);
}

static void refuses_a_gap_in_the_log(void **state) {
	struct fixture f;
	struct err err = { 0 };
	char path[192];

	(void)state;
	fixture_init(&f);
	fixture_reopen(&f);
	fixture_reopen(&f);
	assert_ok(tsdb_close(f.db, &err), err);
	newest_path(f.dir, "wal", 1, path, sizeof(path));
	assert_ok(file_remove(path, &err), err);
	assert_int_equal(tsdb_open(&f.options, &f.db, &err), ERR_CORRUPT);
	assert_non_null(strstr(err.text, "does not follow"));
	assert_ok(dir_remove_tree(f.dir, &err), err);
}

static void fill(struct tsdb *db, int first, int count) {
	for (int i = first; i < first + count; i++) {
		put_one(db, "a=1", START_MS + i * 1000, i);
		put_one(db, "b=1", START_MS + i * 1000, -i);
	}
}

static void a_damaged_chunk_file_is_read_again_from_the_log(void **state) {
	struct fixture f;
	struct buf text = { 0 };
	struct tsdb_stats stats;
	struct err err = { 0 };
	char path[192];

	(void)state;
	for (uint64_t at = 0; at < 700; at += 37) {
		fixture_init(&f);
		fill(f.db, 0, 500);
		buf_reset(&text);
		dump_all(f.db, &text);
		newest_path(f.dir, "chunks_head", 0, path, sizeof(path));
		assert_ok(tsdb_close(f.db, &err), err);
		flip_byte(path, at);
		assert_ok(tsdb_open(&f.options, &f.db, &err), err);
		tsdb_stats_get(f.db, &stats);
		assert_int_equal(stats.replay_corruptions, at < 5 || at >= 8 ? 1 : 0);
		assert_dump(f.db, buf_text(&text));
		fixture_reopen(&f);
		tsdb_stats_get(f.db, &stats);
		assert_int_equal(stats.replay_corruptions, 0);
		assert_dump(f.db, buf_text(&text));
		fixture_deinit(&f);
	}
	buf_deinit(&text);
}

static void a_chunk_that_rots_while_open_is_an_error_of_the_query(void **state) {
	const struct select_request request = { .min_ms = INT64_MIN, .max_ms = INT64_MAX };
	struct fixture f;
	struct arena arena = { 0 };
	struct series_set *set = NULL;
	struct sample_column column = { 0 };
	struct err err = { 0 };
	char path[192];
	int damaged = 0;

	(void)state;
	fixture_init(&f);
	fill(f.db, 0, 300);
	newest_path(f.dir, "chunks_head", 0, path, sizeof(path));
	flip_byte(path, 60);
	assert_ok(store_select(tsdb_store(f.db), &request, &arena, &set, &err), err);
	for (int i = 0; i < 2; i++) {
		int rc;
		assert_int_equal(series_set_next(set, &err), 1);
		rc = series_set_read(set, &column, &err);
		assert_true(rc == 0 || rc == ERR_CORRUPT);
		damaged += rc < 0;
	}
	assert_int_equal(damaged, 1);
	assert_non_null(strstr(err.text, "checksum"));
	series_set_close(set);
	sample_column_deinit(&column);
	arena_deinit(&arena);
	assert_ok(tsdb_close(f.db, &err), err);
	assert_ok(dir_remove_tree(f.dir, &err), err);
}

static void retention_drops_series_labels_and_files(void **state) {
	struct select_request request = { .min_ms = INT64_MIN, .max_ms = INT64_MAX };
	struct fixture f;
	struct arena arena = { 0 };
	struct str_list list = { 0 };
	struct tsdb_stats stats;
	struct err err = { 0 };

	(void)state;
	fixture_init(&f);
	f.options.retention_ms = 4 * HOUR_MS;
	fixture_reopen(&f);
	fill(f.db, 0, 400);
	fixture_reopen(&f); /* New files from here on. */
	clock_advance_ms(&f.clock, 3 * HOUR_MS);
	for (int i = 0; i < 400; i++) {
		put_one(f.db, "a=1", START_MS + 3 * HOUR_MS + i * 1000, i);
	}
	assert_ok(tsdb_maintain(f.db, &err), err);
	assert_ok(tsdb_maintain(f.db, &err), err);
	tsdb_stats_get(f.db, &stats);
	assert_int_equal(stats.series, 2);
	clock_advance_ms(&f.clock, 2 * HOUR_MS);
	assert_ok(tsdb_maintain(f.db, &err), err);
	tsdb_stats_get(f.db, &stats);
	assert_int_equal(stats.series, 1);
	assert_int_equal(stats.series_removed, 1);
	assert_int_equal(stats.label_pairs, 1);
	assert_ok(store_label_names(tsdb_store(f.db), &request, &arena, &list, &err), err);
	assert_int_equal(list.count, 1);
	assert_str_equal(list.items[0], STR("a"));
	/* A series of the same labels begins anew. */
	put_one(f.db, "b=1", START_MS + 4 * HOUR_MS, 5);
	tsdb_stats_get(f.db, &stats);
	assert_int_equal(stats.series, 2);
	arena_deinit(&arena);
	fixture_reopen(&f);
	tsdb_stats_get(f.db, &stats);
	assert_int_equal(stats.series, 2);
	fixture_deinit(&f);
}

static void a_series_removed_under_an_open_transaction_comes_back(void **state) {
	struct fixture f;
	struct appender *appender;
	struct series_ref ref = { 0 };
	struct arena arena = { 0 };
	struct labels set;
	struct tsdb_stats stats;
	struct err err = { 0 };

	(void)state;
	fixture_init(&f);
	f.options.retention_ms = HOUR_MS;
	fixture_reopen(&f);
	set = labels_of(&arena, "a=1,b=2");
	appender = begin(f.db);
	assert_int_equal(appender_append(appender, &ref, &set, START_MS, 1, &err), APPEND_OK);
	assert_ok(appender_commit(appender, &err), err);
	assert_ok(tsdb_maintain(f.db, &err), err);
	clock_advance_ms(&f.clock, 2 * HOUR_MS);
	appender = begin(f.db);
	assert_int_equal(
		appender_append(appender, &ref, NULL, START_MS + 2 * HOUR_MS, 2, &err), APPEND_OK);
	assert_ok(tsdb_maintain(f.db, &err), err);
	tsdb_stats_get(f.db, &stats);
	assert_int_equal(stats.series, 0);
	assert_ok(appender_commit(appender, &err), err);
	assert_dump(f.db, "{a=\"1\", b=\"2\"} 7200000=2\n");
	appender = begin(f.db);
	assert_int_equal(appender_append(appender, &ref, NULL, START_MS + 3 * HOUR_MS, 3, &err),
		APPEND_UNKNOWN_REF);
	appender_rollback(appender);
	fixture_reopen(&f);
	assert_dump(f.db, "{a=\"1\", b=\"2\"} 7200000=2\n");
	arena_deinit(&arena);
	fixture_deinit(&f);
}

static void a_walk_outlives_the_series_it_walks(void **state) {
	const struct select_request request = { .min_ms = INT64_MIN, .max_ms = INT64_MAX };
	struct fixture f;
	struct arena arena = { 0 };
	struct series_set *set = NULL;
	struct sample_column column = { 0 };
	struct tsdb_stats stats;
	struct err err = { 0 };

	(void)state;
	fixture_init(&f);
	f.options.retention_ms = HOUR_MS;
	fixture_reopen(&f);
	fill(f.db, 0, 300);
	assert_ok(tsdb_maintain(f.db, &err), err);
	assert_ok(store_select(tsdb_store(f.db), &request, &arena, &set, &err), err);
	clock_advance_ms(&f.clock, 5 * HOUR_MS);
	assert_ok(tsdb_maintain(f.db, &err), err);
	put_one(f.db, "c=1", START_MS + 5 * HOUR_MS, 1);
	assert_ok(tsdb_maintain(f.db, &err), err);
	tsdb_stats_get(f.db, &stats);
	assert_int_equal(stats.series, 1);
	assert_int_equal(series_set_next(set, &err), 1);
	assert_str_equal(labels_get(&set->labels, STR("a")), STR("1"));
	assert_ok(series_set_read(set, &column, &err), err);
	assert_int_equal(column.count, 300);
	series_set_close(set);
	assert_ok(tsdb_maintain(f.db, &err), err);
	sample_column_deinit(&column);
	arena_deinit(&arena);
	fixture_deinit(&f);
}

static void maintenance_cuts_a_long_log(void **state) {
	struct fixture f;
	struct buf text = { 0 };
	struct tsdb_stats stats;
	struct dir_list names = { 0 };
	char wal[128];
	struct err err = { 0 };

	(void)state;
	fixture_init(&f);
	f.options.wal_segment_size = WAL_PAGE;
	f.options.no_wal_compression = true;
	fixture_reopen(&f);
	fill(f.db, 0, 3000);
	assert_ok(tsdb_maintain(f.db, &err), err);
	tsdb_stats_get(f.db, &stats);
	assert_int_equal(stats.checkpoints, 1);
	fill(f.db, 3000, 50);
	dump_all(f.db, &text);
	(void)snprintf(wal, sizeof(wal), "%s/wal", f.dir);
	assert_ok(dir_list(wal, &names, &err), err);
	assert_int_equal(names.count, 2);
	dir_list_free(&names);
	fixture_reopen(&f);
	assert_dump(f.db, buf_text(&text));
	buf_deinit(&text);
	fixture_deinit(&f);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		/* First: what others log may use up the second's share of the line it waits for. */
		TEST(a_bad_record_among_good_ones_ends_the_log_and_is_told),
		TEST(what_was_visible_survives_kill_9),
		TEST(a_torn_log_is_cut_at_the_last_good_record),
		TEST(damage_in_the_middle_of_the_log_ends_it_there),
		TEST(zeroes_at_the_end_of_the_log_are_no_damage),
		TEST(refuses_a_damaged_checkpoint),
		TEST(refuses_a_gap_in_the_log),
		TEST(a_damaged_chunk_file_is_read_again_from_the_log),
		TEST(a_chunk_that_rots_while_open_is_an_error_of_the_query),
		TEST(retention_drops_series_labels_and_files),
		TEST(a_series_removed_under_an_open_transaction_comes_back),
		TEST(a_walk_outlives_the_series_it_walks),
		TEST(maintenance_cuts_a_long_log),
	};
	return TEST_RUN(tests);
}
