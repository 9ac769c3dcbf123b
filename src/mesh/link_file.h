/*
 * Link files: where another cluster's gateway is and who it must be, or that it comes to us
 * (docs/formats/link.md).
 */
#ifndef MESH_LINK_FILE_H
#define MESH_LINK_FILE_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "mesh/fields.h"

#include <stddef.h>
#include <stdint.h>

#define LINK_ADDRESSES_MAX 64

struct link_address {
	struct str host; /* Without brackets; NUL-terminated. */
	uint16_t port;
	struct str text; /* As written; NUL-terminated. */
};

struct link_config {
	struct str cluster;         /* One DNS label. */
	struct str identity;        /* The gateway's name; NUL-terminated. */
	bool is_dialled_by_gateway; /* Then there are no addresses; else at least one. */
	struct link_address *addresses;
	size_t address_count;
};

/*
 * Reads addresses, 1 to LINK_ADDRESSES_MAX of "host:port" or "[::1]:port". Returns 0 or ERR_INVAL.
 */
MUST_USE int link_addresses_read(
	struct arena *arena, const struct texts *texts, struct link_address **out, struct err *err);

/* Parses a link file; everything lives in 'arena'. Returns 0, ERR_INVAL "line N: ..." or ERR_LIMIT.
 */
MUST_USE int link_config_parse(
	struct arena *arena, struct str yaml, struct link_config *out, struct err *err);

#endif
