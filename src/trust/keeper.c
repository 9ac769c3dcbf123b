#include "trust/keeper.h"

#include "base/check.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/rand.h"
#include "io/watch.h"
#include "trust/authority.h"
#include "trust/certificate.h"
#include "trust/identity.h"
#include "trust/x509.h"

#include <stdlib.h>
#include <string.h>

/* Looked at this often at least, so that a machine that slept or a moved wall clock is noticed. */
#define LOOK_MS_MAX (INT64_C(60) * MS_PER_S)
#define RETRY_MS_MIN (INT64_C(5) * MS_PER_S)
#define RETRY_MS_MAX (INT64_C(60) * MS_PER_S)

struct leaf {
	struct keeper *keeper;
	struct timer timer;
	char *directory;
	double jitter; /* Part of the lifetime by which it is renewed earlier, below 5 %. */
};

struct keeper {
	struct loop *loop;
	struct rand rand;
	char *issuer_directory;
	struct watch *watch; /* Of the issuer's directory. */
	int64_t lifetime_ms;
	struct leaf *leaves;
	size_t leaf_count;
};

/* What a leaf's certificate says. */
struct leaf_state {
	char identity[IDENTITY_LEN_MAX + 1];
	int64_t due_ms; /* When to renew. */
	int64_t not_after_ms;
	uint64_t origin; /* Of whom it is; see hash_origin. */
};

static char *copy_text(const char *text) {
	char *copy = strdup(text);
	CHECK(copy);
	return copy;
}

/* The certificate at one place of a chain. */
struct place {
	size_t index;
	size_t count; /* Certificates seen. */
	uint64_t hash;
};

static void hash_place(void *context, struct str der) {
	struct place *place = context;
	if (place->count++ == place->index) {
		place->hash = hash_str(der, 1);
	}
}

/*
 * Digests the issuer's certificate, 'index' in the chain, and the anchors. A leaf's is the same as
 * its issuer's for as long as it is of that issuer and believes what that does.
 */
static int hash_origin(
	const struct credentials *credentials, size_t index, uint64_t *out, struct err *err) {
	struct place place = { .index = index };
	int count = certificates_walk(buf_str(&credentials->chain), hash_place, &place, err);
	if (count < 0) {
		return count;
	}
	*out = hash_str(buf_str(&credentials->anchors), place.hash);
	return 0;
}

static int read_leaf(const struct leaf *leaf, struct leaf_state *out, struct err *err) {
	AUTO(credentials_deinit) struct credentials credentials = { 0 };
	AUTO(x509_release) X509 *certificate = NULL;
	int rc = credentials_load(leaf->directory, &credentials, err);
	if (rc < 0) {
		return rc;
	}
	rc = x509_parse_pem(buf_str(&credentials.chain), &certificate, err);
	if (rc == 0) {
		rc = x509_only_dns_name(certificate, out->identity, sizeof(out->identity), err);
	}
	if (rc == 0) {
		rc = hash_origin(&credentials, 1, &out->origin, err);
	}
	if (rc < 0) {
		return err_wrap(err, rc, "%s/tls.crt", leaf->directory);
	}
	int64_t start_ms = x509_not_before_ms(certificate);
	out->not_after_ms = x509_not_after_ms(certificate);
	if (out->not_after_ms - start_ms > CERTIFICATE_BACKDATE_MS) {
		start_ms += CERTIFICATE_BACKDATE_MS;
	}
	double part = 2.0 / 3.0 - leaf->jitter;
	out->due_ms = start_ms + (int64_t)((double)(out->not_after_ms - start_ms) * part);
	return 0;
}

/* The issuer, if it may sign for the leaf. */
static int load_issuer(const struct leaf *leaf, const struct leaf_state *state,
	struct identity *identity, struct authority **out, struct err *err) {
	const struct keeper *keeper = leaf->keeper;
	struct authority *issuer = NULL;
	int rc = identity_parse(str_of(state->identity), identity, err);
	if (rc < 0) {
		return err_wrap(err, rc, "%s", leaf->directory);
	}
	rc = authority_load(keeper->issuer_directory, &issuer, err);
	if (rc < 0) {
		return rc;
	}
	if (!str_equal(authority_domain(issuer), identity->trust_domain)) {
		rc = err_set(err, ERR_DENIED, "issuer %s is for %.*s and cannot renew %s",
			keeper->issuer_directory, STR_ARG(authority_domain(issuer)),
			state->identity);
		authority_free(issuer);
		return rc;
	}
	*out = issuer;
	return 0;
}

static int renew(const struct leaf *leaf, const struct leaf_state *state, struct err *err) {
	const struct keeper *keeper = leaf->keeper;
	struct identity identity;
	struct authority *issuer = NULL;
	int rc = load_issuer(leaf, state, &identity, &issuer, err);
	if (rc < 0) {
		return rc;
	}
	const struct leaf_request request = {
		.name = identity.name,
		.name_space = identity.name_space,
		.lifetime_ms = keeper->lifetime_ms,
	};
	AUTO(credentials_deinit) struct credentials credentials = { 0 };
	rc = authority_sign(issuer, &request, loop_clock(keeper->loop), &credentials, err);
	authority_free(issuer);
	return rc < 0 ? rc : credentials_save(leaf->directory, &credentials, err);
}

/* Whether the leaf is of another issuer than stands in its directory now, or believes others. An
 * issuer that cannot be read is found out when the leaf is due. */
static bool is_astray(const struct leaf *leaf, const struct leaf_state *state) {
	AUTO(credentials_deinit) struct credentials issuer = { 0 };
	uint64_t origin = 0;
	return credentials_load(leaf->keeper->issuer_directory, &issuer, NULL) == 0 &&
	       hash_origin(&issuer, 0, &origin, NULL) == 0 && origin != state->origin;
}

/* Renews the leaf if it is due. Returns when to look again, in ms from now, or a negative code. */
static int64_t look(struct leaf *leaf, struct err *err) {
	struct leaf_state state;
	int rc = read_leaf(leaf, &state, err);
	if (rc < 0) {
		return rc;
	}
	int64_t now_ms = clock_now_ms(loop_clock(leaf->keeper->loop));
	if (now_ms >= state.due_ms || is_astray(leaf, &state)) {
		rc = renew(leaf, &state, err);
		if (rc == 0) {
			rc = read_leaf(leaf, &state, err);
		}
		if (rc < 0) {
			return rc;
		}
		log_info("certificate renewed", KV("identity", state.identity),
			KV("directory", leaf->directory),
			KV_INT("valid_seconds", (state.not_after_ms - now_ms) / MS_PER_S));
	}
	int64_t wait_ms = state.due_ms - now_ms;
	return wait_ms < MS_PER_S ? MS_PER_S : wait_ms;
}

static void on_timer(struct timer *timer) {
	struct leaf *leaf = CONTAINER_OF(timer, struct leaf, timer);
	struct keeper *keeper = leaf->keeper;
	struct err err = { 0 };
	int64_t wait_ms = look(leaf, &err);
	if (wait_ms < 0) {
		log_error("certificate not renewed, will try again",
			KV("directory", leaf->directory), KV_ERR(&err));
		uint64_t spread = (uint64_t)(RETRY_MS_MAX - RETRY_MS_MIN);
		wait_ms = RETRY_MS_MIN + (int64_t)rand_below(&keeper->rand, spread);
	}
	loop_timer_after_ms(keeper->loop, timer, wait_ms < LOOK_MS_MAX ? wait_ms : LOOK_MS_MAX);
}

/* Another issuer, or other anchors: every leaf is looked at now. */
static void on_issuer_change(void *context) {
	struct keeper *keeper = context;
	for (size_t i = 0; i < keeper->leaf_count; i++) {
		loop_timer_after_ms(keeper->loop, &keeper->leaves[i].timer, 0);
	}
}

/* A start with a directory that can never work is a mistake to be told at once. */
static int start_leaf(struct leaf *leaf, struct err *err) {
	struct leaf_state state;
	struct identity identity;
	struct authority *issuer = NULL;
	int rc = read_leaf(leaf, &state, err);
	if (rc == 0) {
		rc = load_issuer(leaf, &state, &identity, &issuer, err);
	}
	if (rc < 0) {
		return rc;
	}
	authority_free(issuer);
	int64_t wait_ms = look(leaf, err);
	if (wait_ms < 0) {
		return (int)wait_ms;
	}
	loop_timer_after_ms(
		leaf->keeper->loop, &leaf->timer, wait_ms < LOOK_MS_MAX ? wait_ms : LOOK_MS_MAX);
	return 0;
}

int keeper_start(struct loop *loop, const struct keeper_options *options, struct keeper **out,
	struct err *err) {
	if (options->lifetime_ms < 0 || options->lifetime_ms > LEAF_LIFETIME_MS) {
		return err_set(err, ERR_INVAL,
			"a lifetime of %lld s, certificates live at most %lld h",
			(long long)(options->lifetime_ms / MS_PER_S),
			(long long)(LEAF_LIFETIME_MS / MS_PER_S / 3600));
	}
	struct keeper *keeper = MEMORY_NEW(struct keeper, 1);
	keeper->loop = loop;
	keeper->issuer_directory = copy_text(options->issuer_directory);
	keeper->lifetime_ms = options->lifetime_ms;
	keeper->leaves = MEMORY_NEW(struct leaf, options->leaf_count + 1);
	uint64_t seed = 0;
	rand_secure(&seed, sizeof(seed));
	rand_init(&keeper->rand, seed);
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < options->leaf_count; i++) {
		struct leaf *leaf = &keeper->leaves[keeper->leaf_count++];
		leaf->keeper = keeper;
		leaf->timer.run = on_timer;
		leaf->directory = copy_text(options->leaf_directories[i]);
		leaf->jitter = 0.05 * rand_unit(&keeper->rand);
		rc = start_leaf(leaf, err);
	}
	if (rc < 0) {
		keeper_stop(keeper);
		return rc;
	}
	keeper->watch = watch_start(loop, keeper->issuer_directory, 0, on_issuer_change, keeper);
	*out = keeper;
	return 0;
}

void keeper_stop(struct keeper *keeper) {
	if (!keeper) {
		return;
	}
	if (keeper->watch) {
		watch_stop(keeper->watch);
	}
	for (size_t i = 0; i < keeper->leaf_count; i++) {
		loop_timer_clear(keeper->loop, &keeper->leaves[i].timer);
		free(keeper->leaves[i].directory);
	}
	free(keeper->leaves);
	free(keeper->issuer_directory);
	free(keeper);
}
