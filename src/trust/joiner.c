#include "trust/joiner_internal.h"

#include "base/check.h"
#include "base/log.h"
#include "base/memory.h"
#include "trust/authority.h"
#include "trust/certificate.h"
#include "trust/request.h"
#include "trust/verify.h"
#include "trust/x509.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#define FETCH_TIMEOUT_MS 10000
/* Certificates, or deny-lists. */
#define ANSWER_BYTES_MAX ((uint64_t)DENY_SET_BYTES_MAX)
#define RETRY_MS_MIN (INT64_C(5) * MS_PER_S)
#define RETRY_MS_MAX (INT64_C(60) * MS_PER_S)

static const char *copy_text(const char *text) {
	char *copy = text ? strdup(text) : NULL;
	CHECK(!text || copy);
	return copy;
}

static void free_text(const char *text) {
	free((void *)(uintptr_t)text);
}

/* The certificates of an answer, put where they belong. */
static void sort_certificate(void *context, struct str der) {
	struct credentials *credentials = context;
	struct certificate_info info;
	AUTO(x509_release) X509 *certificate = NULL;
	if (certificate_read(der, &info, NULL) == 0 &&
		x509_parse_der(der, &certificate, NULL) == 0) {
		bool is_anchor = info.is_authority && info.is_self_signed;
		x509_format_pem(
			certificate, is_anchor ? &credentials->anchors : &credentials->chain);
	}
}

/* Takes what was sent if it is for us and our key. */
static int take_answer(struct joiner *joiner, struct str body, struct err *err) {
	AUTO(credentials_deinit) struct credentials credentials = { 0 };
	AUTO(x509_release) X509 *leaf = NULL;
	char identity[IDENTITY_LEN_MAX + 1];
	int rc = certificates_walk(body, sort_certificate, &credentials, err);
	if (rc >= 0) {
		rc = trust_verify_pem(buf_str(&credentials.chain), buf_str(&credentials.anchors),
			clock_now_ms(loop_clock(joiner->loop)), true, identity, sizeof(identity),
			err);
	}
	if (rc == 0) {
		rc = x509_parse_pem(buf_str(&credentials.chain), &leaf, err);
	}
	if (rc == 0 && (strcmp(identity, joiner->identity) != 0 ||
			       X509_check_private_key(leaf, joiner->key) != 1)) {
		rc = err_set(err, ERR_DENIED, "the service sent a certificate for another");
	}
	if (rc < 0) {
		return rc;
	}
	x509_format_key(joiner->key, STR(""), &credentials.key);
	return credentials_save(joiner->options.directory, &credentials, err);
}

static int judge_answer(struct joiner *joiner, const struct fetch_result *result, struct err *err) {
	if (result->failure) {
		*err = *result->failure;
		return result->failure->code;
	}
	if (result->status != 200) {
		return err_set(err, ERR_DENIED, "%s answered %d: %.*s", joiner->options.url,
			result->status, STR_ARG(str_trim(str_first(result->body, 300))));
	}
	return take_answer(joiner, result->body, err);
}

/* What the credentials say: whose, and when to renew. */
static int read_leaf(struct joiner *joiner, int64_t *due_ms, struct err *err) {
	AUTO(credentials_deinit) struct credentials credentials = { 0 };
	AUTO(x509_release) X509 *leaf = NULL;
	int rc = credentials_load(joiner->options.directory, &credentials, err);
	if (rc == 0) {
		rc = x509_parse_pem(buf_str(&credentials.chain), &leaf, err);
	}
	if (rc == 0) {
		rc = x509_only_dns_name(leaf, joiner->identity, sizeof(joiner->identity), err);
	}
	if (rc < 0) {
		return err_wrap(err, rc, "%s", joiner->options.directory);
	}
	int64_t start_ms = x509_not_before_ms(leaf);
	int64_t end_ms = x509_not_after_ms(leaf);
	if (end_ms - start_ms > CERTIFICATE_BACKDATE_MS) {
		start_ms += CERTIFICATE_BACKDATE_MS;
	}
	double part = 2.0 / 3.0 - 0.05 * rand_unit(&joiner->rand);
	*due_ms = start_ms + (int64_t)((double)(end_ms - start_ms) * part);
	return 0;
}

static void wait_ms(struct joiner *joiner, int64_t ms) {
	ms = ms < MS_PER_S ? MS_PER_S : ms;
	loop_timer_after_ms(
		joiner->loop, &joiner->timer, ms < JOINER_LOOK_MS ? ms : JOINER_LOOK_MS);
}

static void wait_for_retry(struct joiner *joiner) {
	uint64_t spread = (uint64_t)(RETRY_MS_MAX - RETRY_MS_MIN);
	loop_timer_after_ms(joiner->loop, &joiner->timer,
		RETRY_MS_MIN + (int64_t)rand_below(&joiner->rand, spread));
}

void joiner_wait(struct joiner *joiner) {
	struct err err = { 0 };
	int64_t due_ms = 0;
	if (read_leaf(joiner, &due_ms, &err) < 0) {
		log_error("certificate cannot be read", KV_ERR(&err));
		wait_for_retry(joiner);
		return;
	}
	wait_ms(joiner, due_ms - clock_now_ms(loop_clock(joiner->loop)));
}

static void tell(struct joiner *joiner, const struct err *failure) {
	if (joiner->options.on_done) {
		joiner->options.on_done(joiner->options.context, failure);
	}
}

static void on_done(struct fetch *fetch, const struct fetch_result *result) {
	struct joiner *joiner = fetch_context(fetch);
	bool was_first = joiner->authorization.len > 0;
	struct err err = { 0 };
	joiner->fetch = NULL;
	int rc = judge_answer(joiner, result, &err);
	EVP_PKEY_free(joiner->key);
	joiner->key = NULL;
	if (rc < 0 && joiner->options.keeps && !was_first) {
		log_error("certificate not renewed, will try again",
			KV("directory", joiner->options.directory), KV_ERR(&err));
		wait_for_retry(joiner);
		return;
	}
	if (rc < 0) {
		tell(joiner, &err);
		return;
	}
	log_info(was_first ? "joined" : "certificate renewed", KV("identity", joiner->identity),
		KV("directory", joiner->options.directory));
	buf_reset(&joiner->authorization);
	if (joiner->options.keeps) {
		joiner_wait(joiner);
	}
	tell(joiner, NULL);
}

void joiner_fetch(struct joiner *joiner, const char *method, const char *path,
	const char *const *headers, struct str body,
	void (*done)(struct fetch *fetch, const struct fetch_result *result)) {
	const struct joiner_options *options = &joiner->options;
	bool is_first = joiner->authorization.len > 0;
	AUTO(buf_deinit) struct buf url = { 0 };
	AUTO(buf_deinit) struct buf anchors = { 0 };
	AUTO(buf_deinit) struct buf chain = { 0 };
	AUTO(buf_deinit) struct buf key = { 0 };
	buf_printf(&url, "%s%s", options->url, path);
	buf_printf(&anchors, "%s/ca.crt", options->directory);
	buf_printf(&chain, "%s/tls.crt", options->directory);
	buf_printf(&key, "%s/tls.key", options->directory);
	joiner->fetch = fetch_start(joiner->fetcher,
		&(struct fetch_request){
			.url = buf_text(&url),
			.method = method,
			.headers = headers,
			.body = body,
			.timeout_ms = FETCH_TIMEOUT_MS,
			.body_bytes_max = ANSWER_BYTES_MAX,
			.ca_file = is_first ? options->anchors_file : buf_text(&anchors),
			.cert_file = is_first ? NULL : buf_text(&chain),
			.key_file = is_first ? NULL : buf_text(&key),
			.server_name = options->server,
			.context = joiner,
			.on_done = done,
		});
}

void joiner_renew(struct joiner *joiner) {
	bool is_first = joiner->authorization.len > 0;
	const char *const headers[] = { "Content-Type: application/pkcs10",
		is_first ? buf_text(&joiner->authorization) : NULL, NULL };
	AUTO(buf_deinit) struct buf body = { 0 };
	request_make(str_of(joiner->identity), &joiner->key, &body);
	joiner_fetch(joiner, "POST", is_first ? "/v1/join" : "/v1/renew", headers, buf_str(&body),
		on_done);
}

static void on_timer(struct timer *timer) {
	struct joiner *joiner = CONTAINER_OF(timer, struct joiner, timer);
	struct err err = { 0 };
	int64_t due_ms = 0;
	if (read_leaf(joiner, &due_ms, &err) == 0 &&
		due_ms > clock_now_ms(loop_clock(joiner->loop))) {
		joiner_look(joiner);
	} else {
		joiner_renew(joiner);
	}
}

static int prepare(struct joiner *joiner, struct err *err) {
	const struct joiner_options *options = &joiner->options;
	struct identity parts;
	int64_t due_ms = 0;
	if (!str_starts(str_of(options->url), STR("https://"))) {
		return err_set(err, ERR_INVAL, "\"%s\" is not https://HOST:PORT", options->url);
	}
	if (!options->identity) {
		return read_leaf(joiner, &due_ms, err);
	}
	int rc = identity_parse(str_of(options->identity), &parts, err);
	if (rc == 0) {
		memcpy(joiner->identity, options->identity, strlen(options->identity) + 1);
		buf_printf(&joiner->authorization, "Authorization: Bearer %s", options->token);
	}
	return rc;
}

int joiner_start(struct loop *loop, const struct joiner_options *options, struct joiner **out,
	struct err *err) {
	struct joiner *joiner = MEMORY_NEW(struct joiner, 1);
	uint64_t seed = 0;
	rand_secure(&seed, sizeof(seed));
	rand_init(&joiner->rand, seed);
	joiner->loop = loop;
	joiner->timer.run = on_timer;
	joiner->options = *options;
	joiner->options.url = copy_text(options->url);
	joiner->options.server = copy_text(options->server);
	joiner->options.directory = copy_text(options->directory);
	joiner->options.anchors_file = copy_text(options->anchors_file);
	joiner->options.identity = copy_text(options->identity);
	joiner->options.token = copy_text(options->token);
	joiner->fetcher = fetcher_new(loop);
	if (options->keeps) {
		AUTO(buf_deinit) struct buf denied = { 0 };
		buf_printf(&denied, "%s/denied", options->directory);
		joiner->denied = deny_set_new(buf_text(&denied), loop_clock(loop));
	}
	int rc = prepare(joiner, err);
	if (rc < 0) {
		joiner_stop(joiner);
		return rc;
	}
	if (joiner->authorization.len > 0 || !options->keeps) {
		joiner_renew(joiner);
	} else {
		joiner_wait(joiner);
	}
	*out = joiner;
	return 0;
}

void joiner_stop(struct joiner *joiner) {
	if (!joiner) {
		return;
	}
	if (joiner->fetch) {
		fetch_cancel(joiner->fetch);
	}
	fetcher_free(joiner->fetcher);
	loop_timer_clear(joiner->loop, &joiner->timer);
	EVP_PKEY_free(joiner->key);
	deny_set_free(joiner->denied);
	if (joiner->authorization.ptr) {
		OPENSSL_cleanse(joiner->authorization.ptr, joiner->authorization.capacity);
	}
	buf_deinit(&joiner->authorization);
	free_text(joiner->options.url);
	free_text(joiner->options.server);
	free_text(joiner->options.directory);
	free_text(joiner->options.anchors_file);
	free_text(joiner->options.identity);
	free_text(joiner->options.token);
	free(joiner);
}
