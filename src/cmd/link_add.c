/*
 * atoll link add and remove: link files from bundles, and their end.
 */
#include "cmd/link.h"

#include "cmd/join.h"
#include "cmd/link_files.h"
#include "codec/json_writer.h"
#include "io/file.h"
#include "mesh/link_bundle.h"
#include "trust/bundle.h"
#include "trust/identity.h"
#include "trust/verify.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#define PEM_BYTES_MAX (1024U * 1024U)

struct add_flags {
	const char *links_directory;
	const char *hubs_directory;
	const char *tls_directory;
	const char *digest;
	bool trust;
	bool join;
	bool replace;
	const char *output;
};

/* A bundle that is being taken in. */
struct addition {
	const struct add_flags *flags;
	struct arena arena;
	struct buf text;
	char digest[65];
	struct link_bundle bundle;
	struct buf own_anchors;
	bool is_believed; /* By an anchor of ours. */
	bool is_json;
	int new_anchors;
	struct buf path; /* Of the file that is written. */
};

static int read_bundle(struct addition *addition, const char *file, struct err *err) {
	int rc = file_read(file, LINK_BUNDLE_BYTES_MAX, &addition->text, err);
	if (rc < 0) {
		return rc;
	}
	link_bundle_digest(buf_str(&addition->text), addition->digest);
	rc = link_bundle_parse(&addition->arena, buf_str(&addition->text), &addition->bundle, err);
	return rc < 0 ? err_wrap(err, rc, "%s", file) : 0;
}

/* Without credentials nobody is believed yet: they come with --join. */
static int read_own(struct addition *addition, struct err *err) {
	AUTO(buf_deinit) struct buf path = { 0 };
	buf_printf(&path, "%s/ca.crt", addition->flags->tls_directory);
	if (addition->flags->join && !path_exists(buf_text(&path))) {
		return 0;
	}
	int rc = file_read(buf_text(&path), PEM_BYTES_MAX, &addition->own_anchors, err);
	return rc < 0 ? err_wrap(err, rc, "--tls.directory") : 0;
}

static void list_anchors(const struct trust_facts *facts, struct buf *out) {
	for (size_t i = 0; i < facts->anchor_count; i++) {
		buf_printf(out, "%s%s", i > 0 ? ", " : "", facts->anchors[i]);
	}
	if (facts->anchor_count == 0) {
		buf_add_text(out, "none");
	}
}

/* Nobody vouches for it but itself. */
static int refuse_stranger(struct addition *addition, struct err *err) {
	struct trust_facts own = { 0 };
	AUTO(buf_deinit) struct buf believed = { 0 };
	(void)!trust_facts_read(
		addition->bundle.chain_pem, buf_str(&addition->own_anchors), &own, NULL);
	list_anchors(&own, &believed);
	return err_set(err, ERR_DENIED,
		"the bundle's side descends from the anchor with SHA-256 %s, here are believed: "
		"%.140s. Compare the bundle's own SHA-256 with who made it, over a way that you "
		"trust, and give that as --digest, with --trust to believe its anchors",
		addition->bundle.trust.chain_anchor, buf_text(&believed));
}

static int judge(struct addition *addition, struct err *err) {
	const struct add_flags *flags = addition->flags;
	int rc = link_bundle_judge(&addition->bundle, buf_str(&addition->own_anchors),
		clock_now_ms(clock_system()), err);
	if (rc < 0) {
		return rc;
	}
	addition->is_believed = rc > 0;
	if (flags->digest && strcasecmp(flags->digest, addition->digest) != 0) {
		return err_set(err, ERR_DENIED,
			"the bundle's SHA-256 is %s, and not what --digest says: it is another "
			"file than the one that was made",
			addition->digest);
	}
	bool will_believe = addition->is_believed || flags->trust || flags->join;
	if (!addition->is_believed && (!flags->digest || !will_believe)) {
		return refuse_stranger(addition, err);
	}
	return 0;
}

/* Where the file goes, and whether it may. */
static int choose_path(struct addition *addition, struct err *err) {
	const struct link_bundle *bundle = &addition->bundle;
	const struct add_flags *flags = addition->flags;
	struct identity identity;
	const char *directory = bundle->is_of_hub ? flags->hubs_directory : flags->links_directory;
	if (!directory) {
		return err_set(err, ERR_INVAL,
			"the bundle is a hub's, for its gateway to dial: name the gateway's "
			"--hubs.directory");
	}
	if (!path_exists(directory)) {
		return err_set(err, ERR_IO, "directory %s does not exist", directory);
	}
	int rc = identity_parse(bundle->identity, &identity, err);
	if (rc < 0) {
		return rc;
	}
	if (bundle->is_of_hub) {
		struct str domain = identity.trust_domain;
		struct str cluster = str_cut(&domain, '.');
		buf_printf(&addition->path, "%s/%.*s-%.*s.yaml", directory,
			STR_ARG(str_first(identity.name, 100)), STR_ARG(cluster));
	} else {
		buf_printf(&addition->path, "%s/%.*s.yaml", directory, STR_ARG(bundle->cluster));
	}
	if (path_exists(buf_text(&addition->path)) && !flags->replace) {
		return err_set(err, ERR_INVAL,
			"%s is there already; --replace puts this in its place",
			buf_text(&addition->path));
	}
	return 0;
}

static int check_peer(const struct addition *addition, struct err *err) {
	const struct link_bundle *bundle = &addition->bundle;
	AUTO(buf_deinit) struct buf path = { 0 };
	AUTO(buf_deinit) struct buf chain = { 0 };
	buf_printf(&path, "%s/tls.crt", addition->flags->tls_directory);
	if (!bundle->is_of_hub || file_read(buf_text(&path), PEM_BYTES_MAX, &chain, NULL) < 0) {
		return 0;
	}
	char name[IDENTITY_LEN_MAX + 1];
	if (trust_verify_pem(buf_str(&chain), buf_str(&addition->own_anchors),
		    clock_now_ms(clock_system()), false, name, sizeof(name), err) < 0) {
		return err_wrap(err, ERR_DENIED, "%s", buf_text(&path));
	}
	if (!str_equal(bundle->peer, str_of(name))) {
		return err_set(err, ERR_DENIED,
			"the hub expects %.*s to dial, and --tls.directory holds %s",
			STR_ARG(bundle->peer), name);
	}
	return 0;
}

static int install_anchors(struct addition *addition, struct err *err) {
	const struct add_flags *flags = addition->flags;
	const struct trust_facts *trust = &addition->bundle.trust;
	for (size_t i = 0; !addition->is_json && i < trust->anchor_count; i++) {
		(void)printf("anchor %s%s\n", trust->anchors[i],
			strcmp(trust->anchors[i], trust->chain_anchor) == 0
				? " (its certificate descends from it)"
				: "");
	}
	if (!flags->trust) {
		return 0;
	}
	int rc = bundle_install(flags->tls_directory, addition->bundle.anchors_pem, false, err);
	addition->new_anchors = rc;
	return rc < 0 ? err_wrap(err, rc, "--trust") : 0;
}

/* The token is used up whether it works or not. */
static int join(const struct addition *addition, const char *directory, struct err *err) {
	const struct link_join *from = &addition->bundle.join;
	AUTO(buf_deinit) struct buf anchors = { 0 };
	AUTO(buf_deinit) struct buf url = { 0 };
	AUTO(buf_deinit) struct buf server = { 0 };
	AUTO(buf_deinit) struct buf identity = { 0 };
	AUTO(buf_deinit) struct buf token = { 0 };
	buf_printf(&anchors, "%s/.bundles/%.*s.crt", directory, STR_ARG(addition->bundle.id));
	buf_add_str(&url, from->url);
	buf_add_str(&server, from->server);
	buf_add_str(&identity, from->identity);
	buf_add_str(&token, from->token);
	int rc = file_write_atomic(buf_text(&anchors), addition->bundle.anchors_pem, 0600, err);
	if (rc < 0) {
		return rc;
	}
	rc = join_run(
		&(struct joiner_options){
			.url = buf_text(&url),
			.server = buf_text(&server),
			.directory = addition->flags->tls_directory,
			.anchors_file = buf_text(&anchors),
			.identity = buf_text(&identity),
			.token = buf_text(&token),
		},
		err);
	OPENSSL_cleanse(token.ptr, token.capacity);
	(void)!file_remove(buf_text(&anchors), NULL);
	return rc < 0 ? err_wrap(err, rc, "--join") : 0;
}

static void show(const struct addition *addition) {
	const struct link_bundle *bundle = &addition->bundle;
	if (!addition->is_json) {
		(void)printf("%s %.*s in %s\n  identity %.*s\n", bundle->is_of_hub ? "hub" : "link",
			STR_ARG(bundle->is_of_hub ? bundle->identity : bundle->cluster),
			buf_text(&addition->path), STR_ARG(bundle->identity));
		(void)printf("  believed %s\n", addition->is_believed
							? "by an anchor that was believed before"
							: "by the digest that was given");
		return;
	}
	AUTO(buf_deinit) struct buf out = { 0 };
	struct json_writer writer;
	json_writer_init(&writer, &out);
	json_begin_object(&writer);
	json_key(&writer, STR("file"));
	json_put_str(&writer, buf_str(&addition->path));
	json_key(&writer, STR("cluster"));
	json_put_str(&writer, bundle->cluster);
	json_key(&writer, STR("identity"));
	json_put_str(&writer, bundle->identity);
	json_key(&writer, STR("sha256"));
	json_put_text(&writer, addition->digest);
	json_key(&writer, STR("anchor"));
	json_put_text(&writer, bundle->trust.chain_anchor);
	json_key(&writer, STR("was_believed"));
	json_put_bool(&writer, addition->is_believed);
	json_key(&writer, STR("trust_changed"));
	json_put_bool(&writer, addition->new_anchors > 0);
	json_end_object(&writer);
	(void)printf("%s\n", buf_text(&out));
}

static int take_in(struct addition *addition, struct err *err) {
	const struct add_flags *flags = addition->flags;
	const struct link_bundle *bundle = &addition->bundle;
	const char *directory = bundle->is_of_hub ? flags->hubs_directory : flags->links_directory;
	AUTO(buf_deinit) struct buf file = { 0 };
	int rc = link_bundle_use(directory, bundle, clock_now_ms(clock_system()), err);
	if (rc == 0) {
		rc = install_anchors(addition, err);
	}
	if (rc == 0 && flags->join) {
		rc = join(addition, directory, err);
	}
	if (rc < 0) {
		return rc;
	}
	link_bundle_format_file(bundle, &file);
	return file_write_atomic(buf_text(&addition->path), buf_str(&file), 0644, err);
}

static int add(struct addition *addition, const char *file, struct err *err) {
	int rc = output_is_json(addition->flags->output, &addition->is_json, err);
	if (rc == 0) {
		rc = read_bundle(addition, file, err);
	}
	if (rc == 0 && addition->flags->join && addition->bundle.join.token.len == 0) {
		rc = err_set(err, ERR_INVAL, "--join: the bundle holds no join token");
	}
	if (rc == 0) {
		rc = read_own(addition, err);
	}
	if (rc == 0) {
		rc = judge(addition, err);
	}
	if (rc == 0) {
		rc = check_peer(addition, err);
	}
	if (rc == 0) {
		rc = choose_path(addition, err);
	}
	if (rc == 0) {
		rc = take_in(addition, err);
	}
	if (rc == 0) {
		show(addition);
	}
	return rc;
}

static int run_add(const void *config, char **args, size_t arg_count) {
	struct addition addition = { .flags = config };
	struct err err = { 0 };
	int rc = arg_count == 1 ? add(&addition, args[0], &err)
				: err_set(&err, ERR_INVAL, "name the one link bundle to read");
	if (addition.text.ptr) {
		OPENSSL_cleanse(addition.text.ptr, addition.text.capacity);
	}
	buf_deinit(&addition.text);
	buf_deinit(&addition.own_anchors);
	buf_deinit(&addition.path);
	arena_deinit(&addition.arena);
	return rc < 0 ? command_fail(&link_add_command, &err) : EXIT_SUCCESS;
}

#define ROW(kind, ...) FLAG_##kind##_ROW(struct add_flags, __VA_ARGS__)

static const struct flag add_rows[] = {
	ROW(TEXT, links_directory, "links.directory", "DIR", "links",
		"Where the link file goes: as atoll hub has it."),
	ROW(TEXT, hubs_directory, "hubs.directory", "DIR", NULL,
		"For a hub's bundle: where the hub goes, as atoll gateway has it."),
	ROW(TEXT, tls_directory, "tls.directory", "DIR", "tls",
		"Our credentials, whose ca.crt says whom we believe."),
	ROW(TEXT, digest, "digest", "SHA256", NULL,
		"The bundle's, as atoll link create showed it. Needed if none of our anchors "
		"vouches for it."),
	ROW(BOOL, trust, "trust", "Add the bundle's anchors to ca.crt; their digests are shown."),
	ROW(BOOL, join, "join",
		"Have a certificate, into --tls.directory, for the bundle's join token."),
	ROW(BOOL, replace, "replace", "Put it in the place of a file that is there."),
	FLAG_OUTPUT_ROW(struct add_flags, output),
};

const struct command link_add_command = {
	.name = "link add",
	.summary = "link with the side that made a bundle",
	.arguments = "BUNDLE",
	.description =
		"Reads a file that atoll link create made, once, and writes the link file it "
		"stands "
		"for. It must be signed by the side it names. If one of our anchors vouches for "
		"that, nothing else is needed; if not, its SHA-256 has to be given as the other "
		"side "
		"showed it, and --trust to believe its anchors.",
	.flags = add_rows,
	.flag_count = ARRAY_COUNT(add_rows),
	.config_size = sizeof(struct add_flags),
	.run = run_add,
};

struct remove_flags {
	const char *links_directory;
	const char *output;
};

/* The file in a directory that links with that cluster. */
static int find_link(const char *directory, struct str cluster, struct buf *path, struct err *err) {
	AUTO(arena_deinit) struct arena arena = { 0 };
	struct link_files files;
	int rc = link_files_read(&arena, directory, &files, err);
	for (size_t i = 0; rc == 0 && i < files.count; i++) {
		if (str_equal(files.configs[i].cluster, cluster)) {
			buf_printf(path, "%s/%.*s", directory, STR_ARG(files.names[i]));
			return 0;
		}
	}
	return rc < 0 ? rc
		      : err_set(err, ERR_IO, "no link file in %s names the cluster \"%.*s\"",
				directory, STR_ARG(cluster));
}

static int remove_link(const struct remove_flags *flags, const char *cluster, struct err *err) {
	AUTO(buf_deinit) struct buf path = { 0 };
	AUTO(buf_deinit) struct buf out = { 0 };
	bool is_json = false;
	int rc = output_is_json(flags->output, &is_json, err);
	if (rc == 0) {
		rc = find_link(flags->links_directory, str_of(cluster), &path, err);
	}
	if (rc == 0) {
		rc = file_remove(buf_text(&path), err);
	}
	if (rc < 0) {
		return rc;
	}
	struct json_writer writer;
	json_writer_init(&writer, &out);
	json_begin_object(&writer);
	json_key(&writer, STR("removed"));
	json_put_str(&writer, buf_str(&path));
	json_end_object(&writer);
	(void)printf(is_json ? "%s\n" : "removed %s\n", is_json ? buf_text(&out) : buf_text(&path));
	return 0;
}

static int run_remove(const void *config, char **args, size_t arg_count) {
	struct err err = { 0 };
	int rc = arg_count == 1 ? remove_link(config, args[0], &err)
				: err_set(&err, ERR_INVAL, "name the one cluster whose link ends");
	return rc < 0 ? command_fail(&link_remove_command, &err) : EXIT_SUCCESS;
}

static const struct flag remove_rows[] = {
	FLAG_TEXT_ROW(struct remove_flags, links_directory, "links.directory", "DIR", "links",
		"Where the link files are."),
	FLAG_OUTPUT_ROW(struct remove_flags, output),
};

const struct command link_remove_command = {
	.name = "link remove",
	.summary = "end the link with a cluster",
	.arguments = "CLUSTER",
	.description = "Removes the link file of that cluster. A running hub ends the link and "
		       "removes its mirrors within moments. Whom we believe stays as it is.",
	.flags = remove_rows,
	.flag_count = ARRAY_COUNT(remove_rows),
	.config_size = sizeof(struct remove_flags),
	.run = run_remove,
};
