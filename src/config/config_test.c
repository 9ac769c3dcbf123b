#include "config/config.h"

#include "base/test.h"

#include <dirent.h>
#include <string.h>

static struct config *load(const char *text) {
	struct config *config = NULL;
	struct err err = { 0 };
	assert_ok(config_parse(str_of(text), "dir/prometheus.yml", &config, &err), err);
	return config;
}

static void fills_in_defaults(void **state) {
	(void)state;
	struct config *config = load("scrape_configs:\n- job_name: node\n");
	const struct config_scrape *job = &config->scrapes[0];

	assert_int_equal(config->scrape_count, 1);
	assert_int_equal(config->global.scrape_interval_ms, 60000);
	assert_int_equal(job->scrape_interval_ms, 60000);
	assert_int_equal(job->scrape_timeout_ms, 10000);
	assert_str_equal(job->metrics_path, STR("/metrics"));
	assert_str_equal(job->scheme, STR("http"));
	assert_true(job->honor_timestamps);
	assert_false(job->honor_labels);
	assert_true(job->enable_compression);
	assert_int_equal(job->limits.scrape_protocols.count, 4);
	assert_str_equal(config->folder, STR("dir"));
	config_unref(config);
}

static void jobs_start_from_the_global_values_wherever_they_stand(void **state) {
	(void)state;
	struct config *config = load("scrape_configs:\n"
				     "- job_name: a\n"
				     "- job_name: b\n"
				     "  scrape_interval: 5s\n"
				     "  sample_limit: 7\n"
				     "global:\n"
				     "  scrape_interval: 20s\n"
				     "  sample_limit: 100\n"
				     "  body_size_limit: 10MB\n");
	const struct config_scrape *a = &config->scrapes[0];
	const struct config_scrape *b = &config->scrapes[1];

	assert_int_equal(a->scrape_interval_ms, 20000);
	assert_int_equal(a->scrape_timeout_ms, 10000);
	assert_int_equal(a->limits.sample_limit, 100);
	assert_int_equal(b->scrape_interval_ms, 5000);
	assert_int_equal(b->scrape_timeout_ms, 5000);
	assert_int_equal(b->limits.sample_limit, 7);
	assert_int_equal(b->limits.body_size_limit, 10 << 20);
	config_unref(config);
}

static void reads_targets_params_and_rules(void **state) {
	(void)state;
	struct config *config = load("global:\n"
				     "  external_labels: {region: eu, zone: b}\n"
				     "scrape_configs:\n"
				     "- job_name: web\n"
				     "  params: {module: [http_2xx, other]}\n"
				     "  basic_auth: {username: u, password: p}\n"
				     "  static_configs:\n"
				     "  - targets: ['h:1', 'h:2']\n"
				     "    labels: {team: core}\n"
				     "  file_sd_configs:\n"
				     "  - files: ['t/*.json']\n"
				     "    refresh_interval: 30s\n"
				     "  relabel_configs:\n"
				     "  - source_labels: [__address__]\n"
				     "    regex: '(.*):.*'\n"
				     "    target_label: host\n"
				     "  metric_relabel_configs:\n"
				     "  - {action: labeldrop, regex: tmp_.*}\n");
	const struct config_scrape *job = &config->scrapes[0];

	assert_str_equal(labels_get(&config->global.external_labels, STR("zone")), STR("b"));
	assert_str_equal(job->params.items[0].values.items[1], STR("other"));
	assert_str_equal(job->http.password, STR("p"));
	assert_int_equal(job->static_configs[0].addresses.count, 2);
	assert_str_equal(labels_get(&job->static_configs[0].labels, STR("team")), STR("core"));
	assert_int_equal(job->file_sd_configs[0].refresh_interval_ms, 30000);
	assert_int_equal(job->relabel_configs.count, 1);
	assert_int_equal(job->relabel_configs.items[0].action, RELABEL_REPLACE);
	assert_int_equal(job->metric_relabel_configs.items[0].action, RELABEL_LABELDROP);
	config_unref(config);
}

static void external_labels_take_the_environment(void **state) {
	(void)state;
	assert_int_equal(setenv("ATOLL_CONFIG_TEST", "bahrain", 1), 0);
	struct config *config = load("global:\n"
				     "  external_labels:\n"
				     "    a: ${ATOLL_CONFIG_TEST}-1\n"
				     "    b: $ATOLL_CONFIG_TEST\n"
				     "    c: cost$$\n");
	const struct labels *set = &config->global.external_labels;

	assert_str_equal(labels_get(set, STR("a")), STR("bahrain-1"));
	assert_str_equal(labels_get(set, STR("b")), STR("bahrain"));
	assert_str_equal(labels_get(set, STR("c")), STR("cost$"));
	config_unref(config);
}

static void what_it_prints_loads_to_the_same_print(void **state) {
	(void)state;
	AUTO(buf_deinit) struct buf once = { 0 };
	AUTO(buf_deinit) struct buf twice = { 0 };
	struct config *config = load("global: {external_labels: {x: 'yes'}, label_limit: 30}\n"
				     "scrape_configs:\n"
				     "- job_name: 'a b'\n"
				     "  scheme: https\n"
				     "  honor_timestamps: false\n"
				     "  tls_config: {server_name: s, insecure_skip_verify: true}\n"
				     "  params: {q: ['1']}\n"
				     "  static_configs: [{targets: ['h:1']}]\n"
				     "  relabel_configs: [{action: drop, regex: 'x|y: z', "
				     "source_labels: [n]}]\n");
	config_print(config, &once);
	struct config *again = load(buf_text(&once));
	config_print(again, &twice);
	assert_str_equal(buf_str(&once), buf_str(&twice));
	assert_non_null(strstr(buf_text(&once), "scrape_timeout: 10s"));
	config_unref(config);
	config_unref(again);
}

static void never_prints_secrets(void **state) {
	(void)state;
	AUTO(buf_deinit) struct buf text = { 0 };
	struct config *config = load("scrape_configs:\n"
				     "- job_name: a\n"
				     "  basic_auth: {username: u, password: hunter2}\n"
				     "- job_name: b\n"
				     "  authorization: {credentials: hunter2}\n"
				     "- job_name: c\n"
				     "  proxy_url: http://me:hunter2@proxy:80/\n"
				     "- job_name: d\n"
				     "  proxy_url: http://plain:80/a@b:c\n");
	config_print(config, &text);
	assert_non_null(strstr(buf_text(&text), "http://me:xxxxx@proxy:80/"));
	assert_non_null(strstr(buf_text(&text), "http://plain:80/a@b:c"));
	assert_null(strstr(buf_text(&text), "hunter2"));
	assert_non_null(strstr(buf_text(&text), "password: <secret>"));
	config_unref(config);
}

static void refuses_with_file_line_and_remedy(void **state) {
	(void)state;
	static const struct {
		const char *text;
		int code;
		const char *sentence;
	} cases[] = {
		{ "global:\n  scrape_intervall: 1s\n", ERR_INVAL,
			"p.yml:2: unknown key \"scrape_intervall\" in global, did you mean "
			"\"scrape_interval\"?" },
		{ "nonsense_here: 1\n", ERR_INVAL,
			"p.yml:1: unknown key \"nonsense_here\" in the configuration" },
		{ "rule_files: [a.yml]\n", ERR_ABSENT,
			"p.yml:1: rule_files is not supported yet; remove it from the file" },
		{ "scrape_configs:\n- job_name: a\n  sample_limit: -1\n", ERR_INVAL,
			"p.yml:3: sample_limit: \"-1\" is not a whole number" },
		{ "scrape_configs:\n- job_name: a\n- job_name: a\n", ERR_INVAL,
			"p.yml:3: found multiple scrape configs with job name \"a\", the first in "
			"line 2" },
		{ "scrape_configs:\n- scheme: http\n", ERR_INVAL, "p.yml:2: job_name is empty" },
		{ "scrape_configs:\n- job_name: a\n  scrape_interval: 1s\n  scrape_timeout: 2s\n",
			ERR_INVAL,
			"p.yml:2: scrape timeout greater than scrape interval for scrape config "
			"with job name \"a\"" },
		{ "scrape_configs:\n- job_name: a\n  body_size_limit: 100\n", ERR_INVAL,
			"p.yml:3: body_size_limit: \"100\" is not a size, write one like 10MB" },
		{ "scrape_configs:\n- job_name: a\n  static_configs: [{targets: [http://x]}]\n",
			ERR_INVAL,
			"p.yml:3: target \"http://x\" is not host:port; the path belongs into "
			"metrics_path, the scheme into scheme" },
		{ "scrape_configs:\n- job_name: a\n  file_sd_configs: [{files: [x.txt]}]\n",
			ERR_INVAL,
			"p.yml:3: path name \"x.txt\" is not valid for file discovery: it must end "
			"in .json, .yml or .yaml, with * in the last element only" },
	};
	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		struct config *config = NULL;
		struct err err = { 0 };
		assert_int_equal(
			config_parse(str_of(cases[i].text), "p.yml", &config, &err), cases[i].code);
		assert_string_equal(err.text, cases[i].sentence);
	}
}

static void accepts_the_default_of_what_it_lacks(void **state) {
	(void)state;
	config_unref(load("rule_files: []\n"
			  "global: {rule_query_offset: 0s}\n"
			  "scrape_configs:\n"
			  "- {job_name: a, enable_http2: true, kubernetes_sd_configs: []}\n"));
}

static void reads_target_files_in_both_forms(void **state) {
	(void)state;
	static const char *const texts[] = {
		"[{\"targets\": [\"h:1\"], \"labels\": {\"a\": \"b\"}}]",
		"- targets: ['h:1']\n  labels: {a: b}\n"
	};
	for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
		struct arena arena = { 0 };
		struct err err = { 0 };
		const struct config_targets *groups = NULL;
		size_t count = 0;
		assert_ok(config_parse_targets(
				  &arena, str_of(texts[i]), "d/t.json", &groups, &count, &err),
			err);
		assert_int_equal(count, 1);
		assert_str_equal(groups[0].addresses.items[0], STR("h:1"));
		assert_str_equal(labels_get(&groups[0].labels, STR("a")), STR("b"));
		assert_str_equal(
			labels_get(&groups[0].labels, STR("__meta_filepath")), STR("d/t.json"));
		arena_deinit(&arena);
	}
}

static bool read_file(const char *path, struct buf *out) {
	FILE *file = fopen(path, "rbe");
	if (!file) {
		return false;
	}
	char bytes[4096];
	size_t len = 0;
	while ((len = fread(bytes, 1, sizeof(bytes), file)) > 0) {
		buf_append(out, bytes, len);
	}
	(void)fclose(file);
	return true;
}

/* What a ".bad.yml" is refused for may be a section that we do not have; a good one may only be
 * that. */
static void judges_prometheus_own_files(void **state) {
	(void)state;
	if (!test_data()) {
		TEST_SKIP("ATOLL_TESTDATA is not set");
	}
	char folder[512];
	(void)snprintf(
		folder, sizeof(folder), "%s/configs/prometheus-config-testdata", test_data());
	DIR *dir = opendir(folder);
	assert_non_null(dir);
	size_t seen = 0;
	size_t wrong = 0;
	// NOLINTNEXTLINE(concurrency-mt-unsafe): one thread
	for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir)) {
		struct str name = str_of(entry->d_name);
		bool is_bad = str_ends(name, STR(".bad.yml"));
		if (!is_bad && !str_ends(name, STR(".good.yml"))) {
			continue;
		}
		char path[1024];
		(void)snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		AUTO(buf_deinit) struct buf text = { 0 };
		assert_true(read_file(path, &text));
		struct config *config = NULL;
		struct err err = { 0 };
		int rc = config_parse(buf_str(&text), entry->d_name, &config, &err);
		config_unref(config);
		seen++;
		if (is_bad ? rc == 0 : rc != 0 && rc != ERR_ABSENT) {
			(void)printf("%s: %d %s\n", entry->d_name, rc, err.text);
			wrong++;
		}
	}
	(void)closedir(dir);
	assert_true(seen > 100);
	assert_int_equal(wrong, 0);
}

static void a_section_that_asks_for_nothing_is_fine(void **state) {
	(void)state;
	static const struct {
		const char *text;
		int rc;
	} examples[] = {
		{ "rule_files:\n", 0 },
		{ "rule_files: []\n", 0 },
		{ "alerting: {alertmanagers: [{static_configs: [{targets: }]}]}\n", 0 },
		{ "alerting: {alertmanagers: [{static_configs: [{targets: [a]}]}]}\n", ERR_ABSENT },
		{ "alerting: {alert_relabel_configs: [null]}\n", ERR_ABSENT },
		{ "remote_write: [null]\n", ERR_ABSENT },
	};
	for (size_t i = 0; i < ARRAY_COUNT(examples); i++) {
		struct config *config = NULL;
		struct err err = { 0 };
		int rc = config_parse(str_of(examples[i].text), "p.yml", &config, &err);
		if (rc != examples[i].rc) {
			fail_msg("%s: %d %s", examples[i].text, rc, err.text);
		}
		config_unref(config);
	}
}

static void a_bearer_token_is_an_authorization(void **state) {
	(void)state;
	struct config *config = NULL;
	struct err err = { 0 };
	assert_ok(config_parse(STR("scrape_configs: [{job_name: j, bearer_token_file: t}]"),
			  "p.yml", &config, &err),
		err);
	assert_str_equal(config->scrapes[0].http.credentials_file, STR("t"));
	assert_str_equal(config->scrapes[0].http.authorization_type, STR("Bearer"));
	config_unref(config);
	assert_int_equal(config_parse(STR("scrape_configs: [{job_name: j, bearer_token: t, "
					  "authorization: {credentials: c}}]"),
				 "p.yml", &config, &err),
		ERR_INVAL);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(fills_in_defaults),
		TEST(jobs_start_from_the_global_values_wherever_they_stand),
		TEST(reads_targets_params_and_rules),
		TEST(external_labels_take_the_environment),
		TEST(what_it_prints_loads_to_the_same_print),
		TEST(never_prints_secrets),
		TEST(refuses_with_file_line_and_remedy),
		TEST(accepts_the_default_of_what_it_lacks),
		TEST(reads_target_files_in_both_forms),
		TEST(a_section_that_asks_for_nothing_is_fine),
		TEST(a_bearer_token_is_an_authorization),
		TEST(judges_prometheus_own_files),
	};
	return TEST_RUN(tests);
}
