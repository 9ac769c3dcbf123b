/*
 * Time: milliseconds since 1970 for samples, nanoseconds on a monotonic clock for durations.
 *
 * Everything that waits, expires or stamps takes a 'struct clock *', so that a test can own time.
 * A manual clock only moves when told to. Any thread.
 */
#ifndef BASE_TIME_H
#define BASE_TIME_H

#include "base/buf.h"
#include "base/str.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define NS_PER_MS INT64_C(1000000)
#define NS_PER_S INT64_C(1000000000)
#define MS_PER_S INT64_C(1000)

struct clock {
	bool is_manual;
	_Atomic int64_t wall_ms; /* Used by a manual clock only. */
	_Atomic int64_t mono_ns; /* Likewise. */
};

/* The system's clock. */
struct clock *clock_system(void);
void clock_init_manual(struct clock *clock, int64_t wall_ms);
/* Moves a manual clock forward. */
void clock_advance_ms(struct clock *clock, int64_t ms);

/* Milliseconds since 1970-01-01 UTC. */
int64_t clock_now_ms(const struct clock *clock);
/* Nanoseconds since an arbitrary start; never goes back. */
int64_t clock_mono_ns(const struct clock *clock);

/* CPU time of this thread or process in nanoseconds (never manual). */
int64_t time_cpu_thread_ns(void);
int64_t time_cpu_process_ns(void);

/* RFC 3339 in UTC, "2026-11-22T10:00:00Z"; milliseconds only where there are some. */
void time_format_rfc3339(int64_t unix_ms, struct buf *out);
/* Reads RFC 3339 with any offset. Returns false for anything else; fractions round to ms. */
bool time_parse_rfc3339(struct str text, int64_t *unix_ms);

#endif
