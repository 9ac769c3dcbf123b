/*
 * Answers of the API as text for people and pipes.
 */
#include "base/arena.h"
#include "cmd/query.h"
#include "cxx/json.h"
#include "cxx/number.h"
#include "label/labels.h"

#include <stdio.h>

static int no_answer(struct err *err) {
	return err_set(err, ERR_CORRUPT,
		"what came is no answer of Prometheus' API: is the URL that of a monitor, a hub or "
		"a Prometheus?");
}

/* A series as PromQL writes it. */
static int format_labels(
	struct json_value metric, struct arena *arena, struct buf *out, struct err *err) {
	struct label pairs[LABELS_COUNT_MAX];
	size_t count = 0;
	struct json_iterator walk = json_iterate(metric);
	struct json_value value;
	struct str name;
	struct labels set = { 0 };
	while (count < LABELS_COUNT_MAX && json_next(&walk, &value, &name)) {
		pairs[count++] = (struct label){ name, json_string(value) };
	}
	int rc = labels_build(arena, pairs, count, &set, err);
	if (rc == 0) {
		labels_format(&set, out);
	}
	return rc;
}

/* [seconds, "value"], the number without an exponent as promtool writes it. */
static void format_point(struct json_value point, bool is_text, struct buf *out) {
	struct json_iterator walk = json_iterate(point);
	struct json_value time;
	struct json_value value;
	if (json_next(&walk, &time, NULL) && json_next(&walk, &value, NULL)) {
		struct str text = json_string(value);
		char seconds[32];
		int len = snprintf(seconds, sizeof(seconds), "%.3f", json_double(time));
		while (len > 0 && seconds[len - 1] == '0') {
			len--;
		}
		len -= len > 0 && seconds[len - 1] == '.';
		char decimal[NUMBER_TEXT_MAX];
		double number = 0;
		if (!is_text && number_parse(text, &number, NULL)) {
			text = (struct str){ decimal, number_format_f(number, decimal) };
		}
		buf_printf(out, "%.*s @[%.*s]", STR_ARG(text), len, seconds);
	}
}

static void format_points(struct json_value points, struct buf *out) {
	struct json_iterator walk = json_iterate(points);
	struct json_value point;
	while (json_next(&walk, &point, NULL)) {
		buf_add_byte(out, '\n');
		format_point(point, false, out);
	}
}

static int format_series(
	struct json_value series, struct arena *arena, struct buf *out, struct err *err) {
	struct json_value metric;
	struct json_value points;
	if (!json_member(series, STR("metric"), &metric)) {
		return no_answer(err);
	}
	int rc = format_labels(metric, arena, out, err);
	if (rc < 0) {
		return rc;
	}
	buf_add_text(out, " =>");
	if (json_member(series, STR("values"), &points)) {
		format_points(points, out);
	} else if (json_member(series, STR("value"), &points)) {
		buf_add_byte(out, ' ');
		format_point(points, false, out);
	} else {
		return err_set(err, ERR_ABSENT,
			"the answer has native histograms, which are not printed as text yet; use "
			"--json");
	}
	buf_add_byte(out, '\n');
	return 0;
}

/* The result of a query. */
static int format_result(struct json_value type, struct json_value result, struct arena *arena,
	struct buf *out, struct err *err) {
	struct str kind = json_string(type);
	struct json_value series;
	int rc = 0;
	bool is_text = str_equal(kind, STR("string"));
	if (is_text || str_equal(kind, STR("scalar"))) {
		format_point(result, is_text, out);
		buf_add_byte(out, '\n');
		return 0;
	}
	struct json_iterator walk = json_iterate(result);
	while (rc == 0 && json_next(&walk, &series, NULL)) {
		rc = format_series(series, arena, out, err);
	}
	return rc;
}

/* A list of names or of label sets. */
static int format_list(
	struct json_value list, struct arena *arena, struct buf *out, struct err *err) {
	struct json_iterator walk = json_iterate(list);
	struct json_value item;
	int rc = 0;
	while (rc == 0 && json_next(&walk, &item, NULL)) {
		if (json_type_of(item) == JSON_OBJECT) {
			rc = format_labels(item, arena, out, err);
		} else {
			buf_add_str(out, json_string(item));
		}
		buf_add_byte(out, '\n');
	}
	return rc;
}

static void print_notes(struct json_value root, const char *key, const char *word) {
	struct json_value list;
	struct json_value note;
	if (json_member(root, str_of(key), &list)) {
		struct json_iterator walk = json_iterate(list);
		while (json_next(&walk, &note, NULL)) {
			struct str text = json_string(note);
			(void)fprintf(stderr, "%s: %.*s\n", word, STR_ARG(text));
		}
	}
}

static int format_answer(struct json_value root, enum query_form form, struct arena *arena,
	struct buf *out, struct err *err) {
	struct json_value data;
	struct json_value type;
	struct json_value result;
	struct json_value error;
	if (json_member(root, STR("error"), &error)) {
		struct str sentence = json_string(error);
		return err_set(err, ERR_EXEC, "%.*s", STR_ARG(sentence));
	}
	if (!json_member(root, STR("data"), &data)) {
		return no_answer(err);
	}
	if (json_type_of(data) == JSON_ARRAY) {
		return format_list(data, arena, out, err);
	}
	if (!json_member(data, STR("resultType"), &type) ||
		!json_member(data, STR("result"), &result)) {
		return no_answer(err);
	}
	if (form == QUERY_PLAN && !json_member(data, STR("explain"), &result)) {
		return err_set(err, ERR_ABSENT,
			"the answer has no plan: only monitors and hubs of atoll explain queries");
	}
	if (form == QUERY_PLAN) {
		query_format_plan(result, out);
		return 0;
	}
	return format_result(type, result, arena, out, err);
}

int query_print(struct str body, enum query_form form, struct err *err) {
	bool as_json = form == QUERY_JSON;
	struct json_document *document = NULL;
	struct arena arena = { 0 };
	AUTO(buf_deinit) struct buf out = { 0 };
	if (json_document_new(body, &document, NULL) < 0) {
		return no_answer(err);
	}
	struct json_value root = json_root(document);
	int rc = format_answer(root, form, &arena, &out, as_json ? NULL : err);
	if (as_json) {
		rc = rc == ERR_EXEC ? err_set(err, rc, "the answer is an error") : 0;
		(void)printf("%.*s\n", STR_ARG(body));
	} else if (rc == 0) {
		(void)fwrite(buf_text(&out), 1, out.len, stdout);
		(void)fflush(stdout);
		print_notes(root, "warnings", "warning");
		print_notes(root, "infos", "info");
	}
	arena_deinit(&arena);
	json_document_free(document);
	return rc;
}
