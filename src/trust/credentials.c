/*
 * A directory of credentials is replaced as Kubernetes replaces a mounted Secret:
 *
 *     tls.crt -> ..data/tls.crt      ..data -> ..v4f1c...      ..v4f1c.../{tls.crt,tls.key,ca.crt}
 *
 * The new version is written into a folder of its own, then the one link "..data" is renamed over
 * the old. Plain files in their place are read just as well.
 */
#include "trust/authority.h"

#include "base/check.h"
#include "base/log.h"
#include "base/rand.h"
#include "io/file.h"

#include <openssl/crypto.h>

#define FILE_BYTES_MAX (1024U * 1024U)
#define READ_TRIES_MAX 3

static const char *const file_names[] = { "tls.crt", "tls.key", "ca.crt" };

void credentials_deinit(struct credentials *credentials) {
	if (credentials->key.ptr) {
		OPENSSL_cleanse(credentials->key.ptr, credentials->key.capacity);
	}
	buf_deinit(&credentials->chain);
	buf_deinit(&credentials->key);
	buf_deinit(&credentials->anchors);
}

static int read_file(const char *directory, const char *name, struct buf *out, struct err *err) {
	AUTO(buf_deinit) struct buf path = { 0 };
	buf_printf(&path, "%s/%s", directory, name);
	return file_read(buf_text(&path), FILE_BYTES_MAX, out, err);
}

static int read_all(const char *directory, struct credentials *out, struct err *err) {
	int rc = read_file(directory, "tls.crt", &out->chain, err);
	if (rc == 0) {
		rc = read_file(directory, "tls.key", &out->key, err);
	}
	return rc == 0 ? read_file(directory, "ca.crt", &out->anchors, err) : rc;
}

/* Whether tls.crt still is what was read before the others. */
static bool is_unchanged(const char *directory, const struct credentials *seen) {
	AUTO(buf_deinit) struct buf again = { 0 };
	return read_file(directory, "tls.crt", &again, NULL) == 0 &&
	       str_equal(buf_str(&again), buf_str(&seen->chain));
}

int credentials_load(const char *directory, struct credentials *out, struct err *err) {
	for (int tries = 0;; tries++) {
		struct credentials read = { 0 };
		int rc = read_all(directory, &read, err);
		if (rc < 0) {
			credentials_deinit(&read);
			return rc;
		}
		if (tries == READ_TRIES_MAX || is_unchanged(directory, &read)) {
			*out = read;
			return 0;
		}
		credentials_deinit(&read);
	}
}

static int write_version(
	const char *folder, const struct credentials *credentials, struct err *err) {
	const struct buf *const texts[] = { &credentials->chain, &credentials->key,
		&credentials->anchors };
	int rc = dir_make(folder, 0700, err);
	for (size_t i = 0; rc == 0 && i < ARRAY_COUNT(file_names); i++) {
		AUTO(buf_deinit) struct buf path = { 0 };
		buf_printf(&path, "%s/%s", folder, file_names[i]);
		mode_t mode = texts[i] == &credentials->key ? 0600 : 0644;
		rc = file_write_atomic(buf_text(&path), buf_str(texts[i]), mode, err);
	}
	return rc;
}

static int link_names(const char *directory, const char *version, struct err *err) {
	AUTO(buf_deinit) struct buf link = { 0 };
	buf_printf(&link, "%s/..data", directory);
	int rc = file_link(version, buf_text(&link), err);
	for (size_t i = 0; rc == 0 && i < ARRAY_COUNT(file_names); i++) {
		AUTO(buf_deinit) struct buf target = { 0 };
		AUTO(buf_deinit) struct buf name = { 0 };
		buf_printf(&target, "..data/%s", file_names[i]);
		buf_printf(&name, "%s/%s", directory, file_names[i]);
		rc = file_link(buf_text(&target), buf_text(&name), err);
	}
	return rc;
}

/* Old versions only waste space, so failing to remove one is no reason to fail. */
static void remove_version(const char *folder) {
	struct err err = { 0 };
	if (dir_remove_tree(folder, &err) < 0) {
		log_debug("old credentials not removed", KV_ERR(&err));
	}
}

static void remove_others(const char *directory, const char *version) {
	struct dir_list list = { 0 };
	if (dir_list(directory, &list, NULL) < 0) {
		return;
	}
	for (size_t i = 0; i < list.count; i++) {
		struct str name = str_of(list.names[i]);
		if (!str_starts(name, STR("..v")) || str_equal(name, str_of(version))) {
			continue;
		}
		AUTO(buf_deinit) struct buf path = { 0 };
		buf_printf(&path, "%s/%s", directory, list.names[i]);
		remove_version(buf_text(&path));
	}
	dir_list_free(&list);
}

int credentials_save(
	const char *directory, const struct credentials *credentials, struct err *err) {
	uint64_t number = 0;
	rand_secure(&number, sizeof(number));
	AUTO(buf_deinit) struct buf version = { 0 };
	buf_printf(&version, "..v%016llx", (unsigned long long)number);
	AUTO(buf_deinit) struct buf folder = { 0 };
	buf_printf(&folder, "%s/%s", directory, buf_text(&version));

	int rc = dir_make(directory, 0700, err);
	if (rc == 0) {
		rc = write_version(buf_text(&folder), credentials, err);
	}
	if (rc == 0) {
		rc = link_names(directory, buf_text(&version), err);
	}
	if (rc < 0) {
		remove_version(buf_text(&folder));
		return err_wrap(err, rc, "write credentials to %s", directory);
	}
	remove_others(directory, buf_text(&version));
	return 0;
}
