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

static inline void kahan_blend(
	const kahan_masks *mask, const kahan_lanes *yes, const kahan_lanes *no, kahan_lanes *out) {
	*out = (kahan_lanes)((*mask & (kahan_masks)*yes) | (~*mask & (kahan_masks)*no));
}

/* sums[i], rests[i] = kahan_add(sums[i], rests[i], values[i]), with the same operations. */
static inline void kahan_add_all(double *sums, double *rests, const double *values, size_t count) {
	const kahan_masks no_sign = { INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX };
	const kahan_lanes infinity = { HUGE_VAL, HUGE_VAL, HUGE_VAL, HUGE_VAL };
	const kahan_lanes none = { 0 };
	size_t i = 0;

	for (; i + 4 <= count; i += 4) {
		kahan_lanes old;
		kahan_lanes rest;
		kahan_lanes value;
		kahan_lanes lost;
		kahan_lanes other;
		kahan_masks mask;

		memcpy(&old, sums + i, sizeof(old));
		memcpy(&rest, rests + i, sizeof(rest));
		memcpy(&value, values + i, sizeof(value));
		kahan_lanes sum = old + value;

		lost = (old - sum) + value;
		other = (value - sum) + old;
		mask = (kahan_lanes)((kahan_masks)old & no_sign) >=
		       (kahan_lanes)((kahan_masks)value & no_sign);
		kahan_blend(&mask, &lost, &other, &lost);
		rest += lost;
		mask = (kahan_lanes)((kahan_masks)sum & no_sign) == infinity;
		kahan_blend(&mask, &none, &rest, &rest);
		memcpy(sums + i, &sum, sizeof(sum));
		memcpy(rests + i, &rest, sizeof(rest));
	}
	for (; i < count; i++) {
		struct kahan sum = kahan_add((struct kahan){ sums[i], rests[i] }, values[i]);

		sums[i] = sum.sum;
		rests[i] = sum.rest;
	}
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
