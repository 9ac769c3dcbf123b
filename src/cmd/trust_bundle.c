/*
 * atoll trust bundle: the anchors that a process believes, shown, put together and installed.
 */
#include "cmd/trust.h"

#include "io/file.h"
#include "trust/authority.h"
#include "trust/bundle.h"
#include "trust/certificate.h"

#include <stdio.h>
#include <stdlib.h>

#define PEM_BYTES_MAX (1024U * 1024U)

struct bundle_flags {
	const char *output;
	struct flag_list install;
	bool replace;
};

static int add_source(const char *path, struct buf *bundle, struct err *err) {
	AUTO(buf_deinit) struct buf inside = { 0 };
	AUTO(buf_deinit) struct buf text = { 0 };
	buf_printf(&inside, "%s/ca.crt", path);
	const char *file = path_exists(buf_text(&inside)) ? buf_text(&inside) : path;
	int rc = file_read(file, PEM_BYTES_MAX, &text, err);
	if (rc == 0) {
		rc = bundle_add(bundle, buf_str(&text), err);
	}
	return rc < 0 ? err_wrap(err, rc, "%s", file) : 0;
}

static void show_anchor(void *context, struct str der) {
	(void)context;
	struct certificate_info info;
	if (certificate_read(der, &info, NULL) < 0) {
		return;
	}
	AUTO(buf_deinit) struct buf until = { 0 };
	time_format_rfc3339(info.not_after_ms, &until);
	bool is_expired = info.not_after_ms <= clock_now_ms(clock_system());
	(void)printf("%s %s, valid until %s%s\n", info.digest, info.name, buf_text(&until),
		is_expired ? " (expired)" : "");
}

static int install_all(
	const struct bundle_flags *flags, const struct buf *bundle, struct err *err) {
	int rc = 0;
	for (size_t i = 0; rc >= 0 && i < flags->install.count; i++) {
		const char *directory = flags->install.items[i];
		rc = bundle_install(directory, buf_str(bundle), flags->replace, err);
		if (rc >= 0) {
			(void)printf("%s: %s\n", directory,
				rc > 0 ? "ca.crt replaced" : "believes them already");
		}
	}
	return rc < 0 ? rc : 0;
}

static int make_bundle(
	const struct bundle_flags *flags, char **args, size_t count, struct err *err) {
	AUTO(buf_deinit) struct buf bundle = { 0 };
	char digest[65];
	if (count == 0) {
		return err_set(err, ERR_INVAL, "name files of anchors, or directories with ca.crt");
	}
	if (flags->replace && flags->install.count == 0) {
		return err_set(err, ERR_INVAL, "--replace goes with --install");
	}
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < count; i++) {
		rc = add_source(args[i], &bundle, err);
	}
	if (rc == 0) {
		rc = certificates_digest(buf_str(&bundle), digest, err);
	}
	if (rc < 0) {
		return rc;
	}
	(void)printf("anchors %s\n", digest);
	rc = certificates_walk(buf_str(&bundle), show_anchor, NULL, err);
	if (rc >= 0 && flags->output) {
		rc = file_write_atomic(flags->output, buf_str(&bundle), 0644, err);
	}
	return rc >= 0 ? install_all(flags, &bundle, err) : rc;
}

static int run_bundle(const void *config, char **args, size_t arg_count) {
	struct err err = { 0 };
	return make_bundle(config, args, arg_count, &err) < 0
		       ? command_fail(&trust_bundle_command, &err)
		       : EXIT_SUCCESS;
}

static const struct flag bundle_rows[] = {
	FLAG_TEXT_ROW(struct bundle_flags, output, "output", "FILE", NULL,
		"Where to write them as one bundle."),
	FLAG_LIST_ROW(struct bundle_flags, install, "install", "DIR", NULL,
		"A directory, of an issuer or a leaf, that is to believe them too: its ca.crt is "
		"replaced. May be repeated."),
	FLAG_BOOL_ROW(struct bundle_flags, replace, "replace",
		"With --install: what the directory believed before goes."),
};

const struct command trust_bundle_command = {
	.name = "trust bundle",
	.summary = "show, merge and install trust anchors",
	.arguments = "FILE|DIR...",
	.description =
		"Reads anchors in PEM, each once whatever the order, and shows the SHA-256 of each "
		"and of all together; the latter is the same for the same anchors. Certificates "
		"that are no anchors are refused. Processes notice a new ca.crt and need no "
		"restart; installed into an issuer's directory, atoll trust keep hands it to the "
		"leaves at once.",
	.flags = bundle_rows,
	.flag_count = ARRAY_COUNT(bundle_rows),
	.config_size = sizeof(struct bundle_flags),
	.run = run_bundle,
};
