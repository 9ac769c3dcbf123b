/*
 * Runs scripts of PromQL tests: our own in testdata/, and Prometheus' conformance suite where
 * ATOLL_TESTDATA has it. Each evaluation counts as a test. ONLY_FILE and ONLY_LINE choose one.
 */
#include "promqltest/promqltest.h"
#include "promqltest/testing.h"

#include "base/check.h"
#include "base/test.h"

#include <dirent.h>

/*
 * Evaluations of Prometheus' suite that are about names which stay until the end, and so come out
 * otherwise when they go at once. There, notes name no metric, since it is gone when they are made;
 * rate() of several metrics gives series that are the same; nothing can be grouped by the name of a
 * rate; and a sum without __type__ and __unit__ matches no selector with them.
 */
static const struct {
	const char *file;
	size_t lines[16];
} about_delayed_names[] = {
	{ "histograms.test",
		{ 1158, 1163, 1168, 1179, 1184, 1189, 1200, 1205, 1210, 1223, 1228, 1233 } },
	{ "name_label_dropping.test", { 59, 64, 69, 74, 89, 115, 119, 123 } },
	{ "native_histograms.test",
		{ 1616, 1621, 1626, 1631, 1635, 1639, 1644, 1648, 1653, 1908, 1911, 1914, 1917 } },
	{ "type_and_unit.test", { 77, 92, 222, 237 } },
};

static bool is_about_delayed_names(const char *path, size_t line) {
	for (size_t i = 0; i < ARRAY_COUNT(about_delayed_names); i++) {
		AUTO(buf_deinit) struct buf end = { 0 };

		buf_printf(&end, "/%s", about_delayed_names[i].file);
		for (size_t k = 0; str_ends(str_of(path), buf_str(&end)) &&
				   k < ARRAY_COUNT(about_delayed_names[i].lines);
			k++) {
			if (about_delayed_names[i].lines[k] == line) {
				return true;
			}
		}
	}
	return false;
}

/* Whether just the evaluations that fail in this mode by what they are about did. */
static bool only_delayed_failed(const char *path, struct str out, size_t failed) {
	size_t expected = 0;

	while (out.len > 0) {
		struct str line = str_cut(&out, '\n');
		uint64_t number = 0;

		line = str_from(line, strlen(path) + 1);
		expected += str_to_u64(str_cut(&line, ':'), &number) &&
			    is_about_delayed_names(path, number);
	}
	return expected == failed;
}

static void run_file(const char *path, bool delayed, struct promqltest_count *total) {
	const char *only_line = getenv("ONLY_LINE"); // NOLINT(concurrency-mt-unsafe)
	const struct promqltest_options options = { .parse = { true, true, true },
		.delayed_name_removal = delayed,
		.use_start_timestamps = true,
		.only_line = only_line ? strtoul(only_line, NULL, 10) : 0 };
	AUTO(buf_deinit) struct buf out = { 0 };
	struct promqltest_count count = { 0 };
	struct err err = { 0 };
	AUTO(buf_deinit) struct buf text = { 0 };

	script_read(path, &text);
	if (promqltest_run(path, buf_str(&text), &options, &out, &count, &err) < 0) {
		buf_printf(&out, "%s\n", err.text);
		count.failed++;
	}
	if (!delayed && count.failed > 0 &&
		only_delayed_failed(path, buf_str(&out), count.failed)) {
		(void)printf("%s: %zu evaluations are about names that go at the end\n", path,
			count.failed);
		count.failed = 0;
		buf_reset(&out);
	}
	(void)printf("%s%s%s: %zu passed, %zu failed, %zu skipped\n", buf_text(&out), path,
		delayed ? "" : " (names dropped at once)", count.passed, count.failed,
		count.skipped);
	total->passed += count.passed;
	total->failed += count.failed;
	total->skipped += count.skipped;
}

/* Scripts hold in either mode of name removal, unless they are about one. */
static bool runs_in_mode(const char *name, bool delayed) {
	if (str_starts(str_of(name), STR("delayed_"))) {
		return delayed;
	}
	if (str_starts(str_of(name), STR("at_once_"))) {
		return !delayed;
	}
	return true;
}

static void run_folder(const char *folder, struct promqltest_count *total) {
	const char *only = getenv("ONLY_FILE"); // NOLINT(concurrency-mt-unsafe)
	struct dirent **entries;
	int count = scandir(folder, &entries, script_is, alphasort);

	CHECK(count >= 0);
	for (int i = 0; i < count; i++) {
		AUTO(buf_deinit) struct buf path = { 0 };

		buf_printf(&path, "%s/%s", folder, entries[i]->d_name);
		for (int delayed = 0; delayed < 2; delayed++) {
			if (runs_in_mode(entries[i]->d_name, delayed) &&
				(!only || strstr(entries[i]->d_name, only))) {
				run_file(buf_text(&path), delayed, total);
			}
		}
		free(entries[i]);
	}
	free((void *)entries);
}

int main(void) {
	AUTO(buf_deinit) struct buf suite = { 0 };
	struct promqltest_count total = { 0 };

	run_folder(OWN_SCRIPTS, &total);
	if (test_data()) {
		buf_printf(&suite, "%s/promqltest", test_data());
		run_folder(buf_text(&suite), &total);
	} else {
		(void)printf("SKIP Prometheus' suite: ATOLL_TESTDATA is not set\n");
	}
	(void)printf(
		"%zu passed, %zu failed, %zu skipped\n", total.passed, total.failed, total.skipped);
	return total.failed || total.skipped ? EXIT_FAILURE : EXIT_SUCCESS;
}
