#include "promql/quantile.h"
#include "promql/number.h"

#include <stdlib.h>

/* NaN below everything. */
static int cmp_values(const void *a, const void *b) {
	double x = *(const double *)a;
	double y = *(const double *)b;

	if (isnan(x) || isnan(y)) {
		return (int)!!isnan(y) - (int)!!isnan(x);
	}
	return (x > y) - (x < y);
}

double quantile_of(double q, double *values, size_t count) {
	double rank;
	double below;
	double weight;
	size_t low;
	size_t high;

	if (count == 0 || isnan(q)) {
		return number_nan();
	}
	if (q < 0) {
		return -HUGE_VAL;
	}
	if (q > 1) {
		return HUGE_VAL;
	}
	qsort(values, count, sizeof(*values), cmp_values);
	rank = q * (double)(count - 1);
	below = floor(rank);
	weight = rank - below;
	low = (size_t)below;
	high = low + 1 < count ? low + 1 : count - 1;
	return values[low] * (1 - weight) + values[high] * weight;
}

void quantile_warn(struct eval *ev, uint32_t position, double q) {
	char text[NOTES_NUMBER_MAX];

	notes_warn(&ev->notes, &ev->arena, position,
		"quantile value should be between 0 and 1, got %s", notes_number(q, text));
}
