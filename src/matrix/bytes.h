/*
 * Numbers and strings as the compact matrix stores them: LEB128 varints, zigzag for signed ones,
 * doubles as their bits in little-endian order, strings after their length.
 *
 * A reader that runs past the end, or meets a varint beyond 64 bits, fails and stays failed: it
 * gives zeros and empty strings, and its owner looks once, at the end of what it reads.
 */
#ifndef MATRIX_BYTES_H
#define MATRIX_BYTES_H

#include "base/buf.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

struct reader {
	const uint8_t *next;
	const uint8_t *end;
	bool has_failed;
};

static inline uint64_t zigzag(int64_t value) {
	return ((uint64_t)value << 1) ^ (uint64_t)(value >> 63);
}

static inline int64_t unzigzag(uint64_t value) {
	return (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
}

/* How many bytes put_varint takes. */
static inline size_t varint_size(uint64_t value) {
	return 1 + (63 - (size_t)__builtin_clzll(value | 1)) / 7;
}

static inline void put_varint(struct buf *out, uint64_t value) {
	while (value >= 0x80) {
		buf_add_byte(out, (char)(value | 0x80));
		value >>= 7;
	}
	buf_add_byte(out, (char)value);
}

static inline void put_signed(struct buf *out, int64_t value) {
	put_varint(out, zigzag(value));
}

static inline void put_bits(struct buf *out, uint64_t bits) {
	uint8_t bytes[8];
	for (size_t i = 0; i < sizeof(bytes); i++) {
		bytes[i] = (uint8_t)(bits >> (8 * i));
	}
	buf_append(out, bytes, sizeof(bytes));
}

static inline void put_str(struct buf *out, struct str s) {
	put_varint(out, s.len);
	buf_add_str(out, s);
}

static inline size_t reader_left(const struct reader *in) {
	return (size_t)(in->end - in->next);
}

static inline void reader_fail(struct reader *in) {
	in->has_failed = true;
	in->next = in->end;
}

static inline uint8_t get_byte(struct reader *in) {
	if (in->next == in->end) {
		reader_fail(in);
		return 0;
	}
	return *in->next++;
}

static inline uint64_t get_varint(struct reader *in) {
	uint64_t value = 0;
	for (unsigned shift = 0; shift < 64; shift += 7) {
		uint8_t byte = get_byte(in);
		if (shift == 63 && byte > 1) {
			break;
		}
		value |= (uint64_t)(byte & 0x7f) << shift;
		if (byte < 0x80) {
			return in->has_failed ? 0 : value;
		}
	}
	reader_fail(in);
	return 0;
}

static inline int64_t get_signed(struct reader *in) {
	return unzigzag(get_varint(in));
}

/* A number of things that take at least one byte each of what is left. */
static inline size_t get_count(struct reader *in) {
	uint64_t count = get_varint(in);
	if (count > reader_left(in)) {
		reader_fail(in);
		return 0;
	}
	return (size_t)count;
}

/* 'len' bytes as they stand; NULL when there are fewer. */
static inline const uint8_t *get_bytes(struct reader *in, size_t len) {
	if (len > reader_left(in)) {
		reader_fail(in);
		return NULL;
	}
	const uint8_t *bytes = in->next;
	in->next += len;
	return bytes;
}

static inline uint64_t get_bits(struct reader *in) {
	const uint8_t *bytes = get_bytes(in, 8);
	uint64_t bits = 0;
	for (size_t i = 0; bytes && i < 8; i++) {
		bits |= (uint64_t)bytes[i] << (8 * i);
	}
	return bits;
}

/* A slice of the input. */
static inline struct str get_str(struct reader *in) {
	size_t len = get_count(in);
	const uint8_t *bytes = get_bytes(in, len);
	return bytes ? (struct str){ (const char *)bytes, len } : STR_EMPTY;
}

#endif
