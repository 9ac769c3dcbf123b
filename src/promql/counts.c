#include "promql/counts.h"

#include "promql/windows.h"

struct step_counts *counts_new(struct eval *ev, size_t step_count, bool has_used) {
	struct step_counts *counts = EVAL_NEW(ev, struct step_counts, 1);

	if (!counts) {
		return NULL;
	}
	counts->step_count = step_count;
	counts->read = EVAL_NEW(ev, uint64_t, step_count);
	counts->used = has_used ? EVAL_NEW(ev, uint64_t, step_count) : NULL;
	return counts->read && (counts->used || !has_used) ? counts : NULL;
}

/* Step 'step' of a grid of 'step_count': the counts' own, or one that stands for all. */
static void add(
	struct step_counts *counts, size_t step, size_t step_count, uint64_t used, uint64_t read) {
	bool is_own = step_count == counts->step_count;

	counts->read[is_own ? step : 0] += read;
	if (!counts->used) {
		return;
	}
	if (is_own) {
		counts->used[step] += used;
		return;
	}
	for (size_t i = 0; i < counts->step_count; i++) {
		counts->used[i] += used;
	}
}

void count_present(struct eval *ev, const uint64_t *present, size_t step_count) {
	eval_count(ev, present_count(present, step_count));
	if (!ev->counts) {
		return;
	}
	for (PRESENT_EACH(present, step_count, i)) {
		add(ev->counts, i, step_count, 1, 1);
	}
}

void count_windows(struct eval *ev, const struct windows *windows, const struct grid *grid,
	bool is_evaluated) {
	uint32_t seen = 0;

	eval_count(ev, windows->used);
	if (!ev->counts) {
		return;
	}
	for (size_t i = 0; i < grid->count; i++) {
		struct span span = windows->spans[i];
		uint32_t fresh = span.low > seen ? span.low : seen;

		add(ev->counts, i, grid->count, span.high - span.low,
			is_evaluated || fresh > span.high ? 0 : span.high - fresh);
		seen = span.high;
	}
}

void count_only(struct eval *ev, uint64_t samples) {
	eval_count(ev, samples);
	if (ev->counts) {
		add(ev->counts, 0, 1, samples, samples);
	}
}

void counts_merge(struct step_counts *to, const struct step_counts *from) {
	for (size_t i = 0; i < to->step_count; i++) {
		to->read[i] += from->read[i];
		if (to->used) {
			to->used[i] += from->used[i];
		}
	}
}

void counts_merge_subquery(struct step_counts *to, const struct step_counts *from,
	const struct grid *outer, const struct grid *inner, int64_t offset_ms, int64_t range_ms) {
	for (size_t i = 0; i < inner->count; i++) {
		int64_t used_ms = grid_time(inner, i) + offset_ms;
		size_t step = 0;

		if (from->used && to->used) {
			to->used[0] += from->used[i];
		}
		if (outer->count > 1 && used_ms > outer->start_ms) {
			step = (size_t)((used_ms - outer->start_ms + outer->step_ms - 1) /
					outer->step_ms);
			step = step < outer->count ? step : outer->count - 1;
		}
		/* It lies between the windows of two steps. */
		if (outer->count > 1 && used_ms <= grid_time(outer, step) - range_ms) {
			continue;
		}
		to->read[outer->count == to->step_count ? step : 0] += from->read[i];
	}
}
