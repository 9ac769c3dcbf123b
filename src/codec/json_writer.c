#include "codec/json_writer.h"

#include "base/check.h"
#include "cxx/number.h"

#include <inttypes.h>
#include <math.h>

/* The first charge: most answers are small. */
#define CAPACITY_MIN 4096
/* The longest escape of a byte, \u0000. */
#define ESCAPE_MAX 6
/* Commas and brackets around a value. */
#define MARGIN 8

void json_writer_init(struct json_writer *writer, struct buf *out) {
	*writer = (struct json_writer){ .out = out };
}

void json_writer_limit(struct json_writer *writer, struct budget *budget, struct err *err) {
	writer->budget = budget;
	writer->err = err;
}

void json_writer_fail(struct json_writer *writer) {
	writer->has_failed = true;
	buf_deinit(writer->out);
	if (writer->budget) {
		budget_release(writer->budget, writer->charged_bytes);
		writer->charged_bytes = 0;
	}
}

/* Pays for the new memory while the old is still there to be copied. */
static bool grow(struct json_writer *writer, size_t len) {
	struct buf *out = writer->out;
	size_t wanted = out->len + len + 1;
	size_t capacity = out->capacity + out->capacity / 2;
	capacity = capacity > CAPACITY_MIN ? capacity : CAPACITY_MIN;
	capacity = capacity > wanted ? capacity : wanted;
	if (budget_charge(writer->budget, capacity, writer->err) < 0) {
		json_writer_fail(writer);
		return false;
	}
	(void)buf_reserve(out, capacity - 1 - out->len);
	budget_release(writer->budget, writer->charged_bytes);
	writer->charged_bytes = capacity;
	return true;
}

bool json_writer_room(struct json_writer *writer, size_t len) {
	if (!writer->budget || writer->has_failed ||
		writer->out->len + len < writer->out->capacity) {
		return !writer->has_failed;
	}
	return grow(writer, len);
}

/* What stands between this value, of at most 'len' bytes, and the one before. False if the writer
 * has failed. */
static bool separate(struct json_writer *writer, size_t len) {
	if (!json_writer_room(writer, len + MARGIN)) {
		writer->after_key = false;
		return false;
	}
	if (writer->after_key) {
		writer->after_key = false;
		return true;
	}
	uint64_t bit = UINT64_C(1) << writer->depth % 64;
	uint64_t *word = &writer->needs_comma[writer->depth / 64];
	if (*word & bit) {
		buf_add_byte(writer->out, ',');
	}
	*word |= bit;
	return true;
}

static void begin(struct json_writer *writer, char bracket) {
	bool is_well = separate(writer, 1);
	CHECK(writer->depth + 1 < JSON_DEPTH_MAX);
	writer->depth++;
	writer->needs_comma[writer->depth / 64] &= ~(UINT64_C(1) << writer->depth % 64);
	if (is_well) {
		buf_add_byte(writer->out, bracket);
	}
}

static void end(struct json_writer *writer, char bracket) {
	CHECK(writer->depth > 0 && !writer->after_key);
	writer->depth--;
	if (json_writer_room(writer, 1)) {
		buf_add_byte(writer->out, bracket);
	}
}

void json_begin_object(struct json_writer *writer) {
	begin(writer, '{');
}

void json_end_object(struct json_writer *writer) {
	end(writer, '}');
}

void json_begin_array(struct json_writer *writer) {
	begin(writer, '[');
}

void json_end_array(struct json_writer *writer) {
	end(writer, ']');
}

/* How many bytes from the front of 's' are ASCII that needs no escape. */
static size_t plain_len(struct str s) {
	size_t len = 0;
	while (len < s.len) {
		unsigned char c = (unsigned char)s.ptr[len];
		if (c < ' ' || c == '"' || c == '\\' || c >= 0x80) {
			break;
		}
		len++;
	}
	return len;
}

static void put_ascii(struct buf *out, char c) {
	static const char letters[] = { ['\b'] = 'b',
		['\f'] = 'f',
		['\n'] = 'n',
		['\r'] = 'r',
		['\t'] = 't',
		['"'] = '"',
		['\\'] = '\\' };
	if ((size_t)c < sizeof(letters) && letters[(size_t)c]) {
		buf_add_byte(out, '\\');
		buf_add_byte(out, letters[(size_t)c]);
	} else {
		buf_printf(out, "\\u%04x", (unsigned)c);
	}
}

static void put_quoted(struct buf *out, struct str s) {
	(void)buf_reserve(out, s.len + 2);
	buf_add_byte(out, '"');
	while (s.len > 0) {
		size_t len = plain_len(s);
		buf_append(out, s.ptr, len);
		s = str_from(s, len);
		if (s.len == 0) {
			break;
		}
		uint32_t code_point = 0;
		len = str_utf8_next(s, &code_point);
		if (len == 0) {
			buf_add_text(out, "\xef\xbf\xbd");
			len = 1;
		} else if (len == 1) {
			put_ascii(out, s.ptr[0]);
		} else {
			buf_append(out, s.ptr, len);
		}
		s = str_from(s, len);
	}
	buf_add_byte(out, '"');
}

void json_key(struct json_writer *writer, struct str name) {
	CHECK(!writer->after_key);
	if (separate(writer, name.len * ESCAPE_MAX)) {
		put_quoted(writer->out, name);
		buf_add_byte(writer->out, ':');
	}
	writer->after_key = true;
}

void json_put_str(struct json_writer *writer, struct str value) {
	if (separate(writer, value.len * ESCAPE_MAX)) {
		put_quoted(writer->out, value);
	}
}

void json_put_text(struct json_writer *writer, const char *value) {
	json_put_str(writer, str_of(value));
}

void json_put_int(struct json_writer *writer, int64_t value) {
	if (separate(writer, NUMBER_TEXT_MAX)) {
		buf_printf(writer->out, "%" PRId64, value);
	}
}

void json_put_double(struct json_writer *writer, double value) {
	if (!isfinite(value)) {
		json_put_null(writer);
		return;
	}
	if (!separate(writer, NUMBER_TEXT_MAX)) {
		return;
	}
	char *to = buf_reserve(writer->out, NUMBER_TEXT_MAX);
	size_t len = number_format_json(value, to);
	to[len] = '\0';
	writer->out->len += len;
}

void json_put_bool(struct json_writer *writer, bool value) {
	if (separate(writer, 5)) {
		buf_add_text(writer->out, value ? "true" : "false");
	}
}

void json_put_null(struct json_writer *writer) {
	if (separate(writer, 4)) {
		buf_add_text(writer->out, "null");
	}
}

void json_put_raw(struct json_writer *writer, struct str json) {
	if (separate(writer, json.len)) {
		buf_add_str(writer->out, json);
	}
}
