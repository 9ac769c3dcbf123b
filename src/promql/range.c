#include "promql/range.h"

#include "promql/call.h"
#include "promql/counts.h"
#include "promql/extended.h"
#include "promql/function.h"
#include "promql/histogram_range.h"
#include "promql/names.h"
#include "promql/started.h"

#include "base/check.h"

int windows_run_costly(struct range_call *call, struct column *out, window_fn *fn) {
	return windows_loop(call, out, fn, true);
}

void *range_scratch(struct range_call *call, size_t size) {
	if (!call->scratch || size > call->scratch_capacity) {
		size_t capacity = size < 1024 ? 1024 : size * 2;

		call->scratch = EVAL_NEW(call->ev, unsigned char, capacity);
		call->scratch_capacity = call->scratch ? capacity : 0;
		call->rc = call->scratch ? 0 : ERR_LIMIT;
	}
	return call->scratch;
}

static int grow_drops(struct range_call *call) {
	size_t capacity = call->drop_capacity ? call->drop_capacity * 2 : 64;
	uint32_t *drops = EVAL_NEW(call->ev, uint32_t, capacity);

	if (!drops) {
		return ERR_LIMIT;
	}
	if (call->drop_count > 0) {
		memcpy(drops, call->drops, call->drop_count * sizeof(*drops));
	}
	call->drops = drops;
	call->drop_capacity = capacity;
	return 0;
}

/* Inlined once without start timestamps, so that a sample costs nothing more then. */
static inline __attribute__((always_inline)) int find_drops(
	struct range_call *call, const int64_t *starts_ms) {
	const int64_t *times_ms = call->samples->times_ms;
	const double *values = call->samples->values;
	size_t count = call->samples->count;

	CHECK(count <= UINT32_MAX);
	call->drop_count = 0;
	for (size_t i = 1; i < count; i++) {
		if (values[i] < values[i - 1] ||
			(starts_ms && started_again(times_ms, starts_ms, i))) {
			int rc = call->drop_count == call->drop_capacity ? grow_drops(call) : 0;

			if (rc < 0) {
				return rc;
			}
			call->drops[call->drop_count++] = (uint32_t)i;
		}
	}
	return 0;
}

int range_find_drops(struct range_call *call) {
	return call->samples->starts_ms ? find_drops(call, call->samples->starts_ms)
					: find_drops(call, NULL);
}

struct range_stream {
	struct stream stream;
	struct samples_source *source;
	struct range_call call;
	range_run_fn *run;
	struct name_drop drop;
	bool keeps_name;
	bool is_for_counters; /* The series' name should look like a counter's. */
	struct str noted;     /* The last name that did not. */
	struct column column;
	struct mixed_range mixed; /* Of series with histograms. */
	enum function_id id;
	bool has_second; /* mixed.second is still to come. */
};

/* rate and increase of something that is not named as a counter get an info. */
static void note_name(struct range_stream *range, const struct labels *labels) {
	AUTO(buf_deinit) struct buf quoted = { 0 };
	struct str name = labels_get(labels, LABEL_NAME);
	struct eval *ev = range->call.ev;

	if (name.len == 0 || str_ends(name, STR("_total")) || str_ends(name, STR("_sum")) ||
		str_ends(name, STR("_count")) || str_ends(name, STR("_bucket")) ||
		str_equal(name, range->noted)) {
		return;
	}
	range->noted = name;
	notes_info(&ev->notes, &ev->arena, range->call.position,
		"metric might not be a counter, name does not end in _total/_sum/_count/_bucket: "
		"%s",
		notes_quote(name, &quoted));
}

/* Takes the name off the columns of a series that are there; to the guard they are one. */
static int drop_names(struct range_stream *range, bool has_first) {
	struct column *column = has_first ? &range->column : &range->mixed.second;
	struct column *other = &range->mixed.second;
	int rc = range->keeps_name ? 0 : name_drop_apply(&range->drop, column);

	if (has_first && range->has_second) {
		other->labels = column->labels;
		other->drops_name = column->drops_name;
	}
	return rc;
}

/* As run_series. */
static int run_mixed(struct range_stream *range, const struct samples *samples) {
	struct range_call *call = &range->call;
	size_t steps = call->grid->count;
	bool has_first;
	int rc = mixed_run(&range->mixed, call, range->run, range->id, samples, &range->column);

	if (rc < 0) {
		return rc;
	}
	count_windows(
		call->ev, &range->mixed.windows, call->grid, samples_are_evaluated(range->source));
	has_first = present_any(range->column.present, steps);
	range->has_second = present_any(range->mixed.second.present, steps);
	range->mixed.second.labels = range->column.labels;
	range->mixed.second.drops_name = range->column.drops_name;
	if (!has_first && !range->has_second) {
		return 0;
	}
	if (has_first && range->is_for_counters) {
		note_name(range, &samples->labels);
	}
	rc = drop_names(range, has_first);
	return rc < 0 ? rc : 1;
}

/* Runs the function over one series. Returns 1 if it has a value at any step, 0 if not. */
static int run_series(struct range_stream *range, const struct samples *samples) {
	struct range_call *call = &range->call;
	size_t steps = call->grid->count;
	int rc = 0;

	if (!range->column.values) {
		rc = eval_column_build(call->ev, steps, &range->column);
	}
	rc = rc < 0 ? rc : eval_work(call->ev, steps);
	if (rc < 0) {
		return rc;
	}
	call->samples = samples;
	range->column.labels = samples->labels;
	range->column.drops_name = samples->drops_name;
	if (samples->histograms) {
		return run_mixed(range, samples);
	}
	rc = windows_update(&call->windows, call->ev, call->grid, call->shape, samples);
	rc = rc < 0 ? rc : range->run(call, &range->column);
	count_windows(call->ev, &call->windows, call->grid, samples_are_evaluated(range->source));
	if (rc < 0 || !present_any(range->column.present, steps)) {
		return rc;
	}
	if (range->is_for_counters) {
		note_name(range, &samples->labels);
	}
	rc = range->keeps_name ? 0 : name_drop_apply(&range->drop, &range->column);
	return rc < 0 ? rc : 1;
}

static int range_next(struct stream *stream, struct column *out) {
	struct range_stream *range = CONTAINER_OF(stream, struct range_stream, stream);
	struct samples samples;
	int rc;

	if (range->has_second) {
		range->has_second = false;
		*out = range->mixed.second;
		return 1;
	}
	do {
		rc = samples_next(range->source, &samples);
		if (rc <= 0) {
			return rc;
		}
		rc = run_series(range, &samples);
	} while (rc == 0);
	if (rc > 0) {
		*out = range->column;
	}
	return rc;
}

static range_run_fn *const functions[FUNCTION_COUNT] = {
	[FUNCTION_AVG_OVER_TIME] = avg_over_time_run,
	[FUNCTION_CHANGES] = changes_run,
	[FUNCTION_COUNT_OVER_TIME] = count_over_time_run,
	[FUNCTION_DELTA] = delta_run,
	[FUNCTION_DERIV] = deriv_run,
	[FUNCTION_DOUBLE_EXPONENTIAL_SMOOTHING] = double_exponential_smoothing_run,
	[FUNCTION_FIRST_OVER_TIME] = first_over_time_run,
	[FUNCTION_IDELTA] = idelta_run,
	[FUNCTION_INCREASE] = increase_run,
	[FUNCTION_IRATE] = irate_run,
	[FUNCTION_LAST_OVER_TIME] = last_over_time_run,
	[FUNCTION_MAD_OVER_TIME] = mad_over_time_run,
	[FUNCTION_MAX_OVER_TIME] = max_over_time_run,
	[FUNCTION_MIN_OVER_TIME] = min_over_time_run,
	[FUNCTION_PREDICT_LINEAR] = predict_linear_run,
	[FUNCTION_PRESENT_OVER_TIME] = present_over_time_run,
	[FUNCTION_QUANTILE_OVER_TIME] = quantile_over_time_run,
	[FUNCTION_RATE] = rate_run,
	[FUNCTION_RESETS] = resets_run,
	[FUNCTION_STDDEV_OVER_TIME] = stddev_over_time_run,
	[FUNCTION_STDVAR_OVER_TIME] = stdvar_over_time_run,
	[FUNCTION_SUM_OVER_TIME] = sum_over_time_run,
	[FUNCTION_TS_OF_FIRST_OVER_TIME] = ts_of_first_over_time_run,
	[FUNCTION_TS_OF_LAST_OVER_TIME] = ts_of_last_over_time_run,
	[FUNCTION_TS_OF_MAX_OVER_TIME] = ts_of_max_over_time_run,
	[FUNCTION_TS_OF_MIN_OVER_TIME] = ts_of_min_over_time_run,
};

/* The samples first, then the scalars: in the order in which failures and notes are to come. */
static int open_args(struct range_stream *range, struct expr *call, const struct expr **input) {
	struct eval *ev = range->call.ev;
	size_t scalars = 0;

	for (size_t i = 0; i < call->u.call.count; i++) {
		struct expr *arg = expr_unparen(call->u.call.args[i]);

		if (arg->type == VALUE_MATRIX) {
			int rc = samples_open(ev, arg, range->call.grid, &range->source);

			if (rc < 0) {
				return rc;
			}
			*input = arg;
		}
	}
	for (size_t i = 0; i < call->u.call.count; i++) {
		double *values;
		int rc;

		if (call->u.call.args[i]->type != VALUE_SCALAR) {
			continue;
		}
		CHECK(scalars < RANGE_ARGS_MAX);
		rc = eval_scalar(ev, call->u.call.args[i], range->call.grid, &values);
		if (rc < 0) {
			return rc;
		}
		range->call.args[scalars++] = values;
	}
	return 0;
}

int call_open_range(
	struct eval *ev, struct expr *call, const struct grid *grid, struct stream **out) {
	enum function_id id = call->u.call.function->id;
	struct range_stream *range = EVAL_NEW(ev, struct range_stream, 1);
	const struct expr *input = NULL;
	int rc;

	if (!range) {
		return ERR_LIMIT;
	}
	range->stream.next = range_next;
	range->run = functions[id];
	range->id = id;
	CHECK(range->run != NULL);
	range->keeps_name = id == FUNCTION_FIRST_OVER_TIME || id == FUNCTION_LAST_OVER_TIME;
	range->is_for_counters = id == FUNCTION_RATE || id == FUNCTION_INCREASE;
	range->call =
		(struct range_call){ .ev = ev, .grid = grid, .position = call_position(call, 0) };
	rc = open_args(range, call, &input);
	if (rc < 0) {
		return rc;
	}
	CHECK(range->source != NULL);
	range->call.shape = samples_shape(range->source);
	rc = extended_check(ev, range->call.shape, call->u.call.function);
	if (rc < 0) {
		return rc;
	}
	if (!range->keeps_name) {
		rc = name_drop_init(&range->drop, ev, input, grid->count, true);
	}
	if (rc < 0) {
		return rc;
	}
	*out = &range->stream;
	return 0;
}
