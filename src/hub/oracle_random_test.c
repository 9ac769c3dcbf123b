/*
 * Random queries over random fleets against one engine over all their data. Prints its seed;
 * SEED=... repeats a run, QUERIES=... makes it longer.
 *
 * Samples are whole numbers, so that sums are exact in any order and an answer has to agree bit for
 * bit, except where the query divides before it sums, averages or takes deviations; then nothing
 * that would turn a last bit into another series (comparisons, rounding, ranks) is put on top.
 */
#include "base/rand.h"
#include "base/test.h"
#include "hub/agree_test.h"

#include <time.h>

#define END_MS 3600000
#define SAMPLES_MAX 256

/* What is known of an expression made. */
enum nature {
	WHOLE,  /* Whole numbers, NaN and infinities. */
	BROKEN, /* Fractions, or too large to be exact in sums; the same bits everywhere. */
	NOISY,  /* The last bits depend on the order of summing. */
};

struct maker {
	struct rand rand;
	struct buf out;
	const struct fleet *fleet;
};

static bool chance(struct maker *m, unsigned percent) {
	return rand_below(&m->rand, 100) < percent;
}

static const char *pick(struct maker *m, const char *const *choices, size_t count) {
	return choices[rand_below(&m->rand, count)];
}

#define PICK(maker, ...)                                                                           \
	pick((maker), (const char *const[]){ __VA_ARGS__ },                                        \
		ARRAY_COUNT(((const char *const[]){ __VA_ARGS__ })))

static void put(struct maker *m, const char *text) {
	buf_add_text(&m->out, text);
}

static enum nature worse(enum nature a, enum nature b) {
	return a > b ? a : b;
}

static enum nature make_vector(struct maker *m, int depth, enum nature worst);

static void make_label_list(struct maker *m) {
	static const char *const names[] = { "pod", "job", "cluster" };
	const char *comma = "";
	put(m, "(");
	for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
		if (chance(m, 40)) {
			put(m, comma);
			put(m, names[i]);
			comma = ", ";
		}
	}
	if (chance(m, 5)) {
		put(m, comma);
		put(m, "__name__");
	}
	put(m, ")");
}

static void make_matchers(struct maker *m) {
	const char *comma = "";
	if (!chance(m, 50)) {
		return;
	}
	put(m, "{");
	if (chance(m, 50)) {
		buf_printf(&m->out, "pod%s\"%s\"", PICK(m, "=", "!=", "=~", "!~"),
			PICK(m, "p1", "p2", "p1|p3", "", "p.*"));
		comma = ",";
	}
	if (chance(m, 60)) {
		const char *name = m->fleet->names[rand_below(&m->rand, m->fleet->count)];
		buf_printf(&m->out, "%scluster%s\"%s\"", comma, PICK(m, "=", "!=", "=~", "!~"),
			chance(m, 60) ? name : PICK(m, "", ".+", "north|east", "e.*", "none"));
	}
	put(m, "}");
}

static void make_shift(struct maker *m) {
	if (chance(m, 15)) {
		buf_printf(&m->out, " offset %ds", (int)rand_below(&m->rand, 600) - 200);
	}
	if (chance(m, 8)) {
		buf_printf(&m->out, " @ %s",
			PICK(m, "start()", "end()", "1800", "2000.123", "-60", "3700"));
	}
}

static void make_selector(struct maker *m) {
	put(m, PICK(m, "n", "n", "u", "c", "sparse", "odd", "gone"));
	make_matchers(m);
}

static void make_range(struct maker *m, int depth, enum nature worst, enum nature *inside) {
	*inside = WHOLE;
	if (chance(m, 60) || depth <= 0) {
		make_selector(m);
		if (chance(m, 5)) {
			put(m, "[range() + step() + 1m]");
		} else {
			buf_printf(&m->out, "[%ds]", (int)rand_below(&m->rand, 600) + 1);
		}
	} else if (chance(m, 10)) {
		put(m, "(");
		*inside = make_vector(m, depth - 1, worst);
		put(m, ")[5m:]");
	} else {
		put(m, "(");
		*inside = make_vector(m, depth - 1, worst);
		buf_printf(&m->out, ")[%ds:%ds]", (int)rand_below(&m->rand, 300) + 30,
			(int)rand_below(&m->rand, 60) + 7);
	}
	make_shift(m);
}

static enum nature make_over_time(struct maker *m, int depth, enum nature worst) {
	enum nature inside = WHOLE;
	if (chance(m, 50)) {
		put(m, PICK(m, "max_over_time", "min_over_time", "last_over_time",
			       "count_over_time", "present_over_time", "first_over_time"));
		put(m, "(");
		make_range(m, depth, worst, &inside);
		put(m, ")");
		return inside;
	}
	if (chance(m, 30)) {
		buf_printf(&m->out, "quantile_over_time(%s, ", PICK(m, "0.5", "0.9", "-1", "2"));
	} else if (chance(m, 20)) {
		put(m, "predict_linear(");
		make_range(m, depth, worst < BROKEN ? worst : BROKEN, &inside);
		put(m, ", 60)");
		return worse(inside, BROKEN);
	} else if (chance(m, 15)) {
		/* Only a selector may be so. */
		put(m, PICK(m, "rate(", "increase(", "delta("));
		make_selector(m);
		put(m, PICK(m, "[2m] anchored", "[5m] smoothed", "[77s] smoothed"));
		make_shift(m);
		put(m, ")");
		return BROKEN;
	} else {
		put(m, PICK(m, "rate", "increase", "delta", "avg_over_time", "sum_over_time",
			       "stddev_over_time", "stdvar_over_time", "deriv", "irate", "idelta",
			       "changes", "resets", "mad_over_time", "ts_of_max_over_time",
			       "ts_of_last_over_time"));
		put(m, "(");
	}
	/* A reset is found by comparing. */
	make_range(m, depth, worst < BROKEN ? worst : BROKEN, &inside);
	put(m, ")");
	return worse(inside, BROKEN);
}

static void make_scalar(struct maker *m, int depth) {
	if (depth > 0 && chance(m, 15)) {
		put(m, "scalar(");
		(void)make_vector(m, depth - 1, BROKEN);
		put(m, ")");
		return;
	}
	put(m, PICK(m, "2", "3", "0", "-1", "10", "NaN", "+Inf", "time()", "100", "50", "start()",
		       "end()", "range()", "step()", "pi()", "(time() - 7)", "scalar(vector(4))"));
}

static void make_grouping(struct maker *m) {
	if (!chance(m, 25)) {
		put(m, chance(m, 50) ? " by " : " without ");
		make_label_list(m);
	}
	put(m, " (");
}

static enum nature make_aggregate(struct maker *m, int depth, enum nature worst) {
	enum nature inside;
	if (chance(m, 10)) {
		/* Values of u never tie. */
		put(m, PICK(m, "topk", "bottomk"));
		make_grouping(m);
		put(m, PICK(m, "1, ", "2, ", "5, ", "0, ", "-1, ", "1.9, ",
			       "scalar(n{pod=\"p1\"}), ", "scalar(count(u)) / 2, "));
		put(m, "u");
		make_matchers(m);
		put(m, ")");
		return WHOLE;
	}
	if (chance(m, 10)) {
		put(m, "count_values");
		make_grouping(m);
		put(m, PICK(m, "\"v\", ", "\"pod\", ", "\"cluster\", ", "\"job\", "));
		(void)make_vector(m, depth - 1, BROKEN);
		put(m, ")");
		return WHOLE;
	}
	if (chance(m, 10)) {
		put(m, "quantile");
		make_grouping(m);
		put(m, PICK(m, "0.5, ", "0.99, ", "-1, ", "2, ", "NaN, ", "scalar(n) / 6, "));
		inside = make_vector(m, depth - 1, worst);
		put(m, ")");
		return worse(inside, BROKEN);
	}
	if (chance(m, 10) && worst == NOISY) {
		put(m, PICK(m, "stddev", "stdvar"));
		make_grouping(m);
		(void)make_vector(m, depth - 1, WHOLE);
		put(m, ")");
		return NOISY;
	}
	if (chance(m, 40)) {
		put(m, PICK(m, "sum", "avg"));
		make_grouping(m);
		inside = make_vector(m, depth - 1, worst == NOISY ? NOISY : WHOLE);
		put(m, ")");
		return inside == WHOLE ? BROKEN : NOISY;
	}
	const char *op = PICK(m, "min", "max", "group", "count", "limit_ratio");
	put(m, op);
	make_grouping(m);
	put(m, strcmp(op, "limit_ratio") == 0
			? PICK(m, "0.5, ", "-0.5, ", "1, ", "0, ", "-0.9, ", "scalar(n), ")
			: "");
	inside = make_vector(m, depth - 1, worst);
	put(m, ")");
	return inside;
}

static enum nature make_with_scalar(struct maker *m, int depth, enum nature worst) {
	enum nature inside;
	if (chance(m, 50)) {
		inside = make_vector(m, depth - 1, worst);
		put(m, PICK(m, " + ", " - ", " * "));
		make_scalar(m, depth);
		return worse(inside, BROKEN);
	}
	if (chance(m, 30)) {
		make_scalar(m, depth);
		put(m, PICK(m, " - ", " / ", " % ", " < bool ", " >= ", " ^ ", " atan2 "));
		(void)make_vector(m, depth - 1, BROKEN);
		return BROKEN;
	}
	inside = make_vector(m, depth - 1, BROKEN);
	put(m, PICK(m, " > ", " < ", " == ", " != ", " >= bool ", " == bool ", " / ", " % "));
	make_scalar(m, depth);
	return worse(inside, BROKEN);
}

static void make_matching(struct maker *m, bool is_set) {
	if (chance(m, 40)) {
		put(m, " ");
		return;
	}
	put(m, PICK(m, " on ", " ignoring "));
	make_label_list(m);
	if (!is_set && chance(m, 40)) {
		put(m, PICK(m, " group_left ", " group_right "));
		if (chance(m, 30)) {
			put(m, PICK(m, "(cluster)", "(pod)", "(job)", "()"));
		}
	}
	if (!is_set && chance(m, 15)) {
		put(m, PICK(m, " fill (0)", " fill_left (1)", " fill_right (NaN)",
			       " fill_left (2) fill_right (3)"));
	}
	put(m, " ");
}

static enum nature make_binary(struct maker *m, int depth, enum nature worst) {
	bool is_set = chance(m, 40);
	/* Set operators and filters on noise are exact in their labels all the same. */
	enum nature left = make_vector(m, depth - 1, is_set ? worst : BROKEN);
	put(m, is_set ? PICK(m, " and", " or", " unless")
		      : PICK(m, " +", " -", " *", " /", " ==", " >", " < bool", " !="));
	make_matching(m, is_set);
	enum nature right = make_vector(m, depth - 1, is_set ? worst : BROKEN);
	return worse(BROKEN, worse(left, right));
}

static enum nature make_label_call(struct maker *m, int depth, enum nature worst) {
	bool is_join = chance(m, 40);
	put(m, is_join ? "label_join(" : "label_replace(");
	enum nature inside = make_vector(m, depth - 1, worst);
	if (is_join) {
		buf_printf(&m->out, ", \"%s\", \"-\", \"%s\", \"%s\")",
			PICK(m, "x", "pod", "cluster"), PICK(m, "pod", "cluster", "job"),
			PICK(m, "cluster", "pod", "none"));
	} else {
		buf_printf(&m->out, ", \"%s\", \"%s\", \"%s\", \"%s\")",
			PICK(m, "x", "pod", "cluster"), PICK(m, "$1", "a$1b", "fixed", ""),
			PICK(m, "pod", "cluster", "job", "none"), PICK(m, "(.*)", "p(.)", "e(.*)"));
	}
	return inside;
}

static enum nature make_call(struct maker *m, int depth, enum nature worst) {
	enum nature inside;
	if (chance(m, 20)) {
		const char *name = PICK(m, "abs", "sort", "sort_desc", "sort_by_label", "-", "");
		put(m, name);
		put(m, "(");
		inside = make_vector(m, depth - 1, worst);
		put(m, strcmp(name, "sort_by_label") == 0 ? ", \"cluster\", \"pod\")" : ")");
		return inside;
	}
	if (chance(m, 20)) {
		put(m, PICK(m, "round(", "floor(", "sgn(", "exp(", "sqrt(", "day_of_week(",
			       "timestamp(", "ln(", "cos(", "atanh(", "deg(", "hour(",
			       "days_in_month("));
		(void)make_vector(m, depth - 1, BROKEN);
		put(m, ")");
		return BROKEN;
	}
	if (chance(m, 25)) {
		put(m, "absent(");
		(void)make_vector(m, depth - 1, BROKEN);
		put(m, ")");
		return WHOLE;
	}
	if (chance(m, 25)) {
		put(m, "absent_over_time(");
		make_range(m, depth, BROKEN, &inside);
		put(m, ")");
		return WHOLE;
	}
	if (chance(m, 25)) {
		put(m, PICK(m, "clamp_min(", "clamp_max("));
		(void)make_vector(m, depth - 1, BROKEN);
		put(m, ", ");
		make_scalar(m, depth);
		put(m, ")");
		return BROKEN;
	}
	if (chance(m, 30)) {
		put(m, "vector(");
		make_scalar(m, depth);
		put(m, ")");
		return BROKEN;
	}
	if (chance(m, 30)) {
		put(m, PICK(m, "histogram_quantile(0.9, sum", "histogram_quantile(scalar(n), sum",
			       "histogram_fraction(0, 1, sum"));
		make_grouping(m);
		put(m, "h_bucket");
		make_matchers(m);
		put(m, "))");
		return BROKEN;
	}
	return make_label_call(m, depth, worst);
}

/* Appends an expression that is no worse than 'worst'. */
static enum nature make_vector(struct maker *m, int depth, enum nature worst) {
	if (depth <= 0) {
		make_selector(m);
		make_shift(m);
		return WHOLE;
	}
	switch (rand_below(&m->rand, worst == WHOLE ? 4 : 10)) {
	case 0:
	case 1:
		make_selector(m);
		make_shift(m);
		return WHOLE;
	case 2:
		put(m, "count");
		make_grouping(m);
		(void)make_vector(m, depth - 1, BROKEN);
		put(m, ")");
		return WHOLE;
	case 3:
		put(m, PICK(m, "max", "min"));
		make_grouping(m);
		(void)make_vector(m, depth - 1, WHOLE);
		put(m, ")");
		return WHOLE;
	case 4:
		return make_over_time(m, depth, worst);
	case 5:
		put(m, "(");
		(void)make_with_scalar(m, depth, worst);
		put(m, ")");
		return worst;
	case 6:
		put(m, "(");
		(void)make_binary(m, depth, worst);
		put(m, ")");
		return worst;
	case 7:
		return make_call(m, depth, worst);
	default:
		/* A sum of fractions is noise, which not everything may stand on. */
		return worst == NOISY ? make_aggregate(m, depth, worst)
				      : make_over_time(m, depth, worst);
	}
}

/* A whole query. Returns how its answer has to agree. */
static enum exactness make_query(struct maker *m, bool is_range) {
	enum nature inside = WHOLE;
	if (!is_range && chance(m, 4)) {
		make_range(m, 3, WHOLE, &inside);
		return inside == NOISY ? LOOSE : EXACT;
	}
	if (chance(m, 4)) {
		make_scalar(m, 3);
		return EXACT;
	}
	return make_vector(m, 4, NOISY) == NOISY ? LOOSE : EXACT;
}

static double random_value(struct rand *rand, double around) {
	switch (rand_below(rand, 40)) {
	case 0:
		return (double)NAN;
	case 1:
		return (double)INFINITY;
	case 2:
		return (double)-INFINITY;
	case 3:
		return double_of_bits(STALE_NAN_BITS);
	default:
		return around + (double)rand_below(rand, 20) - 10;
	}
}

static void add_random_series(
	struct fleet *fleet, struct rand *rand, size_t cluster, const char *name, int index) {
	/* Every other cluster stores a label that the hub's has to replace. */
	const char *stored = cluster % 2 == 1 ? ",cluster=\"stored\"" : "";
	int64_t times_ms[SAMPLES_MAX];
	double values[SAMPLES_MAX];
	char metric[128];
	size_t count = 0;
	double level = 0;
	int64_t every_ms = strcmp(name, "sparse") == 0 ? 240000 : 15000;
	int64_t phase_ms = (int64_t)rand_below(rand, 15000);
	for (int64_t t = phase_ms; t <= END_MS && count < SAMPLES_MAX; t += every_ms) {
		if (rand_below(rand, 20) == 0) {
			continue;
		}
		times_ms[count] = t;
		level = rand_below(rand, 50) == 0 ? 0 : level + (double)rand_below(rand, 10);
		values[count++] = strcmp(name, "u") == 0     ? (double)(index * 100000 + t / 15000)
				  : strcmp(name, "odd") == 0 ? random_value(rand, 0)
				  : strcmp(name, "n") == 0   ? (double)rand_below(rand, 6)
							     : level;
	}
	if (strcmp(name, "h_bucket") == 0) {
		static const char *const bounds[] = { "0.1", "1", "10", "+Inf" };
		(void)snprintf(metric, sizeof(metric), "h_bucket{pod=\"p%d\",le=\"%s\"%s}",
			index / 4 % 3, bounds[index % 4], stored);
	} else {
		(void)snprintf(metric, sizeof(metric), "%s{pod=\"p%d\",job=\"j%d\"%s}", name,
			index % 4, index / 4 % 2, stored);
	}
	fleet_add(fleet, cluster, metric, times_ms, values, count);
}

static void build_random(struct fleet *fleet, struct rand *rand) {
	static const char *const names[] = { "east", "east-2", "north", "south", "west" };
	static const char *const metrics[] = { "n", "u", "c", "sparse", "odd" };
	int unique = 1;
	fleet_init(fleet, "cluster", names, 1 + rand_below(rand, ARRAY_COUNT(names)));
	for (size_t i = 0; i < fleet->count; i++) {
		for (size_t j = 0; j < ARRAY_COUNT(metrics); j++) {
			/* Labels repeat between clusters, never within one. */
			int first = (int)rand_below(rand, 8);
			int last = first + (int)rand_below(rand, 5);
			for (int k = first; k < last; k++) {
				bool is_unique = strcmp(metrics[j], "u") == 0;
				add_random_series(fleet, rand, i, metrics[j],
					is_unique ? 8 * unique++ + k % 8 : k % 8);
			}
		}
		for (int k = 0; k < 8; k++) {
			add_random_series(fleet, rand, i, "h_bucket", k);
		}
	}
	fleet_sort(fleet);
}

static struct query_params random_params(struct rand *rand) {
	struct query_params params = { 0 };
	params.grid.start_ms = (int64_t)rand_below(rand, END_MS / 500) * 500;
	params.grid.count = 1;
	if (rand_below(rand, 3) == 0) {
		params.lookback_ms = 1000 + (int64_t)rand_below(rand, 400000);
	}
	if (rand_below(rand, 2) == 0) {
		params.is_range = true;
		params.grid.step_ms = 1 + (int64_t)rand_below(rand, 200000);
		params.grid.count = 1 + rand_below(rand, 20);
		params.end_ms = grid_time(&params.grid, params.grid.count - 1) +
				(int64_t)rand_below(rand, (uint64_t)params.grid.step_ms);
	}
	return params;
}

static uint64_t number_of(const char *name, uint64_t otherwise) {
	const char *text = getenv(name); // NOLINT(concurrency-mt-unsafe): tests only
	uint64_t value = otherwise;
	if (text) {
		(void)str_to_u64(str_of(text), &value);
	}
	return value;
}

/* Random queries, each with random times; with 'failures' some requests fail. */
static void check_random(bool has_failures, uint64_t queries) {
	uint64_t seed = number_of("SEED", (uint64_t)time(NULL));
	struct maker maker = { 0 };
	struct fleet fleet = { 0 };
	size_t failed = 0;
	print_message("SEED=%" PRIu64 "\n", seed);
	rand_init(&maker.rand, seed);
	for (uint64_t i = 0; i < queries && failed < 5; i++) {
		if (i % 100 == 0) {
			if (i > 0) {
				fleet_deinit(&fleet);
			}
			build_random(&fleet, &maker.rand);
			fleet.failures = has_failures ? &maker.rand : NULL;
			maker.fleet = &fleet;
		}
		buf_reset(&maker.out);
		const struct query_params params = random_params(&maker.rand);
		enum exactness exactness = make_query(&maker, params.is_range);
		failed += !check_agrees(&fleet, buf_text(&maker.out), exactness, &params);
	}
	fleet_deinit(&fleet);
	buf_deinit(&maker.out);
	if (failed > 0) {
		fail_msg("%zu queries differ; repeat with SEED=%" PRIu64, failed, seed);
	}
}

static void answers_random_queries_as_one_engine(void **state) {
	(void)state;
	check_random(false, number_of("QUERIES", 1500));
}

static void without_the_missing_answers_as_one_engine_without_them(void **state) {
	(void)state;
	check_random(true, number_of("QUERIES", 1500) / 3);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(answers_random_queries_as_one_engine),
		TEST(without_the_missing_answers_as_one_engine_without_them),
	};
	return TEST_RUN(tests);
}
