#include "http/h1_parts.h"

#include "http/message.h"

/* Longest number of a Content-Length, and hex digits of a chunk's size: both fit 64 bits. */
#define LENGTH_DIGITS_MAX 18
#define CHUNK_DIGITS_MAX 15

const char *h1_split_header(struct str line, struct str *name, struct str *value) {
	size_t colon = str_find(line, ':');
	if (line.ptr[0] == ' ' || line.ptr[0] == '\t') {
		return "a header is folded over two lines";
	}
	if (colon == SIZE_MAX) {
		return "a header line has no colon";
	}
	*name = str_first(line, colon);
	*value = str_trim(str_from(line, colon + 1));
	if (!http_name_is_token(*name)) {
		return "a header's name is not a word";
	}
	return http_value_is_safe(*value) ? NULL : "a header's value holds control characters";
}

const char *h1_parse_length(struct str value, uint64_t *length) {
	bool leads_with_zero = value.len > 1 && value.ptr[0] == '0';
	if (value.len > LENGTH_DIGITS_MAX || leads_with_zero || !str_to_u64(value, length)) {
		return "Content-Length is not a plain number";
	}
	return NULL;
}

const char *h1_parse_chunk_size(struct str line, uint64_t *size) {
	size_t digits = 0;
	*size = 0;
	for (; digits < line.len; digits++) {
		char byte = (char)(line.ptr[digits] | 0x20);
		bool is_digit = line.ptr[digits] >= '0' && line.ptr[digits] <= '9';
		if (!is_digit && (byte < 'a' || byte > 'f')) {
			break;
		}
		if (digits == CHUNK_DIGITS_MAX) {
			return "a chunk's size is too long";
		}
		*size = *size * 16 +
			(uint64_t)(is_digit ? line.ptr[digits] - '0' : byte - 'a' + 10);
	}
	struct str extension = str_from(line, digits);
	if (digits == 0 || (extension.len > 0 && extension.ptr[0] != ';') ||
		!http_value_is_safe(extension)) {
		return "a chunk's size is not a number";
	}
	return NULL;
}
