/*
 * atoll hub: one Prometheus endpoint over all linked clusters.
 */
#include "cmd/hub.h"

#include "base/log.h"
#include "cmd/features.h"
#include "cmd/mirror_flags.h"
#include "cmd/web.h"
#include "http/router.h"
#include "hub/hub.h"
#include "io/file.h"
#include "io/system.h"
#include "mesh/trust_report.h"
#include "trust/identity.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#define HOST_MAX 256

struct hub_flags {
	struct flag_list listen;
	int64_t connections_max;
	const char *cors_origin;
	const char *links_directory;
	const char *links_listen;
	uint64_t window_bytes_max;
	const char *tls_directory;
	const char *cluster_label;
	int64_t cluster_timeout_ms;
	uint64_t answer_bytes_max;
	int64_t fragments_max;
	int64_t lookback_ms;
	int64_t subquery_step_ms;
	int64_t query_timeout_ms;
	int64_t query_concurrency;
	int64_t samples_max;
	uint64_t query_bytes_max;
	uint64_t process_bytes_max;
	struct flag_list features;
	struct mirror_flags mirror;
	const char *log_level;
};

#define ROW(kind, ...) FLAG_##kind##_ROW(struct hub_flags, __VA_ARGS__)

static const struct flag rows[] = {
	ROW(LIST, listen, "web.listen-address", "HOST:PORT", "127.0.0.1:9490",
		"Where to serve the page and the API; may be repeated."),
	ROW(INT, connections_max, "web.max-connections", "N", "512",
		"Most connections at once on each address."),
	ROW(TEXT, cors_origin, "web.cors.origin", "REGEX", ".*",
		"Origins that browsers may ask from."),
	ROW(TEXT, links_directory, "links.directory", "DIR", "links",
		"Link files, one *.yaml per cluster; watched."),
	ROW(TEXT, links_listen, "links.listen-address", "HOST:PORT", NULL,
		"Where gateways that dial come in, by mutual TLS. Default: nowhere."),
	ROW(BYTES, window_bytes_max, "links.max-window", "SIZE", "8MB",
		"How much of one answer may be under way on a long, fast link; 1MB to 512MB."),
	ROW(TEXT, tls_directory, "tls.directory", "DIR", "tls",
		"Our credentials: tls.crt, tls.key, ca.crt; watched."),
	ROW(TEXT, cluster_label, "hub.cluster-label", "NAME", "cluster",
		"The label that says which cluster a series is from."),
	ROW(DURATION, cluster_timeout_ms, "hub.cluster-timeout", "DURATION", "10s",
		"How long one cluster may take before it is missing from an answer."),
	ROW(BYTES, answer_bytes_max, "hub.max-answer-bytes", "SIZE", "256MB",
		"Largest answer of one cluster, decoded."),
	ROW(INT, fragments_max, "hub.max-fragments", "N", "20000",
		"Most requests to clusters that one query may need."),
	ROW(DURATION, lookback_ms, "query.lookback-delta", "DURATION", "5m",
		"How far an instant selector looks back."),
	ROW(DURATION, subquery_step_ms, "query.default-subquery-step", "DURATION", "1m",
		"The step of subqueries that give none, the same in every cluster."),
	ROW(DURATION, query_timeout_ms, "query.timeout", "DURATION", "2m",
		"How long a query may take."),
	ROW(INT, query_concurrency, "query.max-concurrency", "N", "20",
		"Queries that run at once; more wait."),
	ROW(INT, samples_max, "query.max-samples", "N", "50000000",
		"Most samples that one query may hold at once."),
	ROW(BYTES, query_bytes_max, "query.max-memory-per-query", "SIZE", "1GB",
		"Memory of one query."),
	ROW(BYTES, process_bytes_max, "query.max-memory", "SIZE", "4GB",
		"Memory of all queries together."),
	ROW(LIST, features, "enable-feature", "NAME,...", NULL,
		"Features of Prometheus to switch on, which every cluster asked must have too; may "
		"be repeated. Unknown ones are logged."),
	MIRROR_FLAG_ROWS(struct hub_flags, "off"),
	ROW(TEXT, log_level, "log.level", "LEVEL", "info", "debug, info, warn or error."),
};

/* Everything the process holds, in the order it is made. */
struct hub_process {
	const struct hub_flags *flags;
	struct features features;
	int64_t start_ms;
	struct loop *loop;
	struct metric_registry *metrics;
	struct pool *pool;
	struct engine *engine;
	struct trust_identity *identity;
	struct links *links;
	struct mirrors *mirrors; /* NULL: off. */
	struct link_transport transport;
	struct hub *hub;
	struct web *web;
};

static void get_runtime(void *context, struct api_runtime *out) {
	const struct hub_process *process = context;
	*out = (struct api_runtime){ .start_ms = process->start_ms,
		.reload_success = true,
		.last_config_ms = process->start_ms };
}

static void stop(void *context) {
	struct hub_process *process = context;
	log_info("stopping");
	loop_stop(process->loop);
}

/* A gateway that refused the old certificate may like the new one. */
static void on_new_credentials(void *context) {
	struct hub_process *process = context;
	if (process->links) {
		links_retry(process->links);
	}
}

static void on_links(void *context) {
	struct hub_process *process = context;
	if (process->mirrors) {
		mirrors_update(process->mirrors);
	}
}

static void on_denied(void *context) {
	struct hub_process *process = context;
	if (process->links) {
		links_denied_changed(process->links);
	}
}

static int listen_for_gateways(struct hub_process *process, struct err *err) {
	char host[HOST_MAX];
	uint16_t port = 0;
	int rc = web_parse_address(process->flags->links_listen, host, sizeof(host), &port, err);
	if (rc == 0) {
		rc = links_listen(process->links, host, port, err);
	}
	if (rc < 0) {
		return err_wrap(err, rc, "--links.listen-address");
	}
	log_info("listening for gateways that dial", KV("host", host),
		KV_INT("port", links_port(process->links)));
	return 0;
}

static int open_links(struct hub_process *process, struct err *err) {
	const struct hub_flags *flags = process->flags;
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

static int open_mirrors(struct hub_process *process, struct err *err) {
	struct mirrors_options options = { .cluster_label = process->flags->cluster_label,
		.links = process->links,
		.metrics = process->metrics };
	int rc = mirror_flags_read(&process->flags->mirror, &options, err);
	if (rc <= 0) {
		return rc;
	}
	(void)system_raise_file_limit();
	rc = mirrors_new(process->loop, &options, &process->mirrors, err);
	return rc < 0 ? err_wrap(err, rc, "--mirror.directory") : 0;
}

static void make_hub(struct hub_process *process) {
	const struct hub_flags *flags = process->flags;
	struct engine_options engine = { .lookback_ms = flags->lookback_ms,
		.default_subquery_step_ms = flags->subquery_step_ms,
		.samples_max = (uint64_t)flags->samples_max,
		.query_bytes_max = flags->query_bytes_max,
		.process_bytes_max = flags->process_bytes_max };
	process->features = features_read(&flags->features);
	if (process->features.delayed_name_removal) {
		/* Those of the clusters would be gone before our part of a query. */
		log_warn("names are removed at once over clusters: a hub cannot delay it",
			KV("option", "promql-delayed-name-removal"));
	}
	engine.parse = process->features.parse;
	engine.use_start_timestamps = process->features.use_start_timestamps;
	process->engine = engine_new(&engine, clock_system());
	link_transport_init(&process->transport, process->links);
	const struct hub_options hub = {
		.transport = &process->transport.transport,
		.engine = process->engine,
		.clock = clock_system(),
		.metrics = process->metrics,
		.pool = process->pool,
		.cluster_label = flags->cluster_label,
		.cluster_timeout_ms = flags->cluster_timeout_ms,
		.answer_bytes_max = flags->answer_bytes_max,
		.fragments_max = (size_t)flags->fragments_max,
	};
	process->hub = hub_new(&hub);
}

static void serve_trust(void *context, struct exchange *exchange, struct str param) {
	struct hub_process *process = context;
	struct buf body = { 0 };
	(void)param;
	trust_report_write(process->links, str_of(trust_identity_name(process->identity)),
		trust_identity_facts(process->identity), &body);
	exchange_respond_buf(exchange, 200, STR("application/json"), &body);
}

static int open_web(struct hub_process *process, struct err *err) {
	const struct hub_flags *flags = process->flags;
	const struct web_options web = {
		.listen = &flags->listen,
		.connections_max = flags->connections_max,
		.cors_origin = flags->cors_origin,
		.query_timeout_ms = flags->query_timeout_ms,
		.parse = process->features.parse,
		.per_step_stats = process->features.per_step_stats,
		.source = hub_source(process->hub),
		.engine = process->engine,
		.pool = process->pool,
		.metrics = process->metrics,
		.command = &hub_command,
		.config = flags,
		.runtime = get_runtime,
		.context = process,
	};
	int rc = web_new(&web, &process->web, err);
	if (rc < 0) {
		return rc;
	}
	hub_register(process->hub, web_router(process->web));
	if (process->mirrors) {
		mirrors_register(process->mirrors, web_router(process->web));
	}
	links_register(process->links, process->identity, web_router(process->web));
	router_add(web_router(process->web), "GET", "/api/v1/atoll/trust", serve_trust, process);
	rc = web_listen(process->web, process->loop, err);
	if (rc == 0) {
		web_set_ready(process->web, true);
	}
	return rc;
}

static int check_flags(const struct hub_flags *flags, struct err *err) {
	enum log_level level = LOG_INFO;
	if (!log_parse_level(str_of(flags->log_level), &level)) {
		return err_set(err, ERR_INVAL,
			"--log.level: \"%s\" is none of debug, info, warn, error",
			flags->log_level);
	}
	log_set_level(level);
	if (!label_name_is_legacy(str_of(flags->cluster_label))) {
		return err_set(err, ERR_INVAL, "--hub.cluster-label: \"%s\" is not a label name",
			flags->cluster_label);
	}
	if (flags->query_concurrency < 1 || flags->query_concurrency > 10000 ||
		flags->subquery_step_ms < 1 || flags->fragments_max < 1 ||
		flags->cluster_timeout_ms < 1) {
		return err_set(err, ERR_INVAL,
			"--query.max-concurrency must be 1 to 10000; "
			"--query.default-subquery-step, "
			"--hub.max-fragments and --hub.cluster-timeout more than 0");
	}
	return 0;
}

static int open_all(struct hub_process *process, struct err *err) {
	int rc = check_flags(process->flags, err);
	if (rc < 0) {
		return rc;
	}
	process->start_ms = clock_now_ms(clock_system());
	process->loop = loop_new(clock_system());
	process->metrics = metric_registry_new();
	metric_register_process(process->metrics);
	process->pool = pool_new("query", THREAD_QUERY, (size_t)process->flags->query_concurrency,
		(size_t)process->flags->query_concurrency * 50);
	rc = open_links(process, err);
	if (rc == 0) {
		rc = open_mirrors(process, err);
	}
	if (rc < 0) {
		return rc;
	}
	make_hub(process);
	return open_web(process, err);
}

/* Undoes what was opened, the newest first; fine after a failure half way. */
static void close_all(struct hub_process *process) {
	if (process->web) {
		web_close(process->web);
	}
	mirrors_free(process->mirrors);
	process->mirrors = NULL;
	if (process->links) {
		links_free(process->links);
	}
	if (process->pool) {
		pool_free(process->pool);
	}
	if (process->loop) {
		/* What queries handed back before the pool ended. */
		loop_run_once(process->loop);
	}
	web_free(process->web);
	if (process->hub) {
		hub_free(process->hub);
	}
	if (process->engine) {
		engine_free(process->engine);
	}
	if (process->identity) {
		trust_identity_close(process->identity);
	}
	if (process->loop) {
		loop_free(process->loop);
	}
	if (process->metrics) {
		metric_registry_free(process->metrics);
	}
}

static int run(const void *config, char **args, size_t arg_count) {
	struct hub_process process = { .flags = config };
	struct err err = { 0 };
	(void)args, (void)arg_count;
	log_set_role("hub");
	int rc = open_all(&process, &err);
	if (rc == 0) {
		loop_on_signal(process.loop, SIGTERM, stop, &process);
		loop_on_signal(process.loop, SIGINT, stop, &process);
		loop_run(process.loop);
	} else {
		(void)fprintf(stderr, "atoll hub: %s\n", err.text);
	}
	close_all(&process);
	return rc == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

const struct command hub_command = {
	.name = "hub",
	.summary = "one Prometheus endpoint and web page over all linked clusters",
	.description = "Serves the Prometheus HTTP API over every cluster that a link file names. "
		       "Nothing is "
		       "copied here: a query asks each cluster for what the answer needs, over "
		       "mutual TLS.",
	.flags = rows,
	.flag_count = ARRAY_COUNT(rows),
	.config_size = sizeof(struct hub_flags),
	.run = run,
};
