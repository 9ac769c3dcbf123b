#include "http/h2.h"

#include "base/check.h"
#include "base/reuse.h"
#include "io/pages.h"

#include <string.h>

static void *allocate(size_t size, void *unused) {
	(void)unused;
	return reuse_alloc(size);
}

static void *allocate_zeroed(size_t count, size_t size, void *unused) {
	(void)unused;
	return reuse_alloc_zeroed(count, size);
}

/* Of nghttp2's buffer for one frame, which each session has, but no other block. */
static bool is_frame(size_t size) {
	return size >= H2_FRAME_BYTES && size < 2 * H2_FRAME_BYTES;
}

static void give_back(void *block, void *context) {
	struct h2 *h2 = context;

	if (block && block == h2->frame) {
		pages_free(block, h2->frame_bytes);
		h2->frame = NULL;
	} else {
		reuse_free(block);
	}
}

static void *resize(void *block, size_t size, void *context) {
	struct h2 *h2 = context;

	if (!block && !h2->frame && is_frame(size)) {
		h2->frame = pages_new(size);
		h2->frame_bytes = size;
		return h2->frame;
	}
	if (!block || block != h2->frame) {
		return reuse_resize(block, size);
	}
	void *other = reuse_alloc(size);

	if (other) {
		memcpy(other, block, size < h2->frame_bytes ? size : h2->frame_bytes);
		give_back(block, context);
	}
	return other;
}

static nghttp2_option *make_option(const struct h2_options *options) {
	nghttp2_option *option = NULL;

	CHECK(nghttp2_option_new(&option) == 0);
	/* Windows open when the reader took the bytes, not when they arrived. */
	nghttp2_option_set_no_auto_window_update(option, 1);
	nghttp2_option_set_no_closed_streams(option, 1);
	nghttp2_option_set_max_outbound_ack(option, 1000);
	nghttp2_option_set_max_settings(option, 32);
	nghttp2_option_set_max_continuations(option, 8);
	nghttp2_option_set_stream_reset_rate_limit(option, 1000, 33);
	nghttp2_option_set_max_send_header_block_length(option, options->header_bytes_max + 65536);
	return option;
}

void h2_init(struct h2 *h2, struct stream *stream, const struct h2_options *options) {
	nghttp2_settings_entry settings[] = {
		{ NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, H2_STREAM_WINDOW },
		{ NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, (uint32_t)options->header_bytes_max },
		{ NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, (uint32_t)options->streams_max },
		{ NGHTTP2_SETTINGS_ENABLE_PUSH, 0 },
	};
	nghttp2_option *option = make_option(options);
	nghttp2_mem memory = { h2, allocate, give_back, allocate_zeroed, resize };

	*h2 = (struct h2){ .stream = stream, .is_server = options->is_server };
	flood_init(&h2->flood_guard, loop_now_ns(stream_loop(stream)));
	int rc = options->is_server ? nghttp2_session_server_new3(&h2->session, options->callbacks,
					      options->context, option, &memory)
				    : nghttp2_session_client_new3(&h2->session, options->callbacks,
					      options->context, option, &memory);
	nghttp2_option_del(option);
	CHECK(rc == 0);
	/* A client offers no streams to be opened towards it; a server says nothing about push. */
	if (!options->is_server) {
		settings[2].value = 0;
	}
	rc = nghttp2_submit_settings(
		h2->session, NGHTTP2_FLAG_NONE, settings, options->is_server ? 3 : 4);
	CHECK(rc == 0);
	rc = nghttp2_session_set_local_window_size(
		h2->session, NGHTTP2_FLAG_NONE, 0, H2_CONNECTION_WINDOW);
	CHECK(rc == 0);
}

void h2_deinit(struct h2 *h2) {
	nghttp2_session_del(h2->session);
	h2->session = NULL;
}

int h2_receive(struct h2 *h2, struct str bytes, struct err *err) {
	CHECK(!h2->busy);
	h2->busy = true;
	ssize_t taken =
		nghttp2_session_mem_recv(h2->session, (const uint8_t *)bytes.ptr, bytes.len);
	h2->busy = false;
	if (taken == NGHTTP2_ERR_FLOODED && !h2->flooded) {
		/* Its own limits: answers to settings and pings that the peer does not take. */
		h2->flooded = true;
		h2->flood = FLOOD_CONTROL;
	}
	if (h2->flooded) {
		(void)nghttp2_session_terminate_session(h2->session, NGHTTP2_ENHANCE_YOUR_CALM);
		return err_set(err, ERR_LIMIT, "too many %s from the peer", flood_name(h2->flood));
	}
	if (taken < 0) {
		(void)nghttp2_session_terminate_session(h2->session, NGHTTP2_PROTOCOL_ERROR);
		return err_set(err, ERR_CORRUPT, "HTTP/2: %s", nghttp2_strerror((int)taken));
	}
	return 0;
}

void h2_flush(struct h2 *h2) {
	if (h2->busy) {
		return;
	}
	h2->busy = true;
	/* Above the stream's low water its on_drain is sure to call us again. */
	while (h2->stream && stream_pending(h2->stream) <= STREAM_LOW_WATER) {
		const uint8_t *bytes = NULL;
		ssize_t len = nghttp2_session_mem_send(h2->session, &bytes);

		if (len <= 0) {
			break;
		}
		stream_write(h2->stream, bytes, (size_t)len);
		h2->is_frame_full = h2->is_frame_full || (h2->frame && (size_t)len > H2_FRAME_KEPT);
	}
	h2->busy = false;
}

void h2_rest(struct h2 *h2) {
	if (h2->is_frame_full && !h2->busy && !nghttp2_session_want_write(h2->session)) {
		pages_forget(h2->frame, h2->frame_bytes);
		h2->is_frame_full = false;
	}
}

bool h2_is_done(const struct h2 *h2) {
	return !nghttp2_session_want_read(h2->session) && !nghttp2_session_want_write(h2->session);
}

static bool take(struct h2 *h2, enum flood_kind kind) {
	if (flood_take(&h2->flood_guard, kind, loop_now_ns(stream_loop(h2->stream)))) {
		return true;
	}
	h2->flooded = true;
	h2->flood = kind;
	return false;
}

bool h2_count_received(struct h2 *h2, const nghttp2_frame *frame) {
	bool is_last = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;

	switch (frame->hd.type) {
	case NGHTTP2_RST_STREAM:
		/* A server's resets end what we began: it gains nothing by them. */
		return !h2->is_server || take(h2, FLOOD_RESET);
	case NGHTTP2_SETTINGS:
	case NGHTTP2_PING:
	case NGHTTP2_PRIORITY:
		return take(h2, FLOOD_CONTROL);
	case NGHTTP2_DATA:
		return is_last || frame->hd.length - frame->data.padlen >= H2_SMALL_DATA ||
		       take(h2, FLOOD_EMPTY);
	case NGHTTP2_WINDOW_UPDATE:
		return take(h2, FLOOD_WINDOW);
	default:
		return true;
	}
}

bool h2_count_sent(struct h2 *h2, const nghttp2_frame *frame) {
	if (frame->hd.type == NGHTTP2_DATA) {
		flood_credit_window(&h2->flood_guard);
	}
	/* A client can make a server reset streams by breaking them. */
	bool is_reset = h2->is_server && frame->hd.type == NGHTTP2_RST_STREAM;

	return !is_reset || take(h2, FLOOD_RESET);
}

nghttp2_nv h2_field(struct str name, struct str value) {
	/* nghttp2 takes pointers to what it only reads. */
	return (nghttp2_nv){
		.name = (uint8_t *)(uintptr_t)name.ptr,
		.value = (uint8_t *)(uintptr_t)value.ptr,
		.namelen = name.len,
		.valuelen = value.len,
	};
}
