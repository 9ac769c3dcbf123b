/*
 * The demo: three clusters and a hub on this machine, real programs all of them, supervised until
 * told to end. Runs on the main thread, to which its children's lives are tied.
 */
#ifndef DEMO_DEMO_H
#define DEMO_DEMO_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

struct demo_options {
	const char *folder; /* For the state. */
	uint16_t first_port;
	int64_t ready_timeout_ms;
	bool is_terminal;       /* Whether to show the clusters' state as it changes. */
	const char *program;    /* As its user calls it, to say what to type. */
	const char *more_flags; /* What has to follow a command to this demo; "" for nothing. */
};

/*
 * Runs the demo until SIGINT, SIGTERM or SIGHUP. Returns 0 after those, else the reason why it
 * could not start or did not get ready, after all that it started has ended. Says what happens on
 * stdout.
 */
MUST_USE int demo_run(const struct demo_options *options, struct err *err);

#endif
