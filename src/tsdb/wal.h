/*
 * The write-ahead log: numbered segments of 32 KiB pages, in Prometheus' format.
 *
 * A record is cut into fragments that do not cross pages, each with type, length and CRC-32C;
 * records do not cross segments. Writing goes to the system's page cache with one write for all
 * records of a call. Owned by one writer at a time (the head's committer). A checkpoint is a folder
 * of the same form.
 */
#ifndef TSDB_WAL_H
#define TSDB_WAL_H

#include "base/buf.h"
#include "base/err.h"
#include "io/file.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WAL_PAGE ((size_t)32768)
#define WAL_SEGMENT_DEFAULT ((uint64_t)128 << 20)
/* A record that unpacks to more is refused: memory for one is bounded. */
#define WAL_RECORD_MAX ((size_t)256 << 20)

/* A record to be written, packed or not. */
struct wal_record {
	struct str bytes;
	bool is_snappy;
};

/* Packs a record if that makes it smaller; the bytes live in 'packed' or stay where they are. */
struct wal_record wal_record_pack(struct str record, bool pack, struct buf *packed);

/* Returns 0, or ERR_LIMIT for a record larger than a segment. */
MUST_USE int wal_record_check(
	const struct wal_record *record, uint64_t segment_size, struct err *err);

struct wal {
	char *dir;
	uint64_t segment_size;
	uint32_t number; /* Of the segment that is open. */
	int fd_plus_one; /* 0: none. */
	uint64_t size;   /* Of that segment. */
	bool is_torn;    /* A failed write could not be cut off yet. */
	struct buf out;  /* Scratch. */
};

/* Makes the folder if needed and begins segment 'number', which must not be there. */
MUST_USE int wal_open(
	struct wal *wal, const char *dir, uint64_t segment_size, uint32_t number, struct err *err);
/* Closes without syncing; { 0 } is fine. */
void wal_close(struct wal *wal);
/*
 * Writes records one after the other, beginning new segments as needed. Returns 0; ERR_IO with
 * nothing left in the log of those that did not fit entirely; or ERR_LIMIT for a record larger than
 * a segment.
 */
MUST_USE int wal_write(
	struct wal *wal, const struct wal_record *records, size_t count, struct err *err);
/* Ends the segment and begins the next. */
MUST_USE int wal_rotate(struct wal *wal, struct err *err);
/* Makes the open segment durable. */
MUST_USE int wal_sync(struct wal *wal, struct err *err);

/* The path of segment 'number' of a log or checkpoint, appended. */
void wal_segment_path(const char *dir, uint32_t number, struct buf *out);
/* The numbers of the segments in a folder, ascending, for free(). A folder that is not there has
 * none. */
MUST_USE int wal_segments_list(const char *dir, uint32_t **numbers, size_t *count, struct err *err);
/* The newest checkpoint: its path appended to 'path', its number. Returns 1, 0 if there is none. */
MUST_USE int wal_checkpoint_find(
	const char *dir, struct buf *path, uint32_t *number, struct err *err);

/* Reads the records of one segment. */
struct wal_reader {
	struct mapping file;
	bool is_borrowed; /* The bytes are not ours to unmap. */
	size_t at;        /* Behind the record last read. */
	struct buf whole; /* A record put together. */
	struct buf plain; /* Unpacked. */
};

/* Maps a segment. Returns 0 or ERR_IO. */
MUST_USE int wal_reader_open(struct wal_reader *reader, const char *path, struct err *err);
/* Reads bytes that are there already; they are borrowed until the reader is closed. */
void wal_reader_init(struct wal_reader *reader, struct str bytes);
/* Unmaps it; { 0 } is fine. */
void wal_reader_close(struct wal_reader *reader);
/*
 * Reads one record, valid until the next call. Returns 1, 0 at the end, or ERR_CORRUPT: what begins
 * at reader->at cannot be read.
 */
MUST_USE int wal_reader_next(struct wal_reader *reader, struct str *record, struct err *err);

#endif
