#include "expfmt/expfmt.h"

#include "base/check.h"
#include "cxx/number.h"
#include "expfmt/braces.h"
#include "expfmt/scan.h"

#include <math.h>

void exposition_init(struct exposition *reader, enum exposition_format format, struct buf *body) {
	if (format == EXPOSITION_FORMAT_TEXT) {
		buf_add_byte(body, '\n');
	}
	const char *text = buf_text(body);
	*reader = (struct exposition){
		.format = format, .body = text, .start = text, .next = text, .end = text + body->len
	};
}

int exposition_next(struct exposition *reader, struct err *err) {
	return reader->format == EXPOSITION_FORMAT_TEXT ? text_next(reader, err)
							: openmetrics_next(reader, err);
}

/* Replaces the escapes among 'escapes'; a backslash before another byte stays. */
static size_t unescape(struct str in, const char *escapes, char *out) {
	size_t len = 0;
	for (size_t i = 0; i < in.len; i++) {
		char next = in.ptr[i] == '\\' && i + 1 < in.len ? in.ptr[i + 1] : '\0';
		if (next == '\0' || !strchr(escapes, next)) {
			out[len++] = in.ptr[i];
			continue;
		}
		out[len++] = next;
		i++;
		if (next == 'n') {
			out[len - 1] = '\n';
		}
	}
	return len;
}

static struct str unescape_label(struct arena *arena, struct str in) {
	if (str_find(in, '\\') == SIZE_MAX) {
		return in;
	}
	char *out = ARENA_NEW(arena, char, in.len);
	return (struct str){ out, unescape(in, "\\\"n", out) };
}

/* A bucket's or quantile's bound in OpenMetrics' canonical form; what is no number stays. */
static struct str canonical_bound(struct arena *arena, struct str in) {
	char text[NUMBER_TEXT_MAX];
	double bound = 0;

	if (!number_parse(in, &bound, NULL)) {
		return in;
	}
	struct str out = { text, number_format_g(bound, text) };
	bool has_mark = str_find(out, '.') != SIZE_MAX || str_find(out, 'e') != SIZE_MAX;
	return arena_printf(
		arena, "%.*s%s", STR_ARG(out), has_mark || !isfinite(bound) ? "" : ".0");
}

int exposition_labels(struct arena *arena, struct str series, enum metric_type type,
	struct label **pairs, size_t *count, struct err *err) {
	struct label found[LABELS_COUNT_MAX];
	struct brace_sink sink = { .pairs = found + 1, .max = LABELS_COUNT_MAX - 1 };
	struct exposition slice = {
		.body = series.ptr, .start = series.ptr, .end = series.ptr + series.len
	};
	struct str bound = STR_EMPTY;
	bool named = false;

	const char *at = series.ptr;
	while (at < slice.end && scan_is(*at, SCAN_BLANK)) {
		at++;
	}
	if (*at != '{') {
		while (at < slice.end && scan_is(*at, SCAN_METRIC)) {
			at++;
		}
		sink.name = (struct str){ series.ptr, (size_t)(at - series.ptr) };
		named = true;
	}
	while (at < slice.end && scan_is(*at, SCAN_BLANK)) {
		at++;
	}
	if (at < slice.end) {
		at = braces_read(&slice, &brace_rules_text, at + 1, &named, &sink, err);
		CHECK(at == slice.end);
	}
	if (sink.count > sink.max) {
		return err_set(err, ERR_LIMIT, "%zu labels in one series, the limit is %d",
			sink.count, LABELS_COUNT_MAX - 1);
	}
	if (type == METRIC_TYPE_HISTOGRAM || type == METRIC_TYPE_SUMMARY) {
		bound = type == METRIC_TYPE_SUMMARY ? STR("quantile") : STR("le");
	}
	*count = sink.count + 1;
	*pairs = ARENA_NEW(arena, struct label, *count);
	(*pairs)[0] = (struct label){ LABEL_NAME, unescape_label(arena, sink.name) };
	for (size_t i = 1; i < *count; i++) {
		struct str name = unescape_label(arena, found[i].name);
		struct str value = unescape_label(arena, found[i].value);
		bool is_bound = bound.len > 0 && str_equal(name, bound);
		(*pairs)[i] =
			(struct label){ name, is_bound ? canonical_bound(arena, value) : value };
	}
	return 0;
}

struct str exposition_help(const struct exposition *reader, struct buf *scratch) {
	struct str text = reader->text;

	if (str_find(text, '\\') == SIZE_MAX) {
		return text;
	}
	buf_reset(scratch);
	char *out = buf_reserve(scratch, text.len);
	bool openmetrics = reader->format == EXPOSITION_FORMAT_OPENMETRICS;
	return (struct str){ out, unescape(text, openmetrics ? "\\\"n" : "\\n", out) };
}
