/*
 * Trends over a window: least squares, and double exponential smoothing.
 */
#include "promql/kahan.h"
#include "promql/number.h"
#include "promql/range.h"

#include "base/check.h"

struct line {
	double slope;
	double intercept;
};

/* The least-squares line through the window's samples; 'intercept' is its value at 'zero_ms'. */
static struct line fit_line(const struct window *window, int64_t zero_ms) {
	struct kahan x_sum = { 0, 0 };
	struct kahan y_sum = { 0, 0 };
	struct kahan xy_sum = { 0, 0 };
	struct kahan xx_sum = { 0, 0 };
	double first = window->values[0];
	bool is_constant = true;
	double n = (double)window->count;

	for (size_t i = 0; i < window->count; i++) {
		double x = (double)(window->times_ms[i] - zero_ms) / 1e3;
		double y = window->values[i];

		is_constant = is_constant && (i == 0 || y == first);
		x_sum = kahan_add(x_sum, x);
		y_sum = kahan_add(y_sum, y);
		xy_sum = kahan_add(xy_sum, x * y);
		xx_sum = kahan_add(xx_sum, x * x);
	}
	if (is_constant) {
		return isinf(first) ? (struct line){ number_nan(), number_nan() }
				    : (struct line){ 0, first };
	}

	double sx = x_sum.sum + x_sum.rest;
	double sy = y_sum.sum + y_sum.rest;
	double sxy = xy_sum.sum + xy_sum.rest;
	double sxx = xx_sum.sum + xx_sum.rest;
	double slope = (sxy - sx * sy / n) / (sxx - sx * sx / n);

	return (struct line){ slope, sy / n - slope * sx / n };
}

static bool deriv_window(struct range_call *call UNUSED, const struct window *window, double *out) {
	if (window->count < 2) {
		return false;
	}
	/* Any zero gives the same slope; one close by keeps the numbers small. */
	*out = fit_line(window, window->times_ms[0]).slope;
	return true;
}

static bool predict_window(struct range_call *call, const struct window *window, double *out) {
	struct line line;

	if (window->count < 2) {
		return false;
	}
	line = fit_line(window, grid_time(call->grid, window->step));
	*out = line.slope * call->args[0][window->step] + line.intercept;
	return true;
}

static bool check_factor(struct range_call *call, const char *name, double factor) {
	if (factor > 0 && factor < 1) {
		return true;
	}
	if (isnan(factor)) {
		return true;
	}
	call->rc = err_set(call->ev->err, ERR_EXEC,
		"invalid %s factor. Expected: 0 < %cf < 1, got: %f", name, name[0], factor);
	return false;
}

/* Holt's linear method: a smoothed value and a smoothed trend. */
static bool smoothing_window(struct range_call *call, const struct window *window, double *out) {
	double sf = call->args[0][window->step];
	double tf = call->args[1][window->step];
	double before = 0;
	double smoothed = window->values[0];
	double trend;

	if (!check_factor(call, "smoothing", sf) || !check_factor(call, "trend", tf) ||
		window->count < 2) {
		return false;
	}
	trend = window->values[1] - window->values[0];
	for (size_t i = 1; i < window->count; i++) {
		double next;

		if (i > 1) {
			trend = tf * (smoothed - before) + (1 - tf) * trend;
		}
		next = sf * window->values[i] + (1 - sf) * (smoothed + trend);
		before = smoothed;
		smoothed = next;
	}
	*out = smoothed;
	return true;
}

int deriv_run(struct range_call *call, struct column *out) {
	return windows_run_costly(call, out, deriv_window);
}

int predict_linear_run(struct range_call *call, struct column *out) {
	return windows_run_costly(call, out, predict_window);
}

int double_exponential_smoothing_run(struct range_call *call, struct column *out) {
	return windows_run_costly(call, out, smoothing_window);
}
