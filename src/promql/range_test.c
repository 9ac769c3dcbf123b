/* Functions of ranges against their definitions: a plain loop over each window by itself. */
#include "promql/engine.h"
#include "promql/kahan.h"

#include "base/memory.h"
#include "base/rand.h"
#include "base/test.h"
#include "store/test_store.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#define SECOND INT64_C(1000)
#define SAMPLES_MAX 400
#define ROUNDS 60

/* A window's samples without stale markers, and the scalar arguments. */
struct window {
	int64_t times_ms[SAMPLES_MAX];
	double values[SAMPLES_MAX];
	size_t count;
	int64_t step_ms;
	int64_t start_ms;
	int64_t end_ms;
	double args[2];
};

/* Returns false for no value. The window is the function's to change. */
typedef bool define_fn(struct window *window, double *out);

static bool define_max(struct window *window, double *out) {
	*out = window->values[0];
	for (size_t i = 1; i < window->count; i++) {
		if (window->values[i] > *out || isnan(*out)) {
			*out = window->values[i];
		}
	}
	return true;
}

static bool define_min(struct window *window, double *out) {
	*out = window->values[0];
	for (size_t i = 1; i < window->count; i++) {
		if (window->values[i] < *out || isnan(*out)) {
			*out = window->values[i];
		}
	}
	return true;
}

static bool define_ts_of_max(struct window *window, double *out) {
	size_t at = 0;

	for (size_t i = 1; i < window->count; i++) {
		if (window->values[i] >= window->values[at] || isnan(window->values[at])) {
			at = i;
		}
	}
	*out = (double)window->times_ms[at] / 1000;
	return true;
}

static bool define_ts_of_min(struct window *window, double *out) {
	size_t at = 0;

	for (size_t i = 1; i < window->count; i++) {
		if (window->values[i] <= window->values[at] || isnan(window->values[at])) {
			at = i;
		}
	}
	*out = (double)window->times_ms[at] / 1000;
	return true;
}

static bool define_resets(struct window *window, double *out) {
	*out = 0;
	for (size_t i = 1; i < window->count; i++) {
		*out += window->values[i] < window->values[i - 1];
	}
	return true;
}

static bool define_changes(struct window *window, double *out) {
	*out = 0;
	for (size_t i = 1; i < window->count; i++) {
		double before = window->values[i - 1];
		double value = window->values[i];

		*out += value != before && !(isnan(value) && isnan(before));
	}
	return true;
}

static bool define_sum(struct window *window, double *out) {
	struct kahan sum = { 0, 0 };

	for (size_t i = 0; i < window->count; i++) {
		sum = kahan_add(sum, window->values[i]);
	}
	*out = isinf(sum.sum) ? sum.sum : sum.sum + sum.rest;
	return true;
}

static bool define_avg(struct window *window, double *out) {
	struct mean mean = mean_first(window->values[0]);

	for (size_t i = 1; i < window->count; i++) {
		mean_add(&mean, window->values[i]);
	}
	*out = mean_get(&mean);
	return true;
}

static bool define_stdvar(struct window *window, double *out) {
	struct kahan mean = { 0, 0 };
	struct kahan squares = { 0, 0 };
	double count = 0;

	for (size_t i = 0; i < window->count; i++) {
		double value = window->values[i];
		double delta = value - (mean.sum + mean.rest);

		count++;
		mean = kahan_add(mean, delta / count);
		squares = kahan_add(squares, delta * (value - (mean.sum + mean.rest)));
	}
	*out = (squares.sum + squares.rest) / count;
	return true;
}

static bool define_stddev(struct window *window, double *out) {
	define_stdvar(window, out);
	*out = sqrt(*out);
	return true;
}

static int cmp_values(const void *a, const void *b) {
	double x = *(const double *)a;
	double y = *(const double *)b;

	if (isnan(x) || isnan(y)) {
		return (int)!!isnan(y) - (int)!!isnan(x);
	}
	if (x == y) {
		return (int)!!signbit(y) - (int)!!signbit(x);
	}
	return x > y ? 1 : -1;
}

static double sorted_quantile(double q, double *values, size_t count) {
	double rank = q * (double)(count - 1);
	size_t low;
	size_t high;

	if (isnan(q)) {
		return q;
	}
	if (q < 0 || q > 1) {
		return q < 0 ? -HUGE_VAL : HUGE_VAL;
	}
	low = (size_t)floor(rank);
	high = low + 1 < count ? low + 1 : count - 1;
	qsort(values, count, sizeof(*values), cmp_values);
	return values[low] * (1 - (rank - floor(rank))) + values[high] * (rank - floor(rank));
}

static bool define_quantile(struct window *window, double *out) {
	*out = sorted_quantile(window->args[0], window->values, window->count);
	return true;
}

static bool define_mad(struct window *window, double *out) {
	double median = sorted_quantile(0.5, window->values, window->count);

	for (size_t i = 0; i < window->count; i++) {
		if (isnan(window->values[i])) {
			*out = window->values[i];
			return true;
		}
		window->values[i] = fabs(window->values[i] - median);
	}
	*out = sorted_quantile(0.5, window->values, window->count);
	return true;
}

static bool define_line(
	const struct window *window, int64_t zero_ms, double *slope, double *intercept) {
	struct kahan x_sum = { 0, 0 };
	struct kahan y_sum = { 0, 0 };
	struct kahan xy_sum = { 0, 0 };
	struct kahan xx_sum = { 0, 0 };
	double n = (double)window->count;
	bool is_constant = true;

	if (window->count < 2) {
		return false;
	}
	for (size_t i = 0; i < window->count; i++) {
		double x = (double)(window->times_ms[i] - zero_ms) / 1e3;
		double y = window->values[i];

		is_constant = is_constant && (i == 0 || y == window->values[0]);
		x_sum = kahan_add(x_sum, x);
		y_sum = kahan_add(y_sum, y);
		xy_sum = kahan_add(xy_sum, x * y);
		xx_sum = kahan_add(xx_sum, x * x);
	}

	double sx = x_sum.sum + x_sum.rest;
	double sy = y_sum.sum + y_sum.rest;
	double sxy = xy_sum.sum + xy_sum.rest;
	double sxx = xx_sum.sum + xx_sum.rest;

	*slope = (sxy - sx * sy / n) / (sxx - sx * sx / n);
	*intercept = sy / n - *slope * sx / n;
	if (is_constant) {
		*slope = isinf(window->values[0]) ? (double)NAN : 0;
		*intercept = isinf(window->values[0]) ? (double)NAN : window->values[0];
	}
	return true;
}

static bool define_deriv(struct window *window, double *out) {
	double intercept;

	return define_line(window, window->times_ms[0], out, &intercept);
}

static bool define_predict(struct window *window, double *out) {
	double slope;
	double intercept;

	if (!define_line(window, window->step_ms, &slope, &intercept)) {
		return false;
	}
	*out = slope * window->args[0] + intercept;
	return true;
}

static bool define_smoothing(struct window *window, double *out) {
	double sf = window->args[0];
	double tf = window->args[1];
	double before = 0;
	double trend;

	if (window->count < 2) {
		return false;
	}
	trend = window->values[1] - window->values[0];
	*out = window->values[0];
	for (size_t i = 1; i < window->count; i++) {
		double next;

		if (i > 1) {
			trend = tf * (*out - before) + (1 - tf) * trend;
		}
		next = sf * window->values[i] + (1 - sf) * (*out + trend);
		before = *out;
		*out = next;
	}
	return true;
}

/* The increase, extended to the window's ends where samples come close enough to them. */
static bool define_extended(
	const struct window *window, bool is_counter, double seconds, double *out) {
	size_t last = window->count - 1;
	double to_start = (double)(window->times_ms[0] - window->start_ms) / 1000;
	double to_end = (double)(window->end_ms - window->times_ms[last]) / 1000;
	double sampled = (double)(window->times_ms[last] - window->times_ms[0]) / 1000;
	double distance = sampled / (double)last;
	double increase = window->values[last] - window->values[0];
	double factor;

	if (window->count < 2) {
		return false;
	}
	for (size_t i = 1; is_counter && i <= last; i++) {
		if (window->values[i] < window->values[i - 1]) {
			increase += window->values[i - 1];
		}
	}
	to_start = to_start >= distance * 1.1 ? distance / 2 : to_start;
	to_end = to_end >= distance * 1.1 ? distance / 2 : to_end;
	if (is_counter && increase > 0 && window->values[0] >= 0) {
		double to_zero = sampled * (window->values[0] / increase);

		to_start = to_zero < to_start ? to_zero : to_start;
	}
	factor = (sampled + to_start + to_end) / sampled;
	*out = increase * (seconds > 0 ? factor / seconds : factor);
	return true;
}

static bool define_rate(struct window *window, double *out) {
	int64_t range_ms = window->end_ms - window->start_ms;

	return define_extended(window, true,
		(double)(range_ms / 1000) + (double)(range_ms % 1000 * 1000000) / 1e9, out);
}

static bool define_increase(struct window *window, double *out) {
	return define_extended(window, true, 0, out);
}

static bool define_delta(struct window *window, double *out) {
	return define_extended(window, false, 0, out);
}

static bool define_irate(struct window *window, double *out) {
	size_t last = window->count - 1;

	if (window->count < 2) {
		return false;
	}
	*out = window->values[last];
	*out -= window->values[last] < window->values[last - 1] ? 0 : window->values[last - 1];
	*out /= (double)(window->times_ms[last] - window->times_ms[last - 1]) / 1000;
	return true;
}

static bool define_idelta(struct window *window, double *out) {
	size_t last = window->count - 1;

	if (window->count < 2) {
		return false;
	}
	*out = window->values[last] - window->values[last - 1];
	return true;
}

/* The samples, and what is asked of them. */
struct fixture {
	struct clock clock;
	struct engine *engine;
	struct test_store store;
	struct test_series *series;
	struct grid grid;
	int64_t range_ms;
	int64_t offset_ms;
	bool is_fixed; /* @ end() */
};

static void add_series(struct fixture *f) {
	const struct label pair = { LABEL_NAME, STR("x") };
	struct labels labels;

	test_store_init(&f->store);
	assert_int_equal(labels_build(&f->store.arena, &pair, 1, &labels, NULL), 0);
	f->series = test_store_series(&f->store, &labels);
}

enum kind {
	WHOLE,     /* Whole numbers, as of bytes. */
	FRACTIONS, /* Of all sizes. */
	REPEATED,  /* The same few values, zeros of both signs among them. */
	UNRULY,    /* All that a double can be, often. */
	COUNTER,   /* Grows, from little, and is reset seldom. */
	NEARLY,    /* Fractions, and seldom something unruly. */
	KINDS,
};

static double unruly_value(struct rand *rand) {
	static const double values[] = { 0, -0.0, HUGE_VAL, -HUGE_VAL, 1.7e308, -1.7e308, 5e-324 };
	uint64_t choice = rand_below(rand, 20);

	if (choice < 7) {
		return values[choice];
	}
	if (choice < 10) {
		return double_of_bits(choice == 9 ? STALE_NAN_BITS : NORMAL_NAN_BITS + choice);
	}
	return rand_unit(rand) - 0.5;
}

static double some_value(struct rand *rand, enum kind kind, double before) {
	static const double repeated[] = { 0, -0.0, 1, -1, 1, 1, 2.5 };

	switch (kind) {
	case WHOLE:
		return (double)rand_below(rand, 100000) * 4096 - 1e8;
	case COUNTER:
		return rand_below(rand, 90) == 0 ? 0 : before + (double)rand_below(rand, 4) / 8;
	case REPEATED:
		return repeated[rand_below(rand, ARRAY_COUNT(repeated))];
	case UNRULY:
		return unruly_value(rand);
	case NEARLY:
		return rand_below(rand, 100) == 0 ? unruly_value(rand) : rand_unit(rand);
	case FRACTIONS:
	case KINDS:
		break;
	}
	return (rand_unit(rand) - 0.5) * exp2((double)rand_below(rand, 80));
}

/* Samples that come regularly but for some gaps, or at any time. */
static void fill(struct fixture *f, struct rand *rand) {
	enum kind kind = (enum kind)rand_below(rand, KINDS);
	size_t count = 1 + rand_below(rand, SAMPLES_MAX);
	bool is_regular = rand_below(rand, 3) > 0;
	bool has_gaps = rand_below(rand, 2) == 0;
	bool is_constant = rand_below(rand, 8) == 0;
	double value = some_value(rand, kind, 0);
	int64_t time_ms = 1000 * SECOND + (int64_t)rand_below(rand, 15000);

	for (size_t i = 0; i < count; i++) {
		if (!is_constant || rand_below(rand, 60) == 0) {
			value = some_value(rand, kind, value);
		}
		test_series_add(f->series, time_ms, value);
		time_ms += is_regular ? 15 * SECOND : 1 + (int64_t)rand_below(rand, 30000);
		if (has_gaps && rand_below(rand, 30) == 0) {
			time_ms += (int64_t)rand_below(rand, 40) * 15 * SECOND;
		}
	}
}

static void choose_windows(struct fixture *f, struct rand *rand) {
	static const int64_t steps_ms[] = { 15000, 15000, 60000, 60000, 77000, 1000, 900000 };
	static const int64_t ranges_ms[] = { 15000, 60000, 300000, 900000, 3600000, 3601001 };

	f->grid = (struct grid){
		.start_ms = 900 * SECOND + (int64_t)rand_below(rand, 600) * SECOND,
		.step_ms = steps_ms[rand_below(rand, ARRAY_COUNT(steps_ms))],
		.count = rand_below(rand, 8) == 0 ? 1 : 1 + rand_below(rand, 100),
	};
	f->range_ms = ranges_ms[rand_below(rand, ARRAY_COUNT(ranges_ms))];
	f->offset_ms = rand_below(rand, 4) == 0 ? (int64_t)rand_below(rand, 100000) : 0;
	f->is_fixed = rand_below(rand, 16) == 0;
}

static void take_window(const struct fixture *f, size_t step, struct window *out) {
	const struct sample_column *samples = &f->series->samples;
	size_t at = f->is_fixed ? f->grid.count - 1 : step;
	int64_t end_ms = grid_time(&f->grid, at) - f->offset_ms;

	out->count = 0;
	out->step_ms = grid_time(&f->grid, step);
	out->start_ms = end_ms - f->range_ms;
	out->end_ms = end_ms;
	for (size_t i = 0; i < samples->count; i++) {
		if (samples->times_ms[i] > end_ms - f->range_ms && samples->times_ms[i] <= end_ms &&
			!is_stale(samples->values[i])) {
			out->times_ms[out->count] = samples->times_ms[i];
			out->values[out->count++] = samples->values[i];
		}
	}
}

static const struct definition {
	const char *format; /* With %s for the range vector. */
	define_fn *define;
	double args[2];
} definitions[] = {
	{ "max_over_time(%s)", define_max, { 0 } },
	{ "min_over_time(%s)", define_min, { 0 } },
	{ "ts_of_max_over_time(%s)", define_ts_of_max, { 0 } },
	{ "ts_of_min_over_time(%s)", define_ts_of_min, { 0 } },
	{ "rate(%s)", define_rate, { 0 } },
	{ "increase(%s)", define_increase, { 0 } },
	{ "delta(%s)", define_delta, { 0 } },
	{ "irate(%s)", define_irate, { 0 } },
	{ "idelta(%s)", define_idelta, { 0 } },
	{ "resets(%s)", define_resets, { 0 } },
	{ "changes(%s)", define_changes, { 0 } },
	{ "sum_over_time(%s)", define_sum, { 0 } },
	{ "avg_over_time(%s)", define_avg, { 0 } },
	{ "stdvar_over_time(%s)", define_stdvar, { 0 } },
	{ "stddev_over_time(%s)", define_stddev, { 0 } },
	{ "quantile_over_time(0.95, %s)", define_quantile, { 0.95 } },
	{ "quantile_over_time(0, %s)", define_quantile, { 0 } },
	{ "quantile_over_time(1, %s)", define_quantile, { 1 } },
	{ "quantile_over_time(0.3, %s)", define_quantile, { 0.3 } },
	{ "quantile_over_time(2, %s)", define_quantile, { 2 } },
	{ "mad_over_time(%s)", define_mad, { 0 } },
	{ "deriv(%s)", define_deriv, { 0 } },
	{ "predict_linear(%s, 3600)", define_predict, { 3600 } },
	{ "double_exponential_smoothing(%s, 0.3, 0.6)", define_smoothing, { 0.3, 0.6 } },
};

static bool is_same(double a, double b) {
	return double_bits(a) == double_bits(b) || (isnan(a) && isnan(b));
}

static void check_steps(const struct fixture *f, const struct definition *definition,
	const char *query, const struct steps *got, int round) {
	static struct window window;

	for (size_t i = 0; i < f->grid.count; i++) {
		bool has = got->count > 0 && step_present(&got->columns[0], i);
		double value = has ? got->columns[0].values[i] : 0;
		double expected = 0;
		bool wanted;

		take_window(f, i, &window);
		memcpy(window.args, definition->args, sizeof(window.args));
		wanted = window.count > 0 && definition->define(&window, &expected);
		if (has != wanted || (has && !is_same(value, expected))) {
			fail_msg("round %d: %s at step %zu of %zu: %s %.17g (%016" PRIx64
				 "), expected %s %.17g (%016" PRIx64 ")",
				round, query, i, f->grid.count, has ? "value" : "none", value,
				double_bits(value), wanted ? "value" : "none", expected,
				double_bits(expected));
		}
	}
}

static void check(struct fixture *f, const struct definition *definition, int round) {
	const struct query_params params = { .grid = f->grid, .is_range = f->grid.count > 1 };
	AUTO(arena_deinit) struct arena arena = { 0 };
	AUTO(expr_tree_deinit) struct expr_tree tree = { 0 };
	struct query_result result;
	struct err err = { 0 };
	char selector[80];
	char query[160];

	snprintf(selector, sizeof(selector), "x[%" PRId64 "ms] %s offset %" PRId64 "ms",
		f->range_ms, f->is_fixed ? "@ end()" : "", f->offset_ms);
	snprintf(query, sizeof(query), definition->format, selector);
	assert_ok(promql_parse(
			  str_of(query), &(struct parse_options){ true, true, true }, &tree, &err),
		err);
	assert_ok(engine_eval(f->engine, &f->store.store, &tree, &params, &arena, &result, &err),
		err);
	check_steps(f, definition, query, &result.steps, round);
}

static void a_function_gives_what_it_is_defined_as(void **state) {
	const struct engine_options options = { .lookback_ms = 300 * SECOND,
		.default_subquery_step_ms = 60 * SECOND,
		.query_bytes_max = 64 << 20,
		.process_bytes_max = 64 << 20,
		.parse = { true, true, true } };
	const char *rounds = getenv("ROUNDS"); // NOLINT(concurrency-mt-unsafe): tests only
	struct fixture f = { 0 };
	struct rand rand;

	(void)state;
	rand_init(&rand, 11);
	clock_init_manual(&f.clock, 1000);
	f.engine = engine_new(&options, &f.clock);
	for (int round = 0; round < (rounds ? atoi(rounds) : ROUNDS); round++) {
		add_series(&f);
		fill(&f, &rand);
		for (int k = 0; k < 3; k++) {
			choose_windows(&f, &rand);
			for (size_t i = 0; i < ARRAY_COUNT(definitions); i++) {
				check(&f, &definitions[i], round);
			}
		}
		test_store_deinit(&f.store);
	}
	engine_free(f.engine);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(a_function_gives_what_it_is_defined_as),
	};

	return TEST_RUN(tests);
}
