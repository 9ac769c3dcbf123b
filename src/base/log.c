#include "base/log.h"

#include "base/buf.h"
#include "base/quote.h"
#include "base/time.h"

#include <inttypes.h>
#include <unistd.h>

/* Process-wide by nature: set once at start, then only read. */
static const char *log_role;
static _Atomic int log_level_min = LOG_INFO;

static const char *const level_names[] = { "debug", "info", "warn", "error" };

void log_set_role(const char *role) {
	log_role = role;
}

void log_set_level(enum log_level level) {
	atomic_store_explicit(&log_level_min, (int)level, memory_order_relaxed);
}

bool log_parse_level(struct str text, enum log_level *level) {
	for (size_t i = 0; i < ARRAY_COUNT(level_names); i++) {
		if (str_equal(text, str_of(level_names[i]))) {
			*level = (enum log_level)i;
			return true;
		}
	}
	return false;
}

bool log_enabled(enum log_level level) {
	return (int)level >= atomic_load_explicit(&log_level_min, memory_order_relaxed);
}

/*
 * Counts one line of a call site. Returns whether it may be written, and with the first line of a
 * new second how many the last one swallowed. Races only miscount: relaxed order.
 */
static bool site_admit(struct log_site *site, int64_t now_s, uint32_t *swallowed) {
	*swallowed = 0;
	int64_t window = atomic_load_explicit(&site->window_s, memory_order_relaxed);
	if (window != now_s && atomic_compare_exchange_strong_explicit(&site->window_s, &window,
				       now_s, memory_order_relaxed, memory_order_relaxed)) {
		uint32_t before = atomic_exchange_explicit(&site->count, 1, memory_order_relaxed);
		*swallowed =
			before > LOG_SITE_PER_SECOND_MAX ? before - LOG_SITE_PER_SECOND_MAX : 0;
		return true;
	}
	uint32_t count = atomic_fetch_add_explicit(&site->count, 1, memory_order_relaxed);
	return count < LOG_SITE_PER_SECOND_MAX;
}

static bool needs_quotes(struct str value) {
	for (size_t i = 0; i < value.len; i++) {
		unsigned char c = (unsigned char)value.ptr[i];
		if (c <= ' ' || c == '=' || c == '"' || c == '\\' || c >= 0x7f) {
			return true;
		}
	}
	return value.len == 0;
}

static void add_value(struct buf *line, struct str value) {
	if (needs_quotes(value)) {
		quote_append(value, line);
	} else {
		buf_add_str(line, value);
	}
}

static void add_time(struct buf *line, int64_t now_ms) {
	buf_add_text(line, "ts=");
	time_format_rfc3339(now_ms, line);
	if (now_ms % MS_PER_S == 0) {
		/* Lines are easier to read when the columns stand under each other. */
		line->len--;
		buf_add_text(line, ".000Z");
	}
}

static void add_pair(struct buf *line, const struct log_pair *pair) {
	buf_printf(line, " %s=", pair->key);
	switch (pair->kind) {
	case LOG_KIND_TEXT:
		add_value(line, str_of(pair->text ? pair->text : "(null)"));
		break;
	case LOG_KIND_STR:
		add_value(line, pair->str);
		break;
	case LOG_KIND_INT:
		buf_printf(line, "%" PRId64, pair->number);
		break;
	case LOG_KIND_FLOAT:
		buf_printf(line, "%.6g", pair->real);
		break;
	case LOG_KIND_END:
		break;
	}
}

void log_write(struct log_site *site, enum log_level level, const char *message,
	const struct log_pair *pairs) {
	int64_t now_ms = clock_now_ms(clock_system());
	uint32_t swallowed = 0;
	if (!site_admit(site, now_ms / MS_PER_S, &swallowed)) {
		return;
	}
	AUTO(buf_deinit) struct buf line = { 0 };
	add_time(&line, now_ms);
	buf_printf(&line, " level=%s", level_names[level]);
	if (log_role) {
		buf_printf(&line, " role=%s", log_role);
	}
	buf_add_text(&line, " msg=");
	add_value(&line, str_of(message));
	for (; pairs->kind != LOG_KIND_END; pairs++) {
		add_pair(&line, pairs);
	}
	if (swallowed > 0) {
		buf_printf(&line, " swallowed=%" PRIu32, swallowed);
	}
	buf_add_byte(&line, '\n');
	/* There is nowhere to tell that standard error is gone. */
	ssize_t written = write(STDERR_FILENO, line.ptr, line.len);
	(void)written;
}
