/*
 * For tests: a target on loopback that answers every request with what the test wants.
 */
#ifndef SCRAPE_TEST_EXPORTER_H
#define SCRAPE_TEST_EXPORTER_H

#include "base/buf.h"
#include "base/test.h"
#include "base/time.h"
#include "codec/compress.h"
#include "io/stream.h"

#include <string.h>

#define EXPORTER_PATIENCE_NS (INT64_C(60) * NS_PER_S)

/* Runs the loop until 'condition' holds. */
#define RUN_UNTIL(loop, condition)                                                                 \
	do {                                                                                       \
		int64_t test_until = clock_mono_ns(clock_system()) + EXPORTER_PATIENCE_NS;         \
		while (!(condition)) {                                                             \
			if (clock_mono_ns(clock_system()) > test_until) {                          \
				fail_msg("still not: %s", #condition);                             \
			}                                                                          \
			loop_run_once(loop);                                                       \
		}                                                                                  \
	} while (0)

struct exporter {
	struct listener *listener;
	int status;
	const char *content_type; /* NULL: none is sent. */
	const char *body;
	bool uses_gzip;
	bool is_silent;     /* Never answers. */
	struct buf request; /* The last one. */
	size_t requests;
	struct stream *streams[64];
	size_t stream_count;
};

static void exporter_answer(struct exporter *exporter, struct stream *stream) {
	AUTO(buf_deinit) struct buf body = { 0 };
	AUTO(buf_deinit) struct buf head = { 0 };
	if (exporter->uses_gzip) {
		compress_body(COMPRESSION_GZIP, 6, str_of(exporter->body), &body);
	} else {
		buf_add_text(&body, exporter->body);
	}
	buf_printf(&head, "HTTP/1.1 %d X\r\nContent-Length: %zu\r\n", exporter->status, body.len);
	if (exporter->content_type) {
		buf_printf(&head, "Content-Type: %s\r\n", exporter->content_type);
	}
	if (exporter->uses_gzip) {
		buf_add_text(&head, "Content-Encoding: gzip\r\n");
	}
	buf_add_text(&head, "\r\n");
	buf_add_str(&head, buf_str(&body));
	stream_write(stream, head.ptr, head.len);
}

static void exporter_on_data(struct stream *stream, struct str bytes) {
	struct exporter *exporter = stream_context(stream);
	if (str_starts(bytes, STR("GET "))) {
		buf_reset(&exporter->request);
	}
	buf_add_str(&exporter->request, bytes);
	if (!str_ends(buf_str(&exporter->request), STR("\r\n\r\n"))) {
		return;
	}
	exporter->requests++;
	if (!exporter->is_silent) {
		exporter_answer(exporter, stream);
	}
}

static void exporter_on_close(struct stream *stream, const struct err *reason) {
	struct exporter *exporter = stream_context(stream);
	(void)reason;
	for (size_t i = 0; i < exporter->stream_count; i++) {
		if (exporter->streams[i] == stream) {
			exporter->streams[i] = exporter->streams[--exporter->stream_count];
			return;
		}
	}
}

static const struct stream_ops exporter_ops = { .on_data = exporter_on_data,
	.on_close = exporter_on_close };

static void exporter_on_accept(struct listener *listener, struct stream *stream) {
	struct exporter *exporter = listener_context(listener);
	assert_true(exporter->stream_count < ARRAY_COUNT(exporter->streams));
	exporter->streams[exporter->stream_count++] = stream;
	stream_set_ops(stream, &exporter_ops, exporter);
}

static void exporter_open(struct exporter *exporter, struct loop *loop) {
	static const struct listener_ops ops = { .on_accept = exporter_on_accept };
	const struct listener_options options = { .ops = &ops, .context = exporter };
	struct err err = { 0 };
	*exporter = (struct exporter){
		.status = 200, .content_type = "text/plain; version=0.0.4", .body = ""
	};
	assert_ok(listener_open(loop, "127.0.0.1", 0, &options, &exporter->listener, &err), err);
}

static unsigned exporter_port(const struct exporter *exporter) {
	return listener_port(exporter->listener);
}

static void exporter_close(struct exporter *exporter, struct loop *loop) {
	listener_close(exporter->listener);
	for (size_t i = exporter->stream_count; i > 0; i--) {
		stream_abort(exporter->streams[i - 1], NULL);
	}
	RUN_UNTIL(loop, exporter->stream_count == 0);
	buf_deinit(&exporter->request);
}

#endif
