/*
 * From a result to its bytes.
 */
#include "base/memory.h"
#include "codec/compress.h"
#include "matrix/column.h"
#include "matrix/layout.h"
#include "matrix/matrix.h"
#include "matrix/table.h"

#include <stdlib.h>

/* What is being written. */
struct writer {
	const struct query_result *result;
	struct buf content;
	struct column_scratch scratch;
	double *values; /* Room for one column. */
};

static const struct labels *column_labels(const void *context, size_t index) {
	return &((const struct step_column *)context)[index].labels;
}

static const struct labels *raw_labels(const void *context, size_t index) {
	return &((const struct raw_series *)context)[index].labels;
}

static void put_notes(struct writer *writer) {
	const struct annotations *notes = &writer->result->notes;
	put_varint(&writer->content, notes->count);
	for (size_t i = 0; i < notes->count; i++) {
		buf_add_byte(&writer->content, (char)notes->items[i].is_info);
		put_str(&writer->content, notes->items[i].text);
	}
}

static void put_stats(struct writer *writer) {
	const struct query_stats *stats = &writer->result->stats;
	put_varint(&writer->content, stats->samples);
	put_varint(&writer->content, stats->samples_peak);
	put_varint(&writer->content, stats->bytes_peak);
	put_signed(&writer->content, stats->eval_ns);
}

/* Lengths of the runs of steps without and with a value, in turn, after how many there are; none of
 * them when every step has one. */
static void put_presence(struct writer *writer, const struct step_column *column, size_t steps) {
	size_t runs = 1;
	size_t first = 0;
	while (first < steps && step_present(column, first)) {
		first++;
	}
	if (first == steps) {
		put_varint(&writer->content, 0);
		return;
	}
	/* The first run is of steps without one, and may be empty. */
	bool is_present = false;
	for (size_t i = 0; i < steps; i++) {
		if (step_present(column, i) != is_present) {
			runs++;
			is_present = !is_present;
		}
	}
	put_varint(&writer->content, runs);
	is_present = false;
	size_t run = 0;
	for (size_t i = 0; i < steps; i++) {
		if (step_present(column, i) != is_present) {
			put_varint(&writer->content, run);
			run = 0;
			is_present = !is_present;
		}
		run++;
	}
	put_varint(&writer->content, run);
}

static void put_series_values(struct writer *writer, const struct steps *steps) {
	for (size_t i = 0; i < steps->count; i++) {
		const struct step_column *column = &steps->columns[i];
		size_t count = 0;
		for (size_t step = 0; step < steps->grid.count; step++) {
			if (step_present(column, step)) {
				writer->values[count++] = column->values[step];
			}
		}
		column_encode(writer->values, count, &writer->scratch, &writer->content);
	}
}

/* With few steps, what all series have at one step makes the better column. */
static void put_step_values(struct writer *writer, const struct steps *steps) {
	for (size_t step = 0; step < steps->grid.count; step++) {
		size_t count = 0;
		for (size_t i = 0; i < steps->count; i++) {
			if (step_present(&steps->columns[i], step)) {
				writer->values[count++] = steps->columns[i].values[step];
			}
		}
		column_encode(writer->values, count, &writer->scratch, &writer->content);
	}
}

/* Without the series that have no value at all: an answer does not name them. */
static struct steps without_empty(const struct steps *all) {
	struct step_column *columns = MEMORY_NEW(struct step_column, all->count + 1);
	size_t count = 0;
	for (size_t i = 0; i < all->count; i++) {
		if (!step_column_is_empty(&all->columns[i], all->grid.count)) {
			columns[count++] = all->columns[i];
		}
	}
	return (struct steps){ all->grid, columns, count };
}

static void put_steps(struct writer *writer) {
	const struct steps steps = without_empty(&writer->result->steps);
	struct buf *content = &writer->content;
	put_signed(content, steps.grid.start_ms);
	put_signed(content, steps.grid.step_ms);
	put_varint(content, steps.grid.count);
	put_varint(content, steps.count);
	table_encode(column_labels, steps.columns, steps.count, content);
	for (size_t i = 0; i < steps.count; i++) {
		put_presence(writer, &steps.columns[i], steps.grid.count);
	}
	size_t most = steps.count > steps.grid.count ? steps.count : steps.grid.count;
	writer->values = memory_resize(NULL, most + 1, sizeof(double));
	if (steps.grid.count < LAYOUT_BY_SERIES_MIN) {
		put_step_values(writer, &steps);
	} else {
		put_series_values(writer, &steps);
	}
	free(steps.columns);
}

static void put_raw(struct writer *writer) {
	const struct query_result *result = writer->result;
	put_varint(&writer->content, result->raw_count);
	table_encode(raw_labels, result->raw, result->raw_count, &writer->content);
	for (size_t i = 0; i < result->raw_count; i++) {
		const struct raw_series *series = &result->raw[i];
		int64_t previous = 0;
		int64_t step = 0;
		put_varint(&writer->content, series->count);
		for (size_t j = 0; j < series->count; j++) {
			int64_t next = series->times_ms[j] - previous;
			put_signed(&writer->content, next - step);
			step = j > 0 ? next : 0;
			previous = series->times_ms[j];
		}
		column_encode(series->values, series->count, &writer->scratch, &writer->content);
	}
}

static enum layout_type layout_type(enum value_type type) {
	switch (type) {
	case VALUE_SCALAR:
		return LAYOUT_SCALAR;
	case VALUE_STRING:
		return LAYOUT_STRING;
	case VALUE_MATRIX:
		return LAYOUT_RAW;
	case VALUE_NONE:
	case VALUE_VECTOR:
		break;
	}
	return LAYOUT_VECTOR;
}

void matrix_encode(const struct query_result *result, struct buf *out) {
	struct writer writer = { .result = result };
	buf_add_byte(&writer.content, (char)layout_type(result->type));
	put_varint(&writer.content, result->is_ordered ? LAYOUT_ORDERED : 0);
	put_notes(&writer);
	put_stats(&writer);
	switch (layout_type(result->type)) {
	case LAYOUT_STRING:
		put_str(&writer.content, result->string);
		break;
	case LAYOUT_RAW:
		put_raw(&writer);
		break;
	case LAYOUT_SCALAR:
	case LAYOUT_VECTOR:
		put_steps(&writer);
		break;
	}
	buf_append(out, LAYOUT_MAGIC, LAYOUT_MAGIC_LEN);
	buf_add_byte(out, LAYOUT_VERSION);
	compress_body(COMPRESSION_ZSTD, 0, buf_str(&writer.content), out);
	buf_deinit(&writer.content);
	column_scratch_deinit(&writer.scratch);
	free(writer.values);
}
