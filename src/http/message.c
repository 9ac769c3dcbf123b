#include "http/message.h"

#include "base/compiler.h"

static char lower(char byte) {
	return byte >= 'A' && byte <= 'Z' ? (char)(byte | 0x20) : byte;
}

void http_headers_add(
	struct http_headers *headers, struct arena *arena, struct str name, struct str value) {
	if (headers->count == headers->capacity) {
		size_t capacity = headers->capacity > 0 ? headers->capacity * 2 : 16;
		struct http_header *items = ARENA_NEW(arena, struct http_header, capacity);

		if (headers->count > 0) {
			memcpy(items, headers->items, headers->count * sizeof(*items));
		}
		headers->items = items;
		headers->capacity = capacity;
	}

	char *copy = arena_alloc(arena, name.len + 1, 1);
	for (size_t i = 0; i < name.len; i++) {
		copy[i] = lower(name.ptr[i]);
	}
	headers->items[headers->count++] = (struct http_header){
		.name = { copy, name.len },
		.value = arena_copy(arena, value),
	};
}

struct str http_headers_get(const struct http_headers *headers, struct str name) {
	for (size_t i = 0; i < headers->count; i++) {
		if (str_equal(headers->items[i].name, name)) {
			return headers->items[i].value;
		}
	}
	return STR_EMPTY;
}

bool http_name_is_token(struct str name) {
	/* RFC 9110 5.6.2: letters, digits and these. */
	static const char others[] = "!#$%&'*+-.^_`|~";

	for (size_t i = 0; i < name.len; i++) {
		char byte = name.ptr[i];
		bool plain = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
			     (byte >= '0' && byte <= '9');

		if (!plain && (byte == 0 || !strchr(others, byte))) {
			return false;
		}
	}
	return name.len > 0;
}

bool http_value_is_safe(struct str value) {
	for (size_t i = 0; i < value.len; i++) {
		unsigned char byte = (unsigned char)value.ptr[i];

		if ((byte < 0x20 && byte != '\t') || byte == 0x7f) {
			return false;
		}
	}
	return true;
}

bool http_value_has_token(struct str value, struct str token) {
	while (value.ptr && value.len > 0) {
		if (str_equal_nocase(str_trim(str_cut(&value, ',')), token)) {
			return true;
		}
	}
	return false;
}

bool http_header_is_framing(struct str name) {
	static const struct str framing[] = {
		{ "connection", 10 },
		{ "content-length", 14 },
		{ "keep-alive", 10 },
		{ "proxy-connection", 16 },
		{ "te", 2 },
		{ "trailer", 7 },
		{ "transfer-encoding", 17 },
		{ "upgrade", 7 },
	};

	for (size_t i = 0; i < ARRAY_COUNT(framing); i++) {
		if (str_equal(name, framing[i])) {
			return true;
		}
	}
	return false;
}

bool http_request_set_target(struct http_request *request, struct str target) {
	for (size_t i = 0; i < target.len; i++) {
		unsigned char byte = (unsigned char)target.ptr[i];

		if (byte <= 0x20 || byte == 0x7f || byte == '#') {
			return false;
		}
	}
	bool asterisk = str_equal(target, STR("*")) && str_equal(request->method, STR("OPTIONS"));
	if (!asterisk && !str_starts(target, STR("/"))) {
		return false;
	}
	size_t mark = str_find(target, '?');

	request->target = target;
	request->path = mark == SIZE_MAX ? target : str_first(target, mark);
	request->query = mark == SIZE_MAX ? STR_EMPTY : str_from(target, mark + 1);
	return true;
}

bool http_authority_is_valid(struct str authority) {
	/* A host, an address in brackets, a port: nothing that could be read as user info or a
	 * path. */
	static const char others[] = "-._~%!$&'()*+,;=:[]";

	for (size_t i = 0; i < authority.len; i++) {
		char byte = authority.ptr[i];
		bool plain = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
			     (byte >= '0' && byte <= '9');

		if (!plain && (byte == 0 || !strchr(others, byte))) {
			return false;
		}
	}
	return true;
}

const char *http_status_text(int status) {
	static const struct {
		int status;
		const char *text;
	} texts[] = {
		{ 100, "Continue" },
		{ 101, "Switching Protocols" },
		{ 200, "OK" },
		{ 201, "Created" },
		{ 202, "Accepted" },
		{ 204, "No Content" },
		{ 206, "Partial Content" },
		{ 301, "Moved Permanently" },
		{ 302, "Found" },
		{ 303, "See Other" },
		{ 304, "Not Modified" },
		{ 307, "Temporary Redirect" },
		{ 308, "Permanent Redirect" },
		{ 400, "Bad Request" },
		{ 401, "Unauthorized" },
		{ 403, "Forbidden" },
		{ 404, "Not Found" },
		{ 405, "Method Not Allowed" },
		{ 406, "Not Acceptable" },
		{ 408, "Request Timeout" },
		{ 409, "Conflict" },
		{ 410, "Gone" },
		{ 411, "Length Required" },
		{ 412, "Precondition Failed" },
		{ 413, "Content Too Large" },
		{ 414, "URI Too Long" },
		{ 415, "Unsupported Media Type" },
		{ 416, "Range Not Satisfiable" },
		{ 417, "Expectation Failed" },
		{ 421, "Misdirected Request" },
		{ 422, "Unprocessable Entity" },
		{ 429, "Too Many Requests" },
		{ 431, "Request Header Fields Too Large" },
		{ 499, "Client Closed Request" },
		{ 500, "Internal Server Error" },
		{ 501, "Not Implemented" },
		{ 502, "Bad Gateway" },
		{ 503, "Service Unavailable" },
		{ 504, "Gateway Timeout" },
		{ 505, "HTTP Version Not Supported" },
	};

	for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
		if (texts[i].status == status) {
			return texts[i].text;
		}
	}
	return "Unknown";
}
