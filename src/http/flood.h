/*
 * Flood counters: frames that cost us work and the sender nothing, per HTTP/2 connection.
 *
 * Each kind has a bucket of tokens that refills with time; a connection whose bucket runs dry is to
 * be closed with ENHANCE_YOUR_CALM. Owned by one loop.
 */
#ifndef HTTP_FLOOD_H
#define HTTP_FLOOD_H

#include <stdbool.h>
#include <stdint.h>

enum flood_kind {
	FLOOD_RESET,   /* Streams ended by RST_STREAM, whoever was made to send it. */
	FLOOD_CONTROL, /* SETTINGS, PING, PRIORITY. */
	FLOOD_EMPTY,   /* DATA that carries next to nothing. */
	FLOOD_WINDOW,  /* WINDOW_UPDATE beyond what the data we sent explains. */
};
#define FLOOD_KINDS 4

struct flood {
	int64_t refilled_ns;
	double tokens[FLOOD_KINDS];
};

/* Full buckets at 'now_ns'. */
void flood_init(struct flood *flood, int64_t now_ns);
/* Takes one token. Returns false when there is none: the peer floods us. */
bool flood_take(struct flood *flood, enum flood_kind kind, int64_t now_ns);
/* A DATA frame was sent, which the peer may answer with window updates. */
void flood_credit_window(struct flood *flood);
/* What the peer overdid: "resets", "control frames", ... */
const char *flood_name(enum flood_kind kind);

#endif
