extern "C" {
#include "cxx/number.h"
}

#include <charconv>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <string>

namespace {

/* A finite value as its shortest digits: 0.d1d2d3... times ten to the power of 'point'. */
struct decimal {
	bool is_negative;
	char digits[32];
	int count;
	int point;
};

decimal decimal_of(double value) {
	decimal out = { std::signbit(value), "", 0, 0 };
	char text[40];
	auto end = std::to_chars(
		text, text + sizeof(text), std::fabs(value), std::chars_format::scientific)
			   .ptr;
	/* Always d[.ddd]e[+-]dd[d]. */
	const char *at = text;
	for (; *at != 'e'; at++) {
		if (*at != '.') {
			out.digits[out.count++] = *at;
		}
	}
	at += at[1] == '+' ? 2 : 1;
	int exponent = 0;
	std::from_chars(at, end, exponent);
	out.point = exponent + 1;
	if (value == 0) {
		out.count = 0;
		out.point = 0;
	}
	return out;
}

char *put(char *out, const char *text, size_t len) {
	std::memcpy(out, text, len);
	return out + len;
}

char *put_zeros(char *out, int count) {
	if (count > 0) {
		std::memset(out, '0', static_cast<size_t>(count));
		out += count;
	}
	return out;
}

char *put_plain(char *out, const decimal &d) {
	if (d.is_negative) {
		*out++ = '-';
	}
	if (d.point <= 0) {
		*out++ = '0';
	} else {
		int whole = d.point < d.count ? d.point : d.count;
		out = put(out, d.digits, static_cast<size_t>(whole));
		out = put_zeros(out, d.point - whole);
	}
	int from = d.point > 0 ? d.point : 0;
	if (d.count > from) {
		*out++ = '.';
		out = put_zeros(out, -d.point);
		out = put(out, d.digits + from, static_cast<size_t>(d.count - from));
	}
	return out;
}

char *put_exponent(char *out, const decimal &d) {
	if (d.is_negative) {
		*out++ = '-';
	}
	*out++ = d.count > 0 ? d.digits[0] : '0';
	if (d.count > 1) {
		*out++ = '.';
		out = put(out, d.digits + 1, static_cast<size_t>(d.count - 1));
	}
	int exponent = d.count > 0 ? d.point - 1 : 0;
	*out++ = 'e';
	*out++ = exponent < 0 ? '-' : '+';
	exponent = exponent < 0 ? -exponent : exponent;
	if (exponent < 10) {
		*out++ = '0';
	}
	return std::to_chars(out, out + 4, exponent).ptr;
}

/* Whole numbers are most of what monitoring has; they need no search for the shortest text. */
bool put_whole(double value, char *out, size_t *len) {
	const double exact_max = 9007199254740992; /* 2^53 */
	if (!(value > -exact_max && value < exact_max) || value != std::trunc(value) ||
		(value == 0 && std::signbit(value))) {
		return false;
	}
	*len = static_cast<size_t>(
		std::to_chars(out, out + 24, static_cast<int64_t>(value)).ptr - out);
	return true;
}

/* What the library's plain form of the shortest digits is right for: it writes whole numbers with
 * all their digits, so that they must have no more than a double can hold. */
bool put_fixed(double value, char *out, size_t *len) {
	double size = std::fabs(value);
	if (!(size >= 1e-6 && size < 9007199254740992)) {
		return false;
	}
	*len = static_cast<size_t>(
		std::to_chars(out, out + NUMBER_TEXT_MAX, value, std::chars_format::fixed).ptr -
		out);
	return true;
}

bool put_special(double value, char *out, size_t *len) {
	if (std::isfinite(value)) {
		return false;
	}
	const char *text = std::isnan(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf";
	*len = std::strlen(text);
	std::memcpy(out, text, *len);
	return true;
}

char lower(char c) {
	return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
}

/* 'word' is in lower case. */
bool is_word(const char *text, size_t len, const char *word) {
	if (len != std::strlen(word)) {
		return false;
	}
	for (size_t i = 0; i < len; i++) {
		if (lower(text[i]) != word[i]) {
			return false;
		}
	}
	return true;
}

const char *skip_digits(const char *at, const char *end) {
	while (at < end && *at >= '0' && *at <= '9') {
		at++;
	}
	return at;
}

/* Whether it is digits[.digits][e[sign]digits] with a digit before or after the point. */
bool is_decimal(const char *at, const char *end) {
	const char *whole_end = skip_digits(at, end);
	bool has_digits = whole_end > at;
	at = whole_end;
	if (at < end && *at == '.') {
		const char *fraction_end = skip_digits(at + 1, end);
		has_digits = has_digits || fraction_end > at + 1;
		at = fraction_end;
	}
	if (has_digits && at < end && lower(*at) == 'e') {
		at++;
		if (at < end && (*at == '+' || *at == '-')) {
			at++;
		}
		const char *exponent_end = skip_digits(at, end);
		has_digits = exponent_end > at;
		at = exponent_end;
	}
	return has_digits && at == end;
}

/* from_chars tells too large and too small alike, and leaves the value alone. */
double parse_extreme(const char *at, const char *end) {
	std::string text(at, end);
	return std::strtod(text.c_str(), nullptr);
}

bool parse_special(const char *at, const char *end, bool has_sign, double *out) {
	size_t len = static_cast<size_t>(end - at);
	if (is_word(at, len, "inf") || is_word(at, len, "infinity")) {
		*out = std::numeric_limits<double>::infinity();
		return true;
	}
	if (!has_sign && is_word(at, len, "nan")) {
		const uint64_t normal_nan = 0x7ff8000000000001U;
		std::memcpy(out, &normal_nan, sizeof(*out));
		return true;
	}
	return false;
}

} // namespace

size_t number_format_json(double value, char *out) {
	size_t len = 0;
	if (put_whole(value, out, &len) || put_fixed(value, out, &len) ||
		put_special(value, out, &len)) {
		return len;
	}
	decimal d = decimal_of(value);
	double size = std::fabs(value);
	bool is_extreme = size != 0 && (size < 1e-6 || size >= 1e21);
	return static_cast<size_t>((is_extreme ? put_exponent(out, d) : put_plain(out, d)) - out);
}

size_t number_format_f(double value, char *out) {
	size_t len = 0;
	if (put_whole(value, out, &len) || put_special(value, out, &len)) {
		return len;
	}
	return static_cast<size_t>(put_plain(out, decimal_of(value)) - out);
}

size_t number_format_g(double value, char *out) {
	size_t len = 0;
	if (put_special(value, out, &len)) {
		return len;
	}
	decimal d = decimal_of(value);
	/* Of the shortest text Go decides as if its precision were 6. */
	int exponent = d.count > 0 ? d.point - 1 : 0;
	bool is_extreme = exponent < -4 || exponent >= 6;
	return static_cast<size_t>((is_extreme ? put_exponent(out, d) : put_plain(out, d)) - out);
}

bool number_parse(struct str text, double *out, bool *overflow) {
	if (overflow) {
		*overflow = false;
	}
	const char *at = text.ptr;
	const char *end = text.ptr + text.len;
	bool has_sign = at < end && (*at == '-' || *at == '+');
	bool is_negative = has_sign && *at == '-';
	at += has_sign;
	double value = 0;
	if (!is_decimal(at, end)) {
		if (!parse_special(at, end, has_sign, &value)) {
			return false;
		}
		*out = is_negative ? -value : value;
		return true;
	}
	if (std::from_chars(at, end, value).ec != std::errc()) {
		value = parse_extreme(at, end);
	}
	*out = is_negative ? -value : value;
	if (std::isinf(value)) {
		if (overflow) {
			*overflow = true;
		}
		return false;
	}
	return true;
}
