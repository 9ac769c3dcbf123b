/*
 * The values of PromQL's literals.
 */
#ifndef PROMQL_LITERAL_H
#define PROMQL_LITERAL_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

/*
 * Reads a number as the lexer takes it: decimal, 0x and 0 (octal) integers, floats, underscores
 * between digits, Inf and NaN in any case. Returns 0 or ERR_INVAL ("...: invalid syntax").
 */
MUST_USE int literal_number(struct str text, double *out, struct err *err);

/*
 * Reads a string with its quotes, whose escapes the lexer has checked, into 'arena'. Escapes may
 * give bytes that are not UTF-8.
 */
struct str literal_unquote(struct arena *arena, struct str text);

/* Appends the code point as UTF-8. */
void rune_append(uint32_t rune, struct buf *out);

#endif
