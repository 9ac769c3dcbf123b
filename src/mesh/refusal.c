#include "mesh/refusal.h"

#include "base/log.h"
#include "base/time.h"

#include <openssl/x509_vfy.h>
#include <string.h>

/* Lines in the log: so many at once, so many more a second. */
#define LINES_MAX 100
#define LINES_PER_S 10

/* OpenSSL's own sentence stands in the text of a refusal, so it is what tells them apart. */
static const struct {
	int code;
	const char *reason;
} certificate_reasons[] = {
	{ X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, "wrong_anchor" },
	{ X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, "wrong_anchor" },
	{ X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, "wrong_anchor" },
	{ X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, "wrong_anchor" },
	{ X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, "wrong_anchor" },
	{ X509_V_ERR_CERT_SIGNATURE_FAILURE, "wrong_anchor" },
	{ X509_V_ERR_CERT_HAS_EXPIRED, "expired" },
	{ X509_V_ERR_CERT_NOT_YET_VALID, "not_yet_valid" },
	{ X509_V_ERR_PERMITTED_VIOLATION, "name_constraint" },
	{ X509_V_ERR_EXCLUDED_VIOLATION, "name_constraint" },
	{ X509_V_ERR_UNSUPPORTED_NAME_SYNTAX, "name_constraint" },
};

static const struct {
	const char *part;
	const char *reason;
} text_reasons[] = {
	{ "is revoked: ", "revoked" },
	{ "sent no certificate", "no_certificate" },
	{ "no link file expects", "unexpected" },
	{ "(ALPN)", "protocol" },
	{ "refused: ", "certificate" },
	{ "certificate", "identity" },
	{ "expected", "identity" },
};

/* What a peer says of our certificate must not be taken for what we say of its. */
static const char by_peer[] = "peer refused us";

const char *refusal_reason(const struct err *refusal) {
	if (refusal->code == ERR_TIMEOUT) {
		return "timeout";
	}
	if (refusal->code == ERR_LIMIT) {
		return "limit";
	}
	if (strncmp(refusal->text, by_peer, strlen(by_peer)) == 0) {
		return "by_peer";
	}
	if (refusal->code != ERR_DENIED) {
		return refusal->code == ERR_IO ? "protocol" : "other";
	}
	for (size_t i = 0; i < sizeof(certificate_reasons) / sizeof(certificate_reasons[0]); i++) {
		if (strstr(refusal->text,
			    X509_verify_cert_error_string(certificate_reasons[i].code))) {
			return certificate_reasons[i].reason;
		}
	}
	for (size_t i = 0; i < sizeof(text_reasons) / sizeof(text_reasons[0]); i++) {
		if (strstr(refusal->text, text_reasons[i].part)) {
			return text_reasons[i].reason;
		}
	}
	return "other";
}

void refusals_init(struct refusals *refusals, struct metric_family *counter, int64_t now_ns) {
	*refusals = (struct refusals){ .counter = counter, .filled_ns = now_ns, .left = LINES_MAX };
}

/* Whoever can connect can be refused: the log is not theirs to fill. */
static bool may_log(struct refusals *refusals, int64_t now_ns) {
	refusals->left += (double)(now_ns - refusals->filled_ns) / NS_PER_S * LINES_PER_S;
	refusals->filled_ns = now_ns;
	if (refusals->left > LINES_MAX) {
		refusals->left = LINES_MAX;
	}
	if (refusals->left < 1) {
		refusals->unsaid++;
		return false;
	}
	refusals->left -= 1;
	return true;
}

void refusals_tell(struct refusals *refusals, int64_t now_ns, const char *peer_address,
	const struct err *refusal) {
	const char *const values[] = { refusal_reason(refusal) };
	metric_inc(metric_child(refusals->counter, values));
	if (!may_log(refusals, now_ns)) {
		return;
	}
	if (refusals->unsaid > 0) {
		log_warn("more peers were refused than logged", KV_INT("unsaid", refusals->unsaid));
		refusals->unsaid = 0;
	}
	log_warn(
		"peer refused", KV("peer", peer_address), KV("reason", values[0]), KV_ERR(refusal));
}
