/*
 * Byte buffers: one growing run of bytes on the heap, always followed by a NUL that is not counted.
 *
 * { 0 } is an empty buffer. Small growth aborts when memory is gone; whoever lets outsiders decide
 * the size checks it against a limit first. Owned by one thread at a time.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/compiler.h"
#include "base/str.h"

#include <stdarg.h>

struct buf {
	char *ptr; /* NULL while empty and never grown. */
	size_t len;
	size_t capacity;
};

/* Frees the bytes; the buffer is empty and usable after. */
void buf_deinit(struct buf *buf);
/* Empties, keeping the memory. */
void buf_reset(struct buf *buf);
/* Makes room for 'extra' more bytes and returns where they begin; buf->len is unchanged. The
 * caller then adds what it wrote to buf->len and puts the NUL after it. */
char *buf_reserve(struct buf *buf, size_t extra);
/* Each adds to the end: bytes, a slice, a C string, one byte, formatted text. */
void buf_append(struct buf *buf, const void *bytes, size_t len);
void buf_add_str(struct buf *buf, struct str s);
void buf_add_text(struct buf *buf, const char *text);
void buf_add_byte(struct buf *buf, char byte);
void buf_printf(struct buf *buf, const char *fmt, ...) PRINTF(2, 3);
void buf_vprintf(struct buf *buf, const char *fmt, va_list args) PRINTF(2, 0);
/* Drops the first 'len' bytes, moving the rest down. */
void buf_consume(struct buf *buf, size_t len);
/* The bytes as a slice, valid until the buffer next changes. */
struct str buf_str(const struct buf *buf);
/* The bytes as a C string ("" when empty), valid until the buffer next changes. */
const char *buf_text(const struct buf *buf);
/* Hands the heap block (NUL-terminated, for free()) to the caller; the buffer is empty after. */
char *buf_take(struct buf *buf);

#endif
