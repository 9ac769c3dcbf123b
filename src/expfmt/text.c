/*
 * Text format 0.0.4, as Prometheus' lexer takes it: blanks anywhere between tokens, commas between
 * labels optional, a NUL where an entry could begin ends the body, NULs in comments, help texts and
 * around label values do not count.
 */
#include "expfmt/braces.h"
#include "expfmt/scan.h"

/* Reads digits; NULL when they do not fit. */
static const char *read_timestamp(const char *at, int64_t *out) {
	int64_t time_ms = 0;
	for (; (uint8_t)(*at - '0') < 10; at++) {
		if (__builtin_mul_overflow(time_ms, 10, &time_ms) ||
			__builtin_add_overflow(time_ms, *at - '0', &time_ms)) {
			return NULL;
		}
	}
	*out = time_ms;
	return at;
}

static int read_suffix(struct exposition *reader, const char *at, struct err *err) {
	at = scan_while(at, SCAN_BLANK);
	const char *next = scan_number(at, SCAN_VALUE_END, &reader->value);
	if (!next) {
		return scan_fail(reader, at, err,
			scan_is(*at, SCAN_VALUE_END) ? "expected value after metric"
						     : "invalid value");
	}
	at = scan_while(next, SCAN_BLANK);
	reader->has_time = (uint8_t)(*at - '0') < 10;
	if (reader->has_time) {
		next = read_timestamp(at, &reader->time_ms);
		if (!next) {
			return scan_fail(reader, at, err, "timestamp out of range");
		}
		at = scan_while(next, SCAN_BLANK);
	}
	if (*at != '\n') {
		return scan_fail(reader, at, err,
			reader->has_time ? "expected next entry after timestamp"
					 : "expected timestamp or new record");
	}
	reader->next = at + 1;
	return EXPOSITION_SERIES;
}

static int read_series(struct exposition *reader, const char *at, struct err *err) {
	bool named = scan_is(*at, SCAN_METRIC_START);

	if (!named && *at != '{') {
		return scan_fail(reader, at, err, "expected a valid start token");
	}
	const char *series_end = scan_while(at, SCAN_METRIC);
	at = scan_while(series_end, SCAN_BLANK);
	if (*at == '{') {
		series_end = braces_read(reader, &brace_rules_text, at + 1, &named, NULL, err);
		if (!series_end) {
			return ERR_INVAL;
		}
	}
	if (!named) {
		return scan_fail(reader, series_end, err, "metric name not set");
	}
	reader->series = (struct str){ reader->start, (size_t)(series_end - reader->start) };
	return read_suffix(reader, series_end, err);
}

/* What follows a name on a HELP or TYPE line: all but the one byte that parts them. */
static struct str meta_text(const char *at, const char *newline) {
	const char *first = at;
	while (first < newline && (scan_is(*first, SCAN_BLANK) || (*first == '\0' && first > at))) {
		first++;
	}
	return first == newline ? STR_EMPTY : (struct str){ at + 1, (size_t)(newline - at) - 1 };
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
	if (*next == '\0') {
		return scan_fail(reader, next, err, "linebreak expected after metadata");
	}
	const char *newline = memchr(next, '\n', (size_t)(reader->end - next));
	reader->text = meta_text(next, newline);
	reader->next = newline + 1;
	reader->entry = (struct str){ reader->start, (size_t)(reader->next - reader->start) };
	if (entry == EXPOSITION_TYPE && !scan_metric_type(reader->text, false, &reader->type)) {
		return scan_fail(reader, newline, err, "invalid metric type");
	}
	if (entry == EXPOSITION_HELP && !str_is_utf8(reader->text)) {
		return scan_fail(reader, newline, err, "help text is not valid UTF-8");
	}
	return (int)entry;
}

/* The byte behind 'word' and the blanks after it, or NULL when they do not stand at 'at'. */
static const char *match_word(const char *at, const char *end, const char *word) {
	for (; *word; word++) {
		if (*at != *word) {
			return NULL;
		}
		at = scan_step(at, end);
	}
	if (!scan_is(*at, SCAN_BLANK)) {
		return NULL;
	}
	while (scan_is(*at, SCAN_BLANK)) {
		at = scan_step(at, end);
	}
	return at;
}

/* At a '#'. */
static int read_comment(struct exposition *reader, const char *at, struct err *err) {
	const char *blank = at + 1;

	at = scan_while(blank, SCAN_BLANK);
	if (at > blank) {
		const char *next = match_word(at, reader->end, "HELP");
		if (next) {
			return read_meta(reader, next, EXPOSITION_HELP, err);
		}
		next = match_word(at, reader->end, "TYPE");
		if (next) {
			return read_meta(reader, next, EXPOSITION_TYPE, err);
		}
	}
	/* A NUL ends the body, unless it stands inside a comment that began with a blank. */
	const char *newline = memchr(at, '\n', (size_t)(reader->end - at));
	const char *nul = at > blank ? NULL : memchr(at, '\0', (size_t)(newline - at));
	if (*at == '\0' || nul) {
		reader->next = reader->end;
		return EXPOSITION_END;
	}
	reader->next = newline + 1;
	reader->entry = (struct str){ reader->start, (size_t)(reader->next - reader->start) };
	return EXPOSITION_COMMENT;
}

int text_next(struct exposition *reader, struct err *err) {
	for (;;) {
		reader->start = reader->next;
		enum exposition_entry entry = scan_hint(reader);
		if (entry == EXPOSITION_SERIES) {
			return read_suffix(reader, reader->next, err);
		}
		if (entry != EXPOSITION_END) {
			return (int)entry;
		}
		const char *at = scan_while(reader->start, SCAN_BLANK);
		if (*at == '#') {
			return read_comment(reader, at, err);
		}
		if (*at == '\0') {
			return EXPOSITION_END;
		}
		if (*at != '\n') {
			return read_series(reader, at, err);
		}
		reader->next = at + 1;
	}
}
