#include "promql/classic.h"
#include "promql/number.h"

#include <float.h>
#include <math.h>

/* Differences between buckets this small, relatively, are rounding errors of additions made in
 * different orders, not observations. */
#define ROUNDING_MAX 1e-12

static bool almost_equal(double a, double b) {
	double sum;
	double difference;

	if ((isnan(a) && isnan(b)) || a == b) {
		return true;
	}
	sum = fabs(a) + fabs(b);
	difference = fabs(a - b);
	if (a == 0 || b == 0 || sum < DBL_MIN) {
		return difference < ROUNDING_MAX * DBL_MIN;
	}
	return difference / fmin(sum, DBL_MAX) < ROUNDING_MAX;
}

/* Adds up buckets of the same bound. Returns how many remain. */
static size_t merge_bounds(struct bucket *buckets, size_t count) {
	size_t last = 0;

	for (size_t i = 1; i < count; i++) {
		if (buckets[i].bound == buckets[last].bound) {
			buckets[last].count += buckets[i].count;
		} else {
			buckets[++last] = buckets[i];
		}
	}
	return last + 1;
}

/* Lifts counts to what a lower bound already has. */
static void make_monotonic(struct bucket *buckets, size_t count, struct bucket_repair *repair) {
	double highest = buckets[0].count;

	*repair = (struct bucket_repair){ .bound_min = HUGE_VAL, .bound_max = -HUGE_VAL };
	for (size_t i = 1; i < count; i++) {
		double current = buckets[i].count;

		if (current == highest) {
			continue;
		}
		if (almost_equal(highest, current)) {
			buckets[i].count = highest;
			continue;
		}
		if (!(current < highest)) {
			highest = current;
			continue;
		}
		buckets[i].count = highest;
		repair->is_forced = true;
		repair->bound_min = fmin(repair->bound_min, buckets[i].bound);
		repair->bound_max = fmax(repair->bound_max, buckets[i].bound);
		repair->diff_max = fmax(repair->diff_max, highest - current);
	}
}

/* The first bucket, but for the last, that holds the observation of that rank; else the last. */
static size_t find_rank(const struct bucket *buckets, size_t count, double rank) {
	size_t low = 0;
	size_t high = count - 1;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (buckets[middle].count >= rank) {
			high = middle;
		} else {
			low = middle + 1;
		}
	}
	return low;
}

static double interpolate(const struct bucket *buckets, size_t at, double rank) {
	double start = 0;
	double count = buckets[at].count;

	if (at > 0) {
		start = buckets[at - 1].bound;
		count -= buckets[at - 1].count;
		rank -= buckets[at - 1].count;
	}
	return start + (buckets[at].bound - start) * (rank / count);
}

double bucket_quantile(
	double q, struct bucket *buckets, size_t count, struct bucket_repair *repair) {
	double rank;
	size_t at;

	*repair = (struct bucket_repair){ 0 };
	if (isnan(q)) {
		return number_nan();
	}
	if (q < 0 || q > 1) {
		return q < 0 ? -HUGE_VAL : HUGE_VAL;
	}
	if (count == 0 || buckets[count - 1].bound != HUGE_VAL) {
		return number_nan();
	}
	count = merge_bounds(buckets, count);
	make_monotonic(buckets, count, repair);
	if (count < 2 || buckets[count - 1].count == 0) {
		return number_nan();
	}
	rank = q * buckets[count - 1].count;
	at = find_rank(buckets, count, rank);
	if (at == count - 1) {
		/* Nothing is known of how far the last bucket goes. */
		return buckets[count - 2].bound;
	}
	if (at == 0 && buckets[0].bound <= 0) {
		return buckets[0].bound;
	}
	return interpolate(buckets, at, rank);
}

/* How many observations lie below 'value'. */
static double rank_of(double value, const struct bucket *buckets, size_t count) {
	double total = buckets[count - 1].count;
	double below = 0;
	/* Positive bounds alone are taken to begin at zero. */
	double start = buckets[0].bound <= 0 ? -HUGE_VAL : 0;

	for (size_t i = 0; i < count; i++) {
		double end = buckets[i].bound;

		if (start >= value) {
			return below > total ? total : below;
		}
		if (start < value && end > value) {
			/* A bucket without a start counts as a whole. */
			double rank = start == -HUGE_VAL
					      ? buckets[i].count
					      : below + (buckets[i].count - below) *
								(value - start) / (end - start);

			return rank > total ? total : rank;
		}
		below = buckets[i].count;
		start = end;
	}
	return total;
}

double bucket_fraction(double lower, double upper, struct bucket *buckets, size_t count) {
	double total;

	if (count == 0 || buckets[count - 1].bound != HUGE_VAL) {
		return number_nan();
	}
	count = merge_bounds(buckets, count);
	total = buckets[count - 1].count;
	if (total == 0 || isnan(lower) || isnan(upper)) {
		return number_nan();
	}
	if (lower >= upper) {
		return 0;
	}
	return (rank_of(upper, buckets, count) - rank_of(lower, buckets, count)) / total;
}
