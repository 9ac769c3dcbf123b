/*
 * Several windows of a series at once, a window in each lane of the processor's vectors: a lane
 * does what a loop over its window alone would do, in the same order, and so ends with the same
 * bits.
 *
 * Lanes only do this for numbers. Where anything infinite or NaN comes up they end with something
 * that is not finite; the window is then for the plain loop.
 */
#ifndef PROMQL_LANES_H
#define PROMQL_LANES_H

#include "promql/kahan.h"
#include "promql/range.h"

#define LANES 8
/* With fewer windows a plain loop over each is as good. */
#define LANES_MIN 3

/* Windows of neighbouring steps. Those from 'used' on repeat the first. */
struct lane_group {
	size_t used;
	size_t steps[LANES];
	size_t counts[LANES];
	struct span spans[LANES];
	const double *values[LANES]; /* Where they begin. */
	size_t common;               /* The least count; what a lane has beyond it is a tail. */
	bool is_dense;               /* Each begins one sample after the one before. */
};

typedef double kahan_pair __attribute__((vector_size(16)));

/* A value of each lane. */
struct eight {
	kahan_lanes a;
	kahan_lanes b;
};

/* Sums of each lane, as struct kahan. */
struct eight_sums {
	struct eight sum;
	struct eight rest;
};

static inline void lanes_add_window(
	struct lane_group *group, const double *values, struct span span, size_t step) {
	size_t i = group->used++;

	group->steps[i] = step;
	group->spans[i] = span;
	group->counts[i] = span.high - span.low;
	group->values[i] = values + span.low;
	group->common =
		i == 0 || group->counts[i] < group->common ? group->counts[i] : group->common;
}

/* To be called before the lanes are used. */
static inline void lanes_fill(struct lane_group *group) {
	group->is_dense = group->used == LANES;
	for (size_t i = group->used; i < LANES; i++) {
		group->counts[i] = group->counts[0];
		group->spans[i] = group->spans[0];
		group->values[i] = group->values[0];
	}
	for (size_t i = 1; group->is_dense && i < LANES; i++) {
		group->is_dense = group->values[i] == group->values[0] + i;
	}
}

static ALWAYS_INLINE void lanes_take_four(
	const double *const *values, size_t at, kahan_lanes *out) {
	kahan_pair low = { values[0][at], values[1][at] };
	kahan_pair high = { values[2][at], values[3][at] };

	*out = __builtin_shufflevector(low, high, 0, 1, 2, 3);
}

/* The sample 'at' of each window. */
static ALWAYS_INLINE void lanes_take(
	const double *const *values, size_t at, bool is_dense, struct eight *out) {
	if (is_dense) {
		memcpy(&out->a, values[0] + at, sizeof(out->a));
		memcpy(&out->b, values[0] + at + 4, sizeof(out->b));
		return;
	}
	lanes_take_four(values, at, &out->a);
	lanes_take_four(values + 4, at, &out->b);
}

/* What rounding takes from a sum is found by Knuth's operations, which need not know the greater
 * one. They find the same number as Neumaier's, for both are exact. */
static ALWAYS_INLINE void lanes_add_four(
	kahan_lanes *sum, kahan_lanes *rest, const kahan_lanes *value) {
	kahan_lanes old = *sum;
	kahan_lanes new = old + *value;
	kahan_lanes gained = new - old;

	*rest += (old - (new - gained)) + (*value - gained);
	*sum = new;
}

static ALWAYS_INLINE void lanes_add_two(
	kahan_pair *sum, kahan_pair *rest, const kahan_pair *value) {
	kahan_pair old = *sum;
	kahan_pair new = old + *value;
	kahan_pair gained = new - old;

	*rest += (old - (new - gained)) + (*value - gained);
	*sum = new;
}

/* As kahan_add. */
static ALWAYS_INLINE void lanes_add(struct eight_sums *sums, const struct eight *value) {
	lanes_add_four(&sums->sum.a, &sums->rest.a, &value->a);
	lanes_add_four(&sums->sum.b, &sums->rest.b, &value->b);
}

static ALWAYS_INLINE void lanes_get(const struct eight_sums *sums, struct kahan *out) {
	for (size_t i = 0; i < LANES; i++) {
		out[i].sum = i < 4 ? sums->sum.a[i] : sums->sum.b[i - 4];
		out[i].rest = i < 4 ? sums->rest.a[i] : sums->rest.b[i - 4];
	}
}

/*
 * Results of a group's windows in out[lane]. Returns a bit for each lane that has one; the others
 * are for the plain loop.
 */
typedef uint32_t lanes_fn(struct range_call *call, const struct lane_group *group, double *out);

/* Runs a function at each step: 'of_lanes' over groups of windows, 'plain' over what is left. As
 * range_run_fn. */
MUST_USE int lanes_run(
	struct range_call *call, struct column *out, window_fn *plain, lanes_fn *of_lanes);

/*
 * Running totals of whole numbers whose sum is not too large: totals[i] is of what is before value
 * i, for each i up to 'count'. They are exact, and so are their differences; any order of adding
 * gives the same. Returns false when that cannot be.
 */
bool totals_add(const double *values, size_t count, double *totals);

/* Whether a lane's sum is one that the lanes can tell. */
static inline bool lanes_is_good(const struct kahan *sum) {
	return isfinite(sum->sum + sum->rest);
}

#endif
