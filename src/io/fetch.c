/*
 * libcurl's multi interface on our loop: it says which sockets to poll and when to call it again;
 * that timer runs on real time, while the limit of a whole request is a timer of the loop's clock.
 *
 * libcurl must not be called from its own callbacks, so starting, canceling and resuming are put
 * off to the end of the round; a canceled fetch only refuses what still comes.
 */
#include "io/fetch.h"

#include "base/check.h"
#include "base/memory.h"
#include "io/fetch_internal.h"
#include "io/loop_internal.h"
#include "io/poll.h"

#include <curl/curl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <uv.h>

#define TIMEOUT_MS 30000
#define BODY_BYTES_MAX (UINT64_C(64) * 1024 * 1024)
/* Idle connections kept for the next request. libcurl's own limit follows the requests under way:
 * with many servers that are asked in turn it would keep next to none. */
#define CONNECTIONS_KEPT_MAX 20000L

/* Finished libcurl handles kept for the next request: making one costs more than a small answer. */
#define HANDLES_KEPT_MAX 16

struct fetch_socket {
	struct fetch_socket *next;
	struct fetch_socket *prev;
	struct fetcher *fetcher;
	curl_socket_t fd;
	struct poll *poll;
	bool wants_read;
	bool wants_write;
};

struct fetcher {
	struct loop *loop;
	CURLM *multi;
	uv_timer_t timer;
	struct fetch fetches; /* List heads. */
	struct fetch_socket sockets;
	struct fetch_socket *current; /* Whose events libcurl handles; NULL once it gave it up. */
	CURL *handles[HANDLES_KEPT_MAX];
	size_t handle_count;
};

static CURL *take_handle(struct fetcher *fetcher) {
	CURL *easy = fetcher->handle_count > 0 ? fetcher->handles[--fetcher->handle_count]
					       : curl_easy_init();
	CHECK(easy);
	return easy;
}

/* Keeps a handle, as if new, unless it may remember something secret. */
static void drop_handle(struct fetcher *fetcher, CURL *easy, bool is_secret) {
	if (is_secret || fetcher->handle_count == HANDLES_KEPT_MAX) {
		curl_easy_cleanup(easy);
		return;
	}
	curl_easy_reset(easy);
	fetcher->handles[fetcher->handle_count++] = easy;
}

static void collect_done(struct fetcher *fetcher);

static void free_socket(struct fetch_socket *socket) {
	if (socket->fetcher->current == socket) {
		socket->fetcher->current = NULL;
	}
	socket->prev->next = socket->next;
	socket->next->prev = socket->prev;
	poll_free(socket->poll);
	free(socket);
}

static void on_socket_events(void *context, bool is_readable, bool is_writable) {
	struct fetch_socket *socket = context;
	struct fetcher *fetcher = socket->fetcher;
	int running = 0;
	int events = (is_readable ? CURL_CSELECT_IN : 0) | (is_writable ? CURL_CSELECT_OUT : 0);
	fetcher->current = socket;
	(void)curl_multi_socket_action(fetcher->multi, socket->fd, events, &running);
	if (fetcher->current) {
		/* After an error the poll has stopped; libcurl may still want it. */
		poll_set(socket->poll, socket->wants_read, socket->wants_write);
		fetcher->current = NULL;
	}
	collect_done(fetcher);
}

static struct fetch_socket *new_socket(struct fetcher *fetcher, curl_socket_t fd) {
	struct fetch_socket *socket = MEMORY_NEW(struct fetch_socket, 1);
	socket->fetcher = fetcher;
	socket->fd = fd;
	socket->poll = poll_new(fetcher->loop, fd, on_socket_events, socket);
	if (!socket->poll) {
		free(socket);
		return NULL;
	}
	socket->next = &fetcher->sockets;
	socket->prev = fetcher->sockets.prev;
	socket->prev->next = socket;
	fetcher->sockets.prev = socket;
	(void)curl_multi_assign(fetcher->multi, fd, socket);
	return socket;
}

/* libcurl's word on what to poll. */
static int on_socket_wish(CURL *easy, curl_socket_t fd, int what, void *context, void *known) {
	(void)easy;
	struct fetcher *fetcher = context;
	struct fetch_socket *socket = known;
	if (what == CURL_POLL_REMOVE) {
		if (socket) {
			free_socket(socket);
		}
		return 0;
	}
	if (!socket && !(socket = new_socket(fetcher, fd))) {
		return -1;
	}
	socket->wants_read = what == CURL_POLL_IN || what == CURL_POLL_INOUT;
	socket->wants_write = what == CURL_POLL_OUT || what == CURL_POLL_INOUT;
	poll_set(socket->poll, socket->wants_read, socket->wants_write);
	return 0;
}

static void on_timer(uv_timer_t *timer) {
	struct fetcher *fetcher = timer->data;
	int running = 0;
	(void)curl_multi_socket_action(fetcher->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	collect_done(fetcher);
}

/* libcurl's word on when to call it again. */
static int on_timer_wish(CURLM *multi, long timeout_ms, void *context) {
	(void)multi;
	struct fetcher *fetcher = context;
	if (timeout_ms < 0) {
		CHECK(uv_timer_stop(&fetcher->timer) == 0);
		return 0;
	}
	uv_update_time(loop_uv(fetcher->loop));
	CHECK(uv_timer_start(&fetcher->timer, on_timer, (uint64_t)timeout_ms, 0) == 0);
	return 0;
}

struct fetcher *fetcher_new(struct loop *loop) {
	struct fetcher *fetcher = MEMORY_NEW(struct fetcher, 1);
	CHECK(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK);
	fetcher->loop = loop;
	fetcher->fetches.next = fetcher->fetches.prev = &fetcher->fetches;
	fetcher->sockets.next = fetcher->sockets.prev = &fetcher->sockets;
	fetcher->multi = curl_multi_init();
	CHECK(fetcher->multi);
	CHECK(uv_timer_init(loop_uv(loop), &fetcher->timer) == 0);
	fetcher->timer.data = fetcher;
	CURLM *multi = fetcher->multi;
	CHECK(curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, CONNECTIONS_KEPT_MAX) == CURLM_OK);
	CHECK(curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_socket_wish) == CURLM_OK);
	CHECK(curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, fetcher) == CURLM_OK);
	CHECK(curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_timer_wish) == CURLM_OK);
	CHECK(curl_multi_setopt(multi, CURLMOPT_TIMERDATA, fetcher) == CURLM_OK);
	return fetcher;
}

static void fetch_free(struct fetch *fetch) {
	struct fetcher *fetcher = fetch->fetcher;
	fetch->prev->next = fetch->next;
	fetch->next->prev = fetch->prev;
	loop_timer_clear(fetcher->loop, &fetch->timer);
	loop_defer_clear(fetcher->loop, &fetch->attend);
	if (!fetch->is_new) {
		(void)curl_multi_remove_handle(fetcher->multi, fetch->easy);
	}
	drop_handle(fetcher, fetch->easy, fetch->is_secret);
	curl_slist_free_all(fetch->headers);
	curl_slist_free_all(fetch->connect_to);
	buf_deinit(&fetch->content_type);
	buf_deinit(&fetch->content_encoding);
	buf_deinit(&fetch->content_length);
	buf_deinit(&fetch->body);
	free(fetch);
}

static void on_timer_closed(uv_handle_t *handle) {
	free(handle->data);
}

void fetcher_free(struct fetcher *fetcher) {
	if (!fetcher) {
		return;
	}
	while (fetcher->fetches.next != &fetcher->fetches) {
		// NOLINTNEXTLINE(clang-analyzer-unix.Malloc): freeing takes it off the list
		fetch_free(fetcher->fetches.next);
	}
	while (fetcher->handle_count > 0) {
		curl_easy_cleanup(fetcher->handles[--fetcher->handle_count]);
	}
	CHECK(curl_multi_cleanup(fetcher->multi) == CURLM_OK);
	while (fetcher->sockets.next != &fetcher->sockets) {
		// NOLINTNEXTLINE(clang-analyzer-unix.Malloc): as above
		free_socket(fetcher->sockets.next);
	}
	curl_global_cleanup();
	uv_close((uv_handle_t *)&fetcher->timer, on_timer_closed);
}

static int set_failure(const struct fetch *fetch, CURLcode code, struct err *err) {
	const char *text = fetch->error_text[0] ? fetch->error_text : curl_easy_strerror(code);
	long reason = 0;
	// NOLINTNEXTLINE(clang-diagnostic-switch-enum): libcurl has a hundred codes
	switch ((int)code) {
	case CURLE_URL_MALFORMAT:
	case CURLE_UNSUPPORTED_PROTOCOL:
		return err_set(err, ERR_INVAL, "%s", text);
	case CURLE_OPERATION_TIMEDOUT:
		return err_set(err, ERR_TIMEOUT, "%s", text);
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_LOGIN_DENIED:
		return err_set(err, ERR_DENIED, "%s", text);
	case CURLE_BAD_CONTENT_ENCODING:
		return err_set(err, ERR_CORRUPT, "%s", text);
	case CURLE_PARTIAL_FILE:
	case CURLE_GOT_NOTHING:
		return err_set(err, ERR_CLOSED, "%s", text);
	case CURLE_COULDNT_CONNECT:
		/* libcurl's text does not say why. */
		(void)curl_easy_getinfo(fetch->easy, CURLINFO_OS_ERRNO, &reason);
		return reason != 0 ? err_errno(err, (int)reason, "%s", text)
				   : err_set(err, ERR_IO, "%s", text);
	default:
		return err_set(err, ERR_IO, "%s", text);
	}
}

/* The one on_done; the fetch is gone after. */
static void finish(struct fetch *fetch, const struct err *failure) {
	struct fetch_result result = {
		.failure = failure,
		.status = fetch->status,
		.content_type = buf_str(&fetch->content_type),
		.content_encoding = buf_str(&fetch->content_encoding),
		.body = buf_str(&fetch->body),
		.duration_ns = loop_now_ns(fetch->fetcher->loop) - fetch->begin_ns,
	};
	long header_bytes = 0;
	curl_off_t body_bytes = 0;
	(void)curl_easy_getinfo(fetch->easy, CURLINFO_HEADER_SIZE, &header_bytes);
	(void)curl_easy_getinfo(fetch->easy, CURLINFO_SIZE_DOWNLOAD_T, &body_bytes);
	result.wire_bytes = (uint64_t)header_bytes + (uint64_t)body_bytes;
	fetch->is_done = true;
	fetch->on_done(fetch, &result);
	fetch_free(fetch);
}

static void finish_with(struct fetch *fetch, CURLcode code) {
	struct err err = { 0 };
	if (fetch->is_canceled) {
		fetch_free(fetch);
	} else if (fetch->is_too_large) {
		(void)err_set(&err, ERR_LIMIT,
			"answer is larger than the limit of %" PRIu64 " bytes",
			fetch->body_bytes_max);
		finish(fetch, &err);
	} else if (fetch->has_two_lengths) {
		(void)err_set(&err, ERR_IO, "the answer says two different content lengths");
		finish(fetch, &err);
	} else if (code != CURLE_OK) {
		(void)set_failure(fetch, code, &err);
		finish(fetch, &err);
	} else {
		finish(fetch, NULL);
	}
}

static void collect_done(struct fetcher *fetcher) {
	CURLMsg *message;
	int left = 0;
	while ((message = curl_multi_info_read(fetcher->multi, &left))) {
		char *private = NULL;
		if (message->msg == CURLMSG_DONE) {
			CURLcode code = message->data.result;
			(void)curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &private);
			finish_with((struct fetch *)(void *)private, code);
		}
	}
}

static void on_timeout(struct timer *timer) {
	struct fetch *fetch = CONTAINER_OF(timer, struct fetch, timer);
	struct err err = { 0 };
	if (fetch->is_canceled) {
		return;
	}
	(void)err_set(
		&err, ERR_TIMEOUT, "no complete answer within %" PRId64 " ms", fetch->timeout_ms);
	finish(fetch, &err);
}

/* What was put off: starting, resuming, or the end of a canceled fetch. */
static void attend(void *context) {
	struct fetch *fetch = context;
	if (fetch->is_canceled) {
		fetch_free(fetch);
	} else if (fetch->is_new) {
		fetch->is_new = false;
		CHECK(curl_multi_add_handle(fetch->fetcher->multi, fetch->easy) == CURLM_OK);
	} else if (fetch->is_resumed) {
		fetch->is_resumed = false;
		(void)curl_easy_pause(fetch->easy, CURLPAUSE_CONT);
	}
}

/* The value of a header line of that name, or a NULL slice. */
static struct str header_value(struct str line, struct str name) {
	bool is_it = line.len > name.len && line.ptr[name.len] == ':' &&
		     str_equal_nocase(str_first(line, name.len), name);
	return is_it ? str_trim(str_from(line, name.len + 1)) : (struct str){ NULL, 0 };
}

static void keep_header(struct buf *out, struct str line, struct str name) {
	struct str value = header_value(line, name);
	if (value.ptr) {
		buf_reset(out);
		buf_add_str(out, value);
	}
}

static void begin_response(struct fetch *fetch) {
	long status = 0;
	(void)curl_easy_getinfo(fetch->easy, CURLINFO_RESPONSE_CODE, &status);
	fetch->status = (int)status;
	buf_reset(&fetch->content_type);
	buf_reset(&fetch->content_encoding);
	buf_reset(&fetch->content_length);
}

/* libcurl takes the first of two lengths. Whoever stands between may have taken the other, so that
 * what one side holds for an answer's end is the next one's begin to the other. */
static bool check_length(struct fetch *fetch, struct str line) {
	struct str value = header_value(line, STR("content-length"));
	struct str before = buf_str(&fetch->content_length);

	fetch->has_two_lengths |= value.ptr && before.len > 0 && !str_equal(value, before);
	keep_header(&fetch->content_length, line, STR("content-length"));
	return !fetch->has_two_lengths;
}

// NOLINTNEXTLINE(readability-non-const-parameter): the type is libcurl's
static size_t on_header(char *bytes, size_t size, size_t count, void *context) {
	struct fetch *fetch = context;
	struct str line = { bytes, size * count };
	if (fetch->is_canceled) {
		return 0;
	}
	if (str_starts(line, STR("HTTP/"))) {
		begin_response(fetch);
	}
	if (!check_length(fetch, line)) {
		return 0;
	}
	keep_header(&fetch->content_type, line, STR("content-type"));
	keep_header(&fetch->content_encoding, line, STR("content-encoding"));
	bool is_redirect = fetch->follows_redirects && fetch->status >= 300 && fetch->status < 400;
	bool is_end = str_trim(line).len == 0;
	if (is_end && fetch->status >= 200 && !is_redirect && fetch->on_head) {
		fetch->on_head(fetch, fetch->status, buf_str(&fetch->content_type));
	}
	return fetch->is_canceled ? 0 : line.len;
}

// NOLINTNEXTLINE(readability-non-const-parameter): the type is libcurl's
static size_t on_body(char *bytes, size_t size, size_t count, void *context) {
	struct fetch *fetch = context;
	struct str part = { bytes, size * count };
	if (fetch->is_canceled) {
		return CURL_WRITEFUNC_ERROR;
	}
	if (fetch->is_paused) {
		return CURL_WRITEFUNC_PAUSE;
	}
	fetch->body_bytes += part.len;
	if (fetch->body_bytes > fetch->body_bytes_max) {
		fetch->is_too_large = true;
		return CURL_WRITEFUNC_ERROR;
	}
	if (!fetch->on_data) {
		buf_add_str(&fetch->body, part);
	} else if (!fetch->on_data(fetch, part)) {
		fetch->is_paused = true;
	}
	return fetch->is_canceled ? CURL_WRITEFUNC_ERROR : part.len;
}

struct fetch *fetch_start(struct fetcher *fetcher, const struct fetch_request *request) {
	struct fetch *fetch = MEMORY_NEW(struct fetch, 1);
	CHECK(request->on_done);
	fetch->fetcher = fetcher;
	fetch->next = &fetcher->fetches;
	fetch->prev = fetcher->fetches.prev;
	fetch->prev->next = fetch;
	fetcher->fetches.prev = fetch;
	fetch->attend = (struct loop_task){ .run = attend, .context = fetch };
	fetch->timer.run = on_timeout;
	fetch->is_new = true;
	fetch->context = request->context;
	fetch->on_head = request->on_head;
	fetch->on_data = request->on_data;
	fetch->on_done = request->on_done;
	fetch->follows_redirects = request->follow_redirects;
	fetch->timeout_ms = request->timeout_ms > 0 ? request->timeout_ms : TIMEOUT_MS;
	fetch->body_bytes_max =
		request->body_bytes_max > 0 ? request->body_bytes_max : BODY_BYTES_MAX;
	fetch->begin_ns = loop_now_ns(fetcher->loop);
	fetch->easy = take_handle(fetcher);
	fetch->is_secret = request->user || request->proxy_url;
	fetch_prepare(fetch, request, on_header, on_body);
	loop_timer_after_ms(fetcher->loop, &fetch->timer, fetch->timeout_ms);
	loop_defer(fetcher->loop, &fetch->attend);
	return fetch;
}

void *fetch_context(const struct fetch *fetch) {
	return fetch->context;
}

void fetch_cancel(struct fetch *fetch) {
	if (fetch->is_done) {
		return; /* From its own on_done. */
	}
	fetch->is_canceled = true;
	loop_timer_clear(fetch->fetcher->loop, &fetch->timer);
	loop_defer(fetch->fetcher->loop, &fetch->attend);
}

void fetch_resume(struct fetch *fetch) {
	if (fetch->is_paused) {
		fetch->is_paused = false;
		fetch->is_resumed = true;
		loop_defer(fetch->fetcher->loop, &fetch->attend);
	}
}
