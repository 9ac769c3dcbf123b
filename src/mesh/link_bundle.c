#include "mesh/link_bundle.h"

#include "base/check.h"
#include "base/rand.h"
#include "base/time.h"
#include "io/file.h"
#include "mesh/fields.h"
#include "trust/identity.h"
#include "trust/signed.h"
#include "trust/token.h"
#include "trust/verify.h"

#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>

#define FIRST_LINE STR("atoll-link-bundle 1")
#define USED_FOLDER ".bundles"
#define URL_LEN_MAX 1024

static void put_hex(const unsigned char *bytes, size_t count, char *out) {
	for (size_t i = 0; i < count; i++) {
		(void)snprintf(out + 2 * i, 3, "%02x", bytes[i]);
	}
}

void link_bundle_make_id(char out[LINK_BUNDLE_ID_LEN + 1]) {
	unsigned char bytes[LINK_BUNDLE_ID_LEN / 2];
	rand_secure(bytes, sizeof(bytes));
	put_hex(bytes, sizeof(bytes), out);
}

void link_bundle_digest(struct str bytes, char out[65]) {
	unsigned char digest[SHA256_DIGEST_LENGTH];
	(void)SHA256((const unsigned char *)bytes.ptr, bytes.len, digest);
	put_hex(digest, sizeof(digest), out);
}

static void put_line(struct buf *out, const char *word, struct str value) {
	if (value.len > 0) {
		buf_printf(out, "%s %.*s\n", word, STR_ARG(value));
	}
}

static void put_lines(
	const struct link_bundle *bundle, const struct trust_facts *facts, struct buf *out) {
	buf_printf(out, "%.*s\n", STR_ARG(FIRST_LINE));
	put_line(out, "id", bundle->id);
	put_line(out, "reaches", bundle->is_of_hub ? STR("hub") : STR("gateway"));
	put_line(out, "cluster", bundle->cluster);
	put_line(out, "identity", bundle->identity);
	put_line(out, "peer", bundle->peer);
	for (size_t i = 0; i < bundle->address_count; i++) {
		put_line(out, "address", bundle->addresses[i].text);
	}
	buf_printf(out, "created %lld\nexpires %lld\n", (long long)bundle->created_ms,
		(long long)bundle->expires_ms);
	put_line(out, "join-url", bundle->join.url);
	put_line(out, "join-server", bundle->join.server);
	put_line(out, "join-identity", bundle->join.identity);
	put_line(out, "join-token", bundle->join.token);
	for (size_t i = 0; i < facts->anchor_count; i++) {
		put_line(out, "anchor", str_of(facts->anchors[i]));
	}
}

int link_bundle_write(const struct link_bundle *bundle, const struct credentials *signer,
	struct buf *out, struct err *err) {
	struct trust_facts facts;
	AUTO(arena_deinit) struct arena arena = { 0 };
	AUTO(buf_deinit) struct buf text = { 0 };
	struct link_bundle again;
	int rc = trust_facts_read(buf_str(&signer->chain), buf_str(&signer->anchors), &facts, err);
	if (rc < 0) {
		return ERR_INVAL;
	}
	put_lines(bundle, &facts, &text);
	rc = signed_text_seal(signer, &text, err);
	if (rc == 0 && link_bundle_parse(&arena, buf_str(&text), &again, err) < 0) {
		rc = ERR_INVAL;
	}
	if (rc == 0) {
		buf_add_str(out, buf_str(&text));
	}
	return rc;
}

/* A bundle that is being read. */
struct reading {
	struct arena *arena;
	struct link_bundle bundle;
	struct texts addresses;
	struct str reaches;
	struct str created;
	struct str expires;
	struct trust_facts anchors; /* As the lines say. */
};

struct word {
	const char *word;
	size_t offset;
};

static const struct word words[] = {
	{ "id ", offsetof(struct reading, bundle.id) },
	{ "reaches ", offsetof(struct reading, reaches) },
	{ "cluster ", offsetof(struct reading, bundle.cluster) },
	{ "identity ", offsetof(struct reading, bundle.identity) },
	{ "peer ", offsetof(struct reading, bundle.peer) },
	{ "created ", offsetof(struct reading, created) },
	{ "expires ", offsetof(struct reading, expires) },
	{ "join-url ", offsetof(struct reading, bundle.join.url) },
	{ "join-server ", offsetof(struct reading, bundle.join.server) },
	{ "join-identity ", offsetof(struct reading, bundle.join.identity) },
	{ "join-token ", offsetof(struct reading, bundle.join.token) },
};

static int read_address_line(struct reading *reading, struct str value, struct err *err) {
	if (reading->addresses.count == LINK_ADDRESSES_MAX) {
		return err_set(err, ERR_LIMIT, "more than %d addresses", LINK_ADDRESSES_MAX);
	}
	reading->addresses.items[reading->addresses.count++] = value;
	return 0;
}

static int read_anchor_line(struct reading *reading, struct str value, struct err *err) {
	struct trust_facts *anchors = &reading->anchors;
	if (anchors->anchor_count == BUNDLE_ANCHORS_MAX || value.len != ANCHOR_DIGEST_LEN) {
		return err_set(err, ERR_CORRUPT, "more than %d anchors, or one that is no SHA-256",
			BUNDLE_ANCHORS_MAX);
	}
	memcpy(anchors->anchors[anchors->anchor_count++], value.ptr, value.len);
	return 0;
}

static int read_line(struct reading *reading, struct str line, struct err *err) {
	if (str_starts(line, STR("address "))) {
		return read_address_line(reading, str_from(line, 8), err);
	}
	if (str_starts(line, STR("anchor "))) {
		return read_anchor_line(reading, str_from(line, 7), err);
	}
	for (size_t i = 0; i < ARRAY_COUNT(words); i++) {
		struct str word = str_of(words[i].word);
		struct str *target = (void *)((char *)reading + words[i].offset);
		if (!str_starts(line, word)) {
			continue;
		}
		if (target->len > 0 || line.len == word.len) {
			return err_set(err, ERR_CORRUPT, "\"%s\" stands twice, or is empty",
				words[i].word);
		}
		*target = arena_copy(reading->arena, str_from(line, word.len));
		return 0;
	}
	return err_set(err, ERR_CORRUPT, "a line that is not known: \"%.*s\"",
		STR_ARG(str_first(line, 60)));
}

/* Printable, no spaces: it is shown to people, and goes into files. */
static bool is_plain(struct str text) {
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] <= ' ' || text.ptr[i] > '~') {
			return false;
		}
	}
	return true;
}

static bool is_hex(struct str text) {
	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];
		if (!(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'f')) {
			return false;
		}
	}
	return true;
}

static int check_join(const struct link_join *join, struct err *err) {
	struct identity identity;
	bool has_any = join->url.len + join->server.len + join->identity.len + join->token.len > 0;
	if (!has_any) {
		return 0;
	}
	bool is_good = str_starts(join->url, STR("https://")) && join->url.len <= URL_LEN_MAX &&
		       is_plain(join->url) && identity_parse(join->server, &identity, NULL) == 0 &&
		       identity_parse(join->identity, &identity, NULL) == 0 &&
		       join->token.len == TOKEN_LEN && is_hex(join->token);
	return is_good ? 0
		       : err_set(err, ERR_CORRUPT,
				 "what it says about joining is not whole: url, server, identity "
				 "and "
				 "token");
}

static int check_names(struct reading *reading, struct err *err) {
	struct link_bundle *bundle = &reading->bundle;
	struct identity identity;
	bundle->is_of_hub = str_equal(reading->reaches, STR("hub"));
	if (!bundle->is_of_hub && !str_equal(reading->reaches, STR("gateway"))) {
		return err_set(err, ERR_CORRUPT, "it reaches neither a hub nor a gateway");
	}
	if (bundle->id.len != LINK_BUNDLE_ID_LEN || !is_hex(bundle->id) ||
		!dns_label_is_valid(bundle->cluster)) {
		return err_set(err, ERR_CORRUPT, "its id or the name of its cluster is malformed");
	}
	if (identity_parse(bundle->identity, &identity, err) < 0 ||
		(bundle->is_of_hub && identity_parse(bundle->peer, &identity, err) < 0)) {
		return ERR_CORRUPT;
	}
	if (!bundle->is_of_hub && bundle->peer.len > 0) {
		return err_set(err, ERR_CORRUPT, "a gateway's has no peer");
	}
	if (!str_to_i64(reading->created, &bundle->created_ms) ||
		!str_to_i64(reading->expires, &bundle->expires_ms) || bundle->created_ms < 0 ||
		bundle->expires_ms <= bundle->created_ms) {
		return err_set(err, ERR_CORRUPT, "its times are malformed");
	}
	return check_join(&bundle->join, err);
}

static bool are_same(const struct trust_facts *lines, const struct trust_facts *certificates) {
	for (size_t i = 0; i < lines->anchor_count; i++) {
		if (!trust_facts_believe(certificates, lines->anchors[i])) {
			return false;
		}
	}
	return lines->anchor_count == certificates->anchor_count && lines->anchor_count > 0;
}

/* Whether the certificates are those that the text, which is signed, speaks of. */
static int check_certificates(struct reading *reading, struct err *err) {
	struct link_bundle *bundle = &reading->bundle;
	char name[IDENTITY_LEN_MAX + 1];
	if (trust_facts_read(bundle->chain_pem, bundle->anchors_pem, &bundle->trust, err) < 0) {
		return ERR_CORRUPT;
	}
	if (!are_same(&reading->anchors, &bundle->trust)) {
		return err_set(err, ERR_DENIED,
			"its anchors are not those whose digests were signed: it was changed");
	}
	int rc = trust_verify_pem(bundle->chain_pem, bundle->anchors_pem, bundle->created_ms, false,
		name, sizeof(name), err);
	if (rc < 0) {
		return err_wrap(err, ERR_DENIED, "its signer");
	}
	return str_equal(bundle->identity, str_of(name))
		       ? 0
		       : err_set(err, ERR_DENIED, "it is signed by %s, and speaks of %.*s", name,
				 STR_ARG(bundle->identity));
}

static int read_signed(struct reading *reading, const struct signed_text *sealed, struct err *err) {
	struct str rest = sealed->text;
	struct link_bundle *bundle = &reading->bundle;
	int rc = 0;
	(void)str_cut(&rest, '\n');
	reading->addresses.items = ARENA_NEW(reading->arena, struct str, LINK_ADDRESSES_MAX);
	while (rc == 0 && rest.len > 0) {
		rc = read_line(reading, str_cut(&rest, '\n'), err);
	}
	if (rc == 0) {
		rc = check_names(reading, err);
	}
	for (size_t i = 0; rc == 0 && i < reading->addresses.count; i++) {
		if (!is_plain(reading->addresses.items[i]) ||
			memchr(reading->addresses.items[i].ptr, '\'',
				reading->addresses.items[i].len)) {
			rc = err_set(err, ERR_CORRUPT, "an address that is none");
		}
	}
	if (rc == 0 && link_addresses_read(
			       reading->arena, &reading->addresses, &bundle->addresses, err) < 0) {
		rc = ERR_CORRUPT;
	}
	bundle->address_count = reading->addresses.count;
	bundle->chain_pem = arena_copy(reading->arena, sealed->chain_pem);
	bundle->anchors_pem = arena_copy(reading->arena, sealed->anchors_pem);
	return rc == 0 ? check_certificates(reading, err) : rc;
}

int link_bundle_parse(
	struct arena *arena, struct str bytes, struct link_bundle *out, struct err *err) {
	struct reading reading = { .arena = arena };
	struct signed_text sealed;
	if (bytes.len > LINK_BUNDLE_BYTES_MAX) {
		return err_set(err, ERR_LIMIT, "link bundle: %zu bytes, at most %zu are read",
			bytes.len, LINK_BUNDLE_BYTES_MAX);
	}
	struct str rest = bytes;
	if (!str_equal(str_cut(&rest, '\n'), FIRST_LINE)) {
		return err_set(err, ERR_CORRUPT, "link bundle: the first line is not \"%.*s\"",
			STR_ARG(FIRST_LINE));
	}
	int rc = signed_text_open(bytes, &sealed, err);
	if (rc == 0) {
		rc = read_signed(&reading, &sealed, err);
	}
	if (rc < 0) {
		return err_wrap(err, rc, "link bundle");
	}
	*out = reading.bundle;
	return 0;
}

static int refuse_time(const char *what, int64_t then_ms, int64_t now_ms, struct err *err) {
	AUTO(buf_deinit) struct buf then = { 0 };
	AUTO(buf_deinit) struct buf now = { 0 };
	time_format_rfc3339(then_ms / MS_PER_S * MS_PER_S, &then);
	time_format_rfc3339(now_ms / MS_PER_S * MS_PER_S, &now);
	return err_set(err, ERR_DENIED, "link bundle: it %s %s, our clock says %s", what,
		buf_text(&then), buf_text(&now));
}

int link_bundle_judge(
	const struct link_bundle *bundle, struct str anchors_pem, int64_t now_ms, struct err *err) {
	char name[IDENTITY_LEN_MAX + 1];
	if (bundle->expires_ms <= now_ms) {
		return refuse_time("ended at", bundle->expires_ms, now_ms, err);
	}
	if (bundle->created_ms > now_ms + LINK_BUNDLE_SKEW_MS) {
		return refuse_time("was made at", bundle->created_ms, now_ms, err);
	}
	/* A clock a little behind is no reason to refuse: it has been judged at its making. */
	int64_t at_ms = now_ms > bundle->created_ms ? now_ms : bundle->created_ms;
	int rc = trust_verify_pem(
		bundle->chain_pem, bundle->anchors_pem, at_ms, false, name, sizeof(name), err);
	if (rc < 0) {
		return err_wrap(err, ERR_DENIED, "link bundle: its signer");
	}
	if (anchors_pem.len == 0) {
		return 0;
	}
	return trust_verify_pem(
		       bundle->chain_pem, anchors_pem, at_ms, false, name, sizeof(name), NULL) == 0;
}

static int64_t read_end(const char *path) {
	AUTO(buf_deinit) struct buf text = { 0 };
	int64_t end_ms = INT64_MAX;
	if (file_read(path, 64, &text, NULL) == 0) {
		(void)str_to_i64(str_trim(buf_str(&text)), &end_ms);
	}
	return end_ms;
}

/* Ids of bundles that have ended: those are refused by their time. */
static void forget_ended(const char *folder, int64_t now_ms) {
	struct dir_list names = { 0 };
	if (dir_list(folder, &names, NULL) < 0) {
		return;
	}
	for (size_t i = 0; i < names.count; i++) {
		AUTO(buf_deinit) struct buf path = { 0 };
		buf_printf(&path, "%s/%s", folder, names.names[i]);
		if (strlen(names.names[i]) == LINK_BUNDLE_ID_LEN &&
			read_end(buf_text(&path)) + LINK_BUNDLE_SKEW_MS < now_ms) {
			(void)!file_remove(buf_text(&path), NULL);
		}
	}
	dir_list_free(&names);
}

static int note_use(const char *folder, const struct link_bundle *bundle, struct err *err) {
	AUTO(buf_deinit) struct buf path = { 0 };
	AUTO(buf_deinit) struct buf text = { 0 };
	buf_printf(&path, "%s/%.*s", folder, STR_ARG(bundle->id));
	if (path_exists(buf_text(&path))) {
		return err_set(err, ERR_DENIED,
			"link bundle: it was used here already, and counts once; make another "
			"with atoll link create");
	}
	buf_printf(&text, "%lld\n", (long long)bundle->expires_ms);
	int rc = file_write_atomic(buf_text(&path), buf_str(&text), 0600, err);
	return rc == 0 ? dir_sync(folder, err) : rc;
}

int link_bundle_use(
	const char *directory, const struct link_bundle *bundle, int64_t now_ms, struct err *err) {
	AUTO(buf_deinit) struct buf folder = { 0 };
	AUTO(buf_deinit) struct buf path = { 0 };
	int lock = -1;
	buf_printf(&folder, "%s/" USED_FOLDER, directory);
	buf_printf(&path, "%s/lock", buf_text(&folder));
	int rc = dir_make(buf_text(&folder), 0700, err);
	if (rc == 0) {
		rc = file_lock(buf_text(&path), &lock, err);
	}
	if (rc < 0) {
		return rc;
	}
	forget_ended(buf_text(&folder), now_ms);
	rc = note_use(buf_text(&folder), bundle, err);
	file_close(lock);
	return rc;
}

void link_bundle_format_file(const struct link_bundle *bundle, struct buf *out) {
	if (!bundle->is_of_hub) {
		buf_printf(out, "cluster: %.*s\n", STR_ARG(bundle->cluster));
	}
	buf_printf(out, "identity: %.*s\naddresses: [", STR_ARG(bundle->identity));
	for (size_t i = 0; i < bundle->address_count; i++) {
		buf_printf(out, "%s'%.*s'", i > 0 ? ", " : "", STR_ARG(bundle->addresses[i].text));
	}
	buf_add_text(out, "]\n");
}
