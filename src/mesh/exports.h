/*
 * The configuration of a gateway: which services may be reached through it, by whom, and how much
 * of them; and the hubs that it dials.
 *
 * A list is immutable once parsed, and counted: what is under way keeps the list it began with.
 * Owned by one loop.
 */
#ifndef MESH_EXPORTS_H
#define MESH_EXPORTS_H

#include "base/err.h"
#include "base/str.h"
#include "mesh/fields.h"
#include "mesh/link_file.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The only kind there is: a Prometheus-compatible server, of which only reading is let through. */
#define EXPORT_KIND_PROMETHEUS "prometheus"
#define EXPORTS_MAX 10000
#define HUBS_MAX 64

struct export_limits {
	uint64_t concurrency;    /* Requests at once. */
	uint64_t request_bytes;  /* Of a request's body. */
	uint64_t response_bytes; /* Of an answer, before it is compressed. */
	int64_t timeout_ms;      /* Of a whole request. */
};

struct exported {
	struct str name; /* One DNS label; the :authority that clients ask for. */
	struct str kind;
	struct str url;     /* "http://127.0.0.1:9090", without a slash at its end. */
	struct texts allow; /* Identities, or "*.TRUSTDOMAIN" for all of one cluster. */
	struct export_limits limits;
	uint64_t version; /* A digest: changes when anything above does. */
	struct str file;  /* Of the exports' directory; empty: the configuration. */
};

/* A hub that cannot or need not dial us. */
struct hub_to_dial {
	struct str identity; /* Who it must be; NUL-terminated. */
	struct link_address *addresses;
	size_t address_count;
	uint64_t version; /* A digest: changes when anything above does. */
};

struct exports {
	struct exported *items; /* By name. */
	size_t count;
	size_t capacity;
	struct hub_to_dial *hubs; /* By identity. */
	size_t hub_count;
	struct arena arena;
	unsigned refs;
};

/* Parses a gateway's configuration (docs/gateway.md). Returns 0, ERR_INVAL "line N: ..." or
 * ERR_LIMIT. */
MUST_USE int exports_parse(struct str yaml, struct exports **out, struct err *err);
/*
 * Adds an export that stands alone in a file. Only before anybody else holds the list. Returns 0,
 * ERR_INVAL "line N: ...", also for a name that is there already, or ERR_LIMIT.
 */
MUST_USE int exports_add(
	struct exports *exports, struct str file, struct str yaml, struct err *err);
/* Adds a hub that stands alone in a file; as exports_add. */
MUST_USE int exports_add_hub(struct exports *exports, struct str yaml, struct err *err);
/* Reads an export that stands alone, and puts its name into 'arena'. Errors as exports_add. */
MUST_USE int export_check(struct arena *arena, struct str yaml, struct str *name, struct err *err);
/* Another reference. */
struct exports *exports_ref(struct exports *exports);
/* Gives one back; the last frees. */
void exports_unref(struct exports *exports);
/* The export of that name, or NULL. */
const struct exported *exports_find(const struct exports *exports, struct str name);
/* Whether an export allows a (verified) identity. */
bool exported_allows(const struct exported *exported, struct str identity);

#endif
