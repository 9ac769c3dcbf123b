/*
 * When a certificate's end is near enough to tell people. Any thread.
 *
 * The alarms are at 30, 14, 7 and 1 days. A certificate that lives for a day or a few has them at a
 * quarter, a sixth, a twelfth and a 24th of its lifetime, if that is sooner: renewal is at a third,
 * so that the first means that it is overdue.
 */
#ifndef TRUST_ALARM_H
#define TRUST_ALARM_H

#include "base/buf.h"

#include <stdint.h>

/* How near the end is. */
enum certificate_alarm {
	ALARM_NONE,
	ALARM_30_DAYS,
	ALARM_14_DAYS,
	ALARM_7_DAYS,
	ALARM_1_DAY,
	ALARM_ENDED
};

/* Of a certificate that is valid between these. */
enum certificate_alarm certificate_alarm_at(
	int64_t not_before_ms, int64_t not_after_ms, int64_t now_ms);
/* "none", "30d", "14d", "7d", "1d", "ended". */
const char *certificate_alarm_name(enum certificate_alarm alarm);
/* Appends a time span for people: "3 days", "5 h", "12 min", "8 s". */
void certificate_format_span(int64_t ms, struct buf *out);

#endif
