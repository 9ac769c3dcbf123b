/*
 * A grammar of PromQL whose choices are drawn from bytes: what the fuzzer asks the evaluator. A
 * test looks that it reaches all of the language.
 */
#ifndef PROMQL_FUZZ_GRAMMAR_H
#define PROMQL_FUZZ_GRAMMAR_H

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* How deep what make_vector adds may nest. */
#define GRAMMAR_DEPTH 4

/* Draws choices from the fuzzer's bytes; after their end, zeros. */
struct choices {
	const uint8_t *at;
	const uint8_t *end;
};

/* What is made. */
struct query {
	struct choices *choices;
	struct buf text;
	/* The answer at a step may depend on the other steps: on start() or step(), or on the order
	 * in which groups first appeared, where rounding or ties depend on order. */
	bool sees_grid;
	bool sees_order;
	bool regroups; /* Something in it makes its series in an order of its own. */
};

static inline uint8_t take(struct choices *choices) {
	return choices->at < choices->end ? *choices->at++ : 0;
}

static inline const char *pick_of(
	struct choices *choices, const char *const words[], size_t count) {
	return words[take(choices) % count];
}

#define PICK(choices, words) pick_of((choices), (words), ARRAY_COUNT(words))

/* Adds an expression of that type which nests at most 'depth' deep. */
static inline void make_vector(struct query *query, size_t depth);
static inline void make_scalar(struct query *query, size_t depth);

static inline void add(struct query *query, const char *text) {
	buf_add_str(&query->text, str_of(text));
}

static inline void make_duration(struct query *query) {
	static const char *const words[] = { "1m", "15s", "30s", "45s", "2m", "5m", "7s", "1s",
		"1m + 15s", "max_of(step(), 1m)", "range() + 1s", "-(-1m)", "+30s", "3m - 1m",
		"30s * 2", "5m / 4", "2m % 90s", "2s ^ 5", "min_of(range(), 2m)" };
	const char *word = PICK(query->choices, words);

	query->sees_grid |= strstr(word, "()") != NULL;
	add(query, word);
}

static inline void make_shift(struct query *query) {
	static const char *const words[] = { "", "", "", " offset 30s", " offset -1m", " @ 100",
		" @ 100.5 offset 1m", " @ start()", " @ end()", " smoothed", " anchored",
		" offset (15s * 3)" };
	const char *word = PICK(query->choices, words);

	query->sees_grid |= strstr(word, "()") != NULL;
	add(query, word);
}

static inline void make_selector(struct query *query) {
	static const char *const words[] = { "m", "n", "h_bucket", "g", "{__name__=~\"m|g\"}",
		"{__name__=~\"m|n\"}", "m{job=\"1\"}", "{job!=\"\"}", "n{b=~\"x|\"}",
		"m{job=\"none\"}" };

	add(query, PICK(query->choices, words));
}

static inline void make_range(struct query *query, size_t depth) {
	if (depth > 0 && take(query->choices) % 3 == 0) {
		make_vector(query, depth - 1);
		add(query, "[");
		make_duration(query);
		add(query, ":");
		if (take(query->choices) % 4 != 0) {
			make_duration(query);
		}
		add(query, "]");
	} else {
		static const char *const ends[] = { "]", "]", "]", "] anchored", "] smoothed" };

		make_selector(query);
		add(query, "[");
		make_duration(query);
		add(query, PICK(query->choices, ends));
	}
	make_shift(query);
}

/* What an aggregate is of; 'is_sensitive' if the order of its series shows in the answer. */
static inline void make_aggregated(struct query *query, size_t depth, bool is_sensitive) {
	bool regroups = query->regroups;

	query->regroups = false;
	make_vector(query, depth);
	query->sees_order |= is_sensitive && query->regroups;
	query->regroups |= regroups;
}

static inline void make_grouping(struct query *query) {
	static const char *const words[] = { "", "", " by (job)", " by (job, b)", " without (b)",
		" by (le)", " without (le, job)", " by (__name__)" };

	add(query, PICK(query->choices, words));
}

static inline void make_aggregate(struct query *query, size_t depth) {
	static const char *const words[] = { "sum", "avg", "stddev", "stdvar", "topk", "bottomk",
		"limitk", "count", "min", "max", "group", "quantile", "count_values",
		"limit_ratio" };
	size_t index = take(query->choices) % ARRAY_COUNT(words);
	const char *word = words[index];
	bool has_param = (index >= 4 && index <= 6) || index == 11 || index == 13;

	add(query, word);
	make_grouping(query);
	add(query, "(");
	if (strcmp(word, "count_values") == 0) {
		add(query, "\"v\", ");
	} else if (has_param) {
		size_t start = query->text.len;

		make_scalar(query, depth - 1);
		/* As in Prometheus, what aggregates an invariant takes its parameter once. */
		query->sees_grid |= strchr(buf_text(&query->text) + start, '(') != NULL;
		add(query, ", ");
	}
	make_aggregated(query, depth - 1, index <= 6);
	add(query, ")");
	query->regroups = true;
}

static inline void make_operator(struct query *query) {
	static const char *const words[] = { "+", "-", "*", "/", "%", "^", "atan2", "==", "!=", "<",
		">", "<=", ">=", "== bool", "!= bool", "< bool", "> bool", "<= bool", ">= bool",
		"</", ">/" };

	add(query, " ");
	add(query, PICK(query->choices, words));
	add(query, " ");
}

static inline void make_matching(struct query *query, bool is_set) {
	static const char *const words[] = { "", "on (job) ", "on (job, b) ", "ignoring (b) ",
		"on () ", "ignoring (job, b, le) " };
	static const char *const groups[] = { "", "group_left ", "group_right () ",
		"group_left (b) ", "group_right (b) ", "fill (0) ", "fill_left (1) ",
		"group_left () fill_right (2) " };
	const char *word = PICK(query->choices, words);

	add(query, word);
	if (*word && !is_set) {
		add(query, PICK(query->choices, groups));
	}
}

/* Now and then what was added from 'start' to 'end', which is evaluated once then. */
static inline void make_right(struct query *query, size_t depth, size_t start, size_t end) {
	AUTO(buf_deinit) struct buf left = { 0 };

	if (take(query->choices) % 8 != 1) {
		make_vector(query, depth);
		return;
	}
	buf_add_str(&left, str_from(str_first(buf_str(&query->text), end), start));
	buf_add_str(&query->text, buf_str(&left));
}

static inline void make_binary(struct query *query, size_t depth) {
	static const char *const sets[] = { " and ", " or ", " unless " };
	uint8_t kind = take(query->choices) % 4;
	size_t start = query->text.len;
	size_t end;

	query->regroups = true;
	if (kind == 0) {
		make_scalar(query, depth - 1);
	} else {
		make_vector(query, depth - 1);
	}
	end = query->text.len;
	if (kind == 3) {
		add(query, PICK(query->choices, sets));
	} else {
		make_operator(query);
	}
	if (kind >= 2) {
		make_matching(query, kind == 3);
	}
	if (kind == 1) {
		make_scalar(query, depth - 1);
	} else if (kind == 0) {
		make_vector(query, depth - 1);
	} else {
		make_right(query, depth - 1, start, end);
	}
}

static inline void make_range_call(struct query *query, size_t depth) {
	static const char *const words[] = { "rate", "increase", "delta", "irate", "idelta",
		"resets", "changes", "deriv", "avg_over_time", "sum_over_time", "min_over_time",
		"max_over_time", "count_over_time", "last_over_time", "first_over_time",
		"stddev_over_time", "stdvar_over_time", "mad_over_time", "present_over_time",
		"absent_over_time", "ts_of_max_over_time", "ts_of_min_over_time",
		"ts_of_first_over_time", "ts_of_last_over_time", "predict_linear",
		"quantile_over_time", "double_exponential_smoothing" };
	const char *word = PICK(query->choices, words);

	add(query, word);
	add(query, "(");
	if (strcmp(word, "quantile_over_time") == 0) {
		make_scalar(query, depth - 1);
		add(query, ", ");
	}
	make_range(query, depth - 1);
	if (strcmp(word, "predict_linear") == 0) {
		add(query, ", ");
		make_scalar(query, depth - 1);
	} else if (strcmp(word, "double_exponential_smoothing") == 0) {
		add(query, ", 0.5, 0.25");
	}
	add(query, ")");
}

static inline void make_vector_call(struct query *query, size_t depth) {
	/* What comes before and after the argument. */
	static const char *const words[][2] = { { "abs(", ")" }, { "ceil(", ")" }, { "sqrt(", ")" },
		{ "floor(", ")" }, { "exp(", ")" }, { "log2(", ")" }, { "log10(", ")" },
		{ "deg(", ")" }, { "rad(", ")" }, { "sin(", ")" }, { "sinh(", ")" },
		{ "asin(", ")" }, { "asinh(", ")" }, { "cos(", ")" }, { "cosh(", ")" },
		{ "acos(", ")" }, { "acosh(", ")" }, { "tan(", ")" }, { "tanh(", ")" },
		{ "atan(", ")" }, { "atanh(", ")" }, { "minute(", ")" }, { "year(", ")" },
		{ "day_of_month(", ")" }, { "day_of_week(", ")" }, { "day_of_year(", ")" },
		{ "round(", ")" }, { "start_timestamp(", ")" }, { "clamp_min(", ", 1)" },
		{ "sort_by_label_desc(", ", \"b\", \"job\")" },
		{ "label_join(", ", \"job\", \"\")" }, { "info(", ")" }, { "ln(", ")" },
		{ "sgn(", ")" }, { "hour(", ")" }, { "month(", ")" }, { "days_in_month(", ")" },
		{ "round(", ", 0.3)" }, { "clamp(", ", 0, 2)" }, { "clamp_max(", ", 1)" },
		{ "absent(", ")" }, { "timestamp(", ")" }, { "sort(", ")" }, { "sort_desc(", ")" },
		{ "sort_by_label(", ", \"job\")" },
		{ "label_replace(", ", \"b\", \"$1\", \"job\", \"(.*)\")" },
		{ "label_replace(", ", \"job\", \"\", \"\", \"\")" },
		{ "label_replace(", ", \"__name__\", \"o\", \"job\", \".*\")" },
		{ "label_join(", ", \"b\", \"-\", \"job\", \"b\")" }, { "histogram_count(", ")" },
		{ "histogram_sum(", ")" }, { "histogram_avg(", ")" }, { "histogram_stddev(", ")" },
		{ "histogram_stdvar(", ")" }, { "histogram_quantile(0.9, ", ")" },
		{ "histogram_quantile(0.5, ", ")" },
		{ "histogram_quantiles(", ", \"q\", 0.1, 0.9)" },
		{ "histogram_fraction(0, 1, ", ")" }, { "info(", ", {__name__=\"n\"})" },
		{ "info(", ", {__name__=~\"m|n\", b=~\"x|\"})" }, { "-", "" }, { "(", ")" },
		{ "+", "" } };
	size_t index = take(query->choices) % ARRAY_COUNT(words);

	query->regroups |= strchr("his", words[index][0][0]) != NULL;
	add(query, words[index][0]);
	make_vector(query, depth - 1);
	add(query, words[index][1]);
}

static inline void make_vector(struct query *query, size_t depth) {
	uint8_t kind = take(query->choices) % 8;

	if (depth == 0 || kind <= 1) {
		make_selector(query);
		make_shift(query);
	} else if (kind == 2) {
		make_aggregate(query, depth);
	} else if (kind == 3) {
		add(query, "(");
		make_binary(query, depth);
		add(query, ")");
	} else if (kind <= 5) {
		make_range_call(query, depth);
	} else if (kind == 6) {
		make_vector_call(query, depth);
	} else {
		add(query, "vector(");
		make_scalar(query, depth - 1);
		add(query, ")");
	}
}

static inline void make_scalar(struct query *query, size_t depth) {
	static const char *const words[] = { "1", "2", "0.5", "-1", "0", "NaN", "Inf", "1e300",
		"time()", "pi()", "1m", "step()", "start()", "range()", "end()" };
	static const char *const operators[] = { " - ", " - ", " + ", " * ", " / ", " % ", " ^ ",
		" atan2 ", " == bool ", " != bool ", " < bool ", " > bool ", " <= bool ",
		" >= bool " };
	uint8_t kind = take(query->choices) % 6;
	const char *word;

	if (depth == 0 || kind <= 2) {
		word = PICK(query->choices, words);
		query->sees_grid |= strchr("ers", word[0]) != NULL;
		add(query, word);
	} else if (kind == 3) {
		add(query, "scalar(");
		make_vector(query, depth - 1);
		add(query, ")");
	} else if (kind == 4) {
		add(query, take(query->choices) % 2 ? "max_of(" : "min_of(");
		make_scalar(query, depth - 1);
		add(query, ", ");
		make_scalar(query, depth - 1);
		add(query, ")");
	} else {
		make_scalar(query, depth - 1);
		add(query, PICK(query->choices, operators));
		make_scalar(query, depth - 1);
	}
}

#endif
