#include "scrape/scrape.h"

#include "base/test.h"
#include "io/file.h"
#include "scrape/fake_store.h"
#include "scrape/scraper.h"
#include "scrape/test_exporter.h"

#define START_MS INT64_C(1700000000000)

struct fixture {
	struct clock clock;
	struct loop *loop;
	struct exporter exporter;
	struct fake_store store;
	struct metric_registry *metrics;
	struct scraper *scraper;
	char instance[32];
};

static void set_up(struct fixture *fixture) {
	struct scraper_options options;
	*fixture = (struct fixture){ 0 };
	clock_init_manual(&fixture->clock, START_MS);
	fixture->loop = loop_new(&fixture->clock);
	exporter_open(&fixture->exporter, fixture->loop);
	fake_init(&fixture->store);
	fixture->metrics = metric_registry_new();
	scraper_options_init(&options);
	options.loop = fixture->loop;
	options.appendable = &fixture->store.appendable;
	options.metrics = fixture->metrics;
	options.external_host = "outside:19090";
	options.own_port = 9090;
	fixture->scraper = scraper_new(&options);
	(void)snprintf(fixture->instance, sizeof(fixture->instance), "127.0.0.1:%u",
		exporter_port(&fixture->exporter));
}

static void tear_down(struct fixture *fixture) {
	scraper_free(fixture->scraper);
	exporter_close(&fixture->exporter, fixture->loop);
	loop_run_once(fixture->loop);
	loop_free(fixture->loop);
	fake_deinit(&fixture->store);
	metric_registry_free(fixture->metrics);
}

/* Applies one job over the exporter, named j, with more settings. */
static void apply(struct fixture *fixture, const char *settings) {
	AUTO(buf_deinit) struct buf text = { 0 };
	struct config *config = NULL;
	struct err err = { 0 };
	buf_printf(&text,
		"scrape_configs:\n- job_name: j\n  scrape_interval: 10s\n  scrape_timeout: 5s\n"
		"  static_configs: [{targets: [\"%s\"]}]\n%s",
		fixture->instance, settings);
	assert_ok(config_parse(buf_str(&text), "t.yml", &config, &err), err);
	scraper_apply(fixture->scraper, config);
	config_unref(config);
}

static void pass_time(struct fixture *fixture, int64_t ms) {
	clock_advance_ms(&fixture->clock, ms);
	loop_run_once(fixture->loop);
}

/* Moves time to the next scrape and waits for its commit. */
static void next_scrape(struct fixture *fixture) {
	const struct scrape_run *run = fixture->scraper->jobs->runs[0];
	int64_t before_ms = run->target->status.last_scrape_ms;
	int64_t wait_ms = run->due_ms - clock_now_ms(&fixture->clock);
	pass_time(fixture, wait_ms > 0 ? wait_ms : 0);
	RUN_UNTIL(fixture->loop, run->target->status.last_scrape_ms != before_ms);
}

/* The samples of a series of job j, as "value value ..." (times left out). */
static const char *values(struct fixture *fixture, const char *metric) {
	static char text[2048];
	char name[256];
	size_t len = 0;
	(void)snprintf(
		name, sizeof(name), "%s{instance=\"%s\", job=\"j\"}", metric, fixture->instance);
	struct fake_series *series = fake_find(&fixture->store, name);
	text[0] = '\0';
	for (size_t i = 0; series && i < series->committed; i++) {
		double value = series->samples[i].value;
		len += (size_t)(is_stale(value)
					? snprintf(text + len, 32, "%sstale", i > 0 ? " " : "")
					: snprintf(
						  text + len, 32, "%s%g", i > 0 ? " " : "", value));
	}
	return text;
}

static const char *last_error(const struct fixture *fixture) {
	const char *text = fixture->scraper->jobs->runs[0]->target->status.last_error;
	return text ? text : "";
}

static void scrapes_on_the_targets_grid(void **state) {
	(void)state;
	struct fixture fixture;
	set_up(&fixture);
	fixture.exporter.body = "a 1\n";
	apply(&fixture, "");
	const struct scrape_run *run = fixture.scraper->jobs->runs[0];
	int64_t first_ms = run->due_ms;
	assert_true(first_ms > START_MS && first_ms <= START_MS + 10000);
	next_scrape(&fixture);
	assert_int_equal(run->target->status.last_scrape_ms, first_ms);
	pass_time(&fixture, 10001); /* A bit late: still on the grid. */
	RUN_UNTIL(fixture.loop, fixture.store.commit_count == 2);
	assert_int_equal(run->target->status.last_scrape_ms, first_ms + 10000);
	pass_time(&fixture, 10499); /* Too late for it. */
	RUN_UNTIL(fixture.loop, fixture.store.commit_count == 3);
	assert_int_equal(run->target->status.last_scrape_ms, first_ms + 20500);
	assert_int_equal(run->due_ms, first_ms + 30000);
	assert_string_equal(values(&fixture, "a"), "1 1 1");
	assert_string_equal(values(&fixture, "up"), "1 1 1");
	assert_string_equal(values(&fixture, "scrape_samples_scraped"), "1 1 1");
	assert_string_equal(values(&fixture, "scrape_samples_post_metric_relabeling"), "1 1 1");
	assert_string_equal(values(&fixture, "scrape_series_added"), "1 0 0");
	tear_down(&fixture);
}

static void a_restart_keeps_the_phase(void **state) {
	(void)state;
	struct fixture fixture;
	int64_t due_ms[2];
	for (int i = 0; i < 2; i++) {
		set_up(&fixture);
		(void)snprintf(fixture.instance, sizeof(fixture.instance), "127.0.0.1:1");
		apply(&fixture, "");
		due_ms[i] = fixture.scraper->jobs->runs[0]->due_ms;
		tear_down(&fixture);
	}
	assert_int_equal(due_ms[0], due_ms[1]);
}

static bool request_has(const struct fixture *fixture, const char *line) {
	return strstr(buf_text(&fixture->exporter.request), line) != NULL;
}

static void asks_as_prometheus_asks(void **state) {
	(void)state;
	struct fixture fixture;
	set_up(&fixture);
	apply(&fixture, "  params: {x: [y]}\n  basic_auth: {username: u, password: p}\n");
	next_scrape(&fixture);
	assert_true(request_has(&fixture, "GET /metrics?x=y HTTP/1.1\r\n"));
	assert_true(request_has(&fixture,
		"\r\nAccept: application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
		"application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;"
		"escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2\r\n"));
	assert_true(request_has(&fixture, "\r\nAccept-Encoding: gzip\r\n"));
	assert_true(request_has(&fixture, "\r\nX-Prometheus-Scrape-Timeout-Seconds: 5\r\n"));
	assert_true(request_has(&fixture, "\r\nAuthorization: Basic dTpw\r\n"));
	tear_down(&fixture);
}

static void reads_gzip_and_openmetrics(void **state) {
	(void)state;
	struct fixture fixture;
	set_up(&fixture);
	fixture.exporter.uses_gzip = true;
	fixture.exporter.content_type = "application/openmetrics-text; version=1.0.0";
	fixture.exporter.body = "# TYPE a counter\na_total 7\n# EOF\n";
	apply(&fixture, "");
	next_scrape(&fixture);
	assert_string_equal(last_error(&fixture), "");
	assert_string_equal(values(&fixture, "a_total"), "7");
	tear_down(&fixture);
}

static void a_failed_scrape_says_why_and_ends_the_series(void **state) {
	(void)state;
	static const struct {
		int status;
		const char *content_type;
		const char *body;
		const char *settings;
		const char *reason;
	} examples[] = {
		{ 404, "text/plain", "", "", "server returned HTTP status 404 Not Found" },
		{ 200, NULL, "a 1\n", "",
			"target sends blank Content-Type \"\" and no fallback_scrape_protocol" },
		{ 200, "text/html", "a 1\n", "", "received unsupported Content-Type" },
		{ 200, "text/plain", "a{ 1\n", "", "line 1: expected label name" },
		{ 200, "text/plain", "a 1\nb 2\nc 3\n", "  sample_limit: 2\n",
			"sample limit exceeded" },
		{ 200, "text/plain", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa 1\n",
			"  body_size_limit: 20B\n", "body size limit exceeded" },
	};
	for (size_t i = 0; i < ARRAY_COUNT(examples); i++) {
		struct fixture fixture;
		set_up(&fixture);
		fixture.exporter.body = "a 1\n";
		apply(&fixture, examples[i].settings);
		next_scrape(&fixture);
		assert_string_equal(last_error(&fixture), "");
		fixture.exporter.status = examples[i].status;
		fixture.exporter.content_type = examples[i].content_type;
		fixture.exporter.body = examples[i].body;
		next_scrape(&fixture);
		if (!strstr(last_error(&fixture), examples[i].reason)) {
			fail_msg("%s: %s", examples[i].reason, last_error(&fixture));
		}
		assert_string_equal(values(&fixture, "up"), "1 0");
		assert_string_equal(values(&fixture, "a"), "1 stale");
		tear_down(&fixture);
	}
}

static void a_fallback_protocol_saves_a_target_without_content_type(void **state) {
	(void)state;
	struct fixture fixture;
	set_up(&fixture);
	fixture.exporter.content_type = NULL;
	fixture.exporter.body = "a 1\n";
	apply(&fixture, "  fallback_scrape_protocol: PrometheusText0.0.4\n");
	next_scrape(&fixture);
	assert_string_equal(values(&fixture, "a"), "1");
	tear_down(&fixture);
}

static void a_target_that_does_not_answer_is_down(void **state) {
	(void)state;
	struct fixture fixture;
	set_up(&fixture);
	fixture.exporter.is_silent = true;
	apply(&fixture, "");
	const struct scrape_run *run = fixture.scraper->jobs->runs[0];
	pass_time(&fixture, run->due_ms - clock_now_ms(&fixture.clock));
	RUN_UNTIL(fixture.loop, fixture.exporter.requests == 1);
	pass_time(&fixture, 5001);
	RUN_UNTIL(fixture.loop, fixture.store.commit_count == 1);
	assert_string_equal(values(&fixture, "up"), "0");
	assert_non_null(strstr(last_error(&fixture), "Get \"http://"));
	tear_down(&fixture);
}

static void a_refused_connection_is_told(void **state) {
	(void)state;
	struct fixture fixture;
	set_up(&fixture);
	(void)snprintf(fixture.instance, sizeof(fixture.instance), "127.0.0.1:1");
	apply(&fixture, "");
	next_scrape(&fixture);
	assert_string_equal(values(&fixture, "up"), "0");
	assert_non_null(strstr(last_error(&fixture), "refused"));
	tear_down(&fixture);
}

static void an_empty_answer_is_a_good_one(void **state) {
	(void)state;
	struct fixture fixture;
	set_up(&fixture);
	fixture.exporter.body = "a 1\n";
	apply(&fixture, "");
	next_scrape(&fixture);
	fixture.exporter.body = "";
	next_scrape(&fixture);
	assert_string_equal(values(&fixture, "up"), "1 1");
	assert_string_equal(values(&fixture, "a"), "1 stale");
	tear_down(&fixture);
}

static void an_unchanged_job_goes_on_untouched(void **state) {
	(void)state;
	struct fixture fixture;
	set_up(&fixture);
	fixture.exporter.body = "a 1\n";
	apply(&fixture, "");
	next_scrape(&fixture);
	const struct scrape_run *run = fixture.scraper->jobs->runs[0];
	apply(&fixture, "");
	assert_ptr_equal(fixture.scraper->jobs->runs[0], run);
	next_scrape(&fixture);
	assert_int_equal(fixture.store.labels_count, 6); /* a and the five reports, once. */
	assert_string_equal(values(&fixture, "a"), "1 1");
	tear_down(&fixture);
}

static void a_changed_job_keeps_targets_that_stay(void **state) {
	(void)state;
	struct fixture fixture;
	set_up(&fixture);
	fixture.exporter.body = "a 1\n";
	apply(&fixture, "");
	next_scrape(&fixture);
	const struct scrape_run *run = fixture.scraper->jobs->runs[0];
	apply(&fixture, "  sample_limit: 100\n");
	assert_ptr_equal(fixture.scraper->jobs->runs[0], run);
	next_scrape(&fixture);
	assert_int_equal(fixture.store.labels_count, 6);
	tear_down(&fixture);
}

static void new_rules_end_series_that_they_drop(void **state) {
	(void)state;
	struct fixture fixture;
	set_up(&fixture);
	fixture.exporter.body = "a 1\nb 1\n";
	apply(&fixture, "");
	next_scrape(&fixture);
	apply(&fixture, "  metric_relabel_configs: [{source_labels: [__name__], regex: a, action: "
			"drop}]\n");
	for (int i = 0; i < 3; i++) {
		next_scrape(&fixture);
	}
	RUN_UNTIL(fixture.loop, strcmp(values(&fixture, "a"), "1 stale") == 0);
	assert_string_equal(values(&fixture, "b"), "1 1 1 1");
	tear_down(&fixture);
}

static void a_removed_target_ends_after_two_intervals(void **state) {
	(void)state;
	struct fixture fixture;
	set_up(&fixture);
	fixture.exporter.body = "a 1\n";
	apply(&fixture, "");
	next_scrape(&fixture);
	struct config *config = NULL;
	struct err err = { 0 };
	assert_ok(config_parse(STR(""), "t.yml", &config, &err), err);
	scraper_apply(fixture.scraper, config);
	config_unref(config);
	assert_null(fixture.scraper->jobs);
	pass_time(&fixture, 20999);
	assert_string_equal(values(&fixture, "a"), "1");
	pass_time(&fixture, 2);
	assert_string_equal(values(&fixture, "a"), "1 stale");
	assert_string_equal(values(&fixture, "up"), "1 stale");
	assert_null(fixture.scraper->shared.endings);
	tear_down(&fixture);
}

static void a_target_that_comes_back_gets_no_end_marks(void **state) {
	(void)state;
	struct fixture fixture;
	set_up(&fixture);
	fixture.exporter.body = "a 1\n";
	apply(&fixture, "");
	next_scrape(&fixture);
	struct config *config = NULL;
	struct err err = { 0 };
	assert_ok(config_parse(STR(""), "t.yml", &config, &err), err);
	scraper_apply(fixture.scraper, config);
	config_unref(config);
	pass_time(&fixture, 1000);
	apply(&fixture, "");
	for (int i = 0; i < 3; i++) {
		next_scrape(&fixture);
	}
	assert_string_equal(values(&fixture, "a"), "1 1 1 1");
	assert_string_equal(values(&fixture, "up"), "1 1 1 1");
	tear_down(&fixture);
}

static void too_many_targets_fail_all_of_them(void **state) {
	(void)state;
	struct fixture fixture;
	set_up(&fixture);
	fixture.exporter.body = "a 1\n";
	apply(&fixture, "  target_limit: 1\n");
	next_scrape(&fixture);
	AUTO(buf_deinit) struct buf text = { 0 };
	struct config *config = NULL;
	struct err err = { 0 };
	buf_printf(&text,
		"scrape_configs:\n- job_name: j\n  scrape_interval: 10s\n  scrape_timeout: 5s\n"
		"  target_limit: 1\n  static_configs: [{targets: [\"%s\", \"127.0.0.1:1\"]}]\n",
		fixture.instance);
	assert_ok(config_parse(buf_str(&text), "t.yml", &config, &err), err);
	scraper_apply(fixture.scraper, config);
	config_unref(config);
	for (int i = 0; i < 3; i++) {
		pass_time(&fixture, 10000);
	}
	assert_string_equal(
		last_error(&fixture), "target_limit exceeded (number of targets: 2, limit: 1)");
	assert_int_equal(fixture.exporter.requests, 1);
	tear_down(&fixture);
}

static void documents_tell_of_targets_and_metadata(void **state) {
	(void)state;
	struct fixture fixture;
	AUTO(buf_deinit) struct buf out = { 0 };
	AUTO(buf_deinit) struct buf expected = { 0 };
	struct err err = { 0 };
	set_up(&fixture);
	fixture.exporter.body = "# HELP a the \\\\ a\n# TYPE a counter\na 1\n# TYPE b gauge\nb 1\n";
	apply(&fixture, "  relabel_configs: [{source_labels: [x], regex: y, action: drop}]\n");
	next_scrape(&fixture);
	assert_ok(scraper_document(fixture.scraper, STR("metadata"), STR(""), &out, &err), err);
	assert_string_equal(buf_text(&out),
		"{\"a\":[{\"type\":\"counter\",\"help\":\"the \\\\ a\",\"unit\":\"\"}],"
		"\"b\":[{\"type\":\"gauge\",\"help\":\"\",\"unit\":\"\"}]}");
	buf_reset(&out);
	assert_ok(scraper_document(
			  fixture.scraper, STR("metadata"), STR("metric=b&limit=1"), &out, &err),
		err);
	assert_string_equal(
		buf_text(&out), "{\"b\":[{\"type\":\"gauge\",\"help\":\"\",\"unit\":\"\"}]}");
	assert_int_equal(
		scraper_document(fixture.scraper, STR("metadata"), STR("limit=x"), &out, &err),
		ERR_INVAL);
	buf_reset(&out);
	assert_ok(scraper_document(fixture.scraper, STR("scrape_pools"), STR(""), &out, &err), err);
	assert_string_equal(buf_text(&out), "{\"scrapePools\":[\"j\"]}");
	buf_reset(&out);
	assert_ok(scraper_document(fixture.scraper, STR("targets"), STR(""), &out, &err), err);
	buf_printf(&expected, "\"labels\":{\"instance\":\"%s\",\"job\":\"j\"}", fixture.instance);
	assert_non_null(strstr(buf_text(&out), buf_text(&expected)));
	buf_reset(&expected);
	buf_printf(&expected, "\"globalUrl\":\"http://outside:%u/metrics\"",
		exporter_port(&fixture.exporter));
	assert_non_null(strstr(buf_text(&out), buf_text(&expected)));
	assert_non_null(strstr(buf_text(&out), "\"health\":\"up\""));
	assert_non_null(
		strstr(buf_text(&out), "\"scrapeInterval\":\"10s\",\"scrapeTimeout\":\"5s\""));
	assert_non_null(
		strstr(buf_text(&out), "\"droppedTargets\":[],\"droppedTargetCounts\":{\"j\":0}"));
	assert_int_equal(
		scraper_document(fixture.scraper, STR("rules"), STR(""), &out, &err), ERR_ABSENT);
	tear_down(&fixture);
}

static void a_changed_target_file_is_picked_up(void **state) {
	(void)state;
	struct fixture fixture;
	char folder[] = "/tmp/atoll-scrape-XXXXXX";
	AUTO(buf_deinit) struct buf path = { 0 };
	AUTO(buf_deinit) struct buf text = { 0 };
	struct config *config = NULL;
	struct err err = { 0 };
	set_up(&fixture);
	assert_non_null(mkdtemp(folder));
	buf_printf(&path, "%s/t.json", folder);
	buf_printf(&text, "scrape_configs: [{job_name: j, file_sd_configs: [{files: [\"%s\"]}]}]",
		buf_text(&path));
	assert_ok(config_parse(buf_str(&text), "t.yml", &config, &err), err);
	scraper_apply(fixture.scraper, config);
	config_unref(config);
	assert_int_equal(fixture.scraper->jobs->run_count, 0);
	pass_time(&fixture, 6000);
	assert_ok(file_write_atomic(
			  buf_text(&path), STR("[{\"targets\":[\"127.0.0.1:1\"]}]"), 0600, &err),
		err);
	RUN_UNTIL(fixture.loop,
		(clock_advance_ms(&fixture.clock, 1), fixture.scraper->jobs->run_count == 1));
	assert_ok(dir_remove_tree(folder, &err), err);
	tear_down(&fixture);
}

static void extra_scrape_metrics_add_three_series(void **state) {
	(void)state;
	struct fixture fixture;
	set_up(&fixture);
	fixture.exporter.body = "a 1\n";
	apply(&fixture, "  extra_scrape_metrics: true\n  sample_limit: 7\n");
	next_scrape(&fixture);
	assert_string_equal(values(&fixture, "scrape_timeout_seconds"), "5");
	assert_string_equal(values(&fixture, "scrape_sample_limit"), "7");
	assert_string_equal(values(&fixture, "scrape_body_size_bytes"), "4");
	fixture.exporter.status = 500;
	next_scrape(&fixture);
	assert_string_equal(values(&fixture, "scrape_body_size_bytes"), "4 0");
	tear_down(&fixture);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(scrapes_on_the_targets_grid),
		TEST(a_restart_keeps_the_phase),
		TEST(asks_as_prometheus_asks),
		TEST(reads_gzip_and_openmetrics),
		TEST(a_failed_scrape_says_why_and_ends_the_series),
		TEST(a_fallback_protocol_saves_a_target_without_content_type),
		TEST(a_target_that_does_not_answer_is_down),
		TEST(a_refused_connection_is_told),
		TEST(an_empty_answer_is_a_good_one),
		TEST(an_unchanged_job_goes_on_untouched),
		TEST(a_changed_job_keeps_targets_that_stay),
		TEST(new_rules_end_series_that_they_drop),
		TEST(a_removed_target_ends_after_two_intervals),
		TEST(a_target_that_comes_back_gets_no_end_marks),
		TEST(too_many_targets_fail_all_of_them),
		TEST(documents_tell_of_targets_and_metadata),
		TEST(a_changed_target_file_is_picked_up),
		TEST(extra_scrape_metrics_add_three_series),
	};
	return TEST_RUN(tests);
}
