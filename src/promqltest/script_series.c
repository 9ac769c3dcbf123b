/*
 * Lines of series: a metric, and values in the notation for sequences.
 */
#include "promqltest/script_part.h"

#include "base/memory.h"
#include "cxx/number.h"
#include "promql/duration.h"
#include "store/store.h"

#include <ctype.h>
#include <stdlib.h>

struct str script_word(struct str *text) {
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
static struct str cut_item(struct str *text) {
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
static size_t metric_len(struct str line) {
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

static int parse_labels(struct arena *arena, struct str text, struct labels *out, struct err *err) {
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
	if (selector->matcher_count > LABELS_COUNT_MAX) {
		return err_set(err, ERR_LIMIT, "more than %d labels", LABELS_COUNT_MAX);
	}
	for (size_t i = 0; i < selector->matcher_count; i++) {
		if (selector->matchers[i].op != MATCHER_EQUAL) {
			return err_set(err, ERR_INVAL, "\"%.*s\" is no series", STR_ARG(text));
		}
		pairs[i] =
			(struct label){ selector->matchers[i].name, selector->matchers[i].value };
	}
	return labels_build(arena, pairs, selector->matcher_count, out, err);
}

bool script_number(struct str text, double *out) {
	bool overflow;

	return number_parse(text, out, &overflow);
}

/* Cuts "x5" off the end of an item. Returns false when it ends in no repetition. */
static bool cut_repeats(struct str *item, uint64_t *repeats) {
	for (size_t i = item->len; i > 1; i--) {
		if (item->ptr[i - 1] == 'x' && str_to_u64(str_from(*item, i), repeats)) {
			*item = str_first(*item, i - 1);
			return true;
		}
	}
	return false;
}

/* Cuts "+2" or "-2" off the end; the sign of an exponent is none. */
static bool cut_delta(struct str *item, double *delta) {
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

/* The values of a line while it is read. */
struct values {
	struct script_value *items;
	size_t count;
	size_t capacity;
};

/* Room for more of them. */
static int reserve(struct values *values, uint64_t count, struct err *err) {
	if (count > SCRIPT_VALUES_MAX - values->count) {
		return err_set(err, ERR_LIMIT, "more than %d values", SCRIPT_VALUES_MAX);
	}
	if (values->count + count > values->capacity) {
		values->capacity = 2 * (values->count + count);
		values->items =
			memory_resize(values->items, values->capacity, sizeof(struct script_value));
	}
	return 0;
}

static int no_value(struct str item, struct err *err) {
	return err_set(err, ERR_INVAL, "\"%.*s\" is no value", STR_ARG(str_first(item, 200)));
}

static int add_histograms(struct arena *arena, struct values *values, struct str item,
	uint64_t repeats, struct err *err) {
	int rc = reserve(values, repeats + 1, err);

	if (rc == 0) {
		rc = script_histograms_parse(
			arena, item, repeats, values->items + values->count, err);
	}
	if (rc == 0) {
		values->count += repeats + 1;
	}
	return rc;
}

/* Adds what "1", "1x5", "1+2x5", "1-2x5", "_", "_x5", "stale" or "{{...}}x5" stands for. */
static int add_item(struct arena *arena, struct values *values, struct str item, struct err *err) {
	struct script_value value = { 0 };
	struct str head = item;
	uint64_t repeats = 0;
	double delta = 0;
	bool is_sequence = cut_repeats(&head, &repeats);
	int rc;

	if (repeats >= SCRIPT_VALUES_MAX) {
		return err_set(err, ERR_LIMIT, "more than %d values", SCRIPT_VALUES_MAX);
	}
	if (str_starts(head, STR("{{"))) {
		return add_histograms(arena, values, head, repeats, err);
	}
	if (str_equal(head, STR("_"))) {
		value.is_omitted = true;
		if (is_sequence && repeats == 0) {
			return no_value(item, err);
		}
		repeats -= is_sequence;
	} else if (str_equal(head, STR("stale"))) {
		value.value = double_of_bits(STALE_NAN_BITS);
	} else if (!cut_delta(&head, &delta) || !script_number(head, &value.value)) {
		return no_value(item, err);
	}
	rc = reserve(values, repeats + 1, err);
	for (uint64_t i = 0; rc == 0 && i <= repeats; i++) {
		values->items[values->count++] = value;
		value.value = delta != 0 ? value.value + delta : value.value;
	}
	return rc;
}

/* Reads "5m", "-30s" or "0". */
static bool parse_offset(struct str text, double *out) {
	bool is_minus = text.len > 0 && text.ptr[0] == '-';
	bool is_signed = is_minus || (text.len > 0 && text.ptr[0] == '+');
	struct err err;
	int64_t ms = 0;

	text = str_from(text, is_signed);
	if (!str_equal(text, STR("0")) && duration_parse(text, &ms, &err) < 0) {
		return false;
	}
	*out = (double)(is_minus ? -ms : ms);
	return true;
}

/* Adds what "-1m", "-1mx5", "-30s-1mx5", "_" or "_x5" stands for. */
static int add_offset(struct values *values, struct str item, struct err *err) {
	struct script_value value = { 0 };
	struct str head = item;
	uint64_t repeats = 0;
	double delta = 0;
	bool is_sequence = cut_repeats(&head, &repeats);
	int rc;

	if (repeats >= SCRIPT_VALUES_MAX) {
		return err_set(err, ERR_LIMIT, "more than %d values", SCRIPT_VALUES_MAX);
	}
	if (str_equal(head, STR("_")) && !(is_sequence && repeats == 0)) {
		value.is_omitted = true;
		repeats -= is_sequence;
	} else {
		size_t end = 1;

		while (end < head.len && head.ptr[end] != '+' && head.ptr[end] != '-') {
			end++;
		}
		if (!parse_offset(str_first(head, end), &value.value) ||
			(end < head.len && !parse_offset(str_from(head, end), &delta))) {
			return err_set(err, ERR_INVAL, "\"%.*s\" is no start timestamp",
				STR_ARG(str_first(item, 200)));
		}
	}
	rc = reserve(values, repeats + 1, err);
	for (uint64_t i = 0; rc == 0 && i <= repeats; i++) {
		values->items[values->count++] = value;
		value.value += delta;
	}
	return rc;
}

int script_series_parse(
	struct arena *arena, struct str line, struct script_series *out, struct err *err) {
	size_t len = metric_len(line);
	struct str metric = str_first(line, len);
	struct str rest = str_from(line, len);
	struct values values = { 0 };
	struct script_series series = { 0 };
	struct str item;
	int rc;

	if (str_starts(rest, STR("@st"))) {
		series.is_start_times = true;
		rest = str_from(rest, 3);
	} else if (str_ends(metric, STR("@st"))) {
		series.is_start_times = true;
		metric = str_first(metric, metric.len - 3);
	}
	rc = parse_labels(arena, metric, &series.labels, err);
	while (rc == 0 && (item = cut_item(&rest)).len > 0) {
		rc = series.is_start_times ? add_offset(&values, item, err)
					   : add_item(arena, &values, item, err);
	}
	series.values = ARENA_TRY_NEW(arena, struct script_value, values.count + 1, err);
	rc = rc == 0 && !series.values ? ERR_LIMIT : rc;
	if (rc == 0 && values.count > 0) {
		memcpy(series.values, values.items, values.count * sizeof(*values.items));
		series.count = values.count;
	}
	free(values.items);
	*out = series;
	return rc;
}
