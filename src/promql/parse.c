#include "promql/parser.h"

#include <stdarg.h>

void parser_advance(struct parser *p) {
	p->taken_end = p->token.end;
	p->token = lexer_next(&p->lexer);
}

bool parser_accept(struct parser *p, enum token_type type) {
	if (p->token.type != type) {
		return false;
	}
	parser_advance(p);
	return true;
}

struct str parser_text(const struct parser *p, struct token token) {
	return (struct str){ p->tree->text.ptr + token.start, token.end - token.start };
}

/* Appends "line:column", counting bytes from 1. */
static void format_position(struct str text, uint32_t at, struct buf *out) {
	unsigned line = 1;
	uint32_t line_start = 0;

	if (text.len == 0) {
		buf_add_text(out, "unknown position");
		return;
	}
	for (uint32_t i = 0; i < at && i < text.len; i++) {
		if (text.ptr[i] == '\n') {
			line++;
			line_start = i + 1;
		}
	}
	buf_printf(out, "%u:%u", line, at - line_start + 1);
}

int parser_fail(struct parser *p, uint32_t at, const char *fmt, ...) {
	struct buf text = { 0 };
	va_list args;

	format_position(p->tree->text, at, &text);
	buf_add_text(&text, ": parse error: ");
	va_start(args, fmt);
	buf_vprintf(&text, fmt, args);
	va_end(args);
	(void)err_set(p->err, ERR_INVAL, "%s", buf_text(&text));
	buf_deinit(&text);
	return ERR_INVAL;
}

int parser_unexpected(struct parser *p, const char *context, const char *expected) {
	struct buf text = { 0 };

	if (p->token.type == TOKEN_ERROR) {
		return parser_fail(p, p->token.start, "%s", buf_text(&p->lexer.message));
	}
	if (context[0] == '\0' && p->aggregation_depth > 0) {
		context = "aggregation";
	}
	token_describe(&p->token, p->tree->text, &text);
	buf_printf(&text, "%s%s", context[0] ? " in " : "", context);
	buf_printf(&text, "%s%s", expected[0] ? ", expected " : "", expected);
	(void)parser_fail(p, p->token.start, "unexpected %s", buf_text(&text));
	buf_deinit(&text);
	return ERR_INVAL;
}

int parser_enter(struct parser *p) {
	if (p->depth >= PARSE_DEPTH_MAX) {
		return err_set(p->err, ERR_LIMIT,
			"the expression nests deeper than %d levels, which is the limit",
			PARSE_DEPTH_MAX);
	}
	p->depth++;
	return 0;
}

int parser_grow(struct parser *p, int height) {
	if (height >= PARSE_HEIGHT_MAX) {
		return err_set(p->err, ERR_LIMIT,
			"the expression chains more than %d operators, which is the limit",
			PARSE_HEIGHT_MAX);
	}
	p->height = height + 1;
	return 0;
}

static int start(struct parser *p, struct str text, struct expr_tree *tree,
	const struct parse_options *options, struct err *err) {
	static const struct parse_options none = { 0 };

	*p = (struct parser){ .tree = tree, .options = options ? options : &none, .err = err };
	if (text.len > PARSE_LEN_MAX) {
		return err_set(err, ERR_LIMIT, "the query has %zu bytes, the limit is %d", text.len,
			PARSE_LEN_MAX);
	}
	tree->text = arena_copy(&tree->arena, text);
	lexer_init(&p->lexer, tree->text);
	parser_advance(p);
	return 0;
}

static int parse_all(struct parser *p) {
	struct expr *root = NULL;
	int rc;

	if (p->token.type == TOKEN_END) {
		return parser_fail(p, 0, "no expression found in input");
	}
	rc = parse_expr(p, &root);
	if (rc < 0) {
		return rc;
	}
	if (p->token.type != TOKEN_END) {
		return parser_unexpected(p, "", "");
	}
	rc = check_expr(p, root);
	if (rc < 0) {
		return rc;
	}
	p->tree->root = root;
	return 0;
}

int promql_parse(struct str text, const struct parse_options *options, struct expr_tree *tree,
	struct err *err) {
	struct parser p;
	int rc = start(&p, text, tree, options, err);

	if (rc == 0) {
		rc = parse_all(&p);
	}
	lexer_deinit(&p.lexer);
	return rc;
}

static int parse_selector_only(struct parser *p, struct selector **out) {
	struct expr *expr = NULL;
	int rc;

	if (p->token.type != TOKEN_LEFT_BRACE && !token_is_metric_name(p->token.type)) {
		return parser_unexpected(p, "", "");
	}
	rc = parse_selector(p, &expr);
	if (rc < 0) {
		return rc;
	}
	if (p->token.type != TOKEN_END) {
		return parser_unexpected(p, "", "");
	}
	p->tree->root = expr;
	*out = &expr->u.selector;
	return 0;
}

int promql_parse_selector(
	struct str text, struct expr_tree *tree, struct selector **out, struct err *err) {
	struct parser p;
	int rc = start(&p, text, tree, NULL, err);

	if (rc == 0) {
		rc = parse_selector_only(&p, out);
	}
	lexer_deinit(&p.lexer);
	return rc;
}
