#include "scrape/url.h"

#include <stdlib.h>

static bool is_unreserved(char byte) {
	return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
	       (byte >= '0' && byte <= '9') || byte == '-' || byte == '_' || byte == '.' ||
	       byte == '~';
}

void url_escape_query(struct str text, struct buf *out) {
	for (size_t i = 0; i < text.len; i++) {
		char byte = text.ptr[i];
		if (byte == ' ') {
			buf_add_byte(out, '+');
		} else if (is_unreserved(byte)) {
			buf_add_byte(out, byte);
		} else {
			buf_printf(out, "%%%02X", (unsigned)(uint8_t)byte);
		}
	}
}

void url_escape_path(struct str text, struct buf *out) {
	for (size_t i = 0; i < text.len; i++) {
		char byte = text.ptr[i];
		if (is_unreserved(byte) || (byte != '\0' && strchr("$&+,/:;=@", byte))) {
			buf_add_byte(out, byte);
		} else {
			buf_printf(out, "%%%02X", (unsigned)(uint8_t)byte);
		}
	}
}

static int cmp_params(const void *a, const void *b) {
	return str_cmp(
		((const struct config_param *)a)->name, ((const struct config_param *)b)->name);
}

/* The job's parameters with those of the labels, sorted by name. */
static size_t merge_params(struct arena *arena, const struct labels *labels,
	const struct config_params *params, struct config_param **out) {
	struct config_param *all =
		ARENA_NEW(arena, struct config_param, params->count + labels->count + 1);
	size_t count = params->count;

	for (size_t i = 0; i < params->count; i++) {
		all[i] = params->items[i];
	}
	for (size_t i = 0; i < labels->count; i++) {
		const struct label *label = &labels->pairs[i];
		if (!str_starts(label->name, STR("__param_"))) {
			continue;
		}
		struct config_param param = { .name = str_from(label->name, 8) };
		size_t at = 0;
		while (at < count && !str_equal(all[at].name, param.name)) {
			at++;
		}
		size_t old_count = at < count ? all[at].values.count : 0;
		struct str *values = ARENA_NEW(arena, struct str, old_count + 1);
		for (size_t j = 1; j < old_count; j++) {
			values[j] = all[at].values.items[j];
		}
		values[0] = label->value;
		param.values = (struct config_list){ values, old_count > 0 ? old_count : 1 };
		all[at] = param;
		count += at == count;
	}
	qsort(all, count, sizeof(all[0]), cmp_params);
	*out = all;
	return count;
}

struct str url_of_target(
	struct arena *arena, const struct labels *labels, const struct config_params *params) {
	AUTO(buf_deinit) struct buf url = { 0 };
	struct config_param *all = NULL;
	struct str path = labels_get(labels, STR("__metrics_path__"));
	char mark = '?';

	buf_add_str(&url, labels_get(labels, STR("__scheme__")));
	buf_add_text(&url, "://");
	buf_add_str(&url, labels_get(labels, STR("__address__")));
	if (path.len > 0 && path.ptr[0] != '/') {
		buf_add_byte(&url, '/');
	}
	url_escape_path(path, &url);
	size_t count = merge_params(arena, labels, params, &all);
	for (size_t i = 0; i < count; i++) {
		for (size_t j = 0; j < all[i].values.count; j++) {
			buf_add_byte(&url, mark);
			mark = '&';
			url_escape_query(all[i].name, &url);
			buf_add_byte(&url, '=');
			url_escape_query(all[i].values.items[j], &url);
		}
	}
	return arena_copy(arena, buf_str(&url));
}

static int hex_value(char byte) {
	if (byte >= '0' && byte <= '9') {
		return byte - '0';
	}
	char lower = (char)(byte | 0x20);
	return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* The byte that "%XX" at 'at' stands for, or -1. */
static int escaped_byte(struct str text, size_t at) {
	int high = at + 2 < text.len ? hex_value(text.ptr[at + 1]) : -1;
	int low = high >= 0 ? hex_value(text.ptr[at + 2]) : -1;
	return low >= 0 ? high * 16 + low : -1;
}

/* Unescapes into 'out' (text.len bytes). Returns false for a malformed escape. */
static bool unescape(struct str text, char *out, size_t *len) {
	*len = 0;
	for (size_t i = 0; i < text.len; i++) {
		int byte = text.ptr[i] == '+' ? ' ' : (uint8_t)text.ptr[i];
		if (byte == '%') {
			byte = escaped_byte(text, i);
			i += 2;
		}
		if (byte < 0) {
			return false;
		}
		out[(*len)++] = (char)(uint8_t)byte;
	}
	return true;
}

static bool unescape_in(struct arena *arena, struct str text, struct str *out) {
	char *copy = ARENA_NEW(arena, char, text.len + 1);
	out->ptr = copy;
	return unescape(text, copy, &out->len);
}

struct str url_query_value(struct arena *arena, struct str query, struct str name) {
	while (query.ptr && query.len > 0) {
		struct str value = str_cut(&query, '&');
		struct str key = str_cut(&value, '=');
		struct str plain = STR_EMPTY;
		if (!unescape_in(arena, key, &plain) || !str_equal(plain, name)) {
			continue;
		}
		if (!value.ptr) {
			return STR_EMPTY;
		}
		return unescape_in(arena, value, &plain) ? plain : STR_EMPTY;
	}
	return STR_EMPTY;
}

static bool is_loopback(struct str host) {
	return str_equal(host, STR("localhost")) || str_equal(host, STR("127.0.0.1")) ||
	       str_equal(host, STR("[::1]"));
}

/* Where the port's colon stands in an authority, or its length. */
static size_t find_colon(struct str authority) {
	for (size_t i = authority.len; i > 0 && authority.ptr[i - 1] != ']'; i--) {
		if (authority.ptr[i - 1] == ':') {
			return i - 1;
		}
	}
	return authority.len;
}

struct str url_global(
	struct arena *arena, struct str url, struct str external_host, unsigned own_port) {
	size_t start = str_find(url, ':') + 3;
	struct str rest = str_from(url, start);
	size_t authority_len = 0;
	while (authority_len < rest.len && !strchr("/?", rest.ptr[authority_len])) {
		authority_len++;
	}
	struct str authority = str_first(rest, authority_len);
	size_t colon = find_colon(authority);
	uint64_t port = 0;

	if (external_host.len == 0 || !is_loopback(str_first(authority, colon))) {
		return url;
	}
	(void)str_to_u64(str_from(authority, colon + 1), &port);
	struct str host = str_first(external_host, find_colon(external_host));
	if (port == own_port) {
		return arena_printf(arena, "%.*s%.*s%.*s", STR_ARG(str_first(url, start)),
			STR_ARG(external_host), STR_ARG(str_from(rest, authority_len)));
	}
	return arena_printf(arena, "%.*s%.*s%.*s%.*s", STR_ARG(str_first(url, start)),
		STR_ARG(host), STR_ARG(str_from(authority, colon)),
		STR_ARG(str_from(rest, authority_len)));
}
