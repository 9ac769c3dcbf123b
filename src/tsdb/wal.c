#include "tsdb/wal.h"

#include "base/check.h"
#include "base/hash.h"
#include "base/memory.h"
#include "codec/compress.h"
#include "tsdb/byte_order.h"

#include <inttypes.h>
#include <stdlib.h>

#define HEADER ((size_t)7)
#define FRAGMENT_MAX (WAL_PAGE - HEADER)

enum fragment_type {
	FRAGMENT_PAGE_END = 0,
	FRAGMENT_FULL = 1,
	FRAGMENT_FIRST = 2,
	FRAGMENT_MIDDLE = 3,
	FRAGMENT_LAST = 4,
};

#define FRAGMENT_TYPE 0x07
#define FRAGMENT_SNAPPY 0x08
#define FRAGMENT_ZSTD 0x10

struct wal_record wal_record_pack(struct str record, bool pack, struct buf *packed) {
	size_t before = packed->len;

	if (pack) {
		snappy_compress_block(record, packed);
		if (packed->len - before < record.len) {
			return (struct wal_record){ str_from(buf_str(packed), before), true };
		}
		packed->len = before;
	}
	return (struct wal_record){ record, false };
}

int wal_record_check(const struct wal_record *record, uint64_t segment_size, struct err *err) {
	if (record->bytes.len > segment_size / WAL_PAGE * FRAGMENT_MAX) {
		return err_set(err, ERR_LIMIT,
			"a log record of %zu bytes does not fit a segment of %" PRIu64
			"; append fewer samples at once or raise storage.tsdb.wal-segment-size",
			record->bytes.len, segment_size);
	}
	return 0;
}

void wal_segment_path(const char *dir, uint32_t number, struct buf *out) {
	buf_printf(out, "%s/%08" PRIu32, dir, number);
}

static int segment_open(struct wal *wal, uint32_t number, struct err *err) {
	AUTO(buf_deinit) struct buf path = { 0 };
	int fd = -1;
	int rc;

	wal_segment_path(wal->dir, number, &path);
	rc = file_open_append(buf_text(&path), 0666, &fd, err);
	if (rc < 0) {
		return rc;
	}
	wal->fd_plus_one = fd + 1;
	wal->number = number;
	wal->size = 0;
	return 0;
}

int wal_open(
	struct wal *wal, const char *dir, uint64_t segment_size, uint32_t number, struct err *err) {
	size_t len = strlen(dir) + 1;
	int rc = dir_make(dir, 0777, err);

	CHECK(segment_size % WAL_PAGE == 0 && segment_size > 0);
	*wal = (struct wal){ .segment_size = segment_size };
	if (rc < 0) {
		return rc;
	}
	wal->dir = memory_resize(NULL, len, 1);
	memcpy(wal->dir, dir, len);
	rc = segment_open(wal, number, err);
	if (rc < 0) {
		wal_close(wal);
	}
	return rc;
}

void wal_close(struct wal *wal) {
	file_close(wal->fd_plus_one - 1);
	free(wal->dir);
	buf_deinit(&wal->out);
	*wal = (struct wal){ 0 };
}

/* Cuts the segment back to what is good, after a write that failed. */
static int segment_mend(struct wal *wal, struct err *err) {
	int rc = wal->is_torn ? file_truncate(wal->fd_plus_one - 1, wal->size, err) : 0;

	if (rc < 0) {
		return err_wrap(err, rc, "log segment %08" PRIu32, wal->number);
	}
	wal->is_torn = false;
	return 0;
}

/* Writes wal->out. */
static int out_write(struct wal *wal, struct err *err) {
	int rc;

	if (wal->out.len == 0) {
		return 0;
	}
	rc = file_write_all(wal->fd_plus_one - 1, buf_str(&wal->out), err);
	if (rc < 0) {
		wal->is_torn = true;
		(void)segment_mend(wal, NULL); /* Else the next write tries again. */
		return err_wrap(err, rc, "log segment %08" PRIu32, wal->number);
	}
	wal->size += wal->out.len;
	buf_reset(&wal->out);
	return 0;
}

static void zeroes_add(struct buf *out, size_t count) {
	memset(buf_reserve(out, count), 0, count);
	out->len += count;
}

/* Where in its page the next byte goes. */
static size_t page_at(const struct wal *wal) {
	return (size_t)((wal->size + wal->out.len) % WAL_PAGE);
}

/* Room that the segment has for the bytes of one record. */
static uint64_t segment_room(const struct wal *wal) {
	uint64_t used = wal->size + wal->out.len;
	uint64_t full_pages = (wal->segment_size - used) / WAL_PAGE;
	size_t in_page = page_at(wal) > 0 ? WAL_PAGE - page_at(wal) : 0;

	return full_pages * FRAGMENT_MAX + (in_page > HEADER ? in_page - HEADER : 0);
}

static void record_frame(struct wal *wal, const struct wal_record *record) {
	struct str rest = record->bytes;
	bool is_first = true;

	do {
		size_t room = WAL_PAGE - page_at(wal);
		size_t len;
		uint8_t *header;
		enum fragment_type type;
		if (room <= HEADER) {
			zeroes_add(&wal->out, room);
			room = WAL_PAGE;
		}
		len = rest.len < room - HEADER ? rest.len : room - HEADER;
		type = len == rest.len ? (is_first ? FRAGMENT_FULL : FRAGMENT_LAST)
				       : (is_first ? FRAGMENT_FIRST : FRAGMENT_MIDDLE);
		header = (uint8_t *)buf_reserve(&wal->out, HEADER);
		header[0] = (uint8_t)(type | (record->is_snappy ? FRAGMENT_SNAPPY : 0));
		be16_write(header + 1, (uint16_t)len);
		be32_write(header + 3, hash_crc32c(0, rest.ptr, len));
		wal->out.len += HEADER;
		buf_add_str(&wal->out, str_first(rest, len));
		rest = str_from(rest, len);
		is_first = false;
	} while (rest.len > 0);
}

static int next_segment(struct wal *wal, struct err *err) {
	int old = wal->fd_plus_one - 1;
	uint64_t old_size = wal->size;
	int rc;

	if (page_at(wal) > 0) {
		zeroes_add(&wal->out, WAL_PAGE - page_at(wal));
	}
	rc = out_write(wal, err);
	if (rc < 0) {
		return rc;
	}
	old_size = wal->size;
	rc = segment_open(wal, wal->number + 1, err);
	if (rc < 0) {
		wal->fd_plus_one = old + 1;
		wal->size = old_size;
		return rc;
	}
	file_close(old);
	return 0;
}

int wal_write(struct wal *wal, const struct wal_record *records, size_t count, struct err *err) {
	int rc = segment_mend(wal, err);

	buf_reset(&wal->out);
	for (size_t i = 0; i < count && rc >= 0; i++) {
		rc = wal_record_check(&records[i], wal->segment_size, err);
		if (rc < 0) {
			return rc;
		}
		if (records[i].bytes.len > segment_room(wal)) {
			rc = next_segment(wal, err);
		}
		if (rc >= 0) {
			record_frame(wal, &records[i]);
		}
	}
	return rc < 0 ? rc : out_write(wal, err);
}

int wal_rotate(struct wal *wal, struct err *err) {
	int rc = segment_mend(wal, err);

	buf_reset(&wal->out);
	return rc < 0 ? rc : next_segment(wal, err);
}

int wal_sync(struct wal *wal, struct err *err) {
	return file_sync(wal->fd_plus_one - 1, err);
}

static int number_order(const void *a, const void *b) {
	uint32_t left = *(const uint32_t *)a;
	uint32_t right = *(const uint32_t *)b;

	return (left > right) - (left < right);
}

int wal_segments_list(const char *dir, uint32_t **numbers, size_t *count, struct err *err) {
	struct dir_list names = { 0 };
	int rc;

	*numbers = NULL;
	*count = 0;
	if (!path_exists(dir)) {
		return 0;
	}
	rc = dir_list(dir, &names, err);
	if (rc < 0) {
		return rc;
	}
	*numbers = MEMORY_NEW(uint32_t, names.count + 1);
	for (size_t i = 0; i < names.count; i++) {
		uint64_t number = 0;
		if (str_to_u64(str_of(names.names[i]), &number) && number < UINT32_MAX) {
			(*numbers)[(*count)++] = (uint32_t)number;
		}
	}
	dir_list_free(&names);
	qsort(*numbers, *count, sizeof(uint32_t), number_order);
	return 0;
}

int wal_checkpoint_find(const char *dir, struct buf *path, uint32_t *number, struct err *err) {
	struct dir_list names = { 0 };
	bool found = false;
	int rc;

	if (!path_exists(dir)) {
		return 0;
	}
	rc = dir_list(dir, &names, err);
	if (rc < 0) {
		return rc;
	}
	for (size_t i = 0; i < names.count; i++) {
		struct str name = str_of(names.names[i]);
		uint64_t value = 0;
		if (str_starts(name, STR("checkpoint.")) &&
			str_to_u64(str_from(name, sizeof("checkpoint.") - 1), &value) &&
			value < UINT32_MAX && (!found || value > *number)) {
			*number = (uint32_t)value;
			found = true;
			buf_reset(path);
			buf_printf(path, "%s/%s", dir, names.names[i]);
		}
	}
	dir_list_free(&names);
	return found;
}

int wal_reader_open(struct wal_reader *reader, const char *path, struct err *err) {
	*reader = (struct wal_reader){ 0 };
	return file_map(path, &reader->file, err);
}

void wal_reader_init(struct wal_reader *reader, struct str bytes) {
	*reader = (struct wal_reader){ .file = { (const uint8_t *)bytes.ptr, bytes.len },
		.is_borrowed = true };
}

void wal_reader_close(struct wal_reader *reader) {
	if (!reader->is_borrowed) {
		file_unmap(&reader->file);
	}
	buf_deinit(&reader->whole);
	buf_deinit(&reader->plain);
	*reader = (struct wal_reader){ 0 };
}

struct fragment {
	uint8_t type;
	uint8_t packing;
	struct str bytes;
};

/* What is left of the page that 'at' is in, as far as the file goes. */
static size_t page_left(const struct wal_reader *reader, size_t at) {
	size_t in_page = WAL_PAGE - at % WAL_PAGE;
	size_t in_file = reader->file.size - at;

	return in_page < in_file ? in_page : in_file;
}

/* Returns 1, 0 at the end of the file, or ERR_CORRUPT. Moves '*at' behind the fragment. */
static int fragment_read(
	const struct wal_reader *reader, size_t *at, struct fragment *out, struct err *err) {
	const uint8_t *bytes = reader->file.ptr;
	size_t left;
	size_t len;

	while (*at < reader->file.size && bytes[*at] == FRAGMENT_PAGE_END) {
		left = page_left(reader, *at);
		for (size_t i = 0; i < left; i++) {
			if (bytes[*at + i] != 0) {
				return err_set(err, ERR_CORRUPT, "byte %02x where a page is padded",
					bytes[*at + i]);
			}
		}
		*at += left;
	}
	if (*at == reader->file.size) {
		return 0;
	}
	left = page_left(reader, *at);
	if (left < HEADER) {
		return err_set(err, ERR_CORRUPT, "the header of a fragment is cut off");
	}
	len = be16_read(bytes + *at + 1);
	if (len > left - HEADER) {
		return err_set(err, ERR_CORRUPT, "a fragment of %zu bytes, %zu are left", len,
			left - HEADER);
	}
	*out = (struct fragment){ .type = bytes[*at] & FRAGMENT_TYPE,
		.packing = bytes[*at] & (FRAGMENT_SNAPPY | FRAGMENT_ZSTD),
		.bytes = { (const char *)bytes + *at + HEADER, len } };
	if (hash_crc32c(0, out->bytes.ptr, len) != be32_read(bytes + *at + 3)) {
		return err_set(err, ERR_CORRUPT, "checksum of a fragment does not match");
	}
	*at += HEADER + len;
	return 1;
}

static int record_unpack(struct wal_reader *reader, uint8_t packing, struct str packed,
	struct str *record, struct err *err) {
	int rc = 0;

	buf_reset(&reader->plain);
	if (packing == FRAGMENT_SNAPPY) {
		rc = snappy_decompress_block(packed, WAL_RECORD_MAX, &reader->plain, err);
	} else if (packing == FRAGMENT_ZSTD) {
		rc = decompress_body(COMPRESSION_ZSTD, packed, WAL_RECORD_MAX, &reader->plain, err);
	} else {
		*record = packed;
		return 0;
	}
	*record = buf_str(&reader->plain);
	return rc < 0 ? ERR_CORRUPT : 0;
}

/* Whether a fragment of this type may come as number 'index' of its record. */
static bool fragment_fits(uint8_t type, size_t index) {
	bool begins = type == FRAGMENT_FULL || type == FRAGMENT_FIRST;

	return type <= FRAGMENT_LAST && begins == (index == 0);
}

int wal_reader_next(struct wal_reader *reader, struct str *record, struct err *err) {
	struct fragment fragment = { 0 };
	struct str packed;
	size_t at = reader->at;
	int rc;

	buf_reset(&reader->whole);
	for (size_t i = 0;
		i == 0 || (fragment.type != FRAGMENT_FULL && fragment.type != FRAGMENT_LAST); i++) {
		rc = fragment_read(reader, &at, &fragment, err);
		if (rc == 0 && i > 0) {
			return err_set(err, ERR_CORRUPT, "the last record is cut off");
		}
		if (rc <= 0) {
			return rc;
		}
		if (!fragment_fits(fragment.type, i)) {
			return err_set(err, ERR_CORRUPT,
				"fragment type %d as number %zu of a record", fragment.type, i);
		}
		if (fragment.type != FRAGMENT_FULL) {
			buf_add_str(&reader->whole, fragment.bytes);
		}
	}
	packed = fragment.type == FRAGMENT_FULL ? fragment.bytes : buf_str(&reader->whole);
	rc = record_unpack(reader, fragment.packing, packed, record, err);
	if (rc < 0) {
		return rc;
	}
	reader->at = at;
	return 1;
}
