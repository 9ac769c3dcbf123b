/*
 * Calls: a request of another thread, carried out on the loop.
 *
 * A call has two holders, the thread that waits and the loop; whichever lets go last frees it. The
 * loop fills in the outcome and then sets 'is_done' under the call's lock; from there on it is the
 * waiting thread's alone. Decompression is the waiting thread's work.
 *
 * So many calls go over a link at once; more wait for their turn, each until its own deadline. A
 * gateway that has too much under way refuses: such a call waits again, and fewer go at once.
 */
#include "base/check.h"
#include "base/memory.h"
#include "codec/compress.h"
#include "mesh/answer.h"
#include "mesh/link_internal.h"

#include <jansson.h>
#include <stdlib.h>

/* How often a waiting thread looks whether it was canceled. */
#define CANCEL_LOOK_NS (50 * NS_PER_MS)
/* A loop that is late is given this long past the deadline before the thread gives up by itself. */
#define GRACE_NS (2 * NS_PER_S)
/* Of an error's body that is read for its sentence. */
#define SENTENCE_BYTES_MAX 4096

struct link_call {
	_Atomic unsigned refs;
	struct links *links; /* A reference. */
	struct arena arena;  /* Of 'request'. */
	struct link_request request;
	int64_t began_ns;

	/* The loop's. */
	struct link *link; /* While listed in it. */
	struct link_call *next;
	struct link_call *previous;
	bool is_waiting; /* For the link to come up, or for its turn. */
	struct http_call *http;

	/* Filled by the loop before it is done, read by the waiting thread after. */
	struct err failure; /* Code 0: a response came whole. */
	int status;
	bool is_denied;
	enum compression encoding;
	struct str content_type;
	struct buf body; /* As received. */
	uint64_t received_bytes;
	int64_t ended_ns;

	struct lock lock;
	struct condition done;
	bool is_done;
};

static struct loop *loop_of(const struct link_call *call) {
	return call->links->loop;
}

static void release(struct link_call *call) {
	/* Released by the first, acquired by the last holder. */
	if (atomic_fetch_sub_explicit(&call->refs, 1, memory_order_acq_rel) > 1) {
		return;
	}
	lock_deinit(&call->lock);
	condition_deinit(&call->done);
	buf_deinit(&call->body);
	arena_deinit(&call->arena);
	links_unref(call->links);
	free(call);
}

static void list_active(struct link *link, struct link_call *call) {
	call->link = link;
	call->is_waiting = false;
	call->previous = NULL;
	call->next = link->active;
	if (call->next) {
		call->next->previous = call;
	}
	link->active = call;
	link->active_count++;
}

/* Puts a call into the queue between 'previous' and 'next': at its end, or at its front. */
static void list_waiting(struct link *link, struct link_call *call, struct link_call *previous,
	struct link_call *next) {
	call->link = link;
	call->is_waiting = true;
	call->previous = previous;
	call->next = next;
	*(previous ? &previous->next : &link->waiting) = call;
	*(next ? &next->previous : &link->waiting_last) = call;
}

static void unlist(struct link_call *call) {
	struct link *link = call->link;
	struct link_call **first = call->is_waiting ? &link->waiting : &link->active;
	*(call->previous ? &call->previous->next : first) = call->next;
	if (call->next) {
		call->next->previous = call->previous;
	} else if (call->is_waiting) {
		link->waiting_last = call->previous;
	}
	link->active_count -= call->is_waiting ? 0 : 1;
	call->link = NULL;
}

static const char *outcome_of(int failure, int status, bool is_denied) {
	switch (failure) {
	case 0:
		return is_denied ? "denied" : status < 400 ? "ok" : "error";
	case ERR_TIMEOUT:
		return "timeout";
	case ERR_CANCELED:
		return "canceled";
	case ERR_LIMIT:
		return "limit";
	default:
		return "closed";
	}
}

void link_count_outcome(const struct link *link, int failure, int status, bool is_denied) {
	if (link->received_metric) {
		const char *const values[] = { link->config.cluster.ptr,
			outcome_of(failure, status, is_denied) };
		metric_inc(metric_child(link->links->requests, values));
	}
}

static void count_outcome(const struct link_call *call, const struct link *link) {
	link_count_outcome(link, call->failure.code, call->status, call->is_denied);
}

/* After many answers without a refusal one more call at once is tried. */
static void count_answer(const struct link_call *call, struct link *link) {
	bool is_answered = call->failure.code == 0 && !call->is_denied;
	link->answered += is_answered ? 1 : 0;
	if (link->answered >= LINK_ANSWERS_PER_CALL && link->active_max < LINK_CALLS_MAX) {
		link->active_max++;
		link->answered = 0;
	}
}

/* Hands the outcome to the waiting thread. The loop's hold ends. */
static void complete(struct link_call *call) {
	struct link *link = call->link;
	bool had_turn = link && !call->is_waiting;
	if (link) {
		link_count_bytes(link);
		count_outcome(call, link);
		unlist(call);
	}
	if (had_turn) {
		count_answer(call, link);
	}
	call->http = NULL;
	call->ended_ns = clock_mono_ns(loop_clock(loop_of(call)));
	lock_take(&call->lock);
	call->is_done = true;
	condition_signal(&call->done);
	lock_drop(&call->lock);
	release(call);
	if (had_turn) {
		link_calls_send_waiting(link);
	}
}

static void fail(struct link_call *call, const struct err *reason) {
	call->failure = *reason;
	if (call->link) {
		(void)err_wrap(
			&call->failure, reason->code, "link to %s", call->link->config.cluster.ptr);
	}
	complete(call);
}

static void on_head(struct http_call *http, int status, const struct http_headers *headers) {
	struct link_call *call = http_call_context(http);
	call->status = status;
	call->content_type =
		arena_copy(&call->arena, http_headers_get(headers, STR("content-type")));
	call->is_denied = str_equal(http_headers_get(headers, STR(ANSWER_HEADER)), STR("denied"));
	struct str encoding = http_headers_get(headers, STR("content-encoding"));
	if (!compression_parse(encoding, &call->encoding)) {
		struct err err = { 0 };
		(void)err_set(&err, ERR_CORRUPT, "the answer's encoding \"%.*s\" is unknown",
			STR_ARG(str_first(encoding, 40)));
		http_call_cancel(http);
		fail(call, &err);
	}
}

static bool on_data(struct http_call *http, struct str bytes) {
	struct link_call *call = http_call_context(http);
	if (bytes.len > call->request.body_bytes_max - call->body.len) {
		struct err err = { 0 };
		(void)err_set(&err, ERR_LIMIT, "an answer of more than %zu bytes",
			call->request.body_bytes_max);
		call->received_bytes += http_call_received_bytes(http);
		http_call_cancel(http);
		fail(call, &err);
		return true;
	}
	buf_add_str(&call->body, bytes);
	return true;
}

/* Whether the gateway has too much under way, some of it ours: then our calls can take turns. */
static bool is_too_many(const struct link_call *call) {
	return call->is_denied && call->status == 503 && call->link->active_count > 1;
}

/* Back to the front of the queue, as if it had not been sent. */
static void wait_again(struct link_call *call) {
	struct link *link = call->link;
	unlist(call);
	link->active_max = link->active_count;
	link->answered = 0;
	call->http = NULL;
	call->status = 0;
	call->is_denied = false;
	call->encoding = COMPRESSION_NONE;
	call->content_type = STR_EMPTY;
	buf_reset(&call->body);
	list_waiting(link, call, NULL, link->waiting);
}

static void on_end(struct http_call *http, const struct err *failure) {
	struct link_call *call = http_call_context(http);
	call->received_bytes += http_call_received_bytes(http);
	if (failure) {
		fail(call, failure);
	} else if (is_too_many(call)) {
		wait_again(call);
	} else {
		complete(call);
	}
}

static const struct http_call_ops call_ops = {
	.on_head = on_head,
	.on_data = on_data,
	.on_end = on_end,
};

/* Sends the request over the link's session. */
static void send(struct link_call *call, struct link *link) {
	const struct link_request *asked = &call->request;
	struct http_request request = {
		.method = asked->method,
		.scheme = STR("https"),
		.authority = asked->export_name,
		.target = asked->target,
		.body = asked->body,
	};
	http_headers_add(&request.headers, &call->arena, STR("accept-encoding"), STR("zstd, gzip"));
	if (asked->accept.len > 0) {
		http_headers_add(&request.headers, &call->arena, STR("accept"), asked->accept);
	}
	if (asked->content_type.len > 0) {
		http_headers_add(
			&request.headers, &call->arena, STR("content-type"), asked->content_type);
	}
	list_active(link, call);
	int64_t spent_ms = (clock_mono_ns(loop_clock(loop_of(call))) - call->began_ns) / NS_PER_MS;
	int64_t left_ms = asked->timeout_ms - spent_ms;
	struct err err = { 0 };
	if (left_ms <= 0) {
		(void)err_set(&err, ERR_TIMEOUT, "no answer within %lld ms: too many calls at once",
			(long long)asked->timeout_ms);
		fail(call, &err);
		return;
	}
	if (http_session_request(
		    link->session, &request, left_ms, &call_ops, call, &call->http, &err) < 0) {
		fail(call, &err);
	}
}

int link_find_export(struct links *links, struct str cluster, struct str export_name,
	struct link **out, struct err *err) {
	if (links->is_closed) {
		return err_set(err, ERR_CLOSED, "shutting down");
	}
	struct link *link = links_find(links, cluster);
	if (!link) {
		return err_set(err, ERR_INVAL, "no link to a cluster \"%.*s\"", STR_ARG(cluster));
	}
	if (link->state == LINK_DOWN) {
		return err_set(err, ERR_CLOSED, "link to %.*s is down: %s", STR_ARG(cluster),
			link->last_error);
	}
	for (size_t i = 0; i < link->export_count; i++) {
		if (str_equal(link->exports[i].name, export_name)) {
			*out = link;
			return 0;
		}
	}
	if (link->state == LINK_CONNECTING) {
		*out = link;
		return 0;
	}
	return err_set(err, ERR_INVAL, "cluster %.*s exports no \"%.*s\" to us", STR_ARG(cluster),
		STR_ARG(export_name));
}

static void begin(void *context) {
	struct link_call *call = context;
	struct link *link = NULL;
	struct err err = { 0 };
	if (link_find_export(call->links, call->request.cluster, call->request.export_name, &link,
		    &err) < 0) {
		link = links_find(call->links, call->request.cluster);
		call->failure = err;
		if (link) {
			count_outcome(call, link);
		}
		complete(call);
	} else if (link->is_ready && link->active_count < link->active_max) {
		send(call, link);
	} else {
		list_waiting(link, call, link->waiting_last, NULL);
	}
}

void link_calls_send_waiting(struct link *link) {
	if (link->is_sending_waiting) {
		return;
	}
	link->is_sending_waiting = true;
	while (link->waiting && link->is_ready && link->active_count < link->active_max) {
		struct link_call *call = link->waiting;
		unlist(call);
		begin(call);
	}
	link->is_sending_waiting = false;
}

void link_calls_fail(struct link *link, const struct err *reason) {
	while (link->waiting) {
		fail(link->waiting, reason);
	}
	/* A session ends its calls before it goes; what is left belongs to one that we end, or to
	 * the one before it. */
	while (link->active) {
		struct link_call *call = link->active;
		http_call_cancel(call->http);
		fail(call, reason);
	}
}

/* The waiting thread gave up. Has a hold of its own. */
static void cancel(void *context) {
	struct link_call *call = context;
	if (call->link) {
		struct err err = { 0 };
		if (call->http) {
			http_call_cancel(call->http);
		}
		(void)err_set(&err, ERR_CANCELED, "given up");
		fail(call, &err);
	}
	release(call);
}

struct link_call *link_call_start(struct links *links, const struct link_request *request) {
	struct link_call *call = MEMORY_NEW(struct link_call, 1);
	struct arena *arena = &call->arena;
	atomic_init(&call->refs, 2);
	call->links = links_ref(links);
	lock_init(&call->lock, LOCK_RANK_LEAF);
	condition_init(&call->done);
	call->began_ns = clock_mono_ns(loop_clock(links->loop));
	call->request = *request;
	call->request.cluster = arena_copy(arena, request->cluster);
	call->request.export_name = arena_copy(arena, request->export_name);
	call->request.method = arena_copy(arena, request->method);
	call->request.target = arena_copy(arena, request->target);
	call->request.content_type = arena_copy(arena, request->content_type);
	call->request.body = arena_copy(arena, request->body);
	call->request.accept = arena_copy(arena, request->accept);
	if (!loop_post(links->loop, begin, call)) {
		(void)err_set(&call->failure, ERR_LIMIT, "too many calls at once");
		call->is_done = true;
		release(call);
	}
	return call;
}

static bool is_canceled(const struct link_call *call) {
	const _Atomic bool *flag = call->request.canceled;
	/* Only a hint to stop; nothing is read because of it. */
	return flag && atomic_load_explicit(flag, memory_order_relaxed);
}

/* Waits for the loop. Returns 0 when it is done, ERR_TIMEOUT or ERR_CANCELED. */
static int wait(struct link_call *call, struct err *err) {
	int64_t deadline_ns = call->request.timeout_ms * NS_PER_MS + GRACE_NS;
	int64_t waited_ns = 0;
	int rc = 0;
	lock_take(&call->lock);
	while (rc == 0 && !call->is_done) {
		if (is_canceled(call)) {
			rc = err_set(err, ERR_CANCELED, "canceled");
		} else if (waited_ns > deadline_ns) {
			rc = err_set(err, ERR_TIMEOUT, "no answer from %.*s within %lld ms",
				STR_ARG(call->request.cluster),
				(long long)call->request.timeout_ms);
		} else if (!condition_wait_for(&call->done, &call->lock, CANCEL_LOOK_NS)) {
			waited_ns += CANCEL_LOOK_NS;
		}
	}
	if (call->is_done) {
		rc = 0;
	}
	lock_drop(&call->lock);
	return rc;
}

/* The sentence in a gateway's answer. */
static int denied(const struct link_call *call, struct str body, struct err *err) {
	json_t *root = json_loadb(
		body.ptr, body.len < SENTENCE_BYTES_MAX ? body.len : SENTENCE_BYTES_MAX, 0, NULL);
	const char *sentence = json_string_value(json_object_get(root, "error"));
	int rc = err_set(err, ERR_DENIED, "gateway of %.*s: %s", STR_ARG(call->request.cluster),
		sentence ? sentence : "denied");
	json_decref(root);
	return rc;
}

static int decode(const struct link_call *call, struct buf *out, struct err *err) {
	size_t max = call->request.body_bytes_max;
	if (call->encoding == COMPRESSION_NONE) {
		buf_add_str(out, buf_str(&call->body));
		return 0;
	}
	int rc = decompress_body(call->encoding, buf_str(&call->body), max, out, err);
	return rc < 0 ? err_wrap(err, rc, "answer of %.*s", STR_ARG(call->request.cluster)) : 0;
}

static int finish(const struct link_call *call, struct arena *arena, struct link_response *response,
	struct err *err) {
	if (call->failure.code != 0) {
		if (err) {
			*err = call->failure;
		}
		return call->failure.code;
	}
	AUTO(buf_deinit) struct buf body = { 0 };
	int rc = decode(call, &body, err);
	if (rc == 0 && call->is_denied) {
		rc = denied(call, buf_str(&body), err);
	}
	if (rc < 0) {
		return rc;
	}
	*response = (struct link_response){
		.status = call->status,
		.content_type = arena_copy(arena, call->content_type),
		.body = arena_copy(arena, buf_str(&body)),
		.received_bytes = call->received_bytes,
		.duration_ns = call->ended_ns - call->began_ns,
	};
	return 0;
}

int link_call_wait(struct link_call *call, struct arena *arena, struct link_response *response,
	struct err *err) {
	int rc = wait(call, err);
	if (rc == 0) {
		rc = finish(call, arena, response, err);
	} else {
		atomic_fetch_add_explicit(&call->refs, 1, memory_order_relaxed);
		if (!loop_post(loop_of(call), cancel, call)) {
			/* It ends by its own deadline. */
			release(call);
		}
	}
	release(call);
	return rc;
}
