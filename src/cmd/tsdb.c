/*
 * atoll tsdb load: samples with timestamps from a text into a data directory.
 */
#include "cmd/tsdb.h"

#include "base/log.h"
#include "base/time.h"
#include "load/load.h"
#include "tsdb/tsdb.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct tsdb_flags {
	const char *path;
	const char *format;
};

static const struct flag rows[] = {
	FLAG_TEXT_ROW(struct tsdb_flags, path, "storage.tsdb.path", "DIR", "data/",
		"The directory, made if it is not there."),
	FLAG_TEXT_ROW(struct tsdb_flags, format, "format", "FORMAT", "openmetrics",
		"openmetrics (timestamps in seconds, # EOF at the end) or text (the classic "
		"format; timestamps in milliseconds)."),
};

/* Keeps the log short on the way. */
static int maintain(void *db, struct err *err) {
	return tsdb_maintain(db, err);
}

static int load_path(const char *path, const struct load_options *options, struct load_count *count,
	struct err *err) {
	bool is_stdin = strcmp(path, "-") == 0;
	FILE *in = is_stdin ? stdin : fopen(path, "re");
	int rc;

	if (!in) {
		return err_errno(err, errno, "%s", path);
	}
	rc = load_file(in, is_stdin ? "standard input" : path, options, count, err);
	if (!is_stdin) {
		(void)fclose(in);
	}
	return rc;
}

/* What became of it; says so too when it ended early. */
static void report(const struct load_count *count, int64_t took_ns) {
	AUTO(buf_deinit) struct buf from = { 0 };
	AUTO(buf_deinit) struct buf to = { 0 };
	uint64_t refused = count->out_of_order + count->duplicates;

	if (count->samples > 0) {
		time_format_rfc3339(count->min_ms, &from);
		time_format_rfc3339(count->max_ms, &to);
	}
	(void)printf("loaded %" PRIu64 " samples of %" PRIu64 " series, %s to %s, in %.1f s\n",
		count->samples, count->series, count->samples > 0 ? buf_text(&from) : "nothing",
		count->samples > 0 ? buf_text(&to) : "nothing", (double)took_ns / (double)NS_PER_S);
	if (refused > 0) {
		(void)fprintf(stderr,
			"atoll tsdb load: left out %" PRIu64 " samples: %" PRIu64
			" older than one before of their series, %" PRIu64
			" of the same time with another value\n",
			refused, count->out_of_order, count->duplicates);
	}
	if (count->samples > 0 &&
		count->max_ms < clock_now_ms(clock_system()) - TSDB_RETENTION_DEFAULT_MS) {
		(void)fprintf(stderr,
			"atoll tsdb load: all samples are older than atoll monitor keeps without "
			"--storage.tsdb.retention.time\n");
	}
}

static int load_all(struct tsdb *db, const struct tsdb_flags *flags, char **paths, size_t count,
	struct load_count *total, struct err *err) {
	const struct load_options options = {
		.format = strcmp(flags->format, "text") == 0 ? EXPOSITION_FORMAT_TEXT
							     : EXPOSITION_FORMAT_OPENMETRICS,
		.to = tsdb_appendable(db),
		.after_piece = maintain,
		.context = db,
	};
	int rc = 0;

	for (size_t i = 0; i < count && rc == 0; i++) {
		rc = load_path(paths[i], &options, total, err);
	}
	return rc < 0 ? rc : tsdb_checkpoint(db, err);
}

static int run(const void *config, char **args, size_t arg_count) {
	const struct tsdb_flags *flags = config;
	struct load_count count;
	struct tsdb_options options;
	struct tsdb *db = NULL;
	struct err err = { 0 };
	int64_t start_ns = clock_mono_ns(clock_system());
	int rc;

	load_count_init(&count);
	log_set_level(LOG_WARN);
	if (arg_count == 0) {
		(void)fprintf(stderr, "atoll tsdb load: needs FILE...; --help says more\n");
		return EXIT_USAGE;
	}
	if (strcmp(flags->format, "text") != 0 && strcmp(flags->format, "openmetrics") != 0) {
		(void)fprintf(stderr,
			"atoll tsdb load: --format: \"%s\" is neither openmetrics nor text\n",
			flags->format);
		return EXIT_USAGE;
	}
	tsdb_options_init(&options);
	options.path = flags->path;
	options.any_age = true;
	options.retention_ms = INT64_MAX / 2;
	rc = tsdb_open(&options, &db, &err);
	if (rc < 0) {
		(void)err_wrap(&err, rc, "--storage.tsdb.path");
		return command_fail(&tsdb_load_command, &err);
	}
	rc = load_all(db, flags, args, arg_count, &count, &err);
	report(&count, clock_mono_ns(clock_system()) - start_ns);
	if (rc == 0) {
		rc = tsdb_close(db, &err);
	} else {
		(void)tsdb_close(db, NULL);
	}
	if (rc < 0) {
		return command_fail(&tsdb_load_command, &err);
	}
	return count.out_of_order + count.duplicates > 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

const struct command tsdb_load_command = {
	.name = "tsdb load",
	.summary = "load samples with timestamps into a data directory",
	.arguments = "FILE...",
	.description =
		"Reads OpenMetrics text, as promtool tsdb create-blocks-from openmetrics does, or "
		"the classic format, from files or, for -, from standard input. Each sample needs "
		"a timestamp, and each series' samples the order of time; series may come one "
		"after the other or mixed. Files of any size are read in pieces of 8 MiB.\n\n"
		"No server may have the directory open; what it holds already stays. Samples that "
		"are older than one of the same series, or differ from one of the same time, are "
		"left out and counted, and the exit code is 1 then. What is wrong otherwise ends "
		"the loading with file and line. What came before it, up to 8 MiB, is loaded; "
		"loading the file again once it is mended adds the rest and leaves out what is "
		"there.",
	.flags = rows,
	.flag_count = ARRAY_COUNT(rows),
	.config_size = sizeof(struct tsdb_flags),
	.run = run,
};
