/*
 * Leaves of an expression as streams: instant selectors, and matrices that are already there.
 */
#include "promql/select.h"

#include "promql/counts.h"
#include "promql/extended.h"
#include "promql/histogram_range.h"

#include "base/check.h"

/*
 * Which sample each step sees. A target's series are all sampled at the same times, so what was
 * found for one mostly holds for the next.
 */
struct looks {
	int64_t *times_ms; /* The samples' times that it was found for. */
	size_t count;
	size_t capacity;
	uint32_t *newest;  /* By step; the first sample where there is none, */
	uint64_t *present; /* which this tells. */
};

struct select_stream {
	struct stream stream;
	struct eval *ev;
	const struct grid *grid;
	struct leaf *leaf;
	struct looks looks;
	struct column column;
	struct column second; /* The histograms of the series, if it has any, */
	bool has_second;      /* and whether they are still to come. */
	uint32_t position;
	bool is_fixed; /* With @: each step looks at the same time. */
	enum select_part part;
	bool is_smoothed;
	int64_t shift_ms; /* What is added to a step to get the time it looks at. */
	int64_t fixed_ms;
};

static int64_t look_time(const struct select_stream *select, size_t step) {
	return select->is_fixed ? select->fixed_ms
				: grid_time(select->grid, step) + select->shift_ms;
}

/* Finds the newest sample at or before each step's time that is younger than the lookback. */
static void find_newest(struct select_stream *select) {
	struct looks *looks = &select->looks;
	int64_t lookback_ms = select->ev->lookback_ms;
	uint32_t next = 0;

	memset(looks->present, 0, step_words(select->grid->count) * sizeof(*looks->present));
	for (size_t i = 0; i < select->grid->count; i++) {
		int64_t time_ms = look_time(select, i);

		while (next < looks->count && looks->times_ms[next] <= time_ms) {
			next++;
		}
		looks->newest[i] = next > 0 ? next - 1 : 0;
		if (next > 0 && looks->times_ms[next - 1] > time_ms - lookback_ms) {
			present_set(looks->present, i);
		}
	}
}

/* Brings the looks up to date for the samples' times. */
static int looks_update(struct select_stream *select, const struct sample_column *samples) {
	struct looks *looks = &select->looks;
	size_t bytes = samples->count * sizeof(int64_t);

	if (looks->newest && looks->count == samples->count &&
		memcmp(looks->times_ms, samples->times_ms, bytes) == 0) {
		return 0;
	}
	if (!looks->newest) {
		looks->newest = EVAL_NEW(select->ev, uint32_t, select->grid->count);
		looks->present = EVAL_NEW(select->ev, uint64_t, step_words(select->grid->count));
	}
	if (looks->capacity < samples->count) {
		looks->capacity = samples->count + samples->count / 2;
		looks->times_ms = EVAL_NEW(select->ev, int64_t, looks->capacity);
	}
	if (!looks->newest || !looks->present || !looks->times_ms) {
		return ERR_LIMIT;
	}
	CHECK(samples->count <= UINT32_MAX);
	memcpy(looks->times_ms, samples->times_ms, bytes);
	looks->count = samples->count;
	find_newest(select);
	return 0;
}

/* Gives each step a time of its newest sample. */
static void take_times(struct select_stream *select, const struct sample_column *samples) {
	const uint32_t *newest = select->looks.newest;
	double *values = select->column.values;
	const int64_t *times_ms = samples->times_ms;

	if (select->part == SELECT_STARTS) {
		times_ms = samples->has_starts ? samples->starts_ms : NULL;
	}
	for (size_t i = 0; i < select->grid->count; i++) {
		values[i] = times_ms ? (double)times_ms[newest[i]] / 1000 : 0;
	}
}

/* Gives each step its newest sample; a stale marker ends the series until its next sample. */
static int look_back(struct select_stream *select, const struct sample_column *samples) {
	const struct looks *looks = &select->looks;
	struct column *column = &select->column;
	size_t steps = select->grid->count;
	bool any_stale = false;
	int rc;

	if (samples->count == 0) {
		memset(column->present, 0, step_words(steps) * sizeof(*column->present));
		return 0;
	}
	rc = looks_update(select, samples);
	if (rc < 0) {
		return rc;
	}
	memcpy(column->present, looks->present, step_words(steps) * sizeof(*column->present));
	for (size_t i = 0; i < steps; i++) {
		column->values[i] = samples->values[looks->newest[i]];
		any_stale |= is_stale(column->values[i]);
	}
	for (size_t i = 0; any_stale && i < steps; i++) {
		if (is_stale(column->values[i])) {
			present_clear(column->present, i);
		}
	}
	if (select->part != SELECT_VALUES) {
		take_times(select, samples);
	}
	return 0;
}

/* Gives each step a value from the samples of a lookback before and after its time. */
static void look_around(struct select_stream *select, struct sample_column *samples) {
	const int64_t *times_ms = samples->times_ms;
	int64_t lookback_ms = select->ev->lookback_ms;
	struct column *column = &select->column;
	size_t low = 0;
	size_t high = 0;

	samples_remove_stale(samples);
	memset(column->present, 0, step_words(select->grid->count) * sizeof(*column->present));
	for (size_t i = 0; i < select->grid->count; i++) {
		int64_t time_ms = look_time(select, i);

		while (high < samples->count && times_ms[high] <= time_ms + lookback_ms) {
			high++;
		}
		while (low < high && times_ms[low] <= time_ms - lookback_ms) {
			low++;
		}
		if (low < high && extended_point(times_ms + low, samples->values + low, high - low,
					  time_ms, &column->values[i])) {
			present_set(column->present, i);
		}
	}
}

/* Gives a step the histogram between those before and after its time, as look_around does. */
static int smooth_step(struct select_stream *select, const struct sample_column *samples,
	struct span span, size_t step) {
	int64_t time_ms = look_time(select, step);
	struct histogram_notes notes = { select->ev, select->position,
		labels_get(&select->column.labels, LABEL_NAME) };
	struct histogram *made = NULL;
	int rc = extended_histogram_point(&notes, samples, span, time_ms, &made);

	if (rc == 0 && made) {
		select->second.histograms[step] = made;
		present_set(select->second.present, step);
	}
	return rc;
}

static int smooth_histograms(struct select_stream *select, const struct sample_column *samples) {
	int64_t lookback_ms = select->ev->lookback_ms;
	size_t steps = select->grid->count;
	struct span span = { 0, 0 };
	int rc = 0;

	if (!select->second.histograms) {
		rc = eval_histograms_build(select->ev, steps, &select->second);
	}
	if (rc < 0) {
		return rc;
	}
	memset(select->column.present, 0, step_words(steps) * sizeof(uint64_t));
	memset(select->second.present, 0, step_words(steps) * sizeof(uint64_t));
	for (size_t i = 0; rc == 0 && i < steps; i++) {
		int64_t time_ms = look_time(select, i);
		size_t histograms = 0;

		while (span.high < samples->count &&
			samples->times_ms[span.high] <= time_ms + lookback_ms) {
			span.high++;
		}
		while (span.low < span.high &&
			samples->times_ms[span.low] <= time_ms - lookback_ms) {
			span.low++;
		}
		for (size_t k = span.low; k < span.high; k++) {
			histograms += samples->histograms[k] != NULL;
		}
		if (histograms > 0) {
			rc = smooth_step(select, samples, span, i);
		} else if (span.low < span.high &&
			   extended_point(samples->times_ms + span.low, samples->values + span.low,
				   span.high - span.low, time_ms, &select->column.values[i])) {
			present_set(select->column.present, i);
		}
	}
	select->has_second = present_any(select->second.present, steps);
	return rc;
}

/* Moves the steps at which the newest sample is a histogram to a column of their own. */
static int split_histograms(struct select_stream *select, const struct sample_column *samples) {
	struct column *column = &select->column;
	size_t steps = select->grid->count;
	size_t next = 0;
	int rc = 0;

	if (!select->second.histograms) {
		rc = eval_histograms_build(select->ev, steps, &select->second);
	}
	if (rc < 0) {
		return rc;
	}
	memset(select->second.present, 0, step_words(steps) * sizeof(uint64_t));
	for (PRESENT_EACH(column->present, steps, i)) {
		while (next < samples->count && samples->times_ms[next] <= look_time(select, i)) {
			next++;
		}
		if (samples->histograms[next - 1]) {
			select->second.histograms[i] = samples->histograms[next - 1];
			select->second.values[i] = column->values[i];
			present_set(select->second.present, i);
			present_clear(column->present, i);
		}
	}
	select->has_second = present_any(select->second.present, steps);
	return 0;
}

/* Fills in the columns of the series that the leaf is at. */
static int read_series(struct select_stream *select) {
	struct sample_column *samples = &select->leaf->samples;
	int rc;

	if (select->is_smoothed && samples->has_histograms) {
		samples_remove_stale(samples);
		select->column.labels = select->leaf->set->labels;
		return smooth_histograms(select, samples);
	}
	if (select->is_smoothed) {
		look_around(select, samples);
		return 0;
	}
	rc = look_back(select, samples);
	return rc == 0 && samples->has_histograms ? split_histograms(select, samples) : rc;
}

static int select_next(struct stream *stream, struct column *out) {
	struct select_stream *select = CONTAINER_OF(stream, struct select_stream, stream);
	size_t steps = select->grid->count;

	for (;;) {
		int rc;

		if (select->has_second) {
			select->has_second = false;
			count_present(select->ev, select->second.present, steps);
			*out = select->second;
			out->labels = select->leaf->set->labels;
			return 1;
		}
		rc = leaf_next(select->ev, select->leaf);
		if (rc <= 0) {
			return rc;
		}
		if (!select->column.values) {
			rc = eval_column_build(select->ev, steps, &select->column);
		}
		rc = rc < 0 ? rc : eval_work(select->ev, steps);
		rc = rc < 0 ? rc : read_series(select);
		if (rc < 0) {
			return rc;
		}
		if (present_any(select->column.present, steps)) {
			count_present(select->ev, select->column.present, steps);
			*out = select->column;
			out->labels = select->leaf->set->labels;
			return 1;
		}
	}
}

int select_open(struct eval *ev, const struct selector *selector, uint32_t position,
	const struct grid *grid, enum select_part part, struct stream **out) {
	struct select_stream *select = EVAL_NEW(ev, struct select_stream, 1);
	const struct time_shift *shift = &selector->shift;
	int64_t first_ms;
	int64_t last_ms;
	int rc;

	if (!select) {
		return ERR_LIMIT;
	}
	*select = (struct select_stream){
		.stream = { .next = select_next },
		.ev = ev,
		.grid = grid,
		.position = position,
		.part = part,
		.is_smoothed = selector->smoothed && part == SELECT_VALUES,
		.is_fixed = shift->at == AT_TIME,
		.shift_ms = -shift->offset.ms,
		.fixed_ms = shift->at_ms - shift->offset.ms,
	};
	CHECK(shift->at == AT_NONE || shift->at == AT_TIME);
	first_ms = look_time(select, 0) - ev->lookback_ms + 1;
	last_ms = look_time(select, grid->count - 1);
	last_ms += select->is_smoothed ? ev->lookback_ms : 0;
	rc = leaf_open(ev, selector, first_ms, last_ms, &select->leaf);
	if (rc < 0) {
		return rc;
	}
	*out = &select->stream;
	return 0;
}

struct matrix_stream {
	struct stream stream;
	struct eval *ev;
	const struct steps *steps;
	size_t next;
	size_t first;  /* The matrix' step that is the grid's first, */
	size_t stride; /* and how many of its steps are one of the grid's. */
	size_t count;
	struct column column;
	struct column second; /* As of a selector. */
	bool has_second;
};

/* The steps that are histograms. */
static int matrix_split(struct matrix_stream *matrix, const struct step_column *from) {
	int rc = 0;

	if (!matrix->second.histograms) {
		rc = eval_histograms_build(matrix->ev, matrix->count, &matrix->second);
	}
	if (rc < 0) {
		return rc;
	}
	memset(matrix->second.present, 0,
		step_words(matrix->count) * sizeof(*matrix->second.present));
	for (PRESENT_EACH(matrix->column.present, matrix->count, i)) {
		const struct histogram *histogram =
			from->histograms[matrix->first + i * matrix->stride];

		if (histogram) {
			matrix->second.histograms[i] = histogram;
			present_set(matrix->second.present, i);
			present_clear(matrix->column.present, i);
		}
	}
	matrix->second.labels = from->labels;
	matrix->has_second = present_any(matrix->second.present, matrix->count);
	return 0;
}

static int matrix_next(struct stream *stream, struct column *out) {
	struct matrix_stream *matrix = CONTAINER_OF(stream, struct matrix_stream, stream);
	const struct step_column *from;
	int rc;

	if (matrix->has_second) {
		matrix->has_second = false;
		*out = matrix->second;
		return 1;
	}
	if (matrix->next == matrix->steps->count) {
		return 0;
	}
	rc = eval_work(matrix->ev, matrix->count);
	if (rc == 0 && !matrix->column.values) {
		rc = eval_column_build(matrix->ev, matrix->count, &matrix->column);
	}
	if (rc < 0) {
		return rc;
	}
	from = &matrix->steps->columns[matrix->next++];
	memset(matrix->column.present, 0,
		step_words(matrix->count) * sizeof(*matrix->column.present));
	for (size_t i = 0; i < matrix->count; i++) {
		size_t at = matrix->first + i * matrix->stride;

		if (step_present(from, at)) {
			matrix->column.values[i] = from->values[at];
			present_set(matrix->column.present, i);
		}
	}
	count_present(matrix->ev, matrix->column.present, matrix->count);
	rc = from->histograms ? matrix_split(matrix, from) : 0;
	*out = matrix->column;
	out->labels = from->labels;
	return rc < 0 ? rc : 1;
}

int matrix_place(struct eval *ev, const struct steps *steps, const struct grid *grid, size_t *first,
	size_t *stride) {
	const struct grid *own = &steps->grid;
	int64_t from_ms = grid->start_ms - own->start_ms;
	int64_t step_ms = own->count > 1 ? own->step_ms : 1;
	int64_t wanted_ms = grid->count > 1 ? grid->step_ms : 0;
	uint64_t last;

	if (from_ms < 0 || from_ms % step_ms != 0 || wanted_ms % step_ms != 0) {
		return err_set(ev->err, ERR_INVAL,
			"a finished matrix has no value at the steps that are asked of it");
	}
	*first = (size_t)(from_ms / step_ms);
	*stride = (size_t)(wanted_ms / step_ms);
	last = *first + (uint64_t)*stride * (grid->count - 1);
	if (last >= own->count) {
		return err_set(ev->err, ERR_INVAL,
			"a finished matrix ends before the last step that is asked of it");
	}
	return 0;
}

int matrix_open(
	struct eval *ev, const struct steps *steps, const struct grid *grid, struct stream **out) {
	struct matrix_stream *matrix = EVAL_NEW(ev, struct matrix_stream, 1);
	int rc;

	if (!matrix) {
		return ERR_LIMIT;
	}
	*matrix = (struct matrix_stream){
		.stream = { .next = matrix_next },
		.ev = ev,
		.steps = steps,
		.count = grid->count,
	};
	rc = matrix_place(ev, steps, grid, &matrix->first, &matrix->stride);
	if (rc < 0) {
		return rc;
	}
	*out = &matrix->stream;
	return 0;
}
