/*
 * atoll trust: the anchor, issuers and leaves of a mesh, made and read on this machine.
 */
#include "cmd/trust.h"
#include "cmd/trust_passphrase.h"

#include "io/file.h"
#include "trust/authority.h"

#include <stdio.h>
#include <stdlib.h>

/* An authority is never overwritten: whoever holds certificates of the old one would be cut off. */
static int refuse_existing(const char *directory, struct err *err) {
	AUTO(buf_deinit) struct buf path = { 0 };
	buf_printf(&path, "%s/tls.crt", directory);
	if (path_exists(buf_text(&path))) {
		return err_set(err, ERR_INVAL,
			"%s holds an authority already; choose another directory", directory);
	}
	return 0;
}

static int require(const char *value, const char *flag, struct err *err) {
	return value ? 0 : err_set(err, ERR_INVAL, "--%s is missing", flag);
}

static void tell(const char *what, const struct authority *authority, const char *directory) {
	AUTO(buf_deinit) struct buf until = { 0 };
	time_format_rfc3339(authority_not_after_ms(authority), &until);
	(void)printf("%s for %.*s in %s, valid until %s\n", what,
		STR_ARG(authority_domain(authority)), directory, buf_text(&until));
}

struct init_flags {
	const char *directory;
	const char *mesh_domain;
	const char *passphrase_file;
	int64_t lifetime_ms;
};

static int init_anchor(const struct init_flags *flags, struct err *err) {
	struct authority *anchor = NULL;
	AUTO(passphrase_deinit) struct passphrase passphrase = { 0 };
	int rc = refuse_existing(flags->directory, err);
	if (rc == 0) {
		rc = passphrase_read(
			flags->passphrase_file, PASSPHRASE_BYTES_MIN, &passphrase, err);
	}
	if (rc == 0) {
		rc = authority_new_anchor(str_of(flags->mesh_domain), flags->lifetime_ms,
			clock_system(), &anchor, err);
	}
	if (rc == 0) {
		rc = authority_lock(anchor, buf_str(&passphrase.text), flags->directory, err);
	}
	if (rc == 0) {
		tell("trust anchor", anchor, flags->directory);
	}
	authority_free(anchor);
	return rc;
}

static int run_init(const void *config, char **args, size_t arg_count) {
	(void)args, (void)arg_count;
	struct err err = { 0 };
	return init_anchor(config, &err) < 0 ? command_fail(&trust_init_command, &err)
					     : EXIT_SUCCESS;
}

static const struct flag init_rows[] = {
	FLAG_TEXT_ROW(struct init_flags, directory, "directory", "DIR", "anchor",
		"Where tls.crt, tls.key and ca.crt of the anchor go."),
	FLAG_TEXT_ROW(struct init_flags, mesh_domain, "mesh-domain", "DOMAIN", MESH_DOMAIN_DEFAULT,
		"What the mesh is called; a cluster's trust domain is CLUSTER.DOMAIN."),
	FLAG_DURATION_ROW(struct init_flags, lifetime_ms, "lifetime", "DURATION", "3650d",
		"How long the anchor is valid."),
	FLAG_TEXT_ROW(struct init_flags, passphrase_file, PASSPHRASE_FLAG, "FILE", NULL,
		"Its first line encrypts the key; - is standard input. Default: not encrypted."),
};

const struct command trust_init_command = {
	.name = "trust init",
	.summary = "make the trust anchor of a mesh",
	.description =
		"Makes a self-signed anchor. Its key signs issuers, one for each cluster, and is "
		"needed for nothing else: keep the directory offline and hand out ca.crt only.",
	.flags = init_rows,
	.flag_count = ARRAY_COUNT(init_rows),
	.config_size = sizeof(struct init_flags),
	.run = run_init,
};

struct issuer_flags {
	const char *anchor;
	const char *cluster;
	const char *directory;
	const char *passphrase_file;
	int64_t lifetime_ms;
};

static int make_issuer(const struct issuer_flags *flags, struct err *err) {
	struct authority *anchor = NULL;
	struct authority *issuer = NULL;
	int rc = require(flags->cluster, "cluster", err);
	if (rc == 0) {
		rc = require(flags->directory, "directory", err);
	}
	if (rc == 0) {
		rc = refuse_existing(flags->directory, err);
	}
	if (rc == 0) {
		rc = trust_unlock(flags->anchor, flags->passphrase_file, &anchor, err);
	}
	if (rc == 0) {
		rc = authority_new_issuer(anchor, str_of(flags->cluster), flags->lifetime_ms,
			clock_system(), &issuer, err);
	}
	if (rc == 0) {
		rc = authority_save(issuer, flags->directory, err);
	}
	if (rc == 0) {
		tell("issuer", issuer, flags->directory);
	}
	authority_free(issuer);
	authority_free(anchor);
	return rc;
}

static int run_issuer(const void *config, char **args, size_t arg_count) {
	(void)args, (void)arg_count;
	struct err err = { 0 };
	return make_issuer(config, &err) < 0 ? command_fail(&trust_issuer_command, &err)
					     : EXIT_SUCCESS;
}

static const struct flag issuer_rows[] = {
	FLAG_TEXT_ROW(struct issuer_flags, anchor, "anchor", "DIR", "anchor",
		"The directory of the trust anchor."),
	FLAG_TEXT_ROW(struct issuer_flags, cluster, "cluster", "NAME", NULL,
		"The cluster whose workloads the issuer may name, and no others'."),
	FLAG_TEXT_ROW(struct issuer_flags, directory, "directory", "DIR", NULL,
		"Where tls.crt, tls.key and ca.crt of the issuer go."),
	FLAG_DURATION_ROW(struct issuer_flags, lifetime_ms, "lifetime", "DURATION", "365d",
		"How long the issuer is valid; never beyond the anchor."),
	FLAG_TEXT_ROW(struct issuer_flags, passphrase_file, PASSPHRASE_FLAG, "FILE", NULL,
		"Of the anchor's key, if that is encrypted; - is standard input."),
};

const struct command trust_issuer_command = {
	.name = "trust issuer",
	.summary = "make a cluster's issuer",
	.description =
		"Makes an authority that can sign certificates for workloads of one cluster. Name "
		"constraints in its certificate keep it from naming those of any other.",
	.flags = issuer_rows,
	.flag_count = ARRAY_COUNT(issuer_rows),
	.config_size = sizeof(struct issuer_flags),
	.run = run_issuer,
};

struct sign_flags {
	const char *issuer;
	const char *name;
	const char *name_space;
	const char *directory;
	int64_t lifetime_ms;
};

static int sign_leaf(const struct sign_flags *flags, struct err *err) {
	struct authority *issuer = NULL;
	AUTO(credentials_deinit) struct credentials leaf = { 0 };
	int rc = require(flags->name, "name", err);
	if (rc == 0) {
		rc = require(flags->directory, "directory", err);
	}
	if (rc == 0) {
		rc = authority_load(flags->issuer, &issuer, err);
	}
	if (rc == 0) {
		const struct leaf_request request = {
			.name = str_of(flags->name),
			.name_space = str_of(flags->name_space),
			.lifetime_ms = flags->lifetime_ms,
		};
		rc = authority_sign(issuer, &request, clock_system(), &leaf, err);
	}
	if (rc == 0) {
		rc = credentials_save(flags->directory, &leaf, err);
	}
	authority_free(issuer);
	return rc;
}

static int run_sign(const void *config, char **args, size_t arg_count) {
	(void)args, (void)arg_count;
	struct err err = { 0 };
	return sign_leaf(config, &err) < 0 ? command_fail(&trust_sign_command, &err) : EXIT_SUCCESS;
}

static const struct flag sign_rows[] = {
	FLAG_TEXT_ROW(struct sign_flags, issuer, "issuer", "DIR", "issuer",
		"The directory of the cluster's issuer."),
	FLAG_TEXT_ROW(struct sign_flags, name, "name", "NAME", NULL,
		"The workload's name, for example gateway."),
	FLAG_TEXT_ROW(struct sign_flags, name_space, "namespace", "NAME", "atoll",
		"The workload's namespace."),
	FLAG_TEXT_ROW(struct sign_flags, directory, "directory", "DIR", NULL,
		"Where tls.crt, tls.key and ca.crt of the workload go; replaced at once."),
	FLAG_DURATION_ROW(struct sign_flags, lifetime_ms, "lifetime", "DURATION", "1d",
		"How long the certificate is valid, at most a day."),
};

const struct command trust_sign_command = {
	.name = "trust sign",
	.summary = "make a workload's key and certificate",
	.description =
		"Makes a new key and a certificate for NAME.NAMESPACE.serviceaccount.identity."
		"linkerd.CLUSTER.DOMAIN. A process that presents the directory notices the new "
		"one and needs no restart.",
	.flags = sign_rows,
	.flag_count = ARRAY_COUNT(sign_rows),
	.config_size = sizeof(struct sign_flags),
	.run = run_sign,
};
