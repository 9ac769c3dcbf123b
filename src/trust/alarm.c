#include "trust/alarm.h"

#include "base/check.h"
#include "base/time.h"

#define HOUR_MS (INT64_C(3600) * MS_PER_S)
#define DAY_MS (24 * HOUR_MS)

/* From the last to the first. */
static const struct {
	enum certificate_alarm alarm;
	int64_t left_ms;
	int64_t part; /* Of the lifetime. */
} alarms[] = {
	{ ALARM_1_DAY, DAY_MS, 24 },
	{ ALARM_7_DAYS, 7 * DAY_MS, 12 },
	{ ALARM_14_DAYS, 14 * DAY_MS, 6 },
	{ ALARM_30_DAYS, 30 * DAY_MS, 4 },
};

enum certificate_alarm certificate_alarm_at(
	int64_t not_before_ms, int64_t not_after_ms, int64_t now_ms) {
	int64_t left_ms = not_after_ms - now_ms;
	if (left_ms <= 0) {
		return ALARM_ENDED;
	}
	for (size_t i = 0; i < ARRAY_COUNT(alarms); i++) {
		int64_t part_ms = (not_after_ms - not_before_ms) / alarms[i].part;
		if (left_ms <= (part_ms < alarms[i].left_ms ? part_ms : alarms[i].left_ms)) {
			return alarms[i].alarm;
		}
	}
	return ALARM_NONE;
}

const char *certificate_alarm_name(enum certificate_alarm alarm) {
	static const char *const names[] = { "none", "30d", "14d", "7d", "1d", "ended" };
	return names[alarm];
}

void certificate_format_span(int64_t ms, struct buf *out) {
	if (ms >= 2 * DAY_MS) {
		buf_printf(out, "%lld days", (long long)(ms / DAY_MS));
	} else if (ms >= 2 * HOUR_MS) {
		buf_printf(out, "%lld h", (long long)(ms / HOUR_MS));
	} else if (ms >= 2 * 60 * MS_PER_S) {
		buf_printf(out, "%lld min", (long long)(ms / MS_PER_S / 60));
	} else {
		buf_printf(out, "%lld s", (long long)(ms / MS_PER_S));
	}
}
