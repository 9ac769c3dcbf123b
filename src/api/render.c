#include "api/render.h"

#include "api/explain.h"
#include "api/render_histogram.h"

#include "base/memory.h"
#include "cxx/number.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* Room for the beginning of a point: a time is at most 20 characters and a point. */
#define POINT_HEAD_MAX 40
/* Points between two looks at whether the query was canceled. */
#define POINTS_PER_CHECK 4096

/* Whether nothing more is to be written: nobody waits for it, or it has no room. */
static bool must_stop(struct json_writer *json, const struct query_control *control) {
	/* Relaxed: as in struct query_control. */
	if (!json->has_failed && control &&
		atomic_load_explicit(&control->canceled, memory_order_relaxed)) {
		(void)err_set(
			json->err, ERR_CANCELED, "query was canceled while its answer was written");
		json_writer_fail(json);
	}
	return json->has_failed;
}

void render_begin(struct json_writer *json) {
	json_begin_object(json);
	json_key(json, STR("status"));
	json_put_text(json, "success");
	json_key(json, STR("data"));
}

static void put_notes(struct json_writer *json, const char *key, const struct annotations *notes,
	bool infos, bool truncated) {
	size_t written = 0;
	size_t total = truncated;
	for (size_t i = 0; i < notes->count; i++) {
		total += notes->items[i].is_info == infos;
	}
	if (total == 0) {
		return;
	}
	json_key(json, str_of(key));
	json_begin_array(json);
	if (truncated) {
		json_put_text(json, "results truncated due to limit");
	}
	for (size_t i = 0; i < notes->count && written < RENDER_NOTES_MAX; i++) {
		if (notes->items[i].is_info == infos) {
			json_put_str(json, notes->items[i].text);
			written++;
		}
	}
	if (total - truncated > written) {
		char more[64];
		(void)snprintf(more, sizeof(more), "%zu more %s annotations omitted",
			total - truncated - written, infos ? "info" : "warning");
		json_put_text(json, more);
	}
	json_end_array(json);
}

void render_end(struct json_writer *json, const struct annotations *notes, bool truncated) {
	put_notes(json, "warnings", notes, false, truncated);
	put_notes(json, "infos", notes, true, false);
	json_end_object(json);
}

struct error_kind {
	int code;
	const char *type;
	int status;
};

static const struct error_kind error_kinds[] = {
	{ ERR_INVAL, "bad_data", 400 },
	{ ERR_EXEC, "execution", 422 },
	{ ERR_LIMIT, "execution", 422 },
	{ ERR_ABSENT, "execution", 422 },
	{ ERR_TIMEOUT, "timeout", 503 },
	{ ERR_CANCELED, "canceled", 499 },
	{ ERR_CLOSED, "unavailable", 503 },
};

int render_error(struct buf *out, const struct err *err) {
	struct error_kind kind = { 0, "internal", 500 };
	for (size_t i = 0; i < ARRAY_COUNT(error_kinds); i++) {
		if (error_kinds[i].code == err->code) {
			kind = error_kinds[i];
		}
	}
	struct json_writer json;
	json_writer_init(&json, out);
	json_begin_object(&json);
	json_key(&json, STR("status"));
	json_put_text(&json, "error");
	json_key(&json, STR("errorType"));
	json_put_text(&json, kind.type);
	json_key(&json, STR("error"));
	json_put_text(&json, err->text);
	json_end_object(&json);
	return kind.status;
}

void render_labels(struct json_writer *json, const struct labels *set) {
	json_begin_object(json);
	for (size_t i = 0; i < set->count; i++) {
		json_key(json, set->pairs[i].name);
		json_put_str(json, set->pairs[i].value);
	}
	json_end_object(json);
}

/* Whole seconds, and milliseconds only where there are some: 1.5 s is 1.500. */
static size_t format_time(int64_t ms, char *out, size_t size) {
	uint64_t positive = ms < 0 ? 0 - (uint64_t)ms : (uint64_t)ms;
	const char *sign = ms < 0 ? "-" : "";
	int len = positive % 1000 == 0 ? snprintf(out, size, "%s%" PRIu64, sign, positive / 1000)
				       : snprintf(out, size, "%s%" PRIu64 ".%03" PRIu64, sign,
						 positive / 1000, positive % 1000);
	return (size_t)len;
}

/* [time,"value"] in one piece. */
static void put_point(struct json_writer *json, int64_t ms, double value) {
	char text[NUMBER_TEXT_MAX + 40];
	text[0] = '[';
	size_t len = 1 + format_time(ms, text + 1, 32);
	text[len++] = ',';
	text[len++] = '"';
	len += number_format_json(value, text + len);
	text[len++] = '"';
	text[len++] = ']';
	json_put_raw(json, (struct str){ text, len });
}

static void put_histogram(struct json_writer *json, int64_t ms, const struct histogram *histogram) {
	char text[40];
	render_histogram(
		json, (struct str){ text, format_time(ms, text, sizeof(text)) }, histogram);
}

/* Points of one series: numbers and histograms, told apart by the latter. */
struct points {
	const double *values;
	const struct histogram *const *histograms; /* NULL: none. */
	const struct step_column *column;          /* On a grid; */
	const struct grid *grid;
	const int64_t *times_ms; /* else at these times. */
	size_t count;
	const struct query_control *control; /* May be NULL. */
};

static bool is_histogram(const struct points *points, size_t at) {
	return points->histograms && points->histograms[at];
}

/* Writes the points that are (not) histograms under 'key', if there are any. */
static void put_kind(
	struct json_writer *json, const char *key, const struct points *points, bool histograms) {
	bool has_any = false;
	for (size_t i = 0; i < points->count; i++) {
		int64_t ms = points->column ? grid_time(points->grid, i) : points->times_ms[i];
		if ((points->column && !step_present(points->column, i)) ||
			is_histogram(points, i) != histograms) {
			continue;
		}
		if (i % POINTS_PER_CHECK == 0 && must_stop(json, points->control)) {
			break;
		}
		if (!has_any) {
			json_key(json, str_of(key));
			json_begin_array(json);
			has_any = true;
		}
		if (histograms) {
			put_histogram(json, ms, points->histograms[i]);
		} else {
			put_point(json, ms, points->values[i]);
		}
	}
	if (has_any) {
		json_end_array(json);
	}
}

static void put_points(struct json_writer *json, const struct points *points) {
	put_kind(json, "values", points, false);
	if (points->histograms) {
		put_kind(json, "histograms", points, true);
	}
}

static void put_steps(
	struct json_writer *json, const struct step_column *column, const struct grid *grid) {
	struct points points = { .values = column->values,
		.histograms = column->histograms,
		.column = column,
		.grid = grid,
		.count = grid->count };
	put_points(json, &points);
}

/* How each step's point begins, up to the value: the same in all series. */
struct point_heads {
	struct point_head {
		char text[POINT_HEAD_MAX];
		size_t len;
	} * items; /* By step. */
};

static void point_heads_deinit(struct point_heads *heads) {
	free(heads->items);
}

static void point_heads_build(struct point_heads *heads, const struct grid *grid) {
	heads->items = MEMORY_NEW(struct point_head, grid->count);
	for (size_t i = 0; i < grid->count; i++) {
		struct point_head *head = &heads->items[i];
		head->text[0] = '[';
		head->len = 1 + format_time(grid_time(grid, i), head->text + 1, POINT_HEAD_MAX - 4);
		head->text[head->len++] = ',';
		head->text[head->len++] = '"';
	}
}

/* "values" of a column of numbers: the inner loop of large answers. */
static void put_numbers(struct json_writer *json, const struct step_column *column, size_t count,
	const struct point_heads *heads) {
	struct buf *out = json->out;
	json_key(json, STR("values"));
	json_begin_array(json);
	for (size_t i = 0; i < count; i++) {
		if (!step_present(column, i)) {
			continue;
		}
		if (!json_writer_room(json, POINT_HEAD_MAX + NUMBER_TEXT_MAX + 3)) {
			json_end_array(json);
			return;
		}
		char *start = buf_reserve(out, POINT_HEAD_MAX + NUMBER_TEXT_MAX + 3);
		char *at = start;
		memcpy(at, heads->items[i].text, POINT_HEAD_MAX);
		at += heads->items[i].len;
		at += number_format_json(column->values[i], at);
		memcpy(at, "\"],", 3);
		out->len += (size_t)(at + 3 - start);
	}
	/* The last comma. A column that is written has a point. */
	out->len--;
	out->ptr[out->len] = '\0';
	json_end_array(json);
}

static void put_instant(struct json_writer *json, const struct step_column *column, int64_t ms) {
	if (column->histograms && column->histograms[0]) {
		json_key(json, STR("histogram"));
		put_histogram(json, ms, column->histograms[0]);
		return;
	}
	json_key(json, STR("value"));
	put_point(json, ms, column->values[0]);
}

static bool put_columns(struct json_writer *json, const struct query_result *result,
	const struct query_request *request) {
	const struct steps *steps = &result->steps;
	size_t limit = request->limit;
	bool is_range = request->is_range;
	AUTO(point_heads_deinit) struct point_heads heads = { 0 };
	size_t written = 0;
	point_heads_build(&heads, &steps->grid);
	json_begin_array(json);
	for (size_t i = 0; i < steps->count && !must_stop(json, request->control); i++) {
		const struct step_column *column = &steps->columns[i];
		if (step_column_is_empty(column, steps->grid.count)) {
			continue;
		}
		if (limit > 0 && written == limit) {
			json_end_array(json);
			return true;
		}
		json_begin_object(json);
		json_key(json, STR("metric"));
		render_labels(json, &column->labels);
		if (is_range && !column->histograms) {
			put_numbers(json, column, steps->grid.count, &heads);
		} else if (is_range) {
			put_steps(json, column, &steps->grid);
		} else {
			put_instant(json, column, steps->grid.start_ms);
		}
		json_end_object(json);
		written++;
	}
	json_end_array(json);
	return false;
}

static bool put_raw_series(struct json_writer *json, const struct query_result *result,
	const struct query_request *request) {
	size_t limit = request->limit;
	json_begin_array(json);
	for (size_t i = 0; i < result->raw_count && !must_stop(json, request->control); i++) {
		const struct raw_series *series = &result->raw[i];
		if (limit > 0 && i == limit) {
			json_end_array(json);
			return true;
		}
		json_begin_object(json);
		json_key(json, STR("metric"));
		render_labels(json, &series->labels);
		put_points(json, &(struct points){ .values = series->values,
					 .histograms = series->histograms,
					 .times_ms = series->times_ms,
					 .count = series->count,
					 .control = request->control });
		json_end_object(json);
	}
	json_end_array(json);
	return false;
}

/*
 * Scalars and strings are written by other code in Prometheus than series: their time is a plain
 * number (1.5, not 1.500), a scalar's value never has an exponent.
 */
static void put_single(struct json_writer *json, int64_t time_ms, struct str value) {
	json_begin_array(json);
	json_put_double(json, (double)time_ms / 1000);
	json_put_str(json, value);
	json_end_array(json);
}

static void put_scalar(struct json_writer *json, int64_t time_ms, double value) {
	char text[NUMBER_TEXT_MAX];

	put_single(json, time_ms, (struct str){ text, number_format_f(value, text) });
}

static void put_seconds(struct json_writer *json, const char *key, int64_t ns) {
	json_key(json, str_of(key));
	json_put_double(json, (double)ns / (double)NS_PER_S);
}

static void put_count(struct json_writer *json, const char *key, uint64_t count) {
	json_key(json, str_of(key));
	json_put_int(json, (int64_t)count);
}

/* [[seconds, count], ...] */
static void put_step_counts(struct json_writer *json, const char *key, const struct grid *grid,
	const uint64_t *counts) {
	json_key(json, str_of(key));
	json_begin_array(json);
	for (size_t i = 0; i < grid->count; i++) {
		json_begin_array(json);
		json_put_double(json, (double)grid_time(grid, i) / 1000);
		json_put_int(json, (int64_t)counts[i]);
		json_end_array(json);
	}
	json_end_array(json);
}

static void put_timings(
	struct json_writer *json, const struct query_stats *stats, const struct stats_wish *wish) {
	json_key(json, STR("timings"));
	json_begin_object(json);
	put_seconds(json, "evalTotalTime", stats->eval_ns);
	put_seconds(json, "resultSortTime", stats->sort_ns);
	put_seconds(json, "queryPreparationTime", stats->prepare_ns);
	put_seconds(json, "innerEvalTime", stats->eval_ns - stats->prepare_ns - stats->sort_ns);
	put_seconds(json, "execQueueTime", wish->waited_ns);
	put_seconds(json, "execTotalTime", wish->waited_ns + stats->eval_ns);
	json_end_object(json);
}

static void put_stats(struct json_writer *json, const struct source_answer *answer,
	const struct query_request *request, const struct stats_wish *wish) {
	const struct query_stats *stats = &answer->result.stats;
	bool has_steps = wish->has_steps && stats->step_samples;

	json_key(json, STR("stats"));
	json_begin_object(json);
	put_timings(json, stats, wish);
	json_key(json, STR("samples"));
	json_begin_object(json);
	if (has_steps) {
		put_step_counts(
			json, "totalQueryableSamplesPerStep", &request->grid, stats->step_samples);
	}
	put_count(json, "totalQueryableSamples", stats->samples);
	if (has_steps) {
		put_step_counts(json, "samplesReadPerStep", &request->grid, stats->step_read);
	}
	put_count(json, "samplesRead", stats->samples_read);
	put_count(json, "peakSamples", stats->samples_peak);
	json_end_object(json);
	if (answer->share_count > 0) {
		json_key(json, STR("clusters"));
		explain_render_shares(json, answer);
	}
	json_end_object(json);
}

bool render_result(struct json_writer *json, const struct source_answer *answer,
	const struct query_request *request, const struct stats_wish *stats) {
	const struct query_result *result = &answer->result;
	bool truncated = false;
	json_begin_object(json);
	json_key(json, STR("resultType"));
	if (request->is_range) {
		json_put_text(json, "matrix");
		json_key(json, STR("result"));
		truncated = put_columns(json, result, request);
	} else if (result->type == VALUE_SCALAR) {
		json_put_text(json, "scalar");
		json_key(json, STR("result"));
		put_scalar(json, request->grid.start_ms, result->steps.columns[0].values[0]);
	} else if (result->type == VALUE_STRING) {
		json_put_text(json, "string");
		json_key(json, STR("result"));
		put_single(json, request->grid.start_ms, result->string);
	} else if (result->type == VALUE_MATRIX) {
		json_put_text(json, "matrix");
		json_key(json, STR("result"));
		truncated = put_raw_series(json, result, request);
	} else {
		json_put_text(json, "vector");
		json_key(json, STR("result"));
		truncated = put_columns(json, result, request);
	}
	if (stats) {
		put_stats(json, answer, request, stats);
	}
	if (request->explains) {
		json_key(json, STR("explain"));
		explain_render(json, answer);
	}
	json_end_object(json);
	return truncated;
}

bool render_strings(struct json_writer *json, const struct str_list *list, size_t limit,
	const struct query_control *control) {
	size_t count = limit > 0 && limit < list->count ? limit : list->count;
	json_begin_array(json);
	for (size_t i = 0; i < count && !must_stop(json, control); i++) {
		json_put_str(json, list->items[i]);
	}
	json_end_array(json);
	return count < list->count;
}

bool render_series(struct json_writer *json, const struct labels_list *list, size_t limit,
	const struct query_control *control) {
	size_t count = limit > 0 && limit < list->count ? limit : list->count;
	json_begin_array(json);
	for (size_t i = 0; i < count && !must_stop(json, control); i++) {
		render_labels(json, &list->items[i]);
	}
	json_end_array(json);
	return count < list->count;
}
