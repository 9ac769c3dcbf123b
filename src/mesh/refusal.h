/*
 * Why a peer was not let in, in one word for metrics. Any thread.
 */
#ifndef MESH_REFUSAL_H
#define MESH_REFUSAL_H

#include "base/err.h"

/*
 * One of "no_certificate", "wrong_anchor", "expired", "not_yet_valid", "name_constraint",
 * "identity" (what our own verifier refused), "certificate" (anything else about it), "by_peer" (it
 * refused ours), "protocol",
 * "timeout", "limit" (too many connections), "other".
 */
const char *refusal_reason(const struct err *refusal);

#endif
