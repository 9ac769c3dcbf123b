#include "tsdb/record.h"

static const char *const type_names[] = {
	[RECORD_SERIES] = "series",
	[RECORD_SAMPLES] = "samples",
	[RECORD_TOMBSTONES] = "tombstones",
	[RECORD_EXEMPLARS] = "exemplars",
	[RECORD_MMAP_MARKERS] = "chunk markers",
	[RECORD_METADATA] = "metadata",
	[RECORD_HISTOGRAMS] = "histograms",
	[RECORD_FLOAT_HISTOGRAMS] = "float histograms",
	[RECORD_CUSTOM_HISTOGRAMS] = "histograms with custom buckets",
	[RECORD_CUSTOM_FLOAT_HISTOGRAMS] = "float histograms with custom buckets",
	[RECORD_SAMPLES_V2] = "samples with start times",
	[RECORD_HISTOGRAMS_V2] = "histograms with start times",
	[RECORD_FLOAT_HISTOGRAMS_V2] = "float histograms with start times",
};

const char *record_type_text(uint8_t type) {
	return type < ARRAY_COUNT(type_names) && type_names[type] ? type_names[type] : "unknown";
}

static void be64_add(struct buf *out, uint64_t value) {
	be64_write((uint8_t *)buf_reserve(out, 8), value);
	out->len += 8;
}

static void uvarint_add(struct buf *out, uint64_t value) {
	out->len += uvarint_write((uint8_t *)buf_reserve(out, VARINT_MAX), value);
}

static void varint_add(struct buf *out, int64_t value) {
	out->len += varint_write((uint8_t *)buf_reserve(out, VARINT_MAX), value);
}

void record_series_begin(struct buf *out) {
	buf_add_byte(out, RECORD_SERIES);
}

void record_series_add(struct buf *out, uint64_t ref, size_t label_count) {
	be64_add(out, ref);
	uvarint_add(out, label_count);
}

void record_label_add(struct buf *out, struct str name, struct str value) {
	uvarint_add(out, name.len);
	buf_add_str(out, name);
	uvarint_add(out, value.len);
	buf_add_str(out, value);
}

void record_samples_begin(struct record_samples *record, struct buf *out) {
	*record = (struct record_samples){ .out = out };
	buf_add_byte(out, RECORD_SAMPLES);
}

void record_samples_add(
	struct record_samples *record, uint64_t ref, int64_t time_ms, uint64_t value_bits) {
	uint8_t *start;
	uint8_t *at;

	if (record->count++ == 0) {
		record->first_ref = ref;
		record->first_ms = time_ms;
		be64_add(record->out, ref);
		be64_add(record->out, (uint64_t)time_ms);
	}
	start = (uint8_t *)buf_reserve(record->out, VARINT_MAX + VARINT_MAX + 8);
	at = start;
	at += varint_write(at, (int64_t)(ref - record->first_ref));
	at += varint_write(at, (int64_t)((uint64_t)time_ms - (uint64_t)record->first_ms));
	be64_write(at, value_bits);
	record->out->len += (size_t)(at + 8 - start);
}

void record_tombstones_begin(struct buf *out) {
	buf_add_byte(out, RECORD_TOMBSTONES);
}

void record_tombstone_add(struct buf *out, uint64_t ref, int64_t min_ms, int64_t max_ms) {
	be64_add(out, ref);
	varint_add(out, min_ms);
	varint_add(out, max_ms);
}

void record_read(struct record_reader *reader, struct str record) {
	const uint8_t *start = (const uint8_t *)record.ptr;

	*reader = (struct record_reader){ .bytes = { start, start + record.len, false } };
	reader->type = byte_take(&reader->bytes);
	if (reader->type == RECORD_SAMPLES && bytes_left(&reader->bytes) > 0) {
		reader->first_ref = be64_take(&reader->bytes);
		reader->first_ms = (int64_t)be64_take(&reader->bytes);
	}
}

static int record_refuse(const struct record_reader *reader, struct err *err) {
	return err_set(err, ERR_CORRUPT, "record of %s ends early", record_type_text(reader->type));
}

static struct str str_take(struct byte_reader *bytes) {
	uint64_t len = uvarint_take(bytes);
	const uint8_t *at = bytes_take(bytes, len < SIZE_MAX ? (size_t)len : SIZE_MAX);

	return at ? (struct str){ (const char *)at, (size_t)len } : STR_EMPTY;
}

int record_series_next(struct record_reader *reader, uint64_t *ref, struct label *pairs,
	size_t *count, struct err *err) {
	struct byte_reader *bytes = &reader->bytes;
	uint64_t label_count;

	if (bytes_left(bytes) == 0 && !bytes->is_bad) {
		return 0;
	}
	*ref = be64_take(bytes);
	label_count = uvarint_take(bytes);
	if (!bytes->is_bad && label_count > LABELS_COUNT_MAX) {
		return err_set(err, ERR_LIMIT, "a series with %llu labels, at most %d are possible",
			(unsigned long long)label_count, LABELS_COUNT_MAX);
	}
	for (uint64_t i = 0; i < label_count && !bytes->is_bad; i++) {
		pairs[i].name = str_take(bytes);
		pairs[i].value = str_take(bytes);
	}
	if (bytes->is_bad) {
		return record_refuse(reader, err);
	}
	*count = (size_t)label_count;
	return 1;
}

int record_samples_next(struct record_reader *reader, uint64_t *ref, int64_t *time_ms,
	uint64_t *value_bits, struct err *err) {
	struct byte_reader *bytes = &reader->bytes;

	if (bytes_left(bytes) == 0 && !bytes->is_bad) {
		return 0;
	}
	*ref = reader->first_ref + (uint64_t)varint_take(bytes);
	*time_ms = (int64_t)((uint64_t)reader->first_ms + (uint64_t)varint_take(bytes));
	*value_bits = be64_take(bytes);
	return bytes->is_bad ? record_refuse(reader, err) : 1;
}

int record_tombstones_next(struct record_reader *reader, uint64_t *ref, int64_t *min_ms,
	int64_t *max_ms, struct err *err) {
	struct byte_reader *bytes = &reader->bytes;

	if (bytes_left(bytes) == 0 && !bytes->is_bad) {
		return 0;
	}
	*ref = be64_take(bytes);
	*min_ms = varint_take(bytes);
	*max_ms = varint_take(bytes);
	return bytes->is_bad ? record_refuse(reader, err) : 1;
}
