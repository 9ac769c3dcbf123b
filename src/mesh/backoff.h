/*
 * How long to wait before dialling again: soon at first, so that a cut that is over is over for us,
 * then less often; jittered, so that many links do not come back at the same moment.
 */
#ifndef MESH_BACKOFF_H
#define MESH_BACKOFF_H

#include "base/rand.h"

#include <stdbool.h>
#include <stdint.h>

#define BACKOFF_MS_MIN 100
/* While the failure is young, and once it has lasted. */
#define BACKOFF_MS_MAX_YOUNG 1500
#define BACKOFF_MS_MAX_OLD 10000
#define BACKOFF_YOUNG_NS INT64_C(60000000000)

struct backoff {
	unsigned failures; /* In a row. */
	int64_t first_ns;  /* When the first of them was. */
};

/* It worked: the next failure is the first again. */
void backoff_reset(struct backoff *backoff);
/*
 * It failed at 'now_ns' (monotonic); 'is_refused': by somebody who will not think otherwise until a
 * file changes. Returns the milliseconds to wait.
 */
int64_t backoff_next(struct backoff *backoff, struct rand *rand, int64_t now_ns, bool is_refused);

#endif
