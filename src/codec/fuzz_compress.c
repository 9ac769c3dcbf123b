/* Decodes with every format; and what each encodes must come back. */
#include "codec/compress.h"

#include "base/check.h"

#define OUT_MAX ((size_t)1 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void decode(struct str in) {
	static const enum compression kinds[] = { COMPRESSION_GZIP, COMPRESSION_DEFLATE,
		COMPRESSION_ZSTD };
	for (size_t i = 0; i < ARRAY_COUNT(kinds); i++) {
		AUTO(buf_deinit) struct buf out = { 0 };
		int rc = decompress_body(kinds[i], in, OUT_MAX, &out, NULL);
		CHECK(out.len <= (rc == 0 ? OUT_MAX : 0));
	}
	AUTO(buf_deinit) struct buf out = { 0 };
	int rc = snappy_decompress_block(in, OUT_MAX, &out, NULL);
	CHECK(out.len <= (rc == 0 ? OUT_MAX : 0));
	(void)compression_negotiate(in, true);
}

static void there_and_back(enum compression kind, struct str in) {
	AUTO(buf_deinit) struct buf packed = { 0 };
	AUTO(buf_deinit) struct buf out = { 0 };
	compress_body(kind, 1, in, &packed);
	CHECK(decompress_body(kind, buf_str(&packed), in.len, &out, NULL) == 0);
	CHECK(str_equal(buf_str(&out), in));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len) {
	struct str in = { (const char *)bytes, len };
	decode(in);
	if (len > 0) {
		there_and_back((enum compression)(bytes[0] % 4), in);
		AUTO(buf_deinit) struct buf packed = { 0 };
		AUTO(buf_deinit) struct buf out = { 0 };
		snappy_compress_block(in, &packed);
		CHECK(snappy_decompress_block(buf_str(&packed), len, &out, NULL) == 0);
		CHECK(str_equal(buf_str(&out), in));
	}
	return 0;
}
