/* Any bytes as a compact matrix's content: refused, or read the same again after being written. */
#include "base/check.h"
#include "codec/compress.h"
#include "matrix/layout.h"
#include "matrix/matrix.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void frame(const uint8_t *data, size_t size, struct buf *out) {
	buf_append(out, LAYOUT_MAGIC, LAYOUT_MAGIC_LEN);
	buf_add_byte(out, LAYOUT_VERSION);
	compress_body(COMPRESSION_ZSTD, 1, (struct str){ (const char *)data, size }, out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	static const struct matrix_options options = { .bytes_max = 1 << 20 };
	AUTO(buf_deinit) struct buf first = { 0 };
	AUTO(buf_deinit) struct buf second = { 0 };
	AUTO(buf_deinit) struct buf third = { 0 };
	struct query_result result = { 0 };
	struct query_result again = { 0 };
	struct budget budget = { 0 };
	struct arena arena;
	struct err err = { 0 };

	budget_init(&budget, NULL, "the test's budget", 64 << 20);
	arena_init(&arena, &budget);
	frame(data, size, &first);
	if (matrix_decode(buf_str(&first), &options, &arena, &result, &err) == 0) {
		matrix_encode(&result, &second);
		int rc = matrix_decode(buf_str(&second), &options, &arena, &again, &err);
		if (rc == 0) {
			matrix_encode(&again, &third);
			CHECK(str_equal(buf_str(&second), buf_str(&third)));
		} else {
			CHECK(rc == ERR_LIMIT);
		}
	}
	arena_deinit(&arena);
	budget_deinit(&budget);
	return 0;
}
