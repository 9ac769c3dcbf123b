#include "trust/deny.h"

#include "base/check.h"
#include "trust/bundle.h"
#include "trust/certificate.h"
#include "trust/identity.h"
#include "trust/x509.h"

#include <openssl/x509v3.h>
#include <string.h>

#define FIRST_LINE STR("atoll-deny 1")
/* An ECDSA signature over P-384, in DER, has 104 bytes at most. */
#define SIGNATURE_BYTES_MAX 128
#define DIGEST_LEN 64

static const char *const kind_names[] = {
	[DENY_IDENTITY] = "identity",
	[DENY_SERIAL] = "serial",
	[DENY_ISSUER] = "issuer",
};

static bool is_hex(struct str text, bool is_upper) {
	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];
		char first = is_upper ? 'A' : 'a';
		if (!(c >= '0' && c <= '9') && !(c >= first && c <= first + 5)) {
			return false;
		}
	}
	return text.len > 0 && text.len % 2 == 0;
}

static bool is_within(struct str domain, struct str around) {
	return domain.len > around.len + 1 && str_ends(domain, around) &&
	       domain.ptr[domain.len - around.len - 1] == '.';
}

static int check_identity(struct str value, bool is_by_anchor, struct str scope, struct err *err) {
	struct identity identity;
	int rc = identity_parse(value, &identity, err);
	if (rc < 0) {
		return rc;
	}
	bool is_own = is_by_anchor ? is_within(identity.trust_domain, scope)
				   : str_equal(identity.trust_domain, scope);
	return is_own ? 0
		      : err_set(err, ERR_INVAL, "identity %.*s is not of %.*s", STR_ARG(value),
				STR_ARG(scope));
}

int deny_entry_check(
	const struct deny_entry *entry, bool is_by_anchor, struct str scope, struct err *err) {
	struct str value = entry->value;
	if (entry->kind == DENY_IDENTITY) {
		return check_identity(value, is_by_anchor, scope, err);
	}
	if (entry->kind == DENY_SERIAL) {
		if (is_by_anchor) {
			return err_set(err, ERR_INVAL,
				"serial numbers of leaves are denied by their issuer, not by the "
				"anchor");
		}
		bool is_good = is_hex(value, true) && value.len <= SERIAL_LEN_MAX;
		return is_good ? 0
			       : err_set(err, ERR_INVAL,
					 "\"%.*s\" is no serial number in upper-case hex",
					 STR_ARG(str_first(value, DIGEST_LEN)));
	}
	if (!is_by_anchor) {
		return err_set(err, ERR_INVAL, "only the anchor denies issuers");
	}
	bool is_good = is_hex(value, false) && value.len == DIGEST_LEN;
	return is_good ? 0
		       : err_set(err, ERR_INVAL, "\"%.*s\" is no SHA-256 in lower-case hex",
				 STR_ARG(str_first(value, DIGEST_LEN)));
}

void deny_list_file_name(bool is_by_anchor, struct str scope, struct buf *out) {
	buf_printf(out, "%s%.*s.deny", is_by_anchor ? "anchor-" : "", STR_ARG(scope));
}

void deny_list_format(const struct authority *signer, int64_t number,
	const struct deny_entry *entries, size_t count, struct buf *out) {
	AUTO(buf_deinit) struct buf text = { 0 };
	buf_printf(&text, "%.*s\nscope %.*s\nnumber %lld\n", STR_ARG(FIRST_LINE),
		STR_ARG(authority_domain(signer)), (long long)number);
	for (size_t i = 0; i < count; i++) {
		buf_printf(
			&text, "%s %.*s\n", kind_names[entries[i].kind], STR_ARG(entries[i].value));
	}
	AUTO(buf_deinit) struct buf signature = { 0 };
	authority_sign_text(signer, buf_str(&text), &signature);
	buf_add_text(&text, "signature ");
	for (size_t i = 0; i < signature.len; i++) {
		buf_printf(&text, "%02x", (unsigned char)signature.ptr[i]);
	}
	buf_add_byte(&text, '\n');
	buf_add_str(&text, authority_certificate(signer));
	buf_add_str(out, buf_str(&text));
}

static int hex_value(char c) {
	return c <= '9' ? c - '0' : c - 'a' + 10;
}

static int check_signature(X509 *signer, struct str text, struct str hex, struct err *err) {
	unsigned char signature[SIGNATURE_BYTES_MAX];
	if (!is_hex(hex, false) || hex.len > 2 * sizeof(signature)) {
		return err_set(err, ERR_CORRUPT, "its signature is malformed");
	}
	for (size_t i = 0; i < hex.len / 2; i++) {
		signature[i] = (unsigned char)(hex_value(hex.ptr[2 * i]) << 4 |
					       hex_value(hex.ptr[2 * i + 1]));
	}
	if (!x509_verify_text(signer, text, signature, hex.len / 2)) {
		return err_set(err, ERR_DENIED, "its signature is not of its signer");
	}
	return 0;
}

/* Who signed it, and for what. */
static int check_signer(X509 *signer, struct str pem, struct str anchors_pem,
	struct deny_list *list, struct err *err) {
	struct trust_facts facts;
	char domain[IDENTITY_LEN_MAX + 1];
	int rc = trust_facts_read(pem, anchors_pem, &facts, err);
	if (rc < 0) {
		return ERR_CORRUPT;
	}
	if (!facts.chain_anchor[0]) {
		return err_set(err, ERR_DENIED, "its signer descends from no anchor believed here");
	}
	if (X509_check_ca(signer) != 1) {
		return err_set(err, ERR_DENIED, "its signer is no authority");
	}
	x509_digest(signer, list->signer);
	list->is_by_anchor = strcmp(list->signer, facts.chain_anchor) == 0;
	if (list->is_by_anchor) {
		x509_organization(signer, domain, sizeof(domain));
	} else if (x509_constrained_domain(signer, domain, sizeof(domain), err) < 0) {
		return err_wrap(err, ERR_DENIED, "its signer");
	}
	if (!str_equal(list->scope, str_of(domain))) {
		return err_set(err, ERR_DENIED, "it is for %.*s, its signer for %s",
			STR_ARG(str_first(list->scope, IDENTITY_LEN_MAX)), domain);
	}
	return 0;
}

static int read_entry(struct str line, struct deny_list *list, struct err *err) {
	struct str value = line;
	struct str word = str_cut(&value, ' ');
	if (list->count == DENY_ENTRIES_MAX) {
		return err_set(err, ERR_LIMIT, "more than %d entries", DENY_ENTRIES_MAX);
	}
	for (int i = 0; i < DENY_KIND_COUNT; i++) {
		if (str_equal(word, str_of(kind_names[i]))) {
			list->entries[list->count++] = (struct deny_entry){ (enum deny_kind)i,
				arena_copy(&list->arena, value) };
			return 0;
		}
	}
	return err_set(err, ERR_CORRUPT, "a line that is no entry");
}

/* Reads up to the signature; 'rest' is what follows. */
static int read_lines(struct str *rest, struct deny_list *list, struct err *err) {
	list->entries = ARENA_NEW(&list->arena, struct deny_entry, DENY_ENTRIES_MAX);
	struct str scope = str_cut(rest, '\n');
	struct str number = str_cut(rest, '\n');
	if (!str_starts(scope, STR("scope ")) || !str_starts(number, STR("number ")) ||
		!str_to_i64(str_from(number, 7), &list->number) || list->number <= 0) {
		return err_set(err, ERR_CORRUPT, "no scope or no number");
	}
	list->scope = arena_copy(&list->arena, str_from(scope, 6));
	int rc = 0;
	while (rc == 0 && rest->len > 0 && !str_starts(*rest, STR("signature "))) {
		rc = read_entry(str_cut(rest, '\n'), list, err);
	}
	return rc;
}

static int check_list(struct str text, struct str rest, struct str anchors_pem,
	struct deny_list *list, struct err *err) {
	AUTO(x509_release) X509 *signer = NULL;
	struct str signed_text = str_first(text, text.len - rest.len);
	struct str signature = str_cut(&rest, '\n');
	if (!str_starts(signature, STR("signature ")) || x509_parse_pem(rest, &signer, NULL) < 0) {
		return err_set(err, ERR_CORRUPT, "no signature, or no certificate of its signer");
	}
	int rc = check_signer(signer, rest, anchors_pem, list, err);
	if (rc == 0) {
		rc = check_signature(signer, signed_text, str_from(signature, 10), err);
	}
	for (size_t i = 0; rc == 0 && i < list->count; i++) {
		if (deny_entry_check(&list->entries[i], list->is_by_anchor, list->scope, err) < 0) {
			rc = ERR_DENIED;
		}
	}
	return rc;
}

int deny_list_parse(
	struct str text, struct str anchors_pem, struct deny_list *out, struct err *err) {
	struct deny_list list = { 0 };
	struct str rest = text;
	if (text.len > DENY_LIST_BYTES_MAX) {
		return err_set(err, ERR_LIMIT, "deny-list: %zu bytes, at most %zu are read",
			text.len, DENY_LIST_BYTES_MAX);
	}
	if (!str_equal(str_cut(&rest, '\n'), FIRST_LINE)) {
		return err_set(err, ERR_CORRUPT, "deny-list: the first line is not \"%.*s\"",
			STR_ARG(FIRST_LINE));
	}
	int rc = read_lines(&rest, &list, err);
	if (rc == 0) {
		rc = check_list(text, rest, anchors_pem, &list, err);
	}
	if (rc < 0) {
		deny_list_deinit(&list);
		return err_wrap(err, rc, "deny-list");
	}
	*out = list;
	return 0;
}

void deny_list_deinit(struct deny_list *list) {
	arena_deinit(&list->arena);
	*list = (struct deny_list){ 0 };
}
