/*
 * Logs: one line per event on stderr, logfmt.
 *
 *   ts=2026-11-22T10:00:00.123Z level=warn role=gateway msg="peer refused" reason="certificate ..."
 *
 *   log_warn("peer refused", KV("reason", err.text), KV_INT("port", port));
 *
 * Any thread; a line is written with one write(2). Each call site is limited to
 * LOG_SITE_PER_SECOND_MAX lines a second; what it swallowed is told with its next line.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/err.h"
#include "base/str.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define LOG_SITE_PER_SECOND_MAX 20

enum log_level {
	LOG_DEBUG,
	LOG_INFO,
	LOG_WARN,
	LOG_ERROR
};

enum log_kind {
	LOG_KIND_END,
	LOG_KIND_TEXT,
	LOG_KIND_STR,
	LOG_KIND_INT,
	LOG_KIND_FLOAT
};

struct log_pair {
	const char *key;
	enum log_kind kind;
	union {
		const char *text;
		struct str str;
		int64_t number;
		double real;
	};
};

struct log_site {
	_Atomic int64_t window_s;
	_Atomic uint32_t count;
};

#define KV(k, v) ((struct log_pair){ .key = (k), .kind = LOG_KIND_TEXT, .text = (v) })
#define KV_STR(k, v) ((struct log_pair){ .key = (k), .kind = LOG_KIND_STR, .str = (v) })
#define KV_INT(k, v) ((struct log_pair){ .key = (k), .kind = LOG_KIND_INT, .number = (int64_t)(v) })
#define KV_FLOAT(k, v) ((struct log_pair){ .key = (k), .kind = LOG_KIND_FLOAT, .real = (v) })
#define KV_ERR(e) KV("err", (e)->text)

/* Called once, before threads: the process' role, written on each line ("monitor"). Static text. */
void log_set_role(const char *role);
/* Lines below 'level' are not written; LOG_INFO at first. */
void log_set_level(enum log_level level);
/* "debug" "info" "warn" "error". Returns false for another word. */
bool log_parse_level(struct str text, enum log_level *level);
/* Whether lines of that level are written, for callers that prepare what they log. */
bool log_enabled(enum log_level level);

/* What the macros below call: 'pairs' ends with LOG_KIND_END. */
void log_write(struct log_site *site, enum log_level level, const char *message,
	const struct log_pair *pairs);

#define LOG_AT(level, message, ...)                                                                \
	do {                                                                                       \
		static struct log_site log_site_here;                                              \
		if (log_enabled(level)) {                                                          \
			log_write(&log_site_here, (level), (message),                              \
				(const struct log_pair[]){                                         \
					__VA_ARGS__ __VA_OPT__(, ){ .kind = LOG_KIND_END } });     \
		}                                                                                  \
	} while (0)
#define log_debug(...) LOG_AT(LOG_DEBUG, __VA_ARGS__)
#define log_info(...) LOG_AT(LOG_INFO, __VA_ARGS__)
#define log_warn(...) LOG_AT(LOG_WARN, __VA_ARGS__)
#define log_error(...) LOG_AT(LOG_ERROR, __VA_ARGS__)

#endif
