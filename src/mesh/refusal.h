/*
 * Why a peer was not let in, in one word for metrics. Any thread.
 */
#ifndef MESH_REFUSAL_H
#define MESH_REFUSAL_H

#include "base/err.h"
#include "base/metric.h"

#include <stdint.h>

/*
 * One of "no_certificate", "wrong_anchor", "expired", "not_yet_valid", "name_constraint",
 * "identity" (what our own verifier refused), "certificate" (anything else about it), "by_peer" (it
 * refused ours), "protocol",
 * "timeout", "limit" (too many connections), "unexpected" (a gateway that dialled a hub with no
 * link to it), "other".
 */
const char *refusal_reason(const struct err *refusal);

/* Counts refusals, and logs so many at once and so many a second. Owned by one loop. */
struct refusals {
	struct metric_family *counter; /* reason */
	int64_t filled_ns;             /* When 'left' was filled up last. */
	double left;
	uint64_t unsaid;
};

/* Begins with all lines there are. */
void refusals_init(struct refusals *refusals, struct metric_family *counter, int64_t now_ns);
/* A peer at this address was not let in. */
void refusals_tell(struct refusals *refusals, int64_t now_ns, const char *peer_address,
	const struct err *refusal);

#endif
