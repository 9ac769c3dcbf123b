/*
 * One request on its way through a mirror: in by HTTP/1.1 on this machine, over the link, and the
 * answer back as fast as the client takes it. The body of a request is whole in memory; of an
 * answer no more than the queues of both sides, whatever its size.
 */
#include "base/memory.h"
#include "codec/json_writer.h"
#include "mirror/internal.h"

#include <stdio.h>
#include <stdlib.h>

/* Tells a mirror's own errors from the gateway's and the service's. */
#define ERROR_HEADER STR("atoll-mirror-error")
#define STATUS_MIN 200
#define STATUS_MAX 599

struct relay {
	struct mirror *mirror;
	struct relay *next;
	struct relay *previous;
	struct exchange *exchange;
	struct link_stream *stream;
	struct http_request request; /* What goes over the link. */
	int64_t began_ns;
	int status; /* 0: no head has come. */
};

static void count_code(const struct mirror *mirror, const char *code) {
	const char *const values[] = { mirror->cluster, mirror->export_name, code };
	metric_inc(metric_child(mirror->set->metrics.requests, values));
}

/* As many as there are names for, so that what a service answers does not make ever more series. */
static const int statuses[] = { 200, 204, 301, 302, 304, 400, 401, 403, 404, 405, 406, 408, 413,
	415, 422, 429, 431, 500, 501, 502, 503, 504, 508 };

static void count_status(const struct mirror *mirror, int status) {
	char code[8] = "other";
	for (size_t i = 0; i < ARRAY_COUNT(statuses); i++) {
		if (statuses[i] == status) {
			(void)snprintf(code, sizeof(code), "%d", status);
		}
	}
	count_code(mirror, status == 0 ? "aborted" : code);
}

void relay_remove_codes(const struct mirror *mirror) {
	char code[8];
	const char *const values[] = { mirror->cluster, mirror->export_name, code };
	for (size_t i = 0; i < ARRAY_COUNT(statuses); i++) {
		(void)snprintf(code, sizeof(code), "%d", statuses[i]);
		metric_remove(mirror->set->metrics.requests, values);
	}
	static const char *const words[] = { "aborted", "other" };
	for (size_t i = 0; i < ARRAY_COUNT(words); i++) {
		(void)snprintf(code, sizeof(code), "%s", words[i]);
		metric_remove(mirror->set->metrics.requests, values);
	}
}

/* Ends the exchange with an error of ours, in Prometheus' shape. */
static void answer_error(
	struct exchange *exchange, int status, const char *word, const char *sentence) {
	AUTO(buf_deinit) struct buf body = { 0 };
	struct json_writer writer;
	json_writer_init(&writer, &body);
	json_begin_object(&writer);
	json_key(&writer, STR("status"));
	json_put_text(&writer, "error");
	json_key(&writer, STR("errorType"));
	json_put_text(&writer, status >= 500 ? "unavailable" : "forbidden");
	json_key(&writer, STR("error"));
	json_put_text(&writer, sentence);
	json_end_object(&writer);
	exchange_header(exchange, ERROR_HEADER, str_of(word));
	exchange_respond(exchange, status, STR("application/json"), buf_str(&body));
}

/* Counts the request and frees; the exchange has been ended by the caller. */
static void finish(struct relay *relay, int status) {
	struct mirror *mirror = relay->mirror;
	int64_t took_ns = loop_now_ns(mirror->set->loop) - relay->began_ns;
	*(relay->previous ? &relay->previous->next : &mirror->relays) = relay->next;
	if (relay->next) {
		relay->next->previous = relay->previous;
	}
	metric_add(mirror->in_flight, -1);
	metric_observe(mirror->duration, (double)took_ns / (double)NS_PER_S);
	count_status(mirror, status);
	free(relay);
}

static void on_head(void *context, int status, const struct http_headers *headers) {
	static const struct str passed[] = { STR("content-encoding"), STR("vary"),
		STR("atoll-gateway-error") };
	struct relay *relay = context;
	relay->status = status < STATUS_MIN || status > STATUS_MAX ? 502 : status;
	for (size_t i = 0; i < ARRAY_COUNT(passed); i++) {
		struct str value = http_headers_get(headers, passed[i]);
		if (value.len > 0) {
			exchange_header(relay->exchange, passed[i], value);
		}
	}
	exchange_begin(
		relay->exchange, relay->status, http_headers_get(headers, STR("content-type")));
}

static bool on_data(void *context, struct str bytes) {
	struct relay *relay = context;
	metric_add(relay->mirror->bytes, (double)bytes.len);
	return exchange_write(relay->exchange, bytes) <= STREAM_LOW_WATER;
}

static void fail(struct relay *relay, const struct err *failure) {
	bool is_late = failure->code == ERR_TIMEOUT;
	int status = is_late ? 504 : 502;
	if (relay->status != 0) {
		exchange_fail(relay->exchange);
	} else {
		answer_error(relay->exchange, status, is_late ? "timeout" : "link", failure->text);
	}
	finish(relay, status);
}

static void on_end(void *context, const struct err *failure) {
	struct relay *relay = context;
	relay->stream = NULL;
	if (failure) {
		fail(relay, failure);
		return;
	}
	exchange_end(relay->exchange);
	finish(relay, relay->status);
}

static void on_drain(void *context) {
	struct relay *relay = context;
	if (relay->stream) {
		link_stream_resume(relay->stream);
	}
}

static void on_abort(void *context) {
	struct relay *relay = context;
	if (relay->stream) {
		link_stream_cancel(relay->stream);
	}
	exchange_fail(relay->exchange);
	finish(relay, 0);
}

/* What a client may say to a service beyond its request line; the gateway lets no more through. */
static void copy_headers(struct relay *relay) {
	static const struct str passed[] = { STR("accept"), STR("accept-encoding"),
		STR("content-type"), STR("x-prometheus-remote-read-version"), STR("atoll-via") };
	const struct http_request *asked = exchange_request(relay->exchange);
	struct arena *arena = exchange_arena(relay->exchange);
	for (size_t i = 0; i < ARRAY_COUNT(passed); i++) {
		struct str value = http_headers_get(&asked->headers, passed[i]);
		if (value.len > 0) {
			http_headers_add(&relay->request.headers, arena, passed[i], value);
		}
	}
}

/* "127.0.0.1", "localhost", "[::1]", each with or without a port. */
static bool is_this_machine(struct str authority) {
	static const struct str names[] = { STR("127.0.0.1"), STR("localhost"), STR("[::1]") };
	for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
		bool is_name = str_starts(authority, names[i]);
		struct str rest = str_from(authority, names[i].len);
		if (is_name && (rest.len == 0 || rest.ptr[0] == ':')) {
			return true;
		}
	}
	return false;
}

/*
 * A page in somebody's browser can be made to ask any port of this machine, under a name of its own
 * or from an origin of its own. Neither gets through. A socket is not in a browser's reach.
 */
static bool is_from_here(const struct mirror *mirror, const struct http_request *request) {
	struct str origin = http_headers_get(&request->headers, STR("origin"));
	bool is_fine = mirror->path || is_this_machine(request->authority);
	if (is_fine && origin.len > 0) {
		struct str host =
			str_starts(origin, STR("http://")) ? str_from(origin, 7) : STR_EMPTY;
		is_fine = str_equal(host, request->authority);
	}
	return is_fine;
}

static void refuse(struct mirror *mirror, struct exchange *exchange, int status, const char *word,
	const char *sentence) {
	answer_error(exchange, status, word, sentence);
	count_status(mirror, status);
}

static void begin(struct mirror *mirror, struct exchange *exchange) {
	static const struct link_stream_ops ops = {
		.on_head = on_head,
		.on_data = on_data,
		.on_end = on_end,
	};
	const struct http_request *asked = exchange_request(exchange);
	struct relay *relay = MEMORY_NEW(struct relay, 1);
	relay->mirror = mirror;
	relay->exchange = exchange;
	relay->began_ns = loop_now_ns(mirror->set->loop);
	relay->request = *asked;
	relay->request.headers = (struct http_headers){ 0 };
	copy_headers(relay);
	const struct link_stream_request request = {
		.cluster = str_of(mirror->cluster),
		.export_name = str_of(mirror->export_name),
		.http = &relay->request,
		.timeout_ms = mirror->set->options.timeout_ms,
	};
	struct err err = { 0 };
	int rc = link_stream_start(
		mirror->set->options.links, &request, &ops, relay, &relay->stream, &err);
	if (rc < 0) {
		refuse(mirror, exchange, 503, rc == ERR_LIMIT ? "limit" : "link", err.text);
		free(relay);
		return;
	}
	relay->next = mirror->relays;
	if (relay->next) {
		relay->next->previous = relay;
	}
	mirror->relays = relay;
	metric_add(mirror->in_flight, 1);
	exchange_on_abort(exchange, on_abort, relay);
	exchange_on_drain(exchange, on_drain, relay);
}

void relay_serve(void *context, struct exchange *exchange) {
	struct mirror *mirror = context;
	if (!is_from_here(mirror, exchange_request(exchange))) {
		refuse(mirror, exchange, 403, "origin",
			"a mirror is for programs of this machine: Host must be 127.0.0.1, "
			"localhost "
			"or [::1], and a browser's Origin the same");
	} else if (mirror->state != MIRROR_READY) {
		refuse(mirror, exchange, 503, "stale", mirror->reason);
	} else {
		begin(mirror, exchange);
	}
}

void relays_stop(struct mirror *mirror) {
	while (mirror->relays) {
		// NOLINTNEXTLINE(clang-analyzer-unix.Malloc): ending takes it off the list
		on_abort(mirror->relays);
	}
}
