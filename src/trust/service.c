#include "trust/service.h"

#include "base/check.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/rand.h"
#include "http/server.h"
#include "trust/authority.h"
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
	struct http_server *server;
	struct metric_family *outcomes;
	uint64_t seed; /* So that nobody can choose whose slot to share. */
	struct slot slots[SLOTS];
};

static void answer(struct trust_service *service, struct exchange *exchange, int status,
	const char *outcome, const struct err *err) {
	const char *const values[] = { outcome };
	metric_inc(metric_child(service->outcomes, values));
	log_info("certificate not signed", KV("peer", exchange_peer_address(exchange)),
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
		answer(service, exchange, is_theirs ? 403 : 500, is_theirs ? "denied" : "failed",
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
		answer(service, exchange, 401, "token", &err);
		return;
	}
	rc = token_redeem(service->token_directory, str_from(token, BEARER.len),
		loop_clock(service->loop), identity, sizeof(identity), &err);
	if (rc < 0) {
		answer(service, exchange, 403, "token", &err);
		return;
	}
	if (strcmp(identity, wish->identity) != 0) {
		(void)err_set(&err, ERR_DENIED,
			"the token is for another name than the request; it is used up");
		answer(service, exchange, 403, "name", &err);
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
		answer(service, exchange, 403, "name", &err);
		return;
	}
	respond(service, exchange, wish);
}

static void serve(void *context, struct exchange *exchange) {
	struct trust_service *service = context;
	const struct http_request *request = exchange_request(exchange);
	AUTO(wish_deinit) struct wish wish = { 0 };
	struct err err = { 0 };
	bool is_join = str_equal(request->path, STR("/v1/join"));
	if (!is_join && !str_equal(request->path, STR("/v1/renew"))) {
		(void)err_set(&err, ERR_INVAL, "there are /v1/join and /v1/renew");
		answer(service, exchange, 404, "path", &err);
	} else if (!str_equal(request->method, STR("POST"))) {
		(void)err_set(&err, ERR_INVAL, "use POST");
		answer(service, exchange, 405, "path", &err);
	} else if (!may_ask(service, exchange)) {
		(void)err_set(
			&err, ERR_LIMIT, "too many requests from this address; wait a little");
		answer(service, exchange, 429, "limit", &err);
	} else if (request_parse(request->body, &wish.key, wish.identity, sizeof(wish.identity),
			   &err) < 0) {
		answer(service, exchange, 400, "request", &err);
	} else if (is_join) {
		join(service, exchange, &wish);
	} else {
		renew(service, exchange, &wish);
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
		.body_bytes_max = REQUEST_BYTES_MAX,
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

uint16_t trust_service_port(const struct trust_service *service) {
	return http_server_port(service->server);
}
