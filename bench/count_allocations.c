/*
 * Counts a program's calls of the system allocator, when preloaded (LD_PRELOAD): four numbers of
 * 64 bits, in this order malloc, calloc, realloc, free, in the file that ATOLL_COUNT_FILE names,
 * which must be there and have their size. aligned_alloc and posix_memalign count as malloc.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* What stands behind glibc's names, so that no lookup (which itself allocates) is needed. */
// NOLINTBEGIN(bugprone-reserved-identifier): they are glibc's
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *pointer, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);
extern void __libc_free(void *pointer);
// NOLINTEND(bugprone-reserved-identifier)

enum {
	COUNT_MALLOC,
	COUNT_CALLOC,
	COUNT_REALLOC,
	COUNT_FREE,
	COUNTS
};

static _Atomic uint64_t unshared[COUNTS];
static _Atomic uint64_t *counts = unshared; /* Set before there are threads. */

__attribute__((constructor)) static void share(void) {
	const char *path = getenv("ATOLL_COUNT_FILE");
	int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	if (fd < 0) {
		return;
	}
	void *at = mmap(NULL, sizeof(unshared), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (at != MAP_FAILED) {
		counts = at;
	}
	(void)close(fd);
}

static void count(int which) {
	/* Nothing is ordered by these. */
	atomic_fetch_add_explicit(&counts[which], 1, memory_order_relaxed);
}

void *malloc(size_t size) {
	count(COUNT_MALLOC);
	return __libc_malloc(size);
}

void *calloc(size_t number, size_t size) {
	count(COUNT_CALLOC);
	return __libc_calloc(number, size);
}

void *realloc(void *pointer, size_t size) {
	count(COUNT_REALLOC);
	return __libc_realloc(pointer, size);
}

void *aligned_alloc(size_t alignment, size_t size) {
	count(COUNT_MALLOC);
	return __libc_memalign(alignment, size);
}

int posix_memalign(void **out, size_t alignment, size_t size) {
	count(COUNT_MALLOC);
	void *pointer = __libc_memalign(alignment, size);
	if (!pointer) {
		return ENOMEM;
	}
	*out = pointer;
	return 0;
}

void free(void *pointer) {
	if (pointer) {
		count(COUNT_FREE);
	}
	__libc_free(pointer);
}
