/*
 * The heap with a short memory: blocks that were given back lie ready, by size, for the same thread
 * to take again, so that what is made and dropped for every request does not ask the system's
 * allocator each time.
 *
 * Blocks are malloc's own: free() may be given them, and any of malloc's may be given back here.
 * What a thread keeps is bounded (REUSE_THREAD_BYTES_MAX) and goes with the thread. Any thread; a
 * block may be given back by another than took it. Under a sanitizer nothing is kept, so that it
 * sees every mistake.
 */
#ifndef BASE_REUSE_H
#define BASE_REUSE_H

#include <stddef.h>

/* Blocks beyond this are the system's business. */
#define REUSE_BLOCK_BYTES_MAX ((size_t)32 * 1024)
/* What one thread keeps at most, of all sizes together. */
#define REUSE_THREAD_BYTES_MAX ((size_t)1024 * 1024)

/* As malloc, calloc and realloc; NULL when the system has no more, and for 0 bytes. */
void *reuse_alloc(size_t size);
void *reuse_alloc_zeroed(size_t count, size_t size);
void *reuse_resize(void *block, size_t size);
/* As free. */
void reuse_free(void *block);

#endif
