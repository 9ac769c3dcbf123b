#include "hub/decode.h"

#include "cxx/number.h"
#include "matrix/matrix.h"

#include <math.h>

/* Deeper parts of a document are left out: what we pass on is flat, and the writer's depth is
 * bounded. */
#define COPY_DEPTH_MAX 16

struct error_type {
	const char *type;
	int code;
};

static const struct error_type error_types[] = {
	{ "bad_data", ERR_INVAL },
	{ "execution", ERR_EXEC },
	{ "timeout", ERR_TIMEOUT },
	{ "canceled", ERR_CLOSED }, /* By the cluster, as it shuts down: not by whom we ask for. */
	{ "unavailable", ERR_CLOSED },
};

/* The error that a cluster answered with. */
static int cluster_error(struct json_value root, int status, struct err *err) {
	struct json_value type;
	struct json_value text;
	int code = ERR_IO;
	if (!json_member(root, STR("error"), &text)) {
		return err_set(err, ERR_CORRUPT, "answered HTTP %d without data", status);
	}
	if (json_member(root, STR("errorType"), &type)) {
		for (size_t i = 0; i < ARRAY_COUNT(error_types); i++) {
			if (str_equal(json_string(type), str_of(error_types[i].type))) {
				code = error_types[i].code;
			}
		}
	}
	return err_set(err, code, "%.*s", STR_ARG(json_string(text)));
}

int decode_open(struct str body, int status, struct json_document **document,
	struct json_value *data, struct err *err) {
	struct json_document *opened = NULL;
	int rc = json_document_new(body, &opened, err);
	if (rc < 0) {
		/* Not JSON: a gateway or proxy says in plain words why there is no answer. */
		if (status >= 400) {
			return err_set(err, ERR_IO, "answered HTTP %d: %.*s", status,
				STR_ARG(str_first(str_trim(body), 200)));
		}
		return err_wrap(err, rc, "answer");
	}
	struct json_value root = json_root(opened);
	if (status / 100 != 2 || !json_member(root, STR("data"), data)) {
		rc = cluster_error(root, status, err);
		json_document_free(opened);
		return rc;
	}
	*document = opened;
	return 0;
}

static int decode_labels(struct json_value metric, const struct decode_options *options,
	struct arena *arena, struct labels *out, struct err *err) {
	struct label pairs[LABELS_COUNT_MAX];
	size_t count = 0;
	struct json_iterator walk = json_iterate(metric);
	struct json_value value;
	struct str name;
	while (json_next(&walk, &value, &name)) {
		if (options->cluster_label.len > 0 && str_equal(name, options->cluster_label)) {
			if (options->has_stored) {
				*options->has_stored = true;
			}
			continue;
		}
		if (count + 1 >= LABELS_COUNT_MAX) {
			return err_set(err, ERR_LIMIT, "answer: a series has more than %d labels",
				LABELS_COUNT_MAX - 1);
		}
		pairs[count++] = (struct label){ name, json_string(value) };
	}
	if (options->cluster_label.len > 0) {
		pairs[count++] = (struct label){ options->cluster_label, options->cluster };
	}
	return labels_build(arena, pairs, count, out, err);
}

/* Reads [seconds, "value"]. */
static int decode_point(struct json_value point, int64_t *time_ms, double *value, struct err *err) {
	struct json_iterator walk = json_iterate(point);
	struct json_value time;
	struct json_value text;
	if (!json_next(&walk, &time, NULL) || !json_next(&walk, &text, NULL) ||
		json_type_of(time) != JSON_NUMBER ||
		!number_parse(json_string(text), value, NULL)) {
		return err_set(err, ERR_CORRUPT, "answer: malformed sample");
	}
	double ms = json_double(time) * 1000;
	if (!(fabs(ms) < 9e15)) {
		return err_set(err, ERR_CORRUPT, "answer: time out of range");
	}
	*time_ms = llround(ms);
	return 0;
}

static int decode_values(struct json_value values, const struct grid *grid,
	struct step_column *column, struct err *err) {
	struct json_iterator walk = json_iterate(values);
	struct json_value point;
	int64_t previous = -1;
	while (json_next(&walk, &point, NULL)) {
		int64_t time_ms = 0;
		double value = 0;
		int rc = decode_point(point, &time_ms, &value, err);
		if (rc < 0) {
			return rc;
		}
		int64_t offset = time_ms - grid->start_ms;
		int64_t index = grid->step_ms > 0 ? offset / grid->step_ms : 0;
		if (offset < 0 || offset != index * grid->step_ms || (size_t)index >= grid->count ||
			index <= previous) {
			return err_set(err, ERR_CORRUPT,
				"answer: sample at %lld ms is not on the grid that was asked for",
				(long long)time_ms);
		}
		step_set(column, (size_t)index, value);
		previous = index;
	}
	return 0;
}

static int decode_value(struct json_value point, const struct grid *grid,
	struct step_column *column, struct err *err) {
	int64_t time_ms = 0;
	double value = 0;
	int rc = decode_point(point, &time_ms, &value, err);
	if (rc < 0) {
		return rc;
	}
	if (time_ms != grid->start_ms) {
		return err_set(err, ERR_CORRUPT,
			"answer: sample at %lld ms is not at the time that was asked for",
			(long long)time_ms);
	}
	step_set(column, 0, value);
	return 0;
}

static int decode_column(struct json_value series, const struct decode_options *options,
	struct arena *arena, struct step_column *column, struct err *err) {
	struct json_value metric;
	struct json_value member;
	if (json_member(series, STR("histogram"), &member) ||
		json_member(series, STR("histograms"), &member)) {
		return err_set(err, ERR_ABSENT,
			"the answer has native histograms, which are not supported yet");
	}
	if (!json_member(series, STR("metric"), &metric)) {
		return err_set(err, ERR_CORRUPT, "answer: series without metric");
	}
	int rc = step_column_build(arena, options->grid.count, column, err);
	if (rc == 0) {
		rc = decode_labels(metric, options, arena, &column->labels, err);
	}
	if (rc < 0) {
		return rc;
	}
	const char *key = options->is_range ? "values" : "value";
	if (!json_member(series, str_of(key), &member)) {
		return err_set(err, ERR_CORRUPT, "answer: series without %s", key);
	}
	return options->is_range ? decode_values(member, &options->grid, column, err)
				 : decode_value(member, &options->grid, column, err);
}

static int decode_columns(struct json_value list, const struct decode_options *options,
	struct arena *arena, struct query_result *out, struct err *err) {
	size_t count = json_count(list);
	struct step_column *columns = ARENA_TRY_NEW(arena, struct step_column, count + 1, err);
	if (!columns) {
		return ERR_LIMIT;
	}
	struct json_iterator walk = json_iterate(list);
	struct json_value series;
	for (size_t i = 0; json_next(&walk, &series, NULL); i++) {
		int rc = decode_column(series, options, arena, &columns[i], err);
		if (rc < 0) {
			return rc;
		}
	}
	out->type = VALUE_VECTOR;
	out->steps = (struct steps){ options->grid, columns, count };
	return 0;
}

static int decode_raw_samples(
	struct json_value series, struct arena *arena, struct raw_series *out, struct err *err) {
	struct json_value values;
	if (!json_member(series, STR("values"), &values)) {
		return err_set(err, ERR_CORRUPT, "answer: series without values");
	}
	size_t count = json_count(values);
	out->times_ms = ARENA_TRY_NEW(arena, int64_t, count + 1, err);
	out->values = out->times_ms ? ARENA_TRY_NEW(arena, double, count + 1, err) : NULL;
	if (!out->values) {
		return ERR_LIMIT;
	}
	struct json_iterator walk = json_iterate(values);
	struct json_value point;
	while (json_next(&walk, &point, NULL)) {
		size_t at = out->count++;
		int rc = decode_point(point, &out->times_ms[at], &out->values[at], err);
		if (rc < 0) {
			return rc;
		}
	}
	return 0;
}

/* The answer to an instant query of x[5m]: samples as they were scraped. */
static int decode_raw(struct json_value list, const struct decode_options *options,
	struct arena *arena, struct query_result *out, struct err *err) {
	size_t count = json_count(list);
	struct raw_series *raw = ARENA_TRY_NEW(arena, struct raw_series, count + 1, err);
	if (!raw) {
		return ERR_LIMIT;
	}
	struct json_iterator walk = json_iterate(list);
	struct json_value series;
	for (size_t i = 0; json_next(&walk, &series, NULL); i++) {
		struct json_value metric;
		if (!json_member(series, STR("metric"), &metric)) {
			return err_set(err, ERR_CORRUPT, "answer: series without metric");
		}
		int rc = decode_labels(metric, options, arena, &raw[i].labels, err);
		rc = rc < 0 ? rc : decode_raw_samples(series, arena, &raw[i], err);
		if (rc < 0) {
			return rc;
		}
	}
	out->type = VALUE_MATRIX;
	out->raw = raw;
	out->raw_count = count;
	return 0;
}

static int decode_scalar(struct json_value point, const struct decode_options *options,
	struct arena *arena, struct query_result *out, struct err *err) {
	int64_t time_ms = 0;
	double value = 0;
	struct step_column *column = ARENA_NEW(arena, struct step_column, 1);
	int rc = step_column_build(arena, 1, column, err);
	rc = rc < 0 ? rc : decode_point(point, &time_ms, &value, err);
	if (rc < 0) {
		return rc;
	}
	step_set(column, 0, value);
	out->type = VALUE_SCALAR;
	out->steps = (struct steps){ options->grid, column, 1 };
	return 0;
}

/* A cluster's note, with its name before it. */
static void add_note(struct str note, bool is_info, const struct decode_options *options,
	struct arena *arena, struct annotations *notes) {
	annotations_add(notes, arena, is_info,
		arena_printf(
			arena, "cluster \"%.*s\": %.*s", STR_ARG(options->cluster), STR_ARG(note)));
}

static void decode_notes(struct json_value root, const char *key, bool is_info,
	const struct decode_options *options, struct arena *arena, struct annotations *notes) {
	struct json_value list;
	struct json_value text;
	if (!json_member(root, str_of(key), &list)) {
		return;
	}
	struct json_iterator walk = json_iterate(list);
	while (json_next(&walk, &text, NULL)) {
		add_note(json_string(text), is_info, options, arena, notes);
	}
}

static int decode_data(struct json_value data, const struct decode_options *options,
	struct arena *arena, struct query_result *out, struct err *err) {
	struct json_value type = { 0 };
	struct json_value result = { 0 };
	if (!json_member(data, STR("resultType"), &type) ||
		!json_member(data, STR("result"), &result)) {
		return err_set(err, ERR_CORRUPT, "answer: no resultType or result");
	}
	struct str kind = json_string(type);
	if (str_equal(kind, options->is_range ? STR("matrix") : STR("vector"))) {
		return decode_columns(result, options, arena, out, err);
	}
	if (str_equal(kind, STR("matrix"))) {
		return decode_raw(result, options, arena, out, err);
	}
	if (str_equal(kind, STR("scalar")) && !options->is_range) {
		return decode_scalar(result, options, arena, out, err);
	}
	return err_set(err, ERR_CORRUPT, "answer: unexpected resultType \"%.*s\"", STR_ARG(kind));
}

static bool same_grid(const struct grid *a, const struct grid *b) {
	return a->count == b->count && a->start_ms == b->start_ms &&
	       (a->count == 1 || a->step_ms == b->step_ms);
}

static int decode_matrix(struct str body, const struct decode_options *options, struct arena *arena,
	struct query_result *out, struct err *err) {
	const struct matrix_options wanted = { .bytes_max = options->bytes_max,
		.label_name = options->cluster_label,
		.label_value = options->cluster,
		.has_stored = options->has_stored };
	struct query_result result = { 0 };
	struct annotations notes = { 0 };
	int rc = matrix_decode(body, &wanted, arena, &result, err);
	if (rc < 0) {
		return rc;
	}
	if (result.type == VALUE_STRING || (result.type == VALUE_MATRIX && options->is_range)) {
		return err_set(err, ERR_CORRUPT, "answer: not the kind of result asked for");
	}
	if (result.type != VALUE_MATRIX && !same_grid(&result.steps.grid, &options->grid)) {
		return err_set(err, ERR_CORRUPT, "answer: not on the grid that was asked for");
	}
	for (size_t i = 0; i < result.notes.count; i++) {
		add_note(result.notes.items[i].text, result.notes.items[i].is_info, options, arena,
			&notes);
	}
	result.notes = notes;
	result.steps.grid = options->grid;
	*out = result;
	return 0;
}

int decode_query(struct str body, int status, const struct decode_options *options,
	struct arena *arena, struct query_result *out, struct err *err) {
	struct json_document *document = NULL;
	struct json_value data;
	struct query_result result = { 0 };
	if (status / 100 == 2 && matrix_is(body)) {
		return decode_matrix(body, options, arena, out, err);
	}
	int rc = decode_open(body, status, &document, &data, err);
	if (rc < 0) {
		return rc;
	}
	rc = decode_data(data, options, arena, &result, err);
	if (rc == 0) {
		struct json_value root = json_root(document);
		decode_notes(root, "warnings", false, options, arena, &result.notes);
		decode_notes(root, "infos", true, options, arena, &result.notes);
		*out = result;
	}
	json_document_free(document);
	return rc;
}

int decode_strings(
	struct str body, int status, struct arena *arena, struct str_list *out, struct err *err) {
	struct json_document *document = NULL;
	struct json_value data = { 0 };
	struct json_value item;
	int rc = decode_open(body, status, &document, &data, err);
	if (rc < 0) {
		return rc;
	}
	struct str *items = ARENA_TRY_NEW(arena, struct str, json_count(data) + 1, err);
	if (!items) {
		json_document_free(document);
		return ERR_LIMIT;
	}
	size_t count = 0;
	struct json_iterator walk = json_iterate(data);
	while (json_next(&walk, &item, NULL)) {
		items[count++] = arena_copy(arena, json_string(item));
	}
	*out = (struct str_list){ items, count };
	json_document_free(document);
	return 0;
}

int decode_series(struct str body, int status, const struct decode_options *options,
	struct arena *arena, struct labels_list *out, struct err *err) {
	struct json_document *document = NULL;
	struct json_value data = { 0 };
	struct json_value item;
	int rc = decode_open(body, status, &document, &data, err);
	if (rc < 0) {
		return rc;
	}
	struct labels *items = ARENA_TRY_NEW(arena, struct labels, json_count(data) + 1, err);
	if (!items) {
		json_document_free(document);
		return ERR_LIMIT;
	}
	size_t count = 0;
	struct json_iterator walk = json_iterate(data);
	while (rc == 0 && json_next(&walk, &item, NULL)) {
		rc = decode_labels(item, options, arena, &items[count++], err);
	}
	if (rc == 0) {
		*out = (struct labels_list){ items, count };
	}
	json_document_free(document);
	return rc;
}

static void copy_value(struct json_value value, unsigned depth, struct json_writer *json) {
	struct json_iterator walk = json_iterate(value);
	struct json_value item;
	struct str name;
	if (depth > COPY_DEPTH_MAX) {
		json_put_null(json);
		return;
	}
	switch (json_type_of(value)) {
	case JSON_NULL:
		json_put_null(json);
		return;
	case JSON_BOOL:
		json_put_bool(json, json_bool(value));
		return;
	case JSON_NUMBER:
		json_put_double(json, json_double(value));
		return;
	case JSON_STRING:
		json_put_str(json, json_string(value));
		return;
	case JSON_ARRAY:
		json_begin_array(json);
		while (json_next(&walk, &item, NULL)) {
			copy_value(item, depth + 1, json);
		}
		json_end_array(json);
		return;
	case JSON_OBJECT:
		json_begin_object(json);
		while (json_next(&walk, &item, &name)) {
			json_key(json, name);
			copy_value(item, depth + 1, json);
		}
		json_end_object(json);
		return;
	}
}

void decode_copy(struct json_value value, struct json_writer *json) {
	copy_value(value, 0, json);
}
