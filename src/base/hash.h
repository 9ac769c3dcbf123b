/*
 * Hashes for in-memory tables and for identities (xxHash; the 64-bit form is stable across versions
 * and machines, so it may be stored).
 */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include "base/str.h"

#include <stdint.h>

/* XXH3 of the bytes. */
uint64_t hash_bytes(const void *bytes, size_t len, uint64_t seed);

/* The same of a slice. */
static inline uint64_t hash_str(struct str s, uint64_t seed) {
	return hash_bytes(s.ptr, s.len, seed);
}

/* Mixes an integer into a hash. */
static inline uint64_t hash_mix(uint64_t hash, uint64_t value) {
	uint64_t x = (hash ^ value) * 0x9fb21c651e98df25U;
	return x ^ (x >> 32);
}

/* FNV-1a over bytes: what Prometheus phases its scrapes with. Start with HASH_FNV_INIT. */
#define HASH_FNV_INIT 0xcbf29ce484222325U
uint64_t hash_fnv64a(uint64_t hash, struct str s);

/* CRC-32C (Castagnoli), as Prometheus' files use; start with 0, feed the result back to go on. */
uint32_t hash_crc32c(uint32_t crc, const void *bytes, size_t len);
/* The same without the processor's instruction; for machines without it, and tests. */
uint32_t hash_crc32c_portable(uint32_t crc, const void *bytes, size_t len);

#endif
