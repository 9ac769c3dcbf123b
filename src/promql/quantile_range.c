/*
 * Quantiles of windows, and the median distance from the median.
 *
 * Windows that overlap much are kept in order as they move on: what comes takes the place of what
 * leaves. Others are selected from, each by itself.
 */
#include "promql/quantile.h"
#include "promql/range.h"

/* What a key costs, in about nanoseconds: to be selected from, to be put in its place, and that for
 * each eighth of the keys that may have to move. */
#define COST_SELECT 4
#define COST_PLACE 40

/* A window's keys. */
struct ranking {
	int64_t *keys;
	int64_t *spare; /* Room for twice as many as in any window. */
	size_t count;
	size_t count_max;
	struct span span; /* What they are of. */
};

typedef double ranking_fn(double q, const struct ranking *ranking);

static size_t find_count_max(const struct range_call *call) {
	size_t max = 0;

	for (PRESENT_EACH(call->windows.present, call->grid->count, i)) {
		struct span span = call->windows.spans[i];

		max = span.high - span.low > max ? span.high - span.low : max;
	}
	return max;
}

/* Whether to keep the windows in order. */
static bool overlaps_much(const struct range_call *call, size_t count_max) {
	return call->samples->count * (COST_PLACE + count_max / 8) <
	       call->windows.used * COST_SELECT;
}

/* The number of keys below 'key', without a branch that could be guessed wrong. */
static inline size_t rank_of(const int64_t *keys, size_t count, int64_t key) {
	size_t at = 0;

	while (count > 1) {
		size_t half = count / 2;

		at += half & -(size_t)(keys[at + half - 1] < key);
		count -= half;
	}
	return at + (count == 1 && keys[at] < key);
}

static void add_key(struct ranking *ranking, int64_t key) {
	size_t at = rank_of(ranking->keys, ranking->count, key);
	int64_t *place = ranking->keys + at;

	memmove(place + 1, place, (ranking->count - at) * sizeof(*place));
	*place = key;
	ranking->count++;
}

static void remove_key(struct ranking *ranking, int64_t key) {
	size_t at = rank_of(ranking->keys, ranking->count, key);
	int64_t *place = ranking->keys + at;

	ranking->count--;
	memmove(place, place + 1, (ranking->count - at) * sizeof(*place));
}

static void replace_key(struct ranking *ranking, int64_t old, int64_t key) {
	int64_t *keys = ranking->keys;
	size_t from = rank_of(keys, ranking->count, old);
	size_t to = rank_of(keys, ranking->count, key);

	if (from < to) {
		to--; /* The old key is below and leaves. */
		memmove(keys + from, keys + from + 1, (to - from) * sizeof(*keys));
	} else {
		memmove(keys + to + 1, keys + to, (from - to) * sizeof(*keys));
	}
	keys[to] = key;
}

static void take_keys(struct ranking *ranking, const double *values, struct span span) {
	for (size_t i = span.low; i < span.high; i++) {
		ranking->keys[i - span.low] = quantile_key(values[i]);
	}
	ranking->count = span.high - span.low;
	ranking->span = span;
}

/* Moves on from a window in order to the next. */
static void move_keys(struct ranking *ranking, const double *values, struct span span) {
	size_t old = ranking->span.low;
	size_t next = ranking->span.high;

	if (span.low >= next) {
		take_keys(ranking, values, span);
		quantile_sort(ranking->keys, ranking->spare, ranking->count);
		return;
	}
	for (; old < span.low && next < span.high; old++, next++) {
		replace_key(ranking, quantile_key(values[old]), quantile_key(values[next]));
	}
	for (; old < span.low; old++) {
		remove_key(ranking, quantile_key(values[old]));
	}
	for (; next < span.high; next++) {
		add_key(ranking, quantile_key(values[next]));
	}
	ranking->span = span;
}

/* 'qs' are the quantiles at each step. */
static int rank_windows(struct range_call *call, struct column *out, const double *qs,
	ranking_fn *of_ordered, ranking_fn *of_any) {
	const double *values = call->samples->values;
	size_t steps = call->grid->count;
	size_t max = find_count_max(call);
	struct ranking ranking = { .keys = range_scratch(call, 3 * max * sizeof(int64_t)),
		.count_max = max };
	bool is_ordered = overlaps_much(call, max);

	if (!ranking.keys) {
		return call->rc;
	}
	ranking.spare = ranking.keys + max;
	memcpy(out->present, call->windows.present, step_words(steps) * sizeof(*out->present));
	for (PRESENT_EACH(call->windows.present, steps, i)) {
		struct span span = call->windows.spans[i];
		int rc = eval_work(call->ev, span.high - span.low);

		if (rc < 0) {
			return rc;
		}
		if (is_ordered) {
			move_keys(&ranking, values, span);
		} else {
			take_keys(&ranking, values, span);
		}
		out->values[i] = (is_ordered ? of_ordered : of_any)(qs ? qs[i] : 0.5, &ranking);
	}
	return 0;
}

static double quantile_ordered(double q, const struct ranking *ranking) {
	return quantile_of_sorted(q, ranking->keys, ranking->count);
}

static double quantile_any(double q, const struct ranking *ranking) {
	return quantile_of(q, ranking->keys, ranking->spare, ranking->count);
}

int quantile_over_time_run(struct range_call *call, struct column *out) {
	const double *qs = call->args[0];

	for (PRESENT_EACH(call->windows.present, call->grid->count, i)) {
		if (isnan(qs[i]) || qs[i] < 0 || qs[i] > 1) {
			quantile_warn(call->ev, call->position, qs[i]);
		}
	}
	return rank_windows(call, out, qs, quantile_ordered, quantile_any);
}

static bool is_infinite(int64_t key) {
	return isinf(quantile_value(key));
}

/* The distance of all keys from the quantile that is given; leaves them as they are. */
static double distance_any(double q, const struct ranking *ranking, double from) {
	for (size_t i = 0; i < ranking->count; i++) {
		ranking->spare[i] = quantile_key(fabs(quantile_value(ranking->keys[i]) - from));
	}
	return quantile_of(q, ranking->spare, ranking->spare + ranking->count_max, ranking->count);
}

static double mad_any(double q, const struct ranking *ranking) {
	for (size_t i = 0; i < ranking->count; i++) {
		if (ranking->keys[i] == QUANTILE_NAN) {
			return number_nan();
		}
	}
	memcpy(ranking->spare, ranking->keys, ranking->count * sizeof(*ranking->keys));
	return distance_any(q, ranking,
		quantile_of(
			q, ranking->spare, ranking->spare + ranking->count_max, ranking->count));
}

/* Keys in order, cut where the median is: distances grow from there to either side. */
struct halves {
	const int64_t *keys;
	size_t count;
	size_t split;
	double median;
};

static double below(const struct halves *halves, size_t index) {
	return index < halves->split
		       ? fabs(quantile_value(halves->keys[halves->split - 1 - index]) -
				 halves->median)
		       : HUGE_VAL;
}

static double above(const struct halves *halves, size_t index) {
	return halves->split + index < halves->count
		       ? fabs(quantile_value(halves->keys[halves->split + index]) - halves->median)
		       : HUGE_VAL;
}

/* How many of the 'taken' least distances are below the split. */
static size_t taken_below(const struct halves *halves, size_t taken) {
	size_t others = halves->count - halves->split;
	size_t low = taken > others ? taken - others : 0;
	size_t high = taken < halves->split ? taken : halves->split;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (above(halves, taken - middle - 1) <= below(halves, middle)) {
			high = middle;
		} else {
			low = middle + 1;
		}
	}
	return low;
}

static double mad_ordered(double q, const struct ranking *ranking) {
	const int64_t *keys = ranking->keys;
	size_t count = ranking->count;
	double median = quantile_of_sorted(q, keys, count);
	double rank = q * (double)(count - 1);
	double weight = rank - floor(rank);
	size_t taken = (size_t)rank + 1;
	struct halves halves = { keys, count, rank_of(keys, count, quantile_key(median)), median };
	size_t left;
	double low;
	double high;

	if (keys[0] == QUANTILE_NAN) {
		return number_nan();
	}
	if (count == 1 || is_infinite(keys[0]) || is_infinite(keys[count - 1])) {
		return distance_any(q, ranking, median);
	}
	left = taken_below(&halves, taken);
	low = left > 0 ? below(&halves, left - 1) : 0;
	if (left < taken) {
		low = fmax(low, above(&halves, taken - left - 1));
	}
	high = fmin(below(&halves, left), above(&halves, taken - left));
	return low * (1 - weight) + high * weight;
}

int mad_over_time_run(struct range_call *call, struct column *out) {
	return rank_windows(call, out, NULL, mad_ordered, mad_any);
}
