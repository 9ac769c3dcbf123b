/*
 * Range vectors: series of samples, from a store or from a subquery.
 */
#ifndef PROMQL_SAMPLES_H
#define PROMQL_SAMPLES_H

#include "promql/eval.h"

/* One series' samples in time order, without stale markers. */
struct samples {
	struct labels labels; /* As long as the evaluation. */
	const int64_t *times_ms;
	const double *values;
	/* Those that are histograms, NULL at the others; NULL for none at all. */
	const struct histogram *const *histograms;
	const int64_t *starts_ms; /* Start timestamps, 0 where unknown; NULL: nobody needs them. */
	size_t count;
	bool drops_name;
};

/* What windows over samples look like: for a step at t, the samples in (t + shift - range, t +
 * shift]; when fixed, (fixed - range, fixed] at each step. */
struct window_shape {
	int64_t range_ms;
	/* anchored and smoothed see this much before and after their windows, too. */
	int64_t before_ms;
	int64_t after_ms;
	bool is_extended; /* anchored or smoothed */
	bool is_smoothed;
	double range_s;
	int64_t shift_ms;
	bool is_fixed;
	int64_t fixed_ms;
};

struct samples_source;

/* Opens 'expr', an EXPR_RANGE or EXPR_SUBQUERY, for windows at the grid's steps. */
MUST_USE int samples_open(
	struct eval *ev, struct expr *expr, const struct grid *grid, struct samples_source **out);
/* Opens what is itself the answer: then what a subquery reads counts, not what it gives. */
MUST_USE int samples_open_answer(
	struct eval *ev, struct expr *expr, const struct grid *grid, struct samples_source **out);
/* The next series that has any sample; good until the next call. Returns 1, 0 at the end, or an
 * error. */
MUST_USE int samples_next(struct samples_source *source, struct samples *out);
/* Whether they are a subquery's. */
bool samples_are_evaluated(const struct samples_source *source);
const struct window_shape *samples_shape(const struct samples_source *source);
/* Stale markers only end an instant's lookback; a range skips them. */
void samples_remove_stale(struct sample_column *samples);

/* The samples of a window at one time, for a range vector that is itself the answer. */
static inline int64_t window_end(const struct window_shape *shape, int64_t step_ms) {
	return shape->is_fixed ? shape->fixed_ms : step_ms + shape->shift_ms;
}

#endif
