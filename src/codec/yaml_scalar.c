/*
 * What a plain scalar means: null, a boolean, a number or text, as Go's yaml.v2 resolves it.
 */
#include "codec/yaml.h"

#include "base/buf.h"
#include "cxx/number.h"

#include <math.h>

/* The longest value that an error shows whole, and what it shows of a longer one. */
#define SHOWN_MAX 10
#define SHOWN_CUT 7

/* The longest number that is tried; longer plain text is text. */
#define NUMBER_MAX 128

struct resolved {
	enum {
		RESOLVED_NULL,
		RESOLVED_BOOL,
		RESOLVED_INT,
		RESOLVED_FLOAT,
		RESOLVED_TEXT
	} kind;
	bool truth;
	int64_t whole;
	double real;
};

static bool is_one_of(struct str text, const char *const *words, size_t count) {
	for (size_t i = 0; i < count; i++) {
		if (str_equal(text, str_of(words[i]))) {
			return true;
		}
	}
	return false;
}

static bool is_null_text(struct str text) {
	static const char *const words[] = { "", "~", "null", "Null", "NULL" };
	return is_one_of(text, words, ARRAY_COUNT(words));
}

static bool resolve_bool(struct str text, bool *out) {
	static const char *const yes[] = { "true", "True", "TRUE", "yes", "Yes", "YES", "y", "Y",
		"on", "On", "ON" };
	static const char *const no[] = { "false", "False", "FALSE", "no", "No", "NO", "n", "N",
		"off", "Off", "OFF" };
	*out = is_one_of(text, yes, ARRAY_COUNT(yes));
	return *out || is_one_of(text, no, ARRAY_COUNT(no));
}

/* The base that a prefix announces, which is cut off; a bare 0 in front means octal too. */
static unsigned take_base(struct str *digits) {
	static const struct {
		struct str prefix;
		unsigned base;
	} bases[] = {
		{ { "0x", 2 }, 16 },
		{ { "0X", 2 }, 16 },
		{ { "0o", 2 }, 8 },
		{ { "0b", 2 }, 2 },
		{ { "0B", 2 }, 2 },
		{ { "0", 1 }, 8 },
	};
	for (size_t i = 0; i < ARRAY_COUNT(bases); i++) {
		if (str_starts(*digits, bases[i].prefix) && digits->len > bases[i].prefix.len) {
			*digits = str_from(*digits, bases[i].prefix.len);
			return bases[i].base;
		}
	}
	return 10;
}

static unsigned digit_value(char c) {
	if (c >= '0' && c <= '9') {
		return (unsigned)(c - '0');
	}
	char lower = (char)(c | 0x20);
	return lower >= 'a' && lower <= 'f' ? (unsigned)(lower - 'a') + 10 : 16;
}

static bool resolve_int(struct str text, int64_t *out) {
	bool is_negative = text.len > 0 && text.ptr[0] == '-';
	struct str digits =
		str_from(text, text.len > 0 && (text.ptr[0] == '-' || text.ptr[0] == '+'));
	unsigned base = take_base(&digits);
	uint64_t value = 0;
	for (size_t i = 0; i < digits.len; i++) {
		unsigned digit = digit_value(digits.ptr[i]);
		if (digit >= base || __builtin_mul_overflow(value, base, &value) ||
			__builtin_add_overflow(value, digit, &value)) {
			return false;
		}
	}
	if (digits.len == 0 || value > (uint64_t)INT64_MAX + (is_negative ? 1U : 0U)) {
		return false;
	}
	*out = (int64_t)(is_negative ? 0 - value : value);
	return true;
}

static bool resolve_float(struct str text, double *out) {
	static const char *const infinities[] = { ".inf", ".Inf", ".INF", "+.inf", "+.Inf",
		"+.INF" };
	static const char *const negative[] = { "-.inf", "-.Inf", "-.INF" };
	static const char *const nans[] = { ".nan", ".NaN", ".NAN" };
	if (is_one_of(text, infinities, ARRAY_COUNT(infinities))) {
		*out = (double)INFINITY;
		return true;
	}
	if (is_one_of(text, negative, ARRAY_COUNT(negative))) {
		*out = -(double)INFINITY;
		return true;
	}
	if (is_one_of(text, nans, ARRAY_COUNT(nans))) {
		*out = (double)NAN;
		return true;
	}
	/* Go's number parser also knows words; in YAML they are text. */
	struct str last = str_from(text, text.len > 0 ? text.len - 1 : 0);
	bool is_numeric = last.len > 0 && (last.ptr[0] == '.' || digit_value(last.ptr[0]) < 10);
	return is_numeric && number_parse(text, out, NULL);
}

static bool resolve_number(struct str text, struct resolved *out) {
	char plain[NUMBER_MAX];
	size_t len = 0;
	if (text.len == 0 || text.len > sizeof(plain) || text.ptr[0] == '_') {
		return false;
	}
	for (size_t i = 0; i < text.len; i++) {
		plain[len] = text.ptr[i];
		len += text.ptr[i] != '_';
	}
	text = (struct str){ plain, len };
	if (resolve_int(text, &out->whole)) {
		out->kind = RESOLVED_INT;
		out->real = (double)out->whole;
		return true;
	}
	if (resolve_float(text, &out->real)) {
		out->kind = RESOLVED_FLOAT;
		return true;
	}
	return false;
}

static struct resolved resolve(const struct yaml_node *node) {
	struct resolved out = { .kind = RESOLVED_TEXT };
	if (node->kind != YAML_SCALAR || node->is_quoted) {
		return out;
	}
	if (is_null_text(node->text)) {
		out.kind = RESOLVED_NULL;
	} else if (resolve_bool(node->text, &out.truth)) {
		out.kind = RESOLVED_BOOL;
	} else {
		(void)resolve_number(node->text, &out);
	}
	return out;
}

static int refuse(const struct yaml_node *node, const char *wanted, struct err *err) {
	static const char *const tags[] = { "!!null", "!!bool", "!!int", "!!float", "!!str" };
	if (node->kind != YAML_SCALAR) {
		return err_set(err, ERR_INVAL, "line %u: cannot unmarshal %s into %s", node->line,
			node->kind == YAML_SEQUENCE ? "!!seq" : "!!map", wanted);
	}
	bool is_long = node->text.len > SHOWN_MAX;
	struct str shown = str_first(node->text, is_long ? SHOWN_CUT : SHOWN_MAX);
	return err_set(err, ERR_INVAL, "line %u: cannot unmarshal %s `%.*s%s` into %s", node->line,
		tags[resolve(node).kind], STR_ARG(shown), is_long ? "..." : "", wanted);
}

bool yaml_is_null(const struct yaml_node *node) {
	return node->kind == YAML_SCALAR && !node->is_quoted && is_null_text(node->text);
}

int yaml_to_bool(const struct yaml_node *node, bool *out, struct err *err) {
	struct resolved value = resolve(node);
	if (node->kind == YAML_SCALAR && value.kind <= RESOLVED_BOOL) {
		*out = value.truth;
		return 0;
	}
	return refuse(node, "bool", err);
}

int yaml_to_int(const struct yaml_node *node, int64_t *out, struct err *err) {
	const double limit = 9223372036854775808.0; /* 2^63 */
	struct resolved value = resolve(node);
	bool is_whole_float = value.kind == RESOLVED_FLOAT && value.real == trunc(value.real) &&
			      value.real >= -limit && value.real < limit;
	if (is_whole_float) {
		value.whole = (int64_t)value.real;
	}
	if (value.kind == RESOLVED_NULL || value.kind == RESOLVED_INT || is_whole_float) {
		*out = value.whole;
		return 0;
	}
	return refuse(node, "int", err);
}

int yaml_to_double(const struct yaml_node *node, double *out, struct err *err) {
	struct resolved value = resolve(node);
	if (value.kind == RESOLVED_NULL || value.kind == RESOLVED_INT ||
		value.kind == RESOLVED_FLOAT) {
		*out = value.real;
		return 0;
	}
	return refuse(node, "float64", err);
}

int yaml_to_str(const struct yaml_node *node, struct str *out, struct err *err) {
	if (node->kind != YAML_SCALAR) {
		return refuse(node, "string", err);
	}
	*out = yaml_is_null(node) ? STR_EMPTY : node->text;
	return 0;
}
