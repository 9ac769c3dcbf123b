#include "base/rand.h"

#include "base/check.h"

#include <errno.h>
#include <sys/random.h>

/* splitmix64, which xoshiro's authors recommend for spreading a seed. */
static uint64_t spread(uint64_t *seed) {
	uint64_t z = (*seed += 0x9e3779b97f4a7c15U);
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
	return z ^ (z >> 31);
}

void rand_init(struct rand *rand, uint64_t seed) {
	for (size_t i = 0; i < ARRAY_COUNT(rand->state); i++) {
		rand->state[i] = spread(&seed);
	}
}

static uint64_t rotate(uint64_t x, unsigned by) {
	return x << by | x >> (64 - by);
}

uint64_t rand_next(struct rand *rand) {
	uint64_t *s = rand->state;
	uint64_t result = rotate(s[1] * 5, 7) * 9;
	uint64_t t = s[1] << 17;
	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = rotate(s[3], 45);
	return result;
}

uint64_t rand_below(struct rand *rand, uint64_t bound) {
	CHECK(bound > 0);
	/* Values under this would make the small results likelier. */
	uint64_t reject_below = (0 - bound) % bound;
	uint64_t value;
	do {
		value = rand_next(rand);
	} while (value < reject_below);
	return value % bound;
}

double rand_unit(struct rand *rand) {
	return (double)(rand_next(rand) >> 11) * 0x1.0p-53;
}

void rand_secure(void *bytes, size_t len) {
	char *to = bytes;
	while (len > 0) {
		ssize_t got = getrandom(to, len, 0);
		if (got < 0) {
			CHECK(errno == EINTR);
			continue;
		}
		to += got;
		len -= (size_t)got;
	}
}
