/*
 * Neumaier's compensated sum, as Prometheus adds: the operations and their order decide the last
 * bits of answers, so they are here once.
 */
#ifndef PROMQL_KAHAN_H
#define PROMQL_KAHAN_H

#include <math.h>
#include <stdbool.h>

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
