#include "mesh/renewal.h"

#define RENEWAL_PART 0.2

int64_t renewal_after_ms(
	int64_t own_not_after_ms, int64_t peer_not_after_ms, int64_t now_ms, struct rand *rand) {
	int64_t end_ms =
		peer_not_after_ms < own_not_after_ms ? peer_not_after_ms : own_not_after_ms;
	int64_t left_ms = end_ms - now_ms;
	double early_ms = RENEWAL_PART * (double)left_ms;
	early_ms = early_ms < RENEWAL_MS_MAX ? early_ms : RENEWAL_MS_MAX;
	/* From half of it on. */
	int64_t wait_ms = left_ms - (int64_t)(early_ms * (0.5 + 0.5 * rand_unit(rand)));
	return wait_ms > 0 ? wait_ms : 0;
}
