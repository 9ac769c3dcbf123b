/*
 * Arithmetic as Go defines it, where C does otherwise.
 */
#ifndef PROMQL_NUMBER_H
#define PROMQL_NUMBER_H

#include "store/store.h"

#include <math.h>
#include <stdint.h>

/* Go's NaN; C's has other bits. */
static inline double number_nan(void) {
	return double_of_bits(NORMAL_NAN_BITS);
}

/* NaN if either is, but an infinity of the right sign wins; -0 is below 0. */
static inline double number_max(double a, double b) {
	if ((isinf(a) && a > 0) || (isinf(b) && b > 0)) {
		return HUGE_VAL;
	}
	if (isnan(a) || isnan(b)) {
		return number_nan();
	}
	if (a == 0 && b == 0) {
		return signbit(a) ? b : a;
	}
	return a > b ? a : b;
}

/* Likewise. */
static inline double number_min(double a, double b) {
	if ((isinf(a) && a < 0) || (isinf(b) && b < 0)) {
		return -HUGE_VAL;
	}
	if (isnan(a) || isnan(b)) {
		return number_nan();
	}
	if (a == 0 && b == 0) {
		return signbit(a) ? a : b;
	}
	return a < b ? a : b;
}

/* Cut to an integer; the least one for NaN and what does not fit, as the CPU does. */
static inline int64_t number_to_int64(double value) {
	/* The bounds are the doubles next to what fits. */
	return value >= -0x1p63 && value < 0x1p63 ? (int64_t)value : INT64_MIN;
}

#endif
