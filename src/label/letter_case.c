#include "label/letter_case.h"

#include "base/compiler.h"

/* Letters first, first + step, ... last map to themselves + delta. */
struct case_range {
	uint32_t first;
	uint32_t last;
	uint32_t step;
	int32_t delta;
};

#include "label/letter_case.inc"

static uint32_t range_map(const struct case_range *ranges, size_t count, uint32_t letter) {
	size_t low = 0;

	while (count > 0) {
		size_t middle = low + count / 2;
		if (ranges[middle].last < letter) {
			low = middle + 1;
			count -= count / 2 + 1;
		} else if (ranges[middle].first > letter) {
			count /= 2;
		} else {
			bool is_in = (letter - ranges[middle].first) % ranges[middle].step == 0;
			return is_in ? letter + (uint32_t)ranges[middle].delta : letter;
		}
	}
	return letter;
}

/* The letter at the front of valid 'text', and its bytes. */
static uint32_t letter_decode(struct str text, size_t *len) {
	const unsigned char *p = (const unsigned char *)text.ptr;
	uint32_t letter;

	if (p[0] < 0xE0) {
		*len = 2;
		return ((p[0] & 0x1FU) << 6) | (p[1] & 0x3FU);
	}
	*len = p[0] < 0xF0 ? 3 : 4;
	letter = p[0] & (*len == 3 ? 0x0FU : 0x07U);
	for (size_t i = 1; i < *len; i++) {
		letter = (letter << 6) | (p[i] & 0x3FU);
	}
	return letter;
}

static void letter_encode(uint32_t letter, struct buf *out) {
	if (letter < 0x80) {
		buf_add_byte(out, (char)letter);
		return;
	}
	if (letter < 0x800) {
		buf_add_byte(out, (char)(0xC0U | (letter >> 6)));
	} else {
		if (letter < 0x10000) {
			buf_add_byte(out, (char)(0xE0U | (letter >> 12)));
		} else {
			buf_add_byte(out, (char)(0xF0U | (letter >> 18)));
			buf_add_byte(out, (char)(0x80U | ((letter >> 12) & 0x3FU)));
		}
		buf_add_byte(out, (char)(0x80U | ((letter >> 6) & 0x3FU)));
	}
	buf_add_byte(out, (char)(0x80U | (letter & 0x3FU)));
}

/* How many bytes the well-formed character at the front has; 0 if it is not well formed. */
static size_t character_len(struct str text) {
	for (size_t len = 1; len <= 4 && len <= text.len; len++) {
		if (str_is_utf8(str_first(text, len))) {
			return len;
		}
	}
	return 0;
}

static void letters_map(struct str text, char first, char last, const struct case_range *ranges,
	size_t count, struct buf *out) {
	while (text.len > 0) {
		char c = text.ptr[0];
		size_t len = 1;

		if ((unsigned char)c < 0x80) {
			buf_add_byte(out, c >= first && c <= last ? (char)(c ^ 0x20) : c);
		} else if ((len = character_len(text)) > 0) {
			letter_encode(range_map(ranges, count, letter_decode(text, &len)), out);
		} else {
			len = 1;
			buf_add_text(out, "\xEF\xBF\xBD");
		}
		text = str_from(text, len);
	}
}

void letters_lower(struct str text, struct buf *out) {
	letters_map(text, 'A', 'Z', lower_ranges, ARRAY_COUNT(lower_ranges), out);
}

void letters_upper(struct str text, struct buf *out) {
	letters_map(text, 'a', 'z', upper_ranges, ARRAY_COUNT(upper_ranges), out);
}
