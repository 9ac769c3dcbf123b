/*
 * Counters whose samples say when their counting began: their start timestamps.
 *
 * One after the sample before tells of a reset that no value shows; one within a window says where
 * the counter was zero, so that nothing has to be extrapolated to its left. Samples without have 0.
 */
#ifndef PROMQL_STARTED_H
#define PROMQL_STARTED_H

#include "promql/histogram_notes.h"
#include "promql/range.h"

/* Whether the counting that sample 'at' goes on with began after the sample before. */
bool started_again(const int64_t *times_ms, const int64_t *starts_ms, size_t at);
/* Whether it began before the sample before, which belongs to another: there is something wrong. */
bool started_within_other(const int64_t *times_ms, const int64_t *starts_ms, size_t at);
/* Says so if that is the case anywhere in a window of 'count' samples. */
void started_note_overlap(const struct histogram_notes *notes, const int64_t *times_ms,
	const int64_t *starts_ms, size_t count);

/* The times of a window of a counter. */
struct started_window {
	const int64_t *times_ms;
	const int64_t *starts_ms; /* NULL: none is known. */
	size_t count;             /* At least one. */
	int64_t start_ms;         /* Not within. */
	int64_t end_ms;
};

/* Whether the first sample's counting began within the window, from zero. */
bool started_inside(const struct started_window *window);
/*
 * What the growth from first to last sample, or from zero if the first's counting began inside, is
 * multiplied by to be that of the whole window. It is not extended to the left further than to
 * where a counter of the value 'first' was zero; a negative one: zero is nothing special.
 */
double started_factor(const struct started_window *window, double first, double growth);

/* rate, increase, irate and resets of a series that has start timestamps; 'range_s' as that of
 * extended_run. */
MUST_USE int started_run(struct range_call *call, struct column *out, double range_s);
range_run_fn started_irate_run, started_resets_run;

#endif
