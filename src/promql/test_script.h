/*
 * Scripts of PromQL tests, in the notation of Prometheus' own: load, eval, expect, clear. For
 * tests.
 *
 *   load 5m
 *     requests{job="a"} 0+10x10 _ stale 5
 *   eval instant at 50m sum(requests)
 *     {} 100
 *   eval range from 0 to 10m step 5m requests
 *     requests{job="a"} 0 10 20
 */
#ifndef PROMQL_TEST_SCRIPT_H
#define PROMQL_TEST_SCRIPT_H

#include "base/memory.h"
#include "cxx/number.h"
#include "promql/duration.h"
#include "promql/parse.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#define SCRIPT_VALUES_MAX 20000
#define SCRIPT_SERIES_MAX 3000
#define SCRIPT_NOTES_MAX 16

/* A value of the notation: a number, nothing, or what this store cannot hold. */
struct script_value {
	double value;
	bool is_omitted;
	bool is_histogram;
};

struct script_series {
	struct labels labels;
	struct script_value *values;
	size_t count;
	bool has_histograms;
	bool is_start_times; /* An @st line: start timestamps for the series after it. */
};

enum expect_kind {
	EXPECT_FAIL,
	EXPECT_WARN,
	EXPECT_NO_WARN,
	EXPECT_INFO,
	EXPECT_NO_INFO,
	EXPECT_ORDERED,
};

struct script_expect {
	enum expect_kind kind;
	bool is_regex; /* Else the exact message; both empty: any. */
	struct str text;
};

struct script_eval {
	size_t line;
	struct str query;
	bool is_range;
	int64_t start_ms;
	int64_t end_ms;
	int64_t step_ms;
	struct script_expect expects[SCRIPT_NOTES_MAX];
	size_t expect_count;
	bool has_scalar;
	double scalar;
	bool has_string;
	struct str string;
	bool has_matrix; /* expect range vector: these steps instead of one. */
	int64_t matrix_start_ms;
	int64_t matrix_step_ms;
	struct script_series *series;
	size_t series_count;
};

static const struct parse_options script_parse_options = { true, true, true };

static inline struct str script_word(struct str *text) {
	size_t start = 0;
	size_t end;

	while (start < text->len && isspace((unsigned char)text->ptr[start])) {
		start++;
	}
	end = start;
	while (end < text->len && !isspace((unsigned char)text->ptr[end])) {
		end++;
	}

	struct str word = { text->ptr + start, end - start };

	*text = str_from(*text, end);
	return word;
}

/* As script_word, but {{...}} holds spaces. */
static inline struct str script_item(struct str *text) {
	size_t start = 0;
	size_t end;
	size_t depth = 0;

	while (start < text->len && isspace((unsigned char)text->ptr[start])) {
		start++;
	}
	for (end = start; end < text->len; end++) {
		depth += text->ptr[end] == '{';
		depth -= text->ptr[end] == '}';
		if (depth == 0 && isspace((unsigned char)text->ptr[end])) {
			break;
		}
	}

	struct str word = { text->ptr + start, end - start };

	*text = str_from(*text, end);
	return word;
}

/* Where the metric of a series line ends. */
static inline size_t script_metric_len(struct str line) {
	char quote = 0;
	bool in_braces = false;

	for (size_t i = 0; i < line.len; i++) {
		char c = line.ptr[i];

		if (quote) {
			i += c == '\\';
			quote = c == quote ? 0 : quote;
		} else if (c == '"' || c == '\'') {
			quote = c;
		} else if (c == '{' || c == '}') {
			in_braces = c == '{';
			if (c == '}') {
				return i + 1;
			}
		} else if (!in_braces && isspace((unsigned char)c)) {
			return i;
		}
	}
	return line.len;
}

static inline int script_labels(
	struct arena *arena, struct str text, struct labels *out, struct err *err) {
	AUTO(expr_tree_deinit) struct expr_tree tree = { 0 };
	struct label pairs[LABELS_COUNT_MAX];
	const struct selector *selector;
	int rc;

	*out = (struct labels){ 0 };
	if (str_equal(text, STR("{}"))) {
		return 0;
	}
	rc = promql_parse(text, &script_parse_options, &tree, err);
	if (rc < 0) {
		return rc;
	}
	if (tree.root->kind != EXPR_SELECTOR) {
		return err_set(err, ERR_INVAL, "\"%.*s\" is no series", STR_ARG(text));
	}
	selector = &tree.root->u.selector;
	for (size_t i = 0; i < selector->matcher_count; i++) {
		pairs[i] =
			(struct label){ selector->matchers[i].name, selector->matchers[i].value };
	}
	return labels_build(arena, pairs, selector->matcher_count, out, err);
}

static inline bool script_number(struct str text, double *out) {
	bool overflow;

	return number_parse(text, out, &overflow);
}

/* Cuts "x5" off the end of an item. Returns false when it ends in no repetition. */
static inline bool script_cut_repeats(struct str *item, uint64_t *repeats) {
	for (size_t i = item->len; i > 1; i--) {
		if (item->ptr[i - 1] == 'x' && str_to_u64(str_from(*item, i), repeats)) {
			*item = str_first(*item, i - 1);
			return true;
		}
	}
	return false;
}

/* Cuts "+2" or "-2" off the end; the sign of an exponent is none. */
static inline bool script_cut_delta(struct str *item, double *delta) {
	for (size_t i = 1; i < item->len; i++) {
		bool is_sign = item->ptr[i] == '+' || item->ptr[i] == '-';

		if (is_sign && tolower((unsigned char)item->ptr[i - 1]) != 'e') {
			bool is_minus = item->ptr[i] == '-';
			bool is_number = script_number(str_from(*item, i + 1), delta);

			*delta = is_minus ? -*delta : *delta;
			*item = str_first(*item, i);
			return is_number;
		}
	}
	return true;
}

/* Adds what "1", "1x5", "1+2x5", "1-2x5", "_", "_x5", "stale" or "{{...}}x5" stands for. */
static inline int script_values(struct script_series *series, struct str item, struct err *err) {
	struct script_value value = { 0 };
	struct str head = item;
	uint64_t repeats = 0;
	double delta = 0;
	bool is_sequence = script_cut_repeats(&head, &repeats);
	bool is_valid = true;

	if (str_equal(head, STR("_"))) {
		value.is_omitted = true;
		repeats -= is_sequence;
	} else if (str_equal(head, STR("stale"))) {
		value.value = double_of_bits(STALE_NAN_BITS);
	} else if (str_starts(head, STR("{{"))) {
		value.is_histogram = true;
		series->has_histograms = true;
	} else {
		is_valid = script_cut_delta(&head, &delta) && script_number(head, &value.value);
	}
	if (!is_valid || repeats >= SCRIPT_VALUES_MAX - series->count) {
		return err_set(err, ERR_INVAL, "\"%.*s\" is no value", STR_ARG(item));
	}
	for (uint64_t i = 0; i <= repeats; i++) {
		series->values[series->count++] = value;
		value.value = delta != 0 ? value.value + delta : value.value;
	}
	return 0;
}

static inline int script_series_parse(
	struct arena *arena, struct str line, struct script_series *out, struct err *err) {
	size_t len = script_metric_len(line);
	struct str metric = str_first(line, len);
	struct str rest = str_from(line, len);
	struct script_value *values = MEMORY_NEW(struct script_value, SCRIPT_VALUES_MAX);
	struct script_series series = { .values = values };
	struct str item;
	int rc;

	if (str_starts(rest, STR("@st"))) {
		series.is_start_times = true;
		rest = STR_EMPTY;
	} else if (str_ends(metric, STR("@st"))) {
		series.is_start_times = true;
		metric = str_first(metric, metric.len - 3);
		rest = STR_EMPTY;
	}
	rc = script_labels(arena, metric, &series.labels, err);
	while (rc == 0 && (item = script_item(&rest)).len > 0) {
		rc = script_values(&series, item, err);
	}
	series.values = ARENA_NEW(arena, struct script_value, series.count + 1);
	if (series.count > 0) {
		memcpy(series.values, values, series.count * sizeof(*values));
	}
	free(values);
	*out = series;
	return rc;
}

static inline int script_duration(struct str text, int64_t *ms, struct err *err) {
	return duration_parse(text, ms, err);
}

/* "expect warn msg: text" */
static inline int script_expect_parse(struct str line, struct script_eval *eval, struct err *err) {
	static const struct {
		const char *word;
		enum expect_kind kind;
	} kinds[] = { { "fail", EXPECT_FAIL }, { "warn", EXPECT_WARN },
		{ "no_warn", EXPECT_NO_WARN }, { "info", EXPECT_INFO },
		{ "no_info", EXPECT_NO_INFO }, { "ordered", EXPECT_ORDERED } };
	struct str rest = line;
	struct str word;

	(void)script_word(&rest);
	word = script_word(&rest);
	rest = str_trim(rest);
	for (size_t i = 0; i < ARRAY_COUNT(kinds); i++) {
		struct script_expect *expect = &eval->expects[eval->expect_count];

		if (!str_equal(word, str_of(kinds[i].word))) {
			continue;
		}
		if (eval->expect_count == SCRIPT_NOTES_MAX) {
			return err_set(err, ERR_LIMIT, "too many expectations");
		}
		*expect = (struct script_expect){ .kind = kinds[i].kind };
		expect->is_regex = str_starts(rest, STR("regex:"));
		if (expect->is_regex || str_starts(rest, STR("msg:"))) {
			(void)str_cut(&rest, ':');
			expect->text = str_trim(rest);
		}
		eval->expect_count++;
		return 0;
	}
	return err_set(err, ERR_INVAL, "\"%.*s\" is no expectation", STR_ARG(line));
}

/* "expect range vector from A to B step S" */
static inline int script_matrix_parse(struct str line, struct script_eval *eval, struct err *err) {
	struct str words[9];
	int rc;

	for (size_t i = 0; i < ARRAY_COUNT(words); i++) {
		words[i] = script_word(&line);
	}
	eval->has_matrix = true;
	rc = script_duration(words[4], &eval->matrix_start_ms, err);
	return rc < 0 ? rc : script_duration(words[8], &eval->matrix_step_ms, err);
}

/* The words between "eval" and the query. */
static inline int script_eval_parse(struct str line, struct script_eval *eval, struct err *err) {
	struct str rest = line;
	struct str command = script_word(&rest);
	struct str kind = script_word(&rest);
	int rc;

	if (str_equal(command, STR("eval_fail"))) {
		eval->expects[eval->expect_count++] = (struct script_expect){ .kind = EXPECT_FAIL };
	} else if (str_equal(command, STR("eval_warn"))) {
		eval->expects[eval->expect_count++] = (struct script_expect){ .kind = EXPECT_WARN };
	} else if (str_equal(command, STR("eval_info"))) {
		eval->expects[eval->expect_count++] = (struct script_expect){ .kind = EXPECT_INFO };
	} else if (str_equal(command, STR("eval_ordered"))) {
		eval->expects[eval->expect_count++] =
			(struct script_expect){ .kind = EXPECT_ORDERED };
	}
	eval->is_range = str_equal(kind, STR("range"));
	(void)script_word(&rest); /* at, from */
	rc = script_duration(script_word(&rest), &eval->start_ms, err);
	if (rc == 0 && eval->is_range) {
		(void)script_word(&rest); /* to */
		rc = script_duration(script_word(&rest), &eval->end_ms, err);
		(void)script_word(&rest); /* step */
		rc = rc < 0 ? rc : script_duration(script_word(&rest), &eval->step_ms, err);
	}
	eval->query = str_trim(rest);
	return rc;
}

#endif
