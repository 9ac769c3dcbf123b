#include "tsdb/chunk_files.h"

#include "base/check.h"
#include "base/hash.h"
#include "base/memory.h"
#include "tsdb/byte_order.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define MAGIC UINT32_C(0x0130BC91)
#define VERSION 1
#define HEADER 8
/* Reference, two times, encoding; then the length, the data and the checksum. */
#define FIXED 25
#define CHECKSUM 4

static void path_of(const struct chunk_files *files, uint32_t number, struct buf *path) {
	buf_printf(path, "%s/%06" PRIu32, files->dir, number);
}

void chunk_files_init(
	struct chunk_files *files, const char *dir, const char *scratch, struct epochs *epochs) {
	size_t len = strlen(dir) + 1;

	*files = (struct chunk_files){ .epochs = epochs, .scratch = scratch, .next_number = 1 };
	files->dir = memory_resize(NULL, len, 1);
	memcpy(files->dir, dir, len);
	lock_init(&files->lock, LOCK_RANK_LEAF);
	chunk_files_discard(files);
}

static void file_free(struct chunk_file *file) {
	append_file_close(&file->written);
	file_unmap(&file->mapping);
	free(file);
}

void chunk_files_deinit(struct chunk_files *files) {
	for (size_t i = 0; i < files->count; i++) {
		file_free(files->files[i]);
	}
	free(files->files);
	free(files->dir);
	buf_deinit(&files->staged);
	lock_deinit(&files->lock);
}

static void file_add(struct chunk_files *files, struct chunk_file *file) {
	lock_take(&files->lock);
	if (files->count == files->capacity) {
		files->capacity = files->capacity > 0 ? files->capacity * 2 : 16;
		files->files =
			memory_resize(files->files, files->capacity, sizeof(struct chunk_file *));
	}
	files->files[files->count++] = file;
	files->next_number = file->number + 1;
	lock_drop(&files->lock);
}

static bool all_zero(const uint8_t *bytes, size_t size) {
	for (size_t i = 0; i < size; i++) {
		if (bytes[i] != 0) {
			return false;
		}
	}
	return true;
}

int64_t chunk_record_read(
	const uint8_t *bytes, size_t size, size_t at, struct chunk_record *out, struct err *err) {
	struct byte_reader reader = { bytes + at, bytes + size, false };
	struct chunk_record record = { 0 };
	uint64_t len;
	const uint8_t *checksum;
	uint32_t expected;

	if (size - at < FIXED && all_zero(bytes + at, size - at)) {
		return 0;
	}
	record.series = be64_take(&reader);
	record.min_ms = (int64_t)be64_take(&reader);
	record.max_ms = (int64_t)be64_take(&reader);
	if (!reader.is_bad && record.series == 0 && record.min_ms == 0 && record.max_ms == 0) {
		return 0;
	}
	record.encoding = byte_take(&reader);
	len = uvarint_take(&reader);
	if (reader.is_bad || len > CHUNK_DATA_MAX) {
		return err_set(err, ERR_CORRUPT, "chunk at %zu: its header makes no sense", at);
	}
	record.len = (size_t)len;
	record.data = bytes_take(&reader, record.len);
	checksum = bytes_take(&reader, CHECKSUM);
	if (!checksum) {
		return err_set(err, ERR_CORRUPT, "chunk at %zu: ends past the file's end", at);
	}
	expected = hash_crc32c(0, bytes + at, (size_t)(checksum - bytes) - at);
	if (be32_read(checksum) != expected) {
		return err_set(err, ERR_CORRUPT,
			"chunk at %zu: checksum %08" PRIx32 ", expected %08" PRIx32, at,
			be32_read(checksum), expected);
	}
	*out = record;
	return reader.at - (bytes + at);
}

static void times_add(
	int64_t *min_ms, int64_t *max_ms, int64_t other_min_ms, int64_t other_max_ms) {
	*min_ms = other_min_ms < *min_ms ? other_min_ms : *min_ms;
	*max_ms = other_max_ms > *max_ms ? other_max_ms : *max_ms;
}

struct scan {
	struct chunk_files *files;
	chunk_scan_fn *run;
	void *context;
	struct chunk_scan_result *result;
};

/*
 * Reads a whole file, leaving in file->size what is good. Returns 0, ERR_CORRUPT for damage (which
 * is then in 'damage'), or what the callback said.
 */
static int file_scan(
	const struct scan *scan, struct chunk_file *file, struct err *damage, struct err *err) {
	const struct mapping *mapping = &file->mapping;
	size_t at = HEADER;

	file->ptr = mapping->ptr;
	file->size = 0;
	if (mapping->size < HEADER || be32_read(mapping->ptr) != MAGIC ||
		mapping->ptr[4] != VERSION) {
		return err_set(damage, ERR_CORRUPT, "not a file of head chunks");
	}
	file->size = at;
	while (at < mapping->size) {
		struct chunk_record record = { 0 };
		int64_t len = chunk_record_read(mapping->ptr, mapping->size, at, &record, damage);
		int rc;
		if (len <= 0) {
			return (int)len;
		}
		rc = scan->run(scan->context, (uint64_t)file->number << 32 | at, &record, err);
		if (rc < 0) {
			return rc;
		}
		times_add(&file->min_ms, &file->max_ms, record.min_ms, record.max_ms);
		scan->result->chunks++;
		at += (size_t)len;
		file->size = at;
	}
	return 0;
}

/* Removes the file of that number, or cuts it to 'size' if that is more than nothing. */
static int file_repair(struct chunk_files *files, uint32_t number, size_t size, struct err *err) {
	AUTO(buf_deinit) struct buf path = { 0 };
	int fd = -1;
	int rc;

	if (files->scratch) {
		return 0;
	}
	path_of(files, number, &path);
	if (size == 0) {
		return file_remove(buf_text(&path), err);
	}
	rc = file_open_append(buf_text(&path), 0666, &fd, err);
	if (rc < 0) {
		return rc;
	}
	rc = file_truncate(fd, size, err);
	file_close(fd);
	return rc;
}

/* Opens and reads one file. Returns 0, 1 for a damaged one, of which '*good' bytes can be used (0:
 * none), or an error. */
static int file_open(const struct scan *scan, uint32_t number, size_t *good, struct err *err) {
	struct chunk_files *files = scan->files;
	AUTO(buf_deinit) struct buf path = { 0 };
	struct chunk_file *file = MEMORY_NEW(struct chunk_file, 1);
	struct err damage = { 0 };
	int rc;

	file->number = number;
	file->min_ms = INT64_MAX;
	file->max_ms = INT64_MIN;
	file->is_synced = true;
	path_of(files, number, &path);
	rc = file_map(buf_text(&path), &file->mapping, err);
	if (rc < 0) {
		free(file);
		return rc;
	}
	rc = file_scan(scan, file, &damage, err);
	if (rc < 0 && damage.code == 0) {
		file_free(file);
		return rc;
	}
	*good = file->size > HEADER ? file->size : 0;
	if (rc < 0) {
		scan->result->is_corrupt = true;
		scan->result->damage = damage;
		(void)err_wrap(&scan->result->damage, rc, "%s", buf_text(&path));
	}
	if (rc < 0 && *good == 0) {
		file_free(file);
	} else {
		file_add(files, file);
	}
	return rc < 0;
}

static int number_order(const void *a, const void *b) {
	uint32_t left = *(const uint32_t *)a;
	uint32_t right = *(const uint32_t *)b;

	return (left > right) - (left < right);
}

/* The numbers of the files that are there, in order. */
static int numbers_list(
	const struct chunk_files *files, uint32_t **out, size_t *count, struct err *err) {
	struct dir_list names = { 0 };
	uint32_t *numbers;
	int rc;

	*count = 0;
	*out = NULL;
	if (!path_exists(files->dir)) {
		return 0;
	}
	rc = dir_list(files->dir, &names, err);
	if (rc < 0) {
		return rc;
	}
	numbers = MEMORY_NEW(uint32_t, names.count + 1);
	for (size_t i = 0; i < names.count; i++) {
		uint64_t number = 0;
		if (str_to_u64(str_of(names.names[i]), &number) && number < UINT32_MAX) {
			numbers[(*count)++] = (uint32_t)number;
		}
	}
	dir_list_free(&names);
	qsort(numbers, *count, sizeof(numbers[0]), number_order);
	*out = numbers;
	for (size_t i = 1; i < *count; i++) {
		if (numbers[i] != numbers[i - 1] + 1) {
			return err_set(err, ERR_CORRUPT,
				"%s: file %06" PRIu32 " is followed by %06" PRIu32
				"; bring back what is missing or remove the later ones",
				files->dir, numbers[i - 1], numbers[i]);
		}
	}
	return 0;
}

int chunk_files_open(struct chunk_files *files, chunk_scan_fn *run, void *context,
	struct chunk_scan_result *result, struct err *err) {
	const struct scan scan = { files, run, context, result };
	uint32_t *numbers = NULL;
	size_t count = 0;
	size_t good = 0;
	size_t i = 0;
	int rc = numbers_list(files, &numbers, &count, err);

	*result = (struct chunk_scan_result){ 0 };
	while (i < count && rc == 0) {
		rc = file_open(&scan, numbers[i++], &good, err);
	}
	/* The newest goes first: whatever ends this halfway leaves no gap. */
	for (bool is_damaged = rc == 1; is_damaged && count >= i && rc >= 0; count--) {
		rc = file_repair(files, numbers[count - 1], count == i ? good : 0, err);
	}
	free(numbers);
	return rc < 0 ? rc : 0;
}

static int file_begin(struct chunk_files *files, struct err *err) {
	AUTO(buf_deinit) struct buf path = { 0 };
	struct chunk_file *file;
	struct append_file written = { 0 };
	uint8_t header[HEADER] = { 0 };
	int rc;

	path_of(files, files->next_number, &path);
	rc = files->scratch ? append_file_create_unnamed(
				      files->scratch, CHUNK_FILE_SIZE_MAX, &written, err)
			    : append_file_create(
				      buf_text(&path), CHUNK_FILE_SIZE_MAX, 0666, &written, err);
	if (rc < 0) {
		return rc;
	}
	be32_write(header, MAGIC);
	header[4] = VERSION;
	rc = append_file_write(&written, (struct str){ (char *)header, HEADER }, err);
	if (rc < 0) {
		append_file_close(&written);
		if (!files->scratch) {
			int removed = file_remove(buf_text(&path), NULL);
			(void)removed; /* The next try tells of a file in its way. */
		}
		return err_wrap(err, rc, "%s", buf_text(&path));
	}
	file = MEMORY_NEW(struct chunk_file, 1);
	*file = (struct chunk_file){ .number = files->next_number,
		.ptr = written.ptr,
		.size = HEADER,
		.min_ms = INT64_MAX,
		.max_ms = INT64_MIN,
		.written = written };
	file_add(files, file);
	files->writing = file;
	return 0;
}

static size_t record_size_max(size_t data_len) {
	return FIXED + VARINT_MAX + data_len + CHECKSUM;
}

void chunk_files_discard(struct chunk_files *files) {
	buf_reset(&files->staged);
	files->staged_min_ms = INT64_MAX;
	files->staged_max_ms = INT64_MIN;
}

int chunk_files_stage(struct chunk_files *files, const struct chunk_record *record, uint64_t *ref,
	struct err *err) {
	const struct chunk_file *file = files->writing;
	size_t size = record_size_max(record->len);
	uint8_t *start;
	uint8_t *at;

	CHECK(record->len <= CHUNK_DATA_MAX && record->series != 0);
	if (!file || file->size + files->staged.len + size > CHUNK_FILE_SIZE_MAX) {
		int rc;
		if (files->staged.len > 0) {
			return 1;
		}
		rc = file_begin(files, err);
		if (rc < 0) {
			return rc;
		}
		file = files->writing;
	}
	*ref = (uint64_t)file->number << 32 | (file->size + files->staged.len);
	start = (uint8_t *)buf_reserve(&files->staged, size);
	be64_write(start, record->series);
	be64_write(start + 8, (uint64_t)record->min_ms);
	be64_write(start + 16, (uint64_t)record->max_ms);
	start[24] = record->encoding;
	at = start + FIXED;
	at += uvarint_write(at, record->len);
	memcpy(at, record->data, record->len);
	at += record->len;
	be32_write(at, hash_crc32c(0, start, (size_t)(at - start)));
	at += CHECKSUM;
	files->staged.len += (size_t)(at - start);
	times_add(&files->staged_min_ms, &files->staged_max_ms, record->min_ms, record->max_ms);
	return 0;
}

int chunk_files_write(struct chunk_files *files, struct err *err) {
	struct chunk_file *file;
	int rc;

	if (files->staged.len == 0) {
		return 0;
	}
	file = files->writing;
	rc = append_file_write(&file->written, buf_str(&files->staged), err);
	if (rc >= 0) {
		lock_take(&files->lock);
		file->size = file->written.size;
		file->is_synced = false;
		times_add(&file->min_ms, &file->max_ms, files->staged_min_ms, files->staged_max_ms);
		lock_drop(&files->lock);
	} else {
		rc = err_wrap(err, rc, "%s/%06" PRIu32, files->dir, file->number);
	}
	chunk_files_discard(files);
	return rc;
}

int chunk_files_get(
	struct chunk_files *files, uint64_t ref, struct chunk_record *out, struct err *err) {
	uint32_t number = (uint32_t)(ref >> 32);
	size_t at = (uint32_t)ref;
	const uint8_t *ptr = NULL;
	size_t size = 0;
	int64_t len;

	lock_take(&files->lock);
	if (files->count > 0 && number - files->files[0]->number < files->count) {
		ptr = files->files[number - files->files[0]->number]->ptr;
		size = files->files[number - files->files[0]->number]->size;
	}
	lock_drop(&files->lock);
	if (at >= size) {
		return err_set(err, ERR_CORRUPT, "%s/%06" PRIu32 ": no chunk at %zu", files->dir,
			number, at);
	}
	len = chunk_record_read(ptr, size, at, out, err);
	if (len < 0) {
		return err_wrap(err, (int)len, "%s/%06" PRIu32, files->dir, number);
	}
	return 0;
}

/* A file that still has to be synced, and whether more will be written to it. */
static struct chunk_file *unsynced_find(struct chunk_files *files, bool *is_last) {
	struct chunk_file *found = NULL;

	lock_take(&files->lock);
	for (size_t i = files->dropped; i < files->count && !found; i++) {
		if (!files->files[i]->is_synced) {
			found = files->files[i];
			found->is_synced = true;
			*is_last = i + 1 == files->count;
		}
	}
	lock_drop(&files->lock);
	return found;
}

int chunk_files_sync(struct chunk_files *files, struct err *err) {
	bool is_last = false;

	while (!is_last) {
		struct chunk_file *file = unsynced_find(files, &is_last);
		int rc;
		if (!file) {
			break;
		}
		rc = append_file_sync(&file->written, err);
		if (rc < 0) {
			lock_take(&files->lock);
			file->is_synced = false;
			lock_drop(&files->lock);
			return err_wrap(err, rc, "%s/%06" PRIu32, files->dir, file->number);
		}
		if (!is_last) {
			append_file_finish(&file->written);
		}
	}
	return files->scratch || !path_exists(files->dir) ? 0 : dir_sync(files->dir, err);
}

/* The oldest of those that were dropped, as they are retired in order. */
static void file_free_retired(void *context, uint64_t thing) {
	struct chunk_files *files = context;
	struct chunk_file *file = (struct chunk_file *)(uintptr_t)thing;

	lock_take(&files->lock);
	CHECK(files->dropped > 0 && files->files[0] == file);
	files->dropped--;
	files->count--;
	memmove(files->files, files->files + 1, files->count * sizeof(struct chunk_file *));
	lock_drop(&files->lock);
	file_free(file);
}

uint32_t chunk_files_first_since(struct chunk_files *files, int64_t min_ms) {
	uint32_t first = 0;

	lock_take(&files->lock);
	for (size_t i = files->dropped; i < files->count; i++) {
		first = files->files[i]->number;
		if (files->files[i]->max_ms >= min_ms) {
			break;
		}
	}
	lock_drop(&files->lock);
	return first;
}

int chunk_files_drop(struct chunk_files *files, uint32_t first, struct err *err) {
	while (true) {
		AUTO(buf_deinit) struct buf path = { 0 };
		struct chunk_file *old = NULL;
		lock_take(&files->lock);
		if (files->dropped < files->count && files->files[files->dropped]->number < first) {
			old = files->files[files->dropped];
		}
		lock_drop(&files->lock);
		if (!old) {
			return 0;
		}
		path_of(files, old->number, &path);
		if (!files->scratch) {
			int rc = file_remove(buf_text(&path), err);
			if (rc < 0) {
				return rc;
			}
		}
		lock_take(&files->lock);
		files->dropped++;
		lock_drop(&files->lock);
		epochs_retire(files->epochs, file_free_retired, files, (uintptr_t)old);
	}
}

void chunk_files_usage(struct chunk_files *files, uint64_t *bytes, int64_t *min_ms) {
	*bytes = 0;
	*min_ms = INT64_MAX;
	lock_take(&files->lock);
	for (size_t i = files->dropped; i < files->count; i++) {
		*bytes += files->files[i]->size;
		if (files->files[i]->min_ms < *min_ms) {
			*min_ms = files->files[i]->min_ms;
		}
	}
	lock_drop(&files->lock);
}
