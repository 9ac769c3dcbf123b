#include "promql/literal.h"
#include "promql/parser.h"

#include <stdlib.h>

/* Most arguments, grouping labels or included labels in one list. */
#define LIST_MAX 1000

/* The precedence of a sign: that of *, so that only ^ binds more tightly. */
#define PRECEDENCE_SIGN 5
#define PRECEDENCE_POW 6

static int parse_binary(struct parser *p, int min_precedence, struct expr **out);

struct operator_row {
	enum token_type token;
	enum binary_op op;
	int precedence;
};

static const struct operator_row operator_rows[] = {
	{ TOKEN_OR, BINARY_OR, 1 },
	{ TOKEN_AND, BINARY_AND, 2 },
	{ TOKEN_UNLESS, BINARY_UNLESS, 2 },
	{ TOKEN_EQL, BINARY_EQL, 3 },
	{ TOKEN_NEQ, BINARY_NEQ, 3 },
	{ TOKEN_LSS, BINARY_LSS, 3 },
	{ TOKEN_GTR, BINARY_GTR, 3 },
	{ TOKEN_LTE, BINARY_LTE, 3 },
	{ TOKEN_GTE, BINARY_GTE, 3 },
	{ TOKEN_TRIM_UPPER, BINARY_TRIM_UPPER, 3 },
	{ TOKEN_TRIM_LOWER, BINARY_TRIM_LOWER, 3 },
	{ TOKEN_ADD, BINARY_ADD, 4 },
	{ TOKEN_SUB, BINARY_SUB, 4 },
	{ TOKEN_MUL, BINARY_MUL, PRECEDENCE_SIGN },
	{ TOKEN_DIV, BINARY_DIV, PRECEDENCE_SIGN },
	{ TOKEN_MOD, BINARY_MOD, PRECEDENCE_SIGN },
	{ TOKEN_ATAN2, BINARY_ATAN2, PRECEDENCE_SIGN },
	{ TOKEN_POW, BINARY_POW, PRECEDENCE_POW },
};

static const struct operator_row *find_operator(enum token_type type) {
	for (size_t i = 0; i < ARRAY_COUNT(operator_rows); i++) {
		if (operator_rows[i].token == type) {
			return &operator_rows[i];
		}
	}
	return NULL;
}

/* Names of labels may be any word; of metrics, any but these. */
bool token_is_metric_name(enum token_type type) {
	return token_is_word(type) && type != TOKEN_ATAN2 && type != TOKEN_BOOL &&
	       type != TOKEN_ON && type != TOKEN_IGNORING && type != TOKEN_GROUP_LEFT &&
	       type != TOKEN_GROUP_RIGHT;
}

/* A list that grows in the arena. */
struct str_list {
	struct str *items;
	size_t count;
	size_t capacity;
};

static int list_add(struct parser *p, struct str_list *list, struct str item) {
	if (list->count >= LIST_MAX) {
		return err_set(p->err, ERR_LIMIT, "a list of labels may have at most %d", LIST_MAX);
	}
	if (list->count == list->capacity) {
		size_t capacity = list->capacity ? list->capacity * 2 : 8;
		struct str *items = ARENA_NEW(&p->tree->arena, struct str, capacity);

		if (list->count > 0) {
			memcpy(items, list->items, list->count * sizeof(*items));
		}
		list->items = items;
		list->capacity = capacity;
	}
	list->items[list->count++] = item;
	return 0;
}

static int parse_grouping_label(struct parser *p, struct str_list *list) {
	struct token token = p->token;
	struct str name;

	if (token_is_word(token.type)) {
		name = parser_text(p, token);
	} else if (token.type == TOKEN_STRING) {
		name = literal_unquote(&p->tree->arena, parser_text(p, token));
		if (name.len == 0 || !str_is_utf8(name)) {
			return parser_fail(p, token.start,
				"invalid label name for grouping: \"%.*s\"", STR_ARG(name));
		}
	} else {
		return parser_unexpected(p, "grouping opts", "label");
	}
	parser_advance(p);
	return list_add(p, list, name);
}

/* (a, b, c,) */
static int parse_grouping(struct parser *p, struct str_list *list) {
	if (!parser_accept(p, TOKEN_LEFT_PAREN)) {
		return parser_unexpected(p, "grouping opts", "\"(\"");
	}
	while (!parser_accept(p, TOKEN_RIGHT_PAREN)) {
		int rc = parse_grouping_label(p, list);

		if (rc < 0) {
			return rc;
		}
		if (p->token.type == TOKEN_RIGHT_PAREN) {
			continue;
		}
		if (!parser_accept(p, TOKEN_COMMA)) {
			return parser_unexpected(p, "grouping opts", "\",\" or \")\"");
		}
	}
	return 0;
}

/* The arguments of a function or an aggregation, with their parentheses. */
struct arguments {
	struct expr **items;
	size_t count;
	size_t capacity;
	int height;
};

static int add_argument(struct parser *p, struct arguments *args) {
	struct expr *arg = NULL;
	int rc;

	if (args->count >= LIST_MAX) {
		return err_set(p->err, ERR_LIMIT, "a call may have at most %d arguments", LIST_MAX);
	}
	rc = parse_expr(p, &arg);
	if (rc < 0) {
		return rc;
	}
	if (args->count == args->capacity) {
		size_t capacity = args->capacity ? args->capacity * 2 : 4;
		struct expr **items = ARENA_NEW(&p->tree->arena, struct expr *, capacity);

		if (args->count > 0) {
			memcpy(items, args->items, args->count * sizeof(struct expr *));
		}
		args->items = items;
		args->capacity = capacity;
	}
	args->items[args->count++] = arg;
	args->height = p->height > args->height ? p->height : args->height;
	return 0;
}

/* Whether an expression can begin with the token. */
static bool begins_expr(enum token_type type) {
	return type == TOKEN_NUMBER || type == TOKEN_DURATION || type == TOKEN_STRING ||
	       type == TOKEN_LEFT_PAREN || type == TOKEN_LEFT_BRACE || type == TOKEN_ADD ||
	       type == TOKEN_SUB || type == TOKEN_ERROR || token_is_metric_name(type);
}

static int parse_arguments(struct parser *p, struct arguments *args) {
	if (!parser_accept(p, TOKEN_LEFT_PAREN)) {
		return parser_unexpected(p, "", "");
	}
	if (parser_accept(p, TOKEN_RIGHT_PAREN)) {
		return 0;
	}
	for (;;) {
		uint32_t comma;
		int rc = add_argument(p, args);

		if (rc < 0) {
			return rc;
		}
		if (parser_accept(p, TOKEN_RIGHT_PAREN)) {
			return 0;
		}
		comma = p->token.start;
		if (!parser_accept(p, TOKEN_COMMA)) {
			return parser_unexpected(p, "", "");
		}
		if (!begins_expr(p->token.type)) {
			return parser_fail(
				p, comma, "trailing commas not allowed in function call args");
		}
	}
}

static int parse_call(struct parser *p, struct token name, struct expr **out) {
	struct str text = parser_text(p, name);
	const struct function *function = function_find(text);
	struct arguments args = { 0 };
	struct expr *expr;
	int rc = parse_arguments(p, &args);

	if (rc < 0) {
		return rc;
	}
	if (!function) {
		return parser_fail(
			p, name.start, "unknown function with name \"%.*s\"", STR_ARG(text));
	}
	if (function->is_experimental && !p->options->experimental_functions) {
		return parser_fail(p, name.start,
			"function \"%.*s\" is not enabled; it is experimental and must be enabled "
			"with --enable-feature=promql-experimental-functions",
			STR_ARG(text));
	}
	expr = expr_new(p->tree, EXPR_CALL, function->result);
	expr->text = (struct text_range){ name.start, p->taken_end };
	expr->u.call.function = function;
	expr->u.call.args = args.items;
	expr->u.call.count = args.count;
	*out = expr;
	return parser_grow(p, args.height);
}

/* by (...) or without (...), if it stands here. */
static int parse_aggregate_grouping(struct parser *p, struct expr *expr, bool *found) {
	struct str_list labels = { 0 };
	int rc;

	*found = p->token.type == TOKEN_BY || p->token.type == TOKEN_WITHOUT;
	if (!*found) {
		return 0;
	}
	expr->u.aggregate.is_grouped = true;
	expr->u.aggregate.without = p->token.type == TOKEN_WITHOUT;
	parser_advance(p);
	rc = parse_grouping(p, &labels);
	if (rc < 0) {
		return rc;
	}
	expr->u.aggregate.grouping = labels.items;
	expr->u.aggregate.grouping_count = labels.count;
	return 0;
}

static bool aggregate_has_param(enum aggregate_op op) {
	return op >= AGGREGATE_TOPK;
}

/* Shares the arguments out between the parameter and the operand. */
static int set_aggregate_arguments(
	struct parser *p, struct expr *expr, const struct arguments *args) {
	enum aggregate_op op = expr->u.aggregate.op;
	size_t wanted = aggregate_has_param(op) ? 2 : 1;

	if (args->count == 0) {
		return parser_fail(
			p, expr->text.start, "no arguments for aggregate expression provided");
	}
	if (op >= AGGREGATE_LIMITK && !p->options->experimental_functions) {
		return parser_fail(p, expr->text.start,
			"%s() is experimental and must be enabled with "
			"--enable-feature=promql-experimental-functions",
			aggregate_op_text(op));
	}
	if (args->count != wanted) {
		return parser_fail(p, expr->text.start,
			"wrong number of arguments for aggregate expression provided, expected "
			"%zu, got %zu",
			wanted, args->count);
	}
	expr->u.aggregate.param = wanted == 2 ? args->items[0] : NULL;
	expr->u.aggregate.expr = args->items[wanted - 1];
	return 0;
}

static int parse_aggregate(struct parser *p, struct token name, struct expr **out) {
	struct expr *expr = expr_new(p->tree, EXPR_AGGREGATE, VALUE_VECTOR);
	struct arguments args = { 0 };
	bool grouped = false;
	int rc;

	expr->u.aggregate.op = (enum aggregate_op)(name.type - TOKEN_SUM);
	p->aggregation_depth++;
	rc = parse_aggregate_grouping(p, expr, &grouped);
	if (rc == 0) {
		rc = parse_arguments(p, &args);
	}
	p->aggregation_depth--;
	if (rc == 0 && !grouped) {
		rc = parse_aggregate_grouping(p, expr, &grouped);
	}
	if (rc < 0) {
		return rc;
	}
	expr->text = (struct text_range){ name.start, p->taken_end };
	rc = set_aggregate_arguments(p, expr, &args);
	if (rc < 0) {
		return rc;
	}
	*out = expr;
	return parser_grow(p, args.height);
}

/* A word: an aggregation, a call or a selector, as what follows tells. */
static int parse_word(struct parser *p, struct expr **out) {
	struct token name = p->token;
	struct lexer before = p->lexer;
	struct token token;

	/* One more token ahead; the lexer's message is only written on errors. */
	token = lexer_next(&p->lexer);
	if (token_is_aggregator(name.type) &&
		(token.type == TOKEN_LEFT_PAREN || token.type == TOKEN_BY ||
			token.type == TOKEN_WITHOUT)) {
		p->taken_end = name.end;
		p->token = token;
		return parse_aggregate(p, name, out);
	}
	if (token.type == TOKEN_LEFT_PAREN &&
		(name.type == TOKEN_IDENTIFIER || name.type >= TOKEN_START)) {
		p->taken_end = name.end;
		p->token = token;
		return parse_call(p, name, out);
	}
	before.message = p->lexer.message;
	p->lexer = before;
	return parse_selector(p, out);
}

static int parse_paren(struct parser *p, struct expr **out) {
	struct expr *expr = expr_new(p->tree, EXPR_PAREN, VALUE_NONE);
	uint32_t start = p->token.start;
	int rc;

	parser_advance(p);
	rc = parse_expr(p, &expr->u.paren);
	if (rc < 0) {
		return rc;
	}
	if (!parser_accept(p, TOKEN_RIGHT_PAREN)) {
		return parser_unexpected(p, "", "");
	}
	expr->type = expr->u.paren->type;
	expr->text = (struct text_range){ start, p->taken_end };
	*out = expr;
	return parser_grow(p, p->height);
}

static int parse_string(struct parser *p, struct expr **out) {
	struct expr *expr = expr_new(p->tree, EXPR_STRING, VALUE_STRING);

	expr->text = (struct text_range){ p->token.start, p->token.end };
	expr->u.string = literal_unquote(&p->tree->arena, parser_text(p, p->token));
	parser_advance(p);
	p->height = 1;
	*out = expr;
	return 0;
}

static int parse_primary(struct parser *p, struct expr **out) {
	switch ((int)p->token.type) {
	case TOKEN_NUMBER:
	case TOKEN_DURATION:
		return parse_number(p, out);
	case TOKEN_STRING:
		return parse_string(p, out);
	case TOKEN_LEFT_PAREN:
		return parse_paren(p, out);
	case TOKEN_LEFT_BRACE:
		return parse_selector(p, out);
	default:
		return token_is_metric_name(p->token.type) ? parse_word(p, out)
							   : parser_unexpected(p, "", "");
	}
}

static int parse_sign(struct parser *p, struct expr **out) {
	struct token sign = p->token;
	bool is_negative = sign.type == TOKEN_SUB;
	struct expr *operand = NULL;
	struct expr *expr;
	int rc;

	parser_advance(p);
	rc = parse_binary(p, PRECEDENCE_POW, &operand);
	if (rc < 0) {
		return rc;
	}
	if (operand->kind == EXPR_NUMBER) {
		operand->u.number.value =
			is_negative ? -operand->u.number.value : operand->u.number.value;
		operand->text.start = sign.start;
		*out = operand;
		return 0;
	}
	expr = expr_new(p->tree, EXPR_UNARY, operand->type);
	expr->text = (struct text_range){ sign.start, operand->text.end };
	expr->u.unary.negative = is_negative;
	expr->u.unary.expr = operand;
	*out = expr;
	return parser_grow(p, p->height);
}

static int parse_unary(struct parser *p, struct expr **out) {
	int rc;

	if (p->token.type == TOKEN_ADD || p->token.type == TOKEN_SUB) {
		return parse_sign(p, out);
	}
	rc = parse_primary(p, out);
	return rc < 0 ? rc : parse_modifiers(p, out);
}

/* A number in parentheses, with an optional sign. */
static int parse_fill_value(struct parser *p, double *out) {
	struct token sign;
	struct expr *number = NULL;
	int rc;

	parser_advance(p);
	if (!parser_accept(p, TOKEN_LEFT_PAREN)) {
		return parser_unexpected(p, "", "");
	}
	sign = p->token;
	if (sign.type == TOKEN_ADD || sign.type == TOKEN_SUB) {
		parser_advance(p);
	}
	if (p->token.type != TOKEN_NUMBER && p->token.type != TOKEN_DURATION) {
		return parser_unexpected(p, "", "");
	}
	rc = parse_number(p, &number);
	if (rc < 0) {
		return rc;
	}
	*out = sign.type == TOKEN_SUB ? -number->u.number.value : number->u.number.value;
	return parser_accept(p, TOKEN_RIGHT_PAREN) ? 0 : parser_unexpected(p, "", "");
}

/* fill(n), or fill_left(n) and fill_right(n) in any order. */
static int parse_fill(struct parser *p, struct vector_matching *matching) {
	int rc = 0;

	if (p->token.type == TOKEN_FILL) {
		rc = parse_fill_value(p, &matching->fill_left);
		matching->fill_right = matching->fill_left;
		matching->has_fill_left = true;
		matching->has_fill_right = true;
		return rc;
	}
	while (rc == 0) {
		if (p->token.type == TOKEN_FILL_LEFT && !matching->has_fill_left) {
			matching->has_fill_left = true;
			rc = parse_fill_value(p, &matching->fill_left);
		} else if (p->token.type == TOKEN_FILL_RIGHT && !matching->has_fill_right) {
			matching->has_fill_right = true;
			rc = parse_fill_value(p, &matching->fill_right);
		} else {
			break;
		}
	}
	return rc;
}

static int compare_names(const void *a, const void *b) {
	return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static int parse_group_side(struct parser *p, struct vector_matching *matching) {
	struct str_list include = { 0 };
	int rc = 0;

	if (p->token.type != TOKEN_GROUP_LEFT && p->token.type != TOKEN_GROUP_RIGHT) {
		return 0;
	}
	matching->card = p->token.type == TOKEN_GROUP_LEFT ? MATCH_MANY_TO_ONE : MATCH_ONE_TO_MANY;
	parser_advance(p);
	if (p->token.type == TOKEN_LEFT_PAREN) {
		rc = parse_grouping(p, &include);
	}
	matching->include = include.items;
	matching->include_count = include.count;
	return rc;
}

/* on (...) or ignoring (...), then group_left or group_right. */
static int parse_matching(struct parser *p, struct vector_matching *matching) {
	struct str_list labels = { 0 };
	int rc;

	if (p->token.type != TOKEN_ON && p->token.type != TOKEN_IGNORING) {
		return 0;
	}
	matching->is_on = p->token.type == TOKEN_ON;
	matching->is_written = true;
	parser_advance(p);
	rc = parse_grouping(p, &labels);
	if (rc < 0) {
		return rc;
	}
	matching->labels_written = labels.items;
	matching->label_count = labels.count;
	if (labels.count > 0) {
		matching->labels = ARENA_NEW(&p->tree->arena, struct str, labels.count);
		memcpy(matching->labels, labels.items, labels.count * sizeof(struct str));
		qsort(matching->labels, labels.count, sizeof(struct str), compare_names);
	}
	return parse_group_side(p, matching);
}

/* Everything between the operator and its right side. */
static int parse_binary_modifiers(struct parser *p, struct expr *expr) {
	struct vector_matching *matching = ARENA_NEW(&p->tree->arena, struct vector_matching, 1);
	int rc;

	expr->u.binary.matching = matching;
	expr->u.binary.is_bool = parser_accept(p, TOKEN_BOOL);
	rc = parse_matching(p, matching);
	if (rc < 0) {
		return rc;
	}
	return parse_fill(p, matching);
}

static int parse_operand(
	struct parser *p, const struct operator_row *row, struct expr *left, struct expr **out) {
	struct expr *expr = expr_new(p->tree, EXPR_BINARY, VALUE_VECTOR);
	const struct vector_matching *matching;
	int rc;

	parser_advance(p);
	expr->u.binary.op = row->op;
	expr->u.binary.left = left;
	rc = parse_binary_modifiers(p, expr);
	if (rc == 0) {
		/* Only ^ groups to the right. */
		rc = parse_binary(p, row->op == BINARY_POW ? row->precedence : row->precedence + 1,
			&expr->u.binary.right);
	}
	if (rc < 0) {
		return rc;
	}
	expr->text = (struct text_range){ left->text.start, expr->u.binary.right->text.end };
	matching = expr->u.binary.matching;
	if ((matching->has_fill_left || matching->has_fill_right) &&
		!p->options->binop_fill_modifiers) {
		return parser_fail(p, expr->text.start,
			"binop fill modifiers are experimental and not enabled; they must be "
			"enabled with --enable-feature=promql-binop-fill-modifiers");
	}
	if (left->type == VALUE_SCALAR && expr->u.binary.right->type == VALUE_SCALAR) {
		expr->type = VALUE_SCALAR;
	}
	*out = expr;
	return 0;
}

static int parse_operators(
	struct parser *p, int min_precedence, struct expr *left, struct expr **out) {
	for (;;) {
		const struct operator_row *row = find_operator(p->token.type);
		int height = p->height;
		int rc;

		if (!row || row->precedence < min_precedence) {
			*out = left;
			return 0;
		}
		rc = parse_operand(p, row, left, &left);
		if (rc == 0) {
			rc = parser_grow(p, height > p->height ? height : p->height);
		}
		if (rc < 0) {
			return rc;
		}
	}
}

static int parse_binary(struct parser *p, int min_precedence, struct expr **out) {
	struct expr *left = NULL;
	int rc = parser_enter(p);

	if (rc < 0) {
		return rc;
	}
	rc = parse_unary(p, &left);
	if (rc == 0) {
		rc = parse_operators(p, min_precedence, left, out);
	}
	p->depth--;
	return rc;
}

int parse_expr(struct parser *p, struct expr **out) {
	return parse_binary(p, 0, out);
}
