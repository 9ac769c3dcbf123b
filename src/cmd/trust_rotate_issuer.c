/*
 * atoll trust rotate-issuer: another issuer in the place of a cluster's old one.
 */
#include "cmd/trust.h"
#include "cmd/trust_passphrase.h"

#include "trust/authority.h"

#include <stdio.h>
#include <stdlib.h>

struct rotate_flags {
	const char *anchor;
	const char *issuer;
	const char *passphrase_file;
	int64_t lifetime_ms;
};

static int rotate_issuer(const struct rotate_flags *flags, struct err *err) {
	struct authority *anchor = NULL;
	struct authority *issuer = NULL;
	int rc = trust_unlock(flags->anchor, flags->passphrase_file, &anchor, err);
	if (rc == 0) {
		rc = authority_new_successor(
			anchor, flags->issuer, flags->lifetime_ms, clock_system(), &issuer, err);
	}
	if (rc == 0) {
		rc = authority_save(issuer, flags->issuer, err);
	}
	if (rc == 0) {
		AUTO(buf_deinit) struct buf until = { 0 };
		time_format_rfc3339(authority_not_after_ms(issuer), &until);
		(void)printf("new issuer for %.*s in %s, valid until %s\n",
			STR_ARG(authority_domain(issuer)), flags->issuer, buf_text(&until));
	}
	authority_free(issuer);
	authority_free(anchor);
	return rc;
}

static int run_rotate(const void *config, char **args, size_t arg_count) {
	(void)args, (void)arg_count;
	struct err err = { 0 };
	return rotate_issuer(config, &err) < 0 ? command_fail(&trust_rotate_issuer_command, &err)
					       : EXIT_SUCCESS;
}

static const struct flag rotate_rows[] = {
	FLAG_TEXT_ROW(struct rotate_flags, anchor, "anchor", "DIR", "anchor",
		"The directory of the trust anchor."),
	FLAG_TEXT_ROW(struct rotate_flags, issuer, "issuer", "DIR", "issuer",
		"The directory of the issuer to replace; the new one is for the same cluster."),
	FLAG_DURATION_ROW(struct rotate_flags, lifetime_ms, "lifetime", "DURATION", "365d",
		"How long the new issuer is valid; never beyond the anchor."),
	FLAG_TEXT_ROW(struct rotate_flags, passphrase_file, PASSPHRASE_FLAG, "FILE", NULL,
		"Of the anchor's key, if that is encrypted; - is standard input."),
};

const struct command trust_rotate_issuer_command = {
	.name = "trust rotate-issuer",
	.summary = "replace a cluster's issuer in place",
	.description =
		"Makes a new key and certificate in the directory of an issuer, at once. atoll "
		"trust keep takes it up and renews all its leaves; nothing restarts. Leaves of "
		"the old issuer are believed until they end. Works with one that has expired.",
	.flags = rotate_rows,
	.flag_count = ARRAY_COUNT(rotate_rows),
	.config_size = sizeof(struct rotate_flags),
	.run = run_rotate,
};
