#include "base/metric.h"

#include "base/test.h"
#include "base/thread.h"

static void writes_families_by_name(void **state) {
	(void)state;
	static const char *const labels[] = { "code", "path", NULL };
	AUTO(buf_deinit) struct buf out = { 0 };
	struct metric_registry *registry = metric_registry_new();
	struct metric_family *requests = metric_declare(
		registry, METRIC_COUNTER, "b_requests_total", "Requests.\nAll \\ of them.", labels);
	struct metric_family *up = metric_declare(registry, METRIC_GAUGE, "a_up", "Up.", NULL);
	(void)metric_declare(registry, METRIC_GAUGE, "c_unused", "Never seen.", NULL);
	metric_inc(metric_child(requests, (const char *const[]){ "500", "/" }));
	metric_add(metric_child(requests, (const char *const[]){ "200", "/\"\\\n\xff" }), 2.5);
	metric_inc(metric_child(requests, (const char *const[]){ "500", "/" }));
	metric_set(metric_single(up), -1);
	metric_add(metric_single(up), 1e9);
	metric_write(registry, &out);
	assert_string_equal(buf_text(&out),
		"# HELP a_up Up.\n"
		"# TYPE a_up gauge\n"
		"a_up 999999999\n"
		"# HELP b_requests_total Requests.\\nAll \\\\ of them.\n"
		"# TYPE b_requests_total counter\n"
		"b_requests_total{code=\"200\",path=\"/\\\"\\\\\\n\xef\xbf\xbd\"} 2.5\n"
		"b_requests_total{code=\"500\",path=\"/\"} 2\n");
	metric_registry_free(registry);
}

static void writes_histograms_cumulatively(void **state) {
	(void)state;
	static const char *const labels[] = { "op", NULL };
	static const char *const values[] = { "read" };
	static const double bounds[] = { 0.1, 1, 1e-7 + 10 };
	AUTO(buf_deinit) struct buf out = { 0 };
	struct metric_registry *registry = metric_registry_new();
	struct metric_family *family =
		metric_declare_histogram(registry, "seconds", "Time.", labels, bounds, 3);
	struct metric *metric = metric_child(family, values);
	metric_observe(metric, 0.1);
	metric_observe(metric, 0.5);
	metric_observe(metric, 99);
	metric_write(registry, &out);
	assert_string_equal(buf_text(&out), "# HELP seconds Time.\n"
					    "# TYPE seconds histogram\n"
					    "seconds_bucket{op=\"read\",le=\"0.1\"} 1\n"
					    "seconds_bucket{op=\"read\",le=\"1\"} 2\n"
					    "seconds_bucket{op=\"read\",le=\"10.0000001\"} 2\n"
					    "seconds_bucket{op=\"read\",le=\"+Inf\"} 3\n"
					    "seconds_sum{op=\"read\"} 99.6\n"
					    "seconds_count{op=\"read\"} 3\n");
	metric_registry_free(registry);
}

static void spells_special_values_and_all_digits(void **state) {
	(void)state;
	AUTO(buf_deinit) struct buf out = { 0 };
	struct metric_registry *registry = metric_registry_new();
	struct metric *metric =
		metric_single(metric_declare(registry, METRIC_GAUGE, "g", "G.", NULL));
	static const struct {
		double value;
		const char *line;
	} cases[] = {
		{ (double)__builtin_inff(), "g +Inf\n" },
		{ -(double)__builtin_inff(), "g -Inf\n" },
		{ (double)__builtin_nanf(""), "g NaN\n" },
		{ 0.1, "g 0.1\n" },
		{ 1.0 / 3, "g 0.3333333333333333\n" },
		{ 5e-324, "g 4.94065645841247e-324\n" },
		{ 1e300, "g 1e+300\n" },
		{ 1795394469.653, "g 1795394469.653\n" },
	};
	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		buf_reset(&out);
		metric_set(metric, cases[i].value);
		metric_write(registry, &out);
		assert_true(str_ends(buf_str(&out), str_of(cases[i].line)));
	}
	metric_registry_free(registry);
}

static void returns_the_family_that_was_declared_before(void **state) {
	(void)state;
	struct metric_registry *registry = metric_registry_new();
	struct metric_family *a = metric_declare(registry, METRIC_COUNTER, "x", "X.", NULL);
	assert_ptr_equal(metric_declare(registry, METRIC_COUNTER, "x", "X.", NULL), a);
	assert_ptr_equal(metric_single(a), metric_single(a));
	metric_registry_free(registry);
}

static void bounds_the_children_of_a_family(void **state) {
	(void)state;
	static const char *const labels[] = { "user", NULL };
	AUTO(buf_deinit) struct buf out = { 0 };
	struct metric_registry *registry = metric_registry_new();
	struct metric_family *family = metric_declare(registry, METRIC_COUNTER, "x", "X.", labels);
	char name[16];
	for (unsigned i = 0; i < METRIC_CHILDREN_MAX + 10; i++) {
		(void)snprintf(name, sizeof(name), "u%u", i);
		metric_inc(metric_child(family, (const char *const[]){ name }));
	}
	metric_inc(metric_child(family, (const char *const[]){ "u0" }));
	metric_write(registry, &out);
	assert_non_null(strstr(buf_text(&out), "x{user=\"u0\"} 2\n"));
	assert_non_null(strstr(buf_text(&out), "x{user=\"other\"} 10\n"));
	metric_registry_free(registry);
}

static void forgets_a_removed_child(void **state) {
	(void)state;
	static const char *const labels[] = { "cluster", NULL };
	static const char *const values[] = { "lisbon" };
	AUTO(buf_deinit) struct buf out = { 0 };
	struct metric_registry *registry = metric_registry_new();
	struct metric_family *family = metric_declare(registry, METRIC_COUNTER, "x", "X.", labels);
	metric_inc(metric_child(family, values));
	metric_remove(family, values);
	metric_remove(family, values);
	metric_write(registry, &out);
	assert_int_equal(out.len, 0);
	assert_true(metric_value(metric_child(family, values)) == 0);
	metric_registry_free(registry);
}

struct collected {
	struct metric_registry *registry;
	double value;
};

static void set_from(void *context) {
	struct collected *collected = context;
	metric_set(metric_single(metric_declare(
			   collected->registry, METRIC_GAUGE, "late", "Late.", NULL)),
		++collected->value);
}

static void asks_collectors_before_each_writing(void **state) {
	(void)state;
	AUTO(buf_deinit) struct buf out = { 0 };
	struct collected collected = { .registry = metric_registry_new() };
	metric_on_collect(collected.registry, set_from, &collected);
	metric_write(collected.registry, &out);
	buf_reset(&out);
	metric_write(collected.registry, &out);
	assert_true(str_ends(buf_str(&out), STR("\nlate 2\n")));
	metric_registry_free(collected.registry);
}

static void tells_of_the_process(void **state) {
	(void)state;
	static const char *const names[] = { "process_cpu_seconds_total", "process_open_fds",
		"process_max_fds", "process_resident_memory_bytes", "process_virtual_memory_bytes",
		"process_start_time_seconds", "process_threads" };
	AUTO(buf_deinit) struct buf out = { 0 };
	struct metric_registry *registry = metric_registry_new();
	metric_register_process(registry);
	metric_write(registry, &out);
	for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
		char line[64];
		(void)snprintf(line, sizeof(line), "\n%s ", names[i]);
		const char *found = strstr(buf_text(&out), line);
		assert_non_null(found);
		assert_true(strtod(found + strlen(line), NULL) > 0);
	}
	assert_non_null(
		strstr(buf_text(&out), "\natoll_build_info{version=\"" ATOLL_VERSION "\"} 1\n"));
	metric_registry_free(registry);
}

static void count_up(void *context) {
	for (size_t i = 0; i < 10000; i++) {
		metric_inc(context);
	}
}

static void loses_no_count_among_threads(void **state) {
	(void)state;
	struct metric_registry *registry = metric_registry_new();
	struct metric *metric =
		metric_single(metric_declare(registry, METRIC_COUNTER, "x", "X.", NULL));
	pthread_t threads[4];
	for (size_t i = 0; i < ARRAY_COUNT(threads); i++) {
		threads[i] = thread_start(THREAD_QUERY, "counter", count_up, metric);
	}
	for (size_t i = 0; i < ARRAY_COUNT(threads); i++) {
		thread_join(threads[i]);
	}
	assert_true(metric_value(metric) == 40000);
	metric_registry_free(registry);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(writes_families_by_name),
		TEST(writes_histograms_cumulatively),
		TEST(spells_special_values_and_all_digits),
		TEST(returns_the_family_that_was_declared_before),
		TEST(bounds_the_children_of_a_family),
		TEST(forgets_a_removed_child),
		TEST(asks_collectors_before_each_writing),
		TEST(tells_of_the_process),
		TEST(loses_no_count_among_threads),
	};
	return TEST_RUN(tests);
}
