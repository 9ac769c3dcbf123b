#include "chunk/xor.h"

#include <string.h>

#define HEADER 2
#define NO_WINDOW 0xff

/* Bits wait in 'pending' (the low 'pending_count' of it, fewer than 8) until they fill a byte. */
struct bit_writer {
	uint8_t *out;
	size_t len;
	uint32_t pending;
	unsigned pending_count;
};

/* Writes the low 'count' bits, at most 56. */
static void bits_put_few(struct bit_writer *writer, uint64_t bits, unsigned count) {
	uint64_t all = (uint64_t)writer->pending << count | (bits & ((UINT64_C(1) << count) - 1));
	unsigned total = writer->pending_count + count;

	while (total >= 8) {
		total -= 8;
		writer->out[writer->len++] = (uint8_t)(all >> total);
	}
	writer->pending = (uint32_t)(all & ((1U << total) - 1));
	writer->pending_count = total;
}

static void bits_put(struct bit_writer *writer, uint64_t bits, unsigned count) {
	if (count > 32) {
		bits_put_few(writer, bits >> 32, count - 32);
		count = 32;
	}
	bits_put_few(writer, bits, count);
}

static void varint_put(struct bit_writer *writer, uint64_t value) {
	while (value >= 0x80) {
		bits_put_few(writer, value | 0x80, 8);
		value >>= 7;
	}
	bits_put_few(writer, value, 8);
}

static uint64_t zigzag(int64_t value) {
	return (uint64_t)value << 1 ^ (uint64_t)(value >> 63);
}

/* Whether a signed change fits 'bits' bits. The range is not symmetric: -(2^(n-1)-1) .. 2^(n-1). */
static bool change_fits(int64_t change, unsigned bits) {
	int64_t half = INT64_C(1) << (bits - 1);

	return change > -half && change <= half;
}

static void change_put(struct bit_writer *writer, int64_t change) {
	if (change == 0) {
		bits_put_few(writer, 0, 1);
	} else if (change_fits(change, 14)) {
		bits_put_few(writer, UINT64_C(2) << 14 | ((uint64_t)change & 0x3fff), 16);
	} else if (change_fits(change, 17)) {
		bits_put_few(writer, UINT64_C(6) << 17 | ((uint64_t)change & 0x1ffff), 20);
	} else if (change_fits(change, 20)) {
		bits_put_few(writer, UINT64_C(14) << 20 | ((uint64_t)change & 0xfffff), 24);
	} else {
		bits_put_few(writer, 15, 4);
		bits_put(writer, (uint64_t)change, 64);
	}
}

static void value_put(struct bit_writer *writer, struct xor_tail *tail, uint64_t value_bits) {
	uint64_t changed = value_bits ^ tail->value_bits;
	unsigned leading;
	unsigned trailing;
	unsigned significant;

	if (changed == 0) {
		bits_put_few(writer, 0, 1);
		return;
	}
	leading = (unsigned)__builtin_clzll(changed);
	leading = leading < 32 ? leading : 31; /* Five bits hold it. */
	trailing = (unsigned)__builtin_ctzll(changed);
	if (tail->leading != NO_WINDOW && leading >= tail->leading && trailing >= tail->trailing) {
		bits_put_few(writer, 2, 2);
		bits_put(writer, changed >> tail->trailing, 64U - tail->leading - tail->trailing);
		return;
	}
	significant = 64 - leading - trailing;
	tail->leading = (uint8_t)leading;
	tail->trailing = (uint8_t)trailing;
	bits_put_few(writer, UINT64_C(3) << 11 | (uint64_t)leading << 6 | (significant & 0x3f), 13);
	bits_put(writer, changed >> trailing, significant);
}

size_t xor_append(struct xor_tail *tail, uint8_t last, int64_t time_ms, uint64_t value_bits,
	uint8_t out[XOR_APPEND_BYTES_MAX], size_t *at) {
	struct bit_writer writer = { .out = out };
	uint64_t delta = (uint64_t)time_ms - (uint64_t)tail->time_ms;

	if (tail->count == 0) {
		*tail = (struct xor_tail){ .leading = NO_WINDOW };
		*at = 0;
		out[0] = 0;
		out[1] = 0;
		writer.len = HEADER;
		varint_put(&writer, zigzag(time_ms));
		bits_put(&writer, value_bits, 64);
		delta = 0;
	} else {
		if (tail->spare_bits > 0) {
			writer.pending_count = 8U - tail->spare_bits;
			writer.pending = (uint32_t)last >> tail->spare_bits;
		}
		*at = tail->len - (tail->spare_bits > 0);
		if (tail->count == 1) {
			varint_put(&writer, delta);
		} else {
			change_put(&writer, (int64_t)(delta - tail->delta));
		}
		value_put(&writer, tail, value_bits);
	}
	tail->spare_bits = 0;
	if (writer.pending_count > 0) {
		tail->spare_bits = (uint8_t)(8 - writer.pending_count);
		out[writer.len++] = (uint8_t)(writer.pending << tail->spare_bits);
	}
	tail->len = (uint32_t)(*at + writer.len);
	tail->time_ms = time_ms;
	tail->value_bits = value_bits;
	tail->delta = delta;
	tail->count++;
	return writer.len;
}

void xor_count_write(uint8_t *bytes, uint16_t count) {
	bytes[0] = (uint8_t)(count >> 8);
	bytes[1] = (uint8_t)count;
}

void xor_append_buf(
	struct xor_tail *tail, struct buf *chunk, int64_t time_ms, uint64_t value_bits) {
	uint8_t last = chunk->len > 0 ? (uint8_t)chunk->ptr[chunk->len - 1] : 0;
	uint8_t out[XOR_APPEND_BYTES_MAX];
	size_t at = 0;
	size_t len = xor_append(tail, last, time_ms, value_bits, out, &at);

	chunk->len = at;
	buf_append(chunk, out, len);
	xor_count_write((uint8_t *)chunk->ptr, tail->count);
}

size_t xor_count(const uint8_t *bytes, size_t len) {
	return len >= HEADER ? (size_t)bytes[0] << 8 | bytes[1] : 0;
}

/* Reads bits from the front. Past the end there are zeros, and 'at' tells that it went too far. */
struct bit_reader {
	const uint8_t *bytes;
	size_t len;
	size_t at;       /* In bits. */
	size_t end;      /* In bits. */
	bool has_window; /* One was read. */
};

/* The next bits in the high end of a word; at least 57 of them count. */
static inline uint64_t bits_peek(const struct bit_reader *reader) {
	size_t byte = reader->at >> 3;
	uint64_t word = 0;

	if (byte + sizeof(word) <= reader->len) {
		memcpy(&word, reader->bytes + byte, sizeof(word));
		word = __builtin_bswap64(word);
	} else {
		for (size_t i = 0; i < sizeof(word); i++) {
			word = word << 8 | (byte + i < reader->len ? reader->bytes[byte + i] : 0);
		}
	}
	return word << (reader->at & 7);
}

/* Takes 1 to 64 bits. */
static inline uint64_t bits_take(struct bit_reader *reader, unsigned count) {
	uint64_t value;

	if (count <= 57) {
		value = bits_peek(reader) >> (64 - count);
		reader->at += count;
		return value;
	}
	value = bits_peek(reader) >> 32;
	reader->at += 32;
	value = value << (count - 32) | bits_peek(reader) >> (96 - count);
	reader->at += count - 32;
	return value;
}

/* Returns false for a number of more than 64 bits. */
static bool varint_take(struct bit_reader *reader, uint64_t *value) {
	*value = 0;
	for (unsigned shift = 0; shift < 64; shift += 7) {
		uint64_t byte = bits_take(reader, 8);
		if (shift == 63 && byte > 1) {
			return false;
		}
		*value |= (byte & 0x7f) << shift;
		if (byte < 0x80) {
			return true;
		}
	}
	return false;
}

static inline int64_t change_take(struct bit_reader *reader) {
	static const uint8_t prefixes[] = { 1, 2, 3, 4, 4 };
	static const uint8_t sizes[] = { 0, 14, 17, 20, 64 };
	uint64_t word = bits_peek(reader);
	unsigned ones;
	uint64_t value;

	if (word >> 63 == 0) {
		reader->at++;
		return 0;
	}
	ones = (unsigned)__builtin_clzll(~word | UINT64_C(1) << 59);
	reader->at += prefixes[ones];
	value = bits_take(reader, sizes[ones]);
	if (ones < 4 && value > UINT64_C(1) << (sizes[ones] - 1)) {
		value -= UINT64_C(1) << sizes[ones];
	}
	return (int64_t)value;
}

/* The window in 'tail' is 0, 0 before the first one is read: then all 64 bits are significant. */
static inline bool value_take(struct bit_reader *reader, struct xor_tail *tail) {
	uint64_t word = bits_peek(reader);

	if (word >> 63 == 0) {
		reader->at++;
		return true;
	}
	reader->at += 2;
	if (word >> 62 == 3) {
		unsigned leading = (unsigned)(word >> 57) & 0x1f;
		unsigned significant = (unsigned)(word >> 51) & 0x3f;
		significant = significant > 0 ? significant : 64;
		if (leading + significant > 64) {
			return false;
		}
		reader->at += 11;
		reader->has_window = true;
		tail->leading = (uint8_t)leading;
		tail->trailing = (uint8_t)(64 - leading - significant);
	}
	tail->value_bits ^= bits_take(reader, 64U - tail->leading - tail->trailing)
			    << tail->trailing;
	return true;
}

static bool first_take(struct bit_reader *reader, struct xor_tail *tail) {
	uint64_t time;

	if (!varint_take(reader, &time)) {
		return false;
	}
	tail->time_ms = (int64_t)(time >> 1 ^ (~(time & 1) + 1));
	tail->value_bits = bits_take(reader, 64);
	return true;
}

/* Moves 'tail' to the next sample. Returns false when the bits make no sense. */
static inline bool sample_take(struct bit_reader *reader, struct xor_tail *tail, size_t index) {
	bool is_good = true;

	if (index == 0) {
		is_good = first_take(reader, tail);
	} else if (index == 1) {
		is_good = varint_take(reader, &tail->delta);
	} else {
		tail->delta += (uint64_t)change_take(reader);
	}
	if (index > 0) {
		tail->time_ms = (int64_t)((uint64_t)tail->time_ms + tail->delta);
		is_good = is_good && value_take(reader, tail);
	}
	return is_good && reader->at <= reader->end;
}

static int sample_refuse(size_t index, size_t count, size_t len, struct err *err) {
	return err_set(err, ERR_CORRUPT, "chunk of %zu bytes: sample %zu of %zu cannot be read",
		len, index + 1, count);
}

/*
 * More bytes than one sample, not among the first two, makes the fast loop look at: 147 bits and
 * what a load of eight bytes takes beyond them.
 */
#define FAST_BYTES 32

/* Eight bytes in the high end of a word, of which the bits before 'at' are shifted out: 57 count.
 */
static inline uint64_t bits_load(const uint8_t *bytes, size_t at) {
	uint64_t word;

	memcpy(&word, bytes + (at >> 3), sizeof(word));
	return __builtin_bswap64(word) << (at & 7);
}

/*
 * Unpacks samples from 'index' on, each of which must begin before bit 'safe_end', FAST_BYTES ahead
 * of where the memory ends. Returns the first that was not unpacked: because of that, or because it
 * makes no sense. What it does is what sample_take does, with everything in registers and one load
 * for a time and value that are short; whether a value has a new window is no branch, as no
 * processor can foresee it.
 */
static size_t samples_take_fast(struct bit_reader *reader, struct xor_tail *tail, size_t safe_end,
	size_t index, size_t count, int64_t *times_ms, double *values) {
	const uint8_t *bytes = reader->bytes;
	struct bit_reader slow = *reader;
	uint64_t value_bits = tail->value_bits;
	uint64_t time_ms = (uint64_t)tail->time_ms;
	uint64_t delta = tail->delta;
	unsigned leading = tail->leading;
	unsigned significant = 64U - tail->leading - tail->trailing;
	size_t at = reader->at;
	size_t i = index;

	for (; i < count && at < safe_end; i++) {
		uint64_t word = bits_load(bytes, at);
		size_t next = at + 1;
		uint64_t moved = delta;

		if (word >> 63 != 0) {
			slow.at = at;
			moved += (uint64_t)change_take(&slow);
			next = slow.at;
			word = bits_load(bytes, next);
		} else {
			word <<= 1;
		}
		/* At least 56 bits of the word count. */
		if (word >> 63 == 0) {
			next++;
		} else {
			bool is_new = word >> 62 == 3;
			unsigned skip = is_new ? 13 : 2;
			unsigned size = (((unsigned)(word >> 51) - 1) & 0x3f) + 1;

			leading = is_new ? (unsigned)(word >> 57) & 0x1f : leading;
			significant = is_new ? size : significant;
			if (leading + significant > 64) {
				break;
			}
			next += skip;
			if (skip + significant <= 56) {
				word = word << skip >> (64 - significant);
			} else {
				slow.at = next;
				word = bits_take(&slow, significant);
			}
			next += significant;
			value_bits ^= word << (64 - leading - significant);
		}
		if (next > reader->end) {
			break;
		}
		at = next;
		delta = moved;
		time_ms += delta;
		times_ms[i] = (int64_t)time_ms;
		memcpy(&values[i], &value_bits, sizeof(value_bits));
	}
	reader->at = at;
	*tail = (struct xor_tail){ .time_ms = (int64_t)time_ms,
		.value_bits = value_bits,
		.delta = delta,
		.leading = (uint8_t)leading,
		.trailing = (uint8_t)(64 - leading - significant) };
	return i;
}

/* The samples from 'index' on. Returns the first that makes no sense; 'count' if there is none. */
static size_t samples_take(struct bit_reader *reader, struct xor_tail *tail, size_t index,
	size_t count, int64_t *times_ms, double *values) {
	uint8_t last[2 * FAST_BYTES + 8] = { 0 };
	size_t safe_end = reader->len > FAST_BYTES ? (reader->len - FAST_BYTES) * 8 : 0;
	size_t i = samples_take_fast(reader, tail, safe_end, index, count, times_ms, values);
	size_t first = reader->at / 8;

	if (i == count || reader->at < safe_end) {
		return i;
	}
	/* The last bytes, followed by enough others. */
	memcpy(last, reader->bytes + first, reader->len - first);
	*reader = (struct bit_reader){ last, sizeof(last), reader->at % 8,
		(reader->len - first) * 8, false };
	return samples_take_fast(reader, tail, sizeof(last) * 8, i, count, times_ms, values);
}

int xor_decode(const uint8_t *bytes, size_t len, size_t count, int64_t *times_ms, double *values,
	struct err *err) {
	struct bit_reader reader = { bytes, len, HEADER * 8, len * 8, false };
	struct xor_tail tail = { 0 };

	if (count > xor_count(bytes, len)) {
		return err_set(err, ERR_CORRUPT, "chunk of %zu bytes has %zu samples, expected %zu",
			len, xor_count(bytes, len), count);
	}
	for (size_t i = 0; i < count && i < 2; i++) {
		if (!sample_take(&reader, &tail, i)) {
			return sample_refuse(i, count, len, err);
		}
		times_ms[i] = tail.time_ms;
		memcpy(&values[i], &tail.value_bits, sizeof(values[i]));
	}
	if (count > 2) {
		size_t end = samples_take(&reader, &tail, 2, count, times_ms, values);

		if (end < count) {
			return sample_refuse(end, count, len, err);
		}
	}
	return 0;
}

int xor_first_time(const uint8_t *bytes, size_t len, int64_t *time_ms, struct err *err) {
	struct bit_reader reader = { bytes, len, HEADER * 8, len * 8, false };
	struct xor_tail tail = { 0 };

	if (xor_count(bytes, len) == 0 || !sample_take(&reader, &tail, 0)) {
		return sample_refuse(0, xor_count(bytes, len), len, err);
	}
	*time_ms = tail.time_ms;
	return 0;
}

int xor_resume(const uint8_t *bytes, size_t len, struct xor_tail *tail, struct err *err) {
	struct bit_reader reader = { bytes, len, HEADER * 8, len * 8, false };
	size_t count = xor_count(bytes, len);
	struct xor_tail found = { 0 };

	for (size_t i = 0; i < count; i++) {
		if (!sample_take(&reader, &found, i)) {
			return sample_refuse(i, count, len, err);
		}
	}
	if (count > 0) {
		found.count = (uint16_t)count;
		found.len = (uint32_t)((reader.at + 7) / 8);
		found.spare_bits = (uint8_t)(found.len * 8 - reader.at);
		found.leading = reader.has_window ? found.leading : NO_WINDOW;
	}
	*tail = found;
	return 0;
}
