/*
 * Arithmetic and questions over native histograms, with Prometheus' results to the last bit.
 *
 * What changes a histogram takes one that its caller owns; its arrays may be replaced by new ones
 * from the arena, never those of another histogram, and bounds are shared. Functions that need
 * memory return ERR_LIMIT when the arena's budget is spent.
 */
#ifndef PROMQL_HISTOGRAM_H
#define PROMQL_HISTOGRAM_H

#include "base/arena.h"
#include "base/buf.h"
#include "store/histogram.h"

/* What adding found, beside its result; flags. */
#define HISTOGRAM_COLLISION 1    /* The hints contradict each other. */
#define HISTOGRAM_RECONCILED 2   /* Different custom bounds: those in common are left. */
#define HISTOGRAM_INCOMPATIBLE 4 /* Exponential and custom buckets: nothing was done. */

/* One bucket as it lies on the axis. */
struct histogram_bucket {
	double lower;
	double upper;
	bool has_lower; /* The bound belongs to it. */
	bool has_upper;
	double count;
};

/* What rounding took from each number of a histogram that is summed up. */
struct histogram_rest {
	bool is_there; /* Something was added. */
	double zero_count;
	double count;
	double sum;
	double *positive; /* As many as the histogram has buckets. */
	double *negative;
};

/* Whether it has bounds of its own; whether it is the end of its series. */
bool histogram_is_custom(const struct histogram *histogram);
bool histogram_is_stale(const struct histogram *histogram);

/* How many buckets there are, and the one at 'at', from the lowest to the highest; the bucket of
 * zero stands among them if it has observations. */
size_t histogram_bucket_count(const struct histogram *histogram);
struct histogram_bucket histogram_bucket_at(const struct histogram *histogram, size_t at);

/* A copy with arrays of its own. */
MUST_USE int histogram_copy(
	struct arena *arena, const struct histogram *from, struct histogram *out, struct err *err);
/* A copy at a schema that is at most its own. */
MUST_USE int histogram_copy_to_schema(struct arena *arena, const struct histogram *from,
	int32_t schema, struct histogram *out, struct err *err);

/* to += other, to -= other. Returns flags. */
MUST_USE int histogram_add(
	struct arena *arena, struct histogram *to, const struct histogram *other, struct err *err);
MUST_USE int histogram_subtract(
	struct arena *arena, struct histogram *to, const struct histogram *other, struct err *err);
/* to += other, keeping in 'rest' what rounding takes; { 0 } at first. Returns flags. */
MUST_USE int histogram_sum(struct arena *arena, struct histogram *to, struct histogram_rest *rest,
	const struct histogram *other, struct err *err);
/* Adds the rest at the end of a sum. */
MUST_USE int histogram_settle(struct arena *arena, struct histogram *to,
	const struct histogram_rest *rest, struct err *err);
MUST_USE int histogram_rest_copy(struct arena *arena, const struct histogram *of,
	const struct histogram_rest *from, struct histogram_rest *out, struct err *err);
void histogram_rest_multiply(
	const struct histogram *of, struct histogram_rest *rest, double factor);
void histogram_rest_divide(const struct histogram *of, struct histogram_rest *rest, double divisor);

/* Every number in it. Below zero it is no counter any more; by zero, buckets go. */
void histogram_multiply(struct histogram *histogram, double factor);
void histogram_divide(struct histogram *histogram, double divisor);
/* Removes buckets without observations. */
void histogram_compact(struct histogram *histogram);
/* Keeps what was observed below (is_upper) or above 'limit'. */
void histogram_trim(struct histogram *histogram, double limit, bool is_upper);

/* Whether any number in it is infinite. */
bool histogram_has_overflow(const struct histogram *histogram);
bool histogram_equal(const struct histogram *a, const struct histogram *b);
/* Whether the counter was reset between 'before' and 'now'. */
bool histogram_was_reset(const struct histogram *now, const struct histogram *before);

/* What quantiles and fractions say about NaN that was observed; flags. */
#define HISTOGRAM_NAN_RESULT 1 /* The result is NaN for it. */
#define HISTOGRAM_NAN_SKEW 2   /* The result would be lower without. */

/* The value that a share q of the observations does not exceed. */
double histogram_quantile(const struct histogram *histogram, double q, int *flags);
/* The share of observations between two values. */
double histogram_fraction(
	const struct histogram *histogram, double lower, double upper, int *flags);
/* As if every observation were in the middle of its bucket. */
double histogram_variance(const struct histogram *histogram);

/* As Prometheus shows it in a label: {count:3, sum:5, (1,2]:3}. */
void histogram_format(const struct histogram *histogram, struct buf *out);

#endif
