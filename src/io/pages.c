#include "io/pages.h"

#include "base/check.h"

#include <sys/mman.h>

void *pages_new(size_t bytes) {
	void *pages = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return pages == MAP_FAILED ? NULL : pages;
}

void pages_free(void *pages, size_t bytes) {
	CHECK(munmap(pages, bytes) == 0);
}

void pages_forget(void *pages, size_t bytes) {
	CHECK(madvise(pages, bytes, MADV_DONTNEED) == 0);
}
