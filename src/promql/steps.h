/*
 * Steps: a finished matrix on a fixed grid of times, and the results a query gives.
 *
 * A column holds one series' value at each step and which steps have one. Steps are results: nobody
 * applies lookback to them again. Immutable once built; memory is the arena's.
 */
#ifndef PROMQL_STEPS_H
#define PROMQL_STEPS_H

#include "base/arena.h"
#include "label/labels.h"
#include "store/histogram.h"

#include <stdint.h>

/* Times start_ms, start_ms + step_ms, ... 'count' of them; an instant has count 1, step_ms 0. */
struct grid {
	int64_t start_ms;
	int64_t step_ms;
	size_t count;
};

static inline int64_t grid_time(const struct grid *grid, size_t index) {
	return grid->start_ms + (int64_t)index * grid->step_ms;
}

struct step_column {
	struct labels labels;
	double *values;    /* 'grid.count' of them; those not present are unspecified. */
	uint64_t *present; /* Bit i of word i / 64: whether step i has a value. */
	/* The steps whose value is a histogram; NULL at the others, or for none at all. */
	const struct histogram **histograms;
};

struct steps {
	struct grid grid;
	struct step_column *columns;
	size_t count;
};

static inline bool step_present(const struct step_column *column, size_t index) {
	return (column->present[index / 64] >> (index % 64)) & 1U;
}

static inline void step_set(struct step_column *column, size_t index, double value) {
	column->values[index] = value;
	column->present[index / 64] |= UINT64_C(1) << (index % 64);
}

/* Words of a presence bitmap for 'count' steps. */
static inline size_t step_words(size_t count) {
	return (count + 63) / 64;
}

/* A column with no value at any step. Returns 0 or ERR_LIMIT from the arena's budget. */
MUST_USE int step_column_build(
	struct arena *arena, size_t step_count, struct step_column *out, struct err *err);
/* Whether no step has a value. */
bool step_column_is_empty(const struct step_column *column, size_t step_count);

#endif
