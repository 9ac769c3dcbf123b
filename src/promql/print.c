#include "promql/print.h"

#include "base/memory.h"
#include "base/quote.h"
#include "cxx/number.h"
#include "label/labels.h"
#include "promql/duration.h"
#include "promql/function.h"

#include <math.h>
#include <stdlib.h>

static void print_number(double value, struct buf *out) {
	char text[NUMBER_TEXT_MAX];

	buf_append(out, text, number_format_f(value, text));
}

/* A number of seconds, as it was written: "90" or "1m30s". */
static void print_seconds(double seconds, bool is_duration, struct buf *out) {
	if (is_duration) {
		duration_format((int64_t)round(seconds * 1000), out);
	} else {
		print_number(seconds, out);
	}
}

static void print_names(const struct str *names, size_t count, struct buf *out) {
	buf_add_byte(out, '(');
	for (size_t i = 0; i < count; i++) {
		buf_add_text(out, i > 0 ? ", " : "");
		if (label_name_is_legacy(names[i])) {
			buf_add_str(out, names[i]);
		} else {
			quote_append(names[i], out);
		}
	}
	buf_add_byte(out, ')');
}

static const char *duration_op_text(enum duration_op op) {
	switch (op) {
	case DURATION_ADD:
		return " + ";
	case DURATION_SUB:
		return " - ";
	case DURATION_MUL:
		return " * ";
	case DURATION_DIV:
		return " / ";
	case DURATION_MOD:
		return " % ";
	case DURATION_POW:
		return " ^ ";
	case DURATION_MIN_OF:
		return "min_of(";
	case DURATION_MAX_OF:
		return "max_of(";
	case DURATION_STEP:
		return "step()";
	case DURATION_RANGE:
		return "range()";
	case DURATION_NEGATE:
		return "-";
	case DURATION_PLUS:
		return "+";
	case DURATION_NUMBER:
		return "";
	}
	return "";
}

static void print_duration_expr(const struct duration_expr *expr, struct buf *out) {
	const char *text = duration_op_text(expr->op);

	buf_add_text(out, expr->is_wrapped ? "(" : "");
	if (expr->op == DURATION_PLUS && expr->is_wrapped) {
		print_duration_expr(expr->right, out); /* Only holds the parentheses. */
	} else if (expr->op == DURATION_NUMBER) {
		print_seconds(expr->seconds, expr->is_duration, out);
	} else if (expr->op == DURATION_MIN_OF || expr->op == DURATION_MAX_OF) {
		buf_add_text(out, text);
		print_duration_expr(expr->left, out);
		buf_add_text(out, ", ");
		print_duration_expr(expr->right, out);
		buf_add_byte(out, ')');
	} else {
		if (expr->left) {
			print_duration_expr(expr->left, out);
		}
		buf_add_text(out, text);
		if (expr->right) {
			print_duration_expr(expr->right, out);
		}
	}
	buf_add_text(out, expr->is_wrapped ? ")" : "");
}

static void print_duration(const struct duration *duration, struct buf *out) {
	if (duration->expr) {
		print_duration_expr(duration->expr, out);
	} else {
		duration_format(duration->ms, out);
	}
}

static void print_at(const struct time_shift *shift, struct buf *out) {
	switch (shift->at) {
	case AT_NONE:
		break;
	case AT_TIME:
		buf_printf(out, " @ %.3f", (double)shift->at_ms / 1000);
		break;
	case AT_START:
		buf_add_text(out, " @ start()");
		break;
	case AT_END:
		buf_add_text(out, " @ end()");
		break;
	}
}

static void print_offset(const struct time_shift *shift, struct buf *out) {
	if (shift->offset.ms != 0 || shift->offset.expr) {
		buf_add_text(out, " offset ");
		print_duration(&shift->offset, out);
	}
}

static void print_extension(const struct selector *selector, struct buf *out) {
	buf_add_text(out, selector->anchored ? " anchored" : selector->smoothed ? " smoothed" : "");
}

static int compare_printed(const void *a, const void *b) {
	return str_cmp(buf_str((const struct buf *)a), buf_str((const struct buf *)b));
}

/* The name and the matchers, in the order of their texts. */
static void print_matchers(const struct selector *selector, struct buf *out) {
	struct buf few[16] = { 0 };
	struct buf *texts = few;
	size_t count = 0;

	if (selector->matcher_count > ARRAY_COUNT(few)) {
		texts = MEMORY_NEW(struct buf, selector->matcher_count);
	}
	for (size_t i = 0; i < selector->matcher_count; i++) {
		const struct matcher *matcher = &selector->matchers[i];

		if (matcher->op == MATCHER_EQUAL && matcher->value.len > 0 &&
			str_equal(matcher->name, LABEL_NAME) &&
			str_equal(matcher->value, selector->metric_name)) {
			continue;
		}
		matcher_format(matcher, &texts[count++]);
	}
	qsort(texts, count, sizeof(*texts), compare_printed);
	buf_add_str(out, selector->metric_name);
	for (size_t i = 0; i < count; i++) {
		buf_add_byte(out, i == 0 ? '{' : ',');
		buf_add_str(out, buf_str(&texts[i]));
		buf_deinit(&texts[i]);
	}
	buf_add_text(out, count > 0 ? "}" : selector->metric_name.len == 0 ? "{}" : "");
	if (texts != few) {
		free(texts);
	}
}

static void print_selector(const struct selector *selector, struct buf *out) {
	print_matchers(selector, out);
	print_at(&selector->shift, out);
	print_extension(selector, out);
	print_offset(&selector->shift, out);
}

static void print_range(const struct expr *expr, struct buf *out) {
	const struct selector *selector = &expr->u.range.selector->u.selector;

	print_matchers(selector, out);
	buf_add_byte(out, '[');
	print_duration(&expr->u.range.range, out);
	buf_add_byte(out, ']');
	print_extension(selector, out);
	print_at(&selector->shift, out);
	print_offset(&selector->shift, out);
}

/* "[1h:5m] @ 12 offset 5m" */
static void print_subquery_range(const struct expr *expr, struct buf *out) {
	buf_add_byte(out, '[');
	print_duration(&expr->u.subquery.range, out);
	buf_add_byte(out, ':');
	if (expr->u.subquery.has_step) {
		print_duration(&expr->u.subquery.step, out);
	}
	buf_add_byte(out, ']');
	print_at(&expr->u.subquery.shift, out);
	print_offset(&expr->u.subquery.shift, out);
}

static void print_subquery(const struct expr *expr, struct buf *out) {
	expr_print(expr->u.subquery.expr, out);
	print_subquery_range(expr, out);
}

static void print_call(const struct expr *expr, struct buf *out) {
	buf_add_str(out, expr->u.call.function->name);
	buf_add_byte(out, '(');
	for (size_t i = 0; i < expr->u.call.count; i++) {
		buf_add_text(out, i > 0 ? ", " : "");
		expr_print(expr->u.call.args[i], out);
	}
	buf_add_byte(out, ')');
}

/* "sum by (a) " */
static void print_aggregate_op(const struct expr *expr, struct buf *out) {
	buf_add_text(out, aggregate_op_text(expr->u.aggregate.op));
	if (expr->u.aggregate.without || expr->u.aggregate.grouping_count > 0) {
		buf_add_text(out, expr->u.aggregate.without ? " without " : " by ");
		print_names(expr->u.aggregate.grouping, expr->u.aggregate.grouping_count, out);
		buf_add_byte(out, ' ');
	}
}

static void print_aggregate(const struct expr *expr, struct buf *out) {
	print_aggregate_op(expr, out);
	buf_add_byte(out, '(');
	if (expr->u.aggregate.param) {
		expr_print(expr->u.aggregate.param, out);
		buf_add_text(out, ", ");
	}
	expr_print(expr->u.aggregate.expr, out);
	buf_add_byte(out, ')');
}

static void print_fill(const char *name, double value, struct buf *out) {
	char text[NUMBER_TEXT_MAX];

	buf_printf(out, " %s (%.*s)", name, (int)number_format_g(value, text), text);
}

static void print_matching(const struct vector_matching *matching, struct buf *out) {
	bool is_grouped =
		matching->card == MATCH_MANY_TO_ONE || matching->card == MATCH_ONE_TO_MANY;

	if (matching->label_count > 0 || matching->is_on || is_grouped) {
		buf_add_text(out, matching->is_on ? " on " : " ignoring ");
		print_names(matching->labels_written, matching->label_count, out);
	}
	if (is_grouped) {
		buf_add_text(out,
			matching->card == MATCH_MANY_TO_ONE ? " group_left " : " group_right ");
		print_names(matching->include, matching->include_count, out);
	}
	if (matching->has_fill_left && matching->has_fill_right &&
		matching->fill_left == matching->fill_right) {
		print_fill("fill", matching->fill_left, out);
		return;
	}
	if (matching->has_fill_left) {
		print_fill("fill_left", matching->fill_left, out);
	}
	if (matching->has_fill_right) {
		print_fill("fill_right", matching->fill_right, out);
	}
}

/* "== bool on (a) group_left ()" */
static void print_binary_op(const struct expr *expr, struct buf *out) {
	buf_printf(out, "%s%s", binary_op_text(expr->u.binary.op),
		expr->u.binary.is_bool ? " bool" : "");
	if (expr->u.binary.matching) {
		print_matching(expr->u.binary.matching, out);
	}
}

static void print_binary(const struct expr *expr, struct buf *out) {
	expr_print(expr->u.binary.left, out);
	buf_add_byte(out, ' ');
	print_binary_op(expr, out);
	buf_add_byte(out, ' ');
	expr_print(expr->u.binary.right, out);
}

void expr_print(const struct expr *expr, struct buf *out) {
	switch (expr->kind) {
	case EXPR_NUMBER:
		print_seconds(expr->u.number.value, expr->u.number.is_duration, out);
		break;
	case EXPR_STRING:
		quote_append(expr->u.string, out);
		break;
	case EXPR_SELECTOR:
		print_selector(&expr->u.selector, out);
		break;
	case EXPR_RANGE:
		print_range(expr, out);
		break;
	case EXPR_SUBQUERY:
		print_subquery(expr, out);
		break;
	case EXPR_CALL:
		print_call(expr, out);
		break;
	case EXPR_AGGREGATE:
		print_aggregate(expr, out);
		break;
	case EXPR_BINARY:
		print_binary(expr, out);
		break;
	case EXPR_UNARY:
		buf_add_byte(out, expr->u.unary.negative ? '-' : '+');
		expr_print(expr->u.unary.expr, out);
		break;
	case EXPR_PAREN:
		buf_add_byte(out, '(');
		expr_print(expr->u.paren, out);
		buf_add_byte(out, ')');
		break;
	case EXPR_STEPS:
		buf_printf(out, "<%.*s>", STR_ARG(expr->u.steps.label));
		break;
	}
}

void expr_print_node(const struct expr *expr, struct buf *out) {
	switch (expr->kind) {
	case EXPR_SUBQUERY:
		print_subquery_range(expr, out);
		return;
	case EXPR_CALL:
		buf_add_str(out, expr->u.call.function->name);
		return;
	case EXPR_AGGREGATE:
		print_aggregate_op(expr, out);
		while (out->len > 0 && out->ptr[out->len - 1] == ' ') {
			out->len--;
		}
		return;
	case EXPR_BINARY:
		print_binary_op(expr, out);
		return;
	case EXPR_UNARY:
		buf_add_byte(out, expr->u.unary.negative ? '-' : '+');
		return;
	case EXPR_PAREN:
		buf_add_text(out, "()");
		return;
	case EXPR_NUMBER:
	case EXPR_STRING:
	case EXPR_SELECTOR:
	case EXPR_RANGE:
	case EXPR_STEPS:
		expr_print(expr, out);
		return;
	}
}

/* Longest text of a node that stays on one line, in bytes. */
#define LINE_MAX 100
/* Longest text that expr_format makes. */
#define FORMAT_BYTES_MAX ((size_t)16 << 20)

struct counter {
	size_t count;
};

static bool count_node(struct expr *expr, void *context) {
	struct counter *counter = context;

	(void)expr;
	return ++counter->count <= LINE_MAX;
}

/* Appends the node if it fits a line; a node of many others is not even tried. */
static bool print_if_short(struct expr *expr, struct buf *out) {
	struct counter counter = { 0 };
	size_t start = out->len;

	expr_walk(expr, count_node, &counter);
	if (counter.count > LINE_MAX) {
		return false;
	}
	expr_print(expr, out);
	if (out->len - start <= LINE_MAX) {
		return true;
	}
	out->len = start;
	return false;
}

static void indent(size_t level, struct buf *out) {
	for (size_t i = 0; i < level; i++) {
		buf_add_text(out, "  ");
	}
}

static int format(struct expr *expr, size_t level, struct buf *out, struct err *err);

/* One per line, between brackets that stand already and on a line of its own. */
static int format_list(
	struct expr **items, size_t count, size_t level, struct buf *out, struct err *err) {
	int rc = 0;

	for (size_t i = 0; i < count && rc == 0; i++) {
		buf_add_text(out, i > 0 ? ",\n" : "\n");
		rc = format(items[i], level + 1, out, err);
	}
	buf_add_byte(out, '\n');
	indent(level, out);
	buf_add_byte(out, ')');
	return rc;
}

static int format_aggregate(struct expr *expr, size_t level, struct buf *out, struct err *err) {
	struct expr *items[] = { expr->u.aggregate.param, expr->u.aggregate.expr };
	size_t skipped = !items[0];

	print_aggregate_op(expr, out);
	buf_add_byte(out, '(');
	return format_list(items + skipped, ARRAY_COUNT(items) - skipped, level, out, err);
}

static int format_binary(struct expr *expr, size_t level, struct buf *out, struct err *err) {
	int rc = format(expr->u.binary.left, level + 1, out, err);

	buf_add_byte(out, '\n');
	indent(level, out);
	print_binary_op(expr, out);
	buf_add_byte(out, '\n');
	return rc < 0 ? rc : format(expr->u.binary.right, level + 1, out, err);
}

/* Behind its sign, an operand that begins a line begins without indentation. */
static int format_unary(struct expr *expr, size_t level, struct buf *out, struct err *err) {
	struct buf operand = { 0 };
	int rc = format(expr->u.unary.expr, level, &operand, err);

	buf_add_byte(out, expr->u.unary.negative ? '-' : '+');
	buf_add_str(out, str_trim(buf_str(&operand)));
	buf_deinit(&operand);
	return rc;
}

/* What does not fit a line. */
static int format_long(struct expr *expr, size_t level, struct buf *out, struct err *err) {
	switch (expr->kind) {
	case EXPR_AGGREGATE:
		return format_aggregate(expr, level, out, err);
	case EXPR_CALL:
		buf_add_str(out, expr->u.call.function->name);
		buf_add_byte(out, '(');
		return format_list(expr->u.call.args, expr->u.call.count, level, out, err);
	case EXPR_PAREN:
		buf_add_byte(out, '(');
		return format_list(&expr->u.paren, 1, level, out, err);
	case EXPR_UNARY:
		return format_unary(expr, level, out, err);
	case EXPR_BINARY:
	case EXPR_SUBQUERY:
	case EXPR_NUMBER:
	case EXPR_STRING:
	case EXPR_SELECTOR:
	case EXPR_RANGE:
	case EXPR_STEPS:
		break;
	}
	expr_print(expr, out);
	return 0;
}

static int format(struct expr *expr, size_t level, struct buf *out, struct err *err) {
	bool is_subquery = expr->kind == EXPR_SUBQUERY;
	struct buf line = { 0 };
	bool is_short = print_if_short(expr, &line);
	int rc = 0;

	if (out->len > FORMAT_BYTES_MAX) {
		rc = err_set(err, ERR_LIMIT, "the formatted query is longer than %zu bytes",
			FORMAT_BYTES_MAX);
	} else if (is_short) {
		/* As Prometheus has it, a subquery is not indented. */
		indent(is_subquery ? 0 : level, out);
		buf_add_str(out, buf_str(&line));
	} else if (is_subquery) {
		rc = format(expr->u.subquery.expr, level, out, err);
		print_subquery_range(expr, out);
	} else if (expr->kind == EXPR_BINARY) {
		rc = format_binary(expr, level, out, err);
	} else {
		indent(level, out);
		rc = format_long(expr, level, out, err);
	}
	buf_deinit(&line);
	return rc;
}

int expr_format(struct expr *expr, struct buf *out, struct err *err) {
	size_t start = out->len;
	int rc = format(expr, 0, out, err);

	if (rc < 0) {
		out->len = start;
	}
	return rc;
}
