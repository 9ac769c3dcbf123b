/*
 * Any bytes as a file of head chunks: opened, read back, cut where damaged, opened again.
 *
 * The first byte says whether header and checksums are put right first, so that what is behind them
 * is reached.
 */
#include "base/check.h"
#include "base/hash.h"
#include "base/memory.h"
#include "chunk/xor.h"
#include "tsdb/byte_order.h"
#include "tsdb/chunk_files.h"
#include "tsdb/fuzz_dir.h"

#define HEADER ((size_t)8)
#define FIXED ((size_t)25)
#define CHUNKS_MAX 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
	uint64_t refs[CHUNKS_MAX];
	uint64_t hashes[CHUNKS_MAX];
	size_t count;
};

static uint64_t record_hash(const struct chunk_record *record) {
	uint64_t hash = hash_mix(record->series, (uint64_t)record->min_ms);

	hash = hash_mix(hash, (uint64_t)record->max_ms);
	return hash_mix(hash, hash_bytes(record->data, record->len, record->encoding));
}

static int chunk_see(
	void *context, uint64_t ref, const struct chunk_record *record, struct err *err) {
	struct seen *seen = context;

	(void)err;
	if (seen->count < CHUNKS_MAX) {
		seen->refs[seen->count] = ref;
		seen->hashes[seen->count++] = record_hash(record);
	}
	return 0;
}

static void chunk_unpack(const struct chunk_record *record) {
	size_t count = xor_count(record->data, record->len);
	int64_t *times = MEMORY_NEW(int64_t, count + 1);
	double *values = MEMORY_NEW(double, count + 1);
	int rc = xor_decode(record->data, record->len, count, times, values, NULL);

	CHECK(rc == 0 || rc == ERR_CORRUPT);
	free(times);
	free(values);
}

/* Opens the folder; each chunk told can be had again. Returns whether something was damaged. */
static bool files_check(const char *dir, struct seen *seen) {
	struct epochs epochs;
	struct chunk_files files;
	struct chunk_scan_result result;
	struct err err = { 0 };

	seen->count = 0;
	epochs_init(&epochs);
	chunk_files_init(&files, dir, NULL, &epochs);
	CHECK(chunk_files_open(&files, chunk_see, seen, &result, &err) == 0);
	for (size_t i = 0; i < seen->count; i++) {
		struct chunk_record record = { 0 };
		CHECK(chunk_files_get(&files, seen->refs[i], &record, &err) == 0);
		CHECK(record_hash(&record) == seen->hashes[i]);
		chunk_unpack(&record);
	}
	chunk_files_deinit(&files);
	epochs_deinit(&epochs);
	return result.is_corrupt;
}

/* Gives the file its header and every entry the checksum that it should have. */
static void file_mend(uint8_t *bytes, size_t size) {
	static const uint8_t header[HEADER] = { 0x01, 0x30, 0xBC, 0x91, 1 };
	size_t at = HEADER;

	memcpy(bytes, header, size < HEADER ? size : HEADER);
	while (at + FIXED + 1 + 4 <= size) {
		struct byte_reader reader = { bytes + at + FIXED, bytes + size, false };
		uint64_t len = uvarint_take(&reader);
		size_t begin = at;
		if (reader.is_bad || len + 4 > bytes_left(&reader)) {
			return;
		}
		at = (size_t)(reader.at - bytes) + (size_t)len;
		be32_write(bytes + at, hash_crc32c(0, bytes + begin, at - begin));
		at += 4;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	static const char *dir;
	static struct seen first;
	static struct seen second;
	uint8_t *bytes;

	if (size < 2) {
		return 0;
	}
	dir = dir ? dir : fuzz_dir_make();
	bytes = MEMORY_NEW(uint8_t, size - 1);
	memcpy(bytes, data + 1, size - 1);
	if (data[0] % 8 != 0) {
		file_mend(bytes, size - 1);
	}
	fuzz_file_write(dir, "000001", (struct str){ (char *)bytes, size - 1 });
	free(bytes);
	(void)files_check(dir, &first);
	CHECK(!files_check(dir, &second));
	CHECK(first.count == second.count);
	CHECK(memcmp(first.hashes, second.hashes, first.count * sizeof(first.hashes[0])) == 0);
	return 0;
}
