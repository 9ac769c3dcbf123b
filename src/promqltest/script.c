#include "promqltest/script_part.h"

#include "promql/duration.h"
#include "promql/engine.h"

#include <stdlib.h>

const struct parse_options script_parse_options = { true, true, true };

/* Reading, line by line; a blank line ends a command. */
struct reader {
	struct arena *arena;
	struct str rest;
	size_t number; /* Of the last line taken. */
};

static struct str without_comment(struct str line) {
	line = str_trim(line);
	return str_starts(line, STR("#")) ? STR_EMPTY : line;
}

/* Takes the next line of the same command. Returns false at its end. */
static bool next_line(struct reader *reader, struct str *line) {
	struct str rest = reader->rest;

	*line = rest.ptr ? without_comment(str_cut(&rest, '\n')) : STR_EMPTY;
	if (line->len == 0) {
		return false;
	}
	reader->rest = rest;
	reader->number++;
	return true;
}

/* How many lines the command has still. */
static size_t lines_left(const struct reader *reader) {
	struct reader ahead = *reader;
	struct str line;
	size_t count = 0;

	while (next_line(&ahead, &line)) {
		count++;
	}
	return count;
}

/* Takes a word that has to be there. */
static int expect_word(struct str *rest, const char *word, struct err *err) {
	struct str found = script_word(rest);

	return str_equal(found, str_of(word))
		       ? 0
		       : err_set(err, ERR_INVAL, "\"%s\" instead of \"%.*s\"", word,
				 STR_ARG(found));
}

/* A word and the duration after it. */
static int word_and_duration(struct str *rest, const char *word, int64_t *ms, struct err *err) {
	int rc = expect_word(rest, word, err);

	return rc < 0 ? rc : duration_parse(script_word(rest), ms, err);
}

static const struct script_series *find_series(
	const struct script_load *load, const struct labels *labels) {
	for (size_t i = 0; i < load->series_count; i++) {
		if (!load->series[i].is_start_times &&
			labels_equal(&load->series[i].labels, labels)) {
			return &load->series[i];
		}
	}
	return NULL;
}

/* Each start timestamp of an @st line needs its value. */
static int check_start_times(const struct script_load *load, struct err *err) {
	for (size_t i = 0; i < load->series_count; i++) {
		const struct script_series *starts = &load->series[i];
		const struct script_series *series = find_series(load, &starts->labels);

		for (size_t k = 0; starts->is_start_times && k < starts->count; k++) {
			bool has_value =
				series && k < series->count && !series->values[k].is_omitted;

			if (!starts->values[k].is_omitted && !has_value) {
				return err_set(err, ERR_INVAL,
					"start timestamp %zu (@st) has no value of its series",
					k + 1);
			}
		}
	}
	return 0;
}

static int parse_load(
	struct reader *reader, struct str line, struct script_command *command, struct err *err) {
	struct str word = script_word(&line);
	struct script_load load = { .converts = str_equal(word, STR("load_with_nhcb")) };
	int rc = load.converts || str_equal(word, STR("load"))
			 ? duration_parse(script_word(&line), &load.step_ms, err)
			 : err_set(err, ERR_INVAL, "unknown command \"%.*s\"", STR_ARG(word));

	if (rc == 0 && line.len > 0) {
		rc = err_set(err, ERR_INVAL, "unexpected \"%.*s\" after the duration",
			STR_ARG(str_trim(line)));
	}
	if (rc < 0) {
		return rc;
	}
	load.series =
		ARENA_TRY_NEW(reader->arena, struct script_series, lines_left(reader) + 1, err);
	if (!load.series) {
		return ERR_LIMIT;
	}
	while (rc == 0 && next_line(reader, &line)) {
		rc = script_series_parse(
			reader->arena, line, &load.series[load.series_count++], err);
	}
	command->kind = SCRIPT_LOAD;
	command->u.load = load;
	return rc < 0 ? rc : check_start_times(&load, err);
}

/* Expectations. */

static int add_expect(struct script_eval *eval, struct script_expect expect, struct err *err) {
	if (eval->expect_count == SCRIPT_EXPECTS_MAX) {
		return err_set(err, ERR_LIMIT, "more than %d expectations", SCRIPT_EXPECTS_MAX);
	}
	if (expect.is_regex) {
		struct regex *regex;
		int rc = regex_new(expect.text, &regex, err);

		if (rc < 0) {
			return rc;
		}
		regex_free(regex);
	}
	eval->expects[eval->expect_count++] = expect;
	return 0;
}

/* "expect warn msg: text" */
static int parse_expect(struct str line, struct script_eval *eval, struct err *err) {
	static const struct {
		const char *word;
		enum expect_kind kind;
	} kinds[] = { { "fail", EXPECT_FAIL }, { "warn", EXPECT_WARN },
		{ "no_warn", EXPECT_NO_WARN }, { "info", EXPECT_INFO },
		{ "no_info", EXPECT_NO_INFO }, { "ordered", EXPECT_ORDERED } };
	struct str rest = line;
	struct str word;

	(void)script_word(&rest);
	word = script_word(&rest);
	rest = str_trim(rest);
	for (size_t i = 0; i < ARRAY_COUNT(kinds); i++) {
		struct script_expect expect = { .kind = kinds[i].kind };

		if (!str_equal(word, str_of(kinds[i].word))) {
			continue;
		}
		expect.is_regex = str_starts(rest, STR("regex:"));
		if (expect.is_regex || str_starts(rest, STR("msg:"))) {
			(void)str_cut(&rest, ':');
			expect.text = str_trim(rest);
			rest = STR_EMPTY;
		}
		return rest.len == 0 ? add_expect(eval, expect, err)
				     : err_set(err, ERR_INVAL,
					       "\"%.*s\" instead of msg: or regex:", STR_ARG(rest));
	}
	return err_set(err, ERR_INVAL, "\"%.*s\" is no expectation", STR_ARG(line));
}

/* "from A to B step S". */
static int parse_range(
	struct str *rest, int64_t *start_ms, int64_t *end_ms, int64_t *step_ms, struct err *err) {
	int rc = word_and_duration(rest, "from", start_ms, err);

	rc = rc < 0 ? rc : word_and_duration(rest, "to", end_ms, err);
	rc = rc < 0 ? rc : word_and_duration(rest, "step", step_ms, err);
	if (rc < 0) {
		return rc;
	}
	if (*step_ms <= 0 || *end_ms < *start_ms) {
		return err_set(err, ERR_INVAL,
			"a range needs a step above 0 and an end that is not before its start");
	}
	if ((*end_ms - *start_ms) / *step_ms >= ENGINE_STEPS_MAX) {
		return err_set(err, ERR_LIMIT, "more than %d steps", ENGINE_STEPS_MAX);
	}
	return 0;
}

static int parse_expect_string(struct str text, struct script_eval *eval, struct err *err) {
	text = str_trim(text);
	if (text.len < 2 || !strchr("\"'`", text.ptr[0]) || text.ptr[text.len - 1] != text.ptr[0]) {
		return err_set(err, ERR_INVAL, "expect string needs one in quotes");
	}
	eval->has_string = true;
	eval->string = str_first(str_from(text, 1), text.len - 2);
	return 0;
}

/* One line below an evaluation; there is room for a series. */
static int parse_expected(
	struct reader *reader, struct str line, struct script_eval *eval, struct err *err) {
	static const struct str matrix = { "expect range vector", 19 };
	static const struct str string = { "expect string ", 14 };

	if (str_starts(line, matrix)) {
		int64_t end_ms;
		struct str rest = str_from(line, matrix.len);

		eval->has_matrix = true;
		return parse_range(
			&rest, &eval->matrix_start_ms, &end_ms, &eval->matrix_step_ms, err);
	}
	if (str_starts(line, string)) {
		return parse_expect_string(str_from(line, string.len), eval, err);
	}
	if (str_starts(line, STR("expect "))) {
		return parse_expect(line, eval, err);
	}
	if (script_number(line, &eval->scalar)) {
		eval->has_scalar = true;
		return 0;
	}
	return script_series_parse(reader->arena, line, &eval->series[eval->series_count++], err);
}

/* Evaluations. */

/* "eval", or one of the older words with an expectation in it. */
static int parse_eval_word(struct str word, struct script_eval *eval, struct err *err) {
	static const struct {
		const char *word;
		enum expect_kind kind;
	} kinds[] = { { "eval_fail", EXPECT_FAIL }, { "eval_warn", EXPECT_WARN },
		{ "eval_info", EXPECT_INFO }, { "eval_ordered", EXPECT_ORDERED } };

	if (str_equal(word, STR("eval"))) {
		return 0;
	}
	for (size_t i = 0; i < ARRAY_COUNT(kinds); i++) {
		if (str_equal(word, str_of(kinds[i].word))) {
			return add_expect(
				eval, (struct script_expect){ .kind = kinds[i].kind }, err);
		}
	}
	return err_set(err, ERR_INVAL, "unknown command \"%.*s\"", STR_ARG(word));
}

static int parse_eval_head(struct str line, struct script_eval *eval, struct err *err) {
	int rc = parse_eval_word(script_word(&line), eval, err);
	struct str kind = script_word(&line);

	if (rc < 0) {
		return rc;
	}
	eval->is_range = str_equal(kind, STR("range"));
	if (eval->is_range) {
		rc = parse_range(&line, &eval->start_ms, &eval->end_ms, &eval->step_ms, err);
	} else if (str_equal(kind, STR("instant"))) {
		rc = word_and_duration(&line, "at", &eval->start_ms, err);
	} else {
		rc = err_set(err, ERR_INVAL, "\"%.*s\" instead of instant or range", STR_ARG(kind));
	}
	eval->query = str_trim(line);
	if (rc == 0 && eval->query.len == 0) {
		rc = err_set(err, ERR_INVAL, "there is no query");
	}
	return rc;
}

static int parse_eval(
	struct reader *reader, struct str line, struct script_command *command, struct err *err) {
	struct script_eval *eval = ARENA_TRY_NEW(reader->arena, struct script_eval, 1, err);
	int rc = eval ? parse_eval_head(line, eval, err) : ERR_LIMIT;

	if (rc < 0) {
		return rc;
	}
	eval->series =
		ARENA_TRY_NEW(reader->arena, struct script_series, lines_left(reader) + 1, err);
	if (!eval->series) {
		return ERR_LIMIT;
	}
	while (rc == 0 && next_line(reader, &line)) {
		rc = parse_expected(reader, line, eval, err);
	}
	command->kind = SCRIPT_EVAL;
	command->u.eval = eval;
	return rc;
}

static int parse_command(
	struct reader *reader, struct str line, struct script_command *command, struct err *err) {
	command->line = reader->number;
	if (str_starts(line, STR("load"))) {
		return parse_load(reader, line, command, err);
	}
	if (str_starts(line, STR("eval"))) {
		return parse_eval(reader, line, command, err);
	}
	if (str_equal(line, STR("clear"))) {
		command->kind = SCRIPT_CLEAR;
		return 0;
	}
	return err_set(err, ERR_INVAL, "\"%.*s\" is none of load, load_with_nhcb, eval and clear",
		STR_ARG(str_first(line, 80)));
}

/* An upper bound of the commands: one for each line that stands at a line's begin. */
static size_t count_lines(struct str text) {
	size_t count = 1;

	while (text.ptr) {
		(void)str_cut(&text, '\n');
		count++;
	}
	return count;
}

int script_parse(
	struct arena *arena, struct str text, struct script *out, size_t *line, struct err *err) {
	struct reader reader = { .arena = arena, .rest = text };
	struct script script = { ARENA_TRY_NEW(
		arena, struct script_command, count_lines(text), err) };
	int rc = script.commands ? 0 : ERR_LIMIT;

	while (rc == 0 && reader.rest.ptr) {
		struct str now;

		if (next_line(&reader, &now)) {
			rc = parse_command(&reader, now, &script.commands[script.count++], err);
		} else {
			(void)str_cut(&reader.rest, '\n');
			reader.number++;
		}
	}
	if (rc < 0) {
		*line = reader.number;
		return rc;
	}
	*out = script;
	return 0;
}
