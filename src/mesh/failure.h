/*
 * The flight recorder: the last failures of a link, or of those that a listener refused, each with
 * when, where, at which stage, why in one word and in a sentence, and what to do about it.
 *
 * Failures that repeat themselves are one entry with a count; of different ones the newest are
 * kept. A record is owned by one loop; failure_reason and failure_advice may be used by any thread.
 */
#ifndef MESH_FAILURE_H
#define MESH_FAILURE_H

#include "base/buf.h"
#include "base/err.h"
#include "codec/json_writer.h"

#include <stddef.h>
#include <stdint.h>

/* Different ones that are remembered of one link, and of all that a listener refused. */
#define FAILURES_OF_LINK_MAX 16
#define FAILURES_OF_LISTENER_MAX 256

/* How far a connection had come. */
enum failure_stage {
	STAGE_DNS,       /* Its name was not found. */
	STAGE_CONNECT,   /* No TCP connection. */
	STAGE_TLS,       /* The handshake, the certificates of either side included. */
	STAGE_CATALOGUE, /* Before the first document of the catalogue. */
	STAGE_SESSION    /* After it had worked. */
};

struct failure {
	int64_t first_ms;
	int64_t last_ms;
	uint64_t count;
	enum failure_stage stage;
	const char *reason; /* One word, static. */
	char *address;      /* Of the peer; of those refused without the port. */
	char *text;         /* The sentence. */
};

/* { 0 } with 'max' set is empty and owns nothing. */
struct failures {
	struct failure *items; /* The one that happened last is last. */
	size_t count;
	size_t max;
	uint64_t total; /* Of all there ever were. */
};

/*
 * Why, in one word: "dns", "refused" (nobody listens), "unreachable", "timeout", "wrong_anchor",
 * "refused_anchor" (the peer does not believe ours), "refused_expired", "by_peer", "closed", or one
 * of refusal_reason's.
 */
const char *failure_reason(const struct err *err);
/* How far one came that never had a connection with TLS. */
enum failure_stage failure_stage_of(const struct err *err);
/* "dns", "connect", "tls", "catalogue", "session". */
const char *failure_stage_name(enum failure_stage stage);
/* What it means and what to do, a sentence or two, for a reason of failure_reason; static. */
const char *failure_advice(const char *reason);

/* Notes one. */
void failures_note(struct failures *failures, int64_t now_ms, const char *address,
	enum failure_stage stage, const struct err *err);
/* Notes one that a listener refused, at "host:port" of which the host is kept. */
void failures_note_refusal(
	struct failures *failures, int64_t now_ms, const char *peer_address, const struct err *err);
/* Writes them as an array, the newest first. */
void failures_write(const struct failures *failures, struct json_writer *writer);
void failures_deinit(struct failures *failures);

#endif
