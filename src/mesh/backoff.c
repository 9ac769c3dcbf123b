#include "mesh/backoff.h"

#define DOUBLINGS_MAX 10

void backoff_reset(struct backoff *backoff) {
	*backoff = (struct backoff){ 0 };
}

int64_t backoff_next(struct backoff *backoff, struct rand *rand, int64_t now_ns, bool is_refused) {
	if (backoff->failures == 0) {
		backoff->first_ns = now_ns;
	}
	unsigned doublings = backoff->failures < DOUBLINGS_MAX ? backoff->failures : DOUBLINGS_MAX;
	backoff->failures++;
	bool is_young = !is_refused && now_ns - backoff->first_ns < BACKOFF_YOUNG_NS;
	int64_t max_ms = is_young ? BACKOFF_MS_MAX_YOUNG : BACKOFF_MS_MAX_OLD;
	int64_t wait_ms = INT64_C(1) * BACKOFF_MS_MIN << doublings;
	if (wait_ms > max_ms) {
		wait_ms = max_ms;
	}
	/* From half of it to all of it. */
	return wait_ms / 2 + (int64_t)(rand_unit(rand) * (double)(wait_ms - wait_ms / 2));
}
