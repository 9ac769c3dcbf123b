#include "tsdb/wal.h"

#include "base/hash.h"
#include "base/rand.h"
#include "base/test.h"
#include "codec/compress.h"
#include "tsdb/byte_order.h"

#include <unistd.h>

#define HEADER 7

struct fixture {
	char dir[64];
	struct wal wal;
};

static void fixture_init(struct fixture *fixture, uint64_t segment_size) {
	struct err err = { 0 };

	(void)snprintf(fixture->dir, sizeof(fixture->dir), "/tmp/atoll-wal-XXXXXX");
	assert_non_null(mkdtemp(fixture->dir));
	assert_ok(wal_open(&fixture->wal, fixture->dir, segment_size, 0, &err), err);
}

static void fixture_deinit(struct fixture *fixture) {
	struct err err = { 0 };

	wal_close(&fixture->wal);
	assert_ok(dir_remove_tree(fixture->dir, &err), err);
}

static void put(struct fixture *fixture, struct str bytes, bool pack) {
	struct buf packed = { 0 };
	const struct wal_record record = wal_record_pack(bytes, pack, &packed);
	struct err err = { 0 };

	assert_ok(wal_write(&fixture->wal, &record, 1, &err), err);
	buf_deinit(&packed);
}

/* Bytes that no packing makes smaller, told apart by 'seed'. */
static void noise(struct buf *out, size_t len, uint64_t seed) {
	struct rand rand;

	buf_reset(out);
	rand_init(&rand, seed);
	for (size_t i = 0; i < len; i++) {
		buf_add_byte(out, (char)rand_next(&rand));
	}
}

static void segment_read(const struct fixture *fixture, uint32_t number, struct buf *out) {
	struct buf path = { 0 };
	struct err err = { 0 };

	buf_reset(out);
	wal_segment_path(fixture->dir, number, &path);
	assert_ok(file_read(buf_text(&path), 64 << 20, out, &err), err);
	buf_deinit(&path);
}

/* Reads records until there is no more; returns what the last call said. */
static int count_records(struct str bytes, size_t *count, size_t *at, struct err *err) {
	struct wal_reader reader;
	struct str record;
	int rc;

	*count = 0;
	wal_reader_init(&reader, bytes);
	while ((rc = wal_reader_next(&reader, &record, err)) == 1) {
		(*count)++;
	}
	*at = reader.at;
	wal_reader_close(&reader);
	return rc;
}

/* One fragment with its right checksum. */
static void fragment_add(struct buf *out, uint8_t type, struct str bytes) {
	uint8_t header[HEADER] = { type };

	be16_write(header + 1, (uint16_t)bytes.len);
	be32_write(header + 3, hash_crc32c(0, bytes.ptr, bytes.len));
	buf_append(out, header, sizeof(header));
	buf_add_str(out, bytes);
}

static void records_of_any_size_come_back(void **state) {
	static const size_t sizes[] = { 0, 1, WAL_PAGE - HEADER - 1, WAL_PAGE - HEADER,
		WAL_PAGE - HEADER + 1, 5, WAL_PAGE, 2 * WAL_PAGE, 100, 3 * (WAL_PAGE - HEADER) };
	struct fixture f;
	struct buf bytes = { 0 };
	struct buf segment = { 0 };
	struct wal_reader reader;
	struct str record;
	struct err err = { 0 };

	(void)state;
	fixture_init(&f, WAL_SEGMENT_DEFAULT);
	for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
		noise(&bytes, sizes[i], i);
		put(&f, buf_str(&bytes), false);
	}
	segment_read(&f, 0, &segment);
	wal_reader_init(&reader, buf_str(&segment));
	for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
		noise(&bytes, sizes[i], i);
		assert_int_equal(wal_reader_next(&reader, &record, &err), 1);
		assert_str_equal(record, buf_str(&bytes));
	}
	assert_int_equal(wal_reader_next(&reader, &record, &err), 0);
	wal_reader_close(&reader);
	buf_deinit(&bytes);
	buf_deinit(&segment);
	fixture_deinit(&f);
}

/* The end of a page that has room for less than a header, or for just one. */
static void a_page_may_end_anywhere(void **state) {
	(void)state;
	for (size_t left = 0; left <= HEADER + 2; left++) {
		struct fixture f;
		struct buf bytes = { 0 };
		struct buf segment = { 0 };
		struct err err = { 0 };
		size_t count;
		size_t at;
		fixture_init(&f, WAL_SEGMENT_DEFAULT);
		noise(&bytes, WAL_PAGE - HEADER - left, left);
		put(&f, buf_str(&bytes), false);
		noise(&bytes, 20, left);
		put(&f, buf_str(&bytes), false);
		segment_read(&f, 0, &segment);
		assert_int_equal(count_records(buf_str(&segment), &count, &at, &err), 0);
		assert_int_equal(count, 2);
		assert_int_equal(at, segment.len);
		buf_deinit(&bytes);
		buf_deinit(&segment);
		fixture_deinit(&f);
	}
}

static void no_record_crosses_segments(void **state) {
	struct fixture f;
	struct buf bytes = { 0 };
	struct buf segment = { 0 };
	struct err err = { 0 };
	uint32_t *numbers = NULL;
	size_t segments;
	size_t total = 0;
	struct rand rand;

	(void)state;
	fixture_init(&f, 2 * WAL_PAGE);
	rand_init(&rand, 3);
	for (uint64_t i = 0; i < 300; i++) {
		noise(&bytes, rand_below(&rand, 2 * (WAL_PAGE - HEADER) + 1), i);
		put(&f, buf_str(&bytes), false);
	}
	assert_ok(wal_segments_list(f.dir, &numbers, &segments, &err), err);
	assert_true(segments > 100);
	for (size_t i = 0; i < segments; i++) {
		size_t count;
		size_t at;
		assert_int_equal(numbers[i], i);
		segment_read(&f, numbers[i], &segment);
		assert_true(segment.len <= 2 * WAL_PAGE);
		/* What is not the newest ends with a whole page, as Prometheus wants it. */
		assert_true(i + 1 == segments || segment.len % WAL_PAGE == 0);
		assert_int_equal(count_records(buf_str(&segment), &count, &at, &err), 0);
		total += count;
	}
	assert_int_equal(total, 300);
	free(numbers);
	buf_deinit(&bytes);
	buf_deinit(&segment);
	fixture_deinit(&f);
}

static void refuses_a_record_larger_than_a_segment(void **state) {
	struct fixture f;
	struct buf bytes = { 0 };
	struct wal_record record;
	struct err err = { 0 };

	(void)state;
	fixture_init(&f, WAL_PAGE);
	noise(&bytes, WAL_PAGE - HEADER, 1);
	put(&f, buf_str(&bytes), false);
	noise(&bytes, WAL_PAGE - HEADER + 1, 1);
	record = (struct wal_record){ buf_str(&bytes), false };
	assert_int_equal(wal_write(&f.wal, &record, 1, &err), ERR_LIMIT);
	assert_non_null(strstr(err.text, "wal-segment-size"));
	buf_deinit(&bytes);
	fixture_deinit(&f);
}

static void packs_what_gets_smaller(void **state) {
	struct fixture f;
	struct buf small = { 0 };
	struct buf large = { 0 };
	struct buf segment = { 0 };
	struct wal_reader reader;
	struct str record;
	struct err err = { 0 };

	(void)state;
	fixture_init(&f, WAL_SEGMENT_DEFAULT);
	noise(&small, 50, 1);
	for (int i = 0; i < 20000; i++) {
		buf_printf(&large, "series %d ", i % 100);
	}
	put(&f, buf_str(&small), true);
	put(&f, buf_str(&large), true);
	segment_read(&f, 0, &segment);
	assert_true(segment.len < large.len / 4);
	assert_int_equal(segment.ptr[0], 1);
	wal_reader_init(&reader, buf_str(&segment));
	assert_int_equal(wal_reader_next(&reader, &record, &err), 1);
	assert_str_equal(record, buf_str(&small));
	assert_int_equal(wal_reader_next(&reader, &record, &err), 1);
	assert_str_equal(record, buf_str(&large));
	wal_reader_close(&reader);
	buf_deinit(&small);
	buf_deinit(&large);
	buf_deinit(&segment);
	fixture_deinit(&f);
}

/* Newer ones of Prometheus can be told to write it. */
static void reads_records_packed_by_zstd(void **state) {
	struct buf packed = { 0 };
	struct buf segment = { 0 };
	struct wal_reader reader;
	struct str record;
	struct err err = { 0 };

	(void)state;
	compress_body(COMPRESSION_ZSTD, 3, STR("one and one and one"), &packed);
	fragment_add(&segment, 1 | 0x10, buf_str(&packed));
	wal_reader_init(&reader, buf_str(&segment));
	assert_int_equal(wal_reader_next(&reader, &record, &err), 1);
	assert_str_equal(record, STR("one and one and one"));
	wal_reader_close(&reader);
	buf_deinit(&packed);
	buf_deinit(&segment);
}

static void damage_within_a_packed_record_is_found(void **state) {
	struct buf segment = { 0 };
	struct err err = { 0 };
	size_t count;
	size_t at;

	(void)state;
	fragment_add(&segment, 1, STR("good"));
	at = segment.len;
	fragment_add(&segment, 1 | 0x08, STR("\xff\xff\xff\xff\xff not snappy"));
	assert_int_equal(count_records(buf_str(&segment), &count, &at, &err), ERR_CORRUPT);
	assert_int_equal(count, 1);
	assert_int_equal(at, HEADER + 4);
	buf_deinit(&segment);
}

static void passes_over_pages_of_zeroes(void **state) {
	struct buf segment = { 0 };
	struct err err = { 0 };
	size_t count;
	size_t at;

	(void)state;
	fragment_add(&segment, 1, STR("one"));
	memset(buf_reserve(&segment, 3 * WAL_PAGE), 0, 3 * WAL_PAGE);
	segment.len = 3 * WAL_PAGE;
	fragment_add(&segment, 1, STR("two"));
	assert_int_equal(count_records(buf_str(&segment), &count, &at, &err), 0);
	assert_int_equal(count, 2);
	/* As a file that the system made longer before it lost its power. */
	segment.len = 2 * WAL_PAGE + 100;
	assert_int_equal(count_records(buf_str(&segment), &count, &at, &err), 0);
	assert_int_equal(count, 1);
	segment.ptr[WAL_PAGE + 700] = 1;
	assert_int_equal(count_records(buf_str(&segment), &count, &at, &err), ERR_CORRUPT);
	assert_non_null(strstr(err.text, "padded"));
	assert_int_equal(count, 1);
	assert_int_equal(at, HEADER + 3);
	buf_deinit(&segment);
}

static void refuses_fragments_out_of_order(void **state) {
	static const uint8_t types[][3] = { { 3, 4, 0 }, { 4, 0, 0 }, { 2, 1, 0 }, { 2, 2, 4 },
		{ 2, 3, 1 }, { 5, 0, 0 }, { 2, 3, 0 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(types); i++) {
		struct buf segment = { 0 };
		struct err err = { 0 };
		size_t count;
		size_t at;
		for (size_t k = 0; k < 3 && types[i][k] != 0; k++) {
			fragment_add(&segment, types[i][k], STR("part"));
		}
		assert_int_equal(count_records(buf_str(&segment), &count, &at, &err), ERR_CORRUPT);
		assert_int_equal(count, 0);
		assert_int_equal(at, 0);
		buf_deinit(&segment);
	}
}

/* Whatever one byte of a segment becomes, the reader gives the records before it, and perhaps ends,
 * but never gives other records. */
static void a_changed_byte_ends_the_records_there(void **state) {
	struct fixture f;
	struct buf bytes = { 0 };
	struct buf segment = { 0 };

	(void)state;
	fixture_init(&f, WAL_SEGMENT_DEFAULT);
	for (uint64_t i = 0; i < 6; i++) {
		noise(&bytes, 40, i);
		put(&f, buf_str(&bytes), false);
	}
	segment_read(&f, 0, &segment);
	assert_int_equal(segment.len, 6 * (40 + HEADER));
	for (size_t at = 0; at < segment.len; at++) {
		size_t damaged = at / (40 + HEADER);
		struct wal_reader reader;
		struct str record;
		struct err err = { 0 };
		segment.ptr[at] = (char)(segment.ptr[at] ^ 0x21);
		wal_reader_init(&reader, buf_str(&segment));
		for (uint64_t i = 0; i < damaged; i++) {
			noise(&bytes, 40, i);
			assert_int_equal(wal_reader_next(&reader, &record, &err), 1);
			assert_str_equal(record, buf_str(&bytes));
		}
		assert_int_equal(wal_reader_next(&reader, &record, &err), ERR_CORRUPT);
		assert_int_equal(reader.at, damaged * (40 + HEADER));
		wal_reader_close(&reader);
		segment.ptr[at] = (char)(segment.ptr[at] ^ 0x21);
	}
	buf_deinit(&bytes);
	buf_deinit(&segment);
	fixture_deinit(&f);
}

static void a_torn_end_is_told_from_a_whole_one(void **state) {
	struct fixture f;
	struct buf bytes = { 0 };
	struct buf segment = { 0 };
	struct err err = { 0 };
	size_t first;
	size_t count;
	size_t at;

	(void)state;
	fixture_init(&f, WAL_SEGMENT_DEFAULT);
	noise(&bytes, 100, 1);
	put(&f, buf_str(&bytes), false);
	first = (size_t)f.wal.size;
	noise(&bytes, 2 * WAL_PAGE, 2);
	put(&f, buf_str(&bytes), false);
	segment_read(&f, 0, &segment);
	for (size_t size = first + 1; size < segment.len; size += 211) {
		assert_int_equal(
			count_records((struct str){ segment.ptr, size }, &count, &at, &err),
			ERR_CORRUPT);
		assert_int_equal(count, 1);
		assert_int_equal(at, first);
	}
	assert_int_equal(count_records((struct str){ segment.ptr, first }, &count, &at, &err), 0);
	buf_deinit(&bytes);
	buf_deinit(&segment);
	fixture_deinit(&f);
}

static void finds_segments_and_the_newest_checkpoint(void **state) {
	struct fixture f;
	struct buf path = { 0 };
	char other[128];
	struct err err = { 0 };
	uint32_t *numbers = NULL;
	uint32_t checkpoint = 0;
	size_t count;

	(void)state;
	fixture_init(&f, WAL_PAGE);
	assert_int_equal(wal_checkpoint_find(f.dir, &path, &checkpoint, &err), 0);
	for (int i = 0; i < 10; i++) {
		assert_ok(wal_rotate(&f.wal, &err), err);
	}
	static const char *const folders[] = { "checkpoint.00000002", "checkpoint.00000009",
		"checkpoint.00000011.tmp", "other" };
	for (size_t i = 0; i < ARRAY_COUNT(folders); i++) {
		(void)snprintf(other, sizeof(other), "%s/%s", f.dir, folders[i]);
		assert_ok(dir_make(other, 0700, &err), err);
	}
	assert_ok(wal_segments_list(f.dir, &numbers, &count, &err), err);
	assert_int_equal(count, 11);
	assert_int_equal(numbers[10], 10);
	assert_int_equal(wal_checkpoint_find(f.dir, &path, &checkpoint, &err), 1);
	assert_int_equal(checkpoint, 9);
	assert_true(str_ends(buf_str(&path), STR("/checkpoint.00000009")));
	free(numbers);
	buf_deinit(&path);
	fixture_deinit(&f);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(records_of_any_size_come_back),
		TEST(a_page_may_end_anywhere),
		TEST(no_record_crosses_segments),
		TEST(refuses_a_record_larger_than_a_segment),
		TEST(packs_what_gets_smaller),
		TEST(reads_records_packed_by_zstd),
		TEST(damage_within_a_packed_record_is_found),
		TEST(passes_over_pages_of_zeroes),
		TEST(refuses_fragments_out_of_order),
		TEST(a_changed_byte_ends_the_records_there),
		TEST(a_torn_end_is_told_from_a_whole_one),
		TEST(finds_segments_and_the_newest_checkpoint),
	};
	return TEST_RUN(tests);
}
