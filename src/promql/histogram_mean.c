#include "promql/histogram_mean.h"

/* Below this no sum of two overflows. */
#define SAFE_MAX 1e307

static void see_hint(struct histogram_total *total, const struct histogram *histogram) {
	total->saw_reset |= histogram->hint == HISTOGRAM_RESET;
	total->saw_not_reset |= histogram->hint == HISTOGRAM_NOT_RESET;
}

int histogram_total_begin(
	struct eval *ev, struct histogram_total *total, const struct histogram *first) {
	*total = (struct histogram_total){ .count = 1 };
	see_hint(total, first);
	return histogram_copy(&ev->arena, first, &total->sum, ev->err);
}

int histogram_total_sum(
	struct eval *ev, struct histogram_total *total, const struct histogram *other) {
	see_hint(total, other);
	total->count++;
	return histogram_sum(&ev->arena, &total->sum, &total->rest, other, ev->err);
}

static bool side_is_safe(const struct histogram_side *side) {
	for (size_t i = 0; i < side->count; i++) {
		if (!(fabs(side->counts[i]) < SAFE_MAX)) {
			return false;
		}
	}
	return true;
}

/* Whether adding cannot overflow, so that nothing needs to be kept to go back to. */
static bool is_safe(const struct histogram *histogram) {
	return fabs(histogram->sum) < SAFE_MAX && fabs(histogram->count) < SAFE_MAX &&
	       fabs(histogram->zero_count) < SAFE_MAX && side_is_safe(&histogram->positive) &&
	       side_is_safe(&histogram->negative);
}

/* Adds on a copy. Returns flags; '*fits' says whether the copy took the total's place. */
static int try_sum(
	struct eval *ev, struct histogram_total *total, const struct histogram *other, bool *fits) {
	struct histogram_rest rest;
	struct histogram sum;
	int flags;
	int rc = histogram_copy(&ev->arena, &total->sum, &sum, ev->err);

	rc = rc < 0 ? rc
		    : histogram_rest_copy(&ev->arena, &total->sum, &total->rest, &rest, ev->err);
	if (rc < 0) {
		return rc;
	}
	flags = histogram_sum(&ev->arena, &sum, &rest, other, ev->err);
	*fits = flags >= 0 && !(flags & HISTOGRAM_INCOMPATIBLE) && !histogram_has_overflow(&sum);
	if (*fits) {
		total->sum = sum;
		total->rest = rest;
	}
	return flags;
}

int histogram_total_mean(
	struct eval *ev, struct histogram_total *total, const struct histogram *other) {
	struct histogram share;
	bool fits = false;
	int flags = 0;
	int rc;

	see_hint(total, other);
	total->count++;
	if (!total->is_running && is_safe(&total->sum) && is_safe(other)) {
		return histogram_sum(&ev->arena, &total->sum, &total->rest, other, ev->err);
	}
	if (!total->is_running) {
		flags = try_sum(ev, total, other, &fits);
		if (flags < 0 || fits || (flags & HISTOGRAM_INCOMPATIBLE)) {
			return flags;
		}
		total->is_running = true;
		histogram_rest_divide(&total->sum, &total->rest, total->count - 1);
		histogram_divide(&total->sum, total->count - 1);
	}
	rc = histogram_copy(&ev->arena, other, &share, ev->err);
	if (rc < 0) {
		return rc;
	}
	histogram_divide(&share, total->count);
	histogram_rest_multiply(&total->sum, &total->rest, (total->count - 1) / total->count);
	histogram_multiply(&total->sum, (total->count - 1) / total->count);
	rc = histogram_sum(&ev->arena, &total->sum, &total->rest, &share, ev->err);
	return rc < 0 ? rc : rc | flags;
}

int histogram_total_end(struct eval *ev, struct histogram_total *total, bool is_mean) {
	if (is_mean && !total->is_running) {
		histogram_rest_divide(&total->sum, &total->rest, total->count);
		histogram_divide(&total->sum, total->count);
	}
	return histogram_settle(&ev->arena, &total->sum, &total->rest, ev->err);
}
