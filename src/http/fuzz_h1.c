/*
 * The HTTP/1.1 reader: any bytes, in pieces as the first byte says, request after request; and
 * query strings, which come from the same people.
 */
#include "base/check.h"
#include "http/h1.h"
#include "http/uri.h"

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Reads one request. Returns how many bytes it took, or 0 when no more can be read. */
static size_t read_one(struct str bytes, size_t step) {
	AUTO(arena_deinit) struct arena arena = { 0 };
	AUTO(buf_deinit) struct buf body = { 0 };
	struct http_request request = { 0 };
	struct uri_params params = { 0 };
	struct h1_reader reader;
	struct err err;
	size_t given = 0;
	size_t taken = 0;
	int event = H1_MORE;

	h1_reader_init(&reader, &arena, &request, &body, 2000, 3000);
	while (event >= 0 && event != H1_HAS_ALL) {
		size_t used = 0;

		if (event == H1_MORE && given == bytes.len) {
			return 0;
		}
		given = given + step < bytes.len ? given + step : bytes.len;
		event = h1_read(&reader, str_from(str_first(bytes, given), taken), &used, &err);
		taken += used;
		CHECK(taken <= given);
		CHECK(body.len <= 3000);
	}
	if (event < 0) {
		CHECK(reader.status >= 400);
		return 0;
	}
	CHECK(request.path.len > 0);
	CHECK(request.headers.count <= H1_HEADERS_MAX);
	(void)uri_params_parse(&arena, request.query, &params, &err);
	(void)uri_params_parse(&arena, request.body, &params, &err);
	return taken;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	size_t step = size > 0 && data[0] > 0 ? data[0] : 1;
	struct str bytes = { (const char *)data, size };
	size_t taken = 1;

	while (taken > 0 && bytes.len > 0) {
		taken = read_one(bytes, step);
		bytes = str_from(bytes, taken);
	}
	return 0;
}
