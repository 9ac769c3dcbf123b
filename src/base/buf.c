#include "base/buf.h"

#include "base/check.h"
#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CAPACITY 64

void buf_deinit(struct buf *buf) {
	free(buf->ptr);
	*buf = (struct buf){ 0 };
}

void buf_reset(struct buf *buf) {
	buf->len = 0;
	if (buf->ptr) {
		buf->ptr[0] = '\0';
	}
}

char *buf_reserve(struct buf *buf, size_t extra) {
	size_t wanted = 0;
	CHECK(!__builtin_add_overflow(buf->len, extra, &wanted) && wanted < SIZE_MAX / 2);
	if (wanted + 1 > buf->capacity) {
		size_t capacity = buf->capacity + buf->capacity / 2;
		capacity = capacity > wanted + 1 ? capacity : wanted + 1;
		capacity = capacity > FIRST_CAPACITY ? capacity : FIRST_CAPACITY;
		buf->ptr = memory_resize(buf->ptr, capacity, 1);
		buf->capacity = capacity;
		buf->ptr[buf->len] = '\0';
	}
	return buf->ptr + buf->len;
}

void buf_append(struct buf *buf, const void *bytes, size_t len) {
	if (len == 0) {
		return;
	}
	memcpy(buf_reserve(buf, len), bytes, len);
	buf->len += len;
	buf->ptr[buf->len] = '\0';
}

void buf_add_str(struct buf *buf, struct str s) {
	buf_append(buf, s.ptr, s.len);
}

void buf_add_text(struct buf *buf, const char *text) {
	buf_append(buf, text, strlen(text));
}

void buf_add_byte(struct buf *buf, char byte) {
	*buf_reserve(buf, 1) = byte;
	buf->len++;
	buf->ptr[buf->len] = '\0';
}

void buf_vprintf(struct buf *buf, const char *fmt, va_list args) {
	va_list again;
	va_copy(again, args);
	char *to = buf_reserve(buf, FIRST_CAPACITY);
	size_t room = buf->capacity - buf->len;
	int len = vsnprintf(to, room, fmt, args);
	CHECK(len >= 0);
	if ((size_t)len >= room) {
		to = buf_reserve(buf, (size_t)len);
		(void)vsnprintf(to, (size_t)len + 1, fmt, again);
	}
	va_end(again);
	buf->len += (size_t)len;
}

void buf_printf(struct buf *buf, const char *fmt, ...) {
	va_list args;
	va_start(args, fmt);
	buf_vprintf(buf, fmt, args);
	va_end(args);
}

void buf_consume(struct buf *buf, size_t len) {
	CHECK(len <= buf->len);
	if (len > 0) {
		memmove(buf->ptr, buf->ptr + len, buf->len - len);
		buf->len -= len;
		buf->ptr[buf->len] = '\0';
	}
}

struct str buf_str(const struct buf *buf) {
	return buf->ptr ? (struct str){ buf->ptr, buf->len } : STR_EMPTY;
}

const char *buf_text(const struct buf *buf) {
	return buf->ptr ? buf->ptr : "";
}

char *buf_take(struct buf *buf) {
	(void)buf_reserve(buf, 0);
	char *ptr = buf->ptr;
	*buf = (struct buf){ 0 };
	return ptr;
}
