#include "mesh/policy.h"

#include "base/check.h"

enum method {
	GET = 1,
	HEAD = 2,
	POST = 4,
};

struct endpoint {
	struct str path;
	unsigned methods;
	struct str content_type; /* Of a POST's body. */
};

#define FORM STR("application/x-www-form-urlencoded")
#define PROTOBUF STR("application/x-protobuf")
#define LABEL_PREFIX STR("/api/v1/label/")
#define LABEL_SUFFIX STR("/values")

/* status/config is not here: it may hold secrets. */
static const struct endpoint *find_endpoint(struct str path) {
	static const struct endpoint endpoints[] = {
		{ STR("/api/v1/query"), GET | POST, FORM },
		{ STR("/api/v1/query_range"), GET | POST, FORM },
		{ STR("/api/v1/query_exemplars"), GET | POST, FORM },
		{ STR("/api/v1/format_query"), GET | POST, FORM },
		{ STR("/api/v1/series"), GET | POST, FORM },
		{ STR("/api/v1/labels"), GET | POST, FORM },
		{ STR("/api/v1/metadata"), GET, STR_EMPTY },
		{ STR("/api/v1/rules"), GET, STR_EMPTY },
		{ STR("/api/v1/alerts"), GET, STR_EMPTY },
		{ STR("/api/v1/targets"), GET, STR_EMPTY },
		{ STR("/api/v1/status/buildinfo"), GET, STR_EMPTY },
		{ STR("/api/v1/status/runtimeinfo"), GET, STR_EMPTY },
		{ STR("/api/v1/read"), POST, PROTOBUF },
		{ STR("/federate"), GET, STR_EMPTY },
		{ STR("/-/healthy"), GET | HEAD, STR_EMPTY },
		{ STR("/-/ready"), GET | HEAD, STR_EMPTY },
	};
	for (size_t i = 0; i < ARRAY_COUNT(endpoints); i++) {
		if (str_equal(path, endpoints[i].path)) {
			return &endpoints[i];
		}
	}
	return NULL;
}

static bool is_name_byte(char c) {
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_' || c == ':';
}

/* "/api/v1/label/NAME/values", with a name that means the same however it is read. Names outside of
 * ASCII are asked for in their escaped form ("U__..."). */
static bool is_label_values(struct str path) {
	size_t around = LABEL_PREFIX.len + LABEL_SUFFIX.len;
	if (path.len <= around || !str_starts(path, LABEL_PREFIX) ||
		!str_ends(path, LABEL_SUFFIX)) {
		return false;
	}
	for (size_t i = LABEL_PREFIX.len; i < path.len - LABEL_SUFFIX.len; i++) {
		if (!is_name_byte(path.ptr[i])) {
			return false;
		}
	}
	return true;
}

static unsigned method_bit(struct str method) {
	if (str_equal(method, STR("GET"))) {
		return GET;
	}
	if (str_equal(method, STR("HEAD"))) {
		return HEAD;
	}
	return str_equal(method, STR("POST")) ? POST : 0;
}

/* The media type without its parameters. */
static bool is_type(struct str header, struct str wanted) {
	struct str rest = header;
	return str_equal_nocase(str_trim(str_cut(&rest, ';')), wanted);
}

static enum verdict judge_body(
	const struct http_request *request, const struct endpoint *endpoint, struct err *err) {
	if (!str_equal(request->method, STR("POST"))) {
		if (request->body.len == 0) {
			return VERDICT_ALLOW;
		}
		(void)err_set(
			err, ERR_DENIED, "a %.*s request has no body", STR_ARG(request->method));
		return VERDICT_BODY;
	}
	struct str type = http_headers_get(&request->headers, STR("content-type"));
	if (is_type(type, endpoint->content_type)) {
		return VERDICT_ALLOW;
	}
	(void)err_set(err, ERR_DENIED, "the body must be %.*s", STR_ARG(endpoint->content_type));
	return VERDICT_BODY;
}

enum verdict prometheus_policy(const struct http_request *request, struct err *err) {
	static const struct endpoint label_values = { .methods = GET };
	const struct endpoint *endpoint =
		is_label_values(request->path) ? &label_values : find_endpoint(request->path);
	if (!endpoint) {
		(void)err_set(err, ERR_DENIED, "the gateway does not let path \"%.*s\" through",
			STR_ARG(str_first(request->path, 100)));
		return VERDICT_PATH;
	}
	if (!(method_bit(request->method) & endpoint->methods)) {
		(void)err_set(err, ERR_DENIED, "the gateway does not let %.*s %.*s through",
			STR_ARG(str_first(request->method, 20)), STR_ARG(request->path));
		return VERDICT_METHOD;
	}
	return judge_body(request, endpoint, err);
}

const char *verdict_name(enum verdict verdict) {
	switch (verdict) {
	case VERDICT_ALLOW:
		return "allow";
	case VERDICT_PATH:
		return "path";
	case VERDICT_METHOD:
		return "method";
	case VERDICT_BODY:
		return "body";
	}
	CHECK(false);
}
