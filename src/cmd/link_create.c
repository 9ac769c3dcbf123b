/*
 * atoll link create: a file that tells another side how to reach this one.
 */
#include "cmd/link.h"

#include "codec/json_writer.h"
#include "io/file.h"
#include "mesh/link_bundle.h"
#include "trust/certificate.h"
#include "trust/identity.h"
#include "trust/token.h"
#include "trust/verify.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>

struct create_flags {
	const char *tls_directory;
	struct flag_list addresses;
	const char *cluster;
	const char *dialled_by;
	const char *links_directory;
	const char *file;
	int64_t lifetime_ms;
	const char *tokens;
	const char *join_url;
	const char *join_server;
	const char *join_identity;
	const char *output;
};

/* What is put together for a bundle. */
struct creation {
	const struct create_flags *flags;
	struct credentials credentials;
	char identity[IDENTITY_LEN_MAX + 1];
	char id[LINK_BUNDLE_ID_LEN + 1];
	struct arena arena;
	struct buf token;
	struct link_bundle bundle;
	struct buf text;
};

static int check_flags(const struct create_flags *flags, struct err *err) {
	bool has_join =
		flags->tokens || flags->join_url || flags->join_server || flags->join_identity;
	if (flags->addresses.count == 0) {
		return err_set(err, ERR_INVAL,
			"--address is missing: where the other side reaches this one");
	}
	if (!flags->file) {
		return err_set(err, ERR_INVAL, "--file is missing: where the bundle goes");
	}
	if (flags->dialled_by && !flags->cluster) {
		return err_set(err, ERR_INVAL,
			"--dialled-by needs --cluster: what the cluster of that gateway is called");
	}
	if (!flags->dialled_by && flags->links_directory) {
		return err_set(err, ERR_INVAL, "--links.directory is for --dialled-by only");
	}
	if (has_join &&
		!(flags->tokens && flags->join_url && flags->join_server && flags->join_identity)) {
		return err_set(err, ERR_INVAL,
			"--tokens, --join-url, --join-server and --join-identity go together");
	}
	return 0;
}

/* Our own name, if peers would believe us now. */
static int load_own(struct creation *creation, int64_t now_ms, struct err *err) {
	const char *directory = creation->flags->tls_directory;
	int rc = credentials_load(directory, &creation->credentials, err);
	if (rc == 0) {
		rc = trust_verify_pem(buf_str(&creation->credentials.chain),
			buf_str(&creation->credentials.anchors), now_ms, false, creation->identity,
			sizeof(creation->identity), err);
	}
	return rc < 0 ? err_wrap(err, rc, "--tls.directory %s", directory) : 0;
}

static void note_end(void *context, struct str der) {
	int64_t *end_ms = context;
	struct certificate_info info;
	if (certificate_read(der, &info, NULL) == 0 && info.not_after_ms < *end_ms) {
		*end_ms = info.not_after_ms;
	}
}

/* A bundle cannot be judged any more when the certificate that signed it has ended. */
static int set_times(struct creation *creation, int64_t now_ms, struct err *err) {
	int64_t end_ms = INT64_MAX;
	int rc = certificates_walk(buf_str(&creation->credentials.chain), note_end, &end_ms, err);
	int64_t lifetime_ms = creation->flags->lifetime_ms;
	if (rc < 0) {
		return rc;
	}
	if (lifetime_ms <= 0 || lifetime_ms > end_ms - now_ms) {
		return err_set(err, ERR_INVAL,
			"--lifetime: a bundle ends with the certificate that signs it, which has "
			"%lld minutes left",
			(long long)((end_ms - now_ms) / MS_PER_S / 60));
	}
	creation->bundle.created_ms = now_ms;
	creation->bundle.expires_ms = now_ms + lifetime_ms;
	return 0;
}

static int set_addresses(struct creation *creation, struct err *err) {
	struct str items[FLAG_LIST_MAX];
	const struct flag_list *list = &creation->flags->addresses;
	for (size_t i = 0; i < list->count; i++) {
		items[i] = str_of(list->items[i]);
	}
	const struct texts texts = { items, list->count };
	creation->bundle.address_count = list->count;
	int rc = link_addresses_read(&creation->arena, &texts, &creation->bundle.addresses, err);
	return rc < 0 ? err_wrap(err, rc, "--address") : 0;
}

static void set_names(struct creation *creation) {
	const struct create_flags *flags = creation->flags;
	struct identity identity;
	struct str cluster = STR_EMPTY;
	if (identity_parse(str_of(creation->identity), &identity, NULL) == 0) {
		cluster = str_cut(&identity.trust_domain, '.');
	}
	link_bundle_make_id(creation->id);
	creation->bundle.id = str_of(creation->id);
	creation->bundle.identity = str_of(creation->identity);
	creation->bundle.cluster = flags->cluster ? str_of(flags->cluster) : cluster;
	creation->bundle.is_of_hub = flags->dialled_by != NULL;
	creation->bundle.peer = flags->dialled_by ? str_of(flags->dialled_by) : STR_EMPTY;
}

static int add_token(struct creation *creation, struct err *err) {
	const struct create_flags *flags = creation->flags;
	if (!flags->tokens) {
		return 0;
	}
	int64_t lifetime_ms = flags->lifetime_ms < TOKEN_LIFETIME_MS_MAX ? flags->lifetime_ms
									 : TOKEN_LIFETIME_MS_MAX;
	creation->bundle.join = (struct link_join){
		.url = str_of(flags->join_url),
		.server = str_of(flags->join_server),
		.identity = str_of(flags->join_identity),
	};
	int rc = token_make(flags->tokens, str_of(flags->join_identity), lifetime_ms,
		clock_system(), &creation->token, err);
	creation->bundle.join.token = buf_str(&creation->token);
	return rc;
}

/* The hub's own side of a link that its gateway dials. */
static int write_own_link(const struct creation *creation, struct buf *path, struct err *err) {
	const struct create_flags *flags = creation->flags;
	AUTO(buf_deinit) struct buf text = { 0 };
	if (!flags->links_directory) {
		return 0;
	}
	buf_printf(path, "%s/%s.yaml", flags->links_directory, flags->cluster);
	buf_printf(&text, "cluster: %s\nidentity: %s\ndials: gateway\n", flags->cluster,
		flags->dialled_by);
	if (path_exists(buf_text(path))) {
		return err_set(err, ERR_INVAL, "%s is there already: atoll link remove %s",
			buf_text(path), flags->cluster);
	}
	return file_write_atomic(buf_text(path), buf_str(&text), 0644, err);
}

static void show(const struct creation *creation, const char *own_link, bool is_json) {
	char digest[65];
	AUTO(buf_deinit) struct buf end = { 0 };
	link_bundle_digest(buf_str(&creation->text), digest);
	time_format_rfc3339(creation->bundle.expires_ms / MS_PER_S * MS_PER_S, &end);
	if (!is_json) {
		(void)printf("link bundle of %s in %s\n  sha256 %s\n  valid once, until %s\n",
			creation->identity, creation->flags->file, digest, buf_text(&end));
		if (own_link[0]) {
			(void)printf("  own link file %s\n", own_link);
		}
		return;
	}
	AUTO(buf_deinit) struct buf out = { 0 };
	struct json_writer writer;
	json_writer_init(&writer, &out);
	json_begin_object(&writer);
	json_key(&writer, STR("file"));
	json_put_text(&writer, creation->flags->file);
	json_key(&writer, STR("sha256"));
	json_put_text(&writer, digest);
	json_key(&writer, STR("id"));
	json_put_text(&writer, creation->id);
	json_key(&writer, STR("identity"));
	json_put_text(&writer, creation->identity);
	json_key(&writer, STR("cluster"));
	json_put_str(&writer, creation->bundle.cluster);
	json_key(&writer, STR("expires"));
	json_put_str(&writer, buf_str(&end));
	json_end_object(&writer);
	(void)printf("%s\n", buf_text(&out));
}

static int create(struct creation *creation, struct err *err) {
	bool is_json = false;
	AUTO(buf_deinit) struct buf own_link = { 0 };
	int64_t now_ms = clock_now_ms(clock_system());
	int rc = check_flags(creation->flags, err);
	if (rc == 0) {
		rc = output_is_json(creation->flags->output, &is_json, err);
	}
	if (rc == 0) {
		rc = load_own(creation, now_ms, err);
	}
	if (rc == 0) {
		rc = set_times(creation, now_ms, err);
	}
	if (rc == 0) {
		rc = set_addresses(creation, err);
	}
	if (rc < 0) {
		return rc;
	}
	set_names(creation);
	rc = add_token(creation, err);
	if (rc == 0) {
		rc = link_bundle_write(
			&creation->bundle, &creation->credentials, &creation->text, err);
	}
	if (rc == 0) {
		rc = write_own_link(creation, &own_link, err);
	}
	if (rc == 0) {
		rc = file_write_atomic(creation->flags->file, buf_str(&creation->text), 0600, err);
	}
	if (rc == 0) {
		show(creation, buf_text(&own_link), is_json);
	}
	return rc;
}

static int run_create(const void *config, char **args, size_t arg_count) {
	struct creation creation = { .flags = config };
	struct err err = { 0 };
	(void)args, (void)arg_count;
	int rc = create(&creation, &err);
	if (creation.token.ptr) {
		OPENSSL_cleanse(creation.token.ptr, creation.token.capacity);
		OPENSSL_cleanse(creation.text.ptr, creation.text.capacity);
	}
	credentials_deinit(&creation.credentials);
	buf_deinit(&creation.token);
	buf_deinit(&creation.text);
	arena_deinit(&creation.arena);
	return rc < 0 ? command_fail(&link_create_command, &err) : EXIT_SUCCESS;
}

#define ROW(kind, ...) FLAG_##kind##_ROW(struct create_flags, __VA_ARGS__)

static const struct flag rows[] = {
	ROW(TEXT, tls_directory, "tls.directory", "DIR", "tls",
		"Our credentials, which sign the bundle: of the gateway, or with --dialled-by of "
		"the "
		"hub."),
	ROW(LIST, addresses, "address", "HOST:PORT", NULL,
		"Where the other side reaches us, tried in this order; may be repeated."),
	ROW(TEXT, cluster, "cluster", "NAME", NULL,
		"What the gateway's cluster is called. Default: the first part of our trust "
		"domain."),
	ROW(TEXT, dialled_by, "dialled-by", "NAME", NULL,
		"We are a hub, and the gateway of this identity shall dial us. Default: we are a "
		"gateway, and a hub shall."),
	ROW(TEXT, links_directory, "links.directory", "DIR", NULL,
		"With --dialled-by: also write our own link file there."),
	ROW(TEXT, file, "file", "FILE", NULL, "Where the bundle goes, mode 0600."),
	ROW(DURATION, lifetime_ms, "lifetime", "DURATION", "1h",
		"How long the bundle may be used; at most as long as our certificate lives."),
	ROW(TEXT, tokens, "tokens", "DIR", NULL,
		"Put a join token into the bundle: where atoll trust serve looks for tokens."),
	ROW(TEXT, join_url, "join-url", "URL", NULL, "Where atoll trust serve listens."),
	ROW(TEXT, join_server, "join-server", "NAME", NULL, "The identity of atoll trust serve."),
	ROW(TEXT, join_identity, "join-identity", "NAME", NULL,
		"The identity that the other side may have for the token."),
	FLAG_OUTPUT_ROW(struct create_flags, output),
};

const struct command link_create_command = {
	.name = "link create",
	.summary = "make a file by which another side can link with this one",
	.description =
		"Run where a gateway's credentials are (or, with --dialled-by, a hub's). The file "
		"holds who we are, where, and our trust anchors, signed with our certificate; the "
		"other side reads it with atoll link add, once, within --lifetime. It holds no "
		"secret unless --tokens is given.",
	.flags = rows,
	.flag_count = ARRAY_COUNT(rows),
	.config_size = sizeof(struct create_flags),
	.run = run_create,
};
