/*
 * Bitmaps of the steps that have a value. Bits past the last step are never set.
 */
#include "promql/eval.h"

size_t present_count(const uint64_t *present, size_t step_count) {
	size_t count = 0;

	for (size_t i = 0; i < step_words(step_count); i++) {
		count += (size_t)__builtin_popcountll(present[i]);
	}
	return count;
}

bool present_any(const uint64_t *present, size_t step_count) {
	for (size_t i = 0; i < step_words(step_count); i++) {
		if (present[i] != 0) {
			return true;
		}
	}
	return false;
}

bool present_overlap(const uint64_t *a, const uint64_t *b, size_t step_count) {
	for (size_t i = 0; i < step_words(step_count); i++) {
		if ((a[i] & b[i]) != 0) {
			return true;
		}
	}
	return false;
}

void present_fill(uint64_t *present, size_t step_count) {
	size_t words = step_words(step_count);

	memset(present, 0xff, words * sizeof(*present));
	if (step_count % 64 != 0) {
		present[words - 1] = (UINT64_C(1) << (step_count % 64)) - 1;
	}
}

size_t present_seek(const uint64_t *present, size_t step_count, size_t from) {
	if (from >= step_count) {
		return step_count;
	}

	size_t word = from / 64;
	uint64_t bits = present[word] & (UINT64_MAX << (from % 64));

	while (bits == 0) {
		if (++word == step_words(step_count)) {
			return step_count;
		}
		bits = present[word];
	}
	return word * 64 + (size_t)__builtin_ctzll(bits);
}
