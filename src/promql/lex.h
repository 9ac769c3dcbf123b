/*
 * The lexer of PromQL: text into tokens.
 *
 * Keywords are only guesses: inside braces everything is an identifier, and most keywords may also
 * be names of metrics and labels, which the parser decides. An error is a token too (TOKEN_ERROR,
 * with the sentence in 'message'), so that the parser reports what it meets first. Owned by one
 * thread; tokens are positions in the text, which is borrowed.
 */
#ifndef PROMQL_LEX_H
#define PROMQL_LEX_H

#include "base/buf.h"
#include "base/str.h"

enum token_type {
	TOKEN_ERROR,
	TOKEN_END,
	TOKEN_IDENTIFIER,
	TOKEN_METRIC_IDENTIFIER, /* An identifier with a colon. */
	TOKEN_NUMBER,
	TOKEN_DURATION,
	TOKEN_STRING,
	TOKEN_COMMA,
	TOKEN_COLON,
	TOKEN_EQUAL, /* = */
	TOKEN_LEFT_BRACE,
	TOKEN_RIGHT_BRACE,
	TOKEN_LEFT_BRACKET,
	TOKEN_RIGHT_BRACKET,
	TOKEN_LEFT_PAREN,
	TOKEN_RIGHT_PAREN,

	/* Operators. */
	TOKEN_ADD,
	TOKEN_SUB,
	TOKEN_MUL,
	TOKEN_DIV,
	TOKEN_MOD,
	TOKEN_POW,
	TOKEN_ATAN2,
	TOKEN_EQL,
	TOKEN_NEQ,
	TOKEN_LSS,
	TOKEN_GTR,
	TOKEN_LTE,
	TOKEN_GTE,
	TOKEN_AND,
	TOKEN_OR,
	TOKEN_UNLESS,
	TOKEN_TRIM_UPPER,
	TOKEN_TRIM_LOWER,
	TOKEN_EQUAL_REGEX,
	TOKEN_NOT_EQUAL_REGEX,
	TOKEN_AT,

	/* Aggregators, in the order of enum aggregate_op. */
	TOKEN_SUM,
	TOKEN_AVG,
	TOKEN_COUNT,
	TOKEN_MIN,
	TOKEN_MAX,
	TOKEN_GROUP,
	TOKEN_STDDEV,
	TOKEN_STDVAR,
	TOKEN_TOPK,
	TOKEN_BOTTOMK,
	TOKEN_COUNT_VALUES,
	TOKEN_QUANTILE,
	TOKEN_LIMITK,
	TOKEN_LIMIT_RATIO,

	/* Keywords. */
	TOKEN_BOOL,
	TOKEN_BY,
	TOKEN_WITHOUT,
	TOKEN_ON,
	TOKEN_IGNORING,
	TOKEN_GROUP_LEFT,
	TOKEN_GROUP_RIGHT,
	TOKEN_FILL,
	TOKEN_FILL_LEFT,
	TOKEN_FILL_RIGHT,
	TOKEN_OFFSET,
	TOKEN_SMOOTHED,
	TOKEN_ANCHORED,

	/* Names of functions that also stand in durations or after @. */
	TOKEN_START,
	TOKEN_END_OF, /* end() */
	TOKEN_STEP,
	TOKEN_RANGE,
	TOKEN_MAX_OF,
	TOKEN_MIN_OF,
};

struct token {
	enum token_type type;
	uint32_t start; /* Bytes into the text; [start, end). */
	uint32_t end;
};

struct lexer {
	struct str text;
	size_t pos;
	size_t start; /* Of the token being read. */
	int paren_depth;
	bool in_braces;
	bool in_brackets;
	bool in_duration; /* In brackets, before the first number: only durations are known. */
	bool got_colon;
	struct buf message; /* Why the last token is TOKEN_ERROR. */
};

/* Starts at the beginning of 'text', which must outlive the lexer. */
void lexer_init(struct lexer *lexer, struct str text);
/* Frees the message. */
void lexer_deinit(struct lexer *lexer);
/* Reads the next token; after the end, TOKEN_END again; after an error, nothing may be read. */
struct token lexer_next(struct lexer *lexer);

static inline bool token_is_operator(enum token_type type) {
	return type >= TOKEN_ADD && type <= TOKEN_AT;
}

static inline bool token_is_aggregator(enum token_type type) {
	return type >= TOKEN_SUM && type <= TOKEN_LIMIT_RATIO;
}

static inline bool token_is_keyword(enum token_type type) {
	return type >= TOKEN_BOOL && type <= TOKEN_ANCHORED;
}

static inline bool token_is_word(enum token_type type) {
	return type == TOKEN_IDENTIFIER || type == TOKEN_METRIC_IDENTIFIER || type == TOKEN_ATAN2 ||
	       (type >= TOKEN_AND && type <= TOKEN_UNLESS) || type >= TOKEN_SUM;
}

/* Appends what an error calls the token: identifier "foo", <op:+>, end of input. */
void token_describe(const struct token *token, struct str text, struct buf *out);
/* Appends a code point in single quotes as Go's %q writes it; UINT32_MAX stands for the end. */
void rune_quote(uint32_t rune, struct buf *out);

#endif
