/*
 * Log records: the payloads of Prometheus' write-ahead log.
 *
 * Written: series, samples, tombstones. Read: those, and what else there is by type only. Decoding
 * trusts nothing: any bytes give a record or ERR_CORRUPT.
 */
#ifndef TSDB_RECORD_H
#define TSDB_RECORD_H

#include "base/buf.h"
#include "base/err.h"
#include "label/labels.h"
#include "tsdb/byte_order.h"

#include <stdint.h>

enum record_type {
	RECORD_SERIES = 1,
	RECORD_SAMPLES = 2,
	RECORD_TOMBSTONES = 3,
	RECORD_EXEMPLARS = 4,
	RECORD_MMAP_MARKERS = 5,
	RECORD_METADATA = 6,
	RECORD_HISTOGRAMS = 7,
	RECORD_FLOAT_HISTOGRAMS = 8,
	RECORD_CUSTOM_HISTOGRAMS = 9,
	RECORD_CUSTOM_FLOAT_HISTOGRAMS = 10,
	RECORD_SAMPLES_V2 = 11,
	RECORD_HISTOGRAMS_V2 = 12,
	RECORD_FLOAT_HISTOGRAMS_V2 = 13,
};

/* What a type is called in messages; "unknown" for others. */
const char *record_type_text(uint8_t type);

/* Begins a series record; then one call for each series. */
void record_series_begin(struct buf *out);
void record_series_add(struct buf *out, uint64_t ref, size_t label_count);
/* As many as announced, in order of names. */
void record_label_add(struct buf *out, struct str name, struct str value);

/* A samples record under construction. */
struct record_samples {
	struct buf *out;
	uint64_t first_ref;
	int64_t first_ms;
	size_t count;
};
void record_samples_begin(struct record_samples *record, struct buf *out);
void record_samples_add(
	struct record_samples *record, uint64_t ref, int64_t time_ms, uint64_t value_bits);

/* Begins a record of tombstones; then one call for each. */
void record_tombstones_begin(struct buf *out);
void record_tombstone_add(struct buf *out, uint64_t ref, int64_t min_ms, int64_t max_ms);

/* Reading: begins with the whole record, its type byte first. */
struct record_reader {
	struct byte_reader bytes;
	uint8_t type;
	uint64_t first_ref;
	int64_t first_ms;
};

/* Reads the type. An empty record is type 0. */
void record_read(struct record_reader *reader, struct str record);

/* Of a series record: puts the labels into 'pairs' (room for LABELS_COUNT_MAX; borrowed from the
 * record). Returns 1, 0 at the end, ERR_CORRUPT, or ERR_LIMIT for too many labels. */
MUST_USE int record_series_next(struct record_reader *reader, uint64_t *ref, struct label *pairs,
	size_t *count, struct err *err);
/* Of a samples record. Returns 1, 0 at the end, or ERR_CORRUPT. */
MUST_USE int record_samples_next(struct record_reader *reader, uint64_t *ref, int64_t *time_ms,
	uint64_t *value_bits, struct err *err);
/* Of a tombstones record. Returns 1, 0 at the end, or ERR_CORRUPT. */
MUST_USE int record_tombstones_next(struct record_reader *reader, uint64_t *ref, int64_t *min_ms,
	int64_t *max_ms, struct err *err);

#endif
