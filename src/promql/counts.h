/*
 * How many samples each step of a query used, and how many it read anew, as Prometheus counts them:
 * a step uses all of a range's window, but reads only what lies after the window before.
 *
 * A subquery is counted apart: what it reads goes to the step that first uses it, and what it gives
 * is used by whoever looks at its window. What is evaluated once for all steps is used by each and
 * read by the first. Nothing of this runs unless it is asked for.
 */
#ifndef PROMQL_COUNTS_H
#define PROMQL_COUNTS_H

#include "promql/eval.h"

struct windows;

/* Of one evaluation or subquery. */
struct step_counts {
	size_t step_count;
	uint64_t *used; /* Of each step; NULL in a subquery. */
	uint64_t *read;
};

/* Counts of a grid, all 0; NULL when the budget is spent. */
struct step_counts *counts_new(struct eval *ev, size_t step_count, bool has_used);

/* Of these three, only the evaluation's total is counted if the steps are not asked for. */

/* The steps that have a value used a sample, which was read for them. */
void count_present(struct eval *ev, const uint64_t *present, size_t step_count);
/* Steps used the samples of their windows. What 'is_evaluated', a subquery's result, was not read.
 */
void count_windows(
	struct eval *ev, const struct windows *windows, const struct grid *grid, bool is_evaluated);
/* The only step used samples, which were read. */
void count_only(struct eval *ev, uint64_t samples);

/* Adds what an evaluation over the same steps counted. */
void counts_merge(struct step_counts *to, const struct step_counts *from);
/*
 * Adds what a subquery on the grid 'inner' read. Its steps count for the first of 'outer' whose
 * window, which ends 'offset_ms' earlier and is 'range_ms' long, holds them. What it counted as
 * used, if it did, is used by the first.
 */
void counts_merge_subquery(struct step_counts *to, const struct step_counts *from,
	const struct grid *outer, const struct grid *inner, int64_t offset_ms, int64_t range_ms);

#endif
