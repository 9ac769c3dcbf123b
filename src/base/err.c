#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Puts ": " and 'tail' behind the text, as far as there is room. */
static void add_tail(char *text, size_t size, const char *tail) {
	size_t len = strlen(text);
	const char *const parts[] = { ": ", tail };
	for (size_t i = 0; i < ARRAY_COUNT(parts); i++) {
		size_t part = strnlen(parts[i], size - 1 - len);
		memcpy(text + len, parts[i], part);
		len += part;
	}
	text[len] = '\0';
}

int err_set(struct err *err, int code, const char *fmt, ...) {
	if (!err) {
		return code;
	}
	/* By way of a copy: the arguments may point into err->text. */
	char text[sizeof(err->text)];
	va_list args;
	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	err->code = code;
	memcpy(err->text, text, strlen(text) + 1);
	return code;
}

int err_wrap(struct err *err, int code, const char *fmt, ...) {
	if (!err) {
		return code;
	}
	char text[sizeof(err->text)];
	va_list args;
	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	add_tail(text, sizeof(text), err->text);
	err->code = code;
	memcpy(err->text, text, strlen(text) + 1);
	return code;
}

int err_errno(struct err *err, int system_errno, const char *fmt, ...) {
	if (!err) {
		return ERR_IO;
	}
	char text[sizeof(err->text)];
	char reason[128];
	va_list args;
	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	add_tail(text, sizeof(text), strerror_r(system_errno, reason, sizeof(reason)));
	err->code = ERR_IO;
	memcpy(err->text, text, strlen(text) + 1);
	return ERR_IO;
}

const char *err_name(int code) {
	static const char *const names[] = { "ok", "inval", "limit", "corrupt", "io", "timeout",
		"closed", "canceled", "denied", "absent", "exec" };
	if (code >= 0) {
		return names[0];
	}
	return code > -(int)ARRAY_COUNT(names) ? names[-code] : "unknown";
}
