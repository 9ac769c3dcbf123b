/*
 * atoll link list and explain: what running programs tell of their links.
 */
#include "cmd/link.h"

#include "cmd/ask.h"
#include "cmd/link_files.h"
#include "codec/json_writer.h"
#include "io/file.h"
#include "mesh/link_bundle.h"

#include <stdio.h>
#include <stdlib.h>

#define LINKS_PATH "/atoll/v1/links"

struct show_flags {
	const char *hub;
	const char *links_directory;
	const char *output;
};

static void print_json(const json_t *value) {
	char *text = json_dumps(value, JSON_INDENT(2) | JSON_SORT_KEYS);
	(void)printf("%s\n", text ? text : "null");
	free(text);
}

static void print_row(const json_t *link) {
	const json_t *age = json_object_get(link, "catalogue_age_ms");
	const json_t *rtt = json_object_get(link, "rtt_seconds");
	(void)printf("%-16s %-11s %-7s %-28s ", ask_member(link, "cluster"),
		ask_member(link, "state"), ask_member(link, "dials"), ask_member(link, "address"));
	if (rtt) {
		(void)printf("%7.1fms ", json_number_value(rtt) * 1000);
	} else {
		(void)printf("%9s ", "-");
	}
	if (age) {
		(void)printf("%5.1fs ", json_number_value(age) / 1000);
	} else {
		(void)printf("%6s ", "-");
	}
	(void)printf("%7zu  %s\n", json_array_size(json_object_get(link, "exports")),
		ask_member(link, "last_error"));
}

static int list_hub(const struct show_flags *flags, bool is_json, struct err *err) {
	json_t *root = NULL;
	const json_t *data = NULL;
	size_t i = 0;
	const json_t *link = NULL;
	int rc = ask_json(flags->hub, LINKS_PATH, &root, &data, err);
	if (rc < 0) {
		return rc;
	}
	const json_t *links = json_object_get(data, "links");
	if (is_json) {
		print_json(links);
	} else {
		(void)printf("%-16s %-11s %-7s %-28s %9s %6s %7s  %s\n", "CLUSTER", "STATE",
			"DIALS", "ADDRESS", "RTT", "AGE", "EXPORTS", "ERROR");
		json_array_foreach(links, i, link) {
			print_row(link);
		}
	}
	json_decref(root);
	return 0;
}

static void put_file(struct json_writer *writer, const struct link_config *config) {
	json_begin_object(writer);
	json_key(writer, STR("cluster"));
	json_put_str(writer, config->cluster);
	json_key(writer, STR("identity"));
	json_put_str(writer, config->identity);
	json_key(writer, STR("dials"));
	json_put_text(writer, config->is_dialled_by_gateway ? "gateway" : "hub");
	json_key(writer, STR("addresses"));
	json_begin_array(writer);
	for (size_t i = 0; i < config->address_count; i++) {
		json_put_str(writer, config->addresses[i].text);
	}
	json_end_array(writer);
	json_end_object(writer);
}

static int list_files(const struct show_flags *flags, bool is_json, struct err *err) {
	AUTO(arena_deinit) struct arena arena = { 0 };
	AUTO(buf_deinit) struct buf out = { 0 };
	struct link_files files;
	struct json_writer writer;
	int rc = link_files_read(&arena, flags->links_directory, &files, err);
	if (rc < 0) {
		return rc;
	}
	json_writer_init(&writer, &out);
	json_begin_array(&writer);
	if (!is_json) {
		(void)printf("%-16s %-7s %-28s %s\n", "CLUSTER", "DIALS", "ADDRESS", "IDENTITY");
	}
	for (size_t i = 0; i < files.count; i++) {
		const struct link_config *config = &files.configs[i];
		put_file(&writer, config);
		if (!is_json) {
			(void)printf("%-16s %-7s %-28s %s\n", config->cluster.ptr,
				config->is_dialled_by_gateway ? "gateway" : "hub",
				config->address_count > 0 ? config->addresses[0].text.ptr : "-",
				config->identity.ptr);
		}
	}
	json_end_array(&writer);
	if (is_json) {
		(void)printf("%s\n", buf_text(&out));
	}
	for (size_t i = 0; i < files.complaint_count; i++) {
		(void)fprintf(stderr, "atoll link list: %s\n", files.complaints[i].ptr);
	}
	return files.complaint_count > 0
		       ? err_set(err, ERR_CORRUPT, "some link files are malformed")
		       : 0;
}

static int run_list(const void *config, char **args, size_t arg_count) {
	const struct show_flags *flags = config;
	struct err err = { 0 };
	bool is_json = false;
	(void)args, (void)arg_count;
	int rc = output_is_json(flags->output, &is_json, &err);
	if (rc == 0) {
		rc = flags->links_directory ? list_files(flags, is_json, &err)
					    : list_hub(flags, is_json, &err);
	}
	return rc < 0 ? command_fail(&link_list_command, &err) : EXIT_SUCCESS;
}

#define HUB_ROW                                                                                    \
	FLAG_TEXT_ROW(struct show_flags, hub, "hub", "URL", "http://127.0.0.1:9490",               \
		"The web listener of atoll hub, or of atoll mirror.")

static const struct flag list_rows[] = {
	HUB_ROW,
	FLAG_TEXT_ROW(struct show_flags, links_directory, "links.directory", "DIR", NULL,
		"Read the link files there instead of asking a hub; without states then."),
	FLAG_OUTPUT_ROW(struct show_flags, output),
};

const struct command link_list_command = {
	.name = "link list",
	.summary = "show the links of a running hub",
	.description =
		"One line for each link: whether it is up, where, the round trip, the age of "
		"its catalogue, how many exports, and why it is not up.",
	.flags = list_rows,
	.flag_count = ARRAY_COUNT(list_rows),
	.config_size = sizeof(struct show_flags),
	.run = run_list,
};

static void print_failure(const json_t *failure) {
	json_int_t count = json_integer_value(json_object_get(failure, "count"));
	(void)printf("%s  %s  %s (%s)", ask_member(failure, "time"), ask_member(failure, "address"),
		ask_member(failure, "stage"), ask_member(failure, "reason"));
	if (count > 1) {
		(void)printf("  %lld times since %s", (long long)count,
			ask_member(failure, "first_time"));
	}
	(void)printf(
		"\n    %s\n    %s\n", ask_member(failure, "text"), ask_member(failure, "advice"));
}

static void print_anchors(const char *whose, const json_t *trust) {
	size_t i = 0;
	const json_t *anchor = NULL;
	json_array_foreach(json_object_get(trust, "anchors"), i, anchor) {
		const char *digest = json_string_value(anchor);
		bool is_own = digest && strcmp(digest, ask_member(trust, "chain_anchor")) == 0;
		(void)printf("%s believes anchor %s%s\n", whose, digest ? digest : "",
			is_own ? ", and descends from it" : "");
	}
}

static void explain_link(const json_t *data, const json_t *link) {
	size_t i = 0;
	const json_t *failure = NULL;
	const json_t *failures = json_object_get(link, "failures");
	(void)printf("link %s is %s since %s", ask_member(link, "cluster"),
		ask_member(link, "state"), ask_member(link, "since"));
	(void)printf("%s%s\n", ask_member(link, "last_error")[0] ? ": " : "",
		ask_member(link, "last_error"));
	print_anchors("this side", json_object_get(data, "trust"));
	print_anchors("the other side", json_object_get(link, "trust"));
	if (json_array_size(failures) == 0) {
		(void)printf("no failures since it was added\n");
	}
	json_array_foreach(failures, i, failure) {
		print_failure(failure);
	}
}

static const json_t *find_link(const json_t *data, const char *cluster) {
	size_t i = 0;
	const json_t *link = NULL;
	json_array_foreach(json_object_get(data, "links"), i, link) {
		if (strcmp(ask_member(link, "cluster"), cluster) == 0) {
			return link;
		}
	}
	return NULL;
}

/* Returns 1 if the link is not up. */
static int explain_cluster(
	const struct show_flags *flags, const char *cluster, bool is_json, struct err *err) {
	json_t *root = NULL;
	const json_t *data = NULL;
	int rc = ask_json(flags->hub, LINKS_PATH, &root, &data, err);
	if (rc < 0) {
		return rc;
	}
	const json_t *link = find_link(data, cluster);
	if (!link) {
		const char *complaints = ask_member(data, "complaints");
		rc = err_set(err, ERR_IO,
			"%s has no link to \"%s\": no file in %s names it%s%.200s", flags->hub,
			cluster, ask_member(data, "directory"),
			complaints[0] ? "; files that are not used: " : "", complaints);
	} else if (is_json) {
		print_json(link);
	} else {
		explain_link(data, link);
	}
	if (rc == 0) {
		rc = strcmp(ask_member(link, "state"), "up") != 0;
	}
	json_decref(root);
	return rc;
}

static void print_bundle(const struct link_bundle *bundle, const char *digest) {
	AUTO(buf_deinit) struct buf made = { 0 };
	AUTO(buf_deinit) struct buf end = { 0 };
	time_format_rfc3339(bundle->created_ms / MS_PER_S * MS_PER_S, &made);
	time_format_rfc3339(bundle->expires_ms / MS_PER_S * MS_PER_S, &end);
	(void)printf("link bundle of the %s %.*s\n  for cluster %.*s\n",
		bundle->is_of_hub ? "hub" : "gateway", STR_ARG(bundle->identity),
		STR_ARG(bundle->cluster));
	if (bundle->is_of_hub) {
		(void)printf("  to be dialled by %.*s\n", STR_ARG(bundle->peer));
	}
	for (size_t i = 0; i < bundle->address_count; i++) {
		(void)printf("  at %.*s\n", STR_ARG(bundle->addresses[i].text));
	}
	(void)printf("  made %s, valid until %s\n  sha256 %s\n  signed under anchor %s\n",
		buf_text(&made), buf_text(&end), digest, bundle->trust.chain_anchor);
	if (bundle->join.token.len > 0) {
		(void)printf("  with a join token for %.*s at %.*s\n",
			STR_ARG(bundle->join.identity), STR_ARG(bundle->join.url));
	}
}

static int explain_bundle(struct str text, bool is_json, struct err *err) {
	AUTO(arena_deinit) struct arena arena = { 0 };
	struct link_bundle bundle;
	char digest[65];
	int rc = link_bundle_parse(&arena, text, &bundle, err);
	if (rc < 0) {
		return rc;
	}
	if (is_json) {
		return err_set(err, ERR_INVAL, "bundles are explained as text only");
	}
	link_bundle_digest(text, digest);
	print_bundle(&bundle, digest);
	return link_bundle_judge(&bundle, STR_EMPTY, clock_now_ms(clock_system()), err);
}

/* A name of a cluster, its link file, or a bundle. */
static int explain(
	const struct show_flags *flags, const char *what, bool is_json, struct err *err) {
	AUTO(buf_deinit) struct buf text = { 0 };
	AUTO(arena_deinit) struct arena arena = { 0 };
	struct link_config config;
	if (!strchr(what, '/') && !strchr(what, '.')) {
		return explain_cluster(flags, what, is_json, err);
	}
	int rc = file_read(what, LINK_BUNDLE_BYTES_MAX, &text, err);
	if (rc == 0 && str_starts(buf_str(&text), STR("atoll-link-bundle"))) {
		return explain_bundle(buf_str(&text), is_json, err);
	}
	if (rc == 0) {
		rc = link_config_parse(&arena, buf_str(&text), &config, err);
	}
	return rc < 0 ? err_wrap(err, rc, "%s", what)
		      : explain_cluster(flags, config.cluster.ptr, is_json, err);
}

static int run_explain(const void *config, char **args, size_t arg_count) {
	const struct show_flags *flags = config;
	struct err err = { 0 };
	bool is_json = false;
	int rc = output_is_json(flags->output, &is_json, &err);
	if (rc == 0) {
		rc = arg_count == 1 ? explain(flags, args[0], is_json, &err)
				    : err_set(&err, ERR_INVAL, "name one cluster or file");
	}
	if (rc < 0) {
		return command_fail(&link_explain_command, &err);
	}
	return rc > 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

static const struct flag explain_rows[] = {
	HUB_ROW,
	FLAG_OUTPUT_ROW(struct show_flags, output),
};

const struct command link_explain_command = {
	.name = "link explain",
	.summary = "say why a link failed, and what to do",
	.arguments = "CLUSTER|FILE",
	.description = "Asks a running hub for the last failures of that cluster's link, the "
		       "newest first: "
		       "when, where, at which stage, why, and what to do about it. FILE is a link "
		       "file, or "
		       "a link bundle, of which it shows what it says. Exits 0 if the link is up.",
	.flags = explain_rows,
	.flag_count = ARRAY_COUNT(explain_rows),
	.config_size = sizeof(struct show_flags),
	.run = run_explain,
};
