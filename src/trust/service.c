#include "trust/service.h"

#include "base/check.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/rand.h"
#include "http/server.h"
#include "trust/authority.h"
#include "trust/certificate.h"
#include "trust/identity.h"
#include "trust/request.h"
#include "trust/token.h"

#include <stdlib.h>
#include <string.h>

#define CONTENT_TYPE STR("application/x-pem-file")
/* Requests of one address: so many at once, and so many more a second. */
#define BURST 20
#define PER_S 2
/* Addresses that are told apart; those that meet in one slot share it. */
#define SLOTS 1024
#define READ_TIMEOUT_MS 10000
#define BEARER STR("Bearer ")
/* Of a body: deny-lists, from who has a certificate; other requests have REQUEST_BYTES_MAX. */
#define BODY_BYTES_MAX ((size_t)256 * 1024)

struct slot {
	double left;
	int64_t filled_ns;
};

struct trust_service {
	struct loop *loop;
	char *issuer_directory;
	char *token_directory;
	int64_t lifetime_ms;
	struct tls_options tls;
	struct deny_set *denied;
	struct http_server *server;
	struct metric_family *outcomes;
	uint64_t seed; /* So that nobody can choose whose slot to share. */
	struct slot slots[SLOTS];
};

static void refuse(struct trust_service *service, struct exchange *exchange, int status,
	const char *outcome, const struct err *err) {
	const char *const values[] = { outcome };
	metric_inc(metric_child(service->outcomes, values));
	log_info("request refused", KV("peer", exchange_peer_address(exchange)),
		KV("reason", outcome), KV_ERR(err));
	AUTO(buf_deinit) struct buf text = { 0 };
	buf_printf(&text, "%s\n", err->text);
	exchange_respond_text(exchange, status, buf_text(&text));
}

/* The address without the port. */
static bool may_ask(struct trust_service *service, const struct exchange *exchange) {
	const char *address = exchange_peer_address(exchange);
	const char *colon = strrchr(address, ':');
	struct str host = { address, colon ? (size_t)(colon - address) : strlen(address) };
	struct slot *slot = &service->slots[hash_str(host, service->seed) % SLOTS];
	int64_t now_ns = loop_now_ns(service->loop);
	slot->left += (double)(now_ns - slot->filled_ns) / NS_PER_S * PER_S;
	slot->filled_ns = now_ns;
	if (slot->left > BURST) {
		slot->left = BURST;
	}
	if (slot->left < 1) {
		return false;
	}
	slot->left -= 1;
	return true;
}

/* What a request asks for. */
struct wish {
	EVP_PKEY *key;
	char identity[IDENTITY_LEN_MAX + 1];
};

static void wish_deinit(struct wish *wish) {
	EVP_PKEY_free(wish->key);
}

static int sign(
	struct trust_service *service, const struct wish *wish, struct buf *out, struct err *err) {
	struct authority *issuer = NULL;
	int rc = authority_load(service->issuer_directory, &issuer, err);
	if (rc == 0) {
		rc = authority_sign_key(issuer, str_of(wish->identity), wish->key,
			service->lifetime_ms, loop_clock(service->loop), out, err);
	}
	if (rc == 0) {
		buf_add_str(out, authority_anchors(issuer));
	}
	authority_free(issuer);
	return rc;
}

static void respond(
	struct trust_service *service, struct exchange *exchange, const struct wish *wish) {
	AUTO(buf_deinit) struct buf chain = { 0 };
	struct err err = { 0 };
	int rc = sign(service, wish, &chain, &err);
	if (rc < 0) {
		bool is_theirs = rc == ERR_DENIED || rc == ERR_INVAL;
		refuse(service, exchange, is_theirs ? 403 : 500, is_theirs ? "denied" : "failed",
			&err);
		return;
	}
	const char *const values[] = { "ok" };
	metric_inc(metric_child(service->outcomes, values));
	log_info("certificate signed", KV("identity", wish->identity),
		KV("peer", exchange_peer_address(exchange)));
	exchange_respond(exchange, 200, CONTENT_TYPE, buf_str(&chain));
}

static void join(
	struct trust_service *service, struct exchange *exchange, const struct wish *wish) {
	const struct http_request *request = exchange_request(exchange);
	struct str token = http_headers_get(&request->headers, STR("authorization"));
	char identity[IDENTITY_LEN_MAX + 1];
	struct err err = { 0 };
	int rc = 0;
	if (!str_starts(token, BEARER)) {
		(void)err_set(&err, ERR_DENIED, "no token: send \"Authorization: Bearer TOKEN\"");
		refuse(service, exchange, 401, "token", &err);
		return;
	}
	rc = token_redeem(service->token_directory, str_from(token, BEARER.len),
		loop_clock(service->loop), identity, sizeof(identity), &err);
	if (rc < 0) {
		refuse(service, exchange, 403, "token", &err);
		return;
	}
	if (strcmp(identity, wish->identity) != 0) {
		(void)err_set(&err, ERR_DENIED,
			"the token is for another name than the request; it is used up");
		refuse(service, exchange, 403, "name", &err);
		return;
	}
	respond(service, exchange, wish);
}

static void renew(
	struct trust_service *service, struct exchange *exchange, const struct wish *wish) {
	struct err err = { 0 };
	if (strcmp(exchange_identity(exchange), wish->identity) != 0) {
		(void)err_set(&err, ERR_DENIED,
			"a certificate is renewed by who presents the current one of that name");
		refuse(service, exchange, 403, "name", &err);
		return;
	}
	respond(service, exchange, wish);
}

static void serve_trust(struct trust_service *service, struct exchange *exchange) {
	AUTO(buf_deinit) struct buf text = { 0 };
	struct authority *issuer = NULL;
	struct err err = { 0 };
	char digest[65];
	int rc = authority_load_certificate(service->issuer_directory, &issuer, &err);
	if (rc == 0) {
		rc = certificates_digest(authority_anchors(issuer), digest, &err);
	}
	authority_free(issuer);
	if (rc < 0) {
		refuse(service, exchange, 500, "failed", &err);
		return;
	}
	buf_printf(&text, "anchors %s\ndenied %016llx\n", digest,
		(unsigned long long)deny_set_digest(service->denied));
	exchange_respond_text(exchange, 200, buf_text(&text));
}

static void serve_denied(struct trust_service *service, struct exchange *exchange) {
	AUTO(buf_deinit) struct buf lists = { 0 };
	struct err err = { 0 };
	int rc = deny_set_merge(service->denied, exchange_request(exchange)->body, &err);
	if (rc == ERR_CORRUPT) {
		refuse(service, exchange, 400, "request", &err);
		return;
	}
	if (rc < 0) {
		log_warn("deny-lists of a peer not all taken",
			KV("peer", exchange_identity(exchange)), KV_ERR(&err));
	}
	deny_set_write(service->denied, &lists);
	exchange_respond_buf(exchange, 200, STR("text/plain"), &lists);
	trust_service_denied_changed(service);
}

/* Requests for certificates. */
static void serve_signing(struct trust_service *service, struct exchange *exchange, bool is_join) {
	const struct http_request *request = exchange_request(exchange);
	AUTO(wish_deinit) struct wish wish = { 0 };
	struct err err = { 0 };
	if (!may_ask(service, exchange)) {
		(void)err_set(
			&err, ERR_LIMIT, "too many requests from this address; wait a little");
		refuse(service, exchange, 429, "limit", &err);
	} else if (request->body.len > REQUEST_BYTES_MAX) {
		(void)err_set(&err, ERR_LIMIT, "a request for a certificate has at most %d bytes",
			(int)REQUEST_BYTES_MAX);
		refuse(service, exchange, 413, "limit", &err);
	} else if (request_parse(request->body, &wish.key, wish.identity, sizeof(wish.identity),
			   &err) < 0) {
		refuse(service, exchange, 400, "request", &err);
	} else if (is_join) {
		join(service, exchange, &wish);
	} else {
		renew(service, exchange, &wish);
	}
}

struct route {
	struct str path;
	struct str method;
	bool is_for_peers; /* Only who presents a certificate. */
	void (*serve)(struct trust_service *service, struct exchange *exchange);
};

static void serve_join(struct trust_service *service, struct exchange *exchange) {
	serve_signing(service, exchange, true);
}

static void serve_renew(struct trust_service *service, struct exchange *exchange) {
	serve_signing(service, exchange, false);
}

static const struct route routes[] = {
	{ STR("/v1/join"), STR("POST"), false, serve_join },
	{ STR("/v1/renew"), STR("POST"), false, serve_renew },
	{ STR("/v1/trust"), STR("GET"), true, serve_trust },
	{ STR("/v1/denied"), STR("POST"), true, serve_denied },
};

static void serve(void *context, struct exchange *exchange) {
	struct trust_service *service = context;
	const struct http_request *request = exchange_request(exchange);
	struct err err = { 0 };
	size_t i = 0;
	while (i < ARRAY_COUNT(routes) && !str_equal(request->path, routes[i].path)) {
		i++;
	}
	if (i == ARRAY_COUNT(routes)) {
		(void)err_set(
			&err, ERR_INVAL, "there are /v1/join, /v1/renew, /v1/trust and /v1/denied");
		refuse(service, exchange, 404, "path", &err);
	} else if (!str_equal(request->method, routes[i].method)) {
		(void)err_set(&err, ERR_INVAL, "use %.*s", STR_ARG(routes[i].method));
		refuse(service, exchange, 405, "path", &err);
	} else if (routes[i].is_for_peers && !exchange_identity(exchange)[0]) {
		(void)err_set(&err, ERR_DENIED, "this is for who presents a certificate");
		refuse(service, exchange, 401, "name", &err);
	} else {
		routes[i].serve(service, exchange);
	}
}

static struct trust_service *make(struct loop *loop, const struct trust_service_options *options) {
	static const char *const protocols[] = { "h2", "http/1.1", NULL };
	static const char *const labels[] = { "outcome", NULL };
	struct trust_service *service = MEMORY_NEW(struct trust_service, 1);
	service->loop = loop;
	service->issuer_directory = strdup(options->issuer_directory);
	service->token_directory = strdup(options->token_directory);
	CHECK(service->issuer_directory && service->token_directory);
	service->lifetime_ms = options->lifetime_ms;
	service->tls = (struct tls_options){
		.slot = options->tls, .alpn = protocols, .admits_anonymous = true
	};
	service->denied = options->denied;
	rand_secure(&service->seed, sizeof(service->seed));
	service->outcomes =
		metric_declare(options->metrics, METRIC_COUNTER, "atoll_trust_requests_total",
			"Requests for certificates, by how they ended.", labels);
	return service;
}

int trust_service_open(struct loop *loop, const struct trust_service_options *options,
	struct trust_service **out, struct err *err) {
	struct authority *issuer = NULL;
	int rc = authority_load(options->issuer_directory, &issuer, err);
	if (rc == 0 && !authority_is_issuer(issuer)) {
		rc = err_set(err, ERR_DENIED, "%s holds a trust anchor, not an issuer",
			options->issuer_directory);
	}
	authority_free(issuer);
	if (rc < 0) {
		return rc;
	}
	struct trust_service *service = make(loop, options);
	const struct http_server_options server = {
		.host = options->host,
		.port = options->port,
		.tls = &service->tls,
		.handler = serve,
		.context = service,
		.body_bytes_max = BODY_BYTES_MAX,
		.read_timeout_ms = READ_TIMEOUT_MS,
		.idle_timeout_ms = READ_TIMEOUT_MS,
		.metrics = options->metrics,
	};
	rc = http_server_open(loop, &server, &service->server, err);
	if (rc < 0) {
		trust_service_close(service);
		return rc;
	}
	*out = service;
	return 0;
}

void trust_service_close(struct trust_service *service) {
	if (!service) {
		return;
	}
	if (service->server) {
		http_server_close(service->server);
	}
	free(service->issuer_directory);
	free(service->token_directory);
	free(service);
}

static bool is_denied(void *context, const struct tls_peer *peer, struct err *why) {
	return deny_set_denies(context, peer->identity, peer->serial, peer->issuer_digest, why);
}

void trust_service_denied_changed(struct trust_service *service) {
	http_server_cut(service->server, is_denied, service->denied);
}

uint16_t trust_service_port(const struct trust_service *service) {
	return http_server_port(service->server);
}
