/*
 * The catalogue: what a gateway exports to one peer, as documents of one line of JSON each
 * (docs/formats/link.md). A gateway sends one at first, another whenever it changes, and in between
 * heartbeats that say how old the last one is.
 */
#ifndef MESH_CATALOGUE_H
#define MESH_CATALOGUE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "trust/bundle.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How often a heartbeat is sent, and how long a follower waits for one. */
#define CATALOGUE_HEARTBEAT_MS 5000
#define CATALOGUE_SILENCE_MS 20000
/* The longest line, newline included: EXPORTS_MAX of the longest entries are less. */
#define CATALOGUE_LINE_MAX ((size_t)2 * 1024 * 1024)

/* Of lines in any CATALOGUE_SILENCE_MS, heartbeats too; a gateway that sends more is left alone. */
#define CATALOGUE_LINES_MAX 200

struct catalogue_entry {
	struct str name;  /* One DNS label. */
	struct str kind;  /* "prometheus" */
	uint64_t version; /* Changes when the export does. */
};

struct catalogue {
	uint64_t version;  /* Of all entries together. */
	bool is_heartbeat; /* Then there are no entries: those of 'version' still hold. */
	int64_t age_ms;    /* Heartbeats: since when. */
	int64_t time_ms;   /* The gateway's clock when it was sent; 0: it does not tell. */
	struct catalogue_entry *entries; /* By name. */
	size_t count;
	/* What the gateway believes; NULL: it does not tell, or this is a heartbeat. */
	const struct trust_facts *trust;
	/* A digest of the deny-lists that it knows (deny_set_digest); not of a heartbeat. */
	bool has_denied;
	uint64_t denied;
};

/* The version of a list of entries. */
uint64_t catalogue_digest(const struct catalogue_entry *entries, size_t count);
/* Appends the document as one line, newline included. */
void catalogue_format(const struct catalogue *catalogue, struct buf *out);
/*
 * Parses one line, with or without its newline; strings live in 'arena'. Members it does not know
 * are ignored. Returns 0, ERR_CORRUPT or ERR_LIMIT.
 */
MUST_USE int catalogue_parse(
	struct arena *arena, struct str line, struct catalogue *out, struct err *err);

#endif
