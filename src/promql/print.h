/*
 * Printing trees as PromQL, as Prometheus' String() does: parsing what is printed gives an equal
 * tree.
 */
#ifndef PROMQL_PRINT_H
#define PROMQL_PRINT_H

#include "base/buf.h"
#include "promql/ast.h"

/* Appends 'expr' on one line. EXPR_STEPS prints as its label in angle brackets and does not parse.
 */
void expr_print(const struct expr *expr, struct buf *out);

#endif
