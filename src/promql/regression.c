/*
 * Trends over a window: least squares.
 */
#include "promql/lanes.h"
#include "promql/number.h"

struct line {
	double slope;
	double intercept;
};

/* The sums that a line is made of. */
struct line_sums {
	double n;
	double x;
	double y;
	double xy;
	double width; /* How far the places are apart: the sum of x * x, less that of the mean. */
};

static ALWAYS_INLINE struct line_sums line_sums_of(
	double n, double x, double y, double xy, double xx) {
	return (struct line_sums){ n, x, y, xy, xx - x * x / n };
}

static ALWAYS_INLINE struct line line_of(const struct line_sums *sums) {
	double n = sums->n;
	double slope = (sums->xy - sums->x * sums->y / n) / sums->width;

	return (struct line){ slope, sums->y / n - slope * sums->x / n };
}

/* Whether all values are equal. There is at least one. */
static bool is_constant(const double *values, size_t count) {
	size_t i = count - 1;

	/* From the end, which differs soonest. */
	while (i > 0 && values[i] == values[0]) {
		i--;
	}
	return i == 0;
}

static struct line line_of_constant(double value) {
	return isinf(value) ? (struct line){ number_nan(), number_nan() }
			    : (struct line){ 0, value };
}

static double kahan_get(const struct kahan *sum) {
	return sum->sum + sum->rest;
}

static void add_plain(const struct window *window, int64_t zero_ms, struct line_sums *out) {
	struct kahan x_sum = { 0, 0 };
	struct kahan y_sum = { 0, 0 };
	struct kahan xy_sum = { 0, 0 };
	struct kahan xx_sum = { 0, 0 };

	for (size_t i = 0; i < window->count; i++) {
		double x = (double)(window->times_ms[i] - zero_ms) / 1e3;
		double y = window->values[i];

		x_sum = kahan_add(x_sum, x);
		y_sum = kahan_add(y_sum, y);
		xy_sum = kahan_add(xy_sum, x * y);
		xx_sum = kahan_add(xx_sum, x * x);
	}
	*out = line_sums_of((double)window->count, kahan_get(&x_sum), kahan_get(&y_sum),
		kahan_get(&xy_sum), kahan_get(&xx_sum));
}

/* The same, with two sums at once. Returns false for what lanes cannot do. */
static bool add_pairs(const struct window *window, int64_t zero_ms, struct line_sums *out) {
	kahan_pair sums = { 0 };
	kahan_pair rests = { 0 };
	kahan_pair product_sums = { 0 };
	kahan_pair product_rests = { 0 };

	for (size_t i = 0; i < window->count; i++) {
		double x = (double)(window->times_ms[i] - zero_ms) / 1e3;
		kahan_pair both = { x, window->values[i] };
		kahan_pair products = both * x; /* x * x and x * y */

		lanes_add_two(&sums, &rests, &both);
		lanes_add_two(&product_sums, &product_rests, &products);
	}
	sums += rests;
	product_sums += product_rests;
	*out = line_sums_of(
		(double)window->count, sums[0], sums[1], product_sums[1], product_sums[0]);
	return isfinite(out->y) && isfinite(out->xy);
}

/* The least-squares line through the window's samples; 'intercept' is its value at 'zero_ms'. */
static struct line fit_line(const struct window *window, int64_t zero_ms) {
	struct line_sums sums;

	if (is_constant(window->values, window->count)) {
		return line_of_constant(window->values[0]);
	}
	if (!add_pairs(window, zero_ms, &sums)) {
		add_plain(window, zero_ms, &sums);
	}
	return line_of(&sums);
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

/*
 * The places on the time axis, in seconds, of samples that come 'gap_ms' after one another, and the
 * sums of the places up to each and their widths. Most windows of most series are so, and what
 * they have in common is worked out once.
 */
struct ladder {
	int64_t first_ms; /* The first sample's distance from the line's zero. */
	int64_t gap_ms;
	size_t count;
	size_t capacity;
	double *xs;
	double *x_sums;
	double *widths;
	struct kahan x_sum;
	struct kahan xx_sum;
};

/* What lanes need to know besides the windows. */
struct trend {
	uint64_t version;       /* Of the windows that the next two are of. */
	uint32_t *regular_from; /* Since which sample all have come at the same distance. */
	double *since_ms;       /* A sample's time since the first. */
	size_t capacity;
	struct ladder ladder;
	const double *totals; /* Of the series' values, if they are whole numbers. */
	bool is_slope;        /* A line's zero is its first sample, not the step. */
};

static int grow_ladder(struct eval *ev, struct ladder *ladder, size_t count) {
	size_t capacity = count + count / 2;
	double *xs = EVAL_NEW(ev, double, 3 * capacity);

	if (!xs) {
		return ERR_LIMIT;
	}
	ladder->capacity = capacity;
	ladder->xs = xs;
	ladder->x_sums = xs + capacity;
	ladder->widths = xs + 2 * capacity;
	ladder->count = 0;
	return 0;
}

/* Makes a ladder that has at least 'count' samples. */
static int update_ladder(
	struct eval *ev, struct ladder *ladder, int64_t first_ms, int64_t gap_ms, size_t count) {
	int rc = count > ladder->capacity ? grow_ladder(ev, ladder, count) : 0;

	if (rc < 0) {
		return rc;
	}
	if (ladder->first_ms != first_ms || ladder->gap_ms != gap_ms) {
		ladder->count = 0;
	}
	if (ladder->count == 0) {
		ladder->first_ms = first_ms;
		ladder->gap_ms = gap_ms;
		ladder->x_sum = (struct kahan){ 0, 0 };
		ladder->xx_sum = (struct kahan){ 0, 0 };
	}
	for (; ladder->count < count; ladder->count++) {
		double x = (double)(first_ms + (int64_t)ladder->count * gap_ms) / 1e3;

		ladder->x_sum = kahan_add(ladder->x_sum, x);
		ladder->xx_sum = kahan_add(ladder->xx_sum, x * x);
		ladder->xs[ladder->count] = x;
		ladder->x_sums[ladder->count] = kahan_get(&ladder->x_sum);
		ladder->widths[ladder->count] = line_sums_of((double)(ladder->count + 1),
			ladder->x_sums[ladder->count], 0, 0, kahan_get(&ladder->xx_sum))
							.width;
	}
	return 0;
}

/* Brings call->trend up to date for the series. */
static int update_trend(struct range_call *call, bool is_slope) {
	const int64_t *times_ms = call->samples->times_ms;
	size_t count = call->samples->count;
	double *totals = range_scratch(call, (count + 1) * sizeof(*totals));
	struct trend *trend = call->trend ? call->trend : EVAL_NEW(call->ev, struct trend, 1);

	if (!totals || !trend) {
		return ERR_LIMIT;
	}
	call->trend = trend;
	trend->is_slope = is_slope;
	trend->totals = totals_add(call->samples->values, count, totals) ? totals : NULL;
	if (count > trend->capacity) {
		trend->capacity = 0;
		trend->regular_from = EVAL_NEW(call->ev, uint32_t, count * 2);
		trend->since_ms = EVAL_NEW(call->ev, double, count * 2);
		if (!trend->regular_from || !trend->since_ms) {
			return ERR_LIMIT;
		}
		trend->capacity = count * 2;
	} else if (trend->version == call->windows.version) {
		return 0;
	}
	for (size_t i = 0; i < count; i++) {
		bool goes_on =
			i > 1 && times_ms[i] - times_ms[i - 1] == times_ms[i - 1] - times_ms[i - 2];

		trend->regular_from[i] =
			goes_on ? trend->regular_from[i - 1] : (uint32_t)(i > 0 ? i - 1 : 0);
		trend->since_ms[i] = (double)(times_ms[i] - times_ms[0]);
	}
	trend->version = call->windows.version;
	return 0;
}

static int64_t zero_of(const struct range_call *call, const struct lane_group *group, size_t lane) {
	return call->trend->is_slope ? call->samples->times_ms[group->spans[lane].low]
				     : grid_time(call->grid, group->steps[lane]);
}

/* Whether one ladder fits all windows of a group. Sets call->rc if it cannot be made. */
static bool share_ladder(struct range_call *call, const struct lane_group *group) {
	const int64_t *times_ms = call->samples->times_ms;
	size_t low = group->spans[0].low;
	int64_t first_ms = times_ms[low] - zero_of(call, group, 0);
	int64_t gap_ms = times_ms[low + 1] - times_ms[low];
	size_t count = 0;

	for (size_t i = 0; i < group->used; i++) {
		struct span span = group->spans[i];

		if (call->trend->regular_from[span.high - 1] > span.low ||
			times_ms[span.low] - zero_of(call, group, i) != first_ms ||
			times_ms[span.low + 1] - times_ms[span.low] != gap_ms) {
			return false;
		}
		count = group->counts[i] > count ? group->counts[i] : count;
	}
	call->rc = update_ladder(call->ev, &call->trend->ladder, first_ms, gap_ms, count);
	return call->rc == 0;
}

/* A group's sums, in each lane as of struct line_sums. */
struct group_sums {
	struct kahan x[LANES];
	struct kahan y[LANES];
	struct kahan xy[LANES];
	struct kahan xx[LANES];
};

/* x * y, and y unless 'has_totals', where the samples' places are all alike. */
static ALWAYS_INLINE void add_alike(const struct lane_group *group, const double *xs,
	bool has_totals, bool is_dense, struct group_sums *out) {
	struct eight_sums y_sums = { 0 };
	struct eight_sums xy_sums = { 0 };
	struct eight value = { 0 };

	for (size_t i = 0; i < group->common; i++) {
		lanes_take(group->values, i, is_dense, &value);
		if (!has_totals) {
			lanes_add(&y_sums, &value);
		}
		value.a *= xs[i];
		value.b *= xs[i];
		lanes_add(&xy_sums, &value);
	}
	lanes_get(&y_sums, out->y);
	lanes_get(&xy_sums, out->xy);
}

static ALWAYS_INLINE void add_alike_any(
	const struct lane_group *group, const double *xs, bool has_totals, struct group_sums *out) {
	if (group->is_dense) {
		has_totals ? add_alike(group, xs, true, true, out)
			   : add_alike(group, xs, false, true, out);
	} else {
		has_totals ? add_alike(group, xs, true, false, out)
			   : add_alike(group, xs, false, false, out);
	}
}

WIDE static void add_alike_wide(
	const struct lane_group *group, const double *xs, bool has_totals, struct group_sums *out) {
	add_alike_any(group, xs, has_totals, out);
}

static void add_alike_narrow(
	const struct lane_group *group, const double *xs, bool has_totals, struct group_sums *out) {
	add_alike_any(group, xs, has_totals, out);
}

/* As fit_line, where places are whatever they are: in milliseconds, less the zeros. */
static ALWAYS_INLINE void add_unlike(const struct lane_group *group, const double *const *places,
	const struct eight *zeros, struct group_sums *out) {
	struct eight_sums x_sums = { 0 };
	struct eight_sums y_sums = { 0 };
	struct eight_sums xy_sums = { 0 };
	struct eight_sums xx_sums = { 0 };
	struct eight x = { 0 };
	struct eight y = { 0 };
	struct eight product;

	for (size_t i = 0; i < group->common; i++) {
		lanes_take(places, i, false, &x);
		lanes_take(group->values, i, false, &y);
		x.a = (x.a - zeros->a) / 1e3;
		x.b = (x.b - zeros->b) / 1e3;
		lanes_add(&x_sums, &x);
		lanes_add(&y_sums, &y);
		product = (struct eight){ x.a * y.a, x.b * y.b };
		lanes_add(&xy_sums, &product);
		product = (struct eight){ x.a * x.a, x.b * x.b };
		lanes_add(&xx_sums, &product);
	}
	lanes_get(&x_sums, out->x);
	lanes_get(&y_sums, out->y);
	lanes_get(&xy_sums, out->xy);
	lanes_get(&xx_sums, out->xx);
}

WIDE static void add_unlike_wide(const struct lane_group *group, const double *const *places,
	const struct eight *zeros, struct group_sums *out) {
	add_unlike(group, places, zeros, out);
}

static void add_unlike_narrow(const struct lane_group *group, const double *const *places,
	const struct eight *zeros, struct group_sums *out) {
	add_unlike(group, places, zeros, out);
}

/* Returns a bit for each lane whose sums are good. */
static uint32_t sum_alike(
	const struct range_call *call, const struct lane_group *group, struct line_sums *out) {
	const struct ladder *ladder = &call->trend->ladder;
	const double *totals = call->trend->totals;
	struct group_sums sums;
	uint32_t has = 0;

	(has_wide() ? add_alike_wide : add_alike_narrow)(group, ladder->xs, totals != NULL, &sums);
	for (size_t i = 0; i < group->used; i++) {
		size_t count = group->counts[i];

		for (size_t k = group->common; k < count; k++) {
			double y = group->values[i][k];

			sums.y[i] = kahan_add(sums.y[i], y);
			sums.xy[i] = kahan_add(sums.xy[i], ladder->xs[k] * y);
		}
		out[i] = (struct line_sums){
			.n = (double)count,
			.x = ladder->x_sums[count - 1],
			.width = ladder->widths[count - 1],
			.y = totals ? totals[group->spans[i].high] - totals[group->spans[i].low]
				    : kahan_get(&sums.y[i]),
			.xy = kahan_get(&sums.xy[i]),
		};
		has |= (uint32_t)(isfinite(out[i].y) && isfinite(out[i].xy)) << i;
	}
	return has;
}

static uint32_t sum_unlike(
	const struct range_call *call, const struct lane_group *group, struct line_sums *out) {
	const double *places[LANES];
	double zeros_ms[LANES];
	struct eight zeros;
	struct group_sums sums;
	uint32_t has = 0;

	for (size_t i = 0; i < LANES; i++) {
		size_t lane = i < group->used ? i : 0;

		places[i] = call->trend->since_ms + group->spans[lane].low;
		zeros_ms[i] = (double)(zero_of(call, group, lane) - call->samples->times_ms[0]);
	}
	memcpy(&zeros, zeros_ms, sizeof(zeros));
	(has_wide() ? add_unlike_wide : add_unlike_narrow)(group, places, &zeros, &sums);
	for (size_t i = 0; i < group->used; i++) {
		for (size_t k = group->common; k < group->counts[i]; k++) {
			double x = (places[i][k] - zeros_ms[i]) / 1e3;
			double y = group->values[i][k];

			sums.x[i] = kahan_add(sums.x[i], x);
			sums.y[i] = kahan_add(sums.y[i], y);
			sums.xy[i] = kahan_add(sums.xy[i], x * y);
			sums.xx[i] = kahan_add(sums.xx[i], x * x);
		}
		out[i] = line_sums_of((double)group->counts[i], kahan_get(&sums.x[i]),
			kahan_get(&sums.y[i]), kahan_get(&sums.xy[i]), kahan_get(&sums.xx[i]));
		has |= (uint32_t)(isfinite(out[i].y) && isfinite(out[i].xy)) << i;
	}
	return has;
}

/* The lines of a group's windows; returns a bit for each that has one. */
static ALWAYS_INLINE uint32_t fit_lanes(
	struct range_call *call, const struct lane_group *group, struct line *out) {
	struct line_sums sums[LANES];
	bool is_alike = share_ladder(call, group);
	uint32_t has = call->rc < 0 ? 0
		       : is_alike   ? sum_alike(call, group, sums)
				    : sum_unlike(call, group, sums);

	for (size_t i = 0; has != 0 && i < group->used; i++) {
		out[i] = is_constant(group->values[i], group->counts[i])
				 ? line_of_constant(group->values[i][0])
				 : line_of(&sums[i]);
	}
	return has;
}

static uint32_t deriv_lanes(struct range_call *call, const struct lane_group *group, double *out) {
	struct line lines[LANES];
	uint32_t has = fit_lanes(call, group, lines);

	for (size_t i = 0; has != 0 && i < group->used; i++) {
		out[i] = lines[i].slope;
	}
	return has;
}

static uint32_t predict_lanes(
	struct range_call *call, const struct lane_group *group, double *out) {
	struct line lines[LANES];
	uint32_t has = fit_lanes(call, group, lines);

	for (size_t i = 0; has != 0 && i < group->used; i++) {
		out[i] = lines[i].slope * call->args[0][group->steps[i]] + lines[i].intercept;
	}
	return has;
}

int deriv_run(struct range_call *call, struct column *out) {
	int rc = update_trend(call, true);

	return rc < 0 ? rc : lanes_run(call, out, deriv_window, deriv_lanes);
}

int predict_linear_run(struct range_call *call, struct column *out) {
	int rc = update_trend(call, false);

	return rc < 0 ? rc : lanes_run(call, out, predict_window, predict_lanes);
}
