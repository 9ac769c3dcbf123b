#include "promqltest/compare.h"

#include "base/buf.h"
#include "base/check.h"
#include "promql/histogram.h"
#include "promqltest/classic.h"

#include <math.h>

/* Relative difference that is none. */
#define TOLERANCE 0.000001

static bool almost_equal(double a, double b) {
	double sum = fabs(a) + fabs(b);
	double difference = fabs(a - b);

	if (is_stale(a) || is_stale(b)) {
		return is_stale(a) && is_stale(b);
	}
	if ((isnan(a) && isnan(b)) || a == b) {
		return true;
	}
	if (a == 0 || b == 0 || sum < 0x1p-1022) {
		return difference < TOLERANCE * 0x1p-1022;
	}
	return difference / (sum < 0x1.fffffffffffffp1023 ? sum : 0x1.fffffffffffffp1023) <
	       TOLERANCE;
}

static const struct script_series *find_series(
	const struct script_eval *eval, const struct labels *labels) {
	for (size_t i = 0; i < eval->series_count; i++) {
		if (labels_equal(&eval->series[i].labels, labels)) {
			return &eval->series[i];
		}
	}
	return NULL;
}

bool compare_expects(const struct script_eval *eval, enum expect_kind kind) {
	for (size_t i = 0; i < eval->expect_count; i++) {
		if (eval->expects[i].kind == kind) {
			return true;
		}
	}
	return false;
}

/* Whether a note or an error is what an expectation describes. */
static bool expect_matches(const struct script_expect *expect, struct str text) {
	AUTO(buf_deinit) struct buf pattern = { 0 };
	struct regex *regex;
	struct err err;
	bool matches;

	if (expect->text.len == 0) {
		return true;
	}
	if (!expect->is_regex) {
		return str_equal(expect->text, text);
	}
	buf_printf(&pattern, ".*(?:%.*s).*", STR_ARG(expect->text));
	CHECK(regex_new(buf_str(&pattern), &regex, &err) == 0); /* It was tried when read. */
	matches = regex_match(regex, text);
	regex_free(regex);
	return matches;
}

bool compare_failure(const struct script_eval *eval, struct str sentence) {
	for (size_t i = 0; i < eval->expect_count; i++) {
		if (eval->expects[i].kind == EXPECT_FAIL &&
			expect_matches(&eval->expects[i], sentence)) {
			return true;
		}
	}
	return false;
}

/* Warnings or infos. */
static bool notes_of_match(const struct script_eval *eval, const struct annotations *notes,
	bool is_info, struct buf *why) {
	enum expect_kind wanted = is_info ? EXPECT_INFO : EXPECT_WARN;
	enum expect_kind unwanted = is_info ? EXPECT_NO_INFO : EXPECT_NO_WARN;
	const char *what = is_info ? "info" : "warning";

	for (size_t i = 0; i < eval->expect_count; i++) {
		bool is_met = eval->expects[i].kind != wanted;

		for (size_t k = 0; k < notes->count && !is_met; k++) {
			is_met = notes->items[k].is_info == is_info &&
				 expect_matches(&eval->expects[i], notes->items[k].text);
		}
		if (!is_met) {
			buf_printf(why, "expected %s \"%.*s\", got %zu notes: %.*s", what,
				STR_ARG(eval->expects[i].text), notes->count,
				notes->count ? (int)notes->items[0].text.len : 0,
				notes->count ? notes->items[0].text.ptr : "");
			return false;
		}
	}
	for (size_t k = 0; k < notes->count; k++) {
		bool is_expected =
			!compare_expects(eval, wanted) && !compare_expects(eval, unwanted);

		if (notes->items[k].is_info != is_info) {
			continue;
		}
		for (size_t i = 0; i < eval->expect_count && !is_expected; i++) {
			is_expected = eval->expects[i].kind == wanted &&
				      expect_matches(&eval->expects[i], notes->items[k].text);
		}
		if (!is_expected) {
			buf_printf(why, "expected no such %s, got \"%.*s\"", what,
				STR_ARG(notes->items[k].text));
			return false;
		}
	}
	return true;
}

bool compare_notes(
	const struct script_eval *eval, const struct annotations *notes, struct buf *why) {
	return notes_of_match(eval, notes, true, why) && notes_of_match(eval, notes, false, why);
}

/* Values as messages show them. */

static void format_value(
	bool is_there, double value, const struct histogram *histogram, struct buf *out) {
	if (!is_there) {
		buf_add_text(out, " _");
	} else if (histogram) {
		buf_printf(out, " hint %d schema %d ", (int)histogram->hint, histogram->schema);
		histogram_format(histogram, out);
	} else {
		buf_printf(out, " %.17g", value);
	}
}

static void format_column(const struct step_column *column, size_t step_count, struct buf *out) {
	labels_format(&column->labels, out);
	for (size_t i = 0; i < step_count; i++) {
		format_value(step_present(column, i), column->values[i],
			column->histograms ? column->histograms[i] : NULL, out);
	}
}

static void format_series(const struct script_series *series, struct buf *out) {
	labels_format(&series->labels, out);
	for (size_t i = 0; i < series->count; i++) {
		const struct script_value *value = &series->values[i];

		format_value(!value->is_omitted, value->value, value->histogram, out);
	}
}

static void format_raw(const struct raw_series *raw, struct buf *out) {
	labels_format(&raw->labels, out);
	for (size_t i = 0; i < raw->count; i++) {
		format_value(
			true, raw->values[i], raw->histograms ? raw->histograms[i] : NULL, out);
		buf_printf(out, "@%lld", (long long)raw->times_ms[i]);
	}
}

static void format_wanted(const struct script_eval *eval, struct buf *out) {
	if (eval->has_scalar) {
		buf_printf(out, "the scalar %.17g", eval->scalar);
	} else if (eval->has_string) {
		buf_printf(out, "the string \"%.*s\"", STR_ARG(eval->string));
	} else if (eval->series_count == 0) {
		buf_add_text(out, "nothing");
	}
	for (size_t i = 0; i < eval->series_count; i++) {
		buf_add_text(out, i > 0 ? ", " : "");
		format_series(&eval->series[i], out);
	}
}

static void format_result(const struct query_result *result, struct buf *out) {
	size_t start = out->len;

	switch (result->type) {
	case VALUE_SCALAR:
		buf_add_text(out, "the scalar");
		for (size_t i = 0; i < result->steps.grid.count; i++) {
			format_value(true, result->steps.columns[0].values[i], NULL, out);
		}
		break;
	case VALUE_VECTOR:
		for (size_t i = 0; i < result->steps.count; i++) {
			buf_add_text(out, i > 0 ? ", " : "");
			format_column(&result->steps.columns[i], result->steps.grid.count, out);
		}
		break;
	case VALUE_MATRIX:
		for (size_t i = 0; i < result->raw_count; i++) {
			buf_add_text(out, i > 0 ? ", " : "");
			format_raw(&result->raw[i], out);
		}
		break;
	case VALUE_STRING:
		buf_printf(out, "the string \"%.*s\"", STR_ARG(result->string));
		break;
	case VALUE_NONE:
		break;
	}
	if (out->len == start) {
		buf_add_text(out, "nothing");
	}
}

/* Comparing. */

static bool value_matches(
	const struct script_value *wanted, double value, const struct histogram *histogram) {
	if (wanted->histogram || histogram) {
		return wanted->histogram && histogram &&
		       test_histogram_equal(wanted, histogram, almost_equal);
	}
	return almost_equal(wanted->value, value);
}

static bool column_matches(const struct step_column *column, const struct steps *steps,
	const struct script_series *series) {
	for (size_t i = 0; i < steps->grid.count; i++) {
		const struct script_value *value = i < series->count ? &series->values[i] : NULL;
		bool is_wanted = value && !value->is_omitted;

		if (is_wanted != step_present(column, i) ||
			(is_wanted && !value_matches(value, column->values[i],
					      column->histograms ? column->histograms[i] : NULL))) {
			return false;
		}
	}
	return series->count <= steps->grid.count;
}

/* Each column is one that is expected. Their number being the same, those are all. */
static bool steps_match(const struct script_eval *eval, const struct steps *steps) {
	for (size_t i = 0; i < steps->count; i++) {
		const struct step_column *column = &steps->columns[i];
		const struct script_series *series = find_series(eval, &column->labels);

		if (eval->is_range && i > 0 &&
			labels_cmp(&steps->columns[i - 1].labels, &column->labels) >= 0) {
			return false;
		}
		if (!series ||
			(compare_expects(eval, EXPECT_ORDERED) && series != &eval->series[i]) ||
			!column_matches(column, steps, series)) {
			return false;
		}
	}
	return steps->count == eval->series_count;
}

static bool raw_series_matches(const struct script_eval *eval, const struct raw_series *raw) {
	const struct script_series *series = find_series(eval, &raw->labels);
	size_t next = 0;

	for (size_t k = 0; series && k < series->count; k++) {
		int64_t time_ms = eval->matrix_start_ms + (int64_t)k * eval->matrix_step_ms;

		if (series->values[k].is_omitted) {
			continue;
		}
		if (next == raw->count || raw->times_ms[next] != time_ms ||
			!value_matches(&series->values[k], raw->values[next],
				raw->histograms ? raw->histograms[next] : NULL)) {
			return false;
		}
		next++;
	}
	return series && next == raw->count;
}

static bool raw_matches(const struct script_eval *eval, const struct query_result *result) {
	for (size_t i = 0; i < result->raw_count; i++) {
		if (!raw_series_matches(eval, &result->raw[i])) {
			return false;
		}
	}
	return result->raw_count == eval->series_count;
}

static bool result_matches(const struct script_eval *eval, const struct query_result *result) {
	switch (result->type) {
	case VALUE_SCALAR:
		if (eval->is_range) {
			return steps_match(eval, &result->steps);
		}
		return eval->has_scalar &&
		       almost_equal(eval->scalar, result->steps.columns[0].values[0]);
	case VALUE_VECTOR:
		return !eval->has_scalar && steps_match(eval, &result->steps);
	case VALUE_MATRIX:
		return raw_matches(eval, result);
	case VALUE_STRING:
		return eval->has_string && str_equal(eval->string, result->string);
	case VALUE_NONE:
		break;
	}
	return false;
}

bool compare_result(
	const struct script_eval *eval, const struct query_result *result, struct buf *why) {
	if (result_matches(eval, result)) {
		return true;
	}
	buf_add_text(why, "expected ");
	format_wanted(eval, why);
	buf_add_text(
		why, compare_expects(eval, EXPECT_ORDERED) ? " in this order, got " : ", got ");
	format_result(result, why);
	return false;
}
