/*
 * atoll demo: three clusters and a hub on this machine; and the commands to one that runs.
 */
#include "cmd/demo.h"

#include "demo/control.h"
#include "demo/demo.h"
#include "demo/layout.h"
#include "demo/state_folder.h"
#include "io/system.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define NAME_LEN_MAX 200

struct demo_flags {
	const char *folder;
	int64_t port;
	int64_t ready_timeout_ms;
	bool clean;
};

#define STATE_ROW(type)                                                                            \
	FLAG_TEXT_ROW(type, folder, "state", "DIR", NULL,                                          \
		"Where the demo keeps its state. Default: "                                        \
		"${XDG_STATE_HOME:-~/.local/state}/atoll/demo.")

static const struct flag demo_rows[] = {
	STATE_ROW(struct demo_flags),
	FLAG_INT_ROW(struct demo_flags, port, "port", "N", "9490",
		"The hub's port and the first of the block that all parts' ports come from."),
	FLAG_DURATION_ROW(struct demo_flags, ready_timeout_ms, "ready-timeout", "DURATION", "60s",
		"How long until every cluster has to have answered."),
	FLAG_BOOL_ROW(struct demo_flags, clean, "clean",
		"Remove the state of a demo that has ended, and do nothing else."),
};

/* The folder that was named, or where programs keep their state. */
static int find_folder(const char *named, struct buf *out, struct err *err) {
	// NOLINTNEXTLINE(concurrency-mt-unsafe): nothing here changes the environment
	const char *state = getenv("XDG_STATE_HOME");
	const char *home = getenv("HOME"); // NOLINT(concurrency-mt-unsafe): likewise
	if (named) {
		return system_absolute_path(named, out, err);
	}
	if (state && state[0] == '/') {
		buf_printf(out, "%s/atoll/demo", state);
	} else if (home && home[0] == '/') {
		buf_printf(out, "%s/.local/state/atoll/demo", home);
	} else {
		return err_set(err, ERR_INVAL, "there is no home folder; name one with --state");
	}
	return 0;
}

static int check_flags(const struct demo_flags *flags, struct err *err) {
	int64_t last = UINT16_MAX - LAYOUT_PORTS + 1;
	if (flags->port < 1 || flags->port > last) {
		return err_set(err, ERR_INVAL,
			"--port: must be 1 to %" PRId64 ": %d ports are needed", last,
			LAYOUT_PORTS);
	}
	if (flags->ready_timeout_ms < 1) {
		return err_set(err, ERR_INVAL, "--ready-timeout: must be more than 0");
	}
	return 0;
}

static int clean(const char *folder, struct err *err) {
	int rc = state_folder_remove(folder, err);
	if (rc == 0) {
		(void)printf("removed: %s\n", folder);
	}
	return rc;
}

static int run_demo(const void *config, char **args, size_t arg_count) {
	const struct demo_flags *flags = config;
	AUTO(buf_deinit) struct buf folder = { 0 };
	AUTO(buf_deinit) struct buf more_flags = { 0 };
	struct err err = { 0 };
	(void)args, (void)arg_count;
	int rc = check_flags(flags, &err);
	if (rc == 0) {
		rc = find_folder(flags->folder, &folder, &err);
	}
	if (flags->folder) {
		buf_printf(&more_flags, " --state=%s", flags->folder);
	}
	const struct demo_options options = {
		.folder = buf_text(&folder),
		.first_port = (uint16_t)flags->port,
		.ready_timeout_ms = flags->ready_timeout_ms,
		.is_terminal = system_is_terminal(STDOUT_FILENO),
		.program = program_invocation_name,
		.more_flags = buf_text(&more_flags),
	};
	if (rc == 0) {
		rc = flags->clean ? clean(options.folder, &err) : demo_run(&options, &err);
	}
	return rc < 0 ? command_fail(&demo_command, &err) : EXIT_SUCCESS;
}

const struct command demo_command = {
	.name = "demo",
	.summary = "three clusters and a hub on this machine, until Ctrl-C",
	.description =
		"Starts a hub, two clusters with atoll monitor and one with Debian's Prometheus, "
		"each "
		"with a node exporter and a gateway, all on loopback addresses, and the mutual TLS "
		"between them. Prints the page's URL once every cluster has answered. Everything "
		"it "
		"started ends with it.",
	.flags = demo_rows,
	.flag_count = ARRAY_COUNT(demo_rows),
	.config_size = sizeof(struct demo_flags),
	.run = run_demo,
};

/* The commands to a running demo. */
struct control_flags {
	const char *folder;
};

static const struct flag control_rows[] = { STATE_ROW(struct control_flags) };

static int send(const struct command *command, const char *verb, const char *argument,
	const struct control_flags *flags) {
	AUTO(buf_deinit) struct buf folder = { 0 };
	AUTO(buf_deinit) struct buf line = { 0 };
	struct err err = { 0 };
	int rc = find_folder(flags->folder, &folder, &err);
	buf_add_text(&line, verb);
	if (argument) {
		buf_printf(&line, " %s", argument);
	}
	if (rc == 0) {
		rc = control_send(buf_text(&folder), buf_str(&line), &err);
	}
	return rc < 0 ? command_fail(command, &err) : EXIT_SUCCESS;
}

static int send_argument(const struct command *command, const char *verb, const void *config,
	char **args, size_t arg_count) {
	struct err err = { 0 };
	if (arg_count != 1) {
		(void)err_set(&err, ERR_INVAL, "needs one argument: atoll %s %s", command->name,
			command->arguments);
		return command_fail(command, &err);
	}
	if (strlen(args[0]) > NAME_LEN_MAX || strpbrk(args[0], " \n")) {
		(void)err_set(&err, ERR_INVAL, "\"%.200s\" is no name", args[0]);
		return command_fail(command, &err);
	}
	return send(command, verb, args[0], config);
}

static int run_status(const void *config, char **args, size_t arg_count) {
	(void)args, (void)arg_count;
	return send(&demo_status_command, "status", NULL, config);
}

static int run_restart(const void *config, char **args, size_t arg_count) {
	return send_argument(&demo_restart_command, "restart", config, args, arg_count);
}

static int run_add(const void *config, char **args, size_t arg_count) {
	return send_argument(&demo_add_command, "add-cluster", config, args, arg_count);
}

static int run_remove(const void *config, char **args, size_t arg_count) {
	return send_argument(&demo_remove_command, "remove-cluster", config, args, arg_count);
}

#define CONTROL_FLAGS                                                                              \
	.flags = control_rows, .flag_count = ARRAY_COUNT(control_rows),                            \
	.config_size = sizeof(struct control_flags)

const struct command demo_status_command = {
	.name = "demo status",
	.summary = "the parts of a running demo and what the hub says of each cluster",
	CONTROL_FLAGS,
	.run = run_status,
};

const struct command demo_restart_command = {
	.name = "demo restart",
	.summary = "restart a cluster of a running demo, or one part of it",
	.arguments = "CLUSTER[/PART]",
	CONTROL_FLAGS,
	.run = run_restart,
};

const struct command demo_add_command = {
	.name = "demo add-cluster",
	.summary = "add a cluster to a running demo; the hub finds it by itself",
	.arguments = "NAME",
	CONTROL_FLAGS,
	.run = run_add,
};

const struct command demo_remove_command = {
	.name = "demo remove-cluster",
	.summary = "take a cluster out of a running demo, with all its state",
	.arguments = "NAME",
	CONTROL_FLAGS,
	.run = run_remove,
};
