#include "promql/duration.h"
#include "promql/literal.h"
#include "promql/parser.h"

#include <math.h>

/* What Go's time.Duration can hold, in seconds. */
#define DURATION_SECONDS_MAX 9223372036.854775807

/*
 * Durations in brackets and after offset are arithmetic of their own: the operators of PromQL
 * without comparisons, over numbers, step(), range(), min_of() and max_of(). A number alone stays a
 * literal, also with a sign; everything else waits for the query's grid.
 */
struct duration_parse {
	const char *context; /* For messages. */
	const char *expected;
};

static int parse_binary(struct parser *p, const struct duration_parse *d, int min_precedence,
	struct duration_expr **out);

static int number_value(struct parser *p, double *seconds, bool *is_duration) {
	struct str text = parser_text(p, p->token);
	struct err why = { 0 };
	int64_t ms = 0;
	int rc;

	*is_duration = p->token.type == TOKEN_DURATION;
	if (*is_duration) {
		rc = duration_parse(text, &ms, &why);
		*seconds = (double)ms / 1000;
	} else {
		rc = literal_number(text, seconds, &why);
	}
	if (rc < 0) {
		return parser_fail(p, p->token.start, "%s", why.text);
	}
	parser_advance(p);
	return 0;
}

int parse_number(struct parser *p, struct expr **out) {
	struct expr *expr = expr_new(p->tree, EXPR_NUMBER, VALUE_SCALAR);
	int rc;

	expr->text = (struct text_range){ p->token.start, p->token.end };
	rc = number_value(p, &expr->u.number.value, &expr->u.number.is_duration);
	if (rc < 0) {
		return rc;
	}
	p->height = 1;
	*out = expr;
	return 0;
}

static struct duration_expr *new_node(struct parser *p, enum duration_op op, uint32_t start) {
	struct duration_expr *node = ARENA_NEW(&p->tree->arena, struct duration_expr, 1);

	node->op = op;
	node->text = (struct text_range){ start, p->taken_end };
	return node;
}

static int unexpected(struct parser *p, const struct duration_parse *d) {
	return parser_unexpected(p, d->context, d->expected);
}

static bool is_in_range(double seconds) {
	return !isnan(seconds) && fabs(seconds) <= DURATION_SECONDS_MAX;
}

static int parse_literal(struct parser *p, struct duration_expr **out) {
	uint32_t start = p->token.start;
	struct duration_expr *node = new_node(p, DURATION_NUMBER, start);
	int rc = number_value(p, &node->seconds, &node->is_duration);

	if (rc < 0) {
		return rc;
	}
	if (!is_in_range(node->seconds)) {
		return parser_fail(p, start, "duration out of range");
	}
	node->text.end = p->taken_end;
	*out = node;
	return 0;
}

/* step() or range(). */
static int parse_constant(
	struct parser *p, const struct duration_parse *d, struct duration_expr **out) {
	uint32_t start = p->token.start;
	enum duration_op op = p->token.type == TOKEN_STEP ? DURATION_STEP : DURATION_RANGE;

	parser_advance(p);
	if (!parser_accept(p, TOKEN_LEFT_PAREN) || !parser_accept(p, TOKEN_RIGHT_PAREN)) {
		return unexpected(p, d);
	}
	*out = new_node(p, op, start);
	return 0;
}

/* min_of(a, b) or max_of(a, b). */
static int parse_choice(
	struct parser *p, const struct duration_parse *d, struct duration_expr **out) {
	uint32_t start = p->token.start;
	enum duration_op op = p->token.type == TOKEN_MIN_OF ? DURATION_MIN_OF : DURATION_MAX_OF;
	struct duration_expr *left = NULL;
	struct duration_expr *right = NULL;
	int rc;

	parser_advance(p);
	if (!parser_accept(p, TOKEN_LEFT_PAREN)) {
		return unexpected(p, d);
	}
	rc = parse_binary(p, d, 0, &left);
	if (rc < 0) {
		return rc;
	}
	if (!parser_accept(p, TOKEN_COMMA)) {
		return unexpected(p, d);
	}
	rc = parse_binary(p, d, 0, &right);
	if (rc < 0) {
		return rc;
	}
	if (!parser_accept(p, TOKEN_RIGHT_PAREN)) {
		return unexpected(p, d);
	}
	*out = new_node(p, op, start);
	(*out)->left = left;
	(*out)->right = right;
	return 0;
}

/* Puts parentheses around a node, which a number can only have by a plus. */
static struct duration_expr *wrap(struct parser *p, struct duration_expr *inner) {
	if (inner->op == DURATION_NUMBER) {
		struct duration_expr *plus = new_node(p, DURATION_PLUS, inner->text.start);

		plus->right = inner;
		inner = plus;
	}
	inner->is_wrapped = true;
	return inner;
}

/* (a); a number in parentheses is held by a plus that does not print. */
static int parse_wrapped(
	struct parser *p, const struct duration_parse *d, struct duration_expr **out) {
	uint32_t start = p->token.start;
	struct duration_expr *inner = NULL;
	int rc;

	parser_advance(p);
	rc = parse_binary(p, d, 0, &inner);
	if (rc < 0) {
		return rc;
	}
	if (!parser_accept(p, TOKEN_RIGHT_PAREN)) {
		return unexpected(p, d);
	}
	*out = wrap(p, inner);
	(*out)->text.start = start;
	return 0;
}

static int parse_primary(
	struct parser *p, const struct duration_parse *d, struct duration_expr **out) {
	switch ((int)p->token.type) {
	case TOKEN_NUMBER:
	case TOKEN_DURATION:
		return parse_literal(p, out);
	case TOKEN_STEP:
	case TOKEN_RANGE:
		return parse_constant(p, d, out);
	case TOKEN_MIN_OF:
	case TOKEN_MAX_OF:
		return parse_choice(p, d, out);
	case TOKEN_LEFT_PAREN:
		return parse_wrapped(p, d, out);
	default:
		return unexpected(p, d);
	}
}

static struct duration_expr *apply_sign(
	struct parser *p, struct token sign, struct duration_expr *operand) {
	bool is_negative = sign.type == TOKEN_SUB;
	struct duration_expr *negation;

	if (operand->op == DURATION_NUMBER) {
		operand->seconds = is_negative ? -operand->seconds : operand->seconds;
		operand->text.start = sign.start;
		return operand;
	}
	if (!is_negative) {
		return operand;
	}
	negation = new_node(p, DURATION_NEGATE, sign.start);
	negation->right = operand;
	return negation;
}

/* The operator's precedence, 0 for what is none. */
static int precedence(enum token_type type) {
	switch ((int)type) {
	case TOKEN_ADD:
	case TOKEN_SUB:
		return 1;
	case TOKEN_MUL:
	case TOKEN_DIV:
	case TOKEN_MOD:
		return 2;
	case TOKEN_POW:
		return 3;
	default:
		return 0;
	}
}

static enum duration_op operator_of(enum token_type type) {
	switch ((int)type) {
	case TOKEN_ADD:
		return DURATION_ADD;
	case TOKEN_SUB:
		return DURATION_SUB;
	case TOKEN_MUL:
		return DURATION_MUL;
	case TOKEN_DIV:
		return DURATION_DIV;
	case TOKEN_MOD:
		return DURATION_MOD;
	default:
		return DURATION_POW;
	}
}

/* The operators after 'left' that bind at least as tightly as 'min_precedence'. */
static int parse_operators(struct parser *p, const struct duration_parse *d, int min_precedence,
	struct duration_expr *left, struct duration_expr **out) {
	int height = 1;

	for (;;) {
		struct token token = p->token;
		int binds = precedence(token.type);
		struct duration_expr *right = NULL;
		struct duration_expr *node;
		int rc;

		if (binds == 0 || binds < min_precedence) {
			*out = left;
			return 0;
		}
		rc = parser_grow(p, height++);
		if (rc < 0) {
			return rc;
		}
		parser_advance(p);
		rc = parse_binary(p, d, token.type == TOKEN_POW ? binds : binds + 1, &right);
		if (rc < 0) {
			return rc;
		}
		if (right->op == DURATION_NUMBER && right->seconds == 0 &&
			(token.type == TOKEN_DIV || token.type == TOKEN_MOD)) {
			return parser_fail(p, token.start, "%s by zero",
				token.type == TOKEN_DIV ? "division" : "modulo");
		}
		node = new_node(p, operator_of(token.type), left->text.start);
		node->left = left;
		node->right = right;
		left = node;
	}
}

static int parse_unary(
	struct parser *p, const struct duration_parse *d, struct duration_expr **out) {
	struct token sign = p->token;
	int rc;

	if (sign.type != TOKEN_ADD && sign.type != TOKEN_SUB) {
		return parse_primary(p, d, out);
	}
	parser_advance(p);
	/* A sign binds like *, so that only ^ goes before it. */
	rc = parse_binary(p, d, 3, out);
	if (rc == 0) {
		*out = apply_sign(p, sign, *out);
	}
	return rc;
}

static int parse_binary(struct parser *p, const struct duration_parse *d, int min_precedence,
	struct duration_expr **out) {
	struct duration_expr *left = NULL;
	int rc = parser_enter(p);

	if (rc < 0) {
		return rc;
	}
	rc = parse_unary(p, d, &left);
	if (rc == 0) {
		rc = parse_operators(p, d, min_precedence, left, out);
	}
	p->depth--;
	return rc;
}

/* Milliseconds of a number of seconds, by way of Go's nanoseconds. */
static int64_t to_ms(double seconds) {
	double nanoseconds = round(seconds * 1e9);

	if (nanoseconds >= 9223372036854775807.0) {
		return INT64_MAX / 1000000;
	}
	if (nanoseconds <= -9223372036854775807.0) {
		return -(INT64_MAX / 1000000);
	}
	return (int64_t)nanoseconds / 1000000;
}

static struct duration to_duration(const struct duration_expr *expr) {
	return expr->op == DURATION_NUMBER ? (struct duration){ .ms = to_ms(expr->seconds) }
					   : (struct duration){ .expr = expr };
}

int parse_range_duration(
	struct parser *p, const char *context, const char *expected, struct duration *out) {
	const struct duration_parse d = { context, expected };
	struct duration_expr *expr = NULL;
	int rc = parse_binary(p, &d, 0, &expr);

	if (rc < 0) {
		return rc;
	}
	if (expr->op == DURATION_NUMBER && expr->seconds <= 0) {
		return parser_fail(p, expr->text.start, "duration must be greater than 0");
	}
	*out = to_duration(expr);
	return 0;
}

/* Two signs and more: arithmetic goes on after them. It prints in parentheses, as one sign ends. */
static int parse_signs(struct parser *p, const struct duration_parse *d, struct token sign,
	struct duration_expr **out) {
	struct duration_expr *left = NULL;
	int rc = parse_binary(p, d, 3, &left);

	if (rc < 0) {
		return rc;
	}
	left = apply_sign(p, sign, left);
	if (precedence(p->token.type) > 0) {
		left = wrap(p, left);
	}
	return parse_operators(p, d, 0, left, out);
}

/*
 * After offset a number, a call or a sign with one of them is the whole duration: in
 * 'foo offset -2 ^ 2' the power is that of foo. Only parentheses without a sign go on.
 */
static int parse_offset(
	struct parser *p, const struct duration_parse *d, struct duration_expr **out) {
	struct token sign = p->token;
	struct duration_expr *plus;
	int rc;

	if (sign.type != TOKEN_ADD && sign.type != TOKEN_SUB) {
		return sign.type == TOKEN_LEFT_PAREN ? parse_binary(p, d, 0, out)
						     : parse_primary(p, d, out);
	}
	parser_advance(p);
	if (p->token.type == TOKEN_ADD || p->token.type == TOKEN_SUB) {
		return parse_signs(p, d, sign, out);
	}
	rc = parse_primary(p, d, out);
	if (rc < 0) {
		return rc;
	}
	if (sign.type == TOKEN_ADD && (*out)->is_wrapped) {
		/* The plus stays, or what follows would print as part of the offset. */
		plus = new_node(p, DURATION_PLUS, sign.start);
		plus->right = *out;
		*out = plus;
		return 0;
	}
	*out = apply_sign(p, sign, *out);
	return 0;
}

int parse_offset_duration(struct parser *p, struct duration *out) {
	const struct duration_parse d = { "offset", "number, duration, step(), or range()" };
	struct duration_expr *expr = NULL;
	int rc = parse_offset(p, &d, &expr);

	if (rc < 0) {
		return rc;
	}
	*out = to_duration(expr);
	return 0;
}
