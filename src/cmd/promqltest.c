/*
 * atoll promqltest: running scripts of PromQL tests.
 */
#include "cmd/promqltest.h"

#include "base/log.h"
#include "cmd/features.h"
#include "io/file.h"
#include "promqltest/promqltest.h"

#include <stdio.h>
#include <stdlib.h>

struct promqltest_flags {
	struct flag_list features;
	int64_t line;
};

static const struct flag rows[] = {
	FLAG_LIST_ROW(struct promqltest_flags, features, "enable-feature", "NAME,...", NULL,
		"Features of the query engine to switch on, with Prometheus' names: "
		"promql-experimental-functions, promql-extended-range-selectors, "
		"promql-binop-fill-modifiers, promql-delayed-name-removal, use-start-timestamps. "
		"Prometheus' own suite wants all of them. May be repeated."),
	FLAG_INT_ROW(struct promqltest_flags, line, "line", "N", "0",
		"Run only the evaluation that begins in this line; 0: all."),
};

static void add(struct promqltest_count *to, const struct promqltest_count *count) {
	to->passed += count->passed;
	to->failed += count->failed;
	to->skipped += count->skipped;
}

/* Runs one file and says what became of it. A file that cannot be run counts as a failure. */
static void run_file(const char *path, const struct promqltest_options *options,
	struct promqltest_count *total) {
	AUTO(buf_deinit) struct buf text = { 0 };
	AUTO(buf_deinit) struct buf out = { 0 };
	struct promqltest_count count = { 0 };
	struct err err = { 0 };
	int rc = file_read(path, PROMQLTEST_LEN_MAX, &text, &err);
	if (rc == 0) {
		rc = promqltest_run(path, buf_str(&text), options, &out, &count, &err);
	}
	if (rc < 0) {
		(void)fprintf(stderr, "%s\n", err.text);
		count.failed++;
	}
	(void)printf("%s%s: %zu passed, %zu failed, %zu skipped\n", buf_text(&out), path,
		count.passed, count.failed, count.skipped);
	(void)fflush(stdout);
	add(total, &count);
}

static int run(const void *config, char **args, size_t arg_count) {
	const struct promqltest_flags *flags = config;
	struct promqltest_options options = { .only_line =
						      flags->line > 0 ? (size_t)flags->line : 0 };
	struct promqltest_count total = { 0 };
	if (arg_count == 0) {
		struct err err = { 0 };
		(void)err_set(&err, ERR_INVAL, "needs %s; --help says more",
			promqltest_command.arguments);
		return command_fail(&promqltest_command, &err);
	}
	log_set_level(LOG_WARN);
	struct features features = features_read(&flags->features);
	options.parse = features.parse;
	options.delayed_name_removal = features.delayed_name_removal;
	options.use_start_timestamps = features.use_start_timestamps;
	for (size_t i = 0; i < arg_count; i++) {
		run_file(args[i], &options, &total);
	}
	(void)printf(
		"%zu passed, %zu failed, %zu skipped\n", total.passed, total.failed, total.skipped);
	return total.failed > 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

const struct command promqltest_command = {
	.name = "promqltest",
	.summary = "run scripts of PromQL tests",
	.arguments = "FILE...",
	.description =
		"Runs scripts in the notation of Prometheus' own test suite (load, eval instant, "
		"eval range, expect, clear) with that suite's settings: a lookback of 5m, 10,000 "
		"samples at once, subqueries of 1m. Each instant evaluation is run again as the "
		"middle of a range of three steps and, where that changes nothing, with @ at all "
		"its selectors at other times.\n\n"
		"Prints a line for each evaluation that fails (FILE:LINE: expected ..., got ...), "
		"the count of each file, and at last that of all. The exit code is 1 if any "
		"failed. Evaluations of what is not built count as skipped.",
	.flags = rows,
	.flag_count = ARRAY_COUNT(rows),
	.config_size = sizeof(struct promqltest_flags),
	.run = run,
};
