#include "trust/token.h"

#include "base/check.h"
#include "base/rand.h"
#include "io/file.h"
#include "trust/identity.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>

#define FILE_BYTES_MAX 512

static void format_hex(const unsigned char *bytes, char out[TOKEN_LEN + 1]) {
	for (size_t i = 0; i < TOKEN_LEN / 2; i++) {
		(void)snprintf(out + 2 * i, 3, "%02x", bytes[i]);
	}
}

/* Where what is known of a token lies. */
static void path_of(const char *directory, struct str token, struct buf *out) {
	unsigned char digest[SHA256_DIGEST_LENGTH];
	char hex[TOKEN_LEN + 1];
	(void)SHA256((const unsigned char *)token.ptr, token.len, digest);
	format_hex(digest, hex);
	buf_printf(out, "%s/%s", directory, hex);
}

static int read_token(
	const char *path, char *identity, size_t size, int64_t *end_ms, struct err *err) {
	AUTO(buf_deinit) struct buf text = { 0 };
	struct identity parts;
	int rc = file_read(path, FILE_BYTES_MAX, &text, err);
	if (rc < 0) {
		return rc;
	}
	struct str rest = buf_str(&text);
	struct str name = str_cut(&rest, '\n');
	if (identity_parse(name, &parts, err) < 0 || name.len >= size ||
		!str_to_i64(str_cut(&rest, '\n'), end_ms)) {
		return err_set(err, ERR_CORRUPT, "%s: malformed", path);
	}
	memcpy(identity, name.ptr, name.len);
	identity[name.len] = '\0';
	return 0;
}

/* Failing to remove one is no reason to fail: it is refused all the same. */
static void remove_ended(const char *directory, int64_t now_ms) {
	struct dir_list names = { 0 };
	if (dir_list(directory, &names, NULL) < 0) {
		return;
	}
	for (size_t i = 0; i < names.count; i++) {
		AUTO(buf_deinit) struct buf path = { 0 };
		char identity[IDENTITY_LEN_MAX + 1];
		int64_t end_ms = 0;
		struct err err = { 0 };
		buf_printf(&path, "%s/%s", directory, names.names[i]);
		if (read_token(buf_text(&path), identity, sizeof(identity), &end_ms, &err) == 0 &&
			end_ms <= now_ms) {
			(void)!file_remove(buf_text(&path), &err);
		}
	}
	dir_list_free(&names);
}

int token_make(const char *directory, struct str identity, int64_t lifetime_ms,
	const struct clock *clock, struct buf *token, struct err *err) {
	unsigned char bytes[TOKEN_LEN / 2];
	char hex[TOKEN_LEN + 1];
	struct identity parts;
	AUTO(buf_deinit) struct buf path = { 0 };
	AUTO(buf_deinit) struct buf text = { 0 };
	int rc = identity_parse(identity, &parts, err);
	if (rc < 0) {
		return rc;
	}
	if (lifetime_ms <= 0 || lifetime_ms > TOKEN_LIFETIME_MS_MAX) {
		return err_set(err, ERR_INVAL, "a token lives at most %lld h",
			(long long)(TOKEN_LIFETIME_MS_MAX / MS_PER_S / 3600));
	}
	rc = dir_make(directory, 0700, err);
	if (rc < 0) {
		return rc;
	}
	remove_ended(directory, clock_now_ms(clock));
	rand_secure(bytes, sizeof(bytes));
	format_hex(bytes, hex);
	path_of(directory, str_of(hex), &path);
	buf_printf(&text, "%.*s\n%lld\n", STR_ARG(identity),
		(long long)(clock_now_ms(clock) + lifetime_ms));
	rc = file_write_atomic(buf_text(&path), buf_str(&text), 0600, err);
	if (rc == 0) {
		buf_add_text(token, hex);
	}
	OPENSSL_cleanse(bytes, sizeof(bytes));
	OPENSSL_cleanse(hex, sizeof(hex));
	return rc;
}

int token_redeem(const char *directory, struct str token, const struct clock *clock, char *identity,
	size_t size, struct err *err) {
	AUTO(buf_deinit) struct buf path = { 0 };
	int64_t end_ms = 0;
	path_of(directory, token, &path);
	CHECK(size > IDENTITY_LEN_MAX);
	if (token.len != TOKEN_LEN ||
		read_token(buf_text(&path), identity, size, &end_ms, err) < 0 ||
		file_remove(buf_text(&path), err) < 0 || dir_sync(directory, err) < 0 ||
		end_ms <= clock_now_ms(clock)) {
		return err_set(err, ERR_DENIED,
			"this token is not known: it was used, has ended, or is of another "
			"cluster");
	}
	return 0;
}
