/*
 * atoll trust revoke: what is not believed any more before its certificate expires.
 */
#include "cmd/trust.h"
#include "cmd/trust_passphrase.h"

#include "base/memory.h"
#include "io/file.h"
#include "trust/deny.h"

#include <stdio.h>
#include <stdlib.h>

struct revoke_flags {
	const char *signer;
	const char *directory;
	const char *passphrase_file;
	struct flag_list identities;
	struct flag_list serials;
	struct flag_list issuers;
	bool forgive;
};

/* A list being changed. */
struct change {
	const struct authority *signer;
	struct deny_entry entries[DENY_ENTRIES_MAX];
	size_t count;
	bool forgive;
};

static size_t find(const struct change *change, const struct deny_entry *entry) {
	size_t i = 0;
	while (i < change->count && !(change->entries[i].kind == entry->kind &&
					    str_equal(change->entries[i].value, entry->value))) {
		i++;
	}
	return i;
}

static int apply(struct change *change, const struct deny_entry *entry, struct err *err) {
	int rc = deny_entry_check(
		entry, !authority_is_issuer(change->signer), authority_domain(change->signer), err);
	if (rc < 0) {
		return rc;
	}
	size_t at = find(change, entry);
	if (change->forgive && at == change->count) {
		return err_set(err, ERR_INVAL, "%.*s is not on the list", STR_ARG(entry->value));
	}
	if (change->forgive) {
		change->entries[at] = change->entries[--change->count];
		return 0;
	}
	if (at == change->count && change->count == DENY_ENTRIES_MAX) {
		return err_set(err, ERR_LIMIT, "a list has at most %d entries", DENY_ENTRIES_MAX);
	}
	if (at == change->count) {
		change->entries[change->count++] = *entry;
	}
	return 0;
}

static int apply_all(struct change *change, const struct flag_list *values, enum deny_kind kind,
	struct err *err) {
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < values->count; i++) {
		const struct deny_entry entry = { kind, str_of(values->items[i]) };
		rc = apply(change, &entry, err);
	}
	return rc;
}

/* The list as it is now, if there is one. */
static int read_list(const char *path, struct str anchors, struct deny_list *out, struct err *err) {
	AUTO(buf_deinit) struct buf text = { 0 };
	if (!path_exists(path)) {
		*out = (struct deny_list){ 0 };
		return 0;
	}
	int rc = file_read(path, DENY_LIST_BYTES_MAX, &text, err);
	if (rc == 0) {
		rc = deny_list_parse(buf_str(&text), anchors, out, err);
	}
	return rc < 0 ? err_wrap(err, rc, "%s", path) : 0;
}

static int write_list(const char *path, const struct change *change, int64_t after,
	const char *directory, struct err *err) {
	AUTO(buf_deinit) struct buf text = { 0 };
	int64_t number = clock_now_ms(clock_system());
	deny_list_format(change->signer, number > after ? number : after + 1, change->entries,
		change->count, &text);
	int rc = dir_make(directory, 0700, err);
	if (rc == 0) {
		rc = file_write_atomic(path, buf_str(&text), 0644, err);
	}
	if (rc == 0) {
		(void)printf("%s: %zu denied\n", path, change->count);
	}
	return rc;
}

static int change_list(const struct revoke_flags *flags, struct change *change, struct str anchors,
	struct err *err) {
	AUTO(buf_deinit) struct buf path = { 0 };
	struct deny_list old;
	buf_printf(&path, "%s/", flags->directory);
	deny_list_file_name(
		!authority_is_issuer(change->signer), authority_domain(change->signer), &path);
	int rc = read_list(buf_text(&path), anchors, &old, err);
	if (rc < 0) {
		return rc;
	}
	for (size_t i = 0; i < old.count; i++) {
		change->entries[change->count++] = old.entries[i];
	}
	rc = apply_all(change, &flags->identities, DENY_IDENTITY, err);
	if (rc == 0) {
		rc = apply_all(change, &flags->serials, DENY_SERIAL, err);
	}
	if (rc == 0) {
		rc = apply_all(change, &flags->issuers, DENY_ISSUER, err);
	}
	if (rc == 0) {
		rc = write_list(buf_text(&path), change, old.number, flags->directory, err);
	}
	deny_list_deinit(&old);
	return rc;
}

static int revoke(const struct revoke_flags *flags, struct err *err) {
	AUTO(credentials_deinit) struct credentials credentials = { 0 };
	struct authority *signer = NULL;
	if (!flags->directory) {
		return err_set(err, ERR_INVAL,
			"--directory is missing: the folder \"denied\" in the credentials of a hub "
			"or gateway");
	}
	int rc = trust_unlock(flags->signer, flags->passphrase_file, &signer, err);
	if (rc == 0) {
		rc = credentials_load(flags->signer, &credentials, err);
	}
	if (rc == 0) {
		struct change *change = MEMORY_NEW(struct change, 1);
		change->signer = signer;
		change->forgive = flags->forgive;
		rc = change_list(flags, change, buf_str(&credentials.anchors), err);
		free(change);
	}
	authority_free(signer);
	return rc;
}

static int run_revoke(const void *config, char **args, size_t arg_count) {
	(void)args, (void)arg_count;
	struct err err = { 0 };
	return revoke(config, &err) < 0 ? command_fail(&trust_revoke_command, &err) : EXIT_SUCCESS;
}

#define ROW(kind, ...) FLAG_##kind##_ROW(struct revoke_flags, __VA_ARGS__)

static const struct flag revoke_rows[] = {
	ROW(TEXT, signer, "signer", "DIR", "issuer",
		"Who signs: a cluster's issuer for what is its own, or the anchor for all."),
	ROW(TEXT, directory, "directory", "DIR", NULL,
		"Where lists lie: the folder \"denied\" in the credentials of a hub or gateway, "
		"which is watched."),
	ROW(LIST, identities, "identity", "NAME", NULL,
		"Nobody with this identity is believed; may be repeated."),
	ROW(LIST, serials, "serial", "HEX", NULL,
		"The leaf with this serial number is not believed; may be repeated."),
	ROW(LIST, issuers, "issuer-digest", "SHA256", NULL,
		"The issuer with this certificate, and its leaves, are not believed; only by the "
		"anchor; may be repeated."),
	ROW(TEXT, passphrase_file, PASSPHRASE_FLAG, "FILE", NULL,
		"Of the signer's key, if that is encrypted; - is standard input."),
	FLAG_BOOL_ROW(struct revoke_flags, forgive, "forgive",
		"What is named is taken off the list instead."),
};

const struct command trust_revoke_command = {
	.name = "trust revoke",
	.summary = "deny identities, certificates or issuers before they expire",
	.description =
		"Adds to the signed list of those who are not believed any more. The hub or "
		"gateway whose folder it lies in enforces it at once, on open connections too, and "
		"hands it on over all links. Without anything to add, the list is signed anew, as "
		"after its signer was replaced.",
	.flags = revoke_rows,
	.flag_count = ARRAY_COUNT(revoke_rows),
	.config_size = sizeof(struct revoke_flags),
	.run = run_revoke,
};
