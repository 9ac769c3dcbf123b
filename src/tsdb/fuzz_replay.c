/*
 * Whole data directories: chunks and log in any order, with or without sense, damaged or not.
 *
 * The input tells what to write. Whatever opens is repaired by that: opened again it is whole, and
 * holds the very same samples.
 */
#include "base/check.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/memory.h"
#include "chunk/xor.h"
#include "tsdb/byte_order.h"
#include "tsdb/chunk_files.h"
#include "tsdb/fuzz_dir.h"
#include "tsdb/record.h"
#include "tsdb/tsdb.h"
#include "tsdb/wal.h"

/* References are below; few, so that they meet. */
#define REFS 6
#define START_MS INT64_C(1767225600000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A sum over all series and samples that does not depend on their order; 'failed' counts series
 * whose chunks cannot be read. */
struct digest {
	uint64_t sum;
	size_t series;
	size_t failed;
};

static uint64_t column_hash(const struct sample_column *column) {
	uint64_t hash = hash_bytes(
		column->times_ms, column->count * sizeof(column->times_ms[0]), column->count);

	return hash_bytes(column->values, column->count * sizeof(column->values[0]), hash);
}

static struct digest digest_of(struct tsdb *db) {
	const struct select_request request = { .min_ms = INT64_MIN, .max_ms = INT64_MAX };
	struct digest digest = { 0 };
	struct arena arena = { 0 };
	struct series_set *set = NULL;
	struct sample_column column = { 0 };
	int rc;

	CHECK(store_select(tsdb_store(db), &request, &arena, &set, NULL) == 0);
	while ((rc = series_set_next(set, NULL)) == 1) {
		if (series_set_read(set, &column, NULL) < 0) {
			digest.failed++;
			continue;
		}
		for (size_t i = 1; i < column.count; i++) {
			CHECK(column.times_ms[i] > column.times_ms[i - 1]);
		}
		digest.series++;
		digest.sum += hash_mix(labels_hash(&set->labels), column_hash(&column));
	}
	CHECK(rc == 0);
	series_set_close(set);
	sample_column_deinit(&column);
	arena_deinit(&arena);
	return digest;
}

/* Opens what is there and reads all of it. Returns whether that was possible. */
static bool directory_check(const char *dir, struct digest *digest, uint64_t *corruptions) {
	struct clock clock;
	struct tsdb_options options;
	struct tsdb_stats stats;
	struct tsdb *db = NULL;
	int rc;

	clock_init_manual(&clock, START_MS);
	tsdb_options_init(&options);
	options.path = dir;
	options.clock = &clock;
	options.retention_ms = INT64_C(1) << 60;
	rc = tsdb_open(&options, &db, NULL);
	if (rc < 0) {
		return false;
	}
	tsdb_stats_get(db, &stats);
	*corruptions = stats.replay_corruptions;
	*digest = digest_of(db);
	CHECK(tsdb_close(db, NULL) == 0);
	return true;
}

/* Reads a small number from the input; zeroes when it is at its end. */
static unsigned number(struct byte_reader *input, unsigned below) {
	return byte_take(input) % below;
}

static int64_t time_of(struct byte_reader *input) {
	return START_MS + (int64_t)number(input, 256) * 100000;
}

struct directory {
	struct wal wal;
	struct epochs epochs;
	struct chunk_files files;
};

static void chunk_write(struct directory *directory, struct byte_reader *input) {
	struct chunk_record record = { .series = number(input, REFS),
		.min_ms = time_of(input),
		.encoding = (uint8_t)(number(input, 8) == 0 ? 2 : CHUNK_ENCODING_XOR) };
	int64_t step_ms = 1 + (int64_t)number(input, 200) * 1000;
	unsigned count = 1 + number(input, 12);
	struct xor_tail tail = { 0 };
	struct buf chunk = { 0 };
	uint64_t ref;

	record.series += record.series == 0 ? 77 : 0; /* 0 cannot be staged. */
	for (unsigned i = 0; i < count; i++) {
		record.max_ms = record.min_ms + i * step_ms;
		xor_append_buf(&tail, &chunk, record.max_ms, i + record.series);
	}
	record.data = (const uint8_t *)chunk.ptr;
	record.len = chunk.len - number(input, 16) / 15;
	CHECK(chunk_files_stage(&directory->files, &record, &ref, NULL) == 0);
	CHECK(chunk_files_write(&directory->files, NULL) == 0);
	buf_deinit(&chunk);
}

static void record_write(struct directory *directory, struct buf *bytes, bool pack) {
	struct buf packed = { 0 };
	struct wal_record record = wal_record_pack(buf_str(bytes), pack, &packed);

	CHECK(wal_write(&directory->wal, &record, 1, NULL) == 0);
	buf_deinit(&packed);
}

static void series_add(struct byte_reader *input, struct buf *out) {
	static const char *const values[] = { "a", "b", "c", "d" };
	unsigned labels = 1 + number(input, 2);

	record_series_begin(out);
	record_series_add(out, number(input, REFS), labels);
	for (unsigned i = 0; i < labels; i++) {
		record_label_add(out, str_of(i == 0 ? "x" : "y"),
			str_of(values[number(input, ARRAY_COUNT(values))]));
	}
}

static void samples_add(struct byte_reader *input, struct buf *out) {
	struct record_samples record;
	unsigned count = number(input, 16);

	record_samples_begin(&record, out);
	for (unsigned i = 0; i < count; i++) {
		uint64_t ref = number(input, REFS);
		record_samples_add(&record, ref, time_of(input), i + ref);
	}
}

static void log_record_write(struct directory *directory, struct byte_reader *input) {
	struct buf bytes = { 0 };
	unsigned kind = number(input, 8);

	if (kind < 3) {
		series_add(input, &bytes);
	} else if (kind < 6) {
		samples_add(input, &bytes);
	} else if (kind == 6) {
		record_tombstones_begin(&bytes);
		record_tombstone_add(&bytes, number(input, REFS), time_of(input), time_of(input));
	} else {
		for (unsigned i = number(input, 16); i > 0; i--) {
			buf_add_byte(&bytes, (char)byte_take(input));
		}
	}
	record_write(directory, &bytes, number(input, 2) == 0);
	buf_deinit(&bytes);
}

/* Changes one byte of a file, or cuts it there. */
static void file_damage(const char *dir, const char *name, struct byte_reader *input) {
	struct buf bytes = { 0 };
	char path[96];
	size_t at;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	if (!path_exists(path)) {
		return;
	}
	CHECK(file_read(path, CHUNK_FILE_SIZE_MAX, &bytes, NULL) == 0);
	at = bytes.len > 0 ? (number(input, 256) * 256 + number(input, 256)) % bytes.len : 0;
	if (bytes.len > 0 && number(input, 2) == 0) {
		bytes.len = at;
	} else if (bytes.len > 0) {
		bytes.ptr[at] = (char)byte_take(input);
	}
	fuzz_file_write(dir, name, buf_str(&bytes));
	buf_deinit(&bytes);
}

/* What the input tells to write: chunks, records, further segments and files, damage. */
static void directory_write(const char *dir, struct byte_reader *input) {
	struct directory directory = { 0 };
	char wal_dir[96];
	char chunks_dir[96];
	unsigned damage = number(input, 4);

	CHECK(dir_remove_tree(dir, NULL) == 0);
	(void)snprintf(wal_dir, sizeof(wal_dir), "%s/wal", dir);
	(void)snprintf(chunks_dir, sizeof(chunks_dir), "%s/chunks_head", dir);
	CHECK(dir_make(wal_dir, 0700, NULL) == 0 && dir_make(chunks_dir, 0700, NULL) == 0);
	epochs_init(&directory.epochs);
	chunk_files_init(&directory.files, chunks_dir, NULL, &directory.epochs);
	CHECK(wal_open(&directory.wal, wal_dir, WAL_PAGE, 0, NULL) == 0);
	while (bytes_left(input) > 8) {
		switch (number(input, 8)) {
		case 0:
			CHECK(wal_rotate(&directory.wal, NULL) == 0);
			break;
		case 1:
		case 2:
			chunk_write(&directory, input);
			break;
		default:
			log_record_write(&directory, input);
			break;
		}
	}
	wal_close(&directory.wal);
	chunk_files_deinit(&directory.files);
	epochs_deinit(&directory.epochs);
	if ((damage & 1) != 0) {
		file_damage(wal_dir, number(input, 2) == 0 ? "00000000" : "00000001", input);
	}
	if ((damage & 2) != 0) {
		file_damage(chunks_dir, "000001", input);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	static const char *dir;
	struct byte_reader input = { data, data + size, false };
	struct digest first = { 0 };
	struct digest second = { 0 };
	uint64_t corruptions = 0;

	if (size > 600) {
		return 0;
	}
	log_set_level(LOG_ERROR);
	dir = dir ? dir : fuzz_dir_make();
	directory_write(dir, &input);
	if (!directory_check(dir, &first, &corruptions)) {
		return 0;
	}
	CHECK(directory_check(dir, &second, &corruptions));
	CHECK(corruptions == 0);
	CHECK(first.series == second.series && first.failed == second.failed);
	CHECK(first.sum == second.sum);
	return 0;
}
