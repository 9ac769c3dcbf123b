/*
 * Numbers in files: big endian, and Go's varints.
 */
#ifndef TSDB_BYTE_ORDER_H
#define TSDB_BYTE_ORDER_H

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint16_t be16_read(const uint8_t *p) {
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t be32_read(const uint8_t *p) {
	uint32_t value;
	memcpy(&value, p, sizeof(value));
	return __builtin_bswap32(value);
}

static inline uint64_t be64_read(const uint8_t *p) {
	uint64_t value;
	memcpy(&value, p, sizeof(value));
	return __builtin_bswap64(value);
}

static inline void be16_write(uint8_t *p, uint16_t value) {
	p[0] = (uint8_t)(value >> 8);
	p[1] = (uint8_t)value;
}

static inline void be32_write(uint8_t *p, uint32_t value) {
	value = __builtin_bswap32(value);
	memcpy(p, &value, sizeof(value));
}

static inline void be64_write(uint8_t *p, uint64_t value) {
	value = __builtin_bswap64(value);
	memcpy(p, &value, sizeof(value));
}

/* Most bytes of a varint. */
#define VARINT_MAX 10

/* Writes up to VARINT_MAX bytes; returns how many. */
static inline size_t uvarint_write(uint8_t *p, uint64_t value) {
	size_t len = 0;
	while (value >= 0x80) {
		p[len++] = (uint8_t)(value | 0x80);
		value >>= 7;
	}
	p[len++] = (uint8_t)value;
	return len;
}

/* The same for a signed number, folded so that small ones of either sign are short. */
static inline size_t varint_write(uint8_t *p, int64_t value) {
	return uvarint_write(p, (uint64_t)value << 1 ^ (uint64_t)(value >> 63));
}

/* Bytes yet to be read. A read past the end leaves 'is_bad' and gives 0. */
struct byte_reader {
	const uint8_t *at;
	const uint8_t *end;
	bool is_bad;
};

static inline size_t bytes_left(const struct byte_reader *reader) {
	return (size_t)(reader->end - reader->at);
}

/* Moves past 'count' bytes and returns where they are, NULL if there are fewer. */
static inline const uint8_t *bytes_take(struct byte_reader *reader, size_t count) {
	const uint8_t *at = reader->at;
	if (count > bytes_left(reader)) {
		reader->is_bad = true;
		reader->at = reader->end;
		return NULL;
	}
	reader->at += count;
	return at;
}

static inline uint8_t byte_take(struct byte_reader *reader) {
	const uint8_t *at = bytes_take(reader, 1);
	return at ? *at : 0;
}

static inline uint64_t be64_take(struct byte_reader *reader) {
	const uint8_t *at = bytes_take(reader, 8);
	return at ? be64_read(at) : 0;
}

static inline uint64_t uvarint_take(struct byte_reader *reader) {
	uint64_t value = 0;
	for (unsigned shift = 0; shift < 64; shift += 7) {
		uint8_t byte = byte_take(reader);
		if (shift == 63 && byte > 1) {
			break;
		}
		value |= (uint64_t)(byte & 0x7f) << shift;
		if (byte < 0x80) {
			return value;
		}
	}
	reader->is_bad = true;
	return 0;
}

static inline int64_t varint_take(struct byte_reader *reader) {
	uint64_t value = uvarint_take(reader);
	return (int64_t)(value >> 1 ^ (~(value & 1) + 1));
}

#endif
