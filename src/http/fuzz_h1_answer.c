/*
 * The reader of HTTP/1.1 answers: any bytes, whole and in pieces as the first byte says, must give
 * the same parts.
 */
#include "base/buf.h"
#include "base/check.h"
#include "http/h1.h"
#include "http/h1_answer.h"

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct outcome {
	int end;
	int status;
	size_t used;
	size_t headers;
	bool keep_alive;
};

static struct outcome read_one(struct str bytes, size_t step, bool is_to_head, struct buf *body) {
	AUTO(arena_deinit) struct arena arena = { 0 };
	struct h1_answer_reader reader;
	struct err err;
	struct outcome outcome = { 0 };
	size_t given = 0;
	h1_answer_init(&reader, &arena, is_to_head, 2000);
	for (;;) {
		size_t used = 0;
		struct str piece = STR_EMPTY;
		struct str fresh = str_from(str_first(bytes, given), outcome.used);
		outcome.end = h1_answer_read(&reader, fresh, &used, &piece, &err);
		CHECK(used <= fresh.len);
		outcome.used += used;
		if (outcome.end == H1_ANSWER_BODY) {
			CHECK(piece.len > 0);
			buf_add_str(body, piece);
		}
		if (outcome.end < 0 || outcome.end == H1_ANSWER_END) {
			break;
		}
		if (outcome.end == H1_ANSWER_MORE && given == bytes.len) {
			outcome.end = h1_answer_close(&reader, &err);
			break;
		}
		if (outcome.end == H1_ANSWER_MORE) {
			given = given + step < bytes.len ? given + step : bytes.len;
		}
	}
	outcome.status = reader.status;
	outcome.headers = reader.headers.count;
	outcome.keep_alive = reader.keep_alive;
	CHECK(outcome.headers <= H1_HEADERS_MAX);
	return outcome;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	AUTO(buf_deinit) struct buf whole_body = { 0 };
	AUTO(buf_deinit) struct buf pieces_body = { 0 };
	if (size == 0) {
		return 0;
	}
	struct str bytes = { (const char *)data + 1, size - 1 };
	bool is_to_head = data[0] & 1;
	size_t step = (data[0] >> 1) + 1;
	struct outcome whole = read_one(bytes, bytes.len, is_to_head, &whole_body);
	struct outcome pieces = read_one(bytes, step, is_to_head, &pieces_body);
	CHECK(whole.end == pieces.end);
	CHECK(str_equal(buf_str(&whole_body), buf_str(&pieces_body)));
	if (whole.end >= 0) {
		CHECK(whole.used == pieces.used && whole.status == pieces.status &&
			whole.headers == pieces.headers && whole.keep_alive == pieces.keep_alive);
	}
	return 0;
}
