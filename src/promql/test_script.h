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

#include "base/check.h"
#include "base/memory.h"
#include "cxx/number.h"
#include "promql/duration.h"
#include "promql/histogram.h"
#include "promql/parse.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#define SCRIPT_VALUES_MAX 20000
#define SCRIPT_SERIES_MAX 3000
#define SCRIPT_STEPS_MAX 256 /* Of a load that converts classic histograms. */
#define SCRIPT_NOTES_MAX 16

/* A value of the notation: a number, nothing, or a histogram. */
struct script_value {
	double value;
	bool is_omitted;
	const struct histogram *histogram; /* Instead of the number. */
	bool has_hint;                     /* The histogram's hint was written. */
};

struct script_series {
	struct labels labels;
	struct script_value *values;
	size_t count;
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

/* Histograms: {{schema:1 sum:5 count:4 buckets:[1 2 1]}} */

/* Cuts "name:" and its value, a word or what stands in brackets, off the front. */
static inline bool script_field(struct str *text, struct str *name, struct str *value) {
	struct str rest = str_trim(*text);
	size_t end = 0;

	if (rest.len == 0) {
		return false;
	}
	*name = str_cut(&rest, ':');
	if (rest.len > 0 && rest.ptr[0] == '[') {
		rest = str_from(rest, 1);
		*value = str_cut(&rest, ']');
		*text = rest;
		return true;
	}
	while (end < rest.len && !isspace((unsigned char)rest.ptr[end])) {
		end++;
	}
	*value = str_first(rest, end);
	*text = str_from(rest, end);
	return true;
}

static inline size_t script_numbers(struct arena *arena, struct str text, double **out) {
	double *numbers = ARENA_NEW(arena, double, text.len + 1);
	size_t count = 0;
	struct str word;

	while ((word = script_word(&text)).len > 0) {
		CHECK(script_number(word, &numbers[count]));
		count++;
	}
	*out = numbers;
	return count;
}

static inline void script_side(struct arena *arena, struct str text, struct histogram_side *side) {
	side->count = script_numbers(arena, text, &side->counts);
	side->indexes = ARENA_NEW(arena, int32_t, side->count + 1);
}

static inline enum histogram_hint script_hint(struct str text) {
	return str_equal(text, STR("reset"))       ? HISTOGRAM_RESET
	       : str_equal(text, STR("not_reset")) ? HISTOGRAM_NOT_RESET
	       : str_equal(text, STR("gauge"))     ? HISTOGRAM_GAUGE
						   : HISTOGRAM_UNKNOWN;
}

static inline double script_value_of(struct str text) {
	double value = 0;

	CHECK(script_number(text, &value));
	return value;
}

static inline struct histogram *script_histogram(
	struct arena *arena, struct str text, bool *has_hint) {
	struct histogram *histogram = ARENA_NEW(arena, struct histogram, 1);
	int32_t offset = 0;
	int32_t n_offset = 0;
	struct str name;
	struct str value;

	*has_hint = false;
	text = str_first(str_from(text, 2), text.len - 4);
	while (script_field(&text, &name, &value)) {
		if (str_equal(name, STR("schema"))) {
			histogram->schema = (int32_t)script_value_of(value);
		} else if (str_equal(name, STR("sum"))) {
			histogram->sum = script_value_of(value);
		} else if (str_equal(name, STR("count"))) {
			histogram->count = script_value_of(value);
		} else if (str_equal(name, STR("z_bucket"))) {
			histogram->zero_count = script_value_of(value);
		} else if (str_equal(name, STR("z_bucket_w"))) {
			histogram->zero_threshold = script_value_of(value);
		} else if (str_equal(name, STR("offset"))) {
			offset = (int32_t)script_value_of(value);
		} else if (str_equal(name, STR("n_offset"))) {
			n_offset = (int32_t)script_value_of(value);
		} else if (str_equal(name, STR("buckets"))) {
			script_side(arena, value, &histogram->positive);
		} else if (str_equal(name, STR("n_buckets"))) {
			script_side(arena, value, &histogram->negative);
		} else if (str_equal(name, STR("custom_values"))) {
			double *bounds;

			histogram->bound_count = script_numbers(arena, value, &bounds);
			histogram->bounds = bounds;
		} else if (str_equal(name, STR("counter_reset_hint"))) {
			histogram->hint = script_hint(value);
			*has_hint = true;
		} else {
			CHECK(false);
		}
	}
	for (size_t i = 0; i < histogram->positive.count; i++) {
		histogram->positive.indexes[i] = offset + (int32_t)i;
	}
	for (size_t i = 0; i < histogram->negative.count; i++) {
		histogram->negative.indexes[i] = n_offset + (int32_t)i;
	}
	return histogram;
}

/* "{{...}}", "{{...}}x5", "{{...}}+{{...}}x5", "{{...}}-{{...}}x5" */
static inline int script_histograms(struct arena *arena, struct script_series *series,
	struct str item, uint64_t repeats, struct err *err) {
	size_t end = (size_t)((char *)memmem(item.ptr, item.len, "}}", 2) - item.ptr) + 2;
	struct script_value value = { 0 };
	const struct histogram *current =
		script_histogram(arena, str_first(item, end), &value.has_hint);
	const struct histogram *delta = NULL;
	bool is_minus = end < item.len && item.ptr[end] == '-';

	if (end < item.len) {
		delta = script_histogram(arena, str_from(item, end + 1), &value.has_hint);
	}
	if (repeats >= SCRIPT_VALUES_MAX - series->count) {
		return err_set(err, ERR_INVAL, "too many values");
	}
	for (uint64_t i = 0; i <= repeats; i++) {
		struct histogram *next;

		value.histogram = current;
		series->values[series->count++] = value;
		if (!delta) {
			continue;
		}
		next = ARENA_NEW(arena, struct histogram, 1);
		CHECK(histogram_copy(arena, current, next, err) == 0);
		CHECK((is_minus ? histogram_subtract(arena, next, delta, err)
				: histogram_add(arena, next, delta, err)) >= 0);
		current = next;
	}
	return 0;
}

/* Adds what "1", "1x5", "1+2x5", "1-2x5", "_", "_x5", "stale" or "{{...}}x5" stands for. */
static inline int script_values(
	struct arena *arena, struct script_series *series, struct str item, struct err *err) {
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
		return script_histograms(arena, series, head, repeats, err);
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
		rc = script_values(arena, &series, item, err);
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
