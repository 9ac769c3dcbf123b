#include "codec/compress.h"

#include "base/rand.h"
#include "base/test.h"

static const enum compression all[] = { COMPRESSION_NONE, COMPRESSION_GZIP, COMPRESSION_DEFLATE,
	COMPRESSION_ZSTD };

/* 'len' bytes that compress well or not at all. */
static void fill(struct buf *out, size_t len, bool is_random) {
	struct rand rand;
	rand_init(&rand, len);
	for (size_t i = 0; i < len; i++) {
		buf_add_byte(out, is_random ? (char)rand_next(&rand) : (char)('a' + i / 100 % 7));
	}
}

static void gives_back_what_was_compressed(void **state) {
	(void)state;
	static const size_t lens[] = { 0, 1, 4095, 4096, 70000, 1000000 };
	for (size_t i = 0; i < ARRAY_COUNT(all) * ARRAY_COUNT(lens) * 2; i++) {
		enum compression kind = all[i % ARRAY_COUNT(all)];
		AUTO(buf_deinit) struct buf in = { 0 };
		AUTO(buf_deinit) struct buf packed = { 0 };
		AUTO(buf_deinit) struct buf out = { 0 };
		struct err err = { 0 };
		fill(&in, lens[i / 8], i / 4 % 2);
		buf_add_text(&out, "kept");
		compress_body(kind, 0, buf_str(&in), &packed);
		assert_ok(decompress_body(kind, buf_str(&packed), in.len, &out, &err), err);
		assert_str_equal(str_first(buf_str(&out), 4), STR("kept"));
		assert_true(str_equal(str_from(buf_str(&out), 4), buf_str(&in)));
	}
}

static void refuses_a_body_past_the_limit_and_names_it(void **state) {
	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(all); i++) {
		AUTO(buf_deinit) struct buf in = { 0 };
		AUTO(buf_deinit) struct buf packed = { 0 };
		AUTO(buf_deinit) struct buf out = { 0 };
		struct err err = { 0 };
		fill(&in, 1000000, false);
		compress_body(all[i], 0, buf_str(&in), &packed);
		assert_int_equal(decompress_body(all[i], buf_str(&packed), in.len - 1, &out, &err),
			ERR_LIMIT);
		assert_non_null(strstr(err.text, "999999"));
		assert_int_equal(out.len, 0);
		assert_true(out.capacity < 3000000);
	}
}

static void refuses_what_is_damaged_or_cut_short(void **state) {
	(void)state;
	for (size_t i = 1; i < ARRAY_COUNT(all); i++) {
		AUTO(buf_deinit) struct buf in = { 0 };
		AUTO(buf_deinit) struct buf packed = { 0 };
		AUTO(buf_deinit) struct buf out = { 0 };
		fill(&in, 5000, true);
		compress_body(all[i], 0, buf_str(&in), &packed);
		struct str cut = str_first(buf_str(&packed), packed.len - 1);
		assert_int_equal(decompress_body(all[i], cut, 100000, &out, NULL), ERR_CORRUPT);
		assert_int_equal(
			decompress_body(all[i], STR_EMPTY, 100000, &out, NULL), ERR_CORRUPT);
		assert_int_equal(decompress_body(all[i], STR("hello, world"), 100000, &out, NULL),
			ERR_CORRUPT);
		assert_int_equal(out.len, 0);
	}
}

static void refuses_bytes_behind_the_end(void **state) {
	(void)state;
	for (size_t i = 1; i < ARRAY_COUNT(all); i++) {
		AUTO(buf_deinit) struct buf packed = { 0 };
		AUTO(buf_deinit) struct buf out = { 0 };
		compress_body(all[i], 0, STR("text"), &packed);
		buf_add_text(&packed, "more");
		assert_int_equal(
			decompress_body(all[i], buf_str(&packed), 1000, &out, NULL), ERR_CORRUPT);
	}
}

static void reads_gzip_of_several_members(void **state) {
	(void)state;
	AUTO(buf_deinit) struct buf packed = { 0 };
	AUTO(buf_deinit) struct buf out = { 0 };
	struct err err = { 0 };
	compress_body(COMPRESSION_GZIP, 1, STR("one "), &packed);
	compress_body(COMPRESSION_GZIP, 9, STR("two"), &packed);
	assert_ok(decompress_body(COMPRESSION_GZIP, buf_str(&packed), 100, &out, &err), err);
	assert_str_equal(buf_str(&out), STR("one two"));
}

static void reads_deflate_without_wrapping(void **state) {
	(void)state;
	/* "hello" in a stored block. */
	static const char raw[] = "\x01\x05\x00\xfa\xffhello";
	AUTO(buf_deinit) struct buf out = { 0 };
	struct err err = { 0 };
	assert_ok(decompress_body(COMPRESSION_DEFLATE, (struct str){ raw, sizeof(raw) - 1 }, 100,
			  &out, &err),
		err);
	assert_str_equal(buf_str(&out), STR("hello"));
}

static void reads_zstd_of_several_frames(void **state) {
	(void)state;
	AUTO(buf_deinit) struct buf packed = { 0 };
	AUTO(buf_deinit) struct buf out = { 0 };
	struct err err = { 0 };
	compress_body(COMPRESSION_ZSTD, 1, STR("one "), &packed);
	compress_body(COMPRESSION_ZSTD, 19, STR("two"), &packed);
	assert_ok(decompress_body(COMPRESSION_ZSTD, buf_str(&packed), 100, &out, &err), err);
	assert_str_equal(buf_str(&out), STR("one two"));
}

static void refuses_zstd_that_wants_a_huge_window(void **state) {
	(void)state;
	/* A frame header that asks for 128 MiB, and an empty last block. */
	static const char frame[] = "\x28\xb5\x2f\xfd\x00\x88\x01\x00\x00";
	AUTO(buf_deinit) struct buf out = { 0 };
	assert_int_equal(decompress_body(COMPRESSION_ZSTD, (struct str){ frame, sizeof(frame) - 1 },
				 100, &out, NULL),
		ERR_CORRUPT);
}

static void gives_back_snappy_blocks(void **state) {
	(void)state;
	static const size_t lens[] = { 0, 1, 100000 };
	for (size_t i = 0; i < ARRAY_COUNT(lens); i++) {
		AUTO(buf_deinit) struct buf in = { 0 };
		AUTO(buf_deinit) struct buf packed = { 0 };
		AUTO(buf_deinit) struct buf out = { 0 };
		struct err err = { 0 };
		fill(&in, lens[i], false);
		snappy_compress_block(buf_str(&in), &packed);
		assert_ok(snappy_decompress_block(buf_str(&packed), in.len, &out, &err), err);
		assert_true(str_equal(buf_str(&out), buf_str(&in)));
		if (in.len > 0) {
			assert_int_equal(
				snappy_decompress_block(buf_str(&packed), in.len - 1, &out, NULL),
				ERR_LIMIT);
		}
	}
}

static void refuses_damaged_snappy_blocks(void **state) {
	(void)state;
	static const struct str blocks[] = { { "", 0 }, { "\xff\xff\xff\xff\x0f", 5 },
		{ "\x05\x00"
		  "a",
			3 },
		{ "\x04\xff\xff\xff\xff", 5 } };
	for (size_t i = 0; i < ARRAY_COUNT(blocks); i++) {
		AUTO(buf_deinit) struct buf out = { 0 };
		buf_add_text(&out, "kept");
		assert_int_equal(snappy_decompress_block(blocks[i], 1000, &out, NULL), ERR_CORRUPT);
		assert_str_equal(buf_str(&out), STR("kept"));
	}
}

static void knows_the_names_of_content_encodings(void **state) {
	(void)state;
	for (size_t i = 1; i < ARRAY_COUNT(all); i++) {
		enum compression kind = COMPRESSION_NONE;
		assert_true(compression_parse(str_of(compression_name(all[i])), &kind));
		assert_int_equal(kind, all[i]);
	}
	enum compression kind = COMPRESSION_ZSTD;
	assert_false(compression_parse(STR("br"), &kind));
	assert_int_equal(kind, COMPRESSION_ZSTD);
	assert_true(compression_parse(STR("identity"), &kind));
	assert_int_equal(kind, COMPRESSION_NONE);
	assert_null(compression_name(COMPRESSION_NONE));
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(gives_back_what_was_compressed),
		TEST(refuses_a_body_past_the_limit_and_names_it),
		TEST(refuses_what_is_damaged_or_cut_short),
		TEST(refuses_bytes_behind_the_end),
		TEST(reads_gzip_of_several_members),
		TEST(reads_deflate_without_wrapping),
		TEST(reads_zstd_of_several_frames),
		TEST(refuses_zstd_that_wants_a_huge_window),
		TEST(gives_back_snappy_blocks),
		TEST(refuses_damaged_snappy_blocks),
		TEST(knows_the_names_of_content_encodings),
	};
	return TEST_RUN(tests);
}
