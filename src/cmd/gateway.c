/*
 * atoll gateway: a cluster's front door for other clusters.
 */
#include "cmd/gateway.h"

#include "base/log.h"
#include "cmd/web.h"
#include "http/router.h"
#include "io/file.h"
#include "io/system.h"
#include "mesh/gateway.h"
#include "trust/identity.h"

#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOST_MAX 256
#define CONNECTIONS_MAX 65536
/* The smallest block that is a mapping of its own. */
#define LARGE_BLOCK_BYTES 8192

struct gateway_flags {
	const char *config_file;
	const char *exports_directory;
	const char *token_file;
	const char *hubs_directory;
	const char *tls_directory;
	const char *listen;
	int64_t connections_max;
	int64_t connections_per_peer_max;
	const char *web_listen;
	const char *log_level;
};

#define ROW(kind, ...) FLAG_##kind##_ROW(struct gateway_flags, __VA_ARGS__)

static const struct flag rows[] = {
	ROW(TEXT, config_file, "config.file", "FILE", "gateway.yaml",
		"What is exported, and to whom; watched."),
	ROW(TEXT, exports_directory, "exports.directory", "DIR", NULL,
		"Further exports, one *.yaml each; watched. Default: none."),
	ROW(TEXT, token_file, "exports.token-file", "FILE", NULL,
		"A token; who shows it may put and delete exports over the web listener, which "
		"must be a loopback address then. Default: nobody may."),
	ROW(TEXT, hubs_directory, "hubs.directory", "DIR", NULL,
		"Further hubs to dial, one *.yaml each, as atoll link add writes; watched. "
		"Default: "
		"none."),
	ROW(TEXT, tls_directory, "tls.directory", "DIR", "tls",
		"Our credentials: tls.crt, tls.key, ca.crt; watched."),
	ROW(TEXT, listen, "gateway.listen-address", "HOST:PORT", "0.0.0.0:4143",
		"Where linked clusters come in, by mutual TLS."),
	ROW(INT, connections_max, "gateway.max-connections", "N", "512",
		"Peers' connections open at once; more wait in the kernel. 1 to 65536."),
	ROW(INT, connections_per_peer_max, "gateway.max-connections-per-peer", "N", "64",
		"Connections of one identity; more are refused. 1 to 65536."),
	ROW(TEXT, web_listen, "web.listen-address", "HOST:PORT", "127.0.0.1:4191",
		"Where /metrics, /-/healthy and /-/ready are served, without TLS."),
	ROW(TEXT, log_level, "log.level", "LEVEL", "info", "debug, info, warn or error."),
};

/* Everything the process holds, in the order it is made. */
struct gateway_process {
	const struct gateway_flags *flags;
	struct loop *loop;
	struct metric_registry *metrics;
	struct trust_identity *identity;
	struct gateway *gateway;
	struct router *router;
	struct http_server *admin;
};

static void serve_metrics(void *context, struct exchange *exchange, struct str param) {
	struct gateway_process *process = context;
	(void)param;
	struct buf text = { 0 };
	metric_write(process->metrics, &text);
	exchange_respond_buf(exchange, 200, STR("text/plain; version=0.0.4; charset=utf-8"), &text);
}

static void serve_healthy(void *context, struct exchange *exchange, struct str param) {
	(void)context, (void)param;
	exchange_respond_text(exchange, 200, "atoll gateway is healthy.\n");
}

/* Ready is for peers: an expired certificate lets nobody in. */
static void serve_ready(void *context, struct exchange *exchange, struct str param) {
	struct gateway_process *process = context;
	(void)param;
	int64_t now_ms = clock_now_ms(loop_clock(process->loop));
	if (trust_identity_not_after_ms(process->identity) <= now_ms) {
		exchange_respond_text(exchange, 503, "The gateway's certificate has expired.\n");
	} else {
		exchange_respond_text(exchange, 200, "atoll gateway is ready.\n");
	}
}

static void stop(void *context) {
	struct gateway_process *process = context;
	log_info("stopping");
	loop_stop(process->loop);
}

static void on_new_credentials(void *context) {
	struct gateway_process *process = context;
	if (process->gateway) {
		gateway_set_trust(process->gateway, trust_identity_facts(process->identity));
	}
}

static void on_denied(void *context) {
	struct gateway_process *process = context;
	if (process->gateway) {
		gateway_denied_changed(process->gateway);
	}
}

static int check_count(const char *flag, int64_t count, struct err *err) {
	if (count < 1 || count > CONNECTIONS_MAX) {
		return err_set(err, ERR_INVAL, "--%s: %lld is not within 1 and %d", flag,
			(long long)count, CONNECTIONS_MAX);
	}
	return 0;
}

static int check_limits(const struct gateway_flags *flags, struct err *err) {
	int rc = check_count("gateway.max-connections", flags->connections_max, err);
	return rc < 0 ? rc
		      : check_count("gateway.max-connections-per-peer",
				flags->connections_per_peer_max, err);
}

static int open_gateway(struct gateway_process *process, struct err *err) {
	const struct gateway_flags *flags = process->flags;
	char host[HOST_MAX];
	uint16_t port = 0;
	int rc = web_parse_address(flags->listen, host, sizeof(host), &port, err);
	if (rc < 0) {
		return err_wrap(err, rc, "--gateway.listen-address");
	}
	rc = check_limits(flags, err);
	if (rc < 0) {
		return rc;
	}
	const struct trust_identity_options identity = { .directory = flags->tls_directory,
		.metrics = process->metrics,
		.on_change = on_new_credentials,
		.on_denied = on_denied,
		.context = process };
	rc = trust_identity_open(process->loop, &identity, &process->identity, err);
	if (rc < 0) {
		return err_wrap(err, rc, "--tls.directory");
	}
	const struct gateway_options options = {
		.config_file = flags->config_file,
		.exports_directory = flags->exports_directory,
		.hubs_directory = flags->hubs_directory,
		.host = host,
		.port = port,
		.connections_max = (size_t)flags->connections_max,
		.connections_per_peer_max = (size_t)flags->connections_per_peer_max,
		.tls = trust_identity_slot(process->identity),
		.denied = trust_identity_denied(process->identity),
		.identity = trust_identity_name(process->identity),
		.metrics = process->metrics,
	};
	rc = gateway_open(process->loop, &options, &process->gateway, err);
	if (rc == 0) {
		on_new_credentials(process);
		log_info("gateway listening", KV("identity", options.identity), KV("host", host),
			KV_INT("port", gateway_port(process->gateway)));
	}
	return rc;
}

/* Tokens and what they let in do not go over a network in the clear. */
static bool is_loopback(const char *host) {
	return strncmp(host, "127.", 4) == 0 || strcmp(host, "::1") == 0 ||
	       strcmp(host, "localhost") == 0;
}

static int add_api(struct gateway_process *process, const char *host, struct err *err) {
	const struct gateway_flags *flags = process->flags;
	if (!flags->token_file) {
		return 0;
	}
	if (!flags->exports_directory) {
		return err_set(err, ERR_INVAL,
			"--exports.token-file needs --exports.directory, where exports are put");
	}
	if (!is_loopback(host)) {
		return err_set(err, ERR_INVAL,
			"\"%s\" is not a loopback address, as --exports.token-file needs", host);
	}
	if (!path_exists(flags->token_file)) {
		return err_set(
			err, ERR_IO, "--exports.token-file %s does not exist", flags->token_file);
	}
	gateway_register_api(process->gateway, flags->token_file, process->router);
	return 0;
}

static int open_admin(struct gateway_process *process, struct err *err) {
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
		router_add(process->router, "GET", "/metrics", serve_metrics, process);
		router_add(process->router, "GET", "/-/healthy", serve_healthy, process);
		router_add(process->router, "GET", "/-/ready", serve_ready, process);
		gateway_register_status(process->gateway, process->identity, process->router);
		rc = add_api(process, host, err);
	}
	if (rc == 0) {
		rc = http_server_open(process->loop, &options, &process->admin, err);
	}
	return rc < 0 ? err_wrap(err, rc, "--web.listen-address") : 0;
}

/*
 * What a handshake needs for a moment goes back to the system whole instead of leaving holes
 * between what its connection keeps; and a buffer that is never filled takes no memory.
 */
static void give_back_large_blocks(void) {
#ifdef __GLIBC__
	(void)mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK_BYTES);
#endif
}

static int open_all(struct gateway_process *process, struct err *err) {
	enum log_level level = LOG_INFO;
	if (!log_parse_level(str_of(process->flags->log_level), &level)) {
		return err_set(err, ERR_INVAL,
			"--log.level: \"%s\" is none of debug, info, warn, error",
			process->flags->log_level);
	}
	log_set_level(level);
	give_back_large_blocks();
	(void)system_raise_file_limit();
	process->loop = loop_new(clock_system());
	process->metrics = metric_registry_new();
	metric_register_process(process->metrics);
	int rc = open_gateway(process, err);
	return rc == 0 ? open_admin(process, err) : rc;
}

/* Undoes what was opened, the newest first; fine after a failure half way. */
static void close_all(struct gateway_process *process) {
	if (process->admin) {
		http_server_close(process->admin);
	}
	gateway_close(process->gateway);
	trust_identity_close(process->identity);
	if (process->loop) {
		loop_free(process->loop);
	}
	if (process->router) {
		router_free(process->router);
	}
	if (process->metrics) {
		metric_registry_free(process->metrics);
	}
}

static int run(const void *config, char **args, size_t arg_count) {
	struct gateway_process process = { .flags = config };
	struct err err = { 0 };
	(void)args, (void)arg_count;
	log_set_role("gateway");
	int rc = open_all(&process, &err);
	if (rc == 0) {
		loop_on_signal(process.loop, SIGTERM, stop, &process);
		loop_on_signal(process.loop, SIGINT, stop, &process);
		loop_run(process.loop);
	} else {
		(void)fprintf(stderr, "atoll gateway: %s\n", err.text);
	}
	close_all(&process);
	return rc == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

const struct command gateway_command = {
	.name = "gateway",
	.summary = "let linked clusters read what this one exports, and nothing else",
	.description =
		"Peers come by HTTP/2 over mutual TLS and are known by their certificates. A "
		"request "
		"reaches a service only if the configuration file exports it to that identity, and "
		"only if it reads. Certificates and exports are reloaded when their files change.",
	.flags = rows,
	.flag_count = ARRAY_COUNT(rows),
	.config_size = sizeof(struct gateway_flags),
	.run = run,
};
