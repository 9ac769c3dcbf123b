#include "cmd/web.h"

#include "api/page.h"
#include "base/log.h"
#include "base/memory.h"

#include <stdlib.h>

struct web {
	struct web_options options;
	struct api *api;
	struct router *router;
	struct http_server *servers[FLAG_LIST_MAX];
	size_t server_count;
};

static void put_flags(void *context, struct json_writer *members) {
	const struct web *web = context;
	const struct command *command = web->options.command;
	for (size_t i = 0; i < command->flag_count; i++) {
		AUTO(buf_deinit) struct buf value = { 0 };
		flag_format(&command->flags[i], web->options.config, &value);
		json_key(members, str_of(command->flags[i].name));
		json_put_str(members, buf_str(&value));
	}
}

static void put_yaml(void *context, struct buf *yaml) {
	const struct web *web = context;
	web->options.yaml(web->options.context, yaml);
}

static void put_runtime(void *context, struct api_runtime *out) {
	const struct web *web = context;
	web->options.runtime(web->options.context, out);
}

int web_new(const struct web_options *options, struct web **out, struct err *err) {
	struct web *web = MEMORY_NEW(struct web, 1);
	web->options = *options;
	const struct api_options api = {
		.source = options->source,
		.engine = options->engine,
		.pool = options->pool,
		.clock = clock_system(),
		.metrics = options->metrics,
		.query_timeout_ms = options->query_timeout_ms,
		.parse = options->parse,
		.per_step_stats = options->per_step_stats,
		.cors_origin = options->cors_origin,
		.config = options->yaml ? put_yaml : NULL,
		.flags = put_flags,
		.runtime = put_runtime,
		.context = web,
	};
	int rc = api_new(&api, &web->api, err);
	if (rc < 0) {
		free(web);
		return rc;
	}
	web->router = router_new();
	api_register(web->api, web->router);
	page_register(web->router);
	*out = web;
	return 0;
}

struct router *web_router(struct web *web) {
	return web->router;
}

int web_parse_address(const char *text, char *host, size_t size, uint16_t *port, struct err *err) {
	const char *colon = strrchr(text, ':');
	uint64_t number = 0;
	if (!colon || !str_to_u64(str_of(colon + 1), &number) || number > UINT16_MAX) {
		return err_set(err, ERR_INVAL,
			"address \"%s\" is not HOST:PORT, as 127.0.0.1:9090 or [::1]:9090", text);
	}
	struct str name = { text, (size_t)(colon - text) };
	if (name.len >= 2 && name.ptr[0] == '[' && name.ptr[name.len - 1] == ']') {
		name = (struct str){ name.ptr + 1, name.len - 2 };
	}
	if (name.len == 0) {
		name = STR("0.0.0.0");
	}
	if (name.len >= size) {
		return err_set(err, ERR_INVAL, "address \"%s\" has too long a host", text);
	}
	memcpy(host, name.ptr, name.len);
	host[name.len] = '\0';
	*port = (uint16_t)number;
	return 0;
}

int web_listen(struct web *web, struct loop *loop, struct err *err) {
	for (size_t i = 0; i < web->options.listen->count; i++) {
		char host[256];
		struct http_server_options options = {
			.host = host,
			.handler = router_handle,
			.context = web->router,
			.connections_max = (size_t)web->options.connections_max,
			.metrics = web->options.metrics,
		};
		const char *address = web->options.listen->items[i];
		int rc = web_parse_address(address, host, sizeof(host), &options.port, err);
		if (rc == 0) {
			rc = http_server_open(
				loop, &options, &web->servers[web->server_count], err);
		}
		if (rc < 0) {
			return err_wrap(err, rc, "--web.listen-address");
		}
		web->server_count++;
		log_info("listening", KV("address", address));
	}
	return 0;
}

void web_set_ready(struct web *web, bool is_ready) {
	api_set_ready(web->api, is_ready);
}

void web_close(struct web *web) {
	while (web->server_count > 0) {
		http_server_close(web->servers[--web->server_count]);
	}
}

void web_free(struct web *web) {
	if (web) {
		router_free(web->router);
		api_free(web->api);
		free(web);
	}
}
