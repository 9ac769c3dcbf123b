#include "promql/lex.h"

#include "base/quote.h"
#include "promql/literal.h"

/* What 'peek' and 'next' give at the end, and for bytes that are not UTF-8. */
#define RUNE_END UINT32_MAX
#define RUNE_BAD UINT32_C(0xfffd)

struct keyword {
	struct str text;
	enum token_type type;
};

#define KEYWORD(literal, token)                                                                    \
	{ { (literal), sizeof(literal) - 1 }, (token) }

static const struct keyword keywords[] = {
	KEYWORD("and", TOKEN_AND),
	KEYWORD("or", TOKEN_OR),
	KEYWORD("unless", TOKEN_UNLESS),
	KEYWORD("atan2", TOKEN_ATAN2),
	KEYWORD("sum", TOKEN_SUM),
	KEYWORD("avg", TOKEN_AVG),
	KEYWORD("count", TOKEN_COUNT),
	KEYWORD("min", TOKEN_MIN),
	KEYWORD("max", TOKEN_MAX),
	KEYWORD("group", TOKEN_GROUP),
	KEYWORD("stddev", TOKEN_STDDEV),
	KEYWORD("stdvar", TOKEN_STDVAR),
	KEYWORD("topk", TOKEN_TOPK),
	KEYWORD("bottomk", TOKEN_BOTTOMK),
	KEYWORD("count_values", TOKEN_COUNT_VALUES),
	KEYWORD("quantile", TOKEN_QUANTILE),
	KEYWORD("limitk", TOKEN_LIMITK),
	KEYWORD("limit_ratio", TOKEN_LIMIT_RATIO),
	KEYWORD("offset", TOKEN_OFFSET),
	KEYWORD("smoothed", TOKEN_SMOOTHED),
	KEYWORD("anchored", TOKEN_ANCHORED),
	KEYWORD("by", TOKEN_BY),
	KEYWORD("without", TOKEN_WITHOUT),
	KEYWORD("on", TOKEN_ON),
	KEYWORD("ignoring", TOKEN_IGNORING),
	KEYWORD("group_left", TOKEN_GROUP_LEFT),
	KEYWORD("group_right", TOKEN_GROUP_RIGHT),
	KEYWORD("fill", TOKEN_FILL),
	KEYWORD("fill_left", TOKEN_FILL_LEFT),
	KEYWORD("fill_right", TOKEN_FILL_RIGHT),
	KEYWORD("bool", TOKEN_BOOL),
	KEYWORD("start", TOKEN_START),
	KEYWORD("end", TOKEN_END_OF),
	KEYWORD("step", TOKEN_STEP),
	KEYWORD("range", TOKEN_RANGE),
	KEYWORD("max_of", TOKEN_MAX_OF),
	KEYWORD("min_of", TOKEN_MIN_OF),
	KEYWORD("inf", TOKEN_NUMBER),
	KEYWORD("nan", TOKEN_NUMBER),
};

static bool is_space(uint32_t rune) {
	return rune == ' ' || rune == '\t' || rune == '\n' || rune == '\r';
}

static bool is_digit(uint32_t rune) {
	return rune >= '0' && rune <= '9';
}

static bool is_alpha(uint32_t rune) {
	return rune == '_' || (rune >= 'a' && rune <= 'z') || (rune >= 'A' && rune <= 'Z');
}

static bool is_word(uint32_t rune) {
	return is_alpha(rune) || is_digit(rune);
}

static size_t decode(const struct lexer *lexer, uint32_t *rune) {
	struct str rest = str_from(lexer->text, lexer->pos);
	size_t len;

	if (rest.len == 0) {
		*rune = RUNE_END;
		return 0;
	}
	len = str_utf8_next(rest, rune);
	if (len == 0) {
		*rune = RUNE_BAD;
		return 1;
	}
	return len;
}

static uint32_t peek(const struct lexer *lexer) {
	uint32_t rune = RUNE_END;

	(void)decode(lexer, &rune);
	return rune;
}

static uint32_t next(struct lexer *lexer) {
	uint32_t rune = RUNE_END;

	lexer->pos += decode(lexer, &rune);
	return rune;
}

/* Takes the next rune if it is among the (ASCII) characters of 'set'. */
static bool accept(struct lexer *lexer, const char *set) {
	uint32_t rune = peek(lexer);

	if (rune == 0 || rune > 0x7f || !strchr(set, (int)rune)) {
		return false;
	}
	lexer->pos++;
	return true;
}

static bool is_next(const struct lexer *lexer, const char *set) {
	uint32_t rune = peek(lexer);

	return rune != 0 && rune <= 0x7f && strchr(set, (int)rune);
}

static struct token emit(struct lexer *lexer, enum token_type type) {
	struct token token = { type, (uint32_t)lexer->start, (uint32_t)lexer->pos };

	lexer->start = lexer->pos;
	return token;
}

static struct token fail(struct lexer *lexer, const char *what) {
	buf_reset(&lexer->message);
	buf_add_text(&lexer->message, what);
	return (struct token){ TOKEN_ERROR, (uint32_t)lexer->start, (uint32_t)lexer->text.len };
}

static struct token fail_rune(struct lexer *lexer, const char *what, uint32_t rune) {
	struct token token = fail(lexer, what);

	rune_quote(rune, &lexer->message);
	return token;
}

/* As Go's %#U writes it: U+0063 'c'. */
static struct token fail_code_point(
	struct lexer *lexer, const char *before, uint32_t rune, const char *after) {
	struct token token = fail(lexer, before);

	buf_printf(&lexer->message, "U+%04X ", rune);
	rune_quote(rune, &lexer->message);
	buf_add_text(&lexer->message, after);
	return token;
}

static struct token fail_text(struct lexer *lexer, const char *what) {
	struct str text = { lexer->text.ptr + lexer->start, lexer->pos - lexer->start };
	struct token token = fail(lexer, what);

	quote_append(str_first(text, 200), &lexer->message);
	return token;
}

void rune_quote(uint32_t rune, struct buf *out) {
	struct buf text = { 0 };
	struct buf quoted = { 0 };

	if (rune == '\'' || rune == '"') {
		buf_add_text(out, rune == '"' ? "'\"'" : "'\\''");
		return;
	}
	if (rune == RUNE_END || rune == RUNE_BAD) {
		buf_add_text(out, "'\xef\xbf\xbd'");
		return;
	}
	rune_append(rune, &text);
	quote_append(buf_str(&text), &quoted);
	quoted.ptr[0] = '\'';
	quoted.ptr[quoted.len - 1] = '\'';
	buf_add_str(out, buf_str(&quoted));
	buf_deinit(&text);
	buf_deinit(&quoted);
}

static struct token lex_escape_digits(
	struct lexer *lexer, uint32_t rune, int digits, uint32_t base, uint32_t max, bool *failed) {
	uint32_t value = 0;

	*failed = true;
	for (int left = digits; left > 0; left--) {
		uint32_t digit = rune >= '0' && rune <= '9'   ? rune - '0'
				 : rune >= 'a' && rune <= 'f' ? rune - 'a' + 10
				 : rune >= 'A' && rune <= 'F' ? rune - 'A' + 10
							      : 16;

		if (rune == RUNE_END) {
			return fail(lexer, "escape sequence not terminated");
		}
		if (digit >= base) {
			return fail_code_point(
				lexer, "illegal character ", rune, " in escape sequence");
		}
		value = value * base + digit;
		rune = left > 1 ? next(lexer) : rune;
	}
	if (value > max || (value >= 0xd800 && value < 0xe000)) {
		return fail(lexer, "escape sequence is an invalid Unicode code point");
	}
	*failed = false;
	return (struct token){ 0 };
}

/* Checks what follows a backslash. */
static struct token lex_escape(struct lexer *lexer, uint32_t quote, bool *failed) {
	uint32_t rune = next(lexer);

	*failed = false;
	if (rune == quote || (rune != 0 && rune <= 0x7f && strchr("abfnrtv\\", (int)rune))) {
		return (struct token){ 0 };
	}
	if (rune >= '0' && rune <= '7') {
		return lex_escape_digits(lexer, rune, 3, 8, 255, failed);
	}
	if (rune == 'x') {
		return lex_escape_digits(lexer, next(lexer), 2, 16, 255, failed);
	}
	if (rune == 'u') {
		return lex_escape_digits(lexer, next(lexer), 4, 16, 0x10ffff, failed);
	}
	if (rune == 'U') {
		return lex_escape_digits(lexer, next(lexer), 8, 16, 0x10ffff, failed);
	}
	*failed = true;
	if (rune == RUNE_END) {
		return fail(lexer, "escape sequence not terminated");
	}
	return fail_code_point(lexer, "unknown escape sequence ", rune, "");
}

static struct token lex_string(struct lexer *lexer, uint32_t quote) {
	bool is_raw = quote == '`';

	for (;;) {
		uint32_t rune = next(lexer);

		if (rune == quote) {
			return emit(lexer, TOKEN_STRING);
		}
		if (rune == RUNE_BAD) {
			return fail(lexer, "invalid UTF-8 rune");
		}
		if (is_raw && rune == RUNE_END) {
			return fail(lexer, "unterminated raw string");
		}
		if (!is_raw && (rune == RUNE_END || rune == '\n')) {
			return fail(lexer, "unterminated quoted string");
		}
		if (!is_raw && rune == '\\') {
			bool failed = false;
			struct token token = lex_escape(lexer, quote, &failed);

			if (failed) {
				return token;
			}
		}
	}
}

/* Takes a dot, an exponent or an underscore inside a number, or digits; false where none may be. */
static bool scan_number_part(
	struct lexer *lexer, const char *digits, bool *got_dot, bool *got_exponent) {
	if (is_next(lexer, ".")) {
		lexer->pos++;
		/* No second dot, no underscore after it, no fractions in base 16. */
		if (*got_dot || accept(lexer, "_.") || strlen(digits) > 10) {
			return false;
		}
		*got_dot = true;
		return true;
	}
	if (is_next(lexer, "eE")) {
		lexer->pos++;
		if (*got_exponent) {
			return false;
		}
		*got_exponent = true;
		(void)accept(lexer, "+-");
		return !accept(lexer, "._eE") && peek(lexer) != RUNE_END;
	}
	if (accept(lexer, "_")) {
		return !accept(lexer, "._eE") && peek(lexer) != RUNE_END;
	}
	while (accept(lexer, digits)) {
	}
	return true;
}

/* Whether a number stands here. What is taken need not be one that has a value. */
static bool scan_number(struct lexer *lexer) {
	size_t begin = lexer->pos;
	const char *digits = "0123456789";
	const char *part = "0123456789._eE";
	bool got_dot = false;
	bool got_exponent = false;

	if (accept(lexer, "0") && accept(lexer, "xX")) {
		(void)accept(lexer, "_");
		digits = "0123456789abcdefABCDEF";
		part = "0123456789abcdefABCDEF._";
	}
	(void)accept(lexer, ".");
	(void)accept(lexer, digits);
	while (is_next(lexer, part)) {
		if (!scan_number_part(lexer, digits, &got_dot, &got_exponent)) {
			return false;
		}
	}
	return lexer->pos > begin && !is_word(peek(lexer));
}

/* Takes the units of a duration whose first number has been taken. */
static bool scan_duration(struct lexer *lexer) {
	if (!accept(lexer, "smhdwy")) {
		return false;
	}
	(void)accept(lexer, "s");
	while (accept(lexer, "0123456789")) {
		while (accept(lexer, "0123456789")) {
		}
		if (!accept(lexer, "smhdw")) {
			return false;
		}
		(void)accept(lexer, "s");
	}
	if (is_word(peek(lexer))) {
		(void)next(lexer);
		return false;
	}
	return true;
}

static struct token lex_number(struct lexer *lexer) {
	lexer->in_duration = false;
	if (scan_number(lexer)) {
		return emit(lexer, TOKEN_NUMBER);
	}
	if (scan_duration(lexer)) {
		return emit(lexer, TOKEN_DURATION);
	}
	return fail_text(lexer, "bad number or duration syntax: ");
}

static enum token_type find_keyword(struct str word) {
	for (size_t i = 0; i < ARRAY_COUNT(keywords); i++) {
		if (str_equal_nocase(keywords[i].text, word)) {
			return keywords[i].type;
		}
	}
	return TOKEN_IDENTIFIER;
}

/* Whether the next thing but spaces is a left parenthesis. */
static bool is_called(const struct lexer *lexer) {
	size_t at = lexer->pos;

	while (at < lexer->text.len && is_space((unsigned char)lexer->text.ptr[at])) {
		at++;
	}
	return at < lexer->text.len && lexer->text.ptr[at] == '(';
}

static struct token lex_word(struct lexer *lexer) {
	struct str word;
	enum token_type type;

	while (is_word(peek(lexer)) || peek(lexer) == ':') {
		lexer->pos++;
	}
	word = (struct str){ lexer->text.ptr + lexer->start, lexer->pos - lexer->start };
	type = find_keyword(word);
	/* The fill modifiers came late: where they are not called they stay names of metrics. */
	if (type >= TOKEN_FILL && type <= TOKEN_FILL_RIGHT && !is_called(lexer)) {
		type = TOKEN_IDENTIFIER;
	}
	if (type == TOKEN_IDENTIFIER && str_find(word, ':') != SIZE_MAX) {
		type = TOKEN_METRIC_IDENTIFIER;
	}
	return emit(lexer, type);
}

/* A word in brackets, whose first letter has been taken: step, range, min_of or max_of. */
static bool lex_duration_word(struct lexer *lexer, struct token *out) {
	struct str word;
	enum token_type type;

	while (is_alpha(peek(lexer))) {
		lexer->pos++;
	}
	word = (struct str){ lexer->text.ptr + lexer->start, lexer->pos - lexer->start };
	type = find_keyword(word);
	if (type < TOKEN_STEP || type > TOKEN_MIN_OF) {
		return false;
	}
	*out = emit(lexer, type);
	return true;
}

static struct token lex_colon(struct lexer *lexer) {
	if (lexer->got_colon) {
		return fail(lexer, "unexpected colon ':'");
	}
	lexer->got_colon = true;
	return emit(lexer, TOKEN_COLON);
}

static struct token lex_right_paren(struct lexer *lexer) {
	struct token token = emit(lexer, TOKEN_RIGHT_PAREN);

	lexer->paren_depth--;
	return lexer->paren_depth < 0 ? fail(lexer, "unexpected right parenthesis ')'") : token;
}

static struct token lex_left_paren(struct lexer *lexer) {
	lexer->paren_depth++;
	return emit(lexer, TOKEN_LEFT_PAREN);
}

static struct token lex_right_bracket(struct lexer *lexer) {
	lexer->in_brackets = false;
	lexer->in_duration = false;
	return emit(lexer, TOKEN_RIGHT_BRACKET);
}

/* Which of the operators of one character this is, or TOKEN_ERROR. */
static enum token_type arithmetic_type(uint32_t rune) {
	switch (rune) {
	case '*':
		return TOKEN_MUL;
	case '/':
		return TOKEN_DIV;
	case '%':
		return TOKEN_MOD;
	case '+':
		return TOKEN_ADD;
	case '-':
		return TOKEN_SUB;
	case '^':
		return TOKEN_POW;
	case ',':
		return TOKEN_COMMA;
	default:
		return TOKEN_ERROR;
	}
}

static struct token lex_braces(struct lexer *lexer) {
	uint32_t rune = next(lexer);

	if (rune == RUNE_END) {
		return fail(lexer, "unexpected end of input inside braces");
	}
	if (is_alpha(rune)) {
		while (is_word(peek(lexer))) {
			lexer->pos++;
		}
		return emit(lexer, TOKEN_IDENTIFIER);
	}
	switch (rune) {
	case ',':
		return emit(lexer, TOKEN_COMMA);
	case '"':
	case '\'':
	case '`':
		return lex_string(lexer, rune);
	case '=':
		return emit(lexer, accept(lexer, "~") ? TOKEN_EQUAL_REGEX : TOKEN_EQUAL);
	case '!':
		rune = next(lexer);
		if (rune == '~' || rune == '=') {
			return emit(lexer, rune == '~' ? TOKEN_NOT_EQUAL_REGEX : TOKEN_NEQ);
		}
		return fail_rune(lexer, "unexpected character after '!' inside braces: ", rune);
	case '{':
		return fail(lexer, "unexpected left brace '{'");
	case '}':
		lexer->in_braces = false;
		return emit(lexer, TOKEN_RIGHT_BRACE);
	default:
		return fail_rune(lexer, "unexpected character inside braces: ", rune);
	}
}

/* In brackets before the first number. */
static struct token lex_duration(struct lexer *lexer) {
	uint32_t rune = next(lexer);
	enum token_type type = arithmetic_type(rune);
	struct token token;

	if (rune == RUNE_END) {
		return fail(lexer, "unexpected end of input in duration expression");
	}
	if (type != TOKEN_ERROR) {
		return emit(lexer, type);
	}
	if (is_digit(rune) || (rune == '.' && is_digit(peek(lexer)))) {
		lexer->pos--;
		return lex_number(lexer);
	}
	switch (rune) {
	case ']':
		return lex_right_bracket(lexer);
	case ':':
		if (lexer->start > 0 && lexer->text.ptr[lexer->start - 1] == '[') {
			lexer->start = lexer->pos;
			return fail(
				lexer, "unexpected colon before duration in duration expression");
		}
		return lex_colon(lexer);
	case '(':
		return lex_left_paren(lexer);
	case ')':
		return lex_right_paren(lexer);
	default:
		if (is_alpha(rune) && lex_duration_word(lexer, &token)) {
			return token;
		}
		return fail_rune(lexer, "unexpected character in duration expression: ", rune);
	}
}

static struct token lex_comparison(struct lexer *lexer, uint32_t rune) {
	uint32_t after = peek(lexer);

	switch (rune) {
	case '=':
		if (after == '~') {
			return fail_rune(lexer, "unexpected character after '=': ", after);
		}
		return emit(lexer, accept(lexer, "=") ? TOKEN_EQL : TOKEN_EQUAL);
	case '!':
		if (!accept(lexer, "=")) {
			return fail_rune(lexer, "unexpected character after '!': ", after);
		}
		return emit(lexer, TOKEN_NEQ);
	case '<':
		if (accept(lexer, "=")) {
			return emit(lexer, TOKEN_LTE);
		}
		return emit(lexer, accept(lexer, "/") ? TOKEN_TRIM_UPPER : TOKEN_LSS);
	default:
		if (accept(lexer, "=")) {
			return emit(lexer, TOKEN_GTE);
		}
		return emit(lexer, accept(lexer, "/") ? TOKEN_TRIM_LOWER : TOKEN_GTR);
	}
}

static struct token lex_end(struct lexer *lexer) {
	if (lexer->paren_depth != 0) {
		return fail(lexer, "unclosed left parenthesis");
	}
	if (lexer->in_brackets) {
		return fail(lexer, "unclosed left bracket");
	}
	return emit(lexer, TOKEN_END);
}

/* A letter or colon outside braces. */
static struct token lex_letter(struct lexer *lexer, uint32_t rune) {
	struct token token;

	if (!lexer->in_brackets) {
		return lex_word(lexer);
	}
	if (rune == ':') {
		return lex_colon(lexer);
	}
	if (lex_duration_word(lexer, &token)) {
		return token;
	}
	return fail_rune(lexer, "unexpected character: ", rune);
}

static struct token lex_bracket(struct lexer *lexer, uint32_t rune) {
	if (rune == ']') {
		return lexer->in_brackets ? lex_right_bracket(lexer)
					  : fail(lexer, "unexpected right bracket ']'");
	}
	if (lexer->in_brackets) {
		return fail(lexer, "unexpected left bracket '['");
	}
	lexer->in_brackets = true;
	lexer->in_duration = true;
	lexer->got_colon = false;
	return emit(lexer, TOKEN_LEFT_BRACKET);
}

static struct token lex_statement(struct lexer *lexer) {
	uint32_t rune = next(lexer);
	enum token_type type = arithmetic_type(rune);
	struct token token;

	if (rune == RUNE_END) {
		return lex_end(lexer);
	}
	if (type != TOKEN_ERROR) {
		return emit(lexer, type);
	}
	if (is_digit(rune) || (rune == '.' && is_digit(peek(lexer)))) {
		lexer->pos--;
		return lex_number(lexer);
	}
	if (is_alpha(rune) || rune == ':') {
		token = lex_letter(lexer, rune);
		if (token.type == TOKEN_ERROR && lexer->in_brackets && rune != ':') {
			buf_add_text(&lexer->message, ", expected ':'");
		}
		return token;
	}
	switch (rune) {
	case '=':
	case '!':
	case '<':
	case '>':
		return lex_comparison(lexer, rune);
	case '"':
	case '\'':
	case '`':
		return lex_string(lexer, rune);
	case '(':
		return lex_left_paren(lexer);
	case ')':
		return lex_right_paren(lexer);
	case '{':
		lexer->in_braces = true;
		return emit(lexer, TOKEN_LEFT_BRACE);
	case '[':
	case ']':
		return lex_bracket(lexer, rune);
	case '@':
		return emit(lexer, TOKEN_AT);
	default:
		return fail_rune(lexer, "unexpected character: ", rune);
	}
}

/* Spaces, and comments where there may be some. */
static void skip_blank(struct lexer *lexer) {
	while (lexer->pos < lexer->text.len) {
		char byte = lexer->text.ptr[lexer->pos];

		if (is_space((unsigned char)byte)) {
			lexer->pos++;
			continue;
		}
		if (byte != '#' || lexer->in_duration) {
			break;
		}
		while (lexer->pos < lexer->text.len && lexer->text.ptr[lexer->pos] != '\n' &&
			lexer->text.ptr[lexer->pos] != '\r') {
			lexer->pos++;
		}
	}
	lexer->start = lexer->pos;
}

void lexer_init(struct lexer *lexer, struct str text) {
	*lexer = (struct lexer){ .text = text };
}

void lexer_deinit(struct lexer *lexer) {
	buf_deinit(&lexer->message);
}

struct token lexer_next(struct lexer *lexer) {
	skip_blank(lexer);
	if (lexer->in_braces) {
		return lex_braces(lexer);
	}
	return lexer->in_duration ? lex_duration(lexer) : lex_statement(lexer);
}

static const char *punctuation(enum token_type type) {
	switch ((int)type) {
	case TOKEN_COMMA:
		return "\",\"";
	case TOKEN_COLON:
		return "\":\"";
	case TOKEN_EQUAL:
		return "\"=\"";
	case TOKEN_LEFT_BRACE:
		return "\"{\"";
	case TOKEN_RIGHT_BRACE:
		return "\"}\"";
	case TOKEN_LEFT_BRACKET:
		return "\"[\"";
	case TOKEN_RIGHT_BRACKET:
		return "\"]\"";
	case TOKEN_LEFT_PAREN:
		return "\"(\"";
	case TOKEN_RIGHT_PAREN:
		return "\")\"";
	case TOKEN_END:
		return "end of input";
	default:
		return NULL;
	}
}

/* The first 'count' characters. */
static struct str first_runes(struct str text, size_t count) {
	size_t len = 0;

	while (count > 0 && len < text.len) {
		uint32_t rune = 0;
		size_t step = str_utf8_next(str_from(text, len), &rune);

		len += step > 0 ? step : 1;
		count--;
	}
	return str_first(text, len);
}

void token_describe(const struct token *token, struct str text, struct buf *out) {
	struct str value = { text.ptr + token->start, token->end - token->start };
	const char *fixed = punctuation(token->type);

	if (fixed) {
		buf_add_text(out, fixed);
		return;
	}
	if (token_is_keyword(token->type)) {
		buf_printf(out, "<%.*s>", STR_ARG(value));
		return;
	}
	if (token_is_operator(token->type)) {
		buf_printf(out, "<op:%.*s>", STR_ARG(value));
		return;
	}
	if (token_is_aggregator(token->type)) {
		buf_printf(out, "<aggr:%.*s>", STR_ARG(value));
		return;
	}
	if (token->type == TOKEN_IDENTIFIER || token->type == TOKEN_METRIC_IDENTIFIER) {
		buf_add_text(out,
			token->type == TOKEN_IDENTIFIER ? "identifier " : "metric identifier ");
		quote_append(str_first(value, 200), out);
		return;
	}
	if (token->type <= TOKEN_STRING) {
		buf_add_text(out, token->type == TOKEN_NUMBER     ? "number "
				  : token->type == TOKEN_DURATION ? "duration "
								  : "string ");
	}
	quote_append(value.len > 10 ? first_runes(value, 10) : value, out);
	buf_add_text(out, value.len > 10 ? "..." : "");
}
