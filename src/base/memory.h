/*
 * The heap, for small and bounded things: running out of memory ends the process here.
 *
 * Whatever an outsider decides the size of is checked against a limit or charged to a budget first.
 */
#ifndef BASE_MEMORY_H
#define BASE_MEMORY_H

#include <stddef.h>

/* Zeroed memory for 'count' items of 'size' bytes, for free(). Never NULL. */
void *memory_alloc(size_t count, size_t size);
/* As realloc to 'count' items of 'size' bytes (at least one byte); what is new is not zeroed. */
void *memory_resize(void *ptr, size_t count, size_t size);
/* Ends the process: 'bytes' could not be had. */
__attribute__((noreturn, cold)) void memory_exhausted(size_t bytes);

#define MEMORY_NEW(type, count) ((type *)memory_alloc((count), sizeof(type)))

#endif
