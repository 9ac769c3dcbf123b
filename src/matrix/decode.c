/*
 * From bytes to a result, whoever they are from.
 */
#include "codec/compress.h"
#include "matrix/column.h"
#include "matrix/layout.h"
#include "matrix/matrix.h"
#include "matrix/table.h"

#include <stdlib.h>

/* What is being read. */
struct content {
	struct reader in;
	const struct matrix_options *options;
	struct arena *arena;
	struct query_result result;
};

static int malformed(struct err *err, const char *what) {
	return err_set(err, ERR_CORRUPT, "compact matrix: %s", what);
}

static int get_notes(struct content *content, struct err *err) {
	size_t count = get_count(&content->in);
	for (size_t i = 0; i < count; i++) {
		uint8_t is_info = get_byte(&content->in);
		struct str text = get_str(&content->in);
		if (content->in.has_failed || is_info > 1) {
			return malformed(err, "malformed note");
		}
		annotations_add(&content->result.notes, content->arena, is_info != 0,
			arena_copy(content->arena, text));
	}
	return 0;
}

static void get_stats(struct content *content) {
	struct query_stats *stats = &content->result.stats;
	stats->samples = get_varint(&content->in);
	stats->samples_peak = get_varint(&content->in);
	stats->bytes_peak = get_varint(&content->in);
	stats->eval_ns = get_signed(&content->in);
}

/* The label sets, each with the label that the options ask for. */
static int get_labels(struct content *content, size_t count, struct labels **out, struct err *err) {
	const struct matrix_options *options = content->options;
	struct labels *rows = NULL;
	int rc = table_decode(&content->in, count, content->arena, &rows, err);
	for (size_t i = 0; rc == 0 && options->label_name.len > 0 && i < count; i++) {
		if (options->has_stored && labels_get(&rows[i], options->label_name).len > 0) {
			*options->has_stored = true;
		}
		rows[i] = labels_with(
			content->arena, &rows[i], options->label_name, options->label_value);
	}
	if (rc == 0) {
		*out = rows;
	}
	return rc;
}

static void set_run(uint64_t *present, size_t from, size_t count) {
	for (size_t i = from; i < from + count; i++) {
		present[i / 64] |= UINT64_C(1) << (i % 64);
	}
}

static int get_presence(
	struct content *content, struct step_column *column, size_t steps, struct err *err) {
	size_t runs = (size_t)get_varint(&content->in);
	size_t at = 0;
	if (runs == 0) {
		set_run(column->present, 0, steps);
	}
	for (size_t i = 0; i < runs && !content->in.has_failed; i++) {
		uint64_t run = get_varint(&content->in);
		if (run > steps - at || (i > 0 && run == 0)) {
			return malformed(err, "runs of steps do not fit the grid");
		}
		if (i % 2 == 1) {
			set_run(column->present, at, (size_t)run);
		}
		at += (size_t)run;
	}
	if (content->in.has_failed || (runs > 0 && at != steps)) {
		return malformed(err, "runs of steps do not fit the grid");
	}
	return 0;
}

/* How many steps of a series have a value. */
static size_t count_present(const struct step_column *column, size_t steps) {
	size_t count = 0;
	for (size_t i = 0; i < step_words(steps); i++) {
		count += (size_t)__builtin_popcountll(column->present[i]);
	}
	return count;
}

/* Values come without gaps; from the last to the first each moves to its step. */
static void spread(struct step_column *column, size_t steps, size_t count) {
	for (size_t step = steps; step-- > 0 && count < step + 1;) {
		if (step_present(column, step)) {
			column->values[step] = column->values[--count];
		}
	}
}

static void get_series_values(struct content *content, const struct steps *steps) {
	for (size_t i = 0; i < steps->count && !content->in.has_failed; i++) {
		struct step_column *column = &steps->columns[i];
		size_t count = count_present(column, steps->grid.count);
		column_decode(&content->in, column->values, count);
		spread(column, steps->grid.count, count);
	}
}

static void get_step_values(struct content *content, const struct steps *steps, double *values) {
	for (size_t step = 0; step < steps->grid.count && !content->in.has_failed; step++) {
		size_t count = 0;
		for (size_t i = 0; i < steps->count; i++) {
			count += step_present(&steps->columns[i], step);
		}
		column_decode(&content->in, values, count);
		size_t next = 0;
		for (size_t i = 0; i < steps->count; i++) {
			if (step_present(&steps->columns[i], step)) {
				steps->columns[i].values[step] = values[next++];
			}
		}
	}
}

static int get_grid(struct content *content, struct grid *grid, struct err *err) {
	grid->start_ms = get_signed(&content->in);
	grid->step_ms = get_signed(&content->in);
	uint64_t count = get_varint(&content->in);
	if (content->in.has_failed || count == 0 || count > ENGINE_STEPS_MAX || grid->step_ms < 0 ||
		grid->step_ms > INT64_MAX / (ENGINE_STEPS_MAX + 1) ||
		(count > 1 && grid->step_ms == 0) || grid->start_ms > INT64_MAX / 2 ||
		grid->start_ms < -INT64_MAX / 2) {
		return malformed(err, "malformed grid of steps");
	}
	grid->count = (size_t)count;
	return 0;
}

static int get_steps(struct content *content, struct err *err) {
	struct steps *steps = &content->result.steps;
	struct labels *rows = NULL;
	int rc = get_grid(content, &steps->grid, err);
	if (rc < 0) {
		return rc;
	}
	steps->count = get_count(&content->in);
	steps->columns = ARENA_TRY_NEW(content->arena, struct step_column, steps->count + 1, err);
	double *values = ARENA_TRY_NEW(content->arena, double, steps->count + 1, err);
	if (!steps->columns || !values) {
		return ERR_LIMIT;
	}
	rc = get_labels(content, steps->count, &rows, err);
	for (size_t i = 0; rc == 0 && i < steps->count; i++) {
		rc = step_column_build(content->arena, steps->grid.count, &steps->columns[i], err);
		if (rc == 0) {
			steps->columns[i].labels = rows[i];
			rc = get_presence(content, &steps->columns[i], steps->grid.count, err);
		}
	}
	if (rc < 0) {
		return rc;
	}
	if (steps->grid.count < LAYOUT_BY_SERIES_MIN) {
		get_step_values(content, steps, values);
	} else {
		get_series_values(content, steps);
	}
	return content->in.has_failed ? malformed(err, "cut off within values") : 0;
}

static int get_raw_series(struct content *content, struct raw_series *series, struct err *err) {
	uint64_t previous = 0;
	uint64_t step = 0;
	series->count = get_count(&content->in);
	series->times_ms = ARENA_TRY_NEW(content->arena, int64_t, series->count + 1, err);
	series->values = ARENA_TRY_NEW(content->arena, double, series->count + 1, err);
	if (!series->times_ms || !series->values) {
		return ERR_LIMIT;
	}
	for (size_t i = 0; i < series->count; i++) {
		uint64_t next = step + (uint64_t)get_signed(&content->in);
		step = i > 0 ? next : 0;
		previous += next;
		series->times_ms[i] = (int64_t)previous;
		if (i > 0 && series->times_ms[i] <= series->times_ms[i - 1]) {
			return malformed(err, "samples are not in the order of time");
		}
	}
	column_decode(&content->in, series->values, series->count);
	return content->in.has_failed ? malformed(err, "cut off within samples") : 0;
}

static int get_raw(struct content *content, struct err *err) {
	struct query_result *result = &content->result;
	struct labels *rows = NULL;
	result->raw_count = get_count(&content->in);
	result->raw = ARENA_TRY_NEW(content->arena, struct raw_series, result->raw_count + 1, err);
	if (!result->raw) {
		return ERR_LIMIT;
	}
	int rc = get_labels(content, result->raw_count, &rows, err);
	for (size_t i = 0; rc == 0 && i < result->raw_count; i++) {
		result->raw[i].labels = rows[i];
		rc = get_raw_series(content, &result->raw[i], err);
	}
	return rc;
}

static int get_data(struct content *content, uint8_t type, struct err *err) {
	struct query_result *result = &content->result;
	switch (type) {
	case LAYOUT_SCALAR:
	case LAYOUT_VECTOR:
		result->type = type == LAYOUT_SCALAR ? VALUE_SCALAR : VALUE_VECTOR;
		return get_steps(content, err);
	case LAYOUT_RAW:
		result->type = VALUE_MATRIX;
		return get_raw(content, err);
	case LAYOUT_STRING:
		result->type = VALUE_STRING;
		result->string = arena_copy(content->arena, get_str(&content->in));
		return 0;
	default:
		return malformed(err, "unknown kind of result");
	}
}

static int get_all(struct content *content, struct err *err) {
	uint8_t type = get_byte(&content->in);
	uint64_t flags = get_varint(&content->in);
	if (flags & ~(uint64_t)LAYOUT_ORDERED) {
		return malformed(err, "unknown flags");
	}
	content->result.is_ordered = (flags & LAYOUT_ORDERED) != 0;
	int rc = get_notes(content, err);
	if (rc < 0) {
		return rc;
	}
	get_stats(content);
	rc = get_data(content, type, err);
	if (rc < 0) {
		return rc;
	}
	if (content->in.has_failed || reader_left(&content->in) > 0) {
		return malformed(err, content->in.has_failed ? "cut off" : "bytes after the end");
	}
	return 0;
}

bool matrix_is_accepted(struct str accept) {
	while (accept.len > 0) {
		struct str item = str_cut(&accept, ',');
		struct str name = str_trim(str_cut(&item, ';'));
		if (str_equal_nocase(name, STR(MATRIX_MEDIA_TYPE))) {
			return !str_equal(str_trim(item), STR("q=0"));
		}
	}
	return false;
}

bool matrix_is(struct str body) {
	return str_starts(body, (struct str){ LAYOUT_MAGIC, LAYOUT_MAGIC_LEN });
}

int matrix_decode(struct str body, const struct matrix_options *options, struct arena *arena,
	struct query_result *out, struct err *err) {
	if (!matrix_is(body) || body.len <= LAYOUT_MAGIC_LEN) {
		return malformed(err, "it does not begin as one");
	}
	unsigned version = (unsigned char)body.ptr[LAYOUT_MAGIC_LEN];
	if (version != LAYOUT_VERSION) {
		return err_set(err, ERR_ABSENT,
			"compact matrix: version %u of the format is not known here; update this "
			"side",
			version);
	}
	AUTO(buf_deinit) struct buf bytes = { 0 };
	int rc = decompress_body(COMPRESSION_ZSTD, str_from(body, LAYOUT_MAGIC_LEN + 1),
		options->bytes_max, &bytes, err);
	if (rc < 0) {
		return err_wrap(err, rc, "compact matrix");
	}
	const uint8_t *first = (const uint8_t *)buf_text(&bytes);
	struct content content = {
		.in = { first, first + bytes.len, false }, .options = options, .arena = arena
	};
	rc = get_all(&content, err);
	if (rc == 0) {
		*out = content.result;
	}
	return rc;
}
