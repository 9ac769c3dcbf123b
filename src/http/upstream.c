/*
 * A connection is connecting, busy (it has a call) or idle. Streams go away only by their on_close,
 * from the loop, so that callbacks may end any call at any point: after each of them it is asked
 * whether the connection still has that call.
 */
#include "http/upstream.h"

#include "base/check.h"
#include "base/memory.h"
#include "base/reuse.h"
#include "http/h1.h"
#include "http/h1_answer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_CONNECTIONS_MAX 256
#define DEFAULT_WAITING_MAX 1000
#define DEFAULT_HEADER_BYTES_MAX ((size_t)64 * 1024)
#define DEFAULT_CONNECT_TIMEOUT_MS 10000
#define DEFAULT_IDLE_TIMEOUT_MS 30000
#define NUMBER_DIGITS_MAX 24

struct connection {
	struct upstream *upstream; /* NULL: it is gone. */
	struct stream *stream;
	struct upstream_call *call; /* NULL: idle, or ending. */
	struct h1_answer_reader reader;
	bool is_open;
	bool is_ending; /* Closed or aborted: of no use any more. */
	bool has_served;
	int64_t idle_since_ns;
	struct connection *next; /* Among all of the upstream. */
	struct connection *previous;
	struct connection *next_idle;
};

struct upstream_call {
	struct upstream *upstream;
	const struct upstream_ops *ops;
	void *context;
	struct connection *connection; /* NULL: waits for one. */
	struct arena *arena;
	struct str head;
	enum upstream_body body_kind;
	struct str body;
	uint64_t body_left;
	bool is_sent; /* The whole request was given to the stream. */
	bool is_to_head;
	bool is_repeatable;
	bool is_refused; /* There was no place for it. */
	int64_t timeout_ms;
	struct timer timer;
	struct upstream_call *next; /* Among those that wait. */
	struct upstream_call *previous;
};

struct upstream {
	struct loop *loop;
	struct upstream_options options;
	char *host;
	struct connection *connections;
	size_t connection_count;
	struct connection *idle; /* The one used last is used next. */
	struct timer idle_timer;
	bool is_idle_timed;
	struct upstream_call *waiting; /* The first of the queue, and the last. */
	struct upstream_call *waiting_last;
	size_t waiting_count;
	size_t call_count;
};

static void serve_waiting(struct upstream *upstream);

static void unlink_connection(struct connection *connection) {
	struct upstream *upstream = connection->upstream;
	if (connection->previous) {
		connection->previous->next = connection->next;
	} else {
		upstream->connections = connection->next;
	}
	if (connection->next) {
		connection->next->previous = connection->previous;
	}
	upstream->connection_count--;
}

static void leave_idle(struct connection *connection) {
	struct connection **at = &connection->upstream->idle;
	while (*at && *at != connection) {
		at = &(*at)->next_idle;
	}
	if (*at) {
		*at = connection->next_idle;
	}
}

static void abort_connection(struct connection *connection) {
	if (!connection->is_ending) {
		connection->is_ending = true;
		stream_abort(connection->stream, NULL);
	}
}

static void unlink_waiting(struct upstream_call *call) {
	struct upstream *upstream = call->upstream;
	*(call->previous ? &call->previous->next : &upstream->waiting) = call->next;
	*(call->next ? &call->next->previous : &upstream->waiting_last) = call->previous;
	call->next = call->previous = NULL;
	upstream->waiting_count--;
}

/* Takes the call off whatever holds it. */
static void detach_call(struct upstream_call *call) {
	loop_timer_clear(call->upstream->loop, &call->timer);
	if (call->connection) {
		call->connection->call = NULL;
		call->connection = NULL;
	} else if (!call->is_refused) {
		unlink_waiting(call);
	}
}

static void free_call(struct upstream_call *call) {
	call->upstream->call_count--;
	reuse_free(call);
}

static void end_call(struct upstream_call *call, const struct err *failure) {
	call->ops->on_end(call, failure);
	free_call(call);
}

/* Ends a call that its connection cannot survive. */
static void fail_call(struct upstream_call *call, const struct err *failure) {
	struct connection *connection = call->connection;
	detach_call(call);
	if (connection) {
		abort_connection(connection);
	}
	end_call(call, failure);
}

static void run_call_timer(struct timer *timer) {
	struct upstream_call *call = CONTAINER_OF(timer, struct upstream_call, timer);
	struct upstream *upstream = call->upstream;
	struct err err;
	if (call->is_refused) {
		(void)err_set(&err, ERR_LIMIT,
			"%zu requests wait already for one of %zu connections",
			upstream->waiting_count, upstream->options.connections_max);
	} else {
		(void)err_set(&err, ERR_TIMEOUT, "no whole answer within %lld ms%s",
			(long long)call->timeout_ms,
			call->connection ? "" : ", waiting for a connection");
	}
	fail_call(call, &err);
}

static void send_request(struct connection *connection) {
	struct upstream_call *call = connection->call;
	h1_answer_init(&connection->reader, call->arena, call->is_to_head,
		call->upstream->options.header_bytes_max);
	stream_write(connection->stream, call->head.ptr, call->head.len);
	if (call->body_kind == UPSTREAM_BODY_WHOLE) {
		if (call->body.len > 0) {
			stream_write(connection->stream, call->body.ptr, call->body.len);
		}
		call->is_sent = true;
	}
}

static void give(struct connection *connection, struct upstream_call *call) {
	connection->call = call;
	call->connection = connection;
	if (connection->is_open) {
		send_request(connection);
	}
}

static void run_idle_timer(struct timer *timer) {
	struct upstream *upstream = CONTAINER_OF(timer, struct upstream, idle_timer);
	int64_t idle_ns = upstream->options.idle_timeout_ms * NS_PER_MS;
	int64_t before_ns = loop_now_ns(upstream->loop) - idle_ns;
	struct connection **at = &upstream->idle;
	while (*at) {
		struct connection *connection = *at;
		if (connection->idle_since_ns <= before_ns) {
			*at = connection->next_idle;
			connection->is_ending = true;
			stream_close(connection->stream);
		} else {
			at = &connection->next_idle;
		}
	}
	upstream->is_idle_timed = upstream->idle != NULL;
	if (upstream->is_idle_timed) {
		loop_timer_after_ms(
			upstream->loop, timer, upstream->options.idle_timeout_ms / 2 + 1);
	}
}

static void keep_idle(struct connection *connection) {
	struct upstream *upstream = connection->upstream;
	connection->idle_since_ns = loop_now_ns(upstream->loop);
	connection->next_idle = upstream->idle;
	upstream->idle = connection;
	if (!upstream->is_idle_timed) {
		upstream->is_idle_timed = true;
		loop_timer_after_ms(
			upstream->loop, &upstream->idle_timer, upstream->options.idle_timeout_ms);
	}
}

/* The answer is whole: the connection is for another call, if it is in order. */
static void finish_answer(struct connection *connection, bool has_more_bytes) {
	struct upstream_call *call = connection->call;
	bool is_in_order = connection->reader.keep_alive && !has_more_bytes && call->is_sent &&
			   stream_pending(connection->stream) == 0;
	detach_call(call);
	connection->has_served = true;
	if (is_in_order) {
		stream_resume(connection->stream);
		keep_idle(connection);
		serve_waiting(connection->upstream);
	} else {
		connection->is_ending = true;
		stream_close(connection->stream);
	}
	end_call(call, NULL);
}

static void on_data(struct stream *stream, struct str bytes) {
	struct connection *connection = stream_context(stream);
	struct upstream_call *call = connection->call;
	if (!call) {
		/* Nobody asked: whatever it is, the next answer would begin with it. */
		if (!connection->is_ending) {
			leave_idle(connection);
			abort_connection(connection);
		}
		return;
	}
	while (connection->call == call) {
		struct str piece = STR_EMPTY;
		struct err err;
		size_t used = 0;
		int event = h1_answer_read(&connection->reader, bytes, &used, &piece, &err);
		bytes = str_from(bytes, used);
		if (event == H1_ANSWER_MORE) {
			return;
		}
		if (event == H1_ANSWER_HEAD) {
			call->ops->on_head(
				call, connection->reader.status, &connection->reader.headers);
		} else if (event == H1_ANSWER_BODY) {
			if (!call->ops->on_data(call, piece) && connection->call == call) {
				stream_pause(stream);
			}
		} else if (event == H1_ANSWER_END) {
			finish_answer(connection, bytes.len > 0);
			return;
		} else {
			fail_call(call, &err);
			return;
		}
	}
}

static void on_drain(struct stream *stream) {
	struct connection *connection = stream_context(stream);
	struct upstream_call *call = connection->call;
	if (call && call->ops->on_drain && !call->is_sent && connection->is_open) {
		call->ops->on_drain(call);
	}
}

static void on_open(struct stream *stream) {
	struct connection *connection = stream_context(stream);
	connection->is_open = true;
	if (connection->call) {
		send_request(connection);
		on_drain(stream);
	}
}

/* Whether nothing of an answer came over a kept connection: the service had let go of it. */
static bool may_repeat(const struct connection *connection) {
	const struct upstream_call *call = connection->call;
	const struct h1_answer_reader *reader = &connection->reader;
	return connection->has_served && call->is_repeatable &&
	       call->body_kind == UPSTREAM_BODY_WHOLE && reader->state == H1_ANSWER_STATUS_LINE &&
	       reader->header_bytes == 0 && reader->scanned == 0;
}

static void start_call(struct upstream_call *call);

/* What the end of the connection means to its call. */
static void end_with_connection(struct connection *connection, const struct err *reason) {
	struct upstream_call *call = connection->call;
	struct err err;
	int rc = 0;
	if (!connection->is_open) {
		rc = err_set(&err, reason && reason->code == ERR_TIMEOUT ? ERR_TIMEOUT : ERR_IO,
			"not reached: %s", reason ? reason->text : "the connection ended");
	} else if (may_repeat(connection)) {
		call->connection = NULL;
		call->is_sent = false;
		start_call(call);
		return;
	} else {
		rc = h1_answer_close(&connection->reader, &err);
		if (rc == 0 && reason) {
			rc = err_set(&err, ERR_CLOSED, "%s", reason->text);
		}
	}
	detach_call(call);
	end_call(call, rc < 0 ? &err : NULL);
}

static void on_close(struct stream *stream, const struct err *reason) {
	struct connection *connection = stream_context(stream);
	struct upstream *upstream = connection->upstream;
	if (upstream) {
		leave_idle(connection);
		unlink_connection(connection);
		serve_waiting(upstream);
		if (connection->call) {
			end_with_connection(connection, reason);
		}
	}
	free(connection);
}

static void open_connection(struct upstream *upstream, struct upstream_call *call) {
	static const struct stream_ops ops = {
		.on_open = on_open,
		.on_data = on_data,
		.on_drain = on_drain,
		.on_close = on_close,
	};
	struct connection *connection = MEMORY_NEW(struct connection, 1);
	connection->upstream = upstream;
	connection->next = upstream->connections;
	if (connection->next) {
		connection->next->previous = connection;
	}
	upstream->connections = connection;
	upstream->connection_count++;
	connection->stream = stream_connect(upstream->loop, upstream->host, upstream->options.port,
		&(struct stream_options){
			.ops = &ops,
			.context = connection,
			.open_timeout_ms = upstream->options.connect_timeout_ms,
		});
	give(connection, call);
}

static void wait_in_line(struct upstream_call *call) {
	struct upstream *upstream = call->upstream;
	call->previous = upstream->waiting_last;
	*(call->previous ? &call->previous->next : &upstream->waiting) = call;
	upstream->waiting_last = call;
	upstream->waiting_count++;
}

/* Gives the call a connection, or a place in the queue. */
static void start_call(struct upstream_call *call) {
	struct upstream *upstream = call->upstream;
	struct connection *idle = upstream->idle;
	if (idle) {
		upstream->idle = idle->next_idle;
		give(idle, call);
	} else if (upstream->connection_count < upstream->options.connections_max) {
		open_connection(upstream, call);
	} else if (upstream->waiting_count < upstream->options.waiting_max) {
		wait_in_line(call);
	} else {
		call->is_refused = true;
		loop_timer_after_ms(upstream->loop, &call->timer, 0);
	}
}

static void serve_waiting(struct upstream *upstream) {
	while (upstream->waiting && (upstream->idle || upstream->connection_count <
							       upstream->options.connections_max)) {
		struct upstream_call *call = upstream->waiting;
		unlink_waiting(call);
		start_call(call);
	}
}

struct upstream *upstream_new(struct loop *loop, const struct upstream_options *options) {
	struct upstream *upstream = MEMORY_NEW(struct upstream, 1);
	upstream->loop = loop;
	upstream->options = *options;
	upstream->host = strdup(options->host);
	CHECK(upstream->host);
	upstream->options.host = upstream->host;
	upstream->idle_timer.run = run_idle_timer;
	if (upstream->options.connections_max == 0) {
		upstream->options.connections_max = DEFAULT_CONNECTIONS_MAX;
	}
	if (upstream->options.waiting_max == 0) {
		upstream->options.waiting_max = DEFAULT_WAITING_MAX;
	}
	if (upstream->options.header_bytes_max == 0) {
		upstream->options.header_bytes_max = DEFAULT_HEADER_BYTES_MAX;
	}
	if (upstream->options.connect_timeout_ms == 0) {
		upstream->options.connect_timeout_ms = DEFAULT_CONNECT_TIMEOUT_MS;
	}
	if (upstream->options.idle_timeout_ms == 0) {
		upstream->options.idle_timeout_ms = DEFAULT_IDLE_TIMEOUT_MS;
	}
	return upstream;
}

void upstream_free(struct upstream *upstream) {
	if (!upstream) {
		return;
	}
	CHECK(upstream->call_count == 0);
	loop_timer_clear(upstream->loop, &upstream->idle_timer);
	for (struct connection *connection = upstream->connections; connection;
		connection = connection->next) {
		connection->upstream = NULL;
		abort_connection(connection);
	}
	free(upstream->host);
	free(upstream);
}

static char *put(char *at, struct str text) {
	memcpy(at, text.ptr, text.len);
	return at + text.len;
}

static struct str body_header(const struct upstream_request *request, char *digits, size_t size) {
	uint64_t length = request->body_kind == UPSTREAM_BODY_WHOLE ? request->body.len
								    : request->body_length;
	bool is_silent = length == 0 && (str_equal(request->method, STR("GET")) ||
						str_equal(request->method, STR("HEAD")));
	if (request->body_kind == UPSTREAM_BODY_CHUNKED) {
		return STR("transfer-encoding: chunked\r\n");
	}
	if (is_silent) {
		return STR_EMPTY;
	}
	int len = snprintf(digits, size, "content-length: %llu\r\n", (unsigned long long)length);
	return (struct str){ digits, (size_t)len };
}

/* The request's head, in its arena. */
static struct str make_head(const struct upstream_request *request) {
	static const struct str version = STR(" HTTP/1.1\r\nhost: ");
	static const struct str colon = STR(": ");
	static const struct str line_end = STR("\r\n");
	char digits[NUMBER_DIGITS_MAX + 24];
	struct str body = body_header(request, digits, sizeof(digits));
	size_t len = request->method.len + 1 + request->target.len + version.len +
		     request->host.len + line_end.len + body.len + line_end.len;
	for (size_t i = 0; i < request->header_count; i++) {
		const struct http_header *header = &request->headers[i];
		len += header->name.len + colon.len + header->value.len + line_end.len;
	}
	char *head = ARENA_NEW(request->arena, char, len);
	char *at = put(head, request->method);
	at = put(at, STR(" "));
	at = put(at, request->target);
	at = put(at, version);
	at = put(at, request->host);
	at = put(at, line_end);
	for (size_t i = 0; i < request->header_count; i++) {
		const struct http_header *header = &request->headers[i];
		at = put(at, header->name);
		at = put(at, colon);
		at = put(at, header->value);
		at = put(at, line_end);
	}
	at = put(at, body);
	at = put(at, line_end);
	CHECK((size_t)(at - head) == len);
	return (struct str){ head, len };
}

struct upstream_call *upstream_start(struct upstream *upstream,
	const struct upstream_request *request, const struct upstream_ops *ops, void *context) {
	struct upstream_call *call = reuse_alloc_zeroed(1, sizeof(*call));
	CHECK(call);
	call->upstream = upstream;
	call->ops = ops;
	call->context = context;
	call->arena = request->arena;
	call->head = make_head(request);
	call->body_kind = request->body_kind;
	call->body = request->body;
	call->body_left = request->body_length;
	call->is_to_head = str_equal(request->method, STR("HEAD"));
	call->is_repeatable = request->is_repeatable;
	call->timeout_ms = request->timeout_ms;
	call->timer.run = run_call_timer;
	upstream->call_count++;
	if (call->timeout_ms > 0) {
		loop_timer_after_ms(upstream->loop, &call->timer, call->timeout_ms);
	}
	start_call(call);
	return call;
}

void *upstream_context(const struct upstream_call *call) {
	return call->context;
}

void upstream_resume(struct upstream_call *call) {
	if (call->connection && call->connection->is_open) {
		stream_resume(call->connection->stream);
	}
}

void upstream_cancel(struct upstream_call *call) {
	struct connection *connection = call->connection;
	detach_call(call);
	if (connection) {
		abort_connection(connection);
	}
	free_call(call);
}

bool upstream_takes(const struct upstream_call *call) {
	return call->connection && call->connection->is_open &&
	       stream_pending(call->connection->stream) <= STREAM_LOW_WATER;
}

size_t upstream_write(struct upstream_call *call, struct str bytes) {
	CHECK(call->connection && call->connection->is_open && !call->is_sent);
	struct stream *stream = call->connection->stream;
	if (call->body_kind == UPSTREAM_BODY_CHUNKED && bytes.len > 0) {
		char size[NUMBER_DIGITS_MAX];
		int len = snprintf(size, sizeof(size), "%zx\r\n", bytes.len);
		stream_write(stream, size, (size_t)len);
		stream_write(stream, bytes.ptr, bytes.len);
		stream_write(stream, "\r\n", 2);
	} else if (bytes.len > 0) {
		CHECK(bytes.len <= call->body_left);
		call->body_left -= bytes.len;
		stream_write(stream, bytes.ptr, bytes.len);
	}
	return stream_pending(stream);
}

void upstream_finish(struct upstream_call *call) {
	CHECK(call->connection && call->connection->is_open && !call->is_sent);
	call->is_sent = true;
	if (call->body_kind == UPSTREAM_BODY_CHUNKED) {
		stream_write(call->connection->stream, "0\r\n\r\n", 5);
	} else {
		CHECK(call->body_left == 0);
	}
}

size_t upstream_connections(const struct upstream *upstream) {
	return upstream->connection_count;
}
