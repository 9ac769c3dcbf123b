/*
 * atoll matrix dump: what is in an answer in the compact form.
 */
#include "cmd/matrix.h"

#include "cxx/number.h"
#include "io/file.h"
#include "matrix/matrix.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct matrix_flags {
	uint64_t bytes_max;
};

static const struct flag rows[] = {
	FLAG_BYTES_ROW(struct matrix_flags, bytes_max, "max-bytes", "SIZE", "1GB",
		"Refuse what is larger, compressed or not."),
};

static void put_value(struct buf *out, int64_t time_ms, double value) {
	char text[NUMBER_TEXT_MAX];
	buf_printf(out, "%.*s @[%" PRId64 ".%03" PRId64 "]\n", (int)number_format_f(value, text),
		text, time_ms / 1000, time_ms % 1000);
}

static void put_steps(struct buf *out, const struct steps *steps) {
	const struct grid *grid = &steps->grid;
	buf_printf(out, "# %zu series on %zu steps of %" PRId64 " ms\n", steps->count, grid->count,
		grid->step_ms);
	for (size_t i = 0; i < steps->count; i++) {
		labels_format(&steps->columns[i].labels, out);
		buf_add_text(out, " =>\n");
		for (size_t step = 0; step < grid->count; step++) {
			if (step_present(&steps->columns[i], step)) {
				put_value(
					out, grid_time(grid, step), steps->columns[i].values[step]);
			}
		}
	}
}

static void put_raw(struct buf *out, const struct query_result *result) {
	buf_printf(out, "# %zu series of raw samples\n", result->raw_count);
	for (size_t i = 0; i < result->raw_count; i++) {
		const struct raw_series *series = &result->raw[i];
		labels_format(&series->labels, out);
		buf_add_text(out, " =>\n");
		for (size_t j = 0; j < series->count; j++) {
			put_value(out, series->times_ms[j], series->values[j]);
		}
	}
}

static void put_result(struct buf *out, const struct query_result *result) {
	const struct query_stats *stats = &result->stats;
	buf_printf(out, "# cost: %" PRIu64 " samples, %" PRIu64 " bytes at once, %.6f s\n",
		stats->samples, stats->bytes_peak, (double)stats->eval_ns / (double)NS_PER_S);
	for (size_t i = 0; i < result->notes.count; i++) {
		const struct annotation *note = &result->notes.items[i];
		buf_printf(out, "# %s: %.*s\n", note->is_info ? "info" : "warning",
			STR_ARG(note->text));
	}
	if (result->type == VALUE_STRING) {
		buf_printf(out, "%.*s\n", STR_ARG(result->string));
	} else if (result->type == VALUE_MATRIX) {
		put_raw(out, result);
	} else {
		put_steps(out, &result->steps);
	}
}

static int dump(const char *path, const struct matrix_flags *flags, struct err *err) {
	const struct matrix_options options = { .bytes_max = (size_t)flags->bytes_max };
	AUTO(buf_deinit) struct buf body = { 0 };
	AUTO(buf_deinit) struct buf out = { 0 };
	struct query_result result = { 0 };
	struct arena arena = { 0 };
	int rc = file_read(path, flags->bytes_max, &body, err);
	if (rc == 0) {
		rc = matrix_decode(buf_str(&body), &options, &arena, &result, err);
	}
	if (rc == 0) {
		put_result(&out, &result);
		(void)fwrite(buf_text(&out), 1, out.len, stdout);
	} else {
		rc = err_wrap(err, rc, "%s", path);
	}
	arena_deinit(&arena);
	return rc;
}

static int run(const void *config, char **args, size_t arg_count) {
	struct err err = { 0 };
	if (arg_count == 0) {
		(void)fprintf(stderr, "atoll matrix dump: needs FILE...; --help says more\n");
		return EXIT_USAGE;
	}
	for (size_t i = 0; i < arg_count; i++) {
		if (dump(args[i], config, &err) < 0) {
			(void)fprintf(stderr, "atoll matrix dump: %s\n", err.text);
			return EXIT_FAILURE;
		}
	}
	return EXIT_SUCCESS;
}

const struct command matrix_dump_command = {
	.name = "matrix dump",
	.summary = "print an answer that is in the compact form",
	.arguments = "FILE...",
	.description = "A file is the body of an answer of type " MATRIX_MEDIA_TYPE
		       ", as curl saves it when asked for with that in its Accept header.",
	.flags = rows,
	.flag_count = ARRAY_COUNT(rows),
	.config_size = sizeof(struct matrix_flags),
	.run = run,
};
