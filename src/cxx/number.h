/*
 * Numbers as text, both ways: the shortest text that reads back to the same double, as Go prints
 * it.
 */
#ifndef CXX_NUMBER_H
#define CXX_NUMBER_H

#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Room for any number that number_format writes ('f' of 1e308 included). */
#define NUMBER_TEXT_MAX 400

/*
 * Writes 'value' into 'out' (NUMBER_TEXT_MAX bytes, no NUL) and returns the length. NaN, +Inf, -Inf
 * as Go spells them.
 */
size_t number_format_json(double value, char *out); /* 'f', but 'e' below 1e-6 and from 1e21 */
size_t number_format_f(double value, char *out);    /* never an exponent */
size_t number_format_g(double value, char *out);    /* Go's 'g' with precision -1 */

/*
 * Reads all of 'text' as Go's strconv.ParseFloat does, but without underscores and hexadecimal
 * forms: "1", "+1.5e3", ".5", "1.", "NaN", "Inf", "+inf", "infinity" in any case. NaN gives the
 * bits of NORMAL_NAN (0x7ff8000000000001). Returns false for anything else; a value out of range
 * also returns false ('overflow', may be NULL, then tells, and 'out' is the infinity).
 */
bool number_parse(struct str text, double *out, bool *overflow);

#endif
