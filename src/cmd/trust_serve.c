/*
 * atoll trust serve, token and join: certificates for machines that do not hold the issuer's key.
 */
#include "cmd/trust.h"

#include "base/log.h"
#include "base/metric.h"
#include "cmd/join.h"
#include "cmd/web.h"
#include "io/file.h"
#include "trust/identity.h"
#include "trust/service.h"
#include "trust/token.h"

#include <openssl/crypto.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOST_MAX 256

struct serve_flags {
	const char *issuer;
	const char *tokens;
	const char *tls_directory;
	const char *listen;
	int64_t lifetime_ms;
};

static void stop(void *loop) {
	loop_stop(loop);
}

static void on_denied(void *context) {
	struct trust_service *const *service = context;
	if (*service) {
		trust_service_denied_changed(*service);
	}
}

static int open_service(struct loop *loop, const struct serve_flags *flags,
	struct trust_identity *identity, struct metric_registry *metrics,
	struct trust_service **out, struct err *err) {
	char host[HOST_MAX];
	uint16_t port = 0;
	int rc = web_parse_address(flags->listen, host, sizeof(host), &port, err);
	if (rc < 0) {
		return err_wrap(err, rc, "--listen-address");
	}
	const struct trust_service_options options = {
		.issuer_directory = flags->issuer,
		.token_directory = flags->tokens,
		.host = host,
		.port = port,
		.tls = trust_identity_slot(identity),
		.denied = trust_identity_denied(identity),
		.lifetime_ms = flags->lifetime_ms,
		.metrics = metrics,
	};
	rc = trust_service_open(loop, &options, out, err);
	if (rc == 0) {
		log_info("issuing service listening", KV("identity", trust_identity_name(identity)),
			KV("host", host), KV_INT("port", trust_service_port(*out)));
	}
	return rc;
}

static int serve(const struct serve_flags *flags, struct err *err) {
	struct loop *loop = loop_new(clock_system());
	struct metric_registry *metrics = metric_registry_new();
	struct trust_identity *identity = NULL;
	struct trust_service *service = NULL;
	const struct trust_identity_options options = {
		.directory = flags->tls_directory,
		.metrics = metrics,
		.on_denied = on_denied,
		.context = &service,
	};
	int rc = trust_identity_open(loop, &options, &identity, err);
	if (rc == 0) {
		rc = open_service(loop, flags, identity, metrics, &service, err);
	}
	if (rc == 0) {
		loop_on_signal(loop, SIGINT, stop, loop);
		loop_on_signal(loop, SIGTERM, stop, loop);
		loop_run(loop);
	}
	trust_service_close(service);
	trust_identity_close(identity);
	loop_free(loop);
	metric_registry_free(metrics);
	return rc;
}

static int run_serve(const void *config, char **args, size_t arg_count) {
	(void)args, (void)arg_count;
	struct err err = { 0 };
	log_set_role("trust");
	return serve(config, &err) < 0 ? command_fail(&trust_serve_command, &err) : EXIT_SUCCESS;
}

static const struct flag serve_rows[] = {
	FLAG_TEXT_ROW(struct serve_flags, issuer, "issuer", "DIR", "issuer",
		"The directory of the cluster's issuer."),
	FLAG_TEXT_ROW(struct serve_flags, tokens, "tokens", "DIR", "tokens",
		"Where atoll trust token keeps what is known of tokens."),
	FLAG_TEXT_ROW(struct serve_flags, tls_directory, "tls.directory", "DIR", "tls",
		"The service's own credentials, of the same cluster; watched."),
	FLAG_TEXT_ROW(struct serve_flags, listen, "listen-address", "HOST:PORT", "127.0.0.1:4144",
		"Where processes of the cluster ask, by HTTPS."),
	FLAG_DURATION_ROW(struct serve_flags, lifetime_ms, "lifetime", "DURATION", "1d",
		"How long certificates are valid, at most a day."),
};

const struct command trust_serve_command = {
	.name = "trust serve",
	.summary = "sign certificates for processes elsewhere in the cluster",
	.description = "Runs until stopped, beside atoll trust keep for its own certificate. A "
		       "process has its first certificate for a token, of one use and one name, "
		       "and others by presenting the current one; see atoll trust join.",
	.flags = serve_rows,
	.flag_count = ARRAY_COUNT(serve_rows),
	.config_size = sizeof(struct serve_flags),
	.run = run_serve,
};

struct token_flags {
	const char *tokens;
	const char *identity;
	int64_t lifetime_ms;
};

static int run_token(const void *config, char **args, size_t arg_count) {
	const struct token_flags *flags = config;
	AUTO(buf_deinit) struct buf token = { 0 };
	struct err err = { 0 };
	int rc = 0;
	(void)args, (void)arg_count;
	if (!flags->identity) {
		rc = err_set(&err, ERR_INVAL, "--identity is missing");
	} else {
		rc = token_make(flags->tokens, str_of(flags->identity), flags->lifetime_ms,
			clock_system(), &token, &err);
	}
	if (rc < 0) {
		return command_fail(&trust_token_command, &err);
	}
	(void)printf("%s\n", buf_text(&token));
	OPENSSL_cleanse(token.ptr, token.capacity);
	return EXIT_SUCCESS;
}

static const struct flag token_rows[] = {
	FLAG_TEXT_ROW(struct token_flags, tokens, "tokens", "DIR", "tokens",
		"Where to keep what is known of tokens; as atoll trust serve has it."),
	FLAG_TEXT_ROW(struct token_flags, identity, "identity", "NAME", NULL,
		"The one identity that may be had for it."),
	FLAG_DURATION_ROW(struct token_flags, lifetime_ms, "lifetime", "DURATION", "10m",
		"How long it may be used, at most a day."),
};

const struct command trust_token_command = {
	.name = "trust token",
	.summary = "make a token for a first certificate",
	.description = "Prints a token, which is kept nowhere: the directory has its SHA-256. It "
		       "works once.",
	.flags = token_rows,
	.flag_count = ARRAY_COUNT(token_rows),
	.config_size = sizeof(struct token_flags),
	.run = run_token,
};

struct join_flags {
	const char *url;
	const char *server;
	const char *directory;
	const char *identity;
	const char *anchors;
	const char *token_file;
	bool keep;
};

static int check_join(const struct join_flags *flags, struct err *err) {
	if (!flags->url || !flags->server || !flags->directory) {
		return err_set(err, ERR_INVAL, "--url, --server and --directory are needed");
	}
	bool has_any = flags->identity || flags->anchors || flags->token_file;
	bool has_all = flags->identity && flags->anchors && flags->token_file;
	if (has_any && !has_all) {
		return err_set(err, ERR_INVAL,
			"--identity, --anchors and --token-file go together: they are for a first "
			"certificate");
	}
	return 0;
}

/* A token on the command line would be seen by all. */
static int read_token(const char *path, struct buf *out, struct err *err) {
	const char *file = strcmp(path, "-") == 0 ? "/dev/stdin" : path;
	int rc = file_read(file, 1024, out, err);
	if (rc == 0) {
		struct str token = str_trim(buf_str(out));
		if (token.len != TOKEN_LEN) {
			return err_set(err, ERR_INVAL, "%s: not a token", path);
		}
		out->len = token.len;
	}
	return rc;
}

static int join(const struct join_flags *flags, struct err *err) {
	AUTO(buf_deinit) struct buf token = { 0 };
	int rc = check_join(flags, err);
	if (rc == 0 && flags->token_file) {
		rc = read_token(flags->token_file, &token, err);
	}
	if (rc < 0) {
		return rc;
	}
	rc = join_run(
		&(struct joiner_options){
			.url = flags->url,
			.server = flags->server,
			.directory = flags->directory,
			.anchors_file = flags->anchors,
			.identity = flags->identity,
			.token = token.len > 0 ? buf_text(&token) : NULL,
			.keeps = flags->keep,
		},
		err);
	if (token.ptr) {
		OPENSSL_cleanse(token.ptr, token.capacity);
	}
	return rc;
}

static int run_join(const void *config, char **args, size_t arg_count) {
	(void)args, (void)arg_count;
	struct err err = { 0 };
	log_set_role("trust");
	return join(config, &err) < 0 ? command_fail(&trust_join_command, &err) : EXIT_SUCCESS;
}

static const struct flag join_rows[] = {
	FLAG_TEXT_ROW(struct join_flags, url, "url", "URL", NULL,
		"Where the issuing service listens: https://HOST:PORT."),
	FLAG_TEXT_ROW(struct join_flags, server, "server", "NAME", NULL,
		"The identity of the issuing service."),
	FLAG_TEXT_ROW(struct join_flags, directory, "directory", "DIR", NULL,
		"Where tls.crt, tls.key and ca.crt go; replaced at once."),
	FLAG_TEXT_ROW(struct join_flags, identity, "identity", "NAME", NULL,
		"First certificate: the name that the token is for."),
	FLAG_TEXT_ROW(struct join_flags, anchors, "anchors", "FILE", NULL,
		"First certificate: the anchors of the mesh."),
	FLAG_TEXT_ROW(struct join_flags, token_file, "token-file", "FILE", NULL,
		"First certificate: the token; - reads it from standard input."),
	FLAG_BOOL_ROW(struct join_flags, keep, "keep",
		"Run until stopped, and renew at two thirds of each certificate's lifetime."),
};

const struct command trust_join_command = {
	.name = "trust join",
	.summary = "have a certificate from the cluster's issuing service",
	.description = "The key is made here and does not leave. With a token, a first "
		       "certificate; without, the one in the directory is renewed, which must "
		       "not have expired.",
	.flags = join_rows,
	.flag_count = ARRAY_COUNT(join_rows),
	.config_size = sizeof(struct join_flags),
	.run = run_join,
};
