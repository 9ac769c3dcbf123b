#include "cmd/query.h"

#include "base/time.h"
#include "cxx/number.h"
#include "http/uri.h"
#include "promql/duration.h"
#include "promql/parse.h"
#include "promql/print.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* Of a range that says nothing else. */
#define RANGE_DEFAULT_MS (INT64_C(3600) * 1000)
#define STEPS_DEFAULT 250
/* Seconds whose milliseconds fit 64 bits. */
#define SECONDS_MAX 9e15

/* One struct serves all the commands; each has the rows it understands. */
struct query_flags {
	const char *time;
	const char *start;
	const char *end;
	const char *step;
	const char *lookback;
	struct flag_list matchers;
	int64_t limit;
	int64_t timeout_ms;
	bool json;
};

#define TIME_HELP "Seconds since 1970 or RFC 3339."
#define COMMON_ROWS                                                                                \
	FLAG_INT_ROW(struct query_flags, limit, "limit", "N", "0",                                 \
		"Most series or names in the answer; 0: all."),                                    \
		FLAG_DURATION_ROW(struct query_flags, timeout_ms, "timeout", "DURATION", "2m",     \
			"How long the answer may take."),                                          \
		FLAG_BOOL_ROW(struct query_flags, json, "json",                                    \
			"Print the answer as JSON, as it came, instead of text.")
#define LOOKBACK_ROW                                                                               \
	FLAG_TEXT_ROW(struct query_flags, lookback, "lookback-delta", "DURATION", NULL,            \
		"How far an instant selector looks back. Default: the server's, or 5m.")
#define SPAN_ROWS                                                                                  \
	FLAG_TEXT_ROW(struct query_flags, start, "start", "TIME", NULL,                            \
		"Only what has samples since then. " TIME_HELP),                                   \
		FLAG_TEXT_ROW(struct query_flags, end, "end", "TIME", NULL,                        \
			"Only what has samples until then.")

static const struct flag instant_rows[] = {
	FLAG_TEXT_ROW(struct query_flags, time, "time", "TIME", NULL,
		"When to evaluate. " TIME_HELP " Default: now."),
	LOOKBACK_ROW,
	COMMON_ROWS,
};

static const struct flag range_rows[] = {
	FLAG_TEXT_ROW(struct query_flags, start, "start", "TIME", NULL,
		"The first step. " TIME_HELP " Default: an hour before the end."),
	FLAG_TEXT_ROW(
		struct query_flags, end, "end", "TIME", NULL, "No step is after it. Default: now."),
	FLAG_TEXT_ROW(struct query_flags, step, "step", "DURATION", NULL,
		"From step to step. Default: so that there are 250."),
	LOOKBACK_ROW,
	COMMON_ROWS,
};

static const struct flag explain_rows[] = {
	FLAG_TEXT_ROW(struct query_flags, time, "time", "TIME", NULL,
		"When to evaluate. " TIME_HELP " Default: now."),
	FLAG_TEXT_ROW(struct query_flags, start, "start", "TIME", NULL,
		"The first step of a range, as of atoll query range."),
	FLAG_TEXT_ROW(struct query_flags, end, "end", "TIME", NULL, "The end of a range."),
	FLAG_TEXT_ROW(
		struct query_flags, step, "step", "DURATION", NULL, "From step to step of it."),
	LOOKBACK_ROW,
	COMMON_ROWS,
};

static const struct flag series_rows[] = { SPAN_ROWS, COMMON_ROWS };

static const struct flag labels_rows[] = {
	FLAG_LIST_ROW(struct query_flags, matchers, "match", "SELECTOR", NULL,
		"Only of series that match; may be repeated."),
	SPAN_ROWS,
	COMMON_ROWS,
};

static void add(struct buf *form, const char *name, const char *value) {
	if (value) {
		buf_printf(form, "%s%s=", form->len > 0 ? "&" : "", name);
		uri_encode(str_of(value), form);
	}
}

static void add_common(const struct query_flags *flags, struct buf *form) {
	buf_printf(form, "%slimit=%lld", form->len > 0 ? "&" : "", (long long)flags->limit);
}

static int usage(const struct command *command) {
	struct err err = { 0 };
	(void)err_set(&err, ERR_INVAL, "needs %s; --help says more", command->arguments);
	return command_fail(command, &err);
}

/* Asks and prints. Returns the exit code. */
static int ask(const struct command *command, const struct query_flags *flags, const char *where,
	const char *path, struct buf *form) {
	const struct query_place place = { where, flags->timeout_ms };
	AUTO(buf_deinit) struct buf body = { 0 };
	struct err err = { 0 };
	add_common(flags, form);
	int rc = query_ask(&place, path, buf_str(form), &body, &err);
	if (rc >= 0) {
		bool explains = command == &query_explain_command;
		rc = query_print(buf_str(&body),
			flags->json ? QUERY_JSON
			: explains  ? QUERY_PLAN
				    : QUERY_TEXT,
			&err);
	}
	return rc < 0 ? command_fail(command, &err) : EXIT_SUCCESS;
}

/* A query with the time-out that the server shall keep. */
static void begin_query(const struct query_flags *flags, const char *query, struct buf *form) {
	add(form, "query", query);
	add(form, "lookback_delta", flags->lookback);
	buf_printf(form, "&timeout=%lldms", (long long)flags->timeout_ms);
}

static int run_instant(const void *config, char **args, size_t arg_count) {
	const struct query_flags *flags = config;
	AUTO(buf_deinit) struct buf form = { 0 };
	if (arg_count != 2) {
		return usage(&query_instant_command);
	}
	begin_query(flags, args[1], &form);
	add(&form, "time", flags->time);
	return ask(&query_instant_command, flags, args[0], "/query", &form);
}

static int parse_time(const char *text, const char *flag, int64_t *ms, struct err *err) {
	double seconds = 0;
	if (number_parse(str_of(text), &seconds, NULL) && fabs(seconds) < SECONDS_MAX) {
		*ms = llround(seconds * 1000);
		return 0;
	}
	if (time_parse_rfc3339(str_of(text), ms)) {
		return 0;
	}
	return err_set(err, ERR_INVAL,
		"--%s: \"%s\" is neither seconds since 1970 nor RFC 3339, as 2026-01-31T12:00:00Z",
		flag, text);
}

/* Start, end and step, with what was left out. */
static int add_range(const struct query_flags *flags, struct buf *form, struct err *err) {
	int64_t end_ms = clock_now_ms(clock_system());
	int rc = flags->end ? parse_time(flags->end, "end", &end_ms, err) : 0;
	int64_t start_ms = end_ms - RANGE_DEFAULT_MS;
	if (rc == 0 && flags->start) {
		rc = parse_time(flags->start, "start", &start_ms, err);
	}
	if (rc < 0) {
		return rc;
	}
	int64_t step_ms = (end_ms - start_ms) / STEPS_DEFAULT;
	if (flags->step) {
		rc = duration_parse(str_of(flags->step), &step_ms, err);
		if (rc < 0) {
			return err_wrap(err, rc, "--step");
		}
	} else if (step_ms >= MS_PER_S) {
		step_ms -= step_ms % MS_PER_S;
	}
	AUTO(buf_deinit) struct buf step = { 0 };
	duration_format(step_ms > 0 ? step_ms : 1, &step);
	buf_printf(form, "&start=%" PRId64 ".%03" PRId64 "&end=%" PRId64 ".%03" PRId64 "&step=%s",
		start_ms / 1000, start_ms % 1000, end_ms / 1000, end_ms % 1000, buf_text(&step));
	return 0;
}

static int run_range(const void *config, char **args, size_t arg_count) {
	const struct query_flags *flags = config;
	AUTO(buf_deinit) struct buf form = { 0 };
	struct err err = { 0 };
	if (arg_count != 2) {
		return usage(&query_range_command);
	}
	begin_query(flags, args[1], &form);
	if (add_range(flags, &form, &err) < 0) {
		return command_fail(&query_range_command, &err);
	}
	return ask(&query_range_command, flags, args[0], "/query_range", &form);
}

/* At one time, unless a range of time is given. */
static int run_explain(const void *config, char **args, size_t arg_count) {
	const struct query_flags *flags = config;
	bool is_range = flags->start || flags->end || flags->step;
	AUTO(buf_deinit) struct buf form = { 0 };
	struct err err = { 0 };
	if (arg_count != 2) {
		return usage(&query_explain_command);
	}
	begin_query(flags, args[1], &form);
	add(&form, "explain", "analyze");
	int rc = 0;
	if (is_range && flags->time) {
		rc = err_set(&err, ERR_INVAL,
			"--time is of one time, --start, --end and --step "
			"of a range of time: give either");
	} else if (is_range) {
		rc = add_range(flags, &form, &err);
	} else {
		add(&form, "time", flags->time);
	}
	if (rc < 0) {
		return command_fail(&query_explain_command, &err);
	}
	return ask(&query_explain_command, flags, args[0], is_range ? "/query_range" : "/query",
		&form);
}

static int run_series(const void *config, char **args, size_t arg_count) {
	const struct query_flags *flags = config;
	AUTO(buf_deinit) struct buf form = { 0 };
	if (arg_count < 2) {
		return usage(&query_series_command);
	}
	for (size_t i = 1; i < arg_count; i++) {
		add(&form, "match[]", args[i]);
	}
	add(&form, "start", flags->start);
	add(&form, "end", flags->end);
	return ask(&query_series_command, flags, args[0], "/series", &form);
}

static int run_labels(const void *config, char **args, size_t arg_count) {
	const struct query_flags *flags = config;
	AUTO(buf_deinit) struct buf form = { 0 };
	AUTO(buf_deinit) struct buf path = { 0 };
	if (arg_count < 1 || arg_count > 2) {
		return usage(&query_labels_command);
	}
	buf_add_text(&path, "/labels");
	if (arg_count == 2) {
		buf_reset(&path);
		buf_add_text(&path, "/label/");
		uri_encode(str_of(args[1]), &path);
		buf_add_text(&path, "/values");
	}
	for (size_t i = 0; i < flags->matchers.count; i++) {
		add(&form, "match[]", flags->matchers.items[i]);
	}
	add(&form, "start", flags->start);
	add(&form, "end", flags->end);
	return ask(&query_labels_command, flags, args[0], buf_text(&path), &form);
}

static int run_format(const void *config, char **args, size_t arg_count) {
	static const struct parse_options all = { true, true, true };
	AUTO(expr_tree_deinit) struct expr_tree tree = { 0 };
	AUTO(buf_deinit) struct buf out = { 0 };
	struct err err = { 0 };
	(void)config;
	if (arg_count != 1) {
		return usage(&query_format_command);
	}
	int rc = promql_parse(str_of(args[0]), &all, &tree, &err);
	if (rc == 0) {
		rc = expr_format(tree.root, &out, &err);
	}
	if (rc < 0) {
		return command_fail(&query_format_command, &err);
	}
	(void)printf("%s\n", buf_text(&out));
	return EXIT_SUCCESS;
}

#define WHERE_HELP                                                                                 \
	"The first argument is the URL of a server with Prometheus' API (a monitor, a hub, "       \
	"Prometheus), or a data directory in Prometheus' format, which is read as it lies there, " \
	"also while a server has it open."

const struct command query_instant_command = {
	.name = "query instant",
	.summary = "evaluate an expression at one time",
	.arguments = "URL|DIR EXPRESSION",
	.description = WHERE_HELP,
	.flags = instant_rows,
	.flag_count = ARRAY_COUNT(instant_rows),
	.config_size = sizeof(struct query_flags),
	.run = run_instant,
};

const struct command query_range_command = {
	.name = "query range",
	.summary = "evaluate an expression at each step of a range of time",
	.arguments = "URL|DIR EXPRESSION",
	.description = WHERE_HELP,
	.flags = range_rows,
	.flag_count = ARRAY_COUNT(range_rows),
	.config_size = sizeof(struct query_flags),
	.run = run_range,
};

const struct command query_series_command = {
	.name = "query series",
	.summary = "list the series that match",
	.arguments = "URL|DIR SELECTOR...",
	.description = WHERE_HELP,
	.flags = series_rows,
	.flag_count = ARRAY_COUNT(series_rows),
	.config_size = sizeof(struct query_flags),
	.run = run_series,
};

const struct command query_labels_command = {
	.name = "query labels",
	.summary = "list label names, or the values of one",
	.arguments = "URL|DIR [NAME]",
	.description = WHERE_HELP,
	.flags = labels_rows,
	.flag_count = ARRAY_COUNT(labels_rows),
	.config_size = sizeof(struct query_flags),
	.run = run_labels,
};

const struct command query_format_command = {
	.name = "query format",
	.summary = "lay an expression out in lines",
	.arguments = "EXPRESSION",
	.description = "Checks the expression, with all features on, and prints it as Prometheus' "
		       "format_query does: what is longer than 100 bytes is broken into lines, two "
		       "spaces deeper at each level. Comments are lost. No server is asked.",
	.run = run_format,
};

const struct command query_explain_command = {
	.name = "query explain",
	.summary = "evaluate an expression and tell what each part of it took",
	.arguments = "URL|DIR EXPRESSION",
	.description = WHERE_HELP
	"\n\nPrints a row for each operation, selector and scalar of the expression, "
	"operands below what they are of: the series that it gave and the values in them "
	"(of a range vector its samples), the samples read from the store, the memory and "
	"the time taken, operands included, and at how many steps it was evaluated; at one "
	"where its value is the same at all. Where several threads shared the work, the "
	"times below are those of all threads together. Of a hub, what the clusters "
	"evaluated is one row each and what each cluster sent stands at the end. Only "
	"atoll's monitors and hubs explain, and data directories.",
	.flags = explain_rows,
	.flag_count = ARRAY_COUNT(explain_rows),
	.config_size = sizeof(struct query_flags),
	.run = run_explain,
};
