#include "promql/quantile.h"

/* Runs that are sorted by moving each key to its place. */
#define RUN_MAX 12
/* So many times a selection may try before it sorts: enough unless its pivots are bad each time. */
#define ROUNDS_MAX 48

static void sort_run(int64_t *keys, size_t count) {
	for (size_t i = 1; i < count; i++) {
		int64_t key = keys[i];
		size_t at = i;

		for (; at > 0 && keys[at - 1] > key; at--) {
			keys[at] = keys[at - 1];
		}
		keys[at] = key;
	}
}

static void merge(const int64_t *keys, size_t middle, size_t count, int64_t *out) {
	size_t left = 0;
	size_t right = middle;
	size_t at = 0;

	while (left < middle && right < count) {
		int64_t a = keys[left];
		int64_t b = keys[right];
		bool is_right = b < a;

		out[at++] = is_right ? b : a;
		right += is_right;
		left += !is_right;
	}
	memcpy(out + at, keys + left, (middle - left) * sizeof(*keys));
	memcpy(out + at + (middle - left), keys + right, (count - right) * sizeof(*keys));
}

void quantile_sort(int64_t *keys, int64_t *spare, size_t count) {
	int64_t *from = keys;
	int64_t *to = spare;

	for (size_t i = 0; i < count; i += RUN_MAX) {
		sort_run(keys + i, count - i < RUN_MAX ? count - i : RUN_MAX);
	}
	for (size_t width = RUN_MAX; width < count; width *= 2) {
		int64_t *merged = to;

		for (size_t i = 0; i < count; i += 2 * width) {
			size_t left = count - i;

			merge(from + i, left < width ? left : width,
				left < 2 * width ? left : 2 * width, to + i);
		}
		to = from;
		from = merged;
	}
	if (from != keys) {
		memcpy(keys, from, count * sizeof(*keys));
	}
}

/* Puts what is below the pivot at the start of 'out', the rest at its end. Returns how many are. */
static size_t partition(const int64_t *keys, size_t count, int64_t pivot, int64_t *out) {
	size_t low = 0;
	size_t high = count - 1;

	/* Either end takes the key, and one of them keeps it: no branch to guess wrong. */
	for (size_t i = 0; i < count; i++) {
		bool is_below = keys[i] < pivot;

		out[low] = keys[i];
		out[high] = keys[i];
		low += is_below;
		high -= !is_below;
	}
	return low;
}

static int64_t median_of_three(int64_t a, int64_t b, int64_t c) {
	int64_t low = a < b ? a : b;
	int64_t high = a < b ? b : a;

	return c < low ? low : c > high ? high : c;
}

/* The key that a sort puts at 'rank', and in 'next' the one after it or, if it is the last, itself.
 */
static int64_t select_rank(
	int64_t *keys, int64_t *spare, size_t count, size_t rank, int64_t *next) {
	int64_t above = INT64_MAX; /* The least of what was cut off at the upper end. */
	bool has_above = false;

	for (int round = 0; round < ROUNDS_MAX && count > RUN_MAX; round++) {
		int64_t pivot = median_of_three(keys[0], keys[count / 2], keys[count - 1]);
		size_t below = partition(keys, count, pivot, spare);
		int64_t *swap = keys;

		if (below == 0) {
			/* The pivot is the least. */
			below = partition(keys, count, pivot + 1, spare);
			if (rank + 1 < below) {
				*next = pivot;
				return pivot;
			}
			if (below == count) {
				*next = has_above ? above : pivot;
				return pivot;
			}
		}
		keys = spare;
		spare = swap;
		if (rank >= below) {
			keys += below;
			spare += below;
			count -= below;
			rank -= below;
			continue;
		}
		if (rank + 1 == below) {
			for (size_t i = below; i < count; i++) {
				above = keys[i] < above ? keys[i] : above;
			}
			has_above = true;
		}
		count = below;
	}
	quantile_sort(keys, spare, count);
	*next = rank + 1 < count ? keys[rank + 1] : has_above ? above : keys[rank];
	return keys[rank];
}

/* Whether the quantile depends on the values at all. If not, 'out' is what it is. */
static bool depends_on_values(double q, size_t count, double *out) {
	if (count == 0 || isnan(q)) {
		*out = number_nan();
		return false;
	}
	if (q < 0 || q > 1) {
		*out = q < 0 ? -HUGE_VAL : HUGE_VAL;
		return false;
	}
	return true;
}

static double between(double rank, int64_t low, int64_t high) {
	double weight = rank - floor(rank);

	return quantile_value(low) * (1 - weight) + quantile_value(high) * weight;
}

double quantile_of(double q, int64_t *keys, int64_t *spare, size_t count) {
	int64_t low;
	int64_t high;
	double rank;
	double fixed;

	if (!depends_on_values(q, count, &fixed)) {
		return fixed;
	}
	rank = q * (double)(count - 1);
	low = select_rank(keys, spare, count, (size_t)rank, &high);
	return between(rank, low, high);
}

double quantile_of_sorted(double q, const int64_t *keys, size_t count) {
	double rank;
	double fixed;
	size_t low;

	if (!depends_on_values(q, count, &fixed)) {
		return fixed;
	}
	rank = q * (double)(count - 1);
	low = (size_t)rank;
	return between(rank, keys[low], keys[low + 1 < count ? low + 1 : low]);
}

void quantile_warn(struct eval *ev, uint32_t position, double q) {
	char text[NOTES_NUMBER_MAX];

	notes_warn(&ev->notes, &ev->arena, position,
		"quantile value should be between 0 and 1, got %s", notes_number(q, text));
}
