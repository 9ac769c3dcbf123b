/*
 * atoll trust keep: the one process of a cluster that holds the issuer's key.
 */
#include "cmd/trust.h"

#include "base/log.h"
#include "trust/keeper.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

struct keep_flags {
	const char *issuer;
	int64_t lifetime_ms;
};

static void stop(void *loop) {
	loop_stop(loop);
}

static int run_keep(const void *config, char **args, size_t arg_count) {
	const struct keep_flags *flags = config;
	struct err err = { 0 };
	if (arg_count == 0) {
		(void)err_set(&err, ERR_INVAL, "name the directories of the leaves to renew");
		return command_fail(&trust_keep_command, &err);
	}
	log_set_role("trust");
	struct loop *loop = loop_new(clock_system());
	struct keeper *keeper = NULL;
	int rc = keeper_start(loop,
		&(struct keeper_options){
			.issuer_directory = flags->issuer,
			.leaf_directories = (const char *const *)args,
			.leaf_count = arg_count,
			.lifetime_ms = flags->lifetime_ms,
		},
		&keeper, &err);
	if (rc == 0) {
		loop_on_signal(loop, SIGINT, stop, loop);
		loop_on_signal(loop, SIGTERM, stop, loop);
		log_info("keeping certificates valid", KV_INT("leaves", arg_count));
		loop_run(loop);
	}
	keeper_stop(keeper);
	loop_free(loop);
	return rc < 0 ? command_fail(&trust_keep_command, &err) : EXIT_SUCCESS;
}

static const struct flag keep_rows[] = {
	FLAG_TEXT_ROW(struct keep_flags, issuer, "issuer", "DIR", "issuer",
		"The directory of the cluster's issuer."),
	FLAG_DURATION_ROW(struct keep_flags, lifetime_ms, "lifetime", "DURATION", "1d",
		"How long renewed certificates are valid, at most a day."),
};

const struct command trust_keep_command = {
	.name = "trust keep",
	.summary = "renew certificates of one cluster before they expire",
	.arguments = "DIR...",
	.description =
		"Runs until stopped. Each DIR, as atoll trust sign made it, gets a new key and "
		"certificate for the same name at two thirds of its lifetime. This is the one "
		"process of a cluster that needs the issuer's key.",
	.flags = keep_rows,
	.flag_count = ARRAY_COUNT(keep_rows),
	.config_size = sizeof(struct keep_flags),
	.run = run_keep,
};
