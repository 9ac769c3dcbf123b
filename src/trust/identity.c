#include "trust/identity.h"

#include "base/check.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/memory.h"
#include "io/watch.h"
#include "trust/authority.h"
#include "trust/certificate.h"
#include "trust/verify.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The contents are compared this often, whatever the watch saw or missed. */
#define COMPARE_MS (INT64_C(30) * MS_PER_S)
/* Certificates of one process that get a metric each. */
#define CERTIFICATES_SHOWN_MAX 16

struct shown_certificate {
	char kind[16];
	char name[280];
};

struct trust_identity {
	struct loop *loop;
	char *directory;
	struct tls_slot *slot;
	struct watch *watch;
	struct timer timer;
	uint64_t seen; /* Hash of what was read last, good or not. */
	char name[IDENTITY_LEN_MAX + 1];
	int64_t not_after_ms;
	struct trust_facts facts;
	struct deny_set *denied;
	struct watch *denied_watch;
	void (*on_change)(void *context);
	void (*on_denied)(void *context);
	void *context;
	struct metric_family *expiry; /* NULL without metrics. */
	struct metric_family *reloads;
	struct shown_certificate shown[CERTIFICATES_SHOWN_MAX];
	size_t shown_count;
};

static uint64_t hash_credentials(const struct credentials *credentials) {
	uint64_t hash = hash_str(buf_str(&credentials->chain), 1);
	hash = hash_str(buf_str(&credentials->key), hash);
	return hash_str(buf_str(&credentials->anchors), hash);
}

struct show {
	struct trust_identity *identity;
	bool is_anchor;
};

static void show_certificate(void *context, struct str der) {
	const struct show *show = context;
	struct trust_identity *identity = show->identity;
	struct certificate_info info;
	if (identity->shown_count == CERTIFICATES_SHOWN_MAX ||
		certificate_read(der, &info, NULL) < 0) {
		return;
	}
	struct shown_certificate *shown = &identity->shown[identity->shown_count++];
	const char *kind = show->is_anchor ? "anchor" : info.is_authority ? "issuer" : "leaf";
	(void)snprintf(shown->kind, sizeof(shown->kind), "%s", kind);
	/* Authorities may share a name while one replaces the other; the digest tells them apart.
	 */
	(void)snprintf(shown->name, sizeof(shown->name), "%s%s%.8s", info.name,
		info.is_authority ? " " : "", info.is_authority ? info.digest : "");
	const char *const values[] = { shown->kind, shown->name };
	metric_set(metric_child(identity->expiry, values), (double)(info.not_after_ms / MS_PER_S));
}

static void forget_shown(struct trust_identity *identity) {
	for (size_t i = 0; i < identity->shown_count; i++) {
		const char *const values[] = { identity->shown[i].kind, identity->shown[i].name };
		metric_remove(identity->expiry, values);
	}
	identity->shown_count = 0;
}

static void show_all(struct trust_identity *identity, const struct credentials *credentials) {
	if (!identity->expiry) {
		return;
	}
	forget_shown(identity);
	struct show show = { .identity = identity };
	if (certificates_walk(buf_str(&credentials->chain), show_certificate, &show, NULL) < 0) {
		return;
	}
	show.is_anchor = true;
	if (certificates_walk(buf_str(&credentials->anchors), show_certificate, &show, NULL) < 0) {
		return;
	}
}

/* Replaces what is presented by 'credentials', if peers would believe them. */
static int use(
	struct trust_identity *identity, const struct credentials *credentials, struct err *err) {
	struct clock *clock = loop_clock(identity->loop);
	struct str chain = buf_str(&credentials->chain);
	struct str anchors = buf_str(&credentials->anchors);
	char name[IDENTITY_LEN_MAX + 1];
	int rc = trust_verify_pem(
		chain, anchors, clock_now_ms(clock), false, name, sizeof(name), err);
	struct tls_identity *presented = NULL;
	struct trust_facts facts;
	if (rc == 0) {
		rc = trust_facts_read(chain, anchors, &facts, err);
	}
	if (rc == 0) {
		const struct tls_rules rules = { trust_verify, trust_admit, identity->denied };
		rc = tls_identity_new(
			chain, buf_str(&credentials->key), anchors, clock, &rules, &presented, err);
	}
	if (rc < 0) {
		return err_wrap(err, rc, "%s", identity->directory);
	}
	memcpy(identity->name, name, sizeof(name));
	identity->facts = facts;
	deny_set_use_anchors(identity->denied, anchors);
	identity->not_after_ms = tls_identity_not_after_ms(presented);
	if (identity->slot) {
		tls_slot_swap(identity->slot, presented);
	} else {
		identity->slot = tls_slot_new(presented);
	}
	tls_identity_unref(presented);
	show_all(identity, credentials);
	return 0;
}

/* Returns 1 if something new is presented, 0 if nothing changed since the last look. */
static int load(struct trust_identity *identity, struct err *err) {
	AUTO(credentials_deinit) struct credentials credentials = { 0 };
	int rc = credentials_load(identity->directory, &credentials, err);
	if (rc < 0) {
		return rc;
	}
	uint64_t hash = hash_credentials(&credentials);
	if (hash == identity->seen) {
		return 0;
	}
	identity->seen = hash;
	rc = use(identity, &credentials, err);
	return rc < 0 ? rc : 1;
}

static void count_reload(struct trust_identity *identity, const char *outcome) {
	if (identity->reloads) {
		const char *const values[] = { outcome };
		metric_inc(metric_child(identity->reloads, values));
	}
}

static void on_change(void *context) {
	struct trust_identity *identity = context;
	struct err err = { 0 };
	int rc = load(identity, &err);
	if (rc < 0) {
		log_warn("new certificate not used, the last good one stays",
			KV("identity", identity->name), KV_ERR(&err));
		count_reload(identity, "failed");
	} else if (rc > 0) {
		log_info("certificate reloaded", KV("identity", identity->name),
			KV_INT("valid_seconds", (identity->not_after_ms -
							clock_now_ms(loop_clock(identity->loop))) /
							MS_PER_S));
		count_reload(identity, "ok");
		if (identity->on_change) {
			identity->on_change(identity->context);
		}
	}
}

static void on_denied_change(void *context) {
	struct trust_identity *identity = context;
	if (deny_set_load(identity->denied) > 0 && identity->on_denied) {
		identity->on_denied(identity->context);
	}
}

static void on_timer(struct timer *timer) {
	struct trust_identity *identity = CONTAINER_OF(timer, struct trust_identity, timer);
	on_change(identity);
	on_denied_change(identity);
	loop_timer_after_ms(identity->loop, timer, COMPARE_MS);
}

static void declare_metrics(struct trust_identity *identity, struct metric_registry *metrics) {
	static const char *const certificate_labels[] = { "kind", "name", NULL };
	static const char *const outcome_labels[] = { "outcome", NULL };
	identity->expiry =
		metric_declare(metrics, METRIC_GAUGE, "atoll_certificate_not_after_seconds",
			"When a certificate that this process uses expires, in seconds since 1970.",
			certificate_labels);
	identity->reloads =
		metric_declare(metrics, METRIC_COUNTER, "atoll_certificate_reloads_total",
			"New credentials found in the directory, by whether they could be used.",
			outcome_labels);
}

int trust_identity_open(struct loop *loop, const struct trust_identity_options *options,
	struct trust_identity **out, struct err *err) {
	struct trust_identity *identity = MEMORY_NEW(struct trust_identity, 1);
	identity->loop = loop;
	identity->directory = strdup(options->directory);
	CHECK(identity->directory);
	identity->on_change = options->on_change;
	identity->on_denied = options->on_denied;
	identity->context = options->context;
	identity->timer.run = on_timer;
	if (options->metrics) {
		declare_metrics(identity, options->metrics);
	}
	AUTO(buf_deinit) struct buf folder = { 0 };
	buf_printf(&folder, "%s/denied", identity->directory);
	identity->denied = deny_set_new(buf_text(&folder), loop_clock(loop));
	int rc = load(identity, err);
	if (rc < 0) {
		trust_identity_close(identity);
		return rc;
	}
	identity->watch = watch_start(loop, identity->directory, 0, on_change, identity);
	(void)deny_set_load(identity->denied);
	identity->denied_watch =
		watch_start(loop, buf_text(&folder), 0, on_denied_change, identity);
	loop_timer_after_ms(loop, &identity->timer, COMPARE_MS);
	*out = identity;
	return 0;
}

void trust_identity_close(struct trust_identity *identity) {
	if (!identity) {
		return;
	}
	if (identity->watch) {
		watch_stop(identity->watch);
	}
	if (identity->denied_watch) {
		watch_stop(identity->denied_watch);
	}
	loop_timer_clear(identity->loop, &identity->timer);
	if (identity->expiry) {
		forget_shown(identity);
	}
	if (identity->slot) {
		tls_slot_free(identity->slot);
	}
	deny_set_free(identity->denied);
	free(identity->directory);
	free(identity);
}

struct tls_slot *trust_identity_slot(const struct trust_identity *identity) {
	return identity->slot;
}

const char *trust_identity_name(const struct trust_identity *identity) {
	return identity->name;
}

struct deny_set *trust_identity_denied(const struct trust_identity *identity) {
	return identity->denied;
}

const struct trust_facts *trust_identity_facts(const struct trust_identity *identity) {
	return &identity->facts;
}

int64_t trust_identity_not_after_ms(const struct trust_identity *identity) {
	return identity->not_after_ms;
}
