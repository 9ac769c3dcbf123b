#include "base/memory.h"

#include "base/check.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

void memory_exhausted(size_t bytes) {
	(void)fprintf(stderr, "out of memory: the system refused %zu bytes\n", bytes);
	abort();
}

void *memory_alloc(size_t count, size_t size) {
	void *ptr = calloc(count > 0 ? count : 1, size > 0 ? size : 1);
	if (!ptr) {
		memory_exhausted(count * size);
	}
	return ptr;
}

void *memory_resize(void *ptr, size_t count, size_t size) {
	size_t bytes = 0;
	CHECK(!__builtin_mul_overflow(count, size, &bytes));
	void *bigger = realloc(ptr, bytes > 0 ? bytes : 1);
	if (!bigger) {
		memory_exhausted(bytes);
	}
	return bigger;
}
