#include "promql/literal.h"
#include "promql/parser.h"

#include <math.h>

/* Most matchers in one selector. */
#define MATCHERS_MAX 1000

/* One matcher in braces: name="value", "name"="value", or just "metric". */
static int parse_matcher_op(struct parser *p, enum matcher_op *op) {
	switch ((int)p->token.type) {
	case TOKEN_EQUAL:
		*op = MATCHER_EQUAL;
		break;
	case TOKEN_NEQ:
		*op = MATCHER_NOT_EQUAL;
		break;
	case TOKEN_EQUAL_REGEX:
		*op = MATCHER_REGEX;
		break;
	case TOKEN_NOT_EQUAL_REGEX:
		*op = MATCHER_NOT_REGEX;
		break;
	default:
		return 0;
	}
	parser_advance(p);
	return 1;
}

static int compile(struct parser *p, uint32_t at, struct matcher *matcher) {
	struct err why = { 0 };
	int rc;

	if (matcher->op != MATCHER_REGEX && matcher->op != MATCHER_NOT_REGEX) {
		return 0;
	}
	rc = regex_set_add(&p->tree->regexes, matcher->value, &matcher->regex, &why);
	if (rc == ERR_LIMIT) {
		return err_set(p->err, ERR_LIMIT, "%s", why.text);
	}
	return rc < 0 ? parser_fail(p, at, "error parsing regexp: %s", why.text) : 0;
}

static int parse_matcher(struct parser *p, struct matcher *out) {
	struct token name = p->token;
	int found;

	if (name.type != TOKEN_IDENTIFIER && name.type != TOKEN_STRING) {
		return parser_unexpected(p, "label matching", "identifier or \"}\"");
	}
	parser_advance(p);
	found = parse_matcher_op(p, &out->op);
	if (name.type == TOKEN_STRING) {
		out->name = literal_unquote(&p->tree->arena, parser_text(p, name));
		if (!found) {
			out->op = MATCHER_EQUAL;
			out->value = out->name;
			out->name = LABEL_NAME;
			return 0;
		}
	} else if (!found) {
		return parser_unexpected(p, "label matching", "label matching operator");
	} else {
		out->name = parser_text(p, name);
	}
	if (p->token.type != TOKEN_STRING) {
		return parser_unexpected(p, "label matching", "string");
	}
	out->value = literal_unquote(&p->tree->arena, parser_text(p, p->token));
	parser_advance(p);
	return compile(p, name.start, out);
}

/* The matchers between braces, with room for one more in '*out'. */
static int parse_matchers(struct parser *p, struct matcher **out, size_t *count) {
	struct matcher *list = ARENA_NEW(&p->tree->arena, struct matcher, 4);
	size_t capacity = 4;
	size_t used = 0;

	if (p->token.type == TOKEN_LEFT_BRACE) {
		parser_advance(p);
		while (p->token.type != TOKEN_RIGHT_BRACE) {
			int rc;

			if (used + 1 >= capacity) {
				struct matcher *more =
					ARENA_NEW(&p->tree->arena, struct matcher, capacity * 2);

				memcpy(more, list, used * sizeof(*list));
				list = more;
				capacity *= 2;
			}
			if (used >= MATCHERS_MAX) {
				return err_set(p->err, ERR_LIMIT,
					"a selector may have at most %d matchers", MATCHERS_MAX);
			}
			rc = parse_matcher(p, &list[used]);
			if (rc < 0) {
				return rc;
			}
			used++;
			if (p->token.type != TOKEN_RIGHT_BRACE && !parser_accept(p, TOKEN_COMMA)) {
				return parser_unexpected(p, "label matching", "\",\" or \"}\"");
			}
		}
		parser_advance(p);
	}
	*out = list;
	*count = used;
	return 0;
}

int parse_selector(struct parser *p, struct expr **out) {
	struct expr *expr = expr_new(p->tree, EXPR_SELECTOR, VALUE_VECTOR);
	struct selector *selector = &expr->u.selector;
	int rc;

	expr->text.start = p->token.start;
	selector->metric_name = STR_EMPTY;
	if (p->token.type != TOKEN_LEFT_BRACE) {
		selector->metric_name = parser_text(p, p->token);
		parser_advance(p);
	}
	rc = parse_matchers(p, &selector->matchers, &selector->matcher_count);
	if (rc < 0) {
		return rc;
	}
	if (selector->metric_name.len > 0) {
		selector->matchers[selector->matcher_count++] = (struct matcher){
			.op = MATCHER_EQUAL, .name = LABEL_NAME, .value = selector->metric_name
		};
	}
	expr->text.end = p->taken_end;
	p->height = 1;
	*out = expr;
	return 0;
}

/* Where offset and @ of 'expr' are kept; NULL if it can have none. */
static struct time_shift *find_shift(struct expr *expr) {
	switch ((int)expr->kind) {
	case EXPR_SELECTOR:
		return &expr->u.selector.shift;
	case EXPR_RANGE:
		return &expr->u.range.selector->u.selector.shift;
	case EXPR_SUBQUERY:
		return &expr->u.subquery.shift;
	default:
		return NULL;
	}
}

static int parse_offset(struct parser *p, struct expr *expr) {
	struct time_shift *shift = find_shift(expr);
	struct duration offset = { 0 };
	int rc;

	parser_advance(p);
	rc = parse_offset_duration(p, &offset);
	if (rc < 0) {
		return rc;
	}
	if (!shift) {
		return parser_fail(p, expr->text.start,
			"offset modifier must be preceded by an instant vector selector or range "
			"vector selector or a subquery");
	}
	if (shift->offset.ms != 0 || shift->offset.expr) {
		return parser_fail(p, expr->text.start, "offset may not be set multiple times");
	}
	shift->offset = offset;
	expr->text.end = p->taken_end;
	return 0;
}

/* Seconds as a number with an optional sign. */
static int parse_timestamp(struct parser *p, double *out) {
	struct token sign = p->token;
	struct expr *number = NULL;
	int rc;

	if (sign.type == TOKEN_ADD || sign.type == TOKEN_SUB) {
		parser_advance(p);
	}
	if (p->token.type != TOKEN_NUMBER && p->token.type != TOKEN_DURATION) {
		return parser_unexpected(p, "@", "timestamp");
	}
	rc = parse_number(p, &number);
	if (rc < 0) {
		return rc;
	}
	*out = sign.type == TOKEN_SUB ? -number->u.number.value : number->u.number.value;
	return 0;
}

static int set_time(struct parser *p, struct expr *expr, double seconds, struct time_shift *at) {
	double ms = round(seconds * 1000);

	/* Half the range of milliseconds, so that offsets cannot overflow either. */
	if (!(fabs(ms) < 4611686018427387904.0)) {
		if (isnan(seconds) || isinf(seconds)) {
			return parser_fail(p, expr->text.start,
				"timestamp out of bounds for @ modifier: %s",
				isnan(seconds) ? "NaN"
				: seconds < 0  ? "-Inf"
					       : "+Inf");
		}
		return parser_fail(
			p, expr->text.start, "timestamp out of bounds for @ modifier: %f", seconds);
	}
	at->at = AT_TIME;
	at->at_ms = (int64_t)ms;
	return 0;
}

/* What follows @; fills 'at' of 'out'. */
static int parse_at_value(struct parser *p, struct expr *expr, struct time_shift *out) {
	double seconds = 0;
	int rc;

	if (p->token.type == TOKEN_START || p->token.type == TOKEN_END_OF) {
		out->at = p->token.type == TOKEN_START ? AT_START : AT_END;
		parser_advance(p);
		if (!parser_accept(p, TOKEN_LEFT_PAREN) || !parser_accept(p, TOKEN_RIGHT_PAREN)) {
			return parser_unexpected(p, "@", "timestamp");
		}
		return 0;
	}
	rc = parse_timestamp(p, &seconds);
	return rc < 0 ? rc : set_time(p, expr, seconds, out);
}

static int parse_at(struct parser *p, struct expr *expr) {
	struct time_shift *shift = find_shift(expr);
	struct time_shift value = { 0 };
	int rc;

	parser_advance(p);
	rc = parse_at_value(p, expr, &value);
	if (rc < 0) {
		return rc;
	}
	if (!shift) {
		return parser_fail(p, expr->text.start,
			"@ modifier must be preceded by an instant vector selector or range vector "
			"selector or a subquery");
	}
	if (shift->at != AT_NONE) {
		return parser_fail(
			p, expr->text.start, "@ <timestamp> may not be set multiple times");
	}
	shift->at = value.at;
	shift->at_ms = value.at_ms;
	expr->text.end = p->taken_end;
	return 0;
}

/* anchored or smoothed. */
static int parse_extension(struct parser *p, struct expr *expr) {
	bool is_anchored = p->token.type == TOKEN_ANCHORED;
	const char *name = is_anchored ? "anchored" : "smoothed";
	uint32_t at = expr->text.start;
	struct selector *selector;

	parser_advance(p);
	if (!p->options->extended_range_selectors) {
		return parser_fail(p, at,
			"%s modifier is experimental and not enabled; it must be enabled with "
			"--enable-feature=promql-extended-range-selectors",
			name);
	}
	if (expr->kind == EXPR_SUBQUERY) {
		return parser_fail(p, at, "%s modifier is not supported for subqueries", name);
	}
	if (expr->kind != EXPR_SELECTOR && expr->kind != EXPR_RANGE) {
		return parser_fail(p, at, "%s modifier not implemented", name);
	}
	selector =
		expr->kind == EXPR_RANGE ? &expr->u.range.selector->u.selector : &expr->u.selector;
	selector->anchored = selector->anchored || is_anchored;
	selector->smoothed = selector->smoothed || !is_anchored;
	if (selector->anchored && selector->smoothed) {
		return parser_fail(
			p, at, "anchored and smoothed modifiers cannot be used together");
	}
	expr->text.end = p->taken_end;
	return 0;
}

/* [range] after a selector. */
static int finish_range(
	struct parser *p, uint32_t bracket, const struct duration *range, struct expr **expr) {
	struct expr *inner = *expr;
	const char *wrong = NULL;
	struct expr *outer;

	if (inner->kind != EXPR_SELECTOR) {
		wrong = "ranges only allowed for vector selectors";
	} else if (inner->u.selector.shift.offset.ms != 0 || inner->u.selector.shift.offset.expr) {
		wrong = "no offset modifiers allowed before range";
	} else if (inner->u.selector.shift.at != AT_NONE) {
		wrong = "no @ modifiers allowed before range";
	}
	if (wrong) {
		return parser_fail(p, bracket, "%s", wrong);
	}
	outer = expr_new(p->tree, EXPR_RANGE, VALUE_MATRIX);
	outer->text = (struct text_range){ inner->text.start, p->taken_end };
	outer->u.range.selector = inner;
	outer->u.range.range = *range;
	*expr = outer;
	return 0;
}

/* [range:step] after any expression; the colon has been taken. */
static int finish_subquery(struct parser *p, const struct duration *range, struct expr **expr) {
	struct expr *outer = expr_new(p->tree, EXPR_SUBQUERY, VALUE_MATRIX);
	int rc;

	if (p->token.type != TOKEN_RIGHT_BRACKET) {
		outer->u.subquery.has_step = true;
		rc = parse_range_duration(p, "subquery selector",
			"number, duration, step(), range(), or \"]\"", &outer->u.subquery.step);
		if (rc < 0) {
			return rc;
		}
	}
	if (!parser_accept(p, TOKEN_RIGHT_BRACKET)) {
		return parser_unexpected(p, "subquery selector", "\"]\"");
	}
	outer->text = (struct text_range){ (*expr)->text.start, p->taken_end };
	outer->u.subquery.expr = *expr;
	outer->u.subquery.range = *range;
	*expr = outer;
	return 0;
}

static int parse_brackets(struct parser *p, struct expr **expr) {
	uint32_t bracket = p->token.start;
	int height = p->height;
	struct duration range = { 0 };
	int rc;

	parser_advance(p);
	rc = parse_range_duration(
		p, "subquery or range selector", "number, duration, step(), or range()", &range);
	if (rc < 0) {
		return rc;
	}
	if (parser_accept(p, TOKEN_RIGHT_BRACKET)) {
		rc = finish_range(p, bracket, &range, expr);
	} else if (parser_accept(p, TOKEN_COLON)) {
		rc = finish_subquery(p, &range, expr);
	} else {
		return parser_unexpected(p, "subquery or range", "\":\" or \"]\"");
	}
	return rc < 0 ? rc : parser_grow(p, height);
}

int parse_modifiers(struct parser *p, struct expr **expr) {
	for (;;) {
		int height = p->height;
		int rc;

		switch ((int)p->token.type) {
		case TOKEN_LEFT_BRACKET:
			rc = parse_brackets(p, expr);
			height = p->height;
			break;
		case TOKEN_OFFSET:
			rc = parse_offset(p, *expr);
			break;
		case TOKEN_AT:
			rc = parse_at(p, *expr);
			break;
		case TOKEN_ANCHORED:
		case TOKEN_SMOOTHED:
			rc = parse_extension(p, *expr);
			break;
		default:
			return 0;
		}
		if (rc < 0) {
			return rc;
		}
		p->height = height;
	}
}
