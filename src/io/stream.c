/*
 * A stream's life after it has a descriptor.
 *
 * Reading: one recv into the loop's scratch memory, decrypted into other scratch memory, given to
 * on_data. Nothing is kept in the stream unless it is paused between two records.
 *
 * Writing: plaintext is queued in chunks the size of a TLS record. At the end of the round (or
 * above STREAM_LOW_WATER at once) chunks are encrypted into the loop's buffer and sent with one
 * call for up to eight records; plain streams send chunks as they are with one writev. Only what
 * the system does not take stays, in 'records'.
 *
 * Ending: stream_close -> FLUSHING -> (all sent) close_notify, FIN -> LINGERING -> the peer's FIN,
 * or too long -> ENDED -> on_close from the loop -> freed.
 */
#include "io/stream.h"

#include "base/check.h"
#include "base/memory.h"
#include "io/stream_internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

/* Records encrypted for one call to the system. */
#define RECORDS_AT_ONCE 8
#define CHUNKS_AT_ONCE 32
/* One stream sends at most this much in one round. */
#define ROUND_BYTES_MAX ((size_t)1024 * 1024)
/* How long a peer may keep its side open, and how much it may still send, after our FIN. */
#define LINGER_MS 1000
#define LINGER_BYTES_MAX ((size_t)1024 * 1024)

static const struct tls_peer nobody;

/* Bit n: the state n may follow. */
#define TO(state) (1U << (state))
static const struct {
	const char *name;
	unsigned next;
} states[STREAM_STATE_COUNT] = {
	[STREAM_RESOLVING] = { "resolving", TO(STREAM_CONNECTING) | TO(STREAM_ENDED) },
	[STREAM_CONNECTING] = { "connecting",
		TO(STREAM_HANDSHAKE) | TO(STREAM_OPEN) | TO(STREAM_ENDED) },
	[STREAM_HANDSHAKE] = { "handshake",
		TO(STREAM_OPEN) | TO(STREAM_FLUSHING) | TO(STREAM_ENDED) },
	[STREAM_OPEN] = { "open", TO(STREAM_FLUSHING) | TO(STREAM_ENDED) },
	[STREAM_FLUSHING] = { "flushing", TO(STREAM_LINGERING) | TO(STREAM_ENDED) },
	[STREAM_LINGERING] = { "lingering", TO(STREAM_ENDED) },
	[STREAM_ENDED] = { "ended", 0 },
};

static void settle(void *context);
static void on_timer(struct timer *timer);

void stream_move(struct stream *stream, enum stream_state state) {
	CHECK(states[stream->state].next & TO(state));
	stream->state = state;
}

static void end_with_loop(struct loop_member *member) {
	struct stream *stream = CONTAINER_OF(member, struct stream, member);
	struct err err;
	(void)err_set(&err, ERR_CANCELED, "the event loop ends");
	stream_end(stream, &err);
	loop_defer_clear(stream->loop, &stream->settle);
	settle(stream);
}

struct stream *stream_new(struct loop *loop, enum stream_state state) {
	struct stream *stream = MEMORY_NEW(struct stream, 1);
	stream->loop = loop;
	stream->state = state;
	stream->fd = -1;
	stream->settle = (struct loop_task){ .run = settle, .context = stream };
	stream->timer.run = on_timer;
	stream->member.end = end_with_loop;
	loop_member_add(loop, &stream->member);
	return stream;
}

static void stream_free(struct stream *stream) {
	loop_member_remove(stream->loop, &stream->member);
	loop_defer_clear(stream->loop, &stream->settle);
	loop_timer_clear(stream->loop, &stream->timer);
	tls_session_free(stream->tls);
	free(stream->peer);
	buf_deinit(&stream->records);
	buf_deinit(&stream->held);
	free(stream->reason);
	free(stream);
}

static void drop_queue(struct stream *stream) {
	while (stream->first) {
		struct loop_chunk *chunk = stream->first;
		stream->first = chunk->next;
		loop_chunk_free(stream->loop, chunk);
	}
	stream->last = NULL;
	stream->queued = 0;
}

static void keep_reason(struct stream *stream, const struct err *reason) {
	if (reason && !stream->reason) {
		stream->reason = MEMORY_NEW(struct err, 1);
		*stream->reason = *reason;
	}
}

void stream_detach(struct stream *stream) {
	poll_free(stream->poll);
	stream->poll = NULL;
	if (stream->fd >= 0) {
		(void)close(stream->fd);
		stream->fd = -1;
	}
}

void stream_end(struct stream *stream, const struct err *reason) {
	if (stream->state == STREAM_ENDED) {
		return;
	}
	stream_move(stream, STREAM_ENDED);
	keep_reason(stream, reason);
	if (stream->dial) {
		dial_forget(stream);
	}
	stream_detach(stream);
	drop_queue(stream);
	loop_timer_clear(stream->loop, &stream->timer);
	loop_defer(stream->loop, &stream->settle);
}

/* The last callback, and the memory. */
static void finish(struct stream *stream) {
	if (stream->ops) {
		stream->ops->on_close(stream, stream->reason);
	}
	if (stream->listener) {
		listener_refused(stream);
		listener_left(stream);
	}
	stream_free(stream);
}

/* Sends from the front of 'bytes'. Returns how many the system took. */
static size_t send_bytes(struct stream *stream, struct iovec *parts, size_t count) {
	struct msghdr message = { .msg_iov = parts, .msg_iovlen = count };
	ssize_t put;
	do {
		put = sendmsg(stream->fd, &message, MSG_NOSIGNAL);
	} while (put < 0 && errno == EINTR);
	if (put < 0) {
		if (errno == EAGAIN || errno == ENOBUFS) {
			stream->is_blocked = true;
		} else {
			stream->send_errno = errno;
			loop_defer(stream->loop, &stream->settle);
		}
		return 0;
	}
	stream->sent_bytes += (uint64_t)put;
	stream->active_ns = loop_now_ns(stream->loop);
	return (size_t)put;
}

/* Tells the session where its records go: behind those that wait, or to the loop's buffer. */
static void direct_output(struct stream *stream) {
	struct buf *output = &stream->records;
	if (stream->records.len == 0) {
		output = loop_scratch_sent(stream->loop);
		buf_reset(output);
	}
	tls_session_output(stream->tls, output);
}

static void send_waiting_records(struct stream *stream) {
	struct buf *records = &stream->records;
	size_t len = records->len - stream->records_sent;
	struct iovec part = { records->ptr + stream->records_sent, len };
	size_t put = send_bytes(stream, &part, 1);
	stream->records_sent += put;
	if (put < len) {
		stream->is_blocked = true;
		return;
	}
	buf_deinit(records); /* An idle connection holds no memory for this. */
	stream->records_sent = 0;
}

/* Sends what the session put out since direct_output, keeping what the system does not take. */
static void send_output(struct stream *stream) {
	struct buf *scratch = loop_scratch_sent(stream->loop);
	if (stream->records.len > 0) {
		if (!stream->is_blocked) {
			send_waiting_records(stream);
		}
		return;
	}
	if (scratch->len == 0) {
		return;
	}
	struct iovec part = { scratch->ptr, scratch->len };
	size_t put = stream->is_blocked || stream->send_errno ? 0 : send_bytes(stream, &part, 1);
	if (put < scratch->len) {
		buf_append(&stream->records, scratch->ptr + put, scratch->len - put);
		stream->is_blocked = true;
	}
	buf_reset(scratch);
}

static struct loop_chunk *pop_chunk(struct stream *stream) {
	struct loop_chunk *chunk = stream->first;
	stream->first = chunk->next;
	if (!stream->first) {
		stream->last = NULL;
	}
	stream->queued -= chunk->end - chunk->begin;
	return chunk;
}

/* Encrypts and sends up to RECORDS_AT_ONCE chunks. */
static void flush_records(struct stream *stream) {
	direct_output(stream);
	for (int i = 0; stream->first && i < RECORDS_AT_ONCE; i++) {
		struct loop_chunk *chunk = pop_chunk(stream);
		tls_session_write(
			stream->tls, chunk->bytes + chunk->begin, chunk->end - chunk->begin);
		loop_chunk_free(stream->loop, chunk);
	}
	send_output(stream);
}

/* Sends up to CHUNKS_AT_ONCE chunks as they are. */
static void flush_chunks(struct stream *stream) {
	struct iovec parts[CHUNKS_AT_ONCE];
	size_t count = 0;
	size_t len = 0;
	for (struct loop_chunk *chunk = stream->first; chunk && count < CHUNKS_AT_ONCE;
		chunk = chunk->next) {
		parts[count].iov_base = chunk->bytes + chunk->begin;
		parts[count].iov_len = chunk->end - chunk->begin;
		len += parts[count++].iov_len;
	}
	size_t put = send_bytes(stream, parts, count);
	stream->is_blocked = stream->is_blocked || put < len;
	while (put > 0) {
		struct loop_chunk *chunk = stream->first;
		size_t part = chunk->end - chunk->begin;
		if (put < part) {
			chunk->begin += put;
			stream->queued -= put;
			return;
		}
		put -= part;
		loop_chunk_free(stream->loop, pop_chunk(stream));
	}
}

static bool can_send(const struct stream *stream) {
	return (stream->state == STREAM_OPEN || stream->state == STREAM_FLUSHING) &&
	       !stream->is_blocked && stream->send_errno == 0;
}

/* Sends until all is sent, the system takes no more, or others should have their turn. */
static void flush(struct stream *stream) {
	uint64_t until = stream->sent_bytes + ROUND_BYTES_MAX;
	if (can_send(stream) && stream->records.len > 0) {
		send_waiting_records(stream);
	}
	while (can_send(stream) && stream->first) {
		if (stream->sent_bytes >= until) {
			loop_defer(stream->loop, &stream->settle);
			return;
		}
		if (stream->tls) {
			flush_records(stream);
		} else {
			flush_chunks(stream);
		}
	}
}

/* Ends for 'reason' after what the session still has to say (an alert) is out. */
static void fail_handshake(struct stream *stream, const struct err *reason) {
	keep_reason(stream, reason);
	send_output(stream);
	if (stream->listener) {
		listener_refused(stream);
	}
	stream_close(stream);
}

static void opened(struct stream *stream) {
	stream_move(stream, STREAM_OPEN);
	loop_timer_clear(stream->loop, &stream->timer);
	stream->active_ns = loop_now_ns(stream->loop);
	if (stream->idle_ns > 0) {
		loop_timer_set(stream->loop, &stream->timer, stream->active_ns + stream->idle_ns);
	}
	if (stream->listener) {
		listener_accepted(stream);
	} else if (stream->ops->on_open) {
		stream->ops->on_open(stream);
	}
}

/* Goes on with the handshake. Returns whether the stream is open. */
static bool shake_hands(struct stream *stream) {
	struct err err = { 0 };
	direct_output(stream);
	int rc = tls_session_handshake(stream->tls, stream->peer, &err);
	if (rc < 0) {
		fail_handshake(stream, &err);
		return false;
	}
	send_output(stream);
	if (rc == 0 || stream->state != STREAM_HANDSHAKE) {
		return false;
	}
	opened(stream);
	return stream->state == STREAM_OPEN;
}

static bool is_reading(const struct stream *stream) {
	return stream->state == STREAM_OPEN && !stream->is_paused;
}

/* The peer will send no more. */
static void input_ended(struct stream *stream) {
	if (stream_pending(stream) > 0 && !stream->send_errno) {
		stream_close(stream);
	} else {
		stream_end(stream, NULL);
	}
}

/* Decrypts as much as fits into the scratch memory. Returns a TLS_READ_... or an error. */
static int decrypt(struct stream *stream, size_t *len, struct err *err) {
	char *plain = loop_scratch_plain(stream->loop);
	int rc = TLS_READ_DATA;
	direct_output(stream);
	while (rc == TLS_READ_DATA && LOOP_SCRATCH_BYTES - *len >= TLS_ROOM_BYTES) {
		size_t got = 0;
		rc = tls_session_read(stream->tls, plain + *len, &got, err);
		*len += rc == TLS_READ_DATA ? got : 0;
	}
	send_output(stream);
	return rc;
}

/* Reads records and gives their bytes on, until there are no more or the reader has enough. */
static void read_records(struct stream *stream) {
	int rc = TLS_READ_DATA;
	while (rc == TLS_READ_DATA && is_reading(stream)) {
		struct err err = { 0 };
		size_t len = 0;
		rc = decrypt(stream, &len, &err);
		if (len > 0) {
			stream->ops->on_data(
				stream, (struct str){ loop_scratch_plain(stream->loop), len });
		}
		if (rc < 0) {
			stream_end(stream, &err);
		} else if (rc == TLS_READ_END && stream->state == STREAM_OPEN) {
			input_ended(stream);
		}
	}
}

/* Gives the session what arrived, and keeps what a paused reader does not take. */
static void feed(struct stream *stream, struct str bytes) {
	tls_session_input(stream->tls, bytes);
	if (stream->state != STREAM_HANDSHAKE || shake_hands(stream)) {
		read_records(stream);
	}
	struct str rest = tls_session_unread(stream->tls);
	if (rest.len > 0 && stream->state == STREAM_OPEN) {
		buf_append(&stream->held, rest.ptr, rest.len);
	}
	tls_session_input(stream->tls, STR_EMPTY);
}

/* Goes on with what was received before a pause. */
static void feed_held(struct stream *stream) {
	struct buf held = stream->held;
	stream->held = (struct buf){ 0 };
	feed(stream, buf_str(&held));
	buf_deinit(&held);
}

static void connection_cut(struct stream *stream) {
	struct err err = { 0 };
	if (stream->state == STREAM_HANDSHAKE) {
		(void)err_set(&err, ERR_CLOSED, "peer ended the connection during the handshake");
	} else {
		(void)err_set(
			&err, ERR_CLOSED, "peer ended the connection without saying so in TLS");
	}
	stream_end(stream, &err);
}

static void read_failed(struct stream *stream, int reason) {
	struct err err = { 0 };
	bool is_gone = reason == ECONNRESET || reason == EPIPE;
	(void)err_errno(&err, reason, "connection");
	err.code = is_gone ? ERR_CLOSED : ERR_IO;
	stream_end(stream, &err);
}

/* One recv. Returns whether there may be more. */
static bool read_once(struct stream *stream) {
	if (stream->held.len > 0) {
		feed_held(stream);
		return true;
	}
	char *bytes = loop_scratch_received(stream->loop);
	ssize_t got;
	do {
		got = recv(stream->fd, bytes, LOOP_SCRATCH_BYTES, 0);
	} while (got < 0 && errno == EINTR);
	if (got < 0) {
		if (errno != EAGAIN) {
			read_failed(stream, errno);
		}
		return false;
	}
	if (got == 0) {
		if (stream->tls) {
			connection_cut(stream);
		} else {
			input_ended(stream);
		}
		return false;
	}
	stream->received_bytes += (uint64_t)got;
	stream->active_ns = loop_now_ns(stream->loop);
	if (stream->tls) {
		feed(stream, (struct str){ bytes, (size_t)got });
	} else {
		stream->ops->on_data(stream, (struct str){ bytes, (size_t)got });
	}
	return true;
}

/* Drops what comes after our FIN; the peer's FIN is the end. */
static void read_leftovers(struct stream *stream) {
	char *bytes = loop_scratch_received(stream->loop);
	ssize_t got = recv(stream->fd, bytes, LOOP_SCRATCH_BYTES, 0);
	if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
		return;
	}
	stream->dropped_bytes += got > 0 ? (size_t)got : 0;
	if (got <= 0 || stream->dropped_bytes > LINGER_BYTES_MAX) {
		stream_end(stream, NULL);
	}
}

/* All is sent: says so, and waits for the peer to have read it. */
static void send_end(struct stream *stream) {
	if (stream->tls && stream->records.len == 0 && !stream->reason) {
		direct_output(stream);
		tls_session_shutdown(stream->tls);
		send_output(stream);
		if (stream->records.len > 0) {
			return; /* Comes again when that is out; a second shutdown says nothing. */
		}
	}
	if (stream->send_errno) {
		return;
	}
	stream_move(stream, STREAM_LINGERING);
	loop_timer_after_ms(stream->loop, &stream->timer, LINGER_MS);
	(void)shutdown(stream->fd, SHUT_WR); /* Fails when the peer is gone; reading tells. */
}

/* A write failed. What the peer said before it left (why it refused us) is worth more. */
static void after_failed_write(struct stream *stream) {
	drop_queue(stream);
	while (is_reading(stream) && read_once(stream)) {
	}
	if (stream->state != STREAM_ENDED) {
		read_failed(stream, stream->send_errno);
	}
}

static bool is_drained(const struct stream *stream) {
	return stream->was_high && stream->state == STREAM_OPEN &&
	       stream_pending(stream) <= STREAM_LOW_WATER;
}

/* What a round leaves to do. The stream may be gone after. */
static void settle(void *context) {
	struct stream *stream = context;
	if (is_reading(stream) && stream->held.len > 0) {
		feed_held(stream);
	}
	flush(stream);
	if (stream->send_errno && stream->state != STREAM_ENDED) {
		after_failed_write(stream);
	}
	if (is_drained(stream)) {
		stream->was_high = false;
		if (stream->ops->on_drain) {
			stream->ops->on_drain(stream);
		}
	}
	if (stream->state == STREAM_FLUSHING && stream_pending(stream) == 0) {
		send_end(stream);
	}
	if (stream->state == STREAM_ENDED) {
		finish(stream);
		return;
	}
	if (stream->poll && stream->state >= STREAM_HANDSHAKE) {
		bool reads = stream->state == STREAM_HANDSHAKE || is_reading(stream) ||
			     stream->state == STREAM_LINGERING;
		poll_set(stream->poll, reads, stream->is_blocked);
	}
}

static void on_events(void *context, bool is_readable, bool is_writable) {
	struct stream *stream = context;
	if (stream->state == STREAM_CONNECTING) {
		dial_writable(stream);
		return;
	}
	if (is_writable) {
		stream->is_blocked = false;
	}
	if (stream->state == STREAM_LINGERING) {
		read_leftovers(stream);
	} else if (is_readable && (stream->state == STREAM_HANDSHAKE || is_reading(stream))) {
		(void)read_once(stream);
	}
	loop_defer(stream->loop, &stream->settle);
}

/* Nothing went either way for too long? Bytes only note their time, so the timer asks late. */
static void check_activity(struct stream *stream, int64_t limit_ns, const char *what) {
	int64_t due_ns = stream->active_ns + limit_ns;
	if (due_ns > loop_now_ns(stream->loop)) {
		loop_timer_set(stream->loop, &stream->timer, due_ns);
		return;
	}
	struct err err = { 0 };
	(void)err_set(&err, ERR_TIMEOUT, "%s for %lld ms", what, (long long)(limit_ns / NS_PER_MS));
	stream_end(stream, &err);
}

static void on_timer(struct timer *timer) {
	struct stream *stream = CONTAINER_OF(timer, struct stream, timer);
	struct err err = { 0 };
	switch (stream->state) {
	case STREAM_RESOLVING:
	case STREAM_CONNECTING:
		dial_timeout(stream);
		return;
	case STREAM_HANDSHAKE:
		(void)err_set(&err, ERR_TIMEOUT, "peer did not finish the TLS handshake in time");
		stream_end(stream, &err);
		return;
	case STREAM_OPEN:
		check_activity(stream, stream->idle_ns, "nothing sent or received");
		return;
	case STREAM_FLUSHING:
		check_activity(stream, STREAM_CLOSE_TIMEOUT_MS * NS_PER_MS,
			"peer took nothing of what was left to send");
		return;
	case STREAM_LINGERING:
		stream_end(stream, NULL);
		return;
	case STREAM_ENDED:
		return;
	}
}

bool stream_attach(struct stream *stream, int fd) {
	stream->poll = poll_new(stream->loop, fd, on_events, stream);
	stream->fd = fd;
	if (!stream->poll) {
		stream_detach(stream);
		return false;
	}
	return true;
}

void stream_established(struct stream *stream, const struct tls_options *tls) {
	int yes = 1;
	/* Fails on Unix sockets, which have no such delay. */
	(void)setsockopt(stream->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
	if (stream->dial) {
		dial_forget(stream);
	}
	loop_defer(stream->loop, &stream->settle);
	if (!tls) {
		opened(stream);
		return;
	}
	struct err err = { 0 };
	if (tls_session_new(tls, !stream->listener, &stream->tls, &err) < 0) {
		stream_end(stream, &err);
		return;
	}
	stream->peer = MEMORY_NEW(struct tls_peer, 1);
	if (stream->state == STREAM_CONNECTING) {
		stream_move(stream, STREAM_HANDSHAKE);
	}
	(void)shake_hands(stream);
}

void stream_set_address(struct stream *stream, const struct sockaddr *address) {
	char text[INET6_ADDRSTRLEN] = "";
	const void *bytes = address;
	if (address->sa_family == AF_INET) {
		const struct sockaddr_in *in = bytes;
		(void)inet_ntop(AF_INET, &in->sin_addr, text, sizeof(text));
		(void)snprintf(stream->address, sizeof(stream->address), "%s:%u", text,
			ntohs(in->sin_port));
	} else if (address->sa_family == AF_INET6) {
		const struct sockaddr_in6 *in = bytes;
		(void)inet_ntop(AF_INET6, &in->sin6_addr, text, sizeof(text));
		bool is_mapped = IN6_IS_ADDR_V4MAPPED(&in->sin6_addr);
		(void)snprintf(stream->address, sizeof(stream->address),
			is_mapped ? "%s:%u" : "[%s]:%u", is_mapped ? text + 7 : text,
			ntohs(in->sin6_port));
	} else {
		(void)snprintf(stream->address, sizeof(stream->address), "unix");
	}
}

void *stream_context(const struct stream *stream) {
	return stream->context;
}

void stream_set_ops(struct stream *stream, const struct stream_ops *ops, void *context) {
	CHECK(ops->on_data && ops->on_close);
	stream->ops = ops;
	stream->context = context;
}

struct loop *stream_loop(struct stream *stream) {
	return stream->loop;
}

const struct tls_peer *stream_peer(const struct stream *stream) {
	return stream->peer ? stream->peer : &nobody;
}

const char *stream_peer_address(const struct stream *stream) {
	return stream->address;
}

/* The chunk that has room for the next byte. */
static struct loop_chunk *open_chunk(struct stream *stream) {
	if (stream->last && stream->last->end < LOOP_CHUNK_BYTES) {
		return stream->last;
	}
	struct loop_chunk *chunk = loop_chunk_new(stream->loop);
	if (stream->last) {
		stream->last->next = chunk;
	} else {
		stream->first = chunk;
	}
	stream->last = chunk;
	return chunk;
}

static void append(struct stream *stream, const char *bytes, size_t len) {
	while (len > 0) {
		struct loop_chunk *chunk = open_chunk(stream);
		size_t room = LOOP_CHUNK_BYTES - chunk->end;
		size_t part = len < room ? len : room;
		memcpy(chunk->bytes + chunk->end, bytes, part);
		chunk->end += part;
		stream->queued += part;
		bytes += part;
		len -= part;
	}
}

void stream_write(struct stream *stream, const void *bytes, size_t len) {
	if (stream->state > STREAM_OPEN || stream->send_errno) {
		return;
	}
	size_t pending = stream_pending(stream);
	if (pending > STREAM_PENDING_MAX || len > STREAM_PENDING_MAX - pending) {
		struct err err = { 0 };
		(void)err_set(&err, ERR_LIMIT,
			"more than %zu bytes queued for a peer that does not read them",
			STREAM_PENDING_MAX);
		stream_end(stream, &err);
		return;
	}
	append(stream, bytes, len);
	if (stream->queued >= STREAM_LOW_WATER) {
		flush(stream);
	}
	if (stream_pending(stream) > STREAM_LOW_WATER) {
		stream->was_high = true;
	}
	loop_defer(stream->loop, &stream->settle);
}

size_t stream_pending(const struct stream *stream) {
	return stream->queued + stream->records.len - stream->records_sent;
}

void stream_pause(struct stream *stream) {
	stream->is_paused = true;
	loop_defer(stream->loop, &stream->settle);
}

void stream_resume(struct stream *stream) {
	stream->is_paused = false;
	loop_defer(stream->loop, &stream->settle);
}

void stream_set_idle_timeout(struct stream *stream, int64_t ms) {
	stream->idle_ns = ms * NS_PER_MS;
	if (stream->state != STREAM_OPEN) {
		return;
	}
	stream->active_ns = loop_now_ns(stream->loop);
	if (ms > 0) {
		loop_timer_set(stream->loop, &stream->timer, stream->active_ns + stream->idle_ns);
	} else {
		loop_timer_clear(stream->loop, &stream->timer);
	}
}

void stream_close(struct stream *stream) {
	if (stream->state < STREAM_HANDSHAKE ||
		(stream->state == STREAM_HANDSHAKE && !stream->reason)) {
		stream_end(stream, NULL);
	} else if (stream->state < STREAM_FLUSHING) {
		stream_move(stream, STREAM_FLUSHING);
		stream->active_ns = loop_now_ns(stream->loop);
		loop_timer_after_ms(stream->loop, &stream->timer, STREAM_CLOSE_TIMEOUT_MS);
		loop_defer(stream->loop, &stream->settle);
	}
}

void stream_abort(struct stream *stream, const struct err *reason) {
	stream_end(stream, reason);
}

uint64_t stream_received_bytes(const struct stream *stream) {
	return stream->received_bytes;
}

uint64_t stream_sent_bytes(const struct stream *stream) {
	return stream->sent_bytes;
}
