#include "promql/binary.h"

#include "promql/each.h"
#include "promql/histogram.h"

#include "base/check.h"

bool binary_op_is_arithmetic(enum binary_op op) {
	return op <= BINARY_ATAN2;
}

bool binary_op_is_trim(enum binary_op op) {
	return op == BINARY_TRIM_UPPER || op == BINARY_TRIM_LOWER;
}

void binary_note_misfit(
	struct eval *ev, const struct expr *expr, bool left_is_histogram, bool right_is_histogram) {
	const char *op = binary_op_text(expr->u.binary.op);

	notes_info(&ev->notes, &ev->arena, expr->text.start,
		"incompatible sample types encountered for binary operator \"%s\": %s %s %s", op,
		left_is_histogram ? "histogram" : "float", op,
		right_is_histogram ? "histogram" : "float");
}

bool binary_fits(enum binary_op op, bool left_is_histogram, bool right_is_histogram) {
	if (left_is_histogram && right_is_histogram) {
		return op == BINARY_ADD || op == BINARY_SUB || op == BINARY_EQL || op == BINARY_NEQ;
	}
	if (left_is_histogram) {
		return op == BINARY_MUL || op == BINARY_DIV || binary_op_is_trim(op);
	}
	if (right_is_histogram) {
		return op == BINARY_MUL;
	}
	return !binary_op_is_trim(op);
}

void binary_scale(enum binary_op op, struct histogram *histogram, double number) {
	if (binary_op_is_trim(op)) {
		histogram_trim(histogram, number, op == BINARY_TRIM_UPPER);
		return;
	}
	if (op == BINARY_MUL) {
		histogram_multiply(histogram, number);
	} else {
		histogram_divide(histogram, number);
	}
	histogram_compact(histogram);
}

#define EACH(expression)                                                                           \
	for (size_t i = 0; i < count; i++) {                                                       \
		double a = left[i];                                                                \
		double b = right[i];                                                               \
		out[i] = (expression);                                                             \
	}

void binary_calculate(
	enum binary_op op, const double *left, const double *right, double *out, size_t count) {
	switch (op) {
	case BINARY_ADD:
		EACH(a + b);
		return;
	case BINARY_SUB:
		EACH(a - b);
		return;
	case BINARY_MUL:
		EACH(a * b);
		return;
	case BINARY_DIV:
		EACH(a / b);
		return;
	case BINARY_MOD:
		EACH(fmod(a, b));
		return;
	case BINARY_POW:
		EACH(pow(a, b));
		return;
	case BINARY_ATAN2:
		EACH(atan2(a, b));
		return;
	case BINARY_EQL:
	case BINARY_NEQ:
	case BINARY_LSS:
	case BINARY_GTR:
	case BINARY_LTE:
	case BINARY_GTE:
	case BINARY_AND:
	case BINARY_OR:
	case BINARY_UNLESS:
	case BINARY_TRIM_UPPER:
	case BINARY_TRIM_LOWER:
		break;
	}
	CHECK(false);
}

#undef EACH

#define EACH(condition)                                                                            \
	for (size_t i = 0; i < count; i++) {                                                       \
		double a = left[i];                                                                \
		double b = right[i];                                                               \
		holds[i / 64] |= (uint64_t)(condition) << (i % 64);                                \
	}

void binary_compare(
	enum binary_op op, const double *left, const double *right, uint64_t *holds, size_t count) {
	memset(holds, 0, step_words(count) * sizeof(*holds));
	switch (op) {
	case BINARY_EQL:
		EACH(a == b);
		return;
	case BINARY_NEQ:
		EACH(a != b);
		return;
	case BINARY_LSS:
		EACH(a < b);
		return;
	case BINARY_GTR:
		EACH(a > b);
		return;
	case BINARY_LTE:
		EACH(a <= b);
		return;
	case BINARY_GTE:
		EACH(a >= b);
		return;
	case BINARY_ADD:
	case BINARY_SUB:
	case BINARY_MUL:
	case BINARY_DIV:
	case BINARY_MOD:
	case BINARY_POW:
	case BINARY_ATAN2:
	case BINARY_AND:
	case BINARY_OR:
	case BINARY_UNLESS:
	case BINARY_TRIM_UPPER:
	case BINARY_TRIM_LOWER:
		break;
	}
	CHECK(false);
}

#undef EACH

/* A vector's operation with a scalar. */
struct mixed {
	struct each each;
	const struct expr *expr;
	const double *scalar;
	uint64_t *holds; /* Of comparisons. */
};

static void apply_arithmetic(struct each *each, struct column *column) {
	const struct mixed *mixed = CONTAINER_OF(each, struct mixed, each);
	const double *left = each->is_swapped ? mixed->scalar : column->values;
	const double *right = each->is_swapped ? column->values : mixed->scalar;

	binary_calculate(each->op, left, right, column->values, each->grid->count);
}

static void apply_comparison(struct each *each, struct column *column) {
	const struct mixed *mixed = CONTAINER_OF(each, struct mixed, each);
	const double *left = each->is_swapped ? mixed->scalar : column->values;
	const double *right = each->is_swapped ? column->values : mixed->scalar;
	size_t steps = each->grid->count;

	binary_compare(each->op, left, right, mixed->holds, steps);
	if (each->is_bool) {
		for (size_t i = 0; i < steps; i++) {
			column->values[i] = present_get(mixed->holds, i);
		}
		return;
	}
	for (size_t i = 0; i < step_words(steps); i++) {
		column->present[i] &= mixed->holds[i];
	}
}

static void apply_trim(struct each *each, struct column *column) {
	const struct mixed *mixed = CONTAINER_OF(each, struct mixed, each);

	if (present_any(column->present, each->grid->count)) {
		binary_note_misfit(each->ev, mixed->expr, false, false);
	}
	memset(column->present, 0, step_words(each->grid->count) * sizeof(*column->present));
}

/* Histograms and a number. */
static int apply_to_histograms(struct each *each, struct column *column) {
	const struct mixed *mixed = CONTAINER_OF(each, struct mixed, each);
	enum binary_op op = each->op;

	if (!present_any(column->present, each->grid->count)) {
		return 0;
	}
	if (!binary_fits(op, !each->is_swapped, each->is_swapped)) {
		binary_note_misfit(each->ev, mixed->expr, !each->is_swapped, each->is_swapped);
		memset(column->present, 0,
			step_words(each->grid->count) * sizeof(*column->present));
		return 0;
	}
	for (PRESENT_EACH(column->present, each->grid->count, i)) {
		struct histogram *out = eval_histogram_copy(each->ev, column->histograms[i]);

		if (!out) {
			return ERR_LIMIT;
		}
		binary_scale(op, out, mixed->scalar[i]);
		column->histograms[i] = out;
	}
	return 0;
}

static int mixed_open(
	struct eval *ev, struct expr *expr, const struct grid *grid, struct stream **out) {
	enum binary_op op = expr->u.binary.op;
	bool is_swapped = expr->u.binary.left->type == VALUE_SCALAR;
	bool drops_name = binary_op_is_arithmetic(op) || expr->u.binary.is_bool;
	struct expr *vector = is_swapped ? expr->u.binary.right : expr->u.binary.left;
	struct expr *scalar = is_swapped ? expr->u.binary.left : expr->u.binary.right;
	struct mixed *mixed = EVAL_NEW(ev, struct mixed, 1);
	double *values;
	int rc;

	if (!mixed) {
		return ERR_LIMIT;
	}
	rc = each_open(&mixed->each, ev, vector, grid, drops_name);
	rc = rc < 0 ? rc : eval_scalar(ev, scalar, grid, &values);
	if (rc < 0) {
		return rc;
	}
	mixed->expr = expr;
	mixed->scalar = values;
	mixed->holds = EVAL_NEW(ev, uint64_t, step_words(grid->count));
	mixed->each.op = op;
	mixed->each.is_swapped = is_swapped;
	mixed->each.is_bool = expr->u.binary.is_bool;
	mixed->each.apply = binary_op_is_trim(op)         ? apply_trim
			    : binary_op_is_arithmetic(op) ? apply_arithmetic
							  : apply_comparison;
	mixed->each.apply_histograms = apply_to_histograms;
	*out = &mixed->each.stream;
	return mixed->holds ? 0 : ERR_LIMIT;
}

int binary_open(struct eval *ev, struct expr *expr, const struct grid *grid, struct stream **out) {
	if (expr->u.binary.left->type != VALUE_VECTOR ||
		expr->u.binary.right->type != VALUE_VECTOR) {
		return mixed_open(ev, expr, grid, out);
	}
	return binary_op_is_set(expr->u.binary.op) ? set_open(ev, expr, grid, out)
						   : join_open(ev, expr, grid, out);
}

int binary_scalar(struct eval *ev, struct expr *expr, const struct grid *grid, double *out) {
	enum binary_op op = expr->u.binary.op;
	uint64_t *holds;
	double *left;
	double *right;
	int rc = eval_scalar(ev, expr->u.binary.left, grid, &left);

	rc = rc < 0 ? rc : eval_scalar(ev, expr->u.binary.right, grid, &right);
	if (rc < 0) {
		return rc;
	}
	if (binary_op_is_arithmetic(op)) {
		binary_calculate(op, left, right, out, grid->count);
		return 0;
	}
	if (!binary_op_is_comparison(op)) {
		return err_set(ev->err, ERR_EXEC,
			"operator \"%s\" not allowed for Scalar operations", binary_op_text(op));
	}
	holds = EVAL_NEW(ev, uint64_t, step_words(grid->count));
	if (!holds) {
		return ERR_LIMIT;
	}
	binary_compare(op, left, right, holds, grid->count);
	for (size_t i = 0; i < grid->count; i++) {
		out[i] = present_get(holds, i);
	}
	return 0;
}
