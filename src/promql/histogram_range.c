#include "promql/histogram_range.h"

#include "promql/histogram.h"
#include "promql/histogram_mean.h"
#include "promql/started.h"

/* What a function makes of histograms. */
enum treatment {
	TREAT_IGNORE, /* Nothing, and says so beside numbers. */
	TREAT_ANY,    /* A sample like any other. */
	TREAT_RATE,
	TREAT_TOTAL,
	TREAT_LAST_TWO,
	TREAT_PAIRS, /* Compares neighbours: resets, changes. */
	TREAT_PICK,  /* Takes the first or the last. */
};

static enum treatment treatment_of(enum function_id id) {
	static const unsigned char treatments[FUNCTION_COUNT] = {
		[FUNCTION_COUNT_OVER_TIME] = TREAT_ANY,
		[FUNCTION_PRESENT_OVER_TIME] = TREAT_ANY,
		[FUNCTION_TS_OF_FIRST_OVER_TIME] = TREAT_ANY,
		[FUNCTION_TS_OF_LAST_OVER_TIME] = TREAT_ANY,
		[FUNCTION_RATE] = TREAT_RATE,
		[FUNCTION_INCREASE] = TREAT_RATE,
		[FUNCTION_DELTA] = TREAT_RATE,
		[FUNCTION_SUM_OVER_TIME] = TREAT_TOTAL,
		[FUNCTION_AVG_OVER_TIME] = TREAT_TOTAL,
		[FUNCTION_IRATE] = TREAT_LAST_TWO,
		[FUNCTION_IDELTA] = TREAT_LAST_TWO,
		[FUNCTION_RESETS] = TREAT_PAIRS,
		[FUNCTION_CHANGES] = TREAT_PAIRS,
		[FUNCTION_FIRST_OVER_TIME] = TREAT_PICK,
		[FUNCTION_LAST_OVER_TIME] = TREAT_PICK,
	};

	return treatments[id];
}

/* One function's run over one series. */
struct mixed {
	struct range_call *call;
	enum function_id id;
	const struct samples *samples;
	struct histogram_notes notes;
	struct column *out;
	struct column *second;
};

static void set_number(struct mixed *mixed, size_t step, double value) {
	mixed->out->values[step] = value;
	present_set(mixed->out->present, step);
}

static void set_histogram(struct mixed *mixed, size_t step, const struct histogram *histogram) {
	mixed->second->histograms[step] = histogram;
	present_set(mixed->second->present, step);
	present_clear(mixed->out->present, step);
}

/* rate, increase, delta. */

/* What the windows' histograms say besides the result. */
struct rate_findings {
	bool is_not_counter;
	bool has_schemas;
	bool is_reconciled_sub;
	bool is_reconciled_add;
};

static void report(const struct mixed *mixed, const struct rate_findings *findings) {
	struct eval *ev = mixed->notes.ev;

	if (findings->has_schemas) {
		histogram_note_schemas(&mixed->notes);
		return;
	}
	if (findings->is_not_counter) {
		histogram_note_not_counter(&mixed->notes);
	}
	if (findings->is_reconciled_sub) {
		histogram_note_reconciled(ev, mixed->notes.position, "subtraction");
	}
	if (findings->is_reconciled_add) {
		histogram_note_reconciled(ev, mixed->notes.position, "addition");
	}
}

/* The coarsest schema of the window; of a counter, whether all are of the kind of 'first'. */
static int32_t find_schema(const struct histogram_window *window, const struct histogram *first,
	bool is_counter, struct rate_findings *findings) {
	const struct histogram *last = window->histograms[window->count - 1];
	int32_t schema = last->schema < first->schema ? last->schema : first->schema;

	findings->has_schemas = histogram_is_custom(last) != histogram_is_custom(first);
	for (size_t i = 1; is_counter && i + 1 < window->count; i++) {
		const struct histogram *it = window->histograms[i];

		findings->is_not_counter |= it->hint == HISTOGRAM_GAUGE;
		findings->has_schemas |= histogram_is_custom(it) != histogram_is_custom(first);
		schema = it->schema < schema ? it->schema : schema;
	}
	return schema;
}

/* Whether a histogram of the window began again after the one before, which 'before' stands for. */
static bool begins_again(
	const struct histogram_window *window, size_t at, const struct histogram *before) {
	return (window->starts_ms && started_again(window->times_ms, window->starts_ms, at)) ||
	       histogram_was_reset(window->histograms[at], before);
}

/* Adds what resets took away. */
static int add_lost(const struct mixed *mixed, const struct histogram_window *window,
	const struct histogram *before, struct histogram *to, struct rate_findings *findings) {
	struct eval *ev = mixed->notes.ev;

	for (size_t i = 1; i < window->count; i++) {
		const struct histogram *it = window->histograms[i];
		int rc = begins_again(window, i, before)
				 ? histogram_add(&ev->arena, to, before, ev->err)
				 : 0;

		if (rc < 0) {
			return rc;
		}
		findings->is_reconciled_add |= (rc & HISTOGRAM_RECONCILED) != 0;
		findings->has_schemas |= (rc & HISTOGRAM_INCOMPATIBLE) != 0;
		before = it;
	}
	return 0;
}

/* From the first to the last of at least two. Returns 1, or 0 if they do not fit together. */
static int growth(
	const struct mixed *mixed, const struct histogram_window *window, struct histogram *out) {
	struct eval *ev = mixed->notes.ev;
	bool is_counter = mixed->id != FUNCTION_DELTA;
	const struct histogram *first = window->histograms[0];
	const struct histogram *last = window->histograms[window->count - 1];
	bool are_gauges = first->hint == HISTOGRAM_GAUGE && last->hint == HISTOGRAM_GAUGE;
	struct histogram zero = { .schema = window->histograms[1]->schema,
		.bounds = window->histograms[1]->bounds,
		.bound_count = window->histograms[1]->bound_count };
	struct rate_findings findings = {
		.is_not_counter = is_counter &&
				  (first->hint == HISTOGRAM_GAUGE || last->hint == HISTOGRAM_GAUGE),
	};
	int32_t schema;
	int rc;

	/* A reset right after the first: that one says nothing about what came after. */
	if (is_counter && begins_again(window, 1, first)) {
		first = &zero;
	}
	schema = find_schema(window, first, is_counter, &findings);
	if (findings.has_schemas) {
		report(mixed, &findings);
		return 0;
	}
	rc = histogram_copy_to_schema(&ev->arena, last, schema, out, ev->err);
	rc = rc < 0 ? rc : histogram_subtract(&ev->arena, out, first, ev->err);
	if (rc < 0) {
		return rc;
	}
	findings.is_reconciled_sub = (rc & HISTOGRAM_RECONCILED) != 0;
	if (window->starts_ms) {
		started_note_overlap(
			&mixed->notes, window->times_ms, window->starts_ms, window->count);
	}
	rc = is_counter ? add_lost(mixed, window, first, out, &findings) : 0;
	if (rc < 0) {
		return rc;
	}
	report(mixed, &findings);
	if (findings.has_schemas) {
		return 0;
	}
	if (!is_counter && !are_gauges) {
		histogram_note_not_gauge(&mixed->notes);
	}
	out->hint = HISTOGRAM_GAUGE;
	histogram_compact(out);
	return 1;
}

/* Adds the first histogram of a window, whose counting began inside. Returns as growth. */
static int add_first(
	const struct mixed *mixed, const struct histogram_window *window, struct histogram *out) {
	struct eval *ev = mixed->notes.ev;
	int rc = histogram_add(&ev->arena, out, window->histograms[0], ev->err);

	if (rc < 0) {
		return rc;
	}
	report(mixed, &(struct rate_findings){
			      .has_schemas = (rc & HISTOGRAM_INCOMPATIBLE) != 0,
			      .is_reconciled_add = (rc & HISTOGRAM_RECONCILED) != 0,
		      });
	return !(rc & HISTOGRAM_INCOMPATIBLE);
}

/* The growth over a window, not yet extended to its ends; of one histogram only from zero. Returns
 * as growth. */
static int grow(const struct mixed *mixed, const struct histogram_window *window, bool is_inside,
	struct histogram *out) {
	struct eval *ev = mixed->notes.ev;
	int rc;

	if (window->count == 1) {
		rc = histogram_copy(&ev->arena, window->histograms[0], out, ev->err);
		return rc < 0 ? rc : 1;
	}
	rc = growth(mixed, window, out);
	return rc > 0 && is_inside ? add_first(mixed, window, out) : rc;
}

static int run_rate(struct mixed *mixed, const struct histogram_window *window, size_t step) {
	const struct window_shape *shape = mixed->call->shape;
	int64_t end_ms = window_end(shape, grid_time(mixed->call->grid, step));
	const struct started_window times = { window->times_ms, window->starts_ms, window->count,
		end_ms - shape->range_ms, end_ms };
	struct histogram *out = NULL;
	int rc;

	if (shape->is_extended) {
		rc = extended_histogram_rate(
			&mixed->notes, mixed->call, window, step, mixed->id, &out);
		if (rc == 0 && out) {
			set_histogram(mixed, step, out);
		}
		return rc;
	}
	if (window->count < 2 && !started_inside(&times)) {
		return 0;
	}
	out = EVAL_NEW(mixed->notes.ev, struct histogram, 1);
	rc = out ? grow(mixed, window, started_inside(&times), out) : ERR_LIMIT;
	if (rc > 0) {
		double first = mixed->id == FUNCTION_DELTA ? -1 : window->histograms[0]->count;
		double factor = started_factor(&times, first, out->count);

		histogram_multiply(
			out, mixed->id == FUNCTION_RATE ? factor / shape->range_s : factor);
		set_histogram(mixed, step, out);
	}
	return rc < 0 ? rc : 0;
}

/* sum_over_time, avg_over_time. */

static int run_total(struct mixed *mixed, const struct histogram_window *window, size_t step) {
	struct eval *ev = mixed->notes.ev;
	bool is_mean = mixed->id == FUNCTION_AVG_OVER_TIME;
	struct histogram_total *total = EVAL_NEW(ev, struct histogram_total, 1);
	int found = 0;
	int rc = total ? histogram_total_begin(ev, total, window->histograms[0]) : ERR_LIMIT;

	for (size_t i = 1; rc >= 0 && i < window->count; i++) {
		rc = is_mean ? histogram_total_mean(ev, total, window->histograms[i])
			     : histogram_total_sum(ev, total, window->histograms[i]);
		found |= rc > 0 ? rc : 0;
		if (found & HISTOGRAM_INCOMPATIBLE) {
			histogram_note_schemas(&mixed->notes);
			return 0;
		}
	}
	rc = rc < 0 ? rc : histogram_total_end(ev, total, is_mean);
	if (rc < 0) {
		return rc;
	}
	if (total->saw_reset && total->saw_not_reset) {
		histogram_note_collision(ev, mixed->notes.position, "aggregation");
	}
	if (found & HISTOGRAM_RECONCILED) {
		histogram_note_reconciled(ev, mixed->notes.position, "aggregation");
	}
	set_histogram(mixed, step, &total->sum);
	return 0;
}

/* irate, idelta. */

static int run_last_two(struct mixed *mixed, struct span span, size_t step) {
	const struct samples *samples = mixed->samples;
	bool is_rate = mixed->id == FUNCTION_IRATE;
	struct eval *ev = mixed->notes.ev;
	const struct histogram *before;
	const struct histogram *now;
	struct histogram *out;
	double seconds;
	bool is_again;
	int rc = 0;

	present_clear(mixed->out->present, step);
	if (span.high - span.low < 2) {
		return 0;
	}
	before = samples->histograms[span.high - 2];
	now = samples->histograms[span.high - 1];
	seconds = (double)(samples->times_ms[span.high - 1] - samples->times_ms[span.high - 2]) /
		  1000;
	is_again = samples->starts_ms &&
		   started_again(samples->times_ms, samples->starts_ms, span.high - 1);
	if (!before && !now) {
		double value = samples->values[span.high - 1];
		double last = samples->values[span.high - 2];
		bool is_reset = is_rate && (value < last || is_again);
		double grown = is_reset ? value : value - last;

		set_number(mixed, step, is_rate ? grown / seconds : grown);
		return 0;
	}
	if (!before || !now) {
		histogram_note_mix(&mixed->notes);
		return 0;
	}
	if (is_rate && (now->hint == HISTOGRAM_GAUGE || before->hint == HISTOGRAM_GAUGE)) {
		histogram_note_not_counter(&mixed->notes);
	}
	if (!is_rate && (now->hint != HISTOGRAM_GAUGE || before->hint != HISTOGRAM_GAUGE)) {
		histogram_note_not_gauge(&mixed->notes);
	}
	out = eval_histogram_copy(ev, now);
	if (!out) {
		return ERR_LIMIT;
	}
	if (!is_rate || !(is_again || histogram_was_reset(now, before))) {
		rc = histogram_subtract(&ev->arena, out, before, ev->err);
	}
	if (rc < 0) {
		return rc;
	}
	if (rc & HISTOGRAM_INCOMPATIBLE) {
		histogram_note_schemas(&mixed->notes);
		return 0;
	}
	if (rc & HISTOGRAM_RECONCILED) {
		histogram_note_reconciled(ev, mixed->notes.position, "subtraction");
	}
	out->hint = HISTOGRAM_GAUGE;
	histogram_compact(out);
	if (is_rate) {
		histogram_divide(out, seconds);
	}
	set_histogram(mixed, step, out);
	return 0;
}

/* resets, changes. */

static bool differs(const struct mixed *mixed, size_t at) {
	const struct histogram *before = mixed->samples->histograms[at - 1];
	const struct histogram *now = mixed->samples->histograms[at];
	double value = mixed->samples->values[at];
	double last = mixed->samples->values[at - 1];
	bool is_reset = mixed->id == FUNCTION_RESETS;

	if (!before != !now) {
		return true;
	}
	if (is_reset && mixed->samples->starts_ms &&
		started_again(mixed->samples->times_ms, mixed->samples->starts_ms, at)) {
		return true;
	}
	if (now) {
		return is_reset ? histogram_was_reset(now, before) : !histogram_equal(now, before);
	}
	return is_reset ? value < last : value != last && !(isnan(value) && isnan(last));
}

static void run_pairs(struct mixed *mixed, struct span span, size_t step) {
	const struct window_shape *shape = mixed->call->shape;
	int64_t start_ms = window_end(shape, grid_time(mixed->call->grid, step)) - shape->range_ms;
	size_t first = span.low;
	size_t count = 0;

	present_clear(mixed->out->present, step);
	if (shape->is_extended) {
		while (first + 1 < span.high && mixed->samples->times_ms[first + 1] <= start_ms) {
			first++;
		}
		if (mixed->samples->times_ms[span.high - 1] <= start_ms) {
			return;
		}
	}
	for (size_t i = first + 1; i < span.high; i++) {
		count += differs(mixed, i);
	}
	set_number(mixed, step, (double)count);
}

static void run_pick(struct mixed *mixed, struct span span, size_t step) {
	size_t at = mixed->id == FUNCTION_FIRST_OVER_TIME ? span.low : span.high - 1;

	if (mixed->samples->histograms[at]) {
		set_histogram(mixed, step, mixed->samples->histograms[at]);
	} else {
		set_number(mixed, step, mixed->samples->values[at]);
	}
}

/* The walk. */

/* One step whose window holds 'histograms' of them. */
static int run_step(struct mixed *mixed, struct span span, size_t histograms, size_t step) {
	struct histogram_window window = {
		.times_ms = mixed->samples->times_ms + span.low,
		.histograms = mixed->samples->histograms + span.low,
		.starts_ms =
			mixed->samples->starts_ms ? mixed->samples->starts_ms + span.low : NULL,
		.count = span.high - span.low,
	};
	bool is_mix = histograms < window.count;

	switch (treatment_of(mixed->id)) {
	case TREAT_ANY:
		return 0;
	case TREAT_IGNORE:
		if (is_mix) {
			histogram_note_ignored(&mixed->notes);
		}
		return 0;
	case TREAT_LAST_TWO:
		return run_last_two(mixed, span, step);
	case TREAT_PAIRS:
		run_pairs(mixed, span, step);
		return 0;
	case TREAT_PICK:
		run_pick(mixed, span, step);
		return 0;
	case TREAT_RATE:
	case TREAT_TOTAL:
		break;
	}
	present_clear(mixed->out->present, step);
	if (is_mix) {
		histogram_note_mix(&mixed->notes);
		return 0;
	}
	return treatment_of(mixed->id) == TREAT_RATE ? run_rate(mixed, &window, step)
						     : run_total(mixed, &window, step);
}

/* The samples that are numbers. */
static int take_numbers(struct mixed_range *range, struct eval *ev, const struct samples *samples) {
	size_t count = 0;

	if (samples->count > range->capacity) {
		range->times_ms = EVAL_NEW(ev, int64_t, samples->count);
		range->values = EVAL_NEW(ev, double, samples->count);
		range->starts_ms = NULL;
		range->capacity = range->times_ms && range->values ? samples->count : 0;
		if (range->capacity == 0) {
			return ERR_LIMIT;
		}
	}
	if (samples->starts_ms && !range->starts_ms) {
		range->starts_ms = EVAL_NEW(ev, int64_t, range->capacity);
		if (!range->starts_ms) {
			return ERR_LIMIT;
		}
	}
	for (size_t i = 0; i < samples->count; i++) {
		if (!samples->histograms[i]) {
			if (samples->starts_ms) {
				range->starts_ms[count] = samples->starts_ms[i];
			}
			range->times_ms[count] = samples->times_ms[i];
			range->values[count++] = samples->values[i];
		}
	}
	range->numbers = *samples;
	range->numbers.times_ms = range->times_ms;
	range->numbers.values = range->values;
	range->numbers.starts_ms = samples->starts_ms ? range->starts_ms : NULL;
	range->numbers.histograms = NULL;
	range->numbers.count = count;
	return 0;
}

static int run_numbers(struct range_call *call, range_run_fn *run, const struct samples *samples,
	struct column *out) {
	int rc;

	memset(out->present, 0, step_words(call->grid->count) * sizeof(*out->present));
	if (samples->count == 0) {
		return 0;
	}
	call->samples = samples;
	rc = windows_update(&call->windows, call->ev, call->grid, call->shape, samples);
	return rc < 0 ? rc : run(call, out);
}

int mixed_run(struct mixed_range *range, struct range_call *call, range_run_fn *run,
	enum function_id id, const struct samples *samples, struct column *out) {
	struct mixed mixed = { call, id, samples,
		{ call->ev, call->position, labels_get(&samples->labels, LABEL_NAME) }, out,
		&range->second };
	size_t steps = call->grid->count;
	bool takes_any = treatment_of(id) == TREAT_ANY;
	int rc = range->second.histograms ? 0
					  : eval_histograms_build(call->ev, steps, &range->second);

	rc = rc < 0 ? rc : take_numbers(range, call->ev, samples);
	rc = rc < 0 ? rc : run_numbers(call, run, takes_any ? samples : &range->numbers, out);
	rc = rc < 0 ? rc
		    : windows_update(&range->windows, call->ev, call->grid, call->shape, samples);
	if (rc < 0) {
		return rc;
	}
	memset(range->second.present, 0, step_words(steps) * sizeof(uint64_t));
	for (PRESENT_EACH(range->windows.present, steps, i)) {
		struct span span = range->windows.spans[i];
		size_t histograms = 0;

		for (size_t k = span.low; k < span.high; k++) {
			histograms += samples->histograms[k] != NULL;
		}
		rc = eval_work(call->ev, span.high - span.low);
		if (rc == 0 && histograms > 0) {
			rc = run_step(&mixed, span, histograms, i);
		}
		if (rc < 0) {
			return rc;
		}
	}
	return 0;
}
