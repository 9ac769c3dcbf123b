#include "http/uri.h"

static int hex_digit(char byte) {
	if (byte >= '0' && byte <= '9') {
		return byte - '0';
	}
	if (byte >= 'a' && byte <= 'f') {
		return byte - 'a' + 10;
	}
	return (byte >= 'A' && byte <= 'F') ? byte - 'A' + 10 : -1;
}

/* Decodes one escape at the start of 'text'. Returns its byte, or -1. */
static int escaped_byte(struct str text) {
	if (text.len < 3) {
		return -1;
	}
	int high = hex_digit(text.ptr[1]);
	int low = hex_digit(text.ptr[2]);

	return high < 0 || low < 0 ? -1 : high * 16 + low;
}

int uri_decode(struct arena *arena, struct str text, bool plus, struct str *out, struct err *err) {
	char *bytes = arena_alloc(arena, text.len + 1, 1);
	size_t len = 0;

	for (size_t i = 0; i < text.len; i++) {
		char byte = text.ptr[i];

		if (byte == '%') {
			int value = escaped_byte(str_from(text, i));
			if (value < 0) {
				/* Go's sentence, which Prometheus' clients know. */
				struct str escape = str_first(str_from(text, i), 3);
				return err_set(err, ERR_INVAL, "invalid URL escape \"%.*s\"",
					STR_ARG(escape));
			}
			bytes[len++] = (char)value;
			i += 2;
		} else {
			bytes[len++] = plus && byte == '+' ? ' ' : byte;
		}
	}
	*out = (struct str){ bytes, len };
	return 0;
}

void uri_encode(struct str text, struct buf *out) {
	static const char digits[] = "0123456789ABCDEF";

	for (size_t i = 0; i < text.len; i++) {
		unsigned char byte = (unsigned char)text.ptr[i];
		bool plain = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
			     (byte >= '0' && byte <= '9') || byte == '-' || byte == '.' ||
			     byte == '_' || byte == '~';

		if (plain) {
			buf_add_byte(out, (char)byte);
		} else {
			char escape[3] = { '%', digits[byte >> 4], digits[byte & 15] };
			buf_append(out, escape, sizeof(escape));
		}
	}
}

static void params_add(struct arena *arena, struct uri_params *params, struct uri_param param) {
	if (params->count == params->capacity) {
		size_t capacity = params->capacity > 0 ? params->capacity * 2 : 16;
		struct uri_param *items = ARENA_NEW(arena, struct uri_param, capacity);

		if (params->count > 0) {
			memcpy(items, params->items, params->count * sizeof(*items));
		}
		params->items = items;
		params->capacity = capacity;
	}
	params->items[params->count++] = param;
}

int uri_params_parse(
	struct arena *arena, struct str text, struct uri_params *params, struct err *err) {
	while (text.len > 0) {
		struct str pair = str_cut(&text, '&');
		if (pair.len == 0) {
			continue;
		}
		if (params->count >= URI_PARAMS_MAX) {
			return err_set(err, ERR_LIMIT, "more than %d parameters in one request",
				URI_PARAMS_MAX);
		}
		/* As Go and browsers: ';' separates nothing, and to guess would let two readers
		 * differ. */
		if (str_find(pair, ';') != SIZE_MAX) {
			return err_set(err, ERR_INVAL, "invalid semicolon separator in query");
		}
		struct uri_param param;
		struct str name = str_cut(&pair, '=');
		int rc = uri_decode(arena, name, true, &param.name, err);
		if (rc == 0) {
			rc = uri_decode(arena, pair, true, &param.value, err);
		}
		if (rc < 0) {
			return rc;
		}
		params_add(arena, params, param);
	}
	return 0;
}

struct str uri_params_get(const struct uri_params *params, struct str name, bool *found) {
	for (size_t i = 0; i < params->count; i++) {
		if (str_equal(params->items[i].name, name)) {
			if (found) {
				*found = true;
			}
			return params->items[i].value;
		}
	}
	if (found) {
		*found = false;
	}
	return STR_EMPTY;
}
