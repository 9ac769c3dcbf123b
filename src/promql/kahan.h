/*
 * Neumaier's compensated sum, as Prometheus adds: the operations and their order decide the last
 * bits of answers, so they are here once.
 */
#ifndef PROMQL_KAHAN_H
#define PROMQL_KAHAN_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct kahan {
	double sum;
	double rest; /* What rounding took from the sum. */
};

static inline struct kahan kahan_add(struct kahan to, double value) {
	double sum = to.sum + value;

	if (isinf(sum)) {
		return (struct kahan){ sum, 0 };
	}
	if (fabs(to.sum) >= fabs(value)) {
		return (struct kahan){ sum, to.rest + ((to.sum - sum) + value) };
	}
	return (struct kahan){ sum, to.rest + ((value - sum) + to.sum) };
}

/* Four sums at once, in as many registers as the processor needs for them. */
typedef double kahan_lanes __attribute__((vector_size(32)));
typedef long long kahan_masks __attribute__((vector_size(32)));

/* What is made for processors whose vectors are that wide, and whether this one's are. */
#if defined(__x86_64__)
#define WIDE __attribute__((target("avx2")))
static inline bool has_wide(void) {
	return __builtin_cpu_supports("avx2") != 0;
}
#else
#define WIDE
static inline bool has_wide(void) {
	return false;
}
#endif

#define ALWAYS_INLINE inline __attribute__((always_inline))

/* sums[i], rests[i] = kahan_add(sums[i], rests[i], values[i]), with the same operations. */
void kahan_add_all(double *sums, double *rests, const double *values, size_t count);

/*
 * mean_add of values[i] to means that are not running, each of sums[i], rests[i], counts[i]. Stops
 * before one that would have to run; returns how many are done.
 */
size_t kahan_mean_all(
	double *sums, double *rests, double *counts, const double *values, size_t count);

/*
 * A mean: the sum over the count for as long as the sum does not overflow, then a running mean.
 */
struct mean {
	struct kahan total; /* The sum, or the running mean. */
	double count;
	bool is_running;
};

static inline struct mean mean_first(double value) {
	return (struct mean){ .total = { value, 0 }, .count = 1 };
}

static inline void mean_add(struct mean *mean, double value) {
	double before = mean->count;
	double share;

	mean->count = before + 1;
	if (!mean->is_running) {
		struct kahan total = kahan_add(mean->total, value);

		if (!isinf(total.sum)) {
			mean->total = total;
			return;
		}
		mean->is_running = true;
		mean->total.sum /= before;
		mean->total.rest /= before;
	}
	share = before / mean->count;
	mean->total = kahan_add((struct kahan){ share * mean->total.sum, share * mean->total.rest },
		value / mean->count);
}

static inline double mean_get(const struct mean *mean) {
	return mean->is_running ? mean->total.sum + mean->total.rest
				: mean->total.sum / mean->count + mean->total.rest / mean->count;
}

#endif
