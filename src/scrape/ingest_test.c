#include "scrape/ingest.h"

#include "base/test.h"
#include "scrape/fake_store.h"

#define NOW_MS 1000000

struct fixture {
	struct fake_store store;
	struct config *config;
	struct arena scratch;
	struct arena arena;
	struct labels own;
	struct scrape_cache cache;
	struct ingest ingest; /* Of the last scrape. */
	struct err err;
};

static void set_up(struct fixture *fixture, const char *settings) {
	static const struct label own[] = { { { "instance", 8 }, { "i", 1 } },
		{ { "job", 3 }, { "j", 1 } } };
	AUTO(buf_deinit) struct buf text = { 0 };
	*fixture = (struct fixture){ 0 };
	fake_init(&fixture->store);
	buf_printf(&text, "scrape_configs:\n- job_name: j\n%s", settings);
	assert_ok(config_parse(buf_str(&text), "test.yml", &fixture->config, &fixture->err),
		fixture->err);
	assert_ok(
		labels_build(&fixture->arena, own, 2, &fixture->own, &fixture->err), fixture->err);
	cache_init(&fixture->cache, 3);
}

static void tear_down(struct fixture *fixture) {
	fake_deinit(&fixture->store);
	config_unref(fixture->config);
	arena_deinit(&fixture->arena);
	arena_deinit(&fixture->scratch);
	cache_deinit(&fixture->cache);
}

/* One scrape at 'time_ms', as a run does it. Returns ingest_body's result. */
static int scrape(struct fixture *fixture, int64_t time_ms, const char *body) {
	AUTO(buf_deinit) struct buf bytes = { 0 };
	struct appender *appender = fixture->store.appendable.begin(&fixture->store.appendable);
	fixture->ingest = (struct ingest){ .job = &fixture->config->scrapes[0],
		.own = &fixture->own,
		.cache = &fixture->cache,
		.appender = appender,
		.scratch = &fixture->scratch,
		.time_ms = time_ms,
		.now_ms = NOW_MS };
	buf_add_text(&bytes, body);
	cache_begin(&fixture->cache);
	int rc = ingest_body(&fixture->ingest, EXPOSITION_FORMAT_TEXT, &bytes, &fixture->err);
	if (rc < 0) {
		struct err err = { 0 };
		appender_rollback(appender);
		appender = fixture->store.appendable.begin(&fixture->store.appendable);
		fixture->ingest.appender = appender;
		assert_ok(ingest_failure(&fixture->ingest, &err), err);
	}
	struct err err = { 0 };
	assert_ok(appender_commit(appender, &err), err);
	(void)cache_commit(&fixture->cache, rc < 0);
	arena_reset(&fixture->scratch);
	return rc;
}

#define check_series(fixture, name, expected)                                                      \
	assert_string_equal(fake_dump(&(fixture)->store, name), expected)

static void appends_with_the_targets_labels(void **state) {
	(void)state;
	struct fixture fixture;
	set_up(&fixture, "");
	assert_ok(scrape(&fixture, 10, "a{x=\"y\"} 1\nb 2\n"), fixture.err);
	check_series(&fixture, "a{instance=\"i\", job=\"j\", x=\"y\"}", "10=1");
	check_series(&fixture, "b{instance=\"i\", job=\"j\"}", "10=2");
	assert_int_equal(fixture.ingest.counts.scraped, 2);
	assert_int_equal(fixture.ingest.counts.kept, 2);
	assert_int_equal(fixture.ingest.counts.added, 2);
	tear_down(&fixture);
}

static void looks_at_labels_only_once(void **state) {
	(void)state;
	struct fixture fixture;
	set_up(&fixture, "");
	for (int64_t time_ms = 10; time_ms <= 50; time_ms += 10) {
		assert_ok(scrape(&fixture, time_ms, "# TYPE a gauge\na{x=\"y\"} 1\nb 2\n"),
			fixture.err);
	}
	assert_int_equal(fixture.store.labels_count, 2);
	assert_int_equal(fixture.ingest.counts.added, 0);
	check_series(&fixture, "b{instance=\"i\", job=\"j\"}", "10=2 20=2 30=2 40=2 50=2");
	tear_down(&fixture);
}

static void clashing_labels_are_exported(void **state) {
	(void)state;
	struct fixture fixture;
	set_up(&fixture, "");
	assert_ok(scrape(&fixture, 10,
			  "a{job=\"x\"} 1\nb{job=\"x\",exported_job=\"y\"} 1\nc{job=\"\"} 1\n"),
		fixture.err);
	check_series(&fixture, "a{exported_job=\"x\", instance=\"i\", job=\"j\"}", "10=1");
	check_series(&fixture,
		"b{exported_exported_job=\"x\", exported_job=\"y\", instance=\"i\", job=\"j\"}",
		"10=1");
	check_series(&fixture, "c{instance=\"i\", job=\"j\"}", "10=1");
	tear_down(&fixture);
}

static void honor_labels_lets_exposed_labels_win(void **state) {
	(void)state;
	struct fixture fixture;
	set_up(&fixture, "  honor_labels: true\n");
	assert_ok(scrape(&fixture, 10, "a{job=\"x\"} 1\nb{job=\"\"} 1\n"), fixture.err);
	check_series(&fixture, "a{instance=\"i\", job=\"x\"}", "10=1");
	check_series(&fixture, "b{instance=\"i\"}", "10=1");
	tear_down(&fixture);
}

static void metric_relabelling_rewrites_and_drops(void **state) {
	(void)state;
	struct fixture fixture;
	set_up(&fixture, "  metric_relabel_configs:\n"
			 "  - {source_labels: [__name__], regex: drop_.*, action: drop}\n"
			 "  - {source_labels: [x], target_label: y}\n");
	for (int64_t time_ms = 10; time_ms <= 20; time_ms += 10) {
		assert_ok(scrape(&fixture, time_ms, "drop_me 1\na{x=\"1\"} 2\n"), fixture.err);
		assert_int_equal(fixture.ingest.counts.scraped, 2);
		assert_int_equal(fixture.ingest.counts.kept, 1);
	}
	assert_int_equal(fixture.store.count, 1);
	check_series(&fixture, "a{instance=\"i\", job=\"j\", x=\"1\", y=\"1\"}", "10=2 20=2");
	tear_down(&fixture);
}

static void marks_series_that_vanish_and_return(void **state) {
	(void)state;
	struct fixture fixture;
	set_up(&fixture, "");
	assert_ok(scrape(&fixture, 10, "a 1\nb 2\n"), fixture.err);
	assert_ok(scrape(&fixture, 20, "b 2\n"), fixture.err);
	assert_ok(scrape(&fixture, 30, "b 2\n"), fixture.err);
	assert_ok(scrape(&fixture, 40, "a 3\nb 2\n"), fixture.err);
	check_series(&fixture, "a{instance=\"i\", job=\"j\"}", "10=1 20=stale 40=3");
	check_series(&fixture, "b{instance=\"i\", job=\"j\"}", "10=2 20=2 30=2 40=2");
	tear_down(&fixture);
}

static void a_malformed_body_appends_nothing_and_ends_all(void **state) {
	(void)state;
	struct fixture fixture;
	set_up(&fixture, "");
	assert_ok(scrape(&fixture, 10, "a 1\nb 2\n"), fixture.err);
	assert_int_equal(scrape(&fixture, 20, "a 1\nc 2\n}\n"), ERR_INVAL);
	assert_int_equal(fixture.ingest.counts.scraped, 2);
	assert_ok(scrape(&fixture, 30, "a 1\nb 2\n"), fixture.err);
	check_series(&fixture, "a{instance=\"i\", job=\"j\"}", "10=1 20=stale 30=1");
	check_series(&fixture, "b{instance=\"i\", job=\"j\"}", "10=2 20=stale 30=2");
	check_series(&fixture, "c{instance=\"i\", job=\"j\"}", "");
	tear_down(&fixture);
}

static void honours_timestamps_without_waiting_for_such_series(void **state) {
	(void)state;
	struct fixture fixture;
	set_up(&fixture, "");
	assert_ok(scrape(&fixture, 100, "a 1 95\nb 1\n"), fixture.err);
	assert_ok(scrape(&fixture, 200, "b 1\n"), fixture.err);
	check_series(&fixture, "a{instance=\"i\", job=\"j\"}", "95=1");
	tear_down(&fixture);
	set_up(&fixture, "  track_timestamps_staleness: true\n");
	assert_ok(scrape(&fixture, 100, "a 1 95\nb 1\n"), fixture.err);
	assert_ok(scrape(&fixture, 200, "b 1\n"), fixture.err);
	check_series(&fixture, "a{instance=\"i\", job=\"j\"}", "95=1 200=stale");
	tear_down(&fixture);
	set_up(&fixture, "  honor_timestamps: false\n");
	assert_ok(scrape(&fixture, 100, "a 1 95\n"), fixture.err);
	check_series(&fixture, "a{instance=\"i\", job=\"j\"}", "100=1");
	tear_down(&fixture);
}

static void counts_what_the_store_refuses(void **state) {
	(void)state;
	struct fixture fixture;
	set_up(&fixture, "");
	assert_ok(scrape(&fixture, 100, "a 1\n"), fixture.err);
	fixture.store.min_ms = 50;
	assert_ok(scrape(&fixture, 200, "a 1 90\na 2 100\nb 1 10\nc 1 99999999\n"), fixture.err);
	assert_int_equal(fixture.ingest.counts.out_of_order, 1);
	assert_int_equal(fixture.ingest.counts.duplicates, 1);
	assert_int_equal(fixture.ingest.counts.out_of_bounds, 2);
	assert_int_equal(fixture.ingest.counts.kept, 4);
	assert_int_equal(fixture.ingest.counts.added, 0);
	tear_down(&fixture);
}

static void a_series_twice_in_a_body_counts_as_duplicate(void **state) {
	(void)state;
	struct fixture fixture;
	set_up(&fixture, "");
	for (int64_t time_ms = 10; time_ms <= 20; time_ms += 10) {
		assert_ok(scrape(&fixture, time_ms, "a 1\na 2\n"), fixture.err);
		assert_int_equal(fixture.ingest.counts.duplicates, 1);
		assert_int_equal(fixture.ingest.counts.kept, 2);
	}
	check_series(&fixture, "a{instance=\"i\", job=\"j\"}", "10=1 20=1");
	tear_down(&fixture);
}

static void sample_limit_fails_the_scrape_as_a_whole(void **state) {
	(void)state;
	struct fixture fixture;
	set_up(&fixture, "  sample_limit: 2\n");
	assert_ok(scrape(&fixture, 10, "a 1\nb 1\n"), fixture.err);
	assert_int_equal(scrape(&fixture, 20, "a 1\nb 1\nc 1\nd 1\n"), ERR_LIMIT);
	assert_true(fixture.ingest.counts.sample_limit_hit);
	assert_int_equal(fixture.ingest.counts.scraped, 4);
	assert_int_equal(fixture.ingest.counts.kept, 4);
	assert_non_null(strstr(fixture.err.text, "sample limit exceeded"));
	check_series(&fixture, "a{instance=\"i\", job=\"j\"}", "10=1 20=stale");
	assert_ok(scrape(&fixture, 30, "a 1\nb 1\n"), fixture.err);
	tear_down(&fixture);
}

static void label_limits_fail_the_scrape_as_a_whole(void **state) {
	(void)state;
	static const struct {
		const char *setting;
		const char *reason;
	} examples[] = {
		{ "  label_limit: 4\n",
			"label_limit exceeded (metric: a, number of labels: 5, limit: 4)" },
		{ "  label_name_length_limit: 8\n", "label_name_length_limit exceeded (metric: a, "
						    "label name: long_name, length: 9, "
						    "limit: 8)" },
		{ "  label_value_length_limit: 3\n", "label_value_length_limit exceeded (metric: "
						     "a, label name: long_name, value: "
						     "\"four\", length: 4, limit: 3)" },
	};
	for (size_t i = 0; i < ARRAY_COUNT(examples); i++) {
		struct fixture fixture;
		set_up(&fixture, examples[i].setting);
		assert_int_equal(
			scrape(&fixture, 10, "b 1\na{long_name=\"four\",x=\"y\"} 1\n"), ERR_LIMIT);
		assert_string_equal(fixture.err.text, examples[i].reason);
		assert_true(fixture.ingest.counts.label_limit_hit);
		check_series(&fixture, "b{instance=\"i\", job=\"j\"}", "");
		tear_down(&fixture);
	}
}

static void refuses_names_that_are_not_allowed(void **state) {
	(void)state;
	static const struct {
		const char *settings;
		const char *body;
		int rc;
	} examples[] = {
		{ "", "{\"a.b\",\"c.d\"=\"e\"} 1\n", 0 },
		{ "  metric_name_validation_scheme: legacy\n", "{\"a.b\"} 1\n", ERR_INVAL },
		{ "  metric_name_validation_scheme: legacy\n", "{\"a\",\"c.d\"=\"e\"} 1\n",
			ERR_INVAL },
		{ "", "{\"\"} 1\n", ERR_INVAL },
		{ "", "{\"a\xff\"} 1\n", ERR_INVAL },
		{ "", "a{x=\"1\",x=\"2\"} 1\n", ERR_INVAL },
		{ "  metric_relabel_configs:\n  - {regex: __name__, action: labeldrop}\n", "a 1\n",
			ERR_INVAL },
	};
	for (size_t i = 0; i < ARRAY_COUNT(examples); i++) {
		struct fixture fixture;
		set_up(&fixture, examples[i].settings);
		int rc = scrape(&fixture, 10, examples[i].body);
		if (rc != examples[i].rc) {
			fail_msg("%s: %d %s", examples[i].body, rc, fixture.err.text);
		}
		tear_down(&fixture);
	}
}

static void makes_a_series_again_that_the_store_forgot(void **state) {
	(void)state;
	struct fixture fixture;
	set_up(&fixture, "");
	assert_ok(scrape(&fixture, 10, "a 1\nb 1\n"), fixture.err);
	fixture.store.series[0].forgotten = true;
	assert_ok(scrape(&fixture, 20, "a 1\nb 1\n"), fixture.err);
	check_series(&fixture, "a{instance=\"i\", job=\"j\"}", "10=1 20=1");
	assert_int_equal(fixture.ingest.counts.added, 0);
	tear_down(&fixture);
}

static void a_failing_store_fails_the_scrape(void **state) {
	(void)state;
	struct fixture fixture;
	set_up(&fixture, "");
	fixture.store.fails = true;
	assert_int_equal(scrape(&fixture, 10, "a 1\n"), ERR_IO);
	tear_down(&fixture);
}

static void tells_when_metadata_changed(void **state) {
	(void)state;
	struct fixture fixture;
	set_up(&fixture, "");
	assert_ok(scrape(&fixture, 10, "# HELP a x\n# TYPE a gauge\na 1\n"), fixture.err);
	assert_true(fixture.ingest.metadata_changed);
	assert_ok(scrape(&fixture, 20, "# HELP a x\n# TYPE a gauge\na 1\n"), fixture.err);
	assert_false(fixture.ingest.metadata_changed);
	assert_ok(scrape(&fixture, 30, "# HELP a y\n# TYPE a gauge\na 1\n"), fixture.err);
	assert_true(fixture.ingest.metadata_changed);
	tear_down(&fixture);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(appends_with_the_targets_labels),
		TEST(looks_at_labels_only_once),
		TEST(clashing_labels_are_exported),
		TEST(honor_labels_lets_exposed_labels_win),
		TEST(metric_relabelling_rewrites_and_drops),
		TEST(marks_series_that_vanish_and_return),
		TEST(a_malformed_body_appends_nothing_and_ends_all),
		TEST(honours_timestamps_without_waiting_for_such_series),
		TEST(counts_what_the_store_refuses),
		TEST(a_series_twice_in_a_body_counts_as_duplicate),
		TEST(sample_limit_fails_the_scrape_as_a_whole),
		TEST(label_limits_fail_the_scrape_as_a_whole),
		TEST(refuses_names_that_are_not_allowed),
		TEST(makes_a_series_again_that_the_store_forgot),
		TEST(a_failing_store_fails_the_scrape),
		TEST(tells_when_metadata_changed),
	};
	return TEST_RUN(tests);
}
