/*
 * atoll mirror: the exports of linked clusters as local listeners, without a hub's queries.
 */
#include "cmd/mirror.h"

#include "base/log.h"
#include "cmd/mirror_flags.h"
#include "cmd/web.h"
#include "http/router.h"
#include "io/system.h"
#include "mesh/trust_report.h"
#include "trust/identity.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#define HOST_MAX 256

struct mirror_command_flags {
	const char *web_listen;
	const char *links_directory;
	const char *links_listen;
	uint64_t window_bytes_max;
	const char *tls_directory;
	const char *cluster_label;
	struct mirror_flags mirror;
	const char *log_level;
};

#define ROW(kind, ...) FLAG_##kind##_ROW(struct mirror_command_flags, __VA_ARGS__)

static const struct flag rows[] = {
	ROW(TEXT, web_listen, "web.listen-address", "HOST:PORT", "127.0.0.1:9491",
		"Where /metrics, /-/healthy, /-/ready and /api/v1/atoll/mirrors are served."),
	ROW(TEXT, links_directory, "links.directory", "DIR", "links",
		"Link files, one *.yaml per cluster; watched."),
	ROW(TEXT, links_listen, "links.listen-address", "HOST:PORT", NULL,
		"Where gateways that dial come in, by mutual TLS. Default: nowhere."),
	ROW(BYTES, window_bytes_max, "links.max-window", "SIZE", "8MB",
		"How much of one answer may be under way on a long, fast link; 1MB to 512MB."),
	ROW(TEXT, tls_directory, "tls.directory", "DIR", "tls",
		"Our credentials: tls.crt, tls.key, ca.crt; watched."),
	ROW(TEXT, cluster_label, "hub.cluster-label", "NAME", "cluster",
		"The label in the files that says which cluster a mirror is of."),
	MIRROR_FLAG_ROWS(struct mirror_command_flags, "tcp"),
	ROW(TEXT, log_level, "log.level", "LEVEL", "info", "debug, info, warn or error."),
};

/* Everything the process holds, in the order it is made. */
struct mirror_process {
	const struct mirror_command_flags *flags;
	struct loop *loop;
	struct metric_registry *metrics;
	struct trust_identity *identity;
	struct links *links;
	struct mirrors *mirrors;
	struct router *router;
	struct http_server *server;
};

static void serve_metrics(void *context, struct exchange *exchange, struct str param) {
	struct mirror_process *process = context;
	struct buf text = { 0 };
	(void)param;
	metric_write(process->metrics, &text);
	exchange_respond_buf(exchange, 200, STR("text/plain; version=0.0.4; charset=utf-8"), &text);
}

static void serve_healthy(void *context, struct exchange *exchange, struct str param) {
	(void)context, (void)param;
	exchange_respond_text(exchange, 200, "atoll mirror is healthy.\n");
}

static void serve_ready(void *context, struct exchange *exchange, struct str param) {
	(void)context, (void)param;
	exchange_respond_text(exchange, 200, "atoll mirror is ready.\n");
}

static void serve_trust(void *context, struct exchange *exchange, struct str param) {
	struct mirror_process *process = context;
	struct buf body = { 0 };
	(void)param;
	trust_report_write(process->links, str_of(trust_identity_name(process->identity)),
		trust_identity_facts(process->identity), &body);
	exchange_respond_buf(exchange, 200, STR("application/json"), &body);
}

static void stop(void *context) {
	struct mirror_process *process = context;
	log_info("stopping");
	loop_stop(process->loop);
}

static void on_new_credentials(void *context) {
	struct mirror_process *process = context;
	if (process->links) {
		links_retry(process->links);
	}
}

static void on_denied(void *context) {
	struct mirror_process *process = context;
	if (process->links) {
		links_denied_changed(process->links);
	}
}

static void on_links(void *context) {
	struct mirror_process *process = context;
	if (process->mirrors) {
		mirrors_update(process->mirrors);
	}
}

static int listen_for_gateways(struct mirror_process *process, struct err *err) {
	char host[HOST_MAX];
	uint16_t port = 0;
	int rc = web_parse_address(process->flags->links_listen, host, sizeof(host), &port, err);
	if (rc == 0) {
		rc = links_listen(process->links, host, port, err);
	}
	return rc < 0 ? err_wrap(err, rc, "--links.listen-address") : 0;
}

static int open_links(struct mirror_process *process, struct err *err) {
	const struct mirror_command_flags *flags = process->flags;
	const struct trust_identity_options identity = { .directory = flags->tls_directory,
		.metrics = process->metrics,
		.on_change = on_new_credentials,
		.on_denied = on_denied,
		.context = process };
	int rc = trust_identity_open(process->loop, &identity, &process->identity, err);
	if (rc < 0) {
		return err_wrap(err, rc, "--tls.directory");
	}
	const struct links_options links = { .directory = flags->links_directory,
		.tls = trust_identity_slot(process->identity),
		.denied = trust_identity_denied(process->identity),
		.window_bytes_max = flags->window_bytes_max,
		.metrics = process->metrics,
		.on_change = on_links,
		.context = process };
	rc = links_new(process->loop, &links, &process->links, err);
	if (rc < 0) {
		return rc == ERR_INVAL ? rc : err_wrap(err, rc, "--links.directory");
	}
	return flags->links_listen ? listen_for_gateways(process, err) : 0;
}

static int open_mirrors(struct mirror_process *process, struct err *err) {
	struct mirrors_options options = { .cluster_label = process->flags->cluster_label,
		.links = process->links,
		.metrics = process->metrics };
	int rc = mirror_flags_read(&process->flags->mirror, &options, err);
	if (rc == 0) {
		return err_set(err, ERR_INVAL,
			"--mirror.listen: with off there is nothing to do; tcp or unix");
	}
	if (rc > 0) {
		rc = mirrors_new(process->loop, &options, &process->mirrors, err);
	}
	return rc;
}

static int open_web(struct mirror_process *process, struct err *err) {
	char host[HOST_MAX];
	process->router = router_new();
	struct http_server_options options = {
		.host = host,
		.handler = router_handle,
		.context = process->router,
	};
	int rc = web_parse_address(
		process->flags->web_listen, host, sizeof(host), &options.port, err);
	if (rc == 0) {
		struct router *router = process->router;
		router_add(router, "GET", "/metrics", serve_metrics, process);
		router_add(router, "GET", "/-/healthy", serve_healthy, process);
		router_add(router, "GET", "/-/ready", serve_ready, process);
		router_add(router, "GET", "/api/v1/atoll/trust", serve_trust, process);
		links_register(process->links, process->identity, router);
		mirrors_register(process->mirrors, router);
		rc = http_server_open(process->loop, &options, &process->server, err);
	}
	return rc < 0 ? err_wrap(err, rc, "--web.listen-address") : 0;
}

static int open_all(struct mirror_process *process, struct err *err) {
	enum log_level level = LOG_INFO;
	if (!log_parse_level(str_of(process->flags->log_level), &level)) {
		return err_set(err, ERR_INVAL,
			"--log.level: \"%s\" is none of debug, info, warn, error",
			process->flags->log_level);
	}
	log_set_level(level);
	(void)system_raise_file_limit();
	process->loop = loop_new(clock_system());
	process->metrics = metric_registry_new();
	metric_register_process(process->metrics);
	int rc = open_links(process, err);
	if (rc == 0) {
		rc = open_mirrors(process, err);
	}
	return rc == 0 ? open_web(process, err) : rc;
}

/* Undoes what was opened, the newest first; fine after a failure half way. */
static void close_all(struct mirror_process *process) {
	if (process->server) {
		http_server_close(process->server);
	}
	mirrors_free(process->mirrors);
	process->mirrors = NULL;
	links_free(process->links);
	trust_identity_close(process->identity);
	if (process->loop) {
		loop_free(process->loop);
	}
	if (process->router) {
		router_free(process->router);
	}
	metric_registry_free(process->metrics);
}

static int run(const void *config, char **args, size_t arg_count) {
	struct mirror_process process = { .flags = config };
	struct err err = { 0 };
	(void)args, (void)arg_count;
	log_set_role("mirror");
	int rc = open_all(&process, &err);
	if (rc == 0) {
		loop_on_signal(process.loop, SIGTERM, stop, &process);
		loop_on_signal(process.loop, SIGINT, stop, &process);
		loop_run(process.loop);
	} else {
		(void)fprintf(stderr, "atoll mirror: %s\n", err.text);
	}
	close_all(&process);
	return rc == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

const struct command mirror_command = {
	.name = "mirror",
	.summary = "the exports of linked clusters as listeners on this machine",
	.description =
		"Makes each export of each linked cluster a loopback port, or a Unix socket, and "
		"writes files by which Prometheus and Grafana find them: what a hub does with "
		"--mirror.listen, where there is no hub.",
	.flags = rows,
	.flag_count = ARRAY_COUNT(rows),
	.config_size = sizeof(struct mirror_command_flags),
	.run = run,
};
