/*
 * The least and the greatest of a window, in time that does not grow with the window.
 *
 * The extreme of two pieces next to each other is that of their extremes. So a window is cut at a
 * place that stays while windows move on: what lies before the cut was folded from there backwards,
 * once, and what lies after it is folded forwards as it comes. When the cut has left the window,
 * the window's end is the next one.
 */
#include "promql/lanes.h"

/* The one of two neighbours that stands for both. NaN yields to anything that comes after it, and
 * to numbers before it; of equals the first stays. */
typedef double value_fold_fn(double before, double value);

static ALWAYS_INLINE double fold_max(double before, double value) {
	if (isnan(before)) {
		return value;
	}
	return value > before ? value : before;
}

static ALWAYS_INLINE double fold_min(double before, double value) {
	if (isnan(before)) {
		return value;
	}
	return value < before ? value : before;
}

/* back[i] = the samples from i up to 'high' folded, for each i from 'low'. */
static ALWAYS_INLINE void fold_back(
	const double *values, struct span span, double *back, value_fold_fn *fold) {
	double folded = values[span.high - 1];

	back[span.high - 1] = folded;
	for (size_t i = span.high - 1; i-- > span.low;) {
		folded = fold(values[i], folded);
		back[i] = folded;
	}
}

static ALWAYS_INLINE int fold_run(
	struct range_call *call, struct column *out, value_fold_fn *fold) {
	const double *values = call->samples->values;
	size_t steps = call->grid->count;
	double *back = range_scratch(call, call->samples->count * sizeof(double));
	size_t cut = 0;
	size_t end = 0; /* Of what is folded in 'since'. */
	double since = 0;

	if (!back) {
		return call->rc;
	}
	memcpy(out->present, call->windows.present, step_words(steps) * sizeof(*out->present));
	for (PRESENT_EACH(call->windows.present, steps, i)) {
		struct span span = call->windows.spans[i];

		if (span.low >= cut) {
			fold_back(values, span, back, fold);
			cut = span.high;
			end = span.high;
		}
		if (end == cut && end < span.high) {
			since = values[end++];
		}
		for (; end < span.high; end++) {
			since = fold(since, values[end]);
		}
		out->values[i] = end > cut ? fold(back[span.low], since) : back[span.low];
	}
	return 0;
}

int max_over_time_run(struct range_call *call, struct column *out) {
	return fold_run(call, out, fold_max);
}

int min_over_time_run(struct range_call *call, struct column *out) {
	return fold_run(call, out, fold_min);
}

/* The same of places: of equals the last stays. */
typedef bool yields_fn(double before, double value);

static ALWAYS_INLINE bool yields_to_greater(double before, double value) {
	return value >= before || isnan(before);
}

static ALWAYS_INLINE bool yields_to_less(double before, double value) {
	return value <= before || isnan(before);
}

static ALWAYS_INLINE void place_back(
	const double *values, struct span span, uint32_t *back, yields_fn *yields) {
	uint32_t place = span.high - 1;

	back[place] = place;
	for (uint32_t i = span.high - 1; i-- > span.low;) {
		place = yields(values[i], values[place]) ? place : i;
		back[i] = place;
	}
}

static ALWAYS_INLINE int place_run(struct range_call *call, struct column *out, yields_fn *yields) {
	const double *values = call->samples->values;
	size_t steps = call->grid->count;
	uint32_t *back = range_scratch(call, call->samples->count * sizeof(uint32_t));
	uint32_t cut = 0;
	uint32_t end = 0;
	uint32_t since = 0;

	if (!back) {
		return call->rc;
	}
	memcpy(out->present, call->windows.present, step_words(steps) * sizeof(*out->present));
	for (PRESENT_EACH(call->windows.present, steps, i)) {
		struct span span = call->windows.spans[i];
		uint32_t place;

		if (span.low >= cut) {
			place_back(values, span, back, yields);
			cut = span.high;
			end = span.high;
		}
		if (end == cut && end < span.high) {
			since = end++;
		}
		for (; end < span.high; end++) {
			since = yields(values[since], values[end]) ? end : since;
		}
		place = back[span.low];
		if (end > cut && yields(values[place], values[since])) {
			place = since;
		}
		out->values[i] = (double)call->samples->times_ms[place] / 1000;
	}
	return 0;
}

int ts_of_max_over_time_run(struct range_call *call, struct column *out) {
	return place_run(call, out, yields_to_greater);
}

int ts_of_min_over_time_run(struct range_call *call, struct column *out) {
	return place_run(call, out, yields_to_less);
}
