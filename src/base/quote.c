#include "base/quote.h"

#include "base/quote_table.h"

static bool is_printable(uint32_t code_point) {
	if (code_point < 0x80) {
		return code_point >= ' ' && code_point != 0x7f;
	}
	size_t low = 0;
	size_t high = ARRAY_COUNT(quote_printable);
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (quote_printable[middle].last < code_point) {
			low = middle + 1;
		} else {
			high = middle;
		}
	}
	return low < ARRAY_COUNT(quote_printable) && quote_printable[low].first <= code_point;
}

/* The letter after the backslash, or 0 where Go has none. */
static char short_escape(uint32_t code_point) {
	static const char letters[] = { ['\a'] = 'a',
		['\b'] = 'b',
		['\f'] = 'f',
		['\n'] = 'n',
		['\r'] = 'r',
		['\t'] = 't',
		['\v'] = 'v',
		['"'] = '"',
		['\\'] = '\\' };
	if (code_point >= sizeof(letters)) {
		return '\0';
	}
	return letters[code_point];
}

static void append_escaped(uint32_t code_point, struct buf *out) {
	char letter = short_escape(code_point);
	if (letter) {
		buf_add_byte(out, '\\');
		buf_add_byte(out, letter);
	} else if (code_point < 0x80) {
		buf_printf(out, "\\x%02x", code_point);
	} else if (code_point < 0x10000) {
		buf_printf(out, "\\u%04x", code_point);
	} else {
		buf_printf(out, "\\U%08x", code_point);
	}
}

void quote_append(struct str text, struct buf *out) {
	buf_add_byte(out, '"');
	size_t plain = 0; /* Where the bytes not yet copied begin. */
	size_t at = 0;
	while (at < text.len) {
		uint32_t code_point = 0;
		size_t len = str_utf8_next(str_from(text, at), &code_point);
		if (len > 0 && is_printable(code_point) && !short_escape(code_point)) {
			at += len;
			continue;
		}
		buf_append(out, text.ptr + plain, at - plain);
		if (len == 0) {
			buf_printf(out, "\\x%02x", (unsigned)(unsigned char)text.ptr[at]);
			len = 1;
		} else {
			append_escaped(code_point, out);
		}
		at += len;
		plain = at;
	}
	buf_append(out, text.ptr + plain, text.len - plain);
	buf_add_byte(out, '"');
}
