#include "mesh/gateway.h"

#include "base/check.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/memory.h"
#include "http/router.h"
#include "http/server.h"
#include "io/file.h"
#include "io/watch.h"
#include "mesh/answer.h"
#include "mesh/dialler.h"
#include "mesh/export_api.h"
#include "mesh/export_files.h"
#include "mesh/exports.h"
#include "mesh/failure.h"
#include "mesh/feed.h"
#include "mesh/hub_files.h"
#include "mesh/link_report.h"
#include "mesh/policy.h"
#include "mesh/proxy.h"
#include "mesh/refusal.h"

#include <stdlib.h>
#include <string.h>

#define CONFIG_BYTES_MAX ((size_t)4 * 1024 * 1024)
/* The gateway itself, among the names of exports. */
#define OWN_AUTHORITY STR("atoll")
#define CATALOGUE_PATH STR("/atoll/v1/catalogue")
#define DENIED_PATH STR("/atoll/v1/denied")
/* So that one peer, whatever becomes of it, does not take all 512 connections there are. */
#define DEFAULT_CONNECTIONS_PER_PEER_MAX 64
/* A request is a query: if it is not all here by then, it never will be. */
#define READ_TIMEOUT_MS 60000

struct gateway {
	struct loop *loop;
	char *config_file;
	char *identity;
	struct deny_set *deny_set; /* NULL: none. */
	struct tls_options tls;
	struct http_server *server;
	struct dialler *dialler; /* NULL before there is a server. */
	struct watch *watch;
	uint64_t seen;              /* Hash of the configuration read last, good or not. */
	struct buf config;          /* The last good one. */
	struct export_files *files; /* NULL: none. */
	struct watch *files_watch;
	struct hub_files *hub_files; /* NULL: none. */
	struct watch *hubs_watch;
	char *exports_directory;
	uint64_t files_complaints; /* Hash of what was wrong with them when last said. */
	struct export_api *api;
	struct exports *exports;
	struct export_state *states;
	struct export_metrics export_metrics;
	struct feed *feed;
	struct proxies proxies;
	struct refusals refusals;
	struct failures refused;          /* Peers. */
	const struct trust_identity *own; /* For the status; NULL: not served. */
	struct metric_family *denied;
	struct metric *config_success;
	struct metric *config_time;
	struct metric *files_success;
};

static void deny(struct gateway *gateway, struct exchange *exchange, int status, const char *reason,
	const char *sentence) {
	const char *const values[] = { reason };
	metric_inc(metric_child(gateway->denied, values));
	log_debug("request denied", KV("peer", exchange_identity(exchange)), KV("reason", reason),
		KV("why", sentence));
	answer_error(exchange, status, "denied", sentence);
}

/* Peers hand on the deny-lists that they know, and are answered with those known here. Whoever they
 * come from, they count for what their signer may say. */
static void serve_denied(struct gateway *gateway, struct exchange *exchange) {
	const struct http_request *request = exchange_request(exchange);
	AUTO(buf_deinit) struct buf lists = { 0 };
	struct err err = { 0 };
	int rc = deny_set_merge(gateway->deny_set, request->body, &err);
	if (rc == ERR_CORRUPT) {
		deny(gateway, exchange, 400, "body", err.text);
		return;
	}
	if (rc < 0) {
		log_warn("deny-lists of a peer not all taken",
			KV("peer", exchange_identity(exchange)), KV_ERR(&err));
	}
	deny_set_write(gateway->deny_set, &lists);
	exchange_respond_buf(exchange, 200, STR("text/plain"), &lists);
	gateway_denied_changed(gateway);
}

static void serve_own(struct gateway *gateway, struct exchange *exchange) {
	const struct http_request *request = exchange_request(exchange);
	if (gateway->deny_set && str_equal(request->path, DENIED_PATH) &&
		str_equal(request->method, STR("POST"))) {
		serve_denied(gateway, exchange);
	} else if (!str_equal(request->path, CATALOGUE_PATH)) {
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
	failures_note_refusal(
		&gateway->refused, clock_now_ms(loop_clock(gateway->loop)), peer_address, reason);
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

/* Says what is wrong with files of the exports' directory once, not at every look. */
static void complain(struct gateway *gateway, const struct buf *complaints) {
	uint64_t hash = complaints->len > 0 ? hash_str(buf_str(complaints), 1) : 0;
	if (hash != 0 && hash != gateway->files_complaints) {
		log_error("files of exports not used", KV_STR("err", buf_str(complaints)));
	}
	gateway->files_complaints = hash;
	metric_set(gateway->files_success, hash == 0);
}

/* Uses what a configuration says together with the directory's files; 'complaints' are theirs. */
static int combine(
	struct gateway *gateway, struct str config, struct buf *complaints, struct err *err) {
	struct exports *exports = NULL;
	int rc = exports_parse(config, &exports, err);
	if (rc < 0) {
		return err_wrap(err, rc, "%s", gateway->config_file);
	}
	if (gateway->files) {
		export_files_add(gateway->files, exports, complaints);
	}
	if (gateway->hub_files) {
		hub_files_add(gateway->hub_files, exports, complaints);
	}
	if (gateway->files || gateway->hub_files) {
		complain(gateway, complaints);
	}
	use_exports(gateway, exports);
	return 0;
}

/* Returns whether the directories' exports or hubs are other ones now. */
static bool look_at_files(struct gateway *gateway, struct buf *complaints) {
	bool has_exports = gateway->files && export_files_look(gateway->files, complaints);
	bool has_hubs = gateway->hub_files && hub_files_look(gateway->hub_files, complaints);
	return has_exports || has_hubs;
}

static void on_files(void *context) {
	struct gateway *gateway = context;
	AUTO(buf_deinit) struct buf complaints = { 0 };
	if (!look_at_files(gateway, &complaints)) {
		/* Two files may still want one name: that shows when they are put together. */
		if (complaints.len > 0) {
			complain(gateway, &complaints);
		}
		return;
	}
	struct err err = { 0 };
	int rc = combine(gateway, buf_str(&gateway->config), &complaints, &err);
	CHECK(rc == 0); /* It has been read before. */
	log_info("exports loaded", KV_INT("exports", gateway->exports->count),
		KV_INT("hubs", gateway->exports->hub_count));
}

/* Returns 1 if new exports are in use, 0 if the file is as it was. */
static int load(struct gateway *gateway, struct err *err) {
	AUTO(buf_deinit) struct buf complaints = { 0 };
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
	(void)look_at_files(gateway, &complaints);
	rc = combine(gateway, buf_str(&text), &complaints, err);
	if (rc < 0) {
		return rc;
	}
	buf_deinit(&gateway->config);
	gateway->config = text;
	text = (struct buf){ 0 };
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
	gateway->files_success = metric_single(metric_declare(metrics, METRIC_GAUGE,
		"atoll_gateway_export_files_successful",
		"Whether all files of the exports' directory, as they are now, are in use.", NULL));
	metric_set(gateway->files_success, 1);
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
	if (options->exports_directory) {
		gateway->exports_directory = strdup(options->exports_directory);
		CHECK(gateway->exports_directory);
		gateway->files = export_files_new(options->exports_directory);
	}
	if (options->hubs_directory) {
		gateway->hub_files = hub_files_new(options->hubs_directory);
	}
	gateway->tls = (struct tls_options){ .slot = options->tls, .alpn = protocols };
	declare_metrics(gateway, options->metrics);
	gateway->feed = feed_new(loop, options->metrics);
	gateway->deny_set = options->denied;
	if (gateway->deny_set) {
		feed_tell_denied(gateway->feed, deny_set_digest(gateway->deny_set));
	}
	gateway->refused.max = FAILURES_OF_LISTENER_MAX;
	gateway->proxies.loop = loop;
	gateway->proxies.fetcher = fetcher_new(loop);
	gateway->proxies.identity = gateway->identity;
	return gateway;
}

int gateway_open(struct loop *loop, const struct gateway_options *options, struct gateway **out,
	struct err *err) {
	struct gateway *gateway = make(loop, options);
	int rc = 0;
	if (options->exports_directory && !path_exists(options->exports_directory)) {
		rc = err_set(err, ERR_IO, "directory of exports %s does not exist",
			options->exports_directory);
	}
	if (rc == 0 && options->hubs_directory && !path_exists(options->hubs_directory)) {
		rc = err_set(err, ERR_IO, "directory of hubs %s does not exist",
			options->hubs_directory);
	}
	if (rc == 0) {
		rc = load(gateway, err);
	}
	if (rc > 0) {
		metric_set(gateway->config_success, 1);
		metric_set(gateway->config_time, (double)clock_now_ms(loop_clock(loop)) / MS_PER_S);
		const struct http_server_options server = {
			.host = options->host,
			.port = options->port,
			.tls = &gateway->tls,
			.handler = serve,
			.context = gateway,
			.connections_max = options->connections_max,
			.connections_per_peer_max = options->connections_per_peer_max > 0
							    ? options->connections_per_peer_max
							    : DEFAULT_CONNECTIONS_PER_PEER_MAX,
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
	if (gateway->files) {
		gateway->files_watch =
			watch_start(loop, gateway->exports_directory, 0, on_files, gateway);
	}
	if (gateway->hub_files) {
		gateway->hubs_watch =
			watch_start(loop, options->hubs_directory, 0, on_files, gateway);
	}
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
	if (gateway->files_watch) {
		watch_stop(gateway->files_watch);
	}
	export_api_free(gateway->api);
	if (gateway->hubs_watch) {
		watch_stop(gateway->hubs_watch);
	}
	export_files_free(gateway->files);
	hub_files_free(gateway->hub_files);
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
	buf_deinit(&gateway->config);
	failures_deinit(&gateway->refused);
	free(gateway->exports_directory);
	free(gateway->config_file);
	free(gateway->identity);
	free(gateway);
}

static struct exports *get_exports(void *context) {
	return ((struct gateway *)context)->exports;
}

void gateway_register_api(struct gateway *gateway, const char *token_file, struct router *router) {
	CHECK(gateway->files && !gateway->api);
	gateway->api = export_api_new(&(struct export_api_options){
		.loop = gateway->loop,
		.directory = gateway->exports_directory,
		.token_file = token_file,
		.exports = get_exports,
		.changed = on_files,
		.context = gateway,
	});
	export_api_register(gateway->api, router);
}

static void put_export(struct json_writer *writer, const struct exported *exported) {
	json_begin_object(writer);
	json_key(writer, STR("name"));
	json_put_str(writer, exported->name);
	json_key(writer, STR("kind"));
	json_put_str(writer, exported->kind);
	json_key(writer, STR("url"));
	json_put_str(writer, exported->url);
	json_end_object(writer);
}

static void serve_status(void *context, struct exchange *exchange, struct str param) {
	struct gateway *gateway = context;
	struct buf body = { 0 };
	struct json_writer writer;
	(void)param;
	json_writer_init(&writer, &body);
	status_begin(&writer, gateway->own, loop_clock(gateway->loop));
	json_key(&writer, STR("exports"));
	json_begin_array(&writer);
	for (size_t i = 0; i < gateway->exports->count; i++) {
		put_export(&writer, &gateway->exports->items[i]);
	}
	json_end_array(&writer);
	json_key(&writer, STR("hubs"));
	dialler_write(gateway->dialler, &writer);
	status_end(&writer);
	exchange_respond_buf(exchange, 200, STR("application/json"), &body);
}

static void serve_refusals(void *context, struct exchange *exchange, struct str param) {
	struct gateway *gateway = context;
	struct buf body = { 0 };
	struct json_writer writer;
	(void)param;
	json_writer_init(&writer, &body);
	status_begin(&writer, gateway->own, loop_clock(gateway->loop));
	json_key(&writer, STR("refusals"));
	failures_write(&gateway->refused, &writer);
	status_end(&writer);
	exchange_respond_buf(exchange, 200, STR("application/json"), &body);
}

void gateway_register_status(
	struct gateway *gateway, const struct trust_identity *identity, struct router *router) {
	CHECK(!gateway->own);
	gateway->own = identity;
	router_add(router, "GET", "/atoll/v1/status", serve_status, gateway);
	router_add(router, "GET", "/atoll/v1/refusals", serve_refusals, gateway);
}

uint16_t gateway_port(const struct gateway *gateway) {
	return http_server_port(gateway->server);
}

void gateway_set_trust(struct gateway *gateway, const struct trust_facts *facts) {
	feed_tell_trust(gateway->feed, facts);
}

static bool is_denied(void *context, const struct tls_peer *peer, struct err *why) {
	return deny_set_denies(context, peer->identity, peer->serial, peer->issuer_digest, why);
}

void gateway_denied_changed(struct gateway *gateway) {
	if (gateway->deny_set) {
		http_server_cut(gateway->server, is_denied, gateway->deny_set);
		feed_tell_denied(gateway->feed, deny_set_digest(gateway->deny_set));
	}
}
