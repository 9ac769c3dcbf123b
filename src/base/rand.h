/*
 * Random numbers: a small seeded generator for jitter and tests, and the system's for secrets.
 */
#ifndef BASE_RAND_H
#define BASE_RAND_H

#include <stddef.h>
#include <stdint.h>

/* xoshiro256**; one owner. */
struct rand {
	uint64_t state[4];
};

/* The same seed gives the same numbers. */
void rand_init(struct rand *rand, uint64_t seed);
/* Any 64 bits. */
uint64_t rand_next(struct rand *rand);
/* Uniform in [0, bound); bound must not be 0. */
uint64_t rand_below(struct rand *rand, uint64_t bound);
/* Uniform in [0, 1). */
double rand_unit(struct rand *rand);
/* Fills 'bytes' from the kernel, for keys and serial numbers. Aborts if the kernel has none. */
void rand_secure(void *bytes, size_t len);

#endif
