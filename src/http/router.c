#include "http/router.h"

#include "base/buf.h"
#include "base/check.h"
#include "base/memory.h"
#include "http/uri.h"

#include <stdlib.h>

struct route {
	struct str methods;
	struct str pattern;
	struct str before; /* Of the star; the whole pattern without one. */
	struct str after;
	bool has_star;
	bool is_tail; /* The star takes the rest of the path, slashes too. */
	route_fn *run;
	void *context;
};

struct router {
	struct route *routes;
	size_t count;
	size_t capacity;
};

struct router *router_new(void) {
	struct router *router = MEMORY_NEW(struct router, 1);

	return router;
}

void router_free(struct router *router) {
	if (router) {
		free(router->routes);
		free(router);
	}
}

void router_add(struct router *router, const char *methods, const char *pattern, route_fn *run,
	void *context) {
	if (router->count == router->capacity) {
		size_t capacity = router->capacity > 0 ? router->capacity * 2 : 32;
		router->routes = memory_resize(router->routes, capacity, sizeof(*router->routes));
		router->capacity = capacity;
	}
	struct str text = str_of(pattern);
	size_t star = str_find(text, '*');

	CHECK(pattern[0] == '/');
	router->routes[router->count++] = (struct route){
		.methods = str_of(methods),
		.pattern = text,
		.before = str_first(text, star),
		.after = star == SIZE_MAX ? STR_EMPTY : str_from(text, star + 1),
		.has_star = star != SIZE_MAX,
		.is_tail = star != SIZE_MAX && star + 1 == text.len,
		.run = run,
		.context = context,
	};
}

static bool path_matches(const struct route *route, struct str path, struct str *param) {
	*param = STR_EMPTY;
	if (!route->has_star) {
		return str_equal(path, route->pattern);
	}
	if (path.len < route->before.len + route->after.len || !str_starts(path, route->before) ||
		!str_ends(path, route->after)) {
		return false;
	}
	*param = str_first(
		str_from(path, route->before.len), path.len - route->before.len - route->after.len);
	return route->is_tail || (param->len > 0 && str_find(*param, '/') == SIZE_MAX);
}

/* Orders patterns that match the same path: exact, then a segment, then a tail; then by length. */
static size_t rank(const struct route *route) {
	size_t kind = !route->has_star ? 2 : !route->is_tail;

	return kind << 16 | route->pattern.len;
}

static bool methods_have(struct str methods, struct str method) {
	while (methods.ptr && methods.len > 0) {
		if (str_equal(str_cut(&methods, ','), method)) {
			return true;
		}
	}
	return false;
}

static void add_methods(struct buf *allow, struct str methods) {
	while (methods.ptr && methods.len > 0) {
		struct str method = str_cut(&methods, ',');

		buf_printf(allow, "%s%.*s", allow->len > 0 ? ", " : "", STR_ARG(method));
		if (str_equal(method, STR("GET"))) {
			buf_add_text(allow, ", HEAD");
		}
	}
}

static void refuse_method(const struct router *router, struct exchange *exchange, size_t best) {
	AUTO(buf_deinit) struct buf allow = { 0 };
	struct str path = exchange_request(exchange)->path;
	struct str param;

	for (size_t i = 0; i < router->count; i++) {
		const struct route *route = &router->routes[i];

		if (rank(route) == best && path_matches(route, path, &param)) {
			add_methods(&allow, route->methods);
		}
	}
	exchange_header(exchange, STR("allow"), buf_str(&allow));
	exchange_respond_text(exchange, 405, "Method Not Allowed\n");
}

static void run_route(const struct route *route, struct exchange *exchange, struct str escaped) {
	struct str param = STR_EMPTY;
	struct err err = { 0 };

	if (uri_decode(exchange_arena(exchange), escaped, false, &param, &err) < 0) {
		exchange_respond_text(exchange, 400, err.text);
		return;
	}
	route->run(route->context, exchange, param);
}

void router_handle(void *context, struct exchange *exchange) {
	const struct router *router = context;
	const struct http_request *request = exchange_request(exchange);
	struct str method = str_equal(request->method, STR("HEAD")) ? STR("GET") : request->method;
	const struct route *hit = NULL;
	struct str hit_param = STR_EMPTY;
	size_t best = 0;

	for (size_t i = 0; i < router->count; i++) {
		const struct route *route = &router->routes[i];
		struct str param;

		if (rank(route) < best || !path_matches(route, request->path, &param)) {
			continue;
		}
		hit = rank(route) > best ? NULL : hit;
		best = rank(route);
		if (!hit && methods_have(route->methods, method)) {
			hit = route;
			hit_param = param;
		}
	}
	if (hit) {
		run_route(hit, exchange, hit_param);
	} else if (best > 0) {
		refuse_method(router, exchange, best);
	} else {
		exchange_respond_text(exchange, 404, "404 page not found\n");
	}
}
