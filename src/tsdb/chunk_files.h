/*
 * Chunk files: chunks_head/NNNNNN, where full chunks go.
 *
 * Prometheus' format: magic, version, then entries of series reference, first and last time,
 * encoding, length, data, CRC-32C. A file has at most 128 MiB and is never changed once the next
 * one is begun.
 *
 * Written by the head's committer. Reading, from any thread: the list of files is behind a lock of
 * its own (leaf); a file's bytes stay mapped for whoever was an epoch's reader before it was
 * dropped.
 */
#ifndef TSDB_CHUNK_FILES_H
#define TSDB_CHUNK_FILES_H

#include "base/buf.h"
#include "base/err.h"
#include "base/thread.h"
#include "io/append_file.h"
#include "io/file.h"
#include "tsdb/epochs.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CHUNK_FILE_SIZE_MAX ((size_t)128 << 20)
/* More than this is not the data of one chunk. */
#define CHUNK_DATA_MAX ((size_t)1 << 20)
/* Set in the encoding's byte of an out-of-order chunk. */
#define CHUNK_OUT_OF_ORDER 0x80

/* A chunk in a file. */
struct chunk_record {
	uint64_t series; /* The reference by which the log knows the series. */
	int64_t min_ms;
	int64_t max_ms;
	uint8_t encoding;
	const uint8_t *data; /* Borrowed. */
	size_t len;
};

struct chunk_file {
	uint32_t number;
	const uint8_t *ptr;
	size_t size;
	int64_t min_ms; /* Of all samples in it; INT64_MAX if there are none. */
	int64_t max_ms;
	struct append_file written; /* If this process made it. */
	struct mapping mapping;     /* Else. */
	bool is_synced;
};

struct chunk_files {
	struct lock lock;
	char *dir;
	struct epochs *epochs;     /* Borrowed. */
	struct chunk_file **files; /* In order of number, without gaps. */
	size_t count;
	size_t dropped; /* So many of the first are removed; readers may still hold them. */
	size_t capacity;
	uint32_t next_number;
	const char *scratch;        /* Borrowed; NULL: new files go to 'dir'. */
	struct chunk_file *writing; /* The last file, if it can be added to. */
	struct buf staged;          /* Entries not yet written, and their times. */
	int64_t staged_min_ms;
	int64_t staged_max_ms;
};

/* 'dir' is chunks_head. With 'scratch' not NULL nothing is written there: new files go to
 * 'scratch'. */
void chunk_files_init(
	struct chunk_files *files, const char *dir, const char *scratch, struct epochs *epochs);
/* Unmaps everything. What was dropped must have been collected by then. */
void chunk_files_deinit(struct chunk_files *files);

/* Told of each chunk, in order. Returns a negative code to end the scan with it. */
typedef int chunk_scan_fn(
	void *context, uint64_t ref, const struct chunk_record *record, struct err *err);

struct chunk_scan_result {
	uint64_t chunks;
	bool is_corrupt;   /* A file was damaged. */
	struct err damage; /* What was found. */
};

/*
 * Opens what is there and reads all of it. A damaged file is cut where the damage begins, and the
 * files after it are removed: their samples are read from the log as far as that reaches. Returns
 * 0, ERR_CORRUPT for a gap in the numbers, ERR_IO, or what 'scan' said.
 */
MUST_USE int chunk_files_open(struct chunk_files *files, chunk_scan_fn *scan, void *context,
	struct chunk_scan_result *result, struct err *err);

/*
 * Writing: chunks are staged, which tells their future references, then written at once.
 *
 * Returns 0; 1 without staging it when the file has no room behind what is staged: write that
 * first; or ERR_IO when a new file cannot be made.
 */
MUST_USE int chunk_files_stage(struct chunk_files *files, const struct chunk_record *record,
	uint64_t *ref, struct err *err);
/* Returns 0, or ERR_IO with nothing written. Nothing is staged after. */
MUST_USE int chunk_files_write(struct chunk_files *files, struct err *err);
/* Forgets what is staged; the references are void. */
void chunk_files_discard(struct chunk_files *files);

/* Finds a chunk and checks it. The caller holds its file by an epoch. Returns 0, or ERR_CORRUPT. */
MUST_USE int chunk_files_get(
	struct chunk_files *files, uint64_t ref, struct chunk_record *out, struct err *err);

/* Makes all that was written before the call durable. Any thread, one at a time. */
MUST_USE int chunk_files_sync(struct chunk_files *files, struct err *err);
/* The first file with a sample from 'min_ms' on, the newest in any case; 0: there is none. */
uint32_t chunk_files_first_since(struct chunk_files *files, int64_t min_ms);
/*
 * Removes the files before number 'first'; who entered the epochs before can still read them.
 * Returns 0, or ERR_IO after removing some.
 */
MUST_USE int chunk_files_drop(struct chunk_files *files, uint32_t first, struct err *err);
/* Bytes in all files, and the oldest time in them (INT64_MAX: none). */
void chunk_files_usage(struct chunk_files *files, uint64_t *bytes, int64_t *min_ms);

/* Reads one entry at 'at' of a file's bytes. Returns its size, 0 at the end (zeroes), or
 * ERR_CORRUPT. */
MUST_USE int64_t chunk_record_read(
	const uint8_t *bytes, size_t size, size_t at, struct chunk_record *out, struct err *err);

#endif
