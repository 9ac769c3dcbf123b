/*
 * What stream.c, dial.c and listener.c share: the stream's insides.
 */
#ifndef IO_STREAM_INTERNAL_H
#define IO_STREAM_INTERNAL_H

#include "base/buf.h"
#include "io/loop_internal.h"
#include "io/poll.h"
#include "io/stream.h"
#include "io/tls_session.h"

#include <netinet/in.h>
#include <sys/socket.h>

/* What may follow what stands in stream.c's table. */
enum stream_state {
	STREAM_RESOLVING,  /* The name is being looked up. */
	STREAM_CONNECTING, /* connect() is under way. */
	STREAM_HANDSHAKE,  /* TLS is being agreed on. */
	STREAM_OPEN,
	STREAM_FLUSHING,  /* What is queued still goes out; nothing is read. */
	STREAM_LINGERING, /* Our FIN is out; what comes is dropped until the peer's. */
	STREAM_ENDED,     /* The descriptor is closed; on_close is due. */
};

#define STREAM_STATE_COUNT 7

struct dial;

struct stream {
	struct loop *loop;
	struct loop_member member;
	struct loop_task settle; /* Flushes, resumes and ends, after the callbacks of a round. */
	struct timer timer;      /* Of the state: open deadline, idleness, closing. */
	const struct stream_ops *ops;
	void *context;
	enum stream_state state;
	int fd; /* -1: none. */
	struct poll *poll;
	struct dial *dial;         /* Of a stream that connects; until it has. */
	struct listener *listener; /* Of an accepted one; counted. */
	bool is_handshake;         /* Listed by the listener, with its neighbours there. */
	struct stream *older;
	struct stream *newer;
	int64_t began_ns; /* When it was accepted. */
	bool is_paused;
	bool is_blocked; /* The system took less than we had; waiting for it to be writable. */
	bool was_high;   /* The queue was above STREAM_LOW_WATER: on_drain is due below. */
	bool was_told;   /* Its listener's on_accept or on_refuse has come. */
	int send_errno;  /* A write failed; what arrived before is still read. */
	struct tls_session *tls;  /* NULL: plain. */
	struct tls_peer *peer;    /* With TLS. */
	struct loop_chunk *first; /* Plaintext queue. */
	struct loop_chunk *last;
	size_t queued;
	struct buf records; /* Encrypted, and not taken by the system yet. */
	size_t records_sent;
	size_t dropped_bytes; /* While lingering. */
	struct buf held;      /* Received, and not decrypted while paused. */
	uint64_t received_bytes;
	uint64_t sent_bytes;
	int64_t open_due_ns;
	int64_t idle_ns;    /* 0: no limit. */
	int64_t active_ns;  /* When the last byte went either way. */
	struct err *reason; /* NULL: orderly. Owned. */
	char address[INET6_ADDRSTRLEN + 8];
};

/* A stream in its first state, a member of the loop. */
struct stream *stream_new(struct loop *loop, enum stream_state state);
/* Moves to a state that may follow; checks that it may. */
void stream_move(struct stream *stream, enum stream_state state);
/* Takes a connected descriptor: TLS begins, or the stream is open. */
void stream_established(struct stream *stream, const struct tls_options *tls);
/* Begins to watch 'fd', which becomes the stream's. Returns false if the system refuses. */
bool stream_attach(struct stream *stream, int fd);
/* Closes the descriptor, if there is one. */
void stream_detach(struct stream *stream);
/* Ends at once with a copy of 'reason' (may be NULL); its last callback comes from the loop. */
void stream_end(struct stream *stream, const struct err *reason);
/* Puts "1.2.3.4:80" or "[::1]:80" or "unix" into the stream's address. */
void stream_set_address(struct stream *stream, const struct sockaddr *address);

/* Goes on with dialling: the descriptor can be written, or the time for it is up (dial.c). */
void dial_writable(struct stream *stream);
void dial_timeout(struct stream *stream);
/* The stream ended before it was connected, or has connected. */
void dial_forget(struct stream *stream);

/* What a listener is told of its streams (listener.c). */
void listener_accepted(struct stream *stream);
void listener_refused(struct stream *stream);
void listener_left(struct stream *stream);

#endif
