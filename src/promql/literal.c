#include "promql/literal.h"

#include "cxx/number.h"

#include <errno.h>
#include <stdlib.h>

/* Longest number: more digits than any double has, but one may write them. */
#define NUMBER_LEN_MAX 4096

static bool is_hex(char byte) {
	return (byte >= '0' && byte <= '9') || ((byte | 0x20) >= 'a' && (byte | 0x20) <= 'f');
}

/* Whether every underscore stands between digits, or between 0x and a digit. */
static bool underscores_are_well_placed(struct str text, bool is_hexadecimal) {
	char saw = '^'; /* '0': a digit or the base's prefix; '_'; '!': something else. */

	for (size_t i = 0; i < text.len; i++) {
		char byte = text.ptr[i];

		if ((byte >= '0' && byte <= '9') || (is_hexadecimal && (is_hex(byte) || i == 1))) {
			saw = '0';
		} else if (byte == '_') {
			if (saw != '0') {
				return false;
			}
			saw = '_';
		} else {
			if (saw == '_') {
				return false;
			}
			saw = '!';
		}
	}
	return saw != '_';
}

/* The digits in 'base' after the first 'skip' bytes; false if there are others or too many. */
static bool read_integer(const char *text, size_t skip, int base, double *out) {
	char *end = NULL;
	unsigned long long value;

	if (text[skip] == '\0') {
		return false;
	}
	errno = 0;
	value = strtoull(text + skip, &end, base);
	if (*end != '\0' || errno != 0 || value > INT64_MAX) {
		return false;
	}
	*out = (double)(int64_t)value;
	return true;
}

int literal_number(struct str text, double *out, struct err *err) {
	char plain[NUMBER_LEN_MAX + 1];
	size_t len = 0;
	bool is_hexadecimal = text.len > 2 && text.ptr[0] == '0' && (text.ptr[1] | 0x20) == 'x';
	bool overflow = false;

	if (text.len > NUMBER_LEN_MAX) {
		return err_set(
			err, ERR_LIMIT, "a number may have at most %d characters", NUMBER_LEN_MAX);
	}
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] != '_') {
			plain[len++] = text.ptr[i];
		}
	}
	plain[len] = '\0';
	if (len < text.len && !underscores_are_well_placed(text, is_hexadecimal)) {
		len = 0;
	}
	if (is_hexadecimal && len > 0 && read_integer(plain, 2, 16, out)) {
		return 0;
	}
	if (len > 1 && plain[0] == '0' && strspn(plain, "01234567") == len &&
		read_integer(plain, 1, 8, out)) {
		return 0;
	}
	if (!is_hexadecimal && number_parse((struct str){ plain, len }, out, &overflow)) {
		return 0;
	}
	return err_set(err, ERR_INVAL,
		"error parsing number: strconv.ParseFloat: parsing \"%.*s\": %s", STR_ARG(text),
		overflow ? "value out of range" : "invalid syntax");
}

void rune_append(uint32_t rune, struct buf *out) {
	if (rune < 0x80) {
		buf_add_byte(out, (char)rune);
	} else if (rune < 0x800) {
		buf_add_byte(out, (char)(0xc0 | rune >> 6));
		buf_add_byte(out, (char)(0x80 | (rune & 0x3f)));
	} else if (rune < 0x10000) {
		buf_add_byte(out, (char)(0xe0 | rune >> 12));
		buf_add_byte(out, (char)(0x80 | (rune >> 6 & 0x3f)));
		buf_add_byte(out, (char)(0x80 | (rune & 0x3f)));
	} else {
		buf_add_byte(out, (char)(0xf0 | rune >> 18));
		buf_add_byte(out, (char)(0x80 | (rune >> 12 & 0x3f)));
		buf_add_byte(out, (char)(0x80 | (rune >> 6 & 0x3f)));
		buf_add_byte(out, (char)(0x80 | (rune & 0x3f)));
	}
}

static uint32_t digits_value(const char *digits, size_t count, uint32_t base) {
	uint32_t value = 0;

	for (size_t i = 0; i < count; i++) {
		char byte = digits[i];

		value = value * base +
			(uint32_t)(byte <= '9' ? byte - '0' : (byte | 0x20) - 'a' + 10);
	}
	return value;
}

/* Appends what the escape after a backslash stands for; returns its length. */
static size_t unescape(const char *escape, struct buf *out) {
	static const char letters[] = "abfnrtv";
	static const char values[] = "\a\b\f\n\r\t\v";
	const char *letter = strchr(letters, escape[0]);

	if (letter) {
		buf_add_byte(out, values[letter - letters]);
		return 1;
	}
	switch (escape[0]) {
	case 'x':
		buf_add_byte(out, (char)digits_value(escape + 1, 2, 16));
		return 3;
	case 'u':
		rune_append(digits_value(escape + 1, 4, 16), out);
		return 5;
	case 'U':
		rune_append(digits_value(escape + 1, 8, 16), out);
		return 9;
	case '0':
	case '1':
	case '2':
	case '3':
	case '4':
	case '5':
	case '6':
	case '7':
		buf_add_byte(out, (char)digits_value(escape, 3, 8));
		return 3;
	default:
		buf_add_byte(out, escape[0]);
		return 1;
	}
}

struct str literal_unquote(struct arena *arena, struct str text) {
	struct str inner = { text.ptr + 1, text.len - 2 };
	struct buf out = { 0 };
	struct str result;
	size_t at = 0;

	if (text.ptr[0] == '`' || str_find(inner, '\\') == SIZE_MAX) {
		return arena_copy(arena, inner);
	}
	while (at < inner.len) {
		if (inner.ptr[at] == '\\') {
			at += 1 + unescape(inner.ptr + at + 1, &out);
		} else {
			buf_add_byte(&out, inner.ptr[at++]);
		}
	}
	result = arena_copy(arena, buf_str(&out));
	buf_deinit(&out);
	return result;
}
