/*
 * XOR chunks: the samples of one series as Prometheus packs them (chunk encoding 1).
 *
 * A chunk is two bytes of sample count (big endian), then bits: the first time and value in full,
 * the second time as a difference, from then on the change of the difference and the changed bits
 * of the value. Values are bits here: no NaN is ever touched.
 *
 * Nothing is allocated and nothing is shared: any thread, on its own memory.
 */
#ifndef CHUNK_XOR_H
#define CHUNK_XOR_H

#include "base/buf.h"
#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

/* The number by which files name this encoding. */
#define CHUNK_ENCODING_XOR 1

/* Most samples of one chunk: what its count can hold. */
#define XOR_COUNT_MAX 65535

/* Most bytes that one more sample touches: the chunk's last byte, 68 bits of time, 77 of value; the
 * first two samples are shorter. */
#define XOR_APPEND_BYTES_MAX 24

/* Where a chunk stands, so that appending can go on. { 0 } is an empty chunk. */
struct xor_tail {
	int64_t time_ms; /* The newest sample. */
	uint64_t value_bits;
	uint64_t delta;     /* Between the last two times. */
	uint32_t len;       /* Bytes, the count's two included. */
	uint16_t count;     /* Samples. */
	uint8_t spare_bits; /* Unused low bits of the last byte. */
	uint8_t leading;    /* The window of changed bits last written; 255: none yet. */
	uint8_t trailing;
};

/*
 * Packs one more sample. 'last' is the chunk's last byte (anything for an empty chunk). Puts the
 * bytes that change or are new into 'out' and returns how many; they go to offset '*at' of the
 * chunk. The caller also stores the new count: xor_count_write. The chunk must have room for
 * another sample (tail->count < XOR_COUNT_MAX).
 */
size_t xor_append(struct xor_tail *tail, uint8_t last, int64_t time_ms, uint64_t value_bits,
	uint8_t out[XOR_APPEND_BYTES_MAX], size_t *at);
/* Writes the sample count into the chunk's first two bytes. */
void xor_count_write(uint8_t *bytes, uint16_t count);
/* As xor_append, on a chunk in a buffer of its own. */
void xor_append_buf(struct xor_tail *tail, struct buf *chunk, int64_t time_ms, uint64_t value_bits);

/* The samples that a chunk says it has; 0 for fewer than two bytes. */
size_t xor_count(const uint8_t *bytes, size_t len);
/* The time of the first sample. Returns 0 or ERR_CORRUPT. */
MUST_USE int xor_first_time(const uint8_t *bytes, size_t len, int64_t *time_ms, struct err *err);

/*
 * Unpacks the first 'count' samples (at most what xor_count says) into two columns with room for
 * them. Returns 0, or ERR_CORRUPT when the bits end early or make no sense.
 */
MUST_USE int xor_decode(const uint8_t *bytes, size_t len, size_t count, int64_t *times_ms,
	double *values, struct err *err);
/* Reads a whole chunk to find where it stands. Returns 0 or ERR_CORRUPT. */
MUST_USE int xor_resume(const uint8_t *bytes, size_t len, struct xor_tail *tail, struct err *err);

#endif
