/*
 * Histograms in series: {{schema:1 sum:5 count:4 buckets:[1 2 1]}}.
 */
#include "promqltest/script_part.h"

#include "promql/histogram.h"

#include <ctype.h>

/* Largest number of a bucket; the indexes of a schema go no further than some 2^19. */
#define INTEGER_MAX (1 << 24)

/* Histograms: {{schema:1 sum:5 count:4 buckets:[1 2 1]}} */

/* Cuts "name:" and its value, a word or what stands in brackets, off the front. */
static bool cut_field(struct str *text, struct str *name, struct str *value) {
	struct str rest = str_trim(*text);
	size_t end = 0;

	if (rest.len == 0) {
		return false;
	}
	*name = str_cut(&rest, ':');
	rest = rest.ptr ? rest : STR_EMPTY;
	if (rest.len > 0 && rest.ptr[0] == '[') {
		rest = str_from(rest, 1);
		*value = str_cut(&rest, ']');
		*text = rest.ptr ? rest : STR_EMPTY;
		return true;
	}
	while (end < rest.len && !isspace((unsigned char)rest.ptr[end])) {
		end++;
	}
	*value = str_first(rest, end);
	*text = str_from(rest, end);
	return true;
}

static int parse_numbers(
	struct arena *arena, struct str text, double **out, size_t *count, struct err *err) {
	double *numbers = ARENA_TRY_NEW(arena, double, text.len / 2 + 1, err);
	struct str word;

	*count = 0;
	while (numbers && (word = script_word(&text)).len > 0) {
		if (!script_number(word, &numbers[*count])) {
			return err_set(err, ERR_INVAL, "\"%.*s\" is no number",
				STR_ARG(str_first(word, 200)));
		}
		(*count)++;
	}
	*out = numbers;
	return numbers ? 0 : ERR_LIMIT;
}

static int parse_side(
	struct arena *arena, struct str text, struct histogram_side *side, struct err *err) {
	int rc = parse_numbers(arena, text, &side->counts, &side->count, err);

	side->indexes = rc == 0 ? ARENA_TRY_NEW(arena, int32_t, side->count + 1, err) : NULL;
	if (!side->indexes) {
		side->count = 0;
		return rc < 0 ? rc : ERR_LIMIT;
	}
	return 0;
}

/* A bucket's number, or a schema's. */
static int parse_integer(struct str text, int32_t *out, struct err *err) {
	int64_t number;

	if (!str_to_i64(text, &number) || number < -INTEGER_MAX || number > INTEGER_MAX) {
		return err_set(err, ERR_INVAL, "\"%.*s\" is no integer from -%d to %d",
			STR_ARG(str_first(text, 200)), INTEGER_MAX, INTEGER_MAX);
	}
	*out = (int32_t)number;
	return 0;
}

static int parse_schema(struct str text, int32_t *out, struct err *err) {
	int rc = parse_integer(text, out, err);

	if (rc == 0 && *out != HISTOGRAM_CUSTOM &&
		(*out < HISTOGRAM_SCHEMA_MIN || *out > HISTOGRAM_SCHEMA_MAX)) {
		rc = err_set(err, ERR_INVAL, "schema %d is none of %d, %d to %d", *out,
			HISTOGRAM_CUSTOM, HISTOGRAM_SCHEMA_MIN, HISTOGRAM_SCHEMA_MAX);
	}
	return rc;
}

static int parse_hint(struct str text, enum histogram_hint *out, struct err *err) {
	static const struct {
		const char *word;
		enum histogram_hint hint;
	} hints[] = { { "unknown", HISTOGRAM_UNKNOWN }, { "reset", HISTOGRAM_RESET },
		{ "not_reset", HISTOGRAM_NOT_RESET }, { "gauge", HISTOGRAM_GAUGE } };

	for (size_t i = 0; i < ARRAY_COUNT(hints); i++) {
		if (str_equal(text, str_of(hints[i].word))) {
			*out = hints[i].hint;
			return 0;
		}
	}
	return err_set(
		err, ERR_INVAL, "\"%.*s\" is no counter_reset_hint", STR_ARG(str_first(text, 200)));
}

/* A histogram while its fields are read. */
struct draft {
	struct arena *arena;
	struct histogram *histogram;
	int32_t offset;
	int32_t n_offset;
	bool has_hint;
};

static int parse_number(struct str text, double *out, struct err *err) {
	return script_number(text, out) ? 0
					: err_set(err, ERR_INVAL, "\"%.*s\" is no number",
						  STR_ARG(str_first(text, 200)));
}

/* Fields of one number. Returns 1 for others. */
static int parse_plain_field(
	struct draft *draft, struct str name, struct str value, struct err *err) {
	struct histogram *histogram = draft->histogram;
	const struct {
		const char *name;
		double *number;
	} fields[] = { { "sum", &histogram->sum }, { "count", &histogram->count },
		{ "z_bucket", &histogram->zero_count },
		{ "z_bucket_w", &histogram->zero_threshold } };

	for (size_t i = 0; i < ARRAY_COUNT(fields); i++) {
		if (str_equal(name, str_of(fields[i].name))) {
			return parse_number(value, fields[i].number, err);
		}
	}
	return 1;
}

static int parse_field(struct draft *draft, struct str name, struct str value, struct err *err) {
	struct histogram *histogram = draft->histogram;
	double *bounds;
	int rc = parse_plain_field(draft, name, value, err);

	if (rc <= 0) {
		return rc;
	}
	if (str_equal(name, STR("schema"))) {
		return parse_schema(value, &histogram->schema, err);
	}
	if (str_equal(name, STR("offset"))) {
		return parse_integer(value, &draft->offset, err);
	}
	if (str_equal(name, STR("n_offset"))) {
		return parse_integer(value, &draft->n_offset, err);
	}
	if (str_equal(name, STR("buckets"))) {
		return parse_side(draft->arena, value, &histogram->positive, err);
	}
	if (str_equal(name, STR("n_buckets"))) {
		return parse_side(draft->arena, value, &histogram->negative, err);
	}
	if (str_equal(name, STR("custom_values"))) {
		rc = parse_numbers(draft->arena, value, &bounds, &histogram->bound_count, err);
		histogram->bounds = rc == 0 ? bounds : NULL;
		return rc;
	}
	if (str_equal(name, STR("counter_reset_hint"))) {
		draft->has_hint = true;
		return parse_hint(value, &histogram->hint, err);
	}
	return err_set(err, ERR_INVAL, "a histogram has no \"%.*s\"", STR_ARG(str_first(name, 80)));
}

/* What the rest of the program takes for granted. */
static int check_custom(const struct draft *draft, struct err *err) {
	const struct histogram *histogram = draft->histogram;

	if (histogram->schema != HISTOGRAM_CUSTOM) {
		return histogram->bound_count == 0
			       ? 0
			       : err_set(err, ERR_INVAL, "custom_values need schema:%d",
					 HISTOGRAM_CUSTOM);
	}
	if (histogram->negative.count > 0 || histogram->zero_count != 0 ||
		histogram->zero_threshold != 0) {
		return err_set(
			err, ERR_INVAL, "with custom_values there is no bucket at or below zero");
	}
	for (size_t i = 1; i < histogram->bound_count; i++) {
		if (!(histogram->bounds[i] > histogram->bounds[i - 1])) {
			return err_set(err, ERR_INVAL, "custom_values must ascend");
		}
	}
	if (draft->offset < 0 ||
		(size_t)draft->offset + histogram->positive.count > histogram->bound_count + 1) {
		return err_set(err, ERR_INVAL, "more buckets than custom_values and one");
	}
	return 0;
}

/* "{{...}}" without the braces. */
static int parse_histogram(struct draft *draft, struct str text, struct err *err) {
	struct histogram *histogram;
	struct str name;
	struct str value;
	int rc;

	draft->histogram = ARENA_TRY_NEW(draft->arena, struct histogram, 1, err);
	rc = draft->histogram ? 0 : ERR_LIMIT;
	while (rc == 0 && cut_field(&text, &name, &value)) {
		rc = parse_field(draft, name, value, err);
	}
	rc = rc < 0 ? rc : check_custom(draft, err);
	if (rc < 0) {
		return rc;
	}
	histogram = draft->histogram;
	for (size_t i = 0; i < histogram->positive.count; i++) {
		histogram->positive.indexes[i] = draft->offset + (int32_t)i;
	}
	for (size_t i = 0; i < histogram->negative.count; i++) {
		histogram->negative.indexes[i] = draft->n_offset + (int32_t)i;
	}
	return 0;
}

/* Cuts "{{...}}" off the front of '*text'. */
static int cut_histogram(struct draft *draft, struct str *text, struct err *err) {
	const char *end = (const char *)memmem(text->ptr, text->len, "}}", 2);
	size_t len = end ? (size_t)(end - text->ptr) : 0;
	struct str inside;

	if (!end || len < 2 || !str_starts(*text, STR("{{"))) {
		return err_set(err, ERR_INVAL, "\"%.*s\" is no histogram: {{...}}",
			STR_ARG(str_first(*text, 200)));
	}
	inside = str_from(str_first(*text, len), 2);
	*text = str_from(*text, len + 2);
	return parse_histogram(draft, inside, err);
}

/* A copy of 'current' with 'delta' added or taken away. */
static int add_delta(struct arena *arena, const struct histogram *current,
	const struct histogram *delta, bool is_minus, struct histogram **out, struct err *err) {
	struct histogram *next = ARENA_TRY_NEW(arena, struct histogram, 1, err);
	int rc = next ? histogram_copy(arena, current, next, err) : ERR_LIMIT;

	if (rc == 0) {
		rc = is_minus ? histogram_subtract(arena, next, delta, err)
			      : histogram_add(arena, next, delta, err);
	}
	*out = next;
	return rc < 0 ? rc : 0;
}

int script_histograms_parse(struct arena *arena, struct str item, uint64_t repeats,
	struct script_value *values, struct err *err) {
	struct draft draft = { .arena = arena };
	struct draft delta = { .arena = arena };
	struct str rest = item;
	int rc = cut_histogram(&draft, &rest, err);
	bool is_minus = str_starts(rest, STR("-"));
	const struct histogram *current = draft.histogram;

	if (rc == 0 && rest.len > 0) {
		bool has_sign = is_minus || str_starts(rest, STR("+"));

		rest = str_from(rest, 1);
		rc = has_sign ? cut_histogram(&delta, &rest, err) : ERR_INVAL;
		if (rest.len > 0 || !has_sign) {
			rc = err_set(err, ERR_INVAL, "\"%.*s\" is no value",
				STR_ARG(str_first(item, 200)));
		}
	}
	for (uint64_t i = 0; rc == 0 && i <= repeats; i++) {
		struct histogram *next = NULL;

		values[i] = (struct script_value){ .histogram = current,
			.has_hint = draft.has_hint || delta.has_hint };
		if (delta.histogram && i < repeats) {
			rc = add_delta(arena, current, delta.histogram, is_minus, &next, err);
			current = next;
		}
	}
	return rc;
}
