/*
 * Which of a series' samples lie in each step's window.
 *
 * A target's series are all sampled at the same times, so neighbouring series have the same
 * windows; they, and what functions derive from the times alone, are kept until other times come.
 */
#ifndef PROMQL_WINDOWS_H
#define PROMQL_WINDOWS_H

#include "promql/samples.h"

/* Samples [low, high); none if they are equal. */
struct span {
	uint32_t low;
	uint32_t high;
};

struct windows {
	struct span *spans; /* Of each step. */
	uint64_t *present;  /* The steps that have any sample. */
	uint64_t used;      /* Samples in all windows together. */
	uint64_t version;   /* Changes with the times. */
	int64_t *times_ms;  /* Those that the spans are of. */
	size_t count;
	size_t capacity;
};

/* Brings the windows up to date for 'samples'; { 0 } at first. Returns 0 or ERR_LIMIT. */
MUST_USE int windows_update(struct windows *windows, struct eval *ev, const struct grid *grid,
	const struct window_shape *shape, const struct samples *samples);

#endif
