/*
 * Printing trees as PromQL, as Prometheus' String() does: parsing what is printed gives an equal
 * tree.
 */
#ifndef PROMQL_PRINT_H
#define PROMQL_PRINT_H

#include "base/buf.h"
#include "base/err.h"
#include "promql/ast.h"

/* Appends 'expr' on one line. EXPR_STEPS prints as its label in angle brackets and does not parse.
 */
void expr_print(const struct expr *expr, struct buf *out);

/* Appends what is the node's own, without its operands: "sum by (a)", "rate", "+ on (b)"; all of a
 * selector. */
void expr_print_node(const struct expr *expr, struct buf *out);

/*
 * Appends 'expr' as Prometheus' Pretty() does: what is longer than 100 bytes is broken into lines,
 * two spaces deeper at each level. Returns 0, or ERR_LIMIT for a text that grows beyond 16 MiB.
 */
MUST_USE int expr_format(struct expr *expr, struct buf *out, struct err *err);

#endif
