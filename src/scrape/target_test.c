#include "scrape/target.h"

#include "base/test.h"
#include "scrape/url.h"

/* The target of 'address' in a job with these settings, or NULL with the reason in 'err'. */
static struct target *make(
	const char *settings, const char *address, struct config **config, struct err *err) {
	AUTO(buf_deinit) struct buf text = { 0 };
	struct target *target = NULL;
	buf_printf(&text,
		"scrape_configs:\n- job_name: j\n%s  static_configs:\n"
		"  - targets: [x]\n    labels: {__meta_zone: z, zone: z}\n",
		settings);
	assert_ok(config_parse(buf_str(&text), "test.yml", config, err), *err);
	const struct config_scrape *job = &(*config)->scrapes[0];
	int rc = target_new(job, &job->static_configs[0], str_of(address), &target, err);
	return rc < 0 ? NULL : target;
}

static struct str label_of(const struct labels *labels, const char *name) {
	return labels_get(labels, str_of(name));
}

static void a_target_gets_labels_url_and_times_of_its_job(void **state) {
	(void)state;
	struct config *config = NULL;
	struct err err = { 0 };
	struct target *target = make("  scrape_interval: 15s\n", "h:9100", &config, &err);
	assert_non_null(target);
	assert_str_equal(label_of(&target->labels, "__scrape_interval__"), STR("15s"));
	assert_str_equal(label_of(&target->labels, "__scrape_timeout__"), STR("10s"));
	assert_str_equal(label_of(&target->labels, "__address__"), STR("h:9100"));
	assert_str_equal(label_of(&target->labels, "__meta_zone"), STR(""));
	assert_str_equal(label_of(&target->discovered, "__meta_zone"), STR("z"));
	assert_str_equal(label_of(&target->discovered, "instance"), STR(""));
	assert_int_equal(target->own.count, 3);
	assert_str_equal(label_of(&target->own, "instance"), STR("h:9100"));
	assert_str_equal(label_of(&target->own, "job"), STR("j"));
	assert_str_equal(label_of(&target->own, "zone"), STR("z"));
	assert_str_equal(target->url, STR("http://h:9100/metrics"));
	assert_int_equal(target->interval_ms, 15000);
	assert_int_equal(target->timeout_ms, 10000);
	target_unref(target);
	config_unref(config);
}

static void relabelling_decides_address_path_params_and_times(void **state) {
	(void)state;
	struct config *config = NULL;
	struct err err = { 0 };
	struct target *target =
		make("  params: {module: [a, b], x: [\"y z\"]}\n"
		     "  relabel_configs:\n"
		     "  - {source_labels: [__address__], target_label: __param_module}\n"
		     "  - {target_label: __address__, replacement: \"127.0.0.1:9115\"}\n"
		     "  - {target_label: __metrics_path__, replacement: \"probe/ü\"}\n"
		     "  - {target_label: __scheme__, replacement: https}\n"
		     "  - {target_label: __scrape_interval__, replacement: 5s}\n"
		     "  - {target_label: __scrape_timeout__, replacement: 500ms}\n",
			"h:1", &config, &err);
	assert_non_null(target);
	assert_str_equal(target->url,
		STR("https://127.0.0.1:9115/probe/%C3%BC?module=h%3A1&module=b&x=y+z"));
	assert_int_equal(target->interval_ms, 5000);
	assert_int_equal(target->timeout_ms, 500);
	target_unref(target);
	config_unref(config);
}

static void a_dropped_target_keeps_what_was_discovered(void **state) {
	(void)state;
	struct config *config = NULL;
	struct err err = { 0 };
	struct target *target =
		make("  relabel_configs:\n  - {source_labels: [zone], regex: z, action: drop}\n",
			"h:1", &config, &err);
	assert_non_null(target);
	assert_true(target_is_dropped(target));
	assert_str_equal(label_of(&target->discovered, "__address__"), STR("h:1"));
	target_unref(target);
	config_unref(config);
}

static void refuses_targets_that_cannot_be_scraped(void **state) {
	(void)state;
	static const struct {
		const char *label;
		const char *value;
		const char *reason;
	} examples[] = {
		{ "__address__", "", "no address" },
		{ "__address__", "http://h", "\"http://h\" is not a valid hostname" },
		{ "__scrape_interval__", "0s", "scrape interval cannot be 0" },
		{ "__scrape_interval__", "1x", "error parsing scrape interval" },
		{ "__scrape_timeout__", "0s", "scrape timeout cannot be 0" },
		{ "__scrape_timeout__", "2h",
			"scrape timeout cannot be greater than scrape interval" },
	};
	for (size_t i = 0; i < ARRAY_COUNT(examples); i++) {
		struct config *config = NULL;
		struct err err = { 0 };
		AUTO(buf_deinit) struct buf settings = { 0 };
		buf_printf(&settings,
			"  relabel_configs:\n  - {target_label: %s, replacement: \"%s\"}\n",
			examples[i].label, examples[i].value);
		assert_null(make(buf_text(&settings), "h:1", &config, &err));
		if (!strstr(err.text, examples[i].reason)) {
			fail_msg("%s: %s", examples[i].label, err.text);
		}
		config_unref(config);
	}
}

static void a_hash_tells_targets_apart(void **state) {
	(void)state;
	struct config *configs[3] = { NULL };
	struct err err = { 0 };
	struct target *a = make("", "h:1", &configs[0], &err);
	struct target *b = make("", "h:1", &configs[1], &err);
	struct target *c = make("  params: {x: [y]}\n", "h:1", &configs[2], &err);
	assert_true(a->hash == b->hash);
	assert_true(a->hash != c->hash);
	target_unref(a);
	target_unref(b);
	target_unref(c);
	for (size_t i = 0; i < ARRAY_COUNT(configs); i++) {
		config_unref(configs[i]);
	}
}

static void collects_families_from_a_body(void **state) {
	(void)state;
	struct buf body = { 0 };
	buf_add_text(&body,
		"# HELP b two\\nlines\n# TYPE b counter\nb 1\n# TYPE a gauge\na 1\n# HELP a first\n"
		"# comment\n");
	struct families *families = families_new(EXPOSITION_FORMAT_TEXT, &body);
	assert_int_equal(families->count, 2);
	assert_str_equal(families->items[0].name, STR("a"));
	assert_str_equal(families->items[0].help, STR("first"));
	assert_int_equal(families->items[0].type, METRIC_TYPE_GAUGE);
	assert_str_equal(families->items[1].help, STR("two\nlines"));
	assert_int_equal(families->items[1].type, METRIC_TYPE_COUNTER);
	families_unref(families);
	buf_deinit(&body);
}

static void takes_query_strings_apart(void **state) {
	(void)state;
	struct arena arena = { 0 };
	struct str query = STR("state=any&scrape%50ool=a%20b+c&x&state=no&bad=%zz");
	assert_str_equal(url_query_value(&arena, query, STR("state")), STR("any"));
	assert_str_equal(url_query_value(&arena, query, STR("scrapePool")), STR("a b c"));
	assert_str_equal(url_query_value(&arena, query, STR("x")), STR(""));
	assert_str_equal(url_query_value(&arena, query, STR("y")), STR(""));
	assert_str_equal(url_query_value(&arena, query, STR("bad")), STR(""));
	assert_str_equal(url_query_value(&arena, STR_EMPTY, STR("x")), STR(""));
	arena_deinit(&arena);
}

static void a_global_url_is_reachable_from_elsewhere(void **state) {
	(void)state;
	static const char *const examples[][2] = {
		{ "http://localhost:9100/metrics", "http://host:9100/metrics" },
		{ "http://127.0.0.1:9090/metrics?x=y", "http://host:19090/metrics?x=y" },
		{ "http://[::1]:1/", "http://host:1/" },
		{ "http://other:9090/metrics", "http://other:9090/metrics" },
		{ "http://localhost", "http://host" },
	};
	struct arena arena = { 0 };
	for (size_t i = 0; i < ARRAY_COUNT(examples); i++) {
		assert_str_equal(
			url_global(&arena, str_of(examples[i][0]), STR("host:19090"), 9090),
			str_of(examples[i][1]));
	}
	arena_deinit(&arena);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(a_target_gets_labels_url_and_times_of_its_job),
		TEST(relabelling_decides_address_path_params_and_times),
		TEST(a_dropped_target_keeps_what_was_discovered),
		TEST(refuses_targets_that_cannot_be_scraped),
		TEST(a_hash_tells_targets_apart),
		TEST(collects_families_from_a_body),
		TEST(takes_query_strings_apart),
		TEST(a_global_url_is_reachable_from_elsewhere),
	};
	return TEST_RUN(tests);
}
