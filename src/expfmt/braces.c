#include "expfmt/braces.h"

const struct brace_rules brace_rules_text = {
	.blank = SCAN_BLANK,
	.name_flags = SCAN_NEWLINE_ALLOWED,
	.value_flags = SCAN_NEWLINE_ALLOWED | SCAN_NUL_ALLOWED,
	.may_name = true,
};

const struct brace_rules brace_rules_openmetrics = {
	.name_flags = SCAN_NEWLINE_ALLOWED,
	.value_flags = SCAN_NUL_ALLOWED,
	.needs_commas = true,
	.may_name = true,
};

const struct brace_rules brace_rules_exemplar = {
	.needs_commas = true,
};

static const char *fail(
	const struct exposition *reader, const char *at, struct err *err, const char *what) {
	(void)scan_fail(reader, at, err, what);
	return NULL;
}

static struct str between(const char *from, const char *to) {
	return (struct str){ from, (size_t)(to - from) };
}

/*
 * Reads a value from behind '=' to behind its quotes. Prometheus' lexer passes over NULs around a
 * value, and counts those behind it as part of it.
 */
static const char *read_value(const struct exposition *reader, const struct brace_rules *rules,
	const char *at, struct str *value, struct err *err) {
	bool skips_nul = rules->value_flags & SCAN_NUL_ALLOWED;
	bool is_ascii = true;

	while (scan_is(*at, rules->blank)) {
		at = scan_step(at, reader->end);
	}
	const char *next =
		*at == '"' ? scan_quoted(at, reader->end, rules->value_flags, &is_ascii) : NULL;
	if (!next) {
		return fail(reader, at, err, "expected label value");
	}
	while (skips_nul && *next == '\0' && next < reader->end) {
		next++;
	}
	*value = between(at + 1, next - 1);
	if (!is_ascii && !str_is_utf8(*value)) {
		return fail(reader, at, err, "invalid UTF-8 in label value");
	}
	return next;
}

static void sink_add(struct brace_sink *sink, struct str name, struct str value) {
	if (!sink) {
		return;
	}
	if (sink->count < sink->max) {
		sink->pairs[sink->count] = (struct label){ name, value };
	}
	sink->count++;
}

static const char *read_name(const struct exposition *reader, const struct brace_rules *rules,
	const char *at, struct str *name, struct err *err) {
	bool is_ascii = true;
	const char *next = NULL;

	if (*at == '"') {
		next = scan_quoted(at, reader->end, rules->name_flags, &is_ascii);
		*name = next ? between(at + 1, next - 1) : STR_EMPTY;
	} else if (scan_is(*at, SCAN_LABEL_START)) {
		next = scan_while(at, SCAN_LABEL);
		*name = between(at, next);
	}
	return next ? next : fail(reader, at, err, "expected label name");
}

/*
 * A quoted string that is followed by ',' or '}' is the metric's name. Returns where to go on: at
 * the brace, or behind the comma.
 */
static const char *take_metric_name(const struct exposition *reader, const char *at,
	struct str name, bool *named, struct brace_sink *sink, struct err *err) {
	if (*named) {
		return fail(reader, at, err, "metric name already set");
	}
	*named = true;
	if (sink) {
		sink->name = name;
	}
	return *at == ',' ? at + 1 : at;
}

/* From '=' to behind the value and the comma after it. */
static const char *take_value(const struct exposition *reader, const struct brace_rules *rules,
	const char *at, struct str name, struct brace_sink *sink, struct err *err) {
	struct str value = STR_EMPTY;

	if (*at != '=') {
		return fail(reader, at, err, "expected equal");
	}
	at = read_value(reader, rules, at + 1, &value, err);
	if (!at) {
		return NULL;
	}
	sink_add(sink, name, value);
	at = scan_while(at, rules->blank);
	if (*at == ',') {
		return at + 1;
	}
	if (rules->needs_commas && *at != '}') {
		return fail(reader, at, err, "expected comma or brace close");
	}
	return at;
}

const char *braces_read(const struct exposition *reader, const struct brace_rules *rules,
	const char *at, bool *named, struct brace_sink *sink, struct err *err) {
	while (at) {
		at = scan_while(at, rules->blank);
		if (*at == '}') {
			return at + 1;
		}
		struct str name = STR_EMPTY;
		bool may_name = *at == '"' && rules->may_name;
		at = read_name(reader, rules, at, &name, err);
		if (!at) {
			break;
		}
		at = scan_while(at, rules->blank);
		at = may_name && (*at == ',' || *at == '}')
			     ? take_metric_name(reader, at, name, named, sink, err)
			     : take_value(reader, rules, at, name, sink, err);
	}
	return NULL;
}
