/*
 * Random histories against a model: appends, transactions, time passing, maintenance, checkpoints,
 * clean restarts and restarts after a copy of the directory was taken at any moment, as a kill
 * leaves it.
 */
#include "tsdb/testing.h"

#include "tsdb/head.h"

#define SERIES 24
#define STEPS 1200

struct model {
	struct sample_column columns[SERIES];
};

struct history {
	struct fixture fixture;
	struct model model;
	struct rand rand;
	int64_t now_ms;
};

static void label_text(int series, char *out, size_t size) {
	(void)snprintf(out, size, "__name__=m%d,instance=i%d,n=%d", series % 3, series % 5, series);
}

static void model_dump(const struct model *model, struct buf *out) {
	struct arena arena = { 0 };
	struct labels sets[SERIES];
	int order[SERIES];

	for (int i = 0; i < SERIES; i++) {
		char text[64];
		label_text(i, text, sizeof(text));
		sets[i] = labels_of(&arena, text);
		order[i] = i;
		for (int k = i; k > 0 && labels_cmp(&sets[order[k - 1]], &sets[order[k]]) > 0;
			k--) {
			int swap = order[k];
			order[k] = order[k - 1];
			order[k - 1] = swap;
		}
	}
	for (int i = 0; i < SERIES; i++) {
		const struct sample_column *column = &model->columns[order[i]];
		if (column->count == 0) {
			continue;
		}
		labels_format(&sets[order[i]], out);
		for (size_t k = 0; k < column->count; k++) {
			buf_printf(out, " %" PRId64 "=", column->times_ms[k] - START_MS);
			if (is_stale(column->values[k])) {
				buf_add_text(out, "stale");
			} else {
				buf_printf(out, "%.17g", column->values[k]);
			}
		}
		buf_add_byte(out, '\n');
	}
	arena_deinit(&arena);
}

static void assert_same(struct history *history, const char *when) {
	struct buf ours = { 0 };
	struct buf expected = { 0 };

	dump_all(history->fixture.db, &ours);
	model_dump(&history->model, &expected);
	if (strcmp(buf_text(&ours), buf_text(&expected)) != 0) {
		size_t at = 0;
		while (buf_text(&ours)[at] == buf_text(&expected)[at]) {
			at++;
		}
		at = at > 60 ? at - 60 : 0;
		fail_msg("%s: at %zu \"%.160s\", expected \"%.160s\"", when, at,
			buf_text(&ours) + at, buf_text(&expected) + at);
	}
	buf_deinit(&ours);
	buf_deinit(&expected);
}

static double random_value(struct rand *rand) {
	switch (rand_below(rand, 6)) {
	case 0:
		return double_of_bits(STALE_NAN_BITS);
	case 1:
		return rand_unit(rand);
	case 2:
		return double_of_bits(rand_next(rand) & ~(UINT64_C(0x7ff) << 52));
	default:
		return (double)rand_below(rand, 50);
	}
}

/* One transaction over some series; half of the time more than one sample of some. */
static void transact(struct history *history) {
	struct appender *appender = begin(history->fixture.db);
	bool is_kept = rand_below(&history->rand, 8) > 0;
	struct model added = { 0 };
	struct err err = { 0 };

	for (int i = 0; i < SERIES; i++) {
		struct sample_column *column = &history->model.columns[i];
		int64_t last_ms =
			column->count > 0 ? column->times_ms[column->count - 1] : INT64_MIN;
		size_t count = rand_below(&history->rand, 5) == 0 ? rand_below(&history->rand, 40)
								  : rand_below(&history->rand, 2);
		char text[64];
		label_text(i, text, sizeof(text));
		for (size_t k = 0; k < count; k++) {
			int64_t time_ms = history->now_ms + (int64_t)k * 7;
			double value = random_value(&history->rand);
			int outcome = put(appender, text, time_ms, value);
			if (time_ms > last_ms) {
				assert_int_equal(outcome, APPEND_OK);
				sample_column_add(&added.columns[i], time_ms, value);
				last_ms = time_ms;
			}
		}
	}
	if (is_kept) {
		assert_ok(appender_commit(appender, &err), err);
	} else {
		appender_rollback(appender);
	}
	for (int i = 0; i < SERIES; i++) {
		for (size_t k = 0; k < added.columns[i].count && is_kept; k++) {
			sample_column_add(&history->model.columns[i], added.columns[i].times_ms[k],
				added.columns[i].values[k]);
		}
		sample_column_deinit(&added.columns[i]);
	}
}

/* Copies what a kill at this moment would leave, opens the copy, compares. */
static void crash(struct history *history) {
	struct fixture *fixture = &history->fixture;
	struct tsdb *original = fixture->db;
	char copy[64] = "/tmp/atoll-tsdb-XXXXXX";
	char command[256];
	struct err err = { 0 };

	assert_non_null(mkdtemp(copy));
	(void)snprintf(command, sizeof(command), "cp -a %s/. %s/", fixture->dir, copy);
	assert_int_equal(system(command), 0); // NOLINT: a test
	fixture->options.path = copy;
	assert_ok(tsdb_open(&fixture->options, &fixture->db, &err), err);
	assert_same(history, "after a crash");
	assert_ok(tsdb_close(fixture->db, &err), err);
	fixture->db = original;
	fixture->options.path = fixture->dir;
	assert_ok(dir_remove_tree(copy, &err), err);
}

static void step(struct history *history) {
	struct err err = { 0 };
	uint64_t kind = rand_below(&history->rand, 1000);

	history->now_ms += 300 + (int64_t)rand_below(&history->rand, 20000);
	if (kind == 0) {
		history->now_ms += 3 * HOUR_MS;
	}
	clock_advance_ms(
		&history->fixture.clock, history->now_ms - clock_now_ms(&history->fixture.clock));
	if (kind < 5) {
		fixture_reopen(&history->fixture);
		assert_same(history, "after a restart");
	} else if (kind < 10) {
		assert_ok(head_checkpoint(history->fixture.db, &err), err);
	} else if (kind < 20) {
		assert_ok(tsdb_maintain(history->fixture.db, &err), err);
		head_compact(history->fixture.db);
	} else if (kind < 26) {
		crash(history);
	} else {
		transact(history);
	}
}

static void run(uint64_t seed, size_t segment_size, size_t samples_per_chunk) {
	struct history history = { .now_ms = START_MS };

	print_message("SEED=%" PRIu64 "\n", seed);
	rand_init(&history.rand, seed);
	fixture_init(&history.fixture);
	history.fixture.options.wal_segment_size = segment_size;
	history.fixture.options.samples_per_chunk = samples_per_chunk;
	fixture_reopen(&history.fixture);
	for (int i = 0; i < STEPS; i++) {
		step(&history);
	}
	assert_same(&history, "at the end");
	for (int i = 0; i < SERIES; i++) {
		sample_column_deinit(&history.model.columns[i]);
	}
	fixture_deinit(&history.fixture);
}

static uint64_t seed_of(uint64_t fallback) {
	const char *text = getenv("SEED"); // NOLINT(concurrency-mt-unsafe): tests only
	return text ? strtoull(text, NULL, 10) : fallback;
}

static void a_history_with_small_segments_agrees_with_the_model(void **state) {
	(void)state;
	run(seed_of(1), WAL_PAGE * 4, 120);
}

static void a_history_with_small_chunks_agrees_with_the_model(void **state) {
	(void)state;
	run(seed_of(2), WAL_SEGMENT_DEFAULT, 7);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(a_history_with_small_segments_agrees_with_the_model),
		TEST(a_history_with_small_chunks_agrees_with_the_model),
	};
	return TEST_RUN(tests);
}
