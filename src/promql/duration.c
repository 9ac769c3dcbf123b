#include "promql/duration.h"

#include "promql/ast.h"

#include <math.h>

/* Milliseconds that still fit Go's time.Duration, which counts nanoseconds. */
#define DURATION_MS_MAX (INT64_MAX / 1000000)

struct unit {
	struct str name;
	int64_t ms;
	bool is_exact; /* Printed only when nothing remains. */
};

static const struct unit units[] = {
	{ { "y", 1 }, INT64_C(365) * 24 * 3600 * 1000, true },
	{ { "w", 1 }, INT64_C(7) * 24 * 3600 * 1000, true },
	{ { "d", 1 }, INT64_C(24) * 3600 * 1000, false },
	{ { "h", 1 }, INT64_C(3600) * 1000, false },
	{ { "m", 1 }, INT64_C(60) * 1000, false },
	{ { "s", 1 }, INT64_C(1000), false },
	{ { "ms", 2 }, INT64_C(1), false },
};

static bool is_digit(char byte) {
	return byte >= '0' && byte <= '9';
}

static bool is_letter(char byte) {
	return byte >= 'a' && byte <= 'z';
}

/* The unit named at the start of 'text', later than 'after'; NULL if there is none. */
static const struct unit *find_unit(struct str text, const struct unit *after) {
	size_t len = 0;

	while (len < text.len && is_letter(text.ptr[len])) {
		len++;
	}
	for (size_t i = 0; i < ARRAY_COUNT(units); i++) {
		if (str_equal(units[i].name, str_first(text, len))) {
			return !after || &units[i] > after ? &units[i] : NULL;
		}
	}
	return NULL;
}

int duration_parse(struct str text, int64_t *ms, struct err *err) {
	const struct unit *unit = NULL;
	struct str rest = text;
	int64_t total = 0;

	if (text.len == 0) {
		return err_set(err, ERR_INVAL, "empty duration string");
	}
	if (str_equal(text, STR("0"))) {
		*ms = 0;
		return 0;
	}
	while (rest.len > 0) {
		struct str digits;
		uint64_t value = 0;
		size_t len = 0;
		bool fits;

		while (len < rest.len && is_digit(rest.ptr[len])) {
			len++;
		}
		digits = str_first(rest, len);
		rest = str_from(rest, len);
		unit = find_unit(rest, unit);
		if (len == 0 || !unit) {
			return err_set(err, ERR_INVAL, "not a valid duration string: \"%.*s\"",
				STR_ARG(text));
		}
		rest = str_from(rest, unit->name.len);
		fits = str_to_u64(digits, &value);
		if (!fits || value > (uint64_t)(DURATION_MS_MAX / unit->ms) ||
			(int64_t)value * unit->ms > DURATION_MS_MAX - total) {
			return err_set(err, ERR_INVAL, "duration out of range");
		}
		total += (int64_t)value * unit->ms;
	}
	*ms = total;
	return 0;
}

void duration_format(int64_t ms, struct buf *out) {
	/* Of the smallest number only the absolute value overflows. */
	uint64_t rest = ms < 0 ? -(uint64_t)ms : (uint64_t)ms;

	if (ms == 0) {
		buf_add_text(out, "0s");
		return;
	}
	if (ms < 0) {
		buf_add_byte(out, '-');
	}
	for (size_t i = 0; i < ARRAY_COUNT(units); i++) {
		uint64_t value = rest / (uint64_t)units[i].ms;

		if (value == 0 || (units[i].is_exact && rest % (uint64_t)units[i].ms != 0)) {
			continue;
		}
		buf_printf(out, "%llu%s", (unsigned long long)value, units[i].name.ptr);
		rest -= value * (uint64_t)units[i].ms;
	}
}

/* What step() and range() mean. */
struct resolve {
	double step_seconds;
	double range_seconds;
	struct err *err;
	int rc;
};

static int zero_divisor(
	struct resolve *resolve, const struct duration_expr *expr, const char *what) {
	return err_set(resolve->err, ERR_INVAL, "%u:%u: %s by zero", expr->text.start,
		expr->text.end, what);
}

static int evaluate(struct resolve *resolve, const struct duration_expr *expr, double *out) {
	double left = 0;
	double right = 0;
	int rc = 0;

	if (expr->left) {
		rc = evaluate(resolve, expr->left, &left);
	}
	if (rc == 0 && expr->right) {
		rc = evaluate(resolve, expr->right, &right);
	}
	if (rc < 0) {
		return rc;
	}
	switch (expr->op) {
	case DURATION_NUMBER:
		*out = expr->seconds;
		return 0;
	case DURATION_STEP:
		*out = resolve->step_seconds;
		return 0;
	case DURATION_RANGE:
		*out = resolve->range_seconds;
		return 0;
	case DURATION_PLUS:
		*out = right;
		return 0;
	case DURATION_NEGATE:
		*out = -right;
		return 0;
	case DURATION_ADD:
		*out = left + right;
		return 0;
	case DURATION_SUB:
		*out = left - right;
		return 0;
	case DURATION_MUL:
		*out = left * right;
		return 0;
	case DURATION_DIV:
		*out = left / right;
		return right == 0 ? zero_divisor(resolve, expr, "division") : 0;
	case DURATION_MOD:
		*out = fmod(left, right);
		return right == 0 ? zero_divisor(resolve, expr, "modulo") : 0;
	case DURATION_POW:
		*out = pow(left, right);
		return 0;
	case DURATION_MIN_OF:
		*out = isnan(left) || isnan(right) ? (double)NAN : fmin(left, right);
		return 0;
	case DURATION_MAX_OF:
		*out = isnan(left) || isnan(right) ? (double)NAN : fmax(left, right);
		return 0;
	}
	return 0;
}

static void resolve_duration(
	struct resolve *resolve, struct duration *duration, bool may_be_negative) {
	const struct duration_expr *expr = duration->expr;
	const char *wrong = NULL;
	double seconds = 0;

	if (!expr || resolve->rc < 0) {
		return;
	}
	resolve->rc = evaluate(resolve, expr, &seconds);
	if (resolve->rc < 0) {
		return;
	}
	if (isnan(seconds) || isinf(seconds)) {
		wrong = "duration is NaN or infinite";
	} else if (seconds <= 0 && !may_be_negative) {
		wrong = "duration must be greater than 0";
	} else if (fabs(seconds) > (double)DURATION_MS_MAX / 1000) {
		wrong = "duration is out of range";
	}
	if (wrong) {
		resolve->rc = err_set(resolve->err, ERR_INVAL, "%u:%u: %s", expr->text.start,
			expr->text.end, wrong);
		return;
	}
	duration->ms = (int64_t)(seconds * 1000);
}

static bool resolve_node(struct expr *expr, void *context) {
	struct resolve *resolve = (struct resolve *)context;

	if (expr->kind == EXPR_SELECTOR) {
		resolve_duration(resolve, &expr->u.selector.shift.offset, true);
	} else if (expr->kind == EXPR_RANGE) {
		resolve_duration(resolve, &expr->u.range.range, false);
	} else if (expr->kind == EXPR_SUBQUERY) {
		resolve_duration(resolve, &expr->u.subquery.shift.offset, true);
		if (expr->u.subquery.has_step) {
			resolve_duration(resolve, &expr->u.subquery.step, false);
		}
		resolve_duration(resolve, &expr->u.subquery.range, false);
	}
	return resolve->rc == 0;
}

int expr_resolve_durations(
	struct expr *root, int64_t start_ms, int64_t end_ms, int64_t step_ms, struct err *err) {
	struct resolve resolve = {
		.step_seconds = (double)step_ms / 1000,
		.range_seconds = ((double)end_ms - (double)start_ms) / 1000,
		.err = err,
	};

	expr_walk(root, resolve_node, &resolve);
	return resolve.rc;
}
