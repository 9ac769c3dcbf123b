/*
 * What each member of the mesh says of its trust, as JSON: a gateway's facts in its catalogue, and
 * at GET /api/v1/atoll/trust a hub's own with those of every link. Whoever replaces the trust
 * anchor asks for it (docs/trust.md).
 */
#ifndef MESH_TRUST_REPORT_H
#define MESH_TRUST_REPORT_H

#include "base/arena.h"
#include "base/buf.h"
#include "codec/json_writer.h"
#include "mesh/link.h"
#include "trust/bundle.h"

#include <jansson.h>

/* Writes {"anchors":[...],"chain_anchor":"..."}. */
void trust_facts_format(const struct trust_facts *facts, struct json_writer *writer);
/* Reads it. Returns 0, ERR_CORRUPT or ERR_LIMIT. */
MUST_USE int trust_facts_read_json(const json_t *object, struct trust_facts *out, struct err *err);

/* One cluster that a hub is linked with. */
struct trust_report_link {
	struct str cluster;
	struct str identity;             /* As verified last; may be empty. */
	struct str trouble;              /* Why its facts do not hold now; empty: they do. */
	const struct trust_facts *facts; /* NULL: it has not told. */
};

struct trust_report {
	struct str identity; /* The hub's. */
	struct trust_facts facts;
	struct trust_report_link *links;
	size_t link_count;
};

/* Any thread: appends the body of a hub's answer. */
void trust_report_write(
	struct links *links, struct str identity, const struct trust_facts *own, struct buf *out);
/* Reads it into 'arena'. Returns 0, ERR_CORRUPT or ERR_LIMIT. */
MUST_USE int trust_report_parse(
	struct arena *arena, struct str body, struct trust_report *out, struct err *err);

#endif
