#include "http/flood.h"

/*
 * Bursts and refills a second: resets as nghttp2's own server limit; the others as its limiter for
 * suspicious frames, which the version in Debian 12 does not have yet.
 */
static const struct {
	double burst;
	double per_second;
	const char *name;
} buckets[FLOOD_KINDS] = {
	[FLOOD_RESET] = { 1000, 33, "stream resets" },
	[FLOOD_CONTROL] = { 2000, 330, "control frames" },
	[FLOOD_EMPTY] = { 10000, 330, "empty data frames" },
	[FLOOD_WINDOW] = { 10000, 330, "window updates" },
};

/* A receiver that updates both windows for each DATA frame is not unusual. */
#define WINDOW_CREDIT 2

void flood_init(struct flood *flood, int64_t now_ns) {
	flood->refilled_ns = now_ns;
	for (int i = 0; i < FLOOD_KINDS; i++) {
		flood->tokens[i] = buckets[i].burst;
	}
}

bool flood_take(struct flood *flood, enum flood_kind kind, int64_t now_ns) {
	double seconds = (double)(now_ns - flood->refilled_ns) / 1e9;

	if (seconds > 0) {
		for (int i = 0; i < FLOOD_KINDS; i++) {
			double filled = flood->tokens[i] + seconds * buckets[i].per_second;
			flood->tokens[i] = filled < buckets[i].burst ? filled : buckets[i].burst;
		}
		flood->refilled_ns = now_ns;
	}
	if (flood->tokens[kind] < 1) {
		return false;
	}
	flood->tokens[kind] -= 1;
	return true;
}

void flood_credit_window(struct flood *flood) {
	double filled = flood->tokens[FLOOD_WINDOW] + WINDOW_CREDIT;
	double burst = buckets[FLOOD_WINDOW].burst;

	flood->tokens[FLOOD_WINDOW] = filled < burst ? filled : burst;
}

const char *flood_name(enum flood_kind kind) {
	return buckets[kind].name;
}
