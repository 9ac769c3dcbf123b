#include "promql/kahan.h"

static const kahan_masks no_sign = { INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX };
static const kahan_lanes infinity = { HUGE_VAL, HUGE_VAL, HUGE_VAL, HUGE_VAL };

static ALWAYS_INLINE void blend(
	const kahan_masks *mask, const kahan_lanes *yes, const kahan_lanes *no, kahan_lanes *out) {
	*out = (kahan_lanes)((*mask & (kahan_masks)*yes) | (~*mask & (kahan_masks)*no));
}

/* kahan_add but for infinite sums, whose lanes are told in 'infinite'. */
static ALWAYS_INLINE void add_four(
	kahan_lanes *sum, kahan_lanes *rest, const kahan_lanes *value, kahan_masks *infinite) {
	kahan_lanes old = *sum;
	kahan_lanes new = old + *value;
	kahan_lanes lost = (old - new) + *value;
	kahan_lanes other = (*value - new) + old;
	kahan_masks mask = (kahan_lanes)((kahan_masks)old & no_sign) >=
			   (kahan_lanes)((kahan_masks)*value & no_sign);

	blend(&mask, &lost, &other, &lost);
	*rest += lost;
	*sum = new;
	*infinite = (kahan_lanes)((kahan_masks) new &no_sign) == infinity;
}

static ALWAYS_INLINE void add_all(double *sums, double *rests, const double *values, size_t count) {
	const kahan_lanes none = { 0 };
	size_t i = 0;

	for (; i + 4 <= count; i += 4) {
		kahan_lanes sum;
		kahan_lanes rest;
		kahan_lanes value;
		kahan_masks infinite;

		memcpy(&sum, sums + i, sizeof(sum));
		memcpy(&rest, rests + i, sizeof(rest));
		memcpy(&value, values + i, sizeof(value));
		add_four(&sum, &rest, &value, &infinite);
		blend(&infinite, &none, &rest, &rest);
		memcpy(sums + i, &sum, sizeof(sum));
		memcpy(rests + i, &rest, sizeof(rest));
	}
	for (; i < count; i++) {
		struct kahan sum = kahan_add((struct kahan){ sums[i], rests[i] }, values[i]);

		sums[i] = sum.sum;
		rests[i] = sum.rest;
	}
}

WIDE static void add_all_wide(double *sums, double *rests, const double *values, size_t count) {
	add_all(sums, rests, values, count);
}

static void add_all_narrow(double *sums, double *rests, const double *values, size_t count) {
	add_all(sums, rests, values, count);
}

void kahan_add_all(double *sums, double *rests, const double *values, size_t count) {
	(has_wide() ? add_all_wide : add_all_narrow)(sums, rests, values, count);
}

static ALWAYS_INLINE size_t mean_all(
	double *sums, double *rests, double *counts, const double *values, size_t count) {
	size_t i = 0;

	for (; i + 4 <= count; i += 4) {
		kahan_lanes sum;
		kahan_lanes rest;
		kahan_lanes number;
		kahan_lanes value;
		kahan_masks infinite;

		memcpy(&sum, sums + i, sizeof(sum));
		memcpy(&rest, rests + i, sizeof(rest));
		memcpy(&number, counts + i, sizeof(number));
		memcpy(&value, values + i, sizeof(value));
		add_four(&sum, &rest, &value, &infinite);
		if ((infinite[0] | infinite[1] | infinite[2] | infinite[3]) != 0) {
			return i;
		}
		number += 1;
		memcpy(sums + i, &sum, sizeof(sum));
		memcpy(rests + i, &rest, sizeof(rest));
		memcpy(counts + i, &number, sizeof(number));
	}
	for (; i < count; i++) {
		struct kahan sum = kahan_add((struct kahan){ sums[i], rests[i] }, values[i]);

		if (isinf(sum.sum)) {
			return i;
		}
		sums[i] = sum.sum;
		rests[i] = sum.rest;
		counts[i]++;
	}
	return count;
}

WIDE static size_t mean_all_wide(
	double *sums, double *rests, double *counts, const double *values, size_t count) {
	return mean_all(sums, rests, counts, values, count);
}

static size_t mean_all_narrow(
	double *sums, double *rests, double *counts, const double *values, size_t count) {
	return mean_all(sums, rests, counts, values, count);
}

size_t kahan_mean_all(
	double *sums, double *rests, double *counts, const double *values, size_t count) {
	return (has_wide() ? mean_all_wide : mean_all_narrow)(sums, rests, counts, values, count);
}
