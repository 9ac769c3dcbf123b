/*
 * When a session is to be renewed, so that it does not outlive the certificates it was opened with.
 * Any thread.
 */
#ifndef MESH_RENEWAL_H
#define MESH_RENEWAL_H

#include "base/rand.h"

#include <stdint.h>

/* So long before the first certificate's end at most; else a fifth of what it had left. */
#define RENEWAL_MS_MAX (10 * 60 * 1000)

/* Milliseconds from now; jittered, so that many links do not do it together. */
int64_t renewal_after_ms(
	int64_t own_not_after_ms, int64_t peer_not_after_ms, int64_t now_ms, struct rand *rand);

#endif
