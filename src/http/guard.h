/*
 * Flood counters: frames that cost us work and the sender nothing, per HTTP/2 connection.
 *
 * Each kind has a bucket of tokens that refills with time; a connection whose bucket runs dry is to
 * be closed with ENHANCE_YOUR_CALM. Owned by one loop.
 */
#ifndef HTTP_GUARD_H
#define HTTP_GUARD_H

#include <stdbool.h>
#include <stdint.h>

enum guard_kind {
	GUARD_RESET,   /* Streams ended by RST_STREAM, whoever was made to send it. */
	GUARD_CONTROL, /* SETTINGS, PING, PRIORITY. */
	GUARD_EMPTY,   /* DATA that carries next to nothing. */
	GUARD_WINDOW,  /* WINDOW_UPDATE beyond what the data we sent explains. */
};
#define GUARD_KINDS 4

struct guard {
	int64_t refilled_ns;
	double tokens[GUARD_KINDS];
};

/* Full buckets at 'now_ns'. */
void guard_init(struct guard *guard, int64_t now_ns);
/* Takes one token. Returns false when there is none: the peer floods us. */
bool guard_take(struct guard *guard, enum guard_kind kind, int64_t now_ns);
/* A DATA frame was sent, which the peer may answer with window updates. */
void guard_credit_window(struct guard *guard);
/* What the peer overdid: "resets", "control frames", ... */
const char *guard_name(enum guard_kind kind);

#endif
