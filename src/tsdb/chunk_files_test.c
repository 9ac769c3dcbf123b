#include "tsdb/chunk_files.h"

#include "base/hash.h"
#include "base/test.h"
#include "tsdb/byte_order.h"

#include <unistd.h>

#define HEADER 8
/* Of a record whose data is 10 bytes: reference, times, encoding, length, data, checksum. */
#define RECORD (25 + 1 + 10 + 4)

struct fixture {
	char dir[64];
	struct epochs epochs;
	struct chunk_files files;
	struct chunk_scan_result result;
	uint64_t series[64]; /* What the scan told. */
	size_t count;
};

static int see(void *context, uint64_t ref, const struct chunk_record *record, struct err *err) {
	struct fixture *fixture = context;

	(void)ref;
	(void)err;
	fixture->series[fixture->count++] = record->series;
	return 0;
}

static void open_again(struct fixture *fixture) {
	struct err err = { 0 };

	fixture->count = 0;
	epochs_init(&fixture->epochs);
	chunk_files_init(&fixture->files, fixture->dir, NULL, &fixture->epochs);
	assert_ok(chunk_files_open(&fixture->files, see, fixture, &fixture->result, &err), err);
}

static void close_files(struct fixture *fixture) {
	chunk_files_deinit(&fixture->files);
	epochs_deinit(&fixture->epochs);
}

static void reopen(struct fixture *fixture) {
	close_files(fixture);
	open_again(fixture);
}

static void fixture_init(struct fixture *fixture) {
	*fixture = (struct fixture){ 0 };
	(void)snprintf(fixture->dir, sizeof(fixture->dir), "/tmp/atoll-chunks-XXXXXX");
	assert_non_null(mkdtemp(fixture->dir));
	open_again(fixture);
}

static void fixture_deinit(struct fixture *fixture) {
	struct err err = { 0 };

	close_files(fixture);
	assert_ok(dir_remove_tree(fixture->dir, &err), err);
}

/* Writes one chunk of ten bytes; returns its reference. */
static uint64_t put(struct fixture *fixture, uint64_t series) {
	const struct chunk_record record = { .series = series,
		.min_ms = (int64_t)series * 100,
		.max_ms = (int64_t)series * 100 + 50,
		.encoding = 1,
		.data = (const uint8_t *)"0123456789",
		.len = 10 };
	struct err err = { 0 };
	uint64_t ref = 0;

	assert_ok(chunk_files_stage(&fixture->files, &record, &ref, &err), err);
	assert_ok(chunk_files_write(&fixture->files, &err), err);
	return ref;
}

static void path_of(const struct fixture *fixture, const char *name, char *out, size_t size) {
	(void)snprintf(out, size, "%s/%s", fixture->dir, name);
}

static void flip_byte(const struct fixture *fixture, const char *name, long at) {
	char path[96];
	FILE *file;
	int byte;

	path_of(fixture, name, path, sizeof(path));
	file = fopen(path, "r+b");
	assert_non_null(file);
	assert_int_equal(fseek(file, at, SEEK_SET), 0);
	byte = fgetc(file);
	assert_int_equal(fseek(file, at, SEEK_SET), 0);
	assert_int_not_equal(fputc(byte ^ 0x41, file), EOF);
	assert_int_equal(fclose(file), 0);
}

static void resize(const struct fixture *fixture, const char *name, off_t size) {
	char path[96];

	path_of(fixture, name, path, sizeof(path));
	assert_int_equal(truncate(path, size), 0);
}

static bool is_there(const struct fixture *fixture, const char *name) {
	char path[96];

	path_of(fixture, name, path, sizeof(path));
	return path_exists(path);
}

static void a_chunk_can_be_read_when_it_is_written(void **state) {
	struct fixture f;
	struct chunk_record record = { 0 };
	struct err err = { 0 };
	uint64_t first;
	uint64_t second;

	(void)state;
	fixture_init(&f);
	first = put(&f, 7);
	second = put(&f, 8);
	assert_int_equal(first, UINT64_C(1) << 32 | HEADER);
	assert_int_equal(second - first, RECORD);
	assert_ok(chunk_files_get(&f.files, second, &record, &err), err);
	assert_int_equal(record.series, 8);
	assert_int_equal(record.min_ms, 800);
	assert_int_equal(record.max_ms, 850);
	assert_memory_equal(record.data, "0123456789", 10);
	reopen(&f);
	assert_int_equal(f.count, 2);
	assert_false(f.result.is_corrupt);
	assert_ok(chunk_files_get(&f.files, first, &record, &err), err);
	assert_int_equal(record.series, 7);
	fixture_deinit(&f);
}

static void a_start_begins_a_new_file(void **state) {
	struct fixture f;

	(void)state;
	fixture_init(&f);
	(void)put(&f, 1);
	reopen(&f);
	assert_int_equal(put(&f, 2), UINT64_C(2) << 32 | HEADER);
	assert_true(is_there(&f, "000002"));
	reopen(&f);
	assert_int_equal(f.count, 2);
	fixture_deinit(&f);
}

static void a_torn_last_chunk_is_cut_off(void **state) {
	(void)state;
	/* Its first seven bytes are zeroes, as a file has behind its end. */
	for (off_t size = HEADER + RECORD + 8; size < HEADER + 2 * RECORD; size++) {
		struct fixture f;
		fixture_init(&f);
		(void)put(&f, 1);
		(void)put(&f, 2);
		resize(&f, "000001", size);
		reopen(&f);
		assert_int_equal(f.count, 1);
		assert_true(f.result.is_corrupt);
		assert_non_null(strstr(f.result.damage.text, "000001"));
		reopen(&f);
		assert_int_equal(f.count, 1);
		assert_false(f.result.is_corrupt);
		fixture_deinit(&f);
	}
}

static void zeroes_behind_the_last_chunk_are_its_end(void **state) {
	struct fixture f;

	(void)state;
	fixture_init(&f);
	(void)put(&f, 1);
	resize(&f, "000001", HEADER + RECORD + 3000);
	reopen(&f);
	assert_int_equal(f.count, 1);
	assert_false(f.result.is_corrupt);
	fixture_deinit(&f);
}

static void a_wrong_checksum_ends_the_files_there(void **state) {
	(void)state;
	for (long at = 0; at < RECORD; at++) {
		struct fixture f;
		fixture_init(&f);
		(void)put(&f, 1);
		(void)put(&f, 2);
		(void)put(&f, 3);
		reopen(&f);
		(void)put(&f, 4);
		reopen(&f);
		(void)put(&f, 5);
		flip_byte(&f, "000001", HEADER + RECORD + at);
		reopen(&f);
		assert_int_equal(f.count, 1);
		assert_int_equal(f.series[0], 1);
		assert_true(f.result.is_corrupt);
		assert_false(is_there(&f, "000002"));
		assert_false(is_there(&f, "000003"));
		reopen(&f);
		assert_int_equal(f.count, 1);
		assert_false(f.result.is_corrupt);
		fixture_deinit(&f);
	}
}

static void a_file_without_a_header_goes(void **state) {
	static const off_t sizes[] = { 0, 3, HEADER };

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
		struct fixture f;
		fixture_init(&f);
		(void)put(&f, 1);
		reopen(&f);
		(void)put(&f, 2);
		resize(&f, "000002", sizes[i]);
		reopen(&f);
		assert_int_equal(f.count, 1);
		assert_int_equal(f.result.is_corrupt, sizes[i] < HEADER);
		assert_int_equal(is_there(&f, "000002"), sizes[i] >= HEADER);
		(void)put(&f, 3);
		reopen(&f);
		assert_int_equal(f.count, 2);
		assert_int_equal(f.series[1], 3);
		fixture_deinit(&f);
	}
}

static void refuses_a_gap_between_files(void **state) {
	struct fixture f;
	struct err err = { 0 };
	char path[96];

	(void)state;
	fixture_init(&f);
	for (uint64_t i = 1; i <= 3; i++) {
		(void)put(&f, i);
		reopen(&f);
	}
	path_of(&f, "000002", path, sizeof(path));
	assert_ok(file_remove(path, &err), err);
	close_files(&f);
	epochs_init(&f.epochs);
	chunk_files_init(&f.files, f.dir, NULL, &f.epochs);
	assert_int_equal(chunk_files_open(&f.files, see, &f, &f.result, &err), ERR_CORRUPT);
	assert_non_null(strstr(err.text, "000001 is followed by 000003"));
	fixture_deinit(&f);
}

static void refuses_a_length_past_all_sense(void **state) {
	uint8_t bytes[64] = { 0 };
	struct chunk_record record;
	struct err err = { 0 };

	(void)state;
	be64_write(bytes, 1);
	bytes[24] = 1;
	assert_true(uvarint_write(bytes + 25, UINT64_MAX) == 10);
	assert_int_equal(chunk_record_read(bytes, sizeof(bytes), 0, &record, &err), ERR_CORRUPT);
	assert_true(uvarint_write(bytes + 25, CHUNK_DATA_MAX) > 0);
	assert_int_equal(chunk_record_read(bytes, sizeof(bytes), 0, &record, &err), ERR_CORRUPT);
	assert_non_null(strstr(err.text, "ends past"));
}

static void old_files_go_when_no_reader_has_them(void **state) {
	struct fixture f;
	struct epoch_reader reader;
	struct chunk_record record = { 0 };
	struct err err = { 0 };
	uint64_t first;
	const uint8_t *data;

	(void)state;
	fixture_init(&f);
	first = put(&f, 1);
	reopen(&f);
	(void)put(&f, 2);
	epochs_enter(&f.epochs, &reader);
	assert_ok(chunk_files_get(&f.files, first, &record, &err), err);
	data = record.data;
	assert_int_equal(chunk_files_first_since(&f.files, 150), 1);
	assert_int_equal(chunk_files_first_since(&f.files, 151), 2);
	assert_ok(chunk_files_drop(&f.files, 2, &err), err);
	assert_false(is_there(&f, "000001"));
	assert_int_equal(epochs_collect(&f.epochs), 1);
	assert_ok(chunk_files_get(&f.files, first, &record, &err), err);
	assert_memory_equal(data, "0123456789", 10);
	epochs_leave(&f.epochs, &reader);
	assert_int_equal(epochs_collect(&f.epochs), 0);
	assert_int_equal(chunk_files_get(&f.files, first, &record, &err), ERR_CORRUPT);
	/* The newest file stays, however old. */
	assert_int_equal(chunk_files_first_since(&f.files, INT64_MAX), 2);
	fixture_deinit(&f);
}

static void what_is_discarded_was_never_there(void **state) {
	const struct chunk_record record = {
		.series = 9, .encoding = 1, .data = (const uint8_t *)"x", .len = 1
	};
	struct fixture f;
	struct err err = { 0 };
	uint64_t ref;

	(void)state;
	fixture_init(&f);
	assert_ok(chunk_files_stage(&f.files, &record, &ref, &err), err);
	chunk_files_discard(&f.files);
	assert_ok(chunk_files_write(&f.files, &err), err);
	assert_int_equal(put(&f, 1), ref);
	reopen(&f);
	assert_int_equal(f.count, 1);
	assert_int_equal(f.series[0], 1);
	fixture_deinit(&f);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(a_chunk_can_be_read_when_it_is_written),
		TEST(a_start_begins_a_new_file),
		TEST(a_torn_last_chunk_is_cut_off),
		TEST(zeroes_behind_the_last_chunk_are_its_end),
		TEST(a_wrong_checksum_ends_the_files_there),
		TEST(a_file_without_a_header_goes),
		TEST(refuses_a_gap_between_files),
		TEST(refuses_a_length_past_all_sense),
		TEST(old_files_go_when_no_reader_has_them),
		TEST(what_is_discarded_was_never_there),
	};
	return TEST_RUN(tests);
}
