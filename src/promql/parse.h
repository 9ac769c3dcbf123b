/*
 * Parsing and checking PromQL, the complete grammar of Prometheus 3.
 *
 * Errors carry Prometheus' sentences with the position ("1:5: parse error: ..."). Any thread.
 */
#ifndef PROMQL_PARSE_H
#define PROMQL_PARSE_H

#include "promql/ast.h"

/* Longest query text and deepest nesting; both give ERR_LIMIT naming the limit. */
#define PARSE_LEN_MAX (1024 * 1024)
#define PARSE_DEPTH_MAX 200

/* Features behind --enable-feature; a query that needs one that is off is refused by name. */
struct parse_options {
	bool experimental_functions;   /* promql-experimental-functions */
	bool extended_range_selectors; /* promql-extended-range-selectors */
	bool binop_fill_modifiers;     /* promql-binop-fill-modifiers */
};

/*
 * Parses and type-checks 'text' into 'tree' (empty before; expr_tree_deinit in every case).
 * Returns 0, ERR_INVAL with Prometheus' message, or ERR_LIMIT.
 */
MUST_USE int promql_parse(struct str text, const struct parse_options *options,
	struct expr_tree *tree, struct err *err);

/* Parses a series selector as match[] takes it; fills 'out' from the tree's arena. */
MUST_USE int promql_parse_selector(
	struct str text, struct expr_tree *tree, struct selector **out, struct err *err);

#endif
