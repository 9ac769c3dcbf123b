#include "mesh/link_stream.h"

#include "base/memory.h"
#include "mesh/answer.h"
#include "mesh/link_internal.h"

#include <stdlib.h>

struct link_stream {
	struct link *link;
	struct link_stream *next;
	struct link_stream *previous;
	struct link_stream_request request;
	const struct link_stream_ops *ops;
	void *context;
	int64_t began_ns;
	struct timer timer;     /* While it waits for its turn. */
	struct http_call *http; /* NULL: it waits. */
	bool is_being_sent;     /* What ends it meanwhile is the sending's outcome. */
	struct err early;
	int status;
	bool is_denied;
};

static void list(struct link *link, struct link_stream *stream) {
	stream->link = link;
	stream->previous = link->streams_last;
	*(link->streams_last ? &link->streams_last->next : &link->streams) = stream;
	link->streams_last = stream;
	link->stream_count++;
}

static void unlist(struct link_stream *stream) {
	struct link *link = stream->link;
	*(stream->previous ? &stream->previous->next : &link->streams) = stream->next;
	*(stream->next ? &stream->next->previous : &link->streams_last) = stream->previous;
	link->stream_count--;
	link->streams_sent -= stream->http ? 1 : 0;
	loop_timer_clear(link->links->loop, &stream->timer);
}

/* Off the link; the turn that it had is the next one's, once its owner was told. */
static void forget(struct link_stream *stream, int failure) {
	link_count_outcome(stream->link, failure, stream->status, stream->is_denied);
	unlist(stream);
}

static void end(struct link_stream *stream, const struct err *failure) {
	struct link *link = stream->link;
	bool had_turn = stream->http != NULL;
	struct err err = { 0 };
	if (failure) {
		err = *failure;
		(void)err_wrap(&err, err.code, "link to %s", link->config.cluster.ptr);
	}
	forget(stream, err.code);
	stream->ops->on_end(stream->context, failure ? &err : NULL);
	free(stream);
	if (had_turn && !link->is_removed) {
		link_streams_send_waiting(link);
	}
}

static int64_t left_ms(const struct link_stream *stream) {
	int64_t spent_ns = loop_now_ns(stream->link->links->loop) - stream->began_ns;
	int64_t left = stream->request.timeout_ms - spent_ns / NS_PER_MS;
	return left > 0 ? left : 1;
}

/*
 * A gateway that has too much under way, some of it ours, is asked again when one of those is over,
 * and for fewer at once; after many answers for one more.
 */
static bool waits_again(struct link_stream *stream) {
	struct link *link = stream->link;
	if (!stream->is_denied || stream->status != 503 || link->streams_sent < 2) {
		return false;
	}
	http_call_cancel(stream->http);
	stream->http = NULL;
	stream->status = 0;
	stream->is_denied = false;
	link->streams_sent--;
	link->streams_max = link->streams_sent;
	link->streams_answered = 0;
	loop_timer_after_ms(link->links->loop, &stream->timer, left_ms(stream));
	return true;
}

static void count_answer(struct link *link) {
	if (++link->streams_answered >= LINK_ANSWERS_PER_CALL &&
		link->streams_max < LINK_STREAMS_MAX) {
		link->streams_max++;
		link->streams_answered = 0;
	}
}

static void on_head(struct http_call *http, int status, const struct http_headers *headers) {
	struct link_stream *stream = http_call_context(http);
	stream->status = status;
	stream->is_denied = str_equal(http_headers_get(headers, STR(ANSWER_HEADER)), STR("denied"));
	if (waits_again(stream)) {
		return;
	}
	if (!stream->is_denied) {
		count_answer(stream->link);
	}
	stream->ops->on_head(stream->context, status, headers);
}

static bool on_data(struct http_call *http, struct str bytes) {
	struct link_stream *stream = http_call_context(http);
	return stream->ops->on_data(stream->context, bytes);
}

static void on_end(struct http_call *http, const struct err *failure) {
	struct link_stream *stream = http_call_context(http);
	if (!stream->is_being_sent) {
		end(stream, failure);
	} else if (failure) {
		stream->early = *failure;
	} else {
		(void)err_set(&stream->early, ERR_CLOSED, "an answer before the request");
	}
}

static int send(struct link_stream *stream, struct err *err) {
	static const struct http_call_ops ops = {
		.on_head = on_head,
		.on_data = on_data,
		.on_end = on_end,
	};
	struct link *link = stream->link;
	struct http_request request = *stream->request.http;
	request.scheme = STR("https");
	request.authority = stream->request.export_name;
	int rc = http_session_request(
		link->session, &request, left_ms(stream), &ops, stream, &stream->http, err);
	if (rc == 0) {
		link->streams_sent++;
		loop_timer_clear(link->links->loop, &stream->timer);
	}
	return rc;
}

static bool has_turn(const struct link *link) {
	return link->is_ready && link->streams_sent < link->streams_max;
}

static void on_timer(struct timer *timer) {
	struct link_stream *stream = CONTAINER_OF(timer, struct link_stream, timer);
	struct err err = { 0 };
	(void)err_set(&err, ERR_TIMEOUT, "not sent within %lld ms: %s",
		(long long)stream->request.timeout_ms,
		stream->link->is_ready ? "too many requests at once" : "it is being made");
	end(stream, &err);
}

int link_stream_start(struct links *links, const struct link_stream_request *request,
	const struct link_stream_ops *ops, void *context, struct link_stream **out,
	struct err *err) {
	struct link *link = NULL;
	int rc = link_find_export(links, request->cluster, request->export_name, &link, err);
	if (rc < 0) {
		link = links_find(links, request->cluster);
		if (link) {
			link_count_outcome(link, rc, 0, false);
		}
		return rc;
	}
	if (link->stream_count >= LINK_STREAMS_WAITING_MAX) {
		link_count_outcome(link, ERR_LIMIT, 0, false);
		return err_set(err, ERR_LIMIT,
			"%d requests to cluster %s are under way or wait for their turn; try "
			"again",
			LINK_STREAMS_WAITING_MAX, link->config.cluster.ptr);
	}
	struct link_stream *stream = MEMORY_NEW(struct link_stream, 1);
	stream->request = *request;
	stream->ops = ops;
	stream->context = context;
	stream->began_ns = loop_now_ns(links->loop);
	stream->timer.run = on_timer;
	list(link, stream);
	if (has_turn(link)) {
		rc = send(stream, err);
	} else {
		loop_timer_after_ms(links->loop, &stream->timer, request->timeout_ms);
	}
	if (rc < 0) {
		forget(stream, rc);
		free(stream);
		return err_wrap(err, rc, "link to %s", link->config.cluster.ptr);
	}
	*out = stream;
	return 0;
}

void link_stream_resume(struct link_stream *stream) {
	if (stream->http) {
		http_call_resume(stream->http);
	}
}

void link_stream_cancel(struct link_stream *stream) {
	struct link *link = stream->link;
	if (stream->http) {
		http_call_cancel(stream->http);
	}
	forget(stream, ERR_CANCELED);
	free(stream);
	link_streams_send_waiting(link);
}

static struct link_stream *find_waiting(const struct link *link) {
	struct link_stream *stream = link->streams;
	// NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what was freed is off the list
	while (stream && stream->http) {
		stream = stream->next;
	}
	return stream;
}

void link_streams_send_waiting(struct link *link) {
	/* What ends meanwhile does not send others: this loop does. */
	if (link->is_sending_streams) {
		return;
	}
	link->is_sending_streams = true;
	struct link_stream *stream = NULL;
	while (has_turn(link) && (stream = find_waiting(link))) {
		struct err err = { 0 };
		if (send(stream, &err) < 0) {
			end(stream, &err);
		}
	}
	link->is_sending_streams = false;
}

void link_streams_fail(struct link *link, const struct err *reason) {
	link->is_sending_streams = true;
	while (link->streams) {
		struct link_stream *stream = link->streams;
		// NOLINTNEXTLINE(clang-analyzer-unix.Malloc): ending takes it off the list
		if (stream->http) {
			http_call_cancel(stream->http);
		}
		end(stream, reason);
	}
	link->is_sending_streams = false;
}
