/*
 * nghttp2's callbacks call the owner's directly, so an owner may end any call, or the session, in
 * the middle of h2_receive. Calls are therefore found anew by stream id before each touch, and a
 * session that is to end does so once nghttp2 has returned.
 */
#include "http/session.h"

#include "base/check.h"
#include "base/memory.h"
#include "http/h2.h"

#include <stdio.h>
#include <stdlib.h>

#define DEFAULT_STREAMS_MAX 1000
#define DEFAULT_HEADER_BYTES_MAX ((size_t)64 * 1024)
#define DEFAULT_WINDOW_BYTES_MAX ((size_t)8 * 1024 * 1024)
#define DEFAULT_PING_INTERVAL_MS 10000
#define DEFAULT_PING_TIMEOUT_MS 5000
#define PING_BYTES 8
#define FRAME_HEAD_BYTES 9

struct http_call {
	struct http_session *session;
	int32_t stream_id;
	const struct http_call_ops *ops;
	void *context;
	struct arena arena;
	struct http_headers headers; /* Of the response. */
	size_t header_bytes;
	struct buf body; /* Of the request, and how much of it was sent. */
	size_t body_at;
	int status;
	bool has_head;
	bool is_whole; /* The response's end was seen. */
	bool is_paused;
	size_t unconsumed; /* Bytes given to on_data for which the window has not opened. */
	uint64_t received_bytes;
	int32_t window;          /* Of the stream, as the peer was told. */
	int32_t window_taken;    /* Bytes taken since the window was looked at last, */
	int64_t window_since_ns; /* which was then. */
	struct timer timer;
	struct http_call *next;
	struct http_call *previous;
};

struct http_session {
	struct stream *stream;
	struct http_session_options options;
	struct h2 h2;
	struct http_call *calls;
	size_t call_count;
	struct timer ping_timer;
	uint64_t pings;         /* Sent; the newest one's number is its payload. */
	int64_t ping_sent_ns;   /* 0: none is under way. */
	uint64_t ping_received; /* Bytes received when it was sent. */
	int64_t rtt_ns;         /* The shortest so far; 0: not known. */
	int32_t window;         /* Of the connection. */
	struct err failure;     /* Why we close, if it was not orderly. */
	bool is_leaving;        /* GOAWAY was sent or received: no new calls. */
	bool is_closing;        /* The stream was closed or aborted. */
};

static struct loop *loop_of(const struct http_session *session) {
	return stream_loop(session->stream);
}

static struct http_call *find_call(struct http_session *session, int32_t stream_id) {
	return nghttp2_session_get_stream_user_data(session->h2.session, stream_id);
}

/* Takes the call off the session; nghttp2 forgets it too. */
static void unlink_call(struct http_call *call) {
	struct http_session *session = call->session;

	(void)nghttp2_session_set_stream_user_data(session->h2.session, call->stream_id, NULL);
	loop_timer_clear(loop_of(session), &call->timer);
	if (call->previous) {
		call->previous->next = call->next;
	} else {
		session->calls = call->next;
	}
	if (call->next) {
		call->next->previous = call->previous;
	}
	session->call_count--;
}

static void call_free(struct http_call *call) {
	buf_deinit(&call->body);
	arena_deinit(&call->arena);
	free(call);
}

/* Tells the owner and frees. 'failure' of NULL: the response is whole. */
static void end_call(struct http_call *call, const struct err *failure) {
	unlink_call(call);
	call->ops->on_end(call, failure);
	call_free(call);
}

static void end_all(struct http_session *session, const struct err *failure) {
	while (session->call_count > 0) {
		struct http_call *first = session->calls;

		CHECK(first && !first->previous);
		end_call(first, failure);
	}
}

/* Sends what is queued; closes once nothing is left to do. */
static void settle(struct http_session *session) {
	if (session->is_closing || session->h2.busy) {
		return;
	}
	h2_flush(&session->h2);
	bool is_over = session->is_leaving && session->call_count == 0;

	if (is_over || h2_is_done(&session->h2)) {
		session->is_closing = true;
		stream_close(session->stream);
	}
}

static void abort_with(struct http_session *session, const struct err *reason) {
	if (session->is_closing) {
		return;
	}
	session->is_closing = true;
	session->is_leaving = true;
	/* Calls end here rather than in on_close, so that no callback sees a half-dead session. */
	end_all(session, reason);
	stream_abort(session->stream, reason);
}

static int on_begin_frame(nghttp2_session *nghttp2, const nghttp2_frame_hd *head, void *context) {
	struct http_session *session = context;
	struct http_call *call = find_call(session, head->stream_id);

	(void)nghttp2;
	if (call) {
		call->received_bytes += head->length + FRAME_HEAD_BYTES;
	}
	return 0;
}

static void fail_call(struct http_call *call, uint32_t code, const struct err *failure) {
	(void)nghttp2_submit_rst_stream(
		call->session->h2.session, NGHTTP2_FLAG_NONE, call->stream_id, code);
	end_call(call, failure);
}

// NOLINTNEXTLINE(readability-function-size): nghttp2's signature
static int on_header(nghttp2_session *nghttp2, const nghttp2_frame *frame, const uint8_t *name,
	size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags, void *context) {
	struct http_session *session = context;
	struct http_call *call = find_call(session, frame->hd.stream_id);
	struct str field = { (const char *)name, name_len };
	uint64_t status = 0;

	(void)nghttp2;
	(void)flags;
	/* After the head only trailers follow, which mean nothing to us. */
	if (!call || call->has_head) {
		return 0;
	}
	call->header_bytes += name_len + value_len + H2_HEADER_OVERHEAD;
	if (call->header_bytes > session->options.header_bytes_max) {
		struct err err;

		(void)err_set(&err, ERR_LIMIT, "response header longer than %zu bytes",
			session->options.header_bytes_max);
		fail_call(call, NGHTTP2_CANCEL, &err);
		return 0;
	}
	struct str text = { (const char *)value, value_len };
	if (str_equal(field, STR(":status"))) {
		call->status = str_to_u64(text, &status) ? (int)status : 0;
	} else {
		http_headers_add(&call->headers, &call->arena, field, text);
	}
	return 0;
}

/*
 * Half a window that went by in less than two round trips was as much as the window let through:
 * the next one is twice as large. One that is large enough takes longer, and stays.
 */
static void tune_window(struct http_call *call, size_t taken) {
	struct http_session *session = call->session;
	int64_t now_ns = loop_now_ns(loop_of(session));
	call->window_taken += (int32_t)taken;
	if (call->window_taken < call->window / 2) {
		return;
	}
	bool is_short = now_ns - call->window_since_ns < 2 * session->rtt_ns;
	call->window_since_ns = now_ns;
	call->window_taken = 0;
	if (!is_short || (size_t)call->window * 2 > session->options.window_bytes_max) {
		return;
	}
	call->window *= 2;
	(void)nghttp2_session_set_local_window_size(
		session->h2.session, NGHTTP2_FLAG_NONE, call->stream_id, call->window);
	/* Two such at once do not wait for each other. */
	if (session->window < 2 * call->window) {
		session->window = 2 * call->window;
		(void)nghttp2_session_set_local_window_size(
			session->h2.session, NGHTTP2_FLAG_NONE, 0, session->window);
	}
}

/* The owner takes more: the stream's window opens. */
static void consume(struct http_call *call) {
	(void)nghttp2_session_consume_stream(
		call->session->h2.session, call->stream_id, call->unconsumed);
	tune_window(call, call->unconsumed);
	call->unconsumed = 0;
}

static int on_data_chunk(nghttp2_session *nghttp2, uint8_t flags, int32_t stream_id,
	const uint8_t *bytes, size_t len, void *context) {
	struct http_session *session = context;
	struct http_call *call = find_call(session, stream_id);

	(void)flags;
	/* One slow reader must not close the window of all: the connection's opens at once, and a
	 * call's owner holds at most one stream window that it has not asked for. */
	(void)nghttp2_session_consume_connection(nghttp2, len);
	if (!call) {
		return 0;
	}
	call->unconsumed += len;
	bool wants_more = call->ops->on_data(call, (struct str){ (const char *)bytes, len });

	call = find_call(session, stream_id);
	if (call) {
		call->is_paused = !wants_more;
	}
	if (call && wants_more) {
		consume(call);
	}
	return 0;
}

/* A header block is complete: an interim answer, the head, or trailers. */
static void take_head(struct http_call *call) {
	if (call->has_head) {
		return;
	}
	if (call->status >= 100 && call->status <= 199) {
		/* Their bytes go on counting: there may be any number of them. */
		call->headers.count = 0;
		return;
	}
	call->has_head = true;
	call->ops->on_head(call, call->status, &call->headers);
}

static void take_ping_answer(struct http_session *session, const nghttp2_frame *frame) {
	uint64_t number = 0;

	memcpy(&number, frame->ping.opaque_data, sizeof(number));
	if (session->ping_sent_ns == 0 || number != session->pings) {
		return;
	}
	int64_t rtt_ns = clock_mono_ns(loop_clock(loop_of(session))) - session->ping_sent_ns;
	session->ping_sent_ns = 0;
	session->rtt_ns = session->rtt_ns && session->rtt_ns < rtt_ns ? session->rtt_ns : rtt_ns;
	loop_timer_after_ms(
		loop_of(session), &session->ping_timer, session->options.ping_interval_ms);
	if (session->options.on_rtt) {
		session->options.on_rtt(session, rtt_ns);
	}
}

static int on_frame_received(nghttp2_session *nghttp2, const nghttp2_frame *frame, void *context) {
	struct http_session *session = context;
	struct http_call *call = find_call(session, frame->hd.stream_id);
	bool is_ack = (frame->hd.flags & NGHTTP2_FLAG_ACK) != 0;

	(void)nghttp2;
	if (!h2_count_received(&session->h2, frame)) {
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	}
	if (frame->hd.type == NGHTTP2_PING && is_ack && !session->is_closing) {
		take_ping_answer(session, frame);
	}
	if (frame->hd.type == NGHTTP2_GOAWAY) {
		session->is_leaving = true;
	}
	if (call && (frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA)) {
		call->is_whole = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
	}
	if (call && frame->hd.type == NGHTTP2_HEADERS) {
		take_head(call);
	}
	return 0;
}

static int on_frame_sent(nghttp2_session *nghttp2, const nghttp2_frame *frame, void *context) {
	struct http_session *session = context;

	(void)nghttp2;
	return h2_count_sent(&session->h2, frame) ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE;
}

static int on_stream_closed(
	nghttp2_session *nghttp2, int32_t stream_id, uint32_t code, void *context) {
	struct http_call *call = find_call(context, stream_id);
	struct err err;

	(void)nghttp2;
	if (!call) {
		return 0;
	}
	if (call->is_whole && call->has_head) {
		end_call(call, NULL);
		return 0;
	}
	if (code == NGHTTP2_REFUSED_STREAM) {
		(void)err_set(&err, ERR_CLOSED, "the peer took no more requests");
	} else {
		(void)err_set(&err, ERR_CLOSED, "the peer broke the response off (HTTP/2 %s)",
			nghttp2_http2_strerror(code));
	}
	end_call(call, &err);
	return 0;
}

static int on_frame_not_sent(
	nghttp2_session *nghttp2, const nghttp2_frame *frame, int code, void *context) {
	struct http_call *call = find_call(context, frame->hd.stream_id);
	struct err err;

	(void)nghttp2;
	if (call && frame->hd.type == NGHTTP2_HEADERS) {
		(void)err_set(
			&err, ERR_CLOSED, "the request was not sent: %s", nghttp2_strerror(code));
		end_call(call, &err);
	}
	return 0;
}

static nghttp2_session_callbacks *make_callbacks(void) {
	nghttp2_session_callbacks *callbacks = NULL;

	CHECK(nghttp2_session_callbacks_new(&callbacks) == 0);
	nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data_chunk);
	nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame_received);
	nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks, on_begin_frame);
	nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_sent);
	nghttp2_session_callbacks_set_on_frame_not_send_callback(callbacks, on_frame_not_sent);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_closed);
	return callbacks;
}

static void on_data(struct stream *stream, struct str bytes) {
	struct http_session *session = stream_context(stream);

	if (h2_receive(&session->h2, bytes, &session->failure) == 0) {
		settle(session);
		return;
	}
	/* The GOAWAY goes out before the stream ends. */
	h2_flush(&session->h2);
	session->is_closing = true;
	session->is_leaving = true;
	end_all(session, &session->failure);
	stream_close(stream);
}

static void on_drain(struct stream *stream) {
	settle(stream_context(stream));
}

static void on_close(struct stream *stream, const struct err *reason) {
	struct http_session *session = stream_context(stream);
	struct err gone;

	(void)err_set(&gone, ERR_CLOSED, "connection closed%s%s", reason ? ": " : "",
		reason ? reason->text : " by the peer");
	session->is_closing = true;
	session->is_leaving = true;
	loop_timer_clear(stream_loop(stream), &session->ping_timer);
	end_all(session, &gone);
	if (!reason && session->failure.code != 0) {
		reason = &session->failure;
	}
	session->options.on_close(session, reason);
	h2_deinit(&session->h2);
	free(session);
}

/* Sends a ping; or, when one is under way, judges the silence since. */
static void run_ping_timer(struct timer *timer) {
	struct http_session *session = CONTAINER_OF(timer, struct http_session, ping_timer);
	uint64_t received = stream_received_bytes(session->stream);
	struct err err;

	if (session->is_closing) {
		return;
	}
	/* Any byte is a sign of life: an answer may queue behind megabytes on a slow link. */
	if (session->ping_sent_ns != 0 && received == session->ping_received) {
		(void)err_set(&err, ERR_TIMEOUT, "no answer to a ping within %lld ms",
			(long long)session->options.ping_timeout_ms);
		abort_with(session, &err);
		return;
	}
	session->ping_received = received;
	if (session->ping_sent_ns == 0) {
		uint8_t number[PING_BYTES];

		session->pings++;
		memcpy(number, &session->pings, sizeof(number));
		session->ping_sent_ns = clock_mono_ns(loop_clock(loop_of(session)));
		(void)nghttp2_submit_ping(session->h2.session, NGHTTP2_FLAG_NONE, number);
		settle(session);
	}
	loop_timer_after_ms(loop_of(session), timer, session->options.ping_timeout_ms);
}

static void fill_defaults(struct http_session_options *options) {
	if (options->streams_max == 0) {
		options->streams_max = DEFAULT_STREAMS_MAX;
	}
	if (options->header_bytes_max == 0) {
		options->header_bytes_max = DEFAULT_HEADER_BYTES_MAX;
	}
	if (options->window_bytes_max == 0) {
		options->window_bytes_max = DEFAULT_WINDOW_BYTES_MAX;
	}
	if (options->ping_interval_ms == 0) {
		options->ping_interval_ms = DEFAULT_PING_INTERVAL_MS;
	}
	if (options->ping_timeout_ms == 0) {
		options->ping_timeout_ms = DEFAULT_PING_TIMEOUT_MS;
	}
}

struct http_session *http_session_new(
	struct stream *stream, const struct http_session_options *options) {
	static const struct stream_ops ops = {
		.on_data = on_data,
		.on_drain = on_drain,
		.on_close = on_close,
	};
	struct http_session *session = MEMORY_NEW(struct http_session, 1);
	nghttp2_session_callbacks *callbacks = make_callbacks();

	session->stream = stream;
	session->options = *options;
	fill_defaults(&session->options);
	session->ping_timer.run = run_ping_timer;
	session->window = H2_CONNECTION_WINDOW;
	struct h2_options h2_options = {
		.streams_max = session->options.streams_max,
		.header_bytes_max = session->options.header_bytes_max,
		.callbacks = callbacks,
		.context = session,
	};
	h2_init(&session->h2, stream, &h2_options);
	nghttp2_session_callbacks_del(callbacks);
	stream_set_ops(stream, &ops, session);
	h2_flush(&session->h2);
	/* The round trip is wanted before the first long answer. */
	loop_timer_after_ms(loop_of(session), &session->ping_timer, 0);
	return session;
}

void *http_session_context(const struct http_session *session) {
	return session->options.context;
}

void http_session_close(struct http_session *session) {
	if (session->is_closing) {
		return;
	}
	if (!session->is_leaving) {
		session->is_leaving = true;
		(void)nghttp2_submit_goaway(
			session->h2.session, NGHTTP2_FLAG_NONE, 0, NGHTTP2_NO_ERROR, NULL, 0);
	}
	settle(session);
}

void http_session_abort(struct http_session *session) {
	struct err err;

	(void)err_set(&err, ERR_CLOSED, "the connection was given up");
	abort_with(session, &err);
}

size_t http_session_calls(const struct http_session *session) {
	return session->call_count;
}

uint64_t http_session_received_bytes(const struct http_session *session) {
	return stream_received_bytes(session->stream);
}

uint64_t http_session_sent_bytes(const struct http_session *session) {
	return stream_sent_bytes(session->stream);
}

// NOLINTNEXTLINE(readability-function-size): nghttp2's signature
static ssize_t read_request_body(nghttp2_session *nghttp2, int32_t stream_id, uint8_t *bytes,
	size_t size, uint32_t *flags, nghttp2_data_source *source, void *context) {
	struct http_call *call = find_call(context, stream_id);

	(void)nghttp2;
	(void)source;
	if (!call) {
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	}
	struct str rest = str_first(str_from(buf_str(&call->body), call->body_at), size);
	if (rest.len > 0) {
		memcpy(bytes, rest.ptr, rest.len);
	}
	call->body_at += rest.len;
	if (call->body_at == call->body.len) {
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	}
	return (ssize_t)rest.len;
}

static void run_call_timer(struct timer *timer) {
	struct http_call *call = CONTAINER_OF(timer, struct http_call, timer);
	struct http_session *session = call->session;
	struct err err;

	(void)err_set(&err, ERR_TIMEOUT, "no whole answer in time");
	fail_call(call, NGHTTP2_CANCEL, &err);
	settle(session);
}

static int check_request(const struct http_request *request, struct err *err) {
	for (size_t i = 0; i < request->headers.count; i++) {
		const struct http_header *header = &request->headers.items[i];

		if (!http_name_is_token(header->name) || !http_value_is_safe(header->value)) {
			return err_set(err, ERR_INVAL, "header \"%.*s\" cannot be sent",
				STR_ARG(header->name));
		}
	}
	return 0;
}

static size_t fill_fields(
	const struct http_request *request, struct str length, nghttp2_nv *fields) {
	size_t count = 0;

	fields[count++] = h2_field(STR(":method"), request->method);
	fields[count++] = h2_field(STR(":scheme"), request->scheme);
	fields[count++] = h2_field(STR(":authority"), request->authority);
	fields[count++] = h2_field(STR(":path"), request->target);
	for (size_t i = 0; i < request->headers.count; i++) {
		const struct http_header *header = &request->headers.items[i];

		if (!http_header_is_framing(header->name) &&
			!str_equal(header->name, STR("host"))) {
			fields[count++] = h2_field(header->name, header->value);
		}
	}
	if (length.len > 0) {
		fields[count++] = h2_field(STR("content-length"), length);
	}
	return count;
}

/* Gives the request to nghttp2, which copies it. Returns the stream's id or a negative code. */
static int32_t submit(struct http_call *call, const struct http_request *request) {
	nghttp2_nv *fields = ARENA_NEW(&call->arena, nghttp2_nv, request->headers.count + 5);
	nghttp2_data_provider body = { .read_callback = read_request_body };
	struct str length =
		call->body.len > 0 ? arena_printf(&call->arena, "%zu", call->body.len) : STR_EMPTY;
	size_t count = fill_fields(request, length, fields);

	return nghttp2_submit_request(call->session->h2.session, NULL, fields, count,
		call->body.len > 0 ? &body : NULL, call);
}

// NOLINTNEXTLINE(readability-function-size): one request is all of these
int http_session_request(struct http_session *session, const struct http_request *request,
	int64_t timeout_ms, const struct http_call_ops *ops, void *context, struct http_call **out,
	struct err *err) {
	if (session->is_leaving || session->is_closing) {
		return err_set(err, ERR_CLOSED, "the connection is closing");
	}
	if (session->call_count >= session->options.streams_max) {
		return err_set(err, ERR_LIMIT, "%zu requests are under way on this connection",
			session->call_count);
	}
	int rc = check_request(request, err);
	if (rc < 0) {
		return rc;
	}
	struct http_call *call = MEMORY_NEW(struct http_call, 1);
	*call = (struct http_call){ .session = session, .ops = ops, .context = context };
	call->timer.run = run_call_timer;
	call->window = H2_STREAM_WINDOW;
	call->window_since_ns = loop_now_ns(loop_of(session));
	buf_add_str(&call->body, request->body);
	call->stream_id = submit(call, request);
	if (call->stream_id < 0) {
		rc = err_set(err, ERR_CLOSED, "HTTP/2: %s", nghttp2_strerror(call->stream_id));
		call_free(call);
		return rc;
	}
	call->next = session->calls;
	if (session->calls) {
		session->calls->previous = call;
	}
	session->calls = call;
	session->call_count++;
	if (timeout_ms > 0) {
		loop_timer_after_ms(loop_of(session), &call->timer, timeout_ms);
	}
	*out = call;
	settle(session);
	return 0;
}

void *http_call_context(const struct http_call *call) {
	return call->context;
}

void http_call_resume(struct http_call *call) {
	struct http_session *session = call->session;

	if (!call->is_paused) {
		return;
	}
	call->is_paused = false;
	consume(call);
	settle(session);
}

void http_call_cancel(struct http_call *call) {
	struct http_session *session = call->session;

	(void)nghttp2_submit_rst_stream(
		session->h2.session, NGHTTP2_FLAG_NONE, call->stream_id, NGHTTP2_CANCEL);
	unlink_call(call);
	call_free(call);
	settle(session);
}

uint64_t http_call_received_bytes(const struct http_call *call) {
	return call->received_bytes;
}
