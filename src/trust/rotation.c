#include "trust/rotation.h"

#include "base/check.h"
#include "io/file.h"
#include "trust/authority.h"
#include "trust/certificate.h"
#include "trust/rotation_file.h"

#include <stdlib.h>
#include <string.h>

#define PEM_BYTES_MAX ((size_t)1024 * 1024)

static int read_file(const char *directory, const char *name, struct buf *out, struct err *err) {
	AUTO(buf_deinit) struct buf path = { 0 };
	buf_printf(&path, "%s/%s", directory, name);
	return file_read(buf_text(&path), PEM_BYTES_MAX, out, err);
}

static int write_file(
	const char *directory, const char *name, const struct buf *text, struct err *err) {
	AUTO(buf_deinit) struct buf path = { 0 };
	buf_printf(&path, "%s/%s", directory, name);
	return file_write_atomic(buf_text(&path), buf_str(text), 0644, err);
}

/* Reads the anchor of a directory, the key aside, and its digest. */
static int read_anchor(const char *directory, struct buf *pem, char digest[ANCHOR_DIGEST_LEN + 1],
	struct err *err) {
	AUTO(buf_deinit) struct buf text = { 0 };
	struct trust_facts facts = { 0 };
	int rc = read_file(directory, "tls.crt", &text, err);
	if (rc == 0) {
		rc = bundle_add(pem, buf_str(&text), err);
	}
	if (rc >= 0) {
		rc = trust_facts_read(buf_str(&text), buf_str(&text), &facts, err);
	}
	if (rc == 0 && facts.anchor_count != 1) {
		rc = err_set(err, ERR_INVAL, "%zu anchors, must be one", facts.anchor_count);
	}
	if (rc < 0) {
		return err_wrap(err, rc, "anchor in %s", directory);
	}
	memcpy(digest, facts.chain_anchor, sizeof(facts.chain_anchor));
	return 0;
}

static int read_issuer(const char *directory, struct trust_facts *out, struct err *err) {
	AUTO(credentials_deinit) struct credentials credentials = { 0 };
	int rc = credentials_load(directory, &credentials, err);
	if (rc < 0) {
		return rc;
	}
	rc = trust_facts_read(buf_str(&credentials.chain), buf_str(&credentials.anchors), out, err);
	return rc < 0 ? err_wrap(err, rc, "%s", directory) : 0;
}

/* Every issuer descends from one of the two. */
static int check_issuers(const struct rotation *rotation, bool may_be_new, struct err *err) {
	for (size_t i = 0; i < rotation->issuers.count; i++) {
		const char *directory = rotation->issuers.items[i];
		struct trust_facts facts;
		int rc = read_issuer(directory, &facts, err);
		if (rc < 0) {
			return rc;
		}
		bool is_old = strcmp(facts.chain_anchor, rotation->old_anchor) == 0;
		bool is_new = strcmp(facts.chain_anchor, rotation->new_anchor) == 0;
		if (!is_old && !(may_be_new && is_new)) {
			return err_set(err, ERR_DENIED,
				"the issuer in %s does not descend from the anchor %s", directory,
				rotation->old_anchor);
		}
	}
	return 0;
}

/* As absolute paths: the next step may be done from elsewhere. */
static int add_issuers(
	struct rotation *rotation, const struct rotation_names *issuers, struct err *err) {
	for (size_t i = 0; i < issuers->count; i++) {
		char *path = realpath(issuers->items[i], NULL);
		if (!path) {
			return err_set(err, ERR_IO, "%s does not exist", issuers->items[i]);
		}
		int rc = rotation_names_add(rotation, &rotation->issuers, str_of(path), err);
		free(path);
		if (rc < 0) {
			return rc;
		}
	}
	return 0;
}

/* The domain of a mesh stands in its anchor, whose key may be elsewhere. */
struct organization {
	char text[256];
};

static void read_organization(void *context, struct str der) {
	struct organization *organization = context;
	if (certificate_organization(der, organization->text, sizeof(organization->text)) < 0) {
		organization->text[0] = '\0';
	}
}

/* Makes the new anchor, unless it was made before. */
static int make_anchor(const struct rotation_options *options, const struct buf *old_pem,
	const struct clock *clock, struct err *err) {
	struct organization mesh = { "" };
	struct authority *anchor = NULL;
	AUTO(buf_deinit) struct buf path = { 0 };
	int rc = certificates_walk(buf_str(old_pem), read_organization, &mesh, err);
	if (rc < 0) {
		return rc;
	}
	buf_printf(&path, "%s/tls.crt", options->directory);
	if (!path_exists(buf_text(&path))) {
		rc = authority_new_anchor(
			str_of(mesh.text), options->lifetime_ms, clock, &anchor, err);
		if (rc == 0) {
			rc = authority_lock(anchor, options->passphrase, options->directory, err);
		}
	} else {
		rc = authority_unlock(options->directory, options->passphrase, &anchor, err);
	}
	if (rc >= 0 && (authority_is_issuer(anchor) ||
			       !str_equal(authority_domain(anchor), str_of(mesh.text)))) {
		rc = err_set(err, ERR_DENIED, "%s holds no anchor of mesh %s", options->directory,
			mesh.text);
	}
	authority_free(anchor);
	return rc;
}

static int fill(struct rotation *rotation, const struct rotation_options *options,
	const struct clock *clock, struct err *err) {
	AUTO(buf_deinit) struct buf both = { 0 };
	rotation->directory = arena_copy(&rotation->arena, str_of(options->directory)).ptr;
	rotation->leaf_lifetime_ms =
		options->leaf_lifetime_ms ? options->leaf_lifetime_ms : LEAF_LIFETIME_MS;
	int rc = read_anchor(options->old_directory, &both, rotation->old_anchor, err);
	if (rc == 0) {
		rc = add_issuers(rotation, &options->issuers, err);
	}
	for (size_t i = 0; rc == 0 && i < options->hubs.count; i++) {
		rc = rotation_names_add(
			rotation, &rotation->hubs, str_of(options->hubs.items[i]), err);
	}
	if (rc == 0) {
		rc = check_issuers(rotation, false, err);
	}
	if (rc == 0) {
		rc = make_anchor(options, &both, clock, err);
	}
	if (rc == 0) {
		rc = read_anchor(options->directory, &both, rotation->new_anchor, err);
	}
	if (rc == 0 && strcmp(rotation->old_anchor, rotation->new_anchor) == 0) {
		rc = err_set(err, ERR_DENIED, "%s holds the old anchor itself", options->directory);
	}
	if (rc == 0) {
		rc = write_file(options->directory, "bundle.crt", &both, err);
	}
	return rc == 0 ? rotation_file_write(rotation, err) : rc;
}

int rotation_begin(const struct rotation_options *options, const struct clock *clock,
	struct rotation *out, struct err *err) {
	if (options->leaf_lifetime_ms < 0 || options->leaf_lifetime_ms > LEAF_LIFETIME_MS) {
		return err_set(err, ERR_INVAL, "leaves live at most %lld h",
			(long long)(LEAF_LIFETIME_MS / MS_PER_S / 3600));
	}
	if (options->issuers.count == 0 || options->hubs.count == 0) {
		return err_set(err, ERR_INVAL,
			"name the directories of the issuers to replace, and the hubs that know "
			"what the clusters believe");
	}
	if (rotation_file_exists(options->directory)) {
		return err_set(err, ERR_DENIED, "a rotation to the anchor in %s has begun already",
			options->directory);
	}
	struct rotation rotation = { 0 };
	int rc = fill(&rotation, options, clock, err);
	if (rc < 0) {
		rotation_deinit(&rotation);
		return rc;
	}
	*out = rotation;
	return 0;
}

bool rotation_is_left_out(const struct rotation *rotation, struct str name) {
	for (size_t i = 0; i < rotation->left_out.count; i++) {
		if (str_equal(str_of(rotation->left_out.items[i]), name)) {
			return true;
		}
	}
	return false;
}

int rotation_leave_out(struct rotation *rotation, const char *name, struct err *err) {
	if (rotation_is_left_out(rotation, str_of(name))) {
		return 0;
	}
	int rc = rotation_names_add(rotation, &rotation->left_out, str_of(name), err);
	return rc == 0 ? rotation_file_write(rotation, err) : rc;
}

static int save_step(struct rotation *rotation, enum rotation_step step, struct err *err) {
	enum rotation_step before = rotation->step;
	rotation->step = step;
	int rc = rotation_file_write(rotation, err);
	if (rc < 0) {
		rotation->step = before;
	}
	return rc;
}

/* Each step follows the one before it, or repeats itself. */
static int check_turn(const struct rotation *rotation, enum rotation_step step, const char *instead,
	struct err *err) {
	if (rotation->step == step || rotation->step + 1 == step) {
		return 0;
	}
	return err_set(err, ERR_DENIED, "it is not the turn of this: the rotation is %s%s",
		rotation_step_name(rotation->step),
		rotation->step < step ? instead : " and does not go back");
}

static int install_all(
	const struct rotation *rotation, const struct buf *pem, bool replaces, struct err *err) {
	int rc = 0;
	for (size_t i = 0; rc >= 0 && i < rotation->issuers.count; i++) {
		rc = bundle_install(rotation->issuers.items[i], buf_str(pem), replaces, err);
	}
	return rc < 0 ? rc : 0;
}

int rotation_publish(struct rotation *rotation, struct err *err) {
	AUTO(buf_deinit) struct buf pem = { 0 };
	char digest[ANCHOR_DIGEST_LEN + 1];
	int rc = check_turn(rotation, ROTATION_PUBLISHED, "", err);
	if (rc == 0) {
		rc = check_issuers(rotation, false, err);
	}
	if (rc == 0) {
		rc = read_anchor(rotation->directory, &pem, digest, err);
	}
	if (rc == 0) {
		rc = install_all(rotation, &pem, false, err);
	}
	return rc == 0 ? save_step(rotation, ROTATION_PUBLISHED, err) : rc;
}

static bool believes_both(
	const struct rotation *rotation, const struct trust_facts *facts, struct buf *why) {
	bool has_old = trust_facts_believe(facts, rotation->old_anchor);
	bool has_new = trust_facts_believe(facts, rotation->new_anchor);
	if (has_old && has_new) {
		return true;
	}
	buf_printf(why, "it does not believe the %s anchor%s", has_old ? "new" : "old",
		has_old ? " yet" : "");
	return false;
}

static bool descends_from_new(
	const struct rotation *rotation, const struct trust_facts *facts, struct buf *why) {
	if (strcmp(facts->chain_anchor, rotation->new_anchor) == 0) {
		return true;
	}
	buf_add_text(why, "its certificate does not descend from the new anchor yet");
	return false;
}

bool rotation_member_is_ready(
	const struct rotation *rotation, const struct rotation_member *member, struct buf *why) {
	if (rotation_is_left_out(rotation, member->name)) {
		return true;
	}
	if (!member->facts || member->trouble.len > 0) {
		buf_add_str(why, member->trouble);
		return false;
	}
	switch (rotation->step) {
	case ROTATION_BEGUN:
	case ROTATION_STEP_COUNT:
		return true;
	case ROTATION_PUBLISHED:
		return believes_both(rotation, member->facts, why);
	case ROTATION_SWITCHED:
		return descends_from_new(rotation, member->facts, why);
	case ROTATION_RETIRED:
		break;
	}
	if (trust_facts_believe(member->facts, rotation->old_anchor)) {
		buf_add_text(why, "it believes the old anchor still");
		return false;
	}
	return descends_from_new(rotation, member->facts, why);
}

static int check_members(const struct rotation *rotation, const struct rotation_member *members,
	size_t count, struct err *err) {
	if (count == 0) {
		return err_set(err, ERR_DENIED, "not yet: nobody was asked");
	}
	for (size_t i = 0; i < count; i++) {
		AUTO(buf_deinit) struct buf why = { 0 };
		if (!rotation_member_is_ready(rotation, &members[i], &why)) {
			return err_set(err, ERR_DENIED, "not yet: %.*s: %s",
				STR_ARG(members[i].name), buf_text(&why));
		}
	}
	return 0;
}

/* One issuer under the new anchor, if it is not yet. */
static int switch_issuer(const struct rotation *rotation, const struct authority *anchor,
	const char *directory, int64_t lifetime_ms, const struct clock *clock, struct err *err) {
	struct trust_facts facts;
	struct authority *issuer = NULL;
	int rc = read_issuer(directory, &facts, err);
	if (rc < 0 || strcmp(facts.chain_anchor, rotation->new_anchor) == 0) {
		return rc;
	}
	rc = authority_new_successor(anchor, directory, lifetime_ms, clock, &issuer, err);
	if (rc == 0) {
		rc = authority_save(issuer, directory, err);
	}
	authority_free(issuer);
	return rc;
}

int rotation_switch(struct rotation *rotation, const struct rotation_member *members, size_t count,
	int64_t issuer_lifetime_ms, const struct clock *clock, struct err *err) {
	struct authority *anchor = NULL;
	int rc = check_turn(rotation, ROTATION_SWITCHED, "; publish the new anchor first", err);
	if (rc == 0 && rotation->step == ROTATION_SWITCHED) {
		return 0;
	}
	if (rc == 0) {
		rc = check_members(rotation, members, count, err);
	}
	if (rc == 0) {
		rc = check_issuers(rotation, true, err);
	}
	if (rc == 0) {
		rc = authority_unlock(rotation->directory, rotation->passphrase, &anchor, err);
	}
	for (size_t i = 0; rc == 0 && i < rotation->issuers.count; i++) {
		rc = switch_issuer(rotation, anchor, rotation->issuers.items[i], issuer_lifetime_ms,
			clock, err);
	}
	authority_free(anchor);
	if (rc < 0) {
		return rc;
	}
	rotation->switched_ms = clock_now_ms(clock);
	return save_step(rotation, ROTATION_SWITCHED, err);
}

int64_t rotation_retire_after_ms(const struct rotation *rotation) {
	return rotation->switched_ms ? rotation->switched_ms + rotation->leaf_lifetime_ms : 0;
}

static int check_age(const struct rotation *rotation, int64_t now_ms, struct err *err) {
	int64_t left_ms = rotation_retire_after_ms(rotation) - now_ms;
	if (left_ms > 0) {
		return err_set(err, ERR_DENIED,
			"not yet: leaves of the old anchor may be alive for another %lld s",
			(long long)((left_ms + MS_PER_S - 1) / MS_PER_S));
	}
	return 0;
}

int rotation_retire(struct rotation *rotation, const struct rotation_member *members, size_t count,
	const struct clock *clock, struct err *err) {
	AUTO(buf_deinit) struct buf pem = { 0 };
	char digest[ANCHOR_DIGEST_LEN + 1];
	int rc = check_turn(
		rotation, ROTATION_RETIRED, "; the issuers are to be switched first", err);
	if (rc == 0 && rotation->step == ROTATION_RETIRED) {
		return 0;
	}
	if (rc == 0) {
		rc = check_members(rotation, members, count, err);
	}
	if (rc == 0) {
		rc = check_age(rotation, clock_now_ms(clock), err);
	}
	if (rc == 0) {
		rc = read_anchor(rotation->directory, &pem, digest, err);
	}
	if (rc == 0) {
		rc = install_all(rotation, &pem, true, err);
	}
	if (rc == 0) {
		rc = write_file(rotation->directory, "bundle.crt", &pem, err);
	}
	return rc == 0 ? save_step(rotation, ROTATION_RETIRED, err) : rc;
}
