/*
 * The parser's own state, shared by its parts: recursive descent, one token ahead.
 *
 * Every parse function takes the tokens it knows, puts a node into '*out' and returns 0, or a
 * negative code with the first error in 'err'. A token of type TOKEN_ERROR is reported when it is
 * met, so that an error further left wins. p->height is the height of the node just made.
 */
#ifndef PROMQL_PARSER_H
#define PROMQL_PARSER_H

#include "promql/function.h"
#include "promql/lex.h"
#include "promql/parse.h"

/* Highest tree: a chain like a + b + c + ... grows one level with each operator. */
#define PARSE_HEIGHT_MAX 1000

struct parser {
	struct lexer lexer;
	struct token token; /* Met, not yet taken. */
	uint32_t taken_end; /* Where the last token taken ends. */
	struct expr_tree *tree;
	const struct parse_options *options;
	struct err *err;
	int depth; /* Of the recursion. */
	int height;
	int aggregation_depth; /* Inside how many aggregations' arguments; for the messages. */
};

/* Moves to the next token. */
void parser_advance(struct parser *p);
/* Moves past a token of 'type', or returns false. */
bool parser_accept(struct parser *p, enum token_type type);
/* The bytes of a token. */
struct str parser_text(const struct parser *p, struct token token);
/* Fails with Prometheus' form, "line:column: parse error: ...". Returns ERR_INVAL. */
int parser_fail(struct parser *p, uint32_t at, const char *fmt, ...) PRINTF(3, 4);
/* Fails on the token met: "unexpected ... in CONTEXT, expected EXPECTED"; both may be empty. */
int parser_unexpected(struct parser *p, const char *context, const char *expected);
/* Enters one level of recursion; ERR_LIMIT when it is too deep. The caller leaves by p->depth--. */
MUST_USE int parser_enter(struct parser *p);
/* Notes that a node stands above one of 'height'. ERR_LIMIT when the tree becomes too high. */
MUST_USE int parser_grow(struct parser *p, int height);

/* parse_expr.c */
MUST_USE int parse_expr(struct parser *p, struct expr **out);
/* Whether the token may be the name of a metric, a function or an aggregation. */
bool token_is_metric_name(enum token_type type);

/* parse_selector.c: NAME{...}, and what may follow an expression. */
MUST_USE int parse_selector(struct parser *p, struct expr **out);
MUST_USE int parse_modifiers(struct parser *p, struct expr **expr);

/* parse_duration.c */
/* A number or duration as a node. */
MUST_USE int parse_number(struct parser *p, struct expr **out);
/* In brackets: an expression that must be positive, as far as one can tell. */
MUST_USE int parse_range_duration(
	struct parser *p, const char *context, const char *expected, struct duration *out);
/* After offset. */
MUST_USE int parse_offset_duration(struct parser *p, struct duration *out);

/* check.c: types and rules that go beyond the grammar. */
MUST_USE int check_expr(struct parser *p, struct expr *expr);

#endif
