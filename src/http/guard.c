#include "http/guard.h"

/*
 * Bursts and refills a second: resets as nghttp2's own server limit; the others as its limiter for
 * suspicious frames, which the version in Debian 12 does not have yet.
 */
static const struct {
	double burst;
	double per_second;
	const char *name;
} buckets[GUARD_KINDS] = {
	[GUARD_RESET] = { 1000, 33, "stream resets" },
	[GUARD_CONTROL] = { 2000, 330, "control frames" },
	[GUARD_EMPTY] = { 10000, 330, "empty data frames" },
	[GUARD_WINDOW] = { 10000, 330, "window updates" },
};

/* A receiver that updates both windows for each DATA frame is not unusual. */
#define WINDOW_CREDIT 2

void guard_init(struct guard *guard, int64_t now_ns) {
	guard->refilled_ns = now_ns;
	for (int i = 0; i < GUARD_KINDS; i++) {
		guard->tokens[i] = buckets[i].burst;
	}
}

bool guard_take(struct guard *guard, enum guard_kind kind, int64_t now_ns) {
	double seconds = (double)(now_ns - guard->refilled_ns) / 1e9;

	if (seconds > 0) {
		for (int i = 0; i < GUARD_KINDS; i++) {
			double filled = guard->tokens[i] + seconds * buckets[i].per_second;
			guard->tokens[i] = filled < buckets[i].burst ? filled : buckets[i].burst;
		}
		guard->refilled_ns = now_ns;
	}
	if (guard->tokens[kind] < 1) {
		return false;
	}
	guard->tokens[kind] -= 1;
	return true;
}

void guard_credit_window(struct guard *guard) {
	double filled = guard->tokens[GUARD_WINDOW] + WINDOW_CREDIT;
	double burst = buckets[GUARD_WINDOW].burst;

	guard->tokens[GUARD_WINDOW] = filled < burst ? filled : burst;
}

const char *guard_name(enum guard_kind kind) {
	return buckets[kind].name;
}
