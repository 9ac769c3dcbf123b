#include "promql/quantile.h"

#include "promql/number.h"

#include <stdlib.h>

/* Below this a sort is as good as a selection. */
#define SELECT_MIN 32

static int cmp_values(const void *a, const void *b) {
	double x = *(const double *)a;
	double y = *(const double *)b;

	return (x > y) - (x < y);
}

static void swap(double *values, size_t a, size_t b) {
	double value = values[a];

	values[a] = values[b];
	values[b] = value;
}

/* Moves NaN to the front, below everything. Returns how many there are. */
static size_t move_nan(double *values, size_t count) {
	size_t nan_count = 0;

	for (size_t i = 0; i < count; i++) {
		if (isnan(values[i])) {
			swap(values, i, nan_count++);
		}
	}
	return nan_count;
}

static double median_of_three(double a, double b, double c) {
	double low = a < b ? a : b;
	double high = a < b ? b : a;

	return c < low ? low : c > high ? high : c;
}

/* Puts what is less than the pivot first, then what equals it. */
static void partition(double *values, size_t count, double pivot, size_t *less, size_t *equal) {
	size_t low = 0;
	size_t at = 0;
	size_t high = count;

	while (at < high) {
		if (values[at] < pivot) {
			swap(values, low++, at++);
		} else if (values[at] > pivot) {
			swap(values, at, --high);
		} else {
			at++;
		}
	}
	*less = low;
	*equal = high - low;
}

/*
 * Arranges the values (no NaN among them) so that what stands at 'rank' and at rank + 1 is what a
 * sort would put there. Halves its range each time, or nearly; where pivots are bad, sorts.
 */
static void select_rank(double *values, size_t count, size_t rank) {
	for (int round = 0; round < 40 && count > SELECT_MIN; round++) {
		double pivot = median_of_three(values[0], values[count / 2], values[count - 1]);
		size_t less;
		size_t equal;

		partition(values, count, pivot, &less, &equal);
		/* Both wanted places must stay on one side. */
		if (rank + 1 < less) {
			count = less;
		} else if (rank >= less + equal) {
			values += less + equal;
			count -= less + equal;
			rank -= less + equal;
		} else if (rank >= less && rank + 1 < less + equal) {
			return;
		} else {
			break;
		}
	}
	qsort(values, count, sizeof(*values), cmp_values);
}

double quantile_of(double q, double *values, size_t count) {
	double rank;
	double below;
	double weight;
	size_t nan_count;
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
	rank = q * (double)(count - 1);
	below = floor(rank);
	weight = rank - below;
	low = (size_t)below;
	high = low + 1 < count ? low + 1 : count - 1;
	nan_count = move_nan(values, count);
	if (high >= nan_count && nan_count < count) {
		select_rank(values + nan_count, count - nan_count,
			low > nan_count ? low - nan_count : 0);
	}
	return values[low] * (1 - weight) + values[high] * weight;
}

void quantile_warn(struct eval *ev, uint32_t position, double q) {
	char text[NOTES_NUMBER_MAX];

	notes_warn(&ev->notes, &ev->arena, position,
		"quantile value should be between 0 and 1, got %s", notes_number(q, text));
}
