/*
 * Expressions as JSON, as Prometheus' parse_query gives them. Any thread.
 */
#ifndef API_TREE_H
#define API_TREE_H

#include "codec/json_writer.h"
#include "promql/ast.h"

/* Writes the tree as one value; members come in the order of their names. Returns 0, or ERR_LIMIT
 * for one that nests deeper than JSON may; then the writer is of no more use. */
MUST_USE int tree_render(struct json_writer *json, const struct expr *expr, struct err *err);

#endif
