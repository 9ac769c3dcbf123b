/*
 * Dials one address of a link as a hub would, reads the catalogue, asks each export of the kind
 * prometheus whether it is ready, and hangs up. Blocking: for commands that end.
 */
#ifndef CMD_LINK_PROBE_H
#define CMD_LINK_PROBE_H

#include "base/arena.h"
#include "base/err.h"
#include "io/loop.h"
#include "io/tls.h"
#include "mesh/catalogue.h"
#include "mesh/failure.h"
#include "mesh/link_file.h"

struct probed_export {
	bool was_asked;
	struct err err; /* Code 0: it answered. */
};

struct link_probe {
	struct err err;           /* Code 0: there is a catalogue. */
	enum failure_stage stage; /* Of 'err'. */
	char address[64];         /* The one that the name stands for. */
	struct tls_peer peer;
	int64_t rtt_ns;
	int64_t skew_ms; /* Its clock less ours. */
	bool has_skew;
	struct catalogue catalogue;    /* In the arena. */
	struct probed_export *exports; /* As many as the catalogue has. */
};

/* Ends within a minute. */
void link_probe_run(struct loop *loop, struct tls_slot *tls, const struct link_config *config,
	const struct link_address *address, struct arena *arena, struct link_probe *out);

#endif
