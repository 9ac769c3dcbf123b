/*
 * Any bytes as a chunk: unpacks or refuses, and what unpacks goes on and packs back.
 */
#include "base/check.h"
#include "chunk/xor.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	size_t count = xor_count(data, size);
	int64_t *times = calloc(count + 1, sizeof(*times));
	double *values = calloc(count + 1, sizeof(*values));
	struct xor_tail tail = { 0 };
	bool decodes = xor_decode(data, size, count, times, values, NULL) >= 0;

	CHECK(decodes == (xor_resume(data, size, &tail, NULL) >= 0));
	if (decodes) {
		struct buf chunk = { 0 };
		struct xor_tail again = { 0 };
		for (size_t i = 0; i < count; i++) {
			uint64_t bits;
			memcpy(&bits, &values[i], sizeof(bits));
			xor_append_buf(&again, &chunk, times[i], bits);
		}
		if (count > 0) {
			int64_t *times_again = calloc(count, sizeof(*times));
			double *values_again = calloc(count, sizeof(*values));
			CHECK(tail.time_ms == times[count - 1]);
			CHECK(xor_decode((const uint8_t *)chunk.ptr, chunk.len, count, times_again,
				      values_again, NULL) == 0);
			CHECK(memcmp(times, times_again, count * sizeof(*times)) == 0);
			CHECK(memcmp(values, values_again, count * sizeof(*values)) == 0);
			free(times_again);
			free(values_again);
		}
		buf_deinit(&chunk);
	}
	free(times);
	free(values);
	return 0;
}
