/*
 * atoll trust rotate-anchor: another trust anchor for a whole mesh, step by step.
 */
#include "cmd/trust.h"
#include "cmd/trust_members.h"
#include "cmd/trust_passphrase.h"

#include "io/file.h"
#include "io/loop.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Between two looks of --wait. */
#define LOOK_MS 500

struct anchor_flags {
	const char *directory;
	const char *anchor;
	const char *passphrase_file;
	struct flag_list issuers;
	struct flag_list hubs;
	struct flag_list without;
	int64_t lifetime_ms;
	int64_t leaf_lifetime_ms;
	int64_t issuer_lifetime_ms;
	int64_t wait_ms;
};

enum verb {
	VERB_BEGIN,
	VERB_PUBLISH,
	VERB_SWITCH,
	VERB_RETIRE,
	VERB_STATUS,
	VERB_COUNT
};

static const char *const verb_names[] = {
	[VERB_BEGIN] = "begin",
	[VERB_PUBLISH] = "publish",
	[VERB_SWITCH] = "switch",
	[VERB_RETIRE] = "retire",
	[VERB_STATUS] = "status",
};

/* One run of the command. */
struct run {
	const struct anchor_flags *flags;
	enum verb verb;
	struct rotation rotation;
	struct passphrase passphrase; /* Of the new anchor's key. */
	struct arena arena;           /* Of the members, as asked last. */
	struct rotation_member *members;
	size_t count;
};

static int read_verb(char **args, size_t count, enum verb *out, struct err *err) {
	for (int i = 0; count == 1 && i < VERB_COUNT; i++) {
		if (strcmp(args[0], verb_names[i]) == 0) {
			*out = (enum verb)i;
			return 0;
		}
	}
	return err_set(err, ERR_INVAL,
		"name one step: begin, publish, switch, retire, or status to see which is next");
}

/* A flag that means nothing to a step is a mistake. */
static int check_flags(const struct anchor_flags *flags, enum verb verb, struct err *err) {
	bool is_begin = verb == VERB_BEGIN;
	if (!flags->directory) {
		return err_set(err, ERR_INVAL, "--directory is missing: where the new anchor is");
	}
	if (is_begin && !flags->anchor) {
		return err_set(err, ERR_INVAL, "--anchor is missing: where the old anchor is");
	}
	if (!is_begin && (flags->anchor || flags->issuers.count || flags->hubs.count ||
				 flags->lifetime_ms || flags->leaf_lifetime_ms)) {
		return err_set(err, ERR_INVAL,
			"--anchor, --issuer, --hub, --lifetime and --leaf-lifetime go with begin");
	}
	if (verb != VERB_SWITCH && flags->issuer_lifetime_ms) {
		return err_set(err, ERR_INVAL, "--issuer-lifetime goes with switch");
	}
	if (flags->passphrase_file && !is_begin && verb != VERB_SWITCH) {
		return err_set(err, ERR_INVAL, "--" PASSPHRASE_FLAG " goes with begin and switch");
	}
	if (flags->wait_ms && (is_begin || verb == VERB_PUBLISH)) {
		return err_set(err, ERR_INVAL, "--wait goes with switch, retire and status");
	}
	return 0;
}

static void ask(struct run *run) {
	arena_deinit(&run->arena);
	trust_members_ask(&run->rotation, &run->arena, &run->members, &run->count);
}

static bool is_member(const struct run *run, const char *name) {
	for (size_t i = 0; i < run->count; i++) {
		if (str_equal(run->members[i].name, str_of(name))) {
			return true;
		}
	}
	return false;
}

static int leave_out(struct run *run, struct err *err) {
	const struct flag_list *without = &run->flags->without;
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < without->count; i++) {
		const char *name = without->items[i];
		if (!is_member(run, name)) {
			return err_set(err, ERR_INVAL,
				"--without %s: no hub has a link to that cluster, nor is it the "
				"URL of one",
				name);
		}
		rc = rotation_leave_out(&run->rotation, name, err);
		if (rc == 0) {
			(void)printf(
				"%s is left out: nobody waits for it. If it does not believe the "
				"new anchor when the issuers are switched, its links fail until "
				"it is given %s/bundle.crt (atoll trust bundle --install) and an "
				"issuer of the new anchor (atoll trust rotate-issuer).\n",
				name, run->flags->directory);
		}
	}
	return rc;
}

static const char *next_text(enum rotation_step step) {
	switch (step) {
	case ROTATION_BEGUN:
		return "publish: issuers and their leaves are told of the new anchor";
	case ROTATION_PUBLISHED:
		return "switch: issuers are made under the new anchor, once all believe both";
	case ROTATION_SWITCHED:
		return "retire: the old anchor is believed no more, once nothing descends from it";
	case ROTATION_RETIRED:
	case ROTATION_STEP_COUNT:
		break;
	}
	return "nothing, once nobody believes the old anchor";
}

/* Returns whether the next step may be done. */
static bool show(const struct run *run) {
	const struct rotation *rotation = &run->rotation;
	bool is_ready = true;
	(void)printf("step %s\nold anchor %s\nnew anchor %s\n", rotation_step_name(rotation->step),
		rotation->old_anchor, rotation->new_anchor);
	for (size_t i = 0; i < run->count; i++) {
		const struct rotation_member *member = &run->members[i];
		AUTO(buf_deinit) struct buf why = { 0 };
		bool is_out = rotation_is_left_out(rotation, member->name);
		bool member_ready = rotation_member_is_ready(rotation, member, &why);
		is_ready = is_ready && member_ready;
		(void)printf("  %.*s: %s\n", STR_ARG(member->name),
			is_out         ? "left out"
			: member_ready ? "ready"
				       : buf_text(&why));
	}
	int64_t after_ms = rotation_retire_after_ms(rotation);
	if (rotation->step == ROTATION_SWITCHED && after_ms > clock_now_ms(clock_system())) {
		AUTO(buf_deinit) struct buf when = { 0 };
		time_format_rfc3339(after_ms, &when);
		(void)printf("  leaves of the old anchor may be alive until %s\n", buf_text(&when));
		is_ready = false;
	}
	(void)printf("next %s\n%s\n", next_text(rotation->step),
		is_ready ? "ready for it" : "not ready for it");
	return is_ready;
}

static int act(struct run *run, struct err *err) {
	const struct clock *clock = clock_system();
	switch (run->verb) {
	case VERB_PUBLISH:
		return rotation_publish(&run->rotation, err);
	case VERB_SWITCH:
		return rotation_switch(&run->rotation, run->members, run->count,
			run->flags->issuer_lifetime_ms, clock, err);
	case VERB_RETIRE:
		return rotation_retire(&run->rotation, run->members, run->count, clock, err);
	case VERB_BEGIN:
	case VERB_STATUS:
	case VERB_COUNT:
		break;
	}
	return show(run) ? 0 : err_set(err, ERR_DENIED, "not ready for the next step");
}

/* Lets a while pass. */
struct nap {
	struct loop *loop;
	struct timer timer;
};

static void stop_loop(struct timer *timer) {
	loop_stop(CONTAINER_OF(timer, struct nap, timer)->loop);
}

static void nap(void) {
	struct nap nap = { .loop = loop_new(clock_system()), .timer = { .run = stop_loop } };
	loop_timer_after_ms(nap.loop, &nap.timer, LOOK_MS);
	loop_run(nap.loop);
	loop_free(nap.loop);
}

/* Tries until it is done, or the time to wait is over. What it says along the way is not news. */
static int act_in_time(struct run *run, struct err *err) {
	int64_t end_ns = clock_mono_ns(clock_system()) + run->flags->wait_ms * NS_PER_MS;
	int rc = act(run, err);
	while (rc == ERR_DENIED && clock_mono_ns(clock_system()) < end_ns) {
		nap();
		ask(run);
		rc = act(run, err);
	}
	return rc;
}

static int begin(struct run *run, struct err *err) {
	const struct anchor_flags *flags = run->flags;
	struct rotation_options options = {
		.directory = flags->directory,
		.old_directory = flags->anchor,
		.passphrase = buf_str(&run->passphrase.text),
		.lifetime_ms = flags->lifetime_ms,
		.leaf_lifetime_ms = flags->leaf_lifetime_ms,
	};
	for (size_t i = 0; i < flags->issuers.count; i++) {
		options.issuers.items[options.issuers.count++] = flags->issuers.items[i];
	}
	for (size_t i = 0; i < flags->hubs.count; i++) {
		options.hubs.items[options.hubs.count++] = flags->hubs.items[i];
	}
	return rotation_begin(&options, clock_system(), &run->rotation, err);
}

/* One at a time: two who rotate would undo each other's work. */
static int lock(const struct run *run, int *out, struct err *err) {
	AUTO(buf_deinit) struct buf path = { 0 };
	int rc = dir_make(run->flags->directory, 0700, err);
	if (rc == 0) {
		buf_printf(&path, "%s/.lock", run->flags->directory);
		rc = file_lock(buf_text(&path), out, err);
	}
	return rc;
}

static int rotate(struct run *run, struct err *err) {
	int rc = run->verb == VERB_BEGIN
			 ? begin(run, err)
			 : rotation_load(run->flags->directory, &run->rotation, err);
	if (rc < 0) {
		return rc;
	}
	run->rotation.passphrase = buf_str(&run->passphrase.text);
	if (run->verb != VERB_PUBLISH || run->flags->without.count > 0) {
		ask(run);
	}
	rc = leave_out(run, err);
	if (rc < 0 || run->verb == VERB_BEGIN) {
		return rc;
	}
	return act_in_time(run, err);
}

static void tell(const struct run *run) {
	if (run->verb != VERB_STATUS) {
		(void)printf("%s; next %s\n", rotation_step_name(run->rotation.step),
			next_text(run->rotation.step));
	}
}

static int run_rotate(const void *config, char **args, size_t arg_count) {
	struct run run = { .flags = config };
	struct err err = { 0 };
	int fd = -1;
	int rc = read_verb(args, arg_count, &run.verb, &err);
	if (rc == 0) {
		rc = check_flags(run.flags, run.verb, &err);
	}
	if (rc == 0 && run.verb != VERB_STATUS) {
		rc = lock(&run, &fd, &err);
	}
	if (rc == 0) {
		size_t least = run.verb == VERB_BEGIN ? PASSPHRASE_BYTES_MIN : 0;
		rc = passphrase_read(run.flags->passphrase_file, least, &run.passphrase, &err);
	}
	if (rc == 0) {
		rc = rotate(&run, &err);
	}
	passphrase_deinit(&run.passphrase);
	if (rc == 0) {
		tell(&run);
	}
	rotation_deinit(&run.rotation);
	arena_deinit(&run.arena);
	file_close(fd);
	return rc < 0 ? command_fail(&trust_rotate_anchor_command, &err) : EXIT_SUCCESS;
}

#define ROW(kind, ...) FLAG_##kind##_ROW(struct anchor_flags, __VA_ARGS__)

static const struct flag anchor_rows[] = {
	ROW(TEXT, directory, "directory", "DIR", NULL,
		"Where the new anchor is, or goes, and how far the rotation is."),
	ROW(TEXT, anchor, "anchor", "DIR", NULL, "begin: the old anchor; its key is not needed."),
	ROW(LIST, issuers, "issuer", "DIR", NULL, "begin: an issuer to replace; may be repeated."),
	ROW(LIST, hubs, "hub", "URL", NULL,
		"begin: a hub, which knows what its clusters believe; may be repeated."),
	ROW(LIST, without, "without", "CLUSTER", NULL,
		"From now on nobody waits for this cluster, or hub (its URL); may be repeated."),
	ROW(TEXT, passphrase_file, PASSPHRASE_FLAG, "FILE", NULL,
		"begin, switch: encrypts, or opens, the new anchor's key; - is standard input."),
	ROW(DURATION, lifetime_ms, "lifetime", "DURATION", NULL,
		"begin: how long the new anchor is valid. Default: 3650d."),
	ROW(DURATION, leaf_lifetime_ms, "leaf-lifetime", "DURATION", NULL,
		"begin: the longest that leaves of the old anchor live. Default: 1d."),
	ROW(DURATION, issuer_lifetime_ms, "issuer-lifetime", "DURATION", NULL,
		"switch: how long the new issuers are valid. Default: 365d."),
	ROW(DURATION, wait_ms, "wait", "DURATION", NULL,
		"switch, retire, status: how long to wait until all are ready. Default: not."),
};

const struct command trust_rotate_anchor_command = {
	.name = "trust rotate-anchor",
	.summary = "replace the trust anchor of a mesh, step by step",
	.arguments = "begin|publish|switch|retire|status",
	.description =
		"begin makes the new anchor; publish makes the issuers' directories believe both, "
		"which atoll trust keep hands to the leaves; switch makes issuers under the new "
		"anchor; retire takes the old anchor from all. switch and retire refuse for as "
		"long as the hubs tell of anybody who is not ready for it. A step that was cut "
		"off is repeated; nothing restarts. status shows who is ready for the next step, "
		"and exits 0 if all are.",
	.flags = anchor_rows,
	.flag_count = ARRAY_COUNT(anchor_rows),
	.config_size = sizeof(struct anchor_flags),
	.run = run_rotate,
};
