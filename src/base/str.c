#include "base/str.h"

static bool is_space(char c) {
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct str str_trim(struct str s) {
	while (s.len > 0 && is_space(s.ptr[0])) {
		s.ptr++;
		s.len--;
	}
	while (s.len > 0 && is_space(s.ptr[s.len - 1])) {
		s.len--;
	}
	return s;
}

struct str str_cut(struct str *rest, char byte) {
	struct str all = *rest;
	size_t at = str_find(all, byte);
	if (at == SIZE_MAX) {
		*rest = (struct str){ NULL, 0 };
		return all;
	}
	*rest = (struct str){ all.ptr + at + 1, all.len - at - 1 };
	return (struct str){ all.ptr, at };
}

static unsigned lower(char c) {
	unsigned value = (unsigned char)c;
	return value >= 'A' && value <= 'Z' ? value + ('a' - 'A') : value;
}

bool str_equal_nocase(struct str a, struct str b) {
	if (a.len != b.len) {
		return false;
	}
	for (size_t i = 0; i < a.len; i++) {
		if (lower(a.ptr[i]) != lower(b.ptr[i])) {
			return false;
		}
	}
	return true;
}

/* Of a sequence's first byte: how long it is (0: cannot begin one), and its payload bits. */
static size_t utf8_lead(unsigned char lead, uint32_t *bits) {
	if (lead < 0xc2) {
		return 0;
	}
	if (lead < 0xe0) {
		*bits = lead & 0x1fU;
		return 2;
	}
	if (lead < 0xf0) {
		*bits = lead & 0x0fU;
		return 3;
	}
	*bits = lead & 0x07U;
	return lead < 0xf5 ? 4 : 0;
}

size_t str_utf8_next(struct str s, uint32_t *code_point) {
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	if (s.len == 0) {
		return 0;
	}
	uint32_t value = (unsigned char)s.ptr[0];
	if (value < 0x80) {
		*code_point = value;
		return 1;
	}
	size_t len = utf8_lead((unsigned char)value, &value);
	if (len == 0 || len > s.len) {
		return 0;
	}
	for (size_t i = 1; i < len; i++) {
		unsigned char byte = (unsigned char)s.ptr[i];
		if ((byte & 0xc0) != 0x80) {
			return 0;
		}
		value = value << 6 | (byte & 0x3fU);
	}
	if (value < least[len] || value > 0x10ffff || (value >= 0xd800 && value < 0xe000)) {
		return 0;
	}
	*code_point = value;
	return len;
}

/* Whether the next eight bytes are there and ASCII: the usual case, decided at once. */
static bool is_ascii_word(struct str s) {
	uint64_t eight = 0;
	if (s.len < sizeof(eight)) {
		return false;
	}
	memcpy(&eight, s.ptr, sizeof(eight));
	return (eight & 0x8080808080808080U) == 0;
}

bool str_is_utf8(struct str s) {
	while (s.len > 0) {
		uint32_t code_point = 0;
		size_t len = is_ascii_word(s) ? sizeof(uint64_t) : str_utf8_next(s, &code_point);
		if (len == 0) {
			return false;
		}
		s = str_from(s, len);
	}
	return true;
}

bool str_to_u64(struct str s, uint64_t *out) {
	uint64_t value = 0;
	if (s.len == 0) {
		return false;
	}
	for (size_t i = 0; i < s.len; i++) {
		unsigned digit = (unsigned)(unsigned char)s.ptr[i] - '0';
		if (digit > 9 || __builtin_mul_overflow(value, 10U, &value) ||
			__builtin_add_overflow(value, digit, &value)) {
			return false;
		}
	}
	*out = value;
	return true;
}

bool str_to_i64(struct str s, int64_t *out) {
	uint64_t value = 0;
	bool is_negative = s.len > 0 && s.ptr[0] == '-';
	if (s.len > 0 && (s.ptr[0] == '-' || s.ptr[0] == '+')) {
		s = str_from(s, 1);
	}
	if (!str_to_u64(s, &value) || value > (uint64_t)INT64_MAX + (is_negative ? 1U : 0U)) {
		return false;
	}
	*out = (int64_t)(is_negative ? 0 - value : value);
	return true;
}
