/*
 * Any bytes as a segment of the log, and any bytes as a record.
 *
 * The first byte says how to take the rest: as a segment, as a segment whose checksums are put
 * right first (else none but the shortest fragments would ever pass), or as one record.
 */
#include "base/check.h"
#include "base/hash.h"
#include "tsdb/record.h"
#include "tsdb/wal.h"

#include <stdlib.h>

#define HEADER ((size_t)7)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What reading a samples record gave is what packing it again gives. */
static void samples_check(struct str record) {
	struct record_reader reader;
	struct record_reader again;
	struct record_samples packed;
	struct buf out = { 0 };
	int64_t times_ms[2];
	uint64_t bits[2];
	uint64_t refs[2];

	record_samples_begin(&packed, &out);
	record_read(&reader, record);
	while (record_samples_next(&reader, &refs[0], &times_ms[0], &bits[0], NULL) == 1) {
		record_samples_add(&packed, refs[0], times_ms[0], bits[0]);
	}
	record_read(&reader, record);
	record_read(&again, buf_str(&out));
	while (record_samples_next(&reader, &refs[0], &times_ms[0], &bits[0], NULL) == 1) {
		CHECK(record_samples_next(&again, &refs[1], &times_ms[1], &bits[1], NULL) == 1);
		CHECK(refs[0] == refs[1] && times_ms[0] == times_ms[1] && bits[0] == bits[1]);
	}
	CHECK(record_samples_next(&again, &refs[1], &times_ms[1], &bits[1], NULL) == 0);
	buf_deinit(&out);
}

static void series_check(struct str record) {
	struct label pairs[LABELS_COUNT_MAX];
	struct record_reader reader;
	uint64_t ref;
	size_t count;
	size_t bytes = 0;

	record_read(&reader, record);
	while (record_series_next(&reader, &ref, pairs, &count, NULL) == 1) {
		CHECK(count <= LABELS_COUNT_MAX);
		for (size_t i = 0; i < count; i++) {
			bytes += pairs[i].name.len + pairs[i].value.len;
			CHECK(pairs[i].name.len == 0 ||
				(pairs[i].name.ptr > record.ptr &&
					pairs[i].name.ptr + pairs[i].name.len <=
						record.ptr + record.len));
		}
	}
	CHECK(bytes <= record.len);
}

static void record_check(struct str record) {
	struct record_reader reader;
	uint64_t ref;
	int64_t min_ms;
	int64_t max_ms;

	record_read(&reader, record);
	CHECK(record_type_text(reader.type)[0] != '\0');
	if (reader.type == RECORD_SAMPLES) {
		samples_check(record);
	} else if (reader.type == RECORD_SERIES) {
		series_check(record);
	} else if (reader.type == RECORD_TOMBSTONES) {
		while (record_tombstones_next(&reader, &ref, &min_ms, &max_ms, NULL) == 1) {
		}
	}
}

/* Gives every fragment the checksum that it should have. */
static void segment_mend(uint8_t *bytes, size_t size) {
	size_t at = 0;

	while (at < size) {
		size_t page_left = WAL_PAGE - at % WAL_PAGE;
		size_t left = page_left < size - at ? page_left : size - at;
		size_t len;
		if (bytes[at] == 0 || left < HEADER) {
			at += left;
			continue;
		}
		len = be16_read(bytes + at + 1);
		if (len > left - HEADER) {
			len = left - HEADER;
			be16_write(bytes + at + 1, (uint16_t)len);
		}
		be32_write(bytes + at + 3, hash_crc32c(0, (const char *)bytes + at + HEADER, len));
		at += HEADER + len;
	}
}

static void segment_check(struct str bytes) {
	struct wal_reader reader;
	struct str record = { 0 };
	struct err err = { 0 };
	size_t at = 0;
	int rc;

	wal_reader_init(&reader, bytes);
	while ((rc = wal_reader_next(&reader, &record, &err)) == 1) {
		CHECK(reader.at > at && reader.at <= bytes.len);
		at = reader.at;
		record_check(record);
	}
	CHECK(rc == 0 || rc == ERR_CORRUPT);
	/* The place of the damage is where the log is cut: what is before it stays readable. */
	CHECK(reader.at == at);
	wal_reader_close(&reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	uint8_t *bytes;

	if (size < 2) {
		return 0;
	}
	bytes = malloc(size - 1); /* Its own, so that a read past the end is seen. */
	CHECK(bytes);
	memcpy(bytes, data + 1, size - 1);
	if (data[0] % 4 == 0) {
		record_check((struct str){ (char *)bytes, size - 1 });
	} else {
		if (data[0] % 4 > 1) {
			segment_mend(bytes, size - 1);
		}
		segment_check((struct str){ (char *)bytes, size - 1 });
	}
	free(bytes);
	return 0;
}
