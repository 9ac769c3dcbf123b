/*
 * The web side that a monitor and a hub share: listeners, API, metrics, page.
 */
#ifndef CMD_WEB_H
#define CMD_WEB_H

#include "api/api.h"
#include "cmd/flags.h"
#include "io/loop.h"

struct web_options {
	const struct flag_list *listen; /* --web.listen-address: host:port each. */
	int64_t connections_max;        /* --web.max-connections */
	const char *cors_origin;        /* --web.cors.origin */
	int64_t query_timeout_ms;       /* --query.timeout */
	struct parse_options parse;     /* --enable-feature, */
	bool per_step_stats;            /* promql-per-step-stats of it */
	struct source *source;          /* Borrowed, as all below. */
	struct engine *engine;
	struct pool *pool;
	struct metric_registry *metrics;
	const struct command *command;                 /* Whose flags status/flags shows, */
	const void *config;                            /* and their values. */
	void (*yaml)(void *context, struct buf *yaml); /* status/config; NULL: none. */
	void (*runtime)(void *context, struct api_runtime *out);
	void *context;
};

struct web;

/* Makes the API and its routes; more may be added before web_listen. ERR_INVAL for a bad origin. */
MUST_USE int web_new(const struct web_options *options, struct web **out, struct err *err);
/* Where more routes go. */
struct router *web_router(struct web *web);
/* Listens on all addresses. ERR_INVAL (malformed address), ERR_IO (in use). On the loop. */
MUST_USE int web_listen(struct web *web, struct loop *loop, struct err *err);
/* Any thread: lets queries in, or turns them away with 503. */
void web_set_ready(struct web *web, bool is_ready);
/* Stops listening and cuts what is under way; then, when the pool is drained, web_free. */
void web_close(struct web *web);
void web_free(struct web *web);

/* Cuts "host:port" (the host may be empty: all addresses, or in brackets) into 'host' of 'size'. */
MUST_USE int web_parse_address(
	const char *text, char *host, size_t size, uint16_t *port, struct err *err);

#endif
