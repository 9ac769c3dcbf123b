/*
 * Binary operators.
 */
#ifndef PROMQL_BINARY_H
#define PROMQL_BINARY_H

#include "promql/eval.h"

/* An operation that gives a vector, whatever stands on either side. */
MUST_USE int binary_open(
	struct eval *ev, struct expr *expr, const struct grid *grid, struct stream **out);
/* An operation of two scalars, at each step. */
MUST_USE int binary_scalar(
	struct eval *ev, struct expr *expr, const struct grid *grid, double *out);

/* out[i] = left[i] op right[i]; arithmetic only. 'out' may be one of the two. */
void binary_calculate(
	enum binary_op op, const double *left, const double *right, double *out, size_t count);
/* Sets bit i of 'holds' if left[i] op right[i]; comparisons only. */
void binary_compare(
	enum binary_op op, const double *left, const double *right, uint64_t *holds, size_t count);
/* + - * / % ^ atan2: what gives another quantity than its operands. */
bool binary_op_is_arithmetic(enum binary_op op);
/* </ and >/ are of a histogram and a number. */
bool binary_op_is_trim(enum binary_op op);
/* Whether there is such an operation between two values; what gets none gets an info. */
bool binary_fits(enum binary_op op, bool left_is_histogram, bool right_is_histogram);
void binary_note_misfit(
	struct eval *ev, const struct expr *expr, bool left_is_histogram, bool right_is_histogram);
/* histogram op= number: * / </ >/ */
void binary_scale(enum binary_op op, struct histogram *histogram, double number);

/* Operators between two vectors: set operators, and all others. */
MUST_USE int set_open(
	struct eval *ev, struct expr *expr, const struct grid *grid, struct stream **out);
MUST_USE int join_open(
	struct eval *ev, struct expr *expr, const struct grid *grid, struct stream **out);

#endif
