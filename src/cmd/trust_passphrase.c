#include "cmd/trust_passphrase.h"

#include "io/file.h"

#include <openssl/crypto.h>
#include <string.h>

#define PASSPHRASE_FILE_BYTES_MAX 1024

void passphrase_deinit(struct passphrase *passphrase) {
	if (passphrase->text.ptr) {
		OPENSSL_cleanse(passphrase->text.ptr, passphrase->text.capacity);
	}
	buf_deinit(&passphrase->text);
}

int passphrase_read(const char *file, size_t bytes_min, struct passphrase *out, struct err *err) {
	if (!file) {
		return 0;
	}
	int rc = file_read(strcmp(file, "-") == 0 ? "/dev/stdin" : file, PASSPHRASE_FILE_BYTES_MAX,
		&out->text, err);
	if (rc < 0) {
		return err_wrap(err, rc, "--" PASSPHRASE_FLAG);
	}
	struct str rest = buf_str(&out->text);
	struct str line = str_cut(&rest, '\n');
	if (line.len > 0 && line.ptr[line.len - 1] == '\r') {
		line.len--;
	}
	if (line.len == 0 || line.len < bytes_min) {
		return err_set(err, ERR_INVAL,
			"--" PASSPHRASE_FLAG
			" %s: its first line has %zu bytes, a passphrase %zu or more",
			file, line.len, bytes_min > 0 ? bytes_min : 1);
	}
	out->text.len = line.len;
	return 0;
}

int trust_unlock(const char *directory, const char *file, struct authority **out, struct err *err) {
	AUTO(passphrase_deinit) struct passphrase passphrase = { 0 };
	int rc = passphrase_read(file, 0, &passphrase, err);
	if (rc == 0) {
		rc = authority_unlock(directory, buf_str(&passphrase.text), out, err);
	}
	if (rc == ERR_DENIED && !file) {
		return err_wrap(err, rc, "without --" PASSPHRASE_FLAG);
	}
	return rc;
}
