/*
 * Link files: where another cluster's gateway is and who it must be (docs/formats/link.md).
 */
#ifndef MESH_LINK_FILE_H
#define MESH_LINK_FILE_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

#include <stddef.h>
#include <stdint.h>

#define LINK_ADDRESSES_MAX 64

struct link_address {
	struct str host; /* Without brackets; NUL-terminated. */
	uint16_t port;
	struct str text; /* As written; NUL-terminated. */
};

struct link_config {
	struct str cluster;             /* One DNS label. */
	struct str identity;            /* The gateway's name; NUL-terminated. */
	struct link_address *addresses; /* At least one. */
	size_t address_count;
};

/* Parses a link file; everything lives in 'arena'. Returns 0, ERR_INVAL "line N: ..." or ERR_LIMIT.
 */
MUST_USE int link_config_parse(
	struct arena *arena, struct str yaml, struct link_config *out, struct err *err);

#endif
