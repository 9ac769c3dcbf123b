/*
 * The flags of mirrors, and what they mean.
 */
#ifndef CMD_MIRROR_FLAGS_H
#define CMD_MIRROR_FLAGS_H

#include "cmd/flags.h"
#include "mirror/mirror.h"

struct mirror_flags {
	const char *listen;
	const char *directory;
	const char *port_range;
	const char *socket_mode;
	const char *socket_owner;
	int64_t stale_ms;
	int64_t grace_ms;
	int64_t timeout_ms;
	int64_t per_cluster_max;
};

/* Rows of a command whose configuration, of 'type', has a member 'mirror' of the struct above. */
#define MIRROR_FLAG_ROWS(type, default_listen)                                                     \
	FLAG_TEXT_ROW(type, mirror.listen, "mirror.listen", "off|tcp|unix", default_listen,        \
		"Whether each export of each cluster is a listener here: a loopback port, a Unix " \
		"socket."),                                                                        \
		FLAG_TEXT_ROW(type, mirror.directory, "mirror.directory", "DIR", "mirrors",        \
			"Of the files for Prometheus and Grafana, the sockets and the ports' "     \
			"state."),                                                                 \
		FLAG_TEXT_ROW(type, mirror.port_range, "mirror.port-range", "FIRST-LAST",          \
			"19500-19999", "The ports that mirrors are given."),                       \
		FLAG_DURATION_ROW(type, mirror.grace_ms, "mirror.port-grace", "DURATION", "1h",    \
			"How long the port of a mirror that was removed is kept for it."),         \
		FLAG_TEXT_ROW(type, mirror.socket_mode, "mirror.socket-mode", "MODE", "0600",      \
			"Permissions of Unix sockets, in octal."),                                 \
		FLAG_TEXT_ROW(type, mirror.socket_owner, "mirror.socket-owner", "USER:GROUP",      \
			NULL, "Who owns Unix sockets; either may be left out. Default: us."),      \
		FLAG_DURATION_ROW(type, mirror.stale_ms, "mirror.max-stale", "DURATION", "1m",     \
			"How old a catalogue may be before its mirrors are not ready."),           \
		FLAG_DURATION_ROW(type, mirror.timeout_ms, "mirror.timeout", "DURATION", "5m",     \
			"How long a request through a mirror may take, to its answer's end."),     \
		FLAG_INT_ROW(type, mirror.per_cluster_max, "mirror.max-per-cluster", "N", "64",    \
			"Most mirrors of one cluster; further exports are left out.")

/*
 * Sets what flags give in 'options'. Returns 1, 0 when mirrors are off, or ERR_INVAL with the flag
 * in the sentence.
 */
MUST_USE int mirror_flags_read(
	const struct mirror_flags *flags, struct mirrors_options *options, struct err *err);

#endif
