/*
 * OpenMetrics text, as Prometheus' lexer takes it: one space between tokens, none elsewhere, "#
 * EOF" at the end. Exemplars are checked and passed over; _created series are series like others.
 */
#include "expfmt/braces.h"
#include "expfmt/scan.h"

#include <math.h>

static int read_exemplar(struct exposition *reader, const char *at, struct err *err) {
	bool named = true;
	double number = 0;

	at = braces_read(reader, &brace_rules_exemplar, at, &named, NULL, err);
	if (!at) {
		return ERR_INVAL;
	}
	const char *next = *at == ' ' ? scan_number(at + 1, SCAN_TOKEN_END, &number) : NULL;
	if (!next) {
		return scan_fail(reader, at, err, "expected value after exemplar labels");
	}
	if (*next == ' ') {
		at = next;
		next = scan_number(at + 1, SCAN_TOKEN_END, &number);
		if (!next || !isfinite(number)) {
			return scan_fail(reader, at, err, "invalid exemplar timestamp");
		}
	}
	if (*next != '\n') {
		return scan_fail(reader, next, err, "expected next entry after exemplar");
	}
	reader->has_exemplar = true;
	reader->next = next + 1;
	return EXPOSITION_SERIES;
}

/* Seconds to milliseconds, cut; what does not fit becomes what Go makes of it on amd64. */
static int64_t to_ms(double seconds) {
	double ms = seconds * 1000;
	return ms >= -0x1p63 && ms < 0x1p63 ? (int64_t)ms : INT64_MIN;
}

static int read_suffix(struct exposition *reader, const char *at, struct err *err) {
	const char *next = *at == ' ' ? scan_number(at + 1, SCAN_TOKEN_END, &reader->value) : NULL;

	if (!next) {
		return scan_fail(reader, at, err, "expected value after metric");
	}
	reader->has_time = false;
	reader->has_exemplar = false;
	bool is_exemplar = next[0] == ' ' && next[1] == '#' && next[2] == ' ';
	if (next[0] == ' ' && !is_exemplar && !scan_is(next[1], SCAN_TOKEN_END)) {
		double seconds = 0;
		at = next;
		next = scan_number(at + 1, SCAN_TOKEN_END, &seconds);
		if (!next || !isfinite(seconds)) {
			return scan_fail(reader, at, err, "invalid timestamp");
		}
		reader->time_ms = to_ms(seconds);
		reader->has_time = true;
		is_exemplar = next[0] == ' ' && next[1] == '#' && next[2] == ' ';
	}
	if (is_exemplar && next[3] == '{') {
		return read_exemplar(reader, next + 4, err);
	}
	if (*next != '\n' && (reader->has_time || next == reader->end)) {
		return scan_fail(reader, next, err,
			next == reader->end ? "data does not end with # EOF"
					    : "expected exemplar or new record");
	}
	/* What else may stand behind a value is refused with the entry after this: it is counted.
	 */
	reader->next = *next == '\n' ? next + 1 : next;
	return EXPOSITION_SERIES;
}

static int read_series(struct exposition *reader, const char *at, struct err *err) {
	bool named = scan_is(*at, SCAN_METRIC_START);

	if (!named && *at != '{') {
		return scan_fail(reader, at, err, "expected a valid start token");
	}
	at = scan_while(at, SCAN_METRIC);
	if (*at == '{') {
		at = braces_read(reader, &brace_rules_openmetrics, at + 1, &named, NULL, err);
		if (!at) {
			return ERR_INVAL;
		}
	}
	if (!named) {
		return scan_fail(reader, at, err, "metric name not set");
	}
	reader->series = (struct str){ reader->start, (size_t)(at - reader->start) };
	return read_suffix(reader, at, err);
}

static int check_unit(const struct exposition *reader, struct err *err) {
	struct str metric = reader->metric;
	struct str unit = reader->text;

	if (unit.len > 0 && (!str_ends(metric, unit) || metric.len < unit.len + 1 ||
				    metric.ptr[metric.len - unit.len - 1] != '_')) {
		return scan_fail(reader, reader->next - 1, err, "unit not a suffix of metric");
	}
	return EXPOSITION_UNIT;
}

static int read_meta(
	struct exposition *reader, const char *at, enum exposition_entry entry, struct err *err) {
	bool is_ascii = true;
	const char *next = NULL;

	if (*at == '"') {
		next = scan_quoted(at, reader->end, SCAN_NEWLINE_ALLOWED, &is_ascii);
		reader->metric = (struct str){ at + 1, next ? (size_t)(next - at) - 2 : 0 };
	} else if (scan_is(*at, SCAN_METRIC_START)) {
		next = scan_while(at, SCAN_METRIC);
		reader->metric = (struct str){ at, (size_t)(next - at) };
	}
	if (!next) {
		return scan_fail(reader, at, err, "expected metric name");
	}
	const char *newline =
		*next == ' ' ? memchr(next, '\n', (size_t)(reader->end - next)) : NULL;
	if (!newline) {
		return scan_fail(reader, next, err, "expected text and a line break");
	}
	/* The lexer takes NULs behind the line with it, and so moves the end of the text. */
	reader->next = scan_step(newline, reader->end);
	reader->text = (struct str){ next + 1, (size_t)(reader->next - next) - 2 };
	reader->entry = (struct str){ reader->start, (size_t)(reader->next - reader->start) };
	if (entry == EXPOSITION_TYPE && !scan_metric_type(reader->text, true, &reader->type)) {
		return scan_fail(reader, newline, err, "invalid metric type");
	}
	if (entry == EXPOSITION_HELP && !str_is_utf8(reader->text)) {
		return scan_fail(reader, newline, err, "help text is not valid UTF-8");
	}
	return entry == EXPOSITION_UNIT ? check_unit(reader, err) : (int)entry;
}

static const char *match_word(const char *at, const char *end, const char *word) {
	for (; *word; word++) {
		if (*at != *word) {
			return NULL;
		}
		at = scan_step(at, end);
	}
	return at;
}

static int read_eof(struct exposition *reader, const char *at, struct err *err) {
	if (*at == '\n') {
		at = scan_step(at, reader->end);
	}
	if (at < reader->end) {
		return scan_fail(reader, at, err, "unexpected data after # EOF");
	}
	reader->next = reader->start;
	return EXPOSITION_END;
}

/* At a '#'. */
static int read_comment(struct exposition *reader, const char *at, struct err *err) {
	static const struct {
		const char *word;
		enum exposition_entry entry;
	} words[] = {
		{ "HELP ", EXPOSITION_HELP },
		{ "TYPE ", EXPOSITION_TYPE },
		{ "UNIT ", EXPOSITION_UNIT },
	};

	if (at[1] != ' ') {
		return scan_fail(reader, at + 1, err, "expected a valid start token");
	}
	for (size_t i = 0; i < ARRAY_COUNT(words); i++) {
		const char *next = match_word(at + 2, reader->end, words[i].word);
		if (next) {
			return read_meta(reader, next, words[i].entry, err);
		}
	}
	const char *next = match_word(at + 2, reader->end, "EOF");
	return next ? read_eof(reader, next, err)
		    : scan_fail(reader, at + 2, err, "expected HELP, TYPE, UNIT or EOF after #");
}

int openmetrics_next(struct exposition *reader, struct err *err) {
	reader->start = reader->next;
	enum exposition_entry entry = scan_hint(reader);
	if (entry == EXPOSITION_SERIES) {
		return read_suffix(reader, reader->next, err);
	}
	if (entry != EXPOSITION_END) {
		return (int)entry;
	}
	if (reader->next == reader->end) {
		return scan_fail(reader, reader->next, err, "data does not end with # EOF");
	}
	return *reader->next == '#' ? read_comment(reader, reader->next, err)
				    : read_series(reader, reader->next, err);
}
