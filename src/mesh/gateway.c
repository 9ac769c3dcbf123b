#include "mesh/gateway.h"

#include "base/check.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/memory.h"
#include "http/server.h"
#include "io/file.h"
#include "io/watch.h"
#include "mesh/answer.h"
#include "mesh/dialler.h"
#include "mesh/exports.h"
#include "mesh/feed.h"
#include "mesh/policy.h"
#include "mesh/proxy.h"
#include "mesh/refusal.h"

#include <stdlib.h>
#include <string.h>

#define CONFIG_BYTES_MAX ((size_t)4 * 1024 * 1024)
/* The gateway itself, among the names of exports. */
#define OWN_AUTHORITY STR("atoll")
#define CATALOGUE_PATH STR("/atoll/v1/catalogue")
/* So that one peer, whatever becomes of it, does not take all 512 connections there are. */
#define CONNECTIONS_PER_PEER_MAX 64
/* A request is a query: if it is not all here by then, it never will be. */
#define READ_TIMEOUT_MS 60000

struct gateway {
	struct loop *loop;
	char *config_file;
	char *identity;
	struct tls_options tls;
	struct http_server *server;
	struct dialler *dialler; /* NULL before there is a server. */
	struct watch *watch;
	uint64_t seen; /* Hash of the configuration read last, good or not. */
	struct exports *exports;
	struct export_state *states;
	struct export_metrics export_metrics;
	struct feed *feed;
	struct proxies proxies;
	struct refusals refusals;
	struct metric_family *denied;
	struct metric *config_success;
	struct metric *config_time;
};

static void deny(struct gateway *gateway, struct exchange *exchange, int status, const char *reason,
	const char *sentence) {
	const char *const values[] = { reason };
	metric_inc(metric_child(gateway->denied, values));
	log_debug("request denied", KV("peer", exchange_identity(exchange)), KV("reason", reason),
		KV("why", sentence));
	answer_error(exchange, status, "denied", sentence);
}

static void serve_own(struct gateway *gateway, struct exchange *exchange) {
	const struct http_request *request = exchange_request(exchange);
	if (!str_equal(request->path, CATALOGUE_PATH)) {
		deny(gateway, exchange, 404, "path", "the gateway serves /atoll/v1/catalogue only");
	} else if (!str_equal(request->method, STR("GET"))) {
		deny(gateway, exchange, 405, "method", "the catalogue is read by GET");
	} else {
		feed_serve(gateway->feed, exchange);
	}
}

/* The same answer whether there is no such export or it is not for this peer: names are not given
 * away. */
static void deny_export(struct gateway *gateway, struct exchange *exchange, const char *reason) {
	struct err err = { 0 };
	(void)err_set(&err, ERR_DENIED, "no export \"%.*s\" for %s here",
		STR_ARG(str_first(exchange_request(exchange)->authority, 100)),
		exchange_identity(exchange));
	deny(gateway, exchange, 403, reason, err.text);
}

static int verdict_status(enum verdict verdict) {
	return verdict == VERDICT_METHOD ? 405 : verdict == VERDICT_BODY ? 415 : 403;
}

/* Checks a request against its export's rules and limits. Returns whether it may go on. */
static bool pass_rules(struct gateway *gateway, struct exchange *exchange,
	const struct exported *exported, const struct export_state *state) {
	const struct http_request *request = exchange_request(exchange);
	const struct export_limits *limits = &exported->limits;
	struct err err = { 0 };
	enum verdict verdict = prometheus_policy(request, &err);
	if (verdict != VERDICT_ALLOW) {
		deny(gateway, exchange, verdict_status(verdict), verdict_name(verdict), err.text);
		return false;
	}
	if (request->body.len > limits->request_bytes) {
		(void)err_set(&err, ERR_LIMIT,
			"a body of %zu bytes, limits.request_bytes of export \"%.*s\" is %llu",
			request->body.len, STR_ARG(exported->name),
			(unsigned long long)limits->request_bytes);
		deny(gateway, exchange, 413, "request_bytes", err.text);
		return false;
	}
	if (state->in_flight >= limits->concurrency) {
		(void)err_set(&err, ERR_LIMIT,
			"export \"%.*s\" has %llu requests under way, as many as "
			"limits.concurrency "
			"allows; try again",
			STR_ARG(exported->name), (unsigned long long)state->in_flight);
		deny(gateway, exchange, 503, "concurrency", err.text);
		return false;
	}
	return true;
}

static void serve(void *context, struct exchange *exchange) {
	struct gateway *gateway = context;
	const struct http_request *request = exchange_request(exchange);
	const char *peer = exchange_identity(exchange);
	if (strcmp(peer, gateway->identity) == 0 || proxy_is_loop(request, gateway->identity)) {
		deny(gateway, exchange, 508, "loop",
			"the request has been through this gateway before");
		return;
	}
	if (str_equal(request->authority, OWN_AUTHORITY)) {
		serve_own(gateway, exchange);
		return;
	}
	const struct exported *exported = exports_find(gateway->exports, request->authority);
	if (!exported) {
		deny_export(gateway, exchange, "export");
		return;
	}
	if (!exported_allows(exported, str_of(peer))) {
		deny_export(gateway, exchange, "identity");
		return;
	}
	struct export_state *state =
		export_states_get(&gateway->states, &gateway->export_metrics, exported->name);
	if (pass_rules(gateway, exchange, exported, state)) {
		proxy_start(&gateway->proxies, exchange, gateway->exports, exported, state);
	}
}

static void on_refuse(void *context, const char *peer_address, const struct err *reason) {
	struct gateway *gateway = context;
	refusals_tell(&gateway->refusals, loop_now_ns(gateway->loop), peer_address, reason);
}

static void use_exports(struct gateway *gateway, struct exports *exports) {
	exports_unref(gateway->exports);
	gateway->exports = exports;
	for (struct export_state *state = gateway->states; state; state = state->next) {
		state->is_listed = false;
	}
	for (size_t i = 0; i < exports->count; i++) {
		export_states_get(
			&gateway->states, &gateway->export_metrics, exports->items[i].name)
			->is_listed = true;
	}
	export_states_sweep(&gateway->states);
	feed_publish(gateway->feed, exports);
	if (gateway->dialler) {
		dialler_use(gateway->dialler, exports);
	}
}

/* Returns 1 if new exports are in use, 0 if the file is as it was. */
static int load(struct gateway *gateway, struct err *err) {
	AUTO(buf_deinit) struct buf text = { 0 };
	int rc = file_read(gateway->config_file, CONFIG_BYTES_MAX, &text, err);
	if (rc < 0) {
		return rc;
	}
	uint64_t hash = hash_str(buf_str(&text), 1);
	if (hash == gateway->seen) {
		return 0;
	}
	gateway->seen = hash;
	struct exports *exports = NULL;
	rc = exports_parse(buf_str(&text), &exports, err);
	if (rc < 0) {
		return err_wrap(err, rc, "%s", gateway->config_file);
	}
	use_exports(gateway, exports);
	return 1;
}

static void on_change(void *context) {
	struct gateway *gateway = context;
	struct err err = { 0 };
	int rc = load(gateway, &err);
	if (rc < 0) {
		log_error("configuration not loaded, the last good one stays", KV_ERR(&err));
		metric_set(gateway->config_success, 0);
	} else if (rc > 0) {
		log_info("configuration loaded", KV("file", gateway->config_file),
			KV_INT("exports", gateway->exports->count));
		metric_set(gateway->config_success, 1);
		metric_set(gateway->config_time,
			(double)clock_now_ms(loop_clock(gateway->loop)) / MS_PER_S);
	}
}

static void declare_metrics(struct gateway *gateway, struct metric_registry *metrics) {
	static const char *const reason_labels[] = { "reason", NULL };
	export_metrics_init(&gateway->export_metrics, metrics);
	refusals_init(&gateway->refusals,
		metric_declare(metrics, METRIC_COUNTER, "atoll_gateway_refused_total",
			"Peers that were not let in, by why.", reason_labels),
		loop_now_ns(gateway->loop));
	gateway->denied = metric_declare(metrics, METRIC_COUNTER, "atoll_gateway_denied_total",
		"Requests of peers that were let in but not passed on, by why.", reason_labels);
	gateway->config_success = metric_single(
		metric_declare(metrics, METRIC_GAUGE, "atoll_gateway_config_last_reload_successful",
			"Whether the configuration file, as it is now, is in use.", NULL));
	gateway->config_time = metric_single(metric_declare(metrics, METRIC_GAUGE,
		"atoll_gateway_config_last_reload_success_timestamp_seconds",
		"When the configuration in use was loaded.", NULL));
}

static struct gateway *make(struct loop *loop, const struct gateway_options *options) {
	static const char *const protocols[] = { "h2", NULL };
	struct gateway *gateway = MEMORY_NEW(struct gateway, 1);
	gateway->loop = loop;
	gateway->config_file = strdup(options->config_file);
	gateway->identity = strdup(options->identity);
	CHECK(gateway->config_file && gateway->identity);
	gateway->tls = (struct tls_options){ .slot = options->tls, .alpn = protocols };
	declare_metrics(gateway, options->metrics);
	gateway->feed = feed_new(loop, options->metrics);
	gateway->proxies.loop = loop;
	gateway->proxies.fetcher = fetcher_new(loop);
	gateway->proxies.identity = gateway->identity;
	return gateway;
}

int gateway_open(struct loop *loop, const struct gateway_options *options, struct gateway **out,
	struct err *err) {
	struct gateway *gateway = make(loop, options);
	int rc = load(gateway, err);
	if (rc > 0) {
		metric_set(gateway->config_success, 1);
		metric_set(gateway->config_time, (double)clock_now_ms(loop_clock(loop)) / MS_PER_S);
		const struct http_server_options server = {
			.host = options->host,
			.port = options->port,
			.tls = &gateway->tls,
			.handler = serve,
			.context = gateway,
			.connections_per_peer_max = CONNECTIONS_PER_PEER_MAX,
			.read_timeout_ms = READ_TIMEOUT_MS,
			.metrics = options->metrics,
			.on_refuse = on_refuse,
		};
		rc = http_server_open(loop, &server, &gateway->server, err);
	}
	if (rc < 0) {
		gateway_close(gateway);
		return rc;
	}
	gateway->dialler = dialler_new(loop, &(struct dialler_options){
						     .server = gateway->server,
						     .tls = options->tls,
						     .metrics = options->metrics,
					     });
	dialler_use(gateway->dialler, gateway->exports);
	gateway->watch = watch_start(loop, gateway->config_file, 0, on_change, gateway);
	*out = gateway;
	return 0;
}

void gateway_close(struct gateway *gateway) {
	if (!gateway) {
		return;
	}
	if (gateway->watch) {
		watch_stop(gateway->watch);
	}
	proxies_stop(&gateway->proxies);
	feed_free(gateway->feed);
	if (gateway->server) {
		http_server_close(gateway->server);
	}
	dialler_free(gateway->dialler);
	fetcher_free(gateway->proxies.fetcher);
	for (struct export_state *state = gateway->states; state; state = state->next) {
		state->is_listed = false;
	}
	export_states_sweep(&gateway->states);
	exports_unref(gateway->exports);
	free(gateway->config_file);
	free(gateway->identity);
	free(gateway);
}

uint16_t gateway_port(const struct gateway *gateway) {
	return http_server_port(gateway->server);
}

void gateway_set_trust(struct gateway *gateway, const struct trust_facts *facts) {
	feed_tell_trust(gateway->feed, facts);
}
