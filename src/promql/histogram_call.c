/*
 * histogram_count, histogram_sum, histogram_avg, histogram_stddev, histogram_stdvar: numbers of
 * native histograms. What is no histogram goes, and of the labels only __name__.
 */
#include "promql/call.h"
#include "promql/each.h"
#include "promql/histogram.h"

static double count_of(const struct histogram *histogram) {
	return histogram->count;
}

static double sum_of(const struct histogram *histogram) {
	return histogram->sum;
}

static double mean_of(const struct histogram *histogram) {
	return histogram->sum / histogram->count;
}

static double deviation_of(const struct histogram *histogram) {
	return sqrt(histogram_variance(histogram));
}

typedef double number_fn(const struct histogram *histogram);

struct histogram_call {
	struct each each;
	number_fn *number;
};

static void drop_numbers(struct each *each, struct column *column) {
	memset(column->present, 0, step_words(each->grid->count) * sizeof(*column->present));
}

static int take_numbers(struct each *each, struct column *column) {
	const struct histogram_call *call = CONTAINER_OF(each, struct histogram_call, each);

	for (PRESENT_EACH(column->present, each->grid->count, i)) {
		column->values[i] = call->number(column->histograms[i]);
	}
	column->histograms = NULL;
	return 0;
}

int call_open_histogram(
	struct eval *ev, struct expr *expr, const struct grid *grid, struct stream **out) {
	enum function_id id = expr->u.call.function->id;
	struct histogram_call *call = EVAL_NEW(ev, struct histogram_call, 1);
	int rc = call ? each_open(&call->each, ev, expr->u.call.args[0], grid, true) : ERR_LIMIT;

	if (rc < 0) {
		return rc;
	}
	call->each.drop.keeps_type = true;
	call->each.apply = drop_numbers;
	call->each.apply_histograms = take_numbers;
	call->number = id == FUNCTION_HISTOGRAM_COUNT    ? count_of
		       : id == FUNCTION_HISTOGRAM_SUM    ? sum_of
		       : id == FUNCTION_HISTOGRAM_AVG    ? mean_of
		       : id == FUNCTION_HISTOGRAM_STDDEV ? deviation_of
							 : histogram_variance;
	*out = &call->each.stream;
	return 0;
}
