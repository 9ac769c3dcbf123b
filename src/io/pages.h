/*
 * Memory straight from the system, of whole pages: what was never written to takes none, and what
 * was can be given back while the address stays. Any thread.
 */
#ifndef IO_PAGES_H
#define IO_PAGES_H

#include <stddef.h>

/* Zeroed; NULL when the system refuses. */
void *pages_new(size_t bytes);
/* 'bytes' as given to pages_new. */
void pages_free(void *pages, size_t bytes);
/* The bytes are zero again and take no memory until they are written to. */
void pages_forget(void *pages, size_t bytes);

#endif
