/*
 * Links from the inside: the set (link.c), one link's connection (link_session.c), and what goes
 * over it: calls of threads that wait (link_call.c) and streams (link_stream.c).
 *
 * Everything is the loop's, but for what is marked as guarded: that is written by the loop under
 * the set's lock and read by snapshots under it.
 */
#ifndef MESH_LINK_INTERNAL_H
#define MESH_LINK_INTERNAL_H

#include "base/buf.h"
#include "base/rand.h"
#include "base/thread.h"
#include "http/session.h"
#include "io/stream.h"
#include "mesh/backoff.h"
#include "mesh/failure.h"
#include "mesh/link.h"
#include "mesh/link_file.h"
#include "mesh/refusal.h"

/*
 * Calls under way at once over one link. Half of what a gateway allows by default
 * (limits.concurrency), so that two hubs fit; a gateway that allows fewer is noticed by what it
 * refuses.
 */
#define LINK_CALLS_MAX 32
/* So many answers without a refusal, and one more call at once is tried. */
#define LINK_ANSWERS_PER_CALL 64

struct link_bytes {
	uint64_t received;
	uint64_t sent;
};

/* What a deny-list may name a session's peer by. */
struct link_peer {
	char identity[256];
	char serial[SERIAL_LEN_MAX + 1];
	char issuer_digest[65];
};

/* How the deny-lists here and those of the gateway come together (link_denied.c). */
struct link_denied {
	struct http_call *call; /* NULL: none under way. */
	bool is_told;           /* The gateway has said what it knows. */
	uint64_t told;          /* A digest of it. */
	uint64_t tried_told;    /* Of both sides, when they were brought together last. */
	uint64_t tried_own;
	struct buf answer;
};

/* One file's link. */
struct link {
	struct links *links; /* A reference. */
	struct link *next;
	char *file; /* Its name in the directory. */
	uint64_t file_hash;
	struct arena arena; /* Of 'config'. */
	struct link_config config;
	bool is_removed; /* Freed once its connection has ended. */

	struct tls_options tls;
	struct stream *stream; /* While dialling. */
	struct http_session *session;
	struct http_session *old_session; /* Its last calls end; 'session' took its place. */
	unsigned aborted_sessions;        /* Even older, ended, and not gone yet. */
	bool is_ready;                    /* The session's catalogue has come. */
	struct http_call *catalogue_call;
	struct buf line;        /* The catalogue's line so far. */
	int64_t lines_since_ns; /* The catalogue's lines of the time since then. */
	unsigned line_count;
	struct err failure; /* Why we ended the session; code 0: somebody else did. */
	struct failures failures;
	size_t next_index; /* The address to try next. */
	size_t tried;      /* Addresses tried since it last worked. */
	struct backoff backoff;
	struct link_peer peer;     /* Of the session. */
	struct link_peer old_peer; /* Of the old session. */
	struct link_denied denied;
	struct timer timer;       /* To dial again; while connected, for the catalogue's silence. */
	struct timer renewal;     /* Before a certificate of the session's expires. */
	int64_t own_not_after_ms; /* Of what we presented when we dialled. */
	struct link_call *waiting; /* For a session that is ready, and for their turn. */
	struct link_call *waiting_last;
	struct link_call *active; /* Over the sessions. */
	size_t active_count;
	size_t active_max;           /* 1 to LINK_CALLS_MAX. */
	size_t answered;             /* Calls since active_max last changed. */
	bool is_sending_waiting;     /* Calls that end meanwhile do not send others. */
	struct link_stream *streams; /* Waiting and sent, the oldest first (link_stream.c). */
	struct link_stream *streams_last;
	size_t stream_count;
	size_t streams_sent;
	size_t streams_max;      /* 1 to LINK_STREAMS_MAX. */
	size_t streams_answered; /* Since streams_max last changed. */
	bool is_sending_streams;
	struct link_bytes counted; /* Of the sessions' bytes. */
	struct link_bytes old_counted;

	/* Guarded. */
	size_t address_index;  /* In use, or tried last. */
	char peer_address[64]; /* Of a gateway that dials. */
	enum link_state state;
	int64_t since_ms;
	int64_t rtt_ns;
	int64_t skew_ms; /* The gateway's clock less ours, by its last line. */
	bool has_skew;
	int64_t confirmed_ns; /* When the catalogue last was; 0: never. */
	int64_t cert_not_after_ms;
	uint64_t received_bytes;
	uint64_t sent_bytes;
	char identity[256];
	char last_error[512];
	struct arena exports_arena;
	struct link_export *exports;
	size_t export_count;
	struct trust_facts trust; /* What the gateway believes. */
	bool has_trust;           /* It has told. */

	/* NULL once removed. */
	struct metric *received_metric;
	struct metric *sent_metric;
	struct metric *up_metric;
	struct metric *rtt_metric;
	struct metric *skew_metric;
	struct metric *expiry_metric;
};

struct links {
	_Atomic unsigned refs; /* The owner's, each link's, each call's. */
	struct loop *loop;
	char *directory;
	struct tls_slot *slot;
	struct deny_set *denied; /* NULL: none. */
	size_t window_bytes_max;
	void (*on_change)(void *context);
	void *context;
	struct watch *watch;
	struct listener *listener; /* For gateways that dial; NULL: none. */
	struct tls_options tls;    /* Its own. */
	struct refusals refusals;
	struct failures refused;          /* Gateways that dialled. */
	const struct trust_identity *own; /* For the report; NULL: not served. */
	struct timer timer;               /* Counts bytes and looks into the directory. */
	struct timer denied_timer;
	struct rand rand;
	bool is_closed;
	uint64_t complaints; /* Hash of what was wrong with the files when last said. */
	struct buf complaint_text;
	struct metric_family *received;
	struct metric_family *sent;
	struct metric_family *up;
	struct metric_family *rtt;
	struct metric_family *skew;
	struct metric_family *expiry;
	struct metric_family *requests;
	struct lock lock;
	/* By cluster. Written by the loop under the lock, so that only others need it to read. */
	struct link *first;
};

/* Another reference; the last release frees. Any thread. */
struct links *links_ref(struct links *links);
void links_unref(struct links *links);
/* The link to a cluster, or NULL. On the loop. */
struct link *links_find(struct links *links, struct str cluster);
/*
 * The link over which an export is reached: up, or being made. ERR_CLOSED (it is down: says why),
 * ERR_INVAL (no such link or export). On the loop.
 */
MUST_USE int link_find_export(struct links *links, struct str cluster, struct str export_name,
	struct link **out, struct err *err);
/* Tells the owner that something changed. */
void links_changed(struct links *links);

/* Begins dialling. */
void link_start(struct link *link);
/* Ends the connection and all calls; frees the link, at once or when the connection is gone. */
void link_remove(struct link *link, const char *why);
/* Hands the deny-lists on, and takes the gateway's, if they differ and it can be done now. */
void link_denied_sync(struct link *link);
/* In the loop's next round: links_denied_changed. */
void links_denied_soon(struct links *links);
/* Ends the sessions with peers that are denied. */
void link_denied_cut(struct link *link);
/* Ends a session for a reason of our own. */
void link_end_session(struct link *link, const struct err *reason);
/* Where the gateway is, as far as known; guarded. */
const char *link_address_text(const struct link *link);
/* Waits for the link's gateway to dial us, if that is what it does. */
void link_await(struct link *link);
/* The link's gateway has dialled us: the connection takes the place of the one before. */
void link_take_stream(struct link *link, struct stream *stream);
/* Dials at once if it waits for that. */
void link_retry(struct link *link);
/* Adds what the sessions moved since the last time to the counters. */
void link_count_bytes(struct link *link);
/* Frees all of it but the list it stands in. */
void link_free(struct link *link);

/* What waited for the link to be up, or for its turn, goes out as far as there is room. */
void link_calls_send_waiting(struct link *link);
/* Ends what waits, and what is under way ('reason' says why). */
void link_calls_fail(struct link *link, const struct err *reason);

/* Counts a request that ended; 'failure' is 0 or a code. */
void link_count_outcome(const struct link *link, int failure, int status, bool is_denied);

/* The same of streams. */
void link_streams_send_waiting(struct link *link);
void link_streams_fail(struct link *link, const struct err *reason);

#endif
