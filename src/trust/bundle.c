#include "trust/bundle.h"

#include "base/check.h"
#include "trust/authority.h"
#include "trust/certificate.h"
#include "trust/x509.h"

#include <stdlib.h>
#include <string.h>

/* A bundle that grows. */
struct addition {
	struct buf *bundle;
	struct trust_facts held; /* What it holds by now. */
	int count;
	int rc;
	struct err *err;
};

static int compare_digests(const void *a, const void *b) {
	return strcmp(a, b);
}

/* Puts a digest into its place. */
static int hold(struct trust_facts *facts, const char *digest, struct err *err) {
	if (facts->anchor_count == BUNDLE_ANCHORS_MAX) {
		return err_set(err, ERR_LIMIT, "more than %d trust anchors", BUNDLE_ANCHORS_MAX);
	}
	memcpy(facts->anchors[facts->anchor_count++], digest, ANCHOR_DIGEST_LEN + 1);
	qsort(facts->anchors, facts->anchor_count, sizeof(facts->anchors[0]), compare_digests);
	return 0;
}

static int check_anchor(struct str der, struct certificate_info *info, struct err *err) {
	int rc = certificate_read(der, info, err);
	if (rc == 0 && !(info->is_authority && info->is_self_signed)) {
		return err_set(
			err, ERR_INVAL, "the certificate of %s is not a trust anchor", info->name);
	}
	return rc;
}

static void note_anchor(void *context, struct str der) {
	struct addition *addition = context;
	struct certificate_info info;
	if (addition->rc == 0) {
		addition->rc = check_anchor(der, &info, addition->err);
	}
	if (addition->rc == 0 && !trust_facts_believe(&addition->held, info.digest)) {
		addition->rc = hold(&addition->held, info.digest, addition->err);
	}
}

static void add_anchor(void *context, struct str der) {
	struct addition *addition = context;
	size_t before = addition->held.anchor_count;
	note_anchor(context, der);
	if (addition->rc < 0 || addition->held.anchor_count == before) {
		return;
	}
	AUTO(x509_release) X509 *certificate = NULL;
	CHECK(x509_parse_der(der, &certificate, NULL) == 0);
	x509_format_pem(certificate, addition->bundle);
	addition->count++;
}

static int walk(struct addition *addition, struct str pem, certificate_fn *each) {
	int count = certificates_walk(pem, each, addition, addition->err);
	return count < 0 ? count : addition->rc;
}

int bundle_add(struct buf *bundle, struct str pem, struct err *err) {
	AUTO(buf_deinit) struct buf grown = { 0 };
	struct addition addition = { .bundle = &grown, .err = err };
	buf_add_str(&grown, buf_str(bundle));
	if (grown.len > 0 && grown.ptr[grown.len - 1] != '\n') {
		buf_add_byte(&grown, '\n');
	}
	int rc = walk(&addition, buf_str(bundle), note_anchor);
	if (rc == 0) {
		rc = walk(&addition, pem, add_anchor);
	}
	if (rc < 0) {
		return rc;
	}
	if (addition.count > 0) {
		buf_reset(bundle);
		buf_add_str(bundle, buf_str(&grown));
	}
	return addition.count;
}

/* A search for the anchor of a chain. */
struct descent {
	X509 *top; /* The chain's last certificate so far. */
	char anchor[ANCHOR_DIGEST_LEN + 1];
};

static void take_top(void *context, struct str der) {
	struct descent *descent = context;
	X509 *certificate = NULL;
	if (x509_parse_der(der, &certificate, NULL) == 0) {
		X509_free(descent->top);
		descent->top = certificate;
	}
}

static void match_anchor(void *context, struct str der) {
	struct descent *descent = context;
	AUTO(x509_release) X509 *anchor = NULL;
	if (x509_parse_der(der, &anchor, NULL) < 0) {
		return;
	}
	if (x509_is_signed_by(descent->top, anchor)) {
		x509_digest(anchor, descent->anchor);
	}
}

static int find_anchor(
	struct str chain_pem, struct str anchors_pem, struct trust_facts *facts, struct err *err) {
	struct descent descent = { 0 };
	int count = certificates_walk(chain_pem, take_top, &descent, err);
	if (count >= 0 && descent.top) {
		count = certificates_walk(anchors_pem, match_anchor, &descent, err);
	}
	X509_free(descent.top);
	memcpy(facts->chain_anchor, descent.anchor, sizeof(descent.anchor));
	return count < 0 ? count : 0;
}

int trust_facts_read(
	struct str chain_pem, struct str anchors_pem, struct trust_facts *out, struct err *err) {
	struct addition reading = { .err = err };
	int rc = walk(&reading, anchors_pem, note_anchor);
	if (rc == 0) {
		rc = find_anchor(chain_pem, anchors_pem, &reading.held, err);
	}
	if (rc == 0) {
		*out = reading.held;
	}
	return rc;
}

bool trust_facts_believe(const struct trust_facts *facts, const char *digest) {
	for (size_t i = 0; i < facts->anchor_count; i++) {
		if (strcmp(facts->anchors[i], digest) == 0) {
			return true;
		}
	}
	return false;
}

bool trust_facts_equal(const struct trust_facts *a, const struct trust_facts *b) {
	if (a->anchor_count != b->anchor_count || strcmp(a->chain_anchor, b->chain_anchor) != 0) {
		return false;
	}
	for (size_t i = 0; i < a->anchor_count; i++) {
		if (strcmp(a->anchors[i], b->anchors[i]) != 0) {
			return false;
		}
	}
	return true;
}

int bundle_install(const char *directory, struct str pem, bool replaces, struct err *err) {
	AUTO(credentials_deinit) struct credentials credentials = { 0 };
	AUTO(buf_deinit) struct buf bundle = { 0 };
	struct trust_facts before;
	struct trust_facts after;
	int rc = credentials_load(directory, &credentials, err);
	if (rc < 0) {
		return rc;
	}
	struct str chain = buf_str(&credentials.chain);
	rc = trust_facts_read(chain, buf_str(&credentials.anchors), &before, err);
	if (rc == 0 && !replaces) {
		buf_add_str(&bundle, buf_str(&credentials.anchors));
	}
	if (rc == 0) {
		rc = bundle_add(&bundle, pem, err);
	}
	if (rc >= 0) {
		rc = trust_facts_read(chain, buf_str(&bundle), &after, err);
	}
	if (rc < 0) {
		return err_wrap(err, rc, "%s", directory);
	}
	if (!after.chain_anchor[0]) {
		return err_set(err, ERR_DENIED,
			"%s: its own certificate descends from none of these anchors; it would "
			"distrust its own cluster",
			directory);
	}
	if (trust_facts_equal(&before, &after)) {
		return 0;
	}
	buf_reset(&credentials.anchors);
	buf_add_str(&credentials.anchors, buf_str(&bundle));
	rc = credentials_save(directory, &credentials, err);
	return rc < 0 ? rc : 1;
}
