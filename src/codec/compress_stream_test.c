#include "codec/compress_stream.h"

#include "base/rand.h"
#include "base/test.h"

static const enum compression kinds[] = { COMPRESSION_GZIP, COMPRESSION_ZSTD };

/* Text that compresses, of 'size' bytes. */
static void make_text(size_t size, struct buf *out) {
	struct rand rand;
	rand_init(&rand, 7);
	while (out->len < size) {
		buf_printf(out, "[1795341600,\"%llu\"],",
			(unsigned long long)rand_below(&rand, 100000));
	}
}

static void compress_in_pieces(
	enum compression kind, struct str in, size_t piece, struct buf *out) {
	struct compressor *compressor = compressor_new(kind);
	while (in.len > 0) {
		compressor_write(compressor, str_first(in, piece), out);
		in = str_from(in, piece);
	}
	compressor_end(compressor, out);
	compressor_free(compressor);
}

static void any_pieces_give_the_whole_back(void **state) {
	(void)state;
	AUTO(buf_deinit) struct buf text = { 0 };
	make_text(300000, &text);
	static const size_t pieces[] = { 1, 1000, 16384, 1000000 };
	for (size_t i = 0; i < ARRAY_COUNT(pieces) * ARRAY_COUNT(kinds); i++) {
		AUTO(buf_deinit) struct buf packed = { 0 };
		AUTO(buf_deinit) struct buf back = { 0 };
		struct err err = { 0 };
		enum compression kind = kinds[i % ARRAY_COUNT(kinds)];
		compress_in_pieces(kind, buf_str(&text), pieces[i / ARRAY_COUNT(kinds)], &packed);
		assert_true(packed.len < text.len / 2);
		assert_ok(decompress_body(kind, buf_str(&packed), 1 << 20, &back, &err), err);
		assert_str_equal(buf_str(&back), buf_str(&text));
	}
}

static void an_empty_body_is_one_too(void **state) {
	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(kinds); i++) {
		AUTO(buf_deinit) struct buf packed = { 0 };
		AUTO(buf_deinit) struct buf back = { 0 };
		struct err err = { 0 };
		compress_in_pieces(kinds[i], STR_EMPTY, 1, &packed);
		assert_ok(decompress_body(kinds[i], buf_str(&packed), 1, &back, &err), err);
		assert_int_equal(back.len, 0);
	}
}

static void a_body_may_be_given_up(void **state) {
	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(kinds); i++) {
		AUTO(buf_deinit) struct buf packed = { 0 };
		struct compressor *compressor = compressor_new(kinds[i]);
		compressor_write(compressor, STR("half of it"), &packed);
		compressor_free(compressor);
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(any_pieces_give_the_whole_back),
		TEST(an_empty_body_is_one_too),
		TEST(a_body_may_be_given_up),
	};
	return TEST_RUN(tests);
}
