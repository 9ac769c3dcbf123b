/*
 * atoll link check: links, dialled step by step.
 */
#include "cmd/link_check.h"

#include "base/log.h"
#include "cmd/ask.h"
#include "cmd/link.h"
#include "cmd/link_files.h"
#include "cmd/link_probe.h"
#include "trust/alarm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINKS_PATH "/atoll/v1/links"

/* What is looked at, in this order; a failure belongs to one of them. */
enum step {
	STEP_NAME,
	STEP_CONNECT,
	STEP_TLS,
	STEP_ANCHOR,
	STEP_DATES,
	STEP_IDENTITY,
	STEP_CATALOGUE,
	STEP_COUNT
};

static const char *const step_names[STEP_COUNT] = {
	[STEP_NAME] = "its name is found (DNS)",
	[STEP_CONNECT] = "it accepts connections (TCP)",
	[STEP_TLS] = "it speaks TLS 1.3 and our protocol",
	[STEP_ANCHOR] = "both sides believe each other's trust anchor",
	[STEP_DATES] = "certificates are within their dates",
	[STEP_IDENTITY] = "it is who the link file says, and not denied",
	[STEP_CATALOGUE] = "it sends its catalogue",
};

static const struct {
	const char *reason;
	enum step step;
} reason_steps[] = {
	{ "dns", STEP_NAME },
	{ "wrong_anchor", STEP_ANCHOR },
	{ "refused_anchor", STEP_ANCHOR },
	{ "expired", STEP_DATES },
	{ "not_yet_valid", STEP_DATES },
	{ "refused_expired", STEP_DATES },
	{ "identity", STEP_IDENTITY },
	{ "name_constraint", STEP_IDENTITY },
	{ "revoked", STEP_IDENTITY },
	{ "certificate", STEP_IDENTITY },
	{ "by_peer", STEP_IDENTITY },
};

static enum step step_of(const struct link_probe *probe, const char *reason) {
	if (probe->stage == STAGE_CONNECT) {
		return STEP_CONNECT;
	}
	for (size_t i = 0; i < ARRAY_COUNT(reason_steps); i++) {
		if (strcmp(reason_steps[i].reason, reason) == 0) {
			return reason_steps[i].step;
		}
	}
	return probe->stage == STAGE_TLS ? STEP_TLS : STEP_CATALOGUE;
}

/* Which anchors are ours, for a side that descends from another. */
static void add_digests(const struct trust_identity *own, const char *reason, struct buf *out) {
	const struct trust_facts *facts = trust_identity_facts(own);
	if (strcmp(reason, "wrong_anchor") != 0 && strcmp(reason, "refused_anchor") != 0) {
		return;
	}
	buf_printf(out, " Our certificate descends from the anchor with SHA-256 %s; believed here:",
		facts->chain_anchor);
	for (size_t i = 0; i < facts->anchor_count; i++) {
		buf_printf(out, " %s", facts->anchors[i]);
	}
	buf_add_byte(out, '.');
}

static void add_failure(struct check_list *list, const char *section,
	const struct trust_identity *own, const char *where, const struct link_probe *probe) {
	const char *reason = failure_reason(&probe->err);
	enum step failed = step_of(probe, reason);
	AUTO(buf_deinit) struct buf hint = { 0 };
	buf_add_text(&hint, failure_advice(reason));
	add_digests(own, reason, &hint);
	for (int step = 0; step < STEP_COUNT; step++) {
		if (step < (int)failed) {
			check_list_add(
				list, section, CHECKED_OK, NULL, "%s: %s", where, step_names[step]);
		} else if (step == (int)failed) {
			check_list_add(list, section, CHECKED_FAILED, buf_text(&hint), "%s: %s: %s",
				where, step_names[step], probe->err.text);
		} else {
			check_list_add(list, section, CHECKED_SKIPPED, NULL, "%s: %s", where,
				step_names[step]);
		}
	}
}

void check_certificate_end(struct check_list *list, const char *section, const char *kind,
	const char *name, int64_t not_before_ms, int64_t not_after_ms, int64_t now_ms) {
	enum certificate_alarm alarm = certificate_alarm_at(not_before_ms, not_after_ms, now_ms);
	const char *hint =
		strcmp(kind, "anchor") == 0
			? "replace it: atoll trust rotate-anchor (docs/trust.md)"
		: strcmp(kind, "issuer") == 0
			? "replace it: atoll trust rotate-issuer (docs/trust.md)"
			: "its renewal is overdue: see whether atoll trust keep, or trust "
			  "join --keep, runs for it";
	AUTO(buf_deinit) struct buf span = { 0 };
	int64_t left_ms = not_after_ms - now_ms;
	certificate_format_span(left_ms > 0 ? left_ms : -left_ms, &span);
	enum check_state state = alarm == ALARM_NONE     ? CHECKED_OK
				 : alarm >= ALARM_7_DAYS ? CHECKED_FAILED
							 : CHECKED_WARNING;
	check_list_add(list, section, state, alarm == ALARM_NONE ? NULL : hint,
		left_ms > 0 ? "%s %s is valid for another %s" : "%s %s has ended %s ago", kind,
		name, buf_text(&span));
}

void check_anchors(struct check_list *list, const char *section, const struct trust_facts *own,
	const struct trust_facts *other) {
	if (!trust_facts_believe(own, other->chain_anchor) ||
		!trust_facts_believe(other, own->chain_anchor)) {
		check_list_add(list, section, CHECKED_FAILED,
			"install the missing anchor: atoll trust bundle CA.CRT --install DIR",
			"anchors do not overlap: we descend from %s, it from %s", own->chain_anchor,
			other->chain_anchor);
	} else if (trust_facts_equal(own, other)) {
		check_list_add(list, section, CHECKED_OK, NULL,
			"both sides believe the same anchors (%.16s...)", own->chain_anchor);
	} else {
		check_list_add(list, section, CHECKED_WARNING,
			"fine during a rotation (atoll trust rotate-anchor status); else install "
			"the same ca.crt on both sides",
			"both sides believe each other, but not the same anchors: here %zu, there "
			"%zu",
			own->anchor_count, other->anchor_count);
	}
}

static void add_skew(
	struct check_list *list, const char *section, const char *where, int64_t skew_ms) {
	int64_t size_ms = skew_ms < 0 ? -skew_ms : skew_ms;
	enum check_state state = size_ms > SKEW_FAILURE_MS   ? CHECKED_FAILED
				 : size_ms > SKEW_WARNING_MS ? CHECKED_WARNING
							     : CHECKED_OK;
	check_list_add(list, section, state,
		state == CHECKED_OK ? NULL
				    : "set both machines' clocks by NTP: certificates bear five "
				      "minutes, no more",
		"%s: its clock is %.1f s %s ours", where, (double)size_ms / (double)MS_PER_S,
		skew_ms < 0 ? "behind" : "ahead of");
}

static void add_exports(struct check_list *list, const char *section, const char *where,
	const struct link_probe *probe, const char *wanted) {
	bool is_found = !wanted;
	for (size_t i = 0; i < probe->catalogue.count; i++) {
		const struct catalogue_entry *entry = &probe->catalogue.entries[i];
		const struct probed_export *export = &probe->exports[i];
		is_found = is_found || str_equal(entry->name, str_of(wanted));
		if (export->was_asked && export->err.code != 0) {
			check_list_add(list, section, CHECKED_FAILED,
				"see whether the service runs where the gateway's configuration "
				"says (its \"url\")",
				"%s: export %.*s: %s", where, STR_ARG(entry->name),
				export->err.text);
		} else {
			check_list_add(list, section, CHECKED_OK, NULL, "%s: export %.*s (%.*s)%s",
				where, STR_ARG(entry->name), STR_ARG(entry->kind),
				export->was_asked ? " answers" : " is in the catalogue");
		}
	}
	if (!is_found) {
		check_list_add(list, section, CHECKED_FAILED,
			"its name has to stand in the gateway's configuration, and our identity, "
			"or "
			"*.TRUSTDOMAIN of it, under its \"allow\"; names that we may not use look "
			"like names that do not exist",
			"%s: \"%s\" is not exported to us", where, wanted);
	} else if (probe->catalogue.count == 0) {
		check_list_add(list, section, CHECKED_WARNING,
			"add exports to the gateway's configuration, with our identity under "
			"\"allow\"",
			"%s: nothing is exported to us", where);
	}
}

static void add_success(struct check_list *list, const char *section,
	const struct trust_identity *own, const char *where, const struct link_probe *probe,
	int64_t now_ms) {
	for (int step = 0; step < STEP_COUNT; step++) {
		check_list_add(list, section, CHECKED_OK, NULL, "%s: %s%s%s%s", where,
			step_names[step], step == STEP_CONNECT ? " (" : "",
			step == STEP_CONNECT ? probe->address : "",
			step == STEP_CONNECT ? ")" : "");
	}
	check_certificate_end(list, section, "leaf", probe->peer.identity,
		probe->peer.not_before_ms, probe->peer.not_after_ms, now_ms);
	if (probe->catalogue.trust) {
		check_anchors(list, section, trust_identity_facts(own), probe->catalogue.trust);
	}
	if (probe->has_skew) {
		add_skew(list, section, where, probe->skew_ms);
	}
}

void link_check_dial(struct check_list *list, struct loop *loop, const struct trust_identity *own,
	const struct link_config *config, const char *wanted) {
	AUTO(arena_deinit) struct arena arena = { 0 };
	struct str section = arena_printf(&list->arena, "link %.*s", STR_ARG(config->cluster));
	for (size_t i = 0; i < config->address_count; i++) {
		const char *where = config->addresses[i].text.ptr;
		struct link_probe probe;
		link_probe_run(loop, trust_identity_slot(own), config, &config->addresses[i],
			&arena, &probe);
		if (probe.err.code != 0) {
			add_failure(list, section.ptr, own, where, &probe);
			continue;
		}
		add_success(list, section.ptr, own, where, &probe, clock_now_ms(loop_clock(loop)));
		add_exports(list, section.ptr, where, &probe, wanted);
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

static void add_link_state(struct check_list *list, const char *section, const json_t *link) {
	const json_t *failure = json_array_get(json_object_get(link, "failures"), 0);
	const json_t *skew = json_object_get(link, "clock_skew_seconds");
	if (strcmp(ask_member(link, "state"), "up") != 0) {
		check_list_add(list, section, CHECKED_FAILED,
			failure ? ask_member(failure, "advice")
				: "see whether the gateway runs, names this hub under \"hubs\", "
				  "and "
				  "what its GET /atoll/v1/status says of it",
			"the hub's link is %s since %s: %s", ask_member(link, "state"),
			ask_member(link, "since"), ask_member(link, "last_error"));
		return;
	}
	double age_s =
		json_number_value(json_object_get(link, "catalogue_age_ms")) / (double)MS_PER_S;
	check_list_add(list, section, CHECKED_OK, NULL, "the hub's link is up since %s (%s)",
		ask_member(link, "since"), ask_member(link, "address"));
	check_list_add(list, section, age_s > 10 ? CHECKED_WARNING : CHECKED_OK,
		age_s > 10 ? "a gateway confirms its catalogue every 5 s: it hangs, or the network "
			     "does"
			   : NULL,
		"the hub's catalogue was confirmed %.1f s ago, with %zu exports", age_s,
		json_array_size(json_object_get(link, "exports")));
	if (skew) {
		add_skew(list, section, "the hub's link",
			(int64_t)(json_number_value(skew) * (double)MS_PER_S));
	}
}

void link_check_hub(struct check_list *list, const char *hub, const char *cluster) {
	json_t *root = NULL;
	const json_t *data = NULL;
	struct err err = { 0 };
	struct str section = arena_printf(&list->arena, "link %s", cluster);
	if (ask_json(hub, LINKS_PATH, &root, &data, &err) < 0) {
		check_list_add(list, section.ptr, CHECKED_FAILED,
			"start atoll hub, or name its web listener with --hub", "%s", err.text);
		return;
	}
	const json_t *link = find_link(data, cluster);
	if (link) {
		add_link_state(list, section.ptr, link);
	} else {
		check_list_add(list, section.ptr, CHECKED_FAILED,
			"its --links.directory is another one, or it does not like the file (its "
			"log: link files not used)",
			"the hub at %s has no such link", hub);
	}
	json_decref(root);
}

struct link_check_flags {
	const char *links_directory;
	const char *tls_directory;
	const char *hub;
	const char *wanted;
	const char *output;
};

static bool is_named(char **names, size_t count, const char *cluster) {
	for (size_t i = 0; i < count; i++) {
		if (strcmp(names[i], cluster) == 0) {
			return true;
		}
	}
	return count == 0;
}

static bool is_there(const struct link_files *files, const char *cluster) {
	for (size_t i = 0; i < files->count; i++) {
		if (strcmp(files->configs[i].cluster.ptr, cluster) == 0) {
			return true;
		}
	}
	return false;
}

static void check_link(struct check_list *list, struct loop *loop, const struct trust_identity *own,
	const struct link_config *config, const struct link_check_flags *flags) {
	if (!config->is_dialled_by_gateway) {
		link_check_dial(list, loop, own, config, flags->wanted);
	}
	if (flags->hub || config->is_dialled_by_gateway) {
		link_check_hub(list, flags->hub ? flags->hub : "http://127.0.0.1:9490",
			config->cluster.ptr);
	}
}

static void check_files(
	struct check_list *list, const struct link_files *files, char **names, size_t name_count) {
	for (size_t i = 0; name_count == 0 && i < files->complaint_count; i++) {
		check_list_add(list, "link files", CHECKED_FAILED,
			"see docs/formats/link.md for what a link file holds", "%s",
			files->complaints[i].ptr);
	}
	for (size_t i = 0; i < name_count; i++) {
		if (!is_there(files, names[i])) {
			check_list_add(list, "link files", CHECKED_FAILED,
				"atoll link list --links.directory DIR shows those there are",
				"no link file names the cluster \"%s\"", names[i]);
		}
	}
	if (files->count == 0 && name_count == 0) {
		check_list_add(list, "link files", CHECKED_WARNING,
			"atoll link add BUNDLE makes one", "there are no link files");
	}
}

static int check_links(
	const struct link_check_flags *flags, char **names, size_t name_count, struct err *err) {
	AUTO(arena_deinit) struct arena arena = { 0 };
	AUTO(check_list_deinit) struct check_list list = { 0 };
	struct link_files files;
	bool is_json = false;
	struct err own_err = { 0 };
	struct trust_identity *own = NULL;
	int rc = output_is_json(flags->output, &is_json, err);
	if (rc == 0) {
		rc = link_files_read(&arena, flags->links_directory, &files, err);
	}
	if (rc < 0) {
		return rc;
	}
	struct loop *loop = loop_new(clock_system());
	const struct trust_identity_options options = { .directory = flags->tls_directory };
	check_files(&list, &files, names, name_count);
	if (trust_identity_open(loop, &options, &own, &own_err) < 0) {
		check_list_add(&list, "credentials", CHECKED_FAILED,
			failure_advice(failure_reason(&own_err)), "%s", own_err.text);
	}
	for (size_t i = 0; own && i < files.count; i++) {
		if (is_named(names, name_count, files.configs[i].cluster.ptr)) {
			check_link(&list, loop, own, &files.configs[i], flags);
		}
	}
	trust_identity_close(own);
	loop_free(loop);
	return check_list_print(&list, is_json);
}

static int run_check(const void *config, char **args, size_t arg_count) {
	struct err err = { 0 };
	log_set_level(LOG_ERROR);
	int rc = check_links(config, args, arg_count, &err);
	return rc < 0 ? command_fail(&link_check_command, &err) : rc;
}

#define ROW(kind, ...) FLAG_##kind##_ROW(struct link_check_flags, __VA_ARGS__)

static const struct flag rows[] = {
	ROW(TEXT, links_directory, "links.directory", "DIR", "links", "Where the link files are."),
	ROW(TEXT, tls_directory, "tls.directory", "DIR", "tls",
		"The hub's credentials, with which the gateways are dialled."),
	ROW(TEXT, hub, "hub", "URL", NULL,
		"The web listener of the hub: also ask how its links are. Links that their gateway "
		"dials are only known there; for them the default is http://127.0.0.1:9490."),
	ROW(TEXT, wanted, "export", "NAME", NULL,
		"An export that has to be among the catalogue's."),
	FLAG_OUTPUT_ROW(struct link_check_flags, output),
};

const struct command link_check_command = {
	.name = "link check",
	.summary = "dial linked clusters and check each step",
	.arguments = "[CLUSTER...]",
	.description =
		"Dials every address of the links of those clusters, or of all, as a hub would: "
		"DNS, TCP, TLS, anchors, dates, identity, catalogue, clocks, and whether the "
		"services behind the exports answer. What fails is shown with what to do. Exits 0 "
		"if nothing failed, 1 if something did, 2 if used wrongly.",
	.flags = rows,
	.flag_count = ARRAY_COUNT(rows),
	.config_size = sizeof(struct link_check_flags),
	.run = run_check,
};
