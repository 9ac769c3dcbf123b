#include "promql/windows.h"

#include "base/check.h"

/* Takes over the samples' times. */
static int copy_times(struct windows *windows, struct eval *ev, const struct samples *samples) {
	if (samples->count > windows->capacity) {
		size_t capacity = samples->count + samples->count / 2;

		windows->capacity = 0;
		windows->times_ms = EVAL_NEW(ev, int64_t, capacity);
		if (!windows->times_ms) {
			return ERR_LIMIT;
		}
		windows->capacity = capacity;
	}
	memcpy(windows->times_ms, samples->times_ms, samples->count * sizeof(int64_t));
	windows->count = samples->count;
	windows->version++;
	return 0;
}

static void find_spans(
	struct windows *windows, const struct grid *grid, const struct window_shape *shape) {
	const int64_t *times_ms = windows->times_ms;
	size_t low = 0;
	size_t high = 0;

	windows->used = 0;
	memset(windows->present, 0, step_words(grid->count) * sizeof(uint64_t));
	for (size_t i = 0; i < grid->count; i++) {
		int64_t end_ms = window_end(shape, grid_time(grid, i));

		while (high < windows->count && times_ms[high] <= end_ms + shape->after_ms) {
			high++;
		}
		while (low < high && times_ms[low] <= end_ms - shape->range_ms - shape->before_ms) {
			low++;
		}
		windows->spans[i] = (struct span){ (uint32_t)low, (uint32_t)high };
		windows->used += high - low;
		if (low < high) {
			present_set(windows->present, i);
		}
	}
}

int windows_update(struct windows *windows, struct eval *ev, const struct grid *grid,
	const struct window_shape *shape, const struct samples *samples) {
	int rc;

	if (windows->version > 0 && windows->count == samples->count &&
		memcmp(windows->times_ms, samples->times_ms, samples->count * sizeof(int64_t)) ==
			0) {
		return 0;
	}
	CHECK(samples->count <= UINT32_MAX);
	if (!windows->spans) {
		windows->spans = EVAL_NEW(ev, struct span, grid->count);
		windows->present = EVAL_NEW(ev, uint64_t, step_words(grid->count));
	}
	if (!windows->spans || !windows->present) {
		return ERR_LIMIT;
	}
	rc = copy_times(windows, ev, samples);
	rc = rc < 0 ? rc : eval_work(ev, grid->count + samples->count);
	if (rc == 0) {
		find_spans(windows, grid, shape);
	}
	return rc;
}
