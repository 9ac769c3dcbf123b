#include "expfmt/scan.h"

#include "base/hash.h"
#include "base/quote.h"
#include "cxx/number.h"

/* How much of an entry an error shows. */
#define FAIL_TEXT_MAX 100

#define UPPER (SCAN_METRIC_START | SCAN_METRIC | SCAN_LABEL_START | SCAN_LABEL)
#define DIGIT (SCAN_METRIC | SCAN_LABEL)

const uint8_t scan_class[256] = {
	['\0'] = SCAN_QUOTE_STOP | SCAN_TOKEN_END | SCAN_VALUE_END,
	['\t'] = SCAN_BLANK | SCAN_VALUE_END,
	['\n'] = SCAN_QUOTE_STOP | SCAN_TOKEN_END | SCAN_VALUE_END,
	[' '] = SCAN_BLANK | SCAN_TOKEN_END | SCAN_VALUE_END,
	['"'] = SCAN_QUOTE_STOP,
	['0' ... '9'] = DIGIT,
	[':'] = SCAN_METRIC_START | SCAN_METRIC,
	['A' ... 'Z'] = UPPER,
	['\\'] = SCAN_QUOTE_STOP,
	['_'] = UPPER,
	['a' ... 'z'] = UPPER,
	['{'] = SCAN_VALUE_END,
};

/* At a byte that ends a string or needs a look: whether the string goes on behind it. */
static bool goes_on(const char *at, const char *end, unsigned flags) {
	if (*at == '\n') {
		return flags & SCAN_NEWLINE_ALLOWED;
	}
	return at < end && (flags & SCAN_NUL_ALLOWED);
}

const char *scan_quoted(const char *at, const char *end, unsigned flags, bool *is_ascii) {
	uint8_t seen = 0;
	for (at++;; at++) {
		while (!scan_is(*at, SCAN_QUOTE_STOP)) {
			seen |= (uint8_t)*at++;
		}
		if (*at == '"') {
			*is_ascii = *is_ascii && seen < 0x80;
			return at + 1;
		}
		if (*at != '\\' && goes_on(at, end, flags)) {
			continue;
		}
		if (*at != '\\') {
			return NULL;
		}
		/* Any byte may be escaped, but no newline. */
		at = (flags & SCAN_NUL_ALLOWED) ? scan_step(at, end) : at + 1;
		if (*at == '\n' || *at == '\0') {
			return NULL;
		}
		seen |= (uint8_t)*at;
	}
}

static const char *scan_any_number(const char *at, unsigned stop, double *out) {
	const char *end = at;
	while (!scan_is(*end, stop)) {
		end++;
	}
	return number_parse((struct str){ at, (size_t)(end - at) }, out, NULL) ? end : NULL;
}

static bool is_digit(char byte) {
	return (uint8_t)(byte - '0') < 10;
}

/* Reads "e+12" at 'at' if it stands there; leaves more than two digits to others. */
static const char *scan_exponent(const char *at, int *exponent) {
	if (*at != 'e' && *at != 'E') {
		return at;
	}
	at++;
	int sign = *at == '-' ? -1 : 1;
	if (*at == '-' || *at == '+') {
		at++;
	}
	if (!is_digit(at[0])) {
		return at;
	}
	int power = *at++ - '0';
	if (is_digit(*at)) {
		power = power * 10 + (*at++ - '0');
	}
	*exponent += sign * power;
	return at;
}

/*
 * What exporters write nearly always - up to 18 digits whose integer fits a double exactly, times a
 * power of ten that does too - needs one correctly rounded operation. All else goes to the library.
 */
const char *scan_number(const char *at, unsigned stop, double *out) {
	static const double powers[] = { 1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10,
		1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22 };
	const int power_max = 22;
	const char *next = at + (*at == '-' || *at == '+');
	uint64_t digits = 0;
	ptrdiff_t digit_count = 0;
	int exponent = 0;

	const char *first = next;
	while (is_digit(*next)) {
		digits = digits * 10 + (uint64_t)(*next++ - '0');
	}
	digit_count = next - first;
	if (*next == '.') {
		first = ++next;
		while (is_digit(*next)) {
			digits = digits * 10 + (uint64_t)(*next++ - '0');
		}
		digit_count += next - first;
		exponent = next - first <= power_max ? -(int)(next - first) : INT32_MIN / 2;
	}
	if (digit_count == 0 || digit_count > 18) {
		return scan_any_number(at, stop, out);
	}
	bool is_short = scan_is(*next, stop);
	if (!is_short) {
		const char *mark = next;
		next = scan_exponent(next, &exponent);
		is_short = scan_is(*next, stop) && is_digit(next[-1]) && next > mark;
	}
	if (!is_short || digits > (UINT64_C(1) << 53) || exponent < -power_max ||
		exponent > power_max) {
		return scan_any_number(at, stop, out);
	}
	double value = (double)digits;
	value = exponent < 0 ? value / powers[-exponent] : value * powers[exponent];
	*out = *at == '-' ? -value : value;
	return next;
}

size_t exposition_line(const struct exposition *reader) {
	size_t line = reader->lines_before + 1;
	for (const char *at = reader->body; at < reader->start; at++) {
		line += *at == '\n';
	}
	return line;
}

int scan_fail(const struct exposition *reader, const char *at, struct err *err, const char *what) {
	AUTO(buf_deinit) struct buf text = { 0 };

	buf_printf(&text, "line %zu: %s", exposition_line(reader), what);
	if (at < reader->end) {
		buf_add_text(&text, ", got ");
		quote_append((struct str){ at, 1 }, &text);
	}
	if (at > reader->start) {
		struct str read = { reader->start, (size_t)(at - reader->start) };
		buf_add_text(&text, " while parsing: ");
		quote_append(str_first(read, FAIL_TEXT_MAX), &text);
	}
	return err_set(err, ERR_INVAL, "%s", buf_text(&text));
}

static const char *const type_names[] = {
	[METRIC_TYPE_UNKNOWN] = "unknown",
	[METRIC_TYPE_COUNTER] = "counter",
	[METRIC_TYPE_GAUGE] = "gauge",
	[METRIC_TYPE_HISTOGRAM] = "histogram",
	[METRIC_TYPE_GAUGE_HISTOGRAM] = "gaugehistogram",
	[METRIC_TYPE_SUMMARY] = "summary",
	[METRIC_TYPE_INFO] = "info",
	[METRIC_TYPE_STATESET] = "stateset",
};

const char *metric_type_name(enum metric_type type) {
	return type_names[type];
}

bool scan_metric_type(struct str text, bool openmetrics, enum metric_type *out) {
	static const enum metric_type classic[] = { METRIC_TYPE_COUNTER, METRIC_TYPE_GAUGE,
		METRIC_TYPE_HISTOGRAM, METRIC_TYPE_SUMMARY };

	if (!openmetrics && str_equal(text, STR("untyped"))) {
		*out = METRIC_TYPE_UNKNOWN;
		return true;
	}
	for (size_t i = 0; !openmetrics && i < ARRAY_COUNT(classic); i++) {
		if (str_equal(text, str_of(type_names[classic[i]]))) {
			*out = classic[i];
			return true;
		}
	}
	for (size_t i = 0; openmetrics && i < ARRAY_COUNT(type_names); i++) {
		if (str_equal(text, str_of(type_names[i]))) {
			*out = (enum metric_type)i;
			return true;
		}
	}
	return false;
}

enum exposition_entry scan_hint(struct exposition *reader) {
	const struct exposition_hint *hint = reader->hint;
	size_t left = (size_t)(reader->end - reader->next);

	reader->hint_held = false;
	if (!hint || hint->len == 0 || hint->len > left) {
		return EXPOSITION_END;
	}
	struct str same = { reader->next, hint->len };
	const char *after = same.ptr + same.len;
	if (hash_str(same, reader->seed) != hint->hash) {
		return EXPOSITION_END;
	}
	if (hint->entry == EXPOSITION_SERIES) {
		/* A bare name may be only the beginning of what stands here. */
		if (after[-1] != '}' &&
			(scan_is(*after, SCAN_METRIC) || *scan_while(after, SCAN_BLANK) == '{')) {
			return EXPOSITION_END;
		}
		reader->series = same;
	} else if (*after == '\0' && after < reader->end) {
		return EXPOSITION_END; /* The line would take the NUL with it. */
	} else {
		if (hint->entry == EXPOSITION_TYPE) {
			reader->type = (enum metric_type)hint->type;
		}
		reader->entry = same;
	}
	reader->next = after;
	reader->hint_held = true;
	return (enum exposition_entry)hint->entry;
}
