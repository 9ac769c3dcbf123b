/*
 * atoll trust inspect: certificates for people.
 */
#include "cmd/trust.h"

#include "io/file.h"
#include "trust/authority.h"
#include "trust/certificate.h"
#include "trust/verify.h"

#include <stdio.h>
#include <stdlib.h>

#define PEM_BYTES_MAX (1024U * 1024U)

static void show_certificate(void *context, struct str der) {
	(void)context;
	struct certificate_info info;
	if (certificate_read(der, &info, NULL) < 0) {
		(void)printf("  unreadable certificate\n");
		return;
	}
	AUTO(buf_deinit) struct buf from = { 0 };
	AUTO(buf_deinit) struct buf until = { 0 };
	time_format_rfc3339(info.not_before_ms, &from);
	time_format_rfc3339(info.not_after_ms, &until);
	bool is_expired = info.not_after_ms <= clock_now_ms(clock_system());
	(void)printf("%s %s\n  valid %s to %s%s\n",
		info.is_self_signed ? "anchor"
		: info.is_authority ? "issuer"
				    : "leaf",
		info.name, buf_text(&from), buf_text(&until), is_expired ? " (expired)" : "");
	if (info.domain[0]) {
		(void)printf("  limited to trust domain %s\n", info.domain);
	}
	(void)printf("  sha256 %s\n", info.digest);
}

static int inspect_file(const char *path, struct buf *out, struct err *err) {
	int rc = file_read(path, PEM_BYTES_MAX, out, err);
	if (rc == 0) {
		rc = certificates_walk(buf_str(out), show_certificate, NULL, err);
	}
	if (rc == 0) {
		return err_set(err, ERR_INVAL, "%s: no certificate in PEM found", path);
	}
	return rc < 0 ? rc : 0;
}

static int inspect_directory(const char *directory, struct err *err) {
	AUTO(buf_deinit) struct buf chain = { 0 };
	AUTO(buf_deinit) struct buf anchors = { 0 };
	AUTO(buf_deinit) struct buf chain_path = { 0 };
	AUTO(buf_deinit) struct buf anchors_path = { 0 };
	buf_printf(&chain_path, "%s/tls.crt", directory);
	buf_printf(&anchors_path, "%s/ca.crt", directory);
	int rc = inspect_file(buf_text(&chain_path), &chain, err);
	if (rc == 0) {
		rc = inspect_file(buf_text(&anchors_path), &anchors, err);
	}
	char digest[65];
	if (rc == 0) {
		rc = certificates_digest(buf_str(&anchors), digest, err);
	}
	if (rc < 0) {
		return rc;
	}
	(void)printf("anchors %s\n", digest);
	int64_t now_ms = clock_now_ms(clock_system());
	struct authority *authority = NULL;
	if (authority_load_certificate(directory, &authority, NULL) == 0) {
		bool is_valid = authority_not_after_ms(authority) > now_ms;
		authority_free(authority);
		return is_valid ? 0 : err_set(err, ERR_DENIED, "%s has expired", directory);
	}
	char name[256];
	rc = trust_verify_pem(
		buf_str(&chain), buf_str(&anchors), now_ms, false, name, sizeof(name), err);
	if (rc == 0) {
		(void)printf("peers believe %s\n", name);
	}
	return rc;
}

static int run_inspect(const void *config, char **args, size_t arg_count) {
	(void)config;
	struct err err = { 0 };
	if (arg_count == 0) {
		(void)err_set(&err, ERR_INVAL, "name files or directories to read");
		return command_fail(&trust_inspect_command, &err);
	}
	int exit_code = EXIT_SUCCESS;
	for (size_t i = 0; i < arg_count; i++) {
		AUTO(buf_deinit) struct buf inside = { 0 };
		AUTO(buf_deinit) struct buf text = { 0 };
		buf_printf(&inside, "%s/tls.crt", args[i]);
		int rc = path_exists(buf_text(&inside)) ? inspect_directory(args[i], &err)
							: inspect_file(args[i], &text, &err);
		if (rc < 0) {
			exit_code = command_fail(&trust_inspect_command, &err);
		}
	}
	return exit_code;
}

const struct command trust_inspect_command = {
	.name = "trust inspect",
	.summary = "show certificates and whether peers believe them",
	.arguments = "FILE|DIR...",
	.description = "Reads certificates in PEM. For a directory that holds a workload's key, "
		       "says whether the chain would be accepted now. Exits 0 if all is well.",
	.run = run_inspect,
};
