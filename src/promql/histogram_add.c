/*
 * Sums and differences of histograms.
 */
#include "promql/histogram_parts.h"
#include "promql/kahan.h"

#include <string.h>

static void add_rounded(double *sum, double *rest, double value) {
	struct kahan total = kahan_add((struct kahan){ *sum, *rest }, value);

	*sum = total.sum;
	*rest = total.rest;
}

void histogram_coarsen(
	struct histogram_side *side, double *rest, int32_t from_schema, int32_t to_schema) {
	size_t last = 0;

	for (size_t i = 0; i < side->count; i++) {
		int32_t index = histogram_coarser_index(side->indexes[i], from_schema, to_schema);

		if (i > 0 && side->indexes[last] == index) {
			if (rest) {
				add_rounded(&side->counts[last], &rest[last], side->counts[i]);
				add_rounded(&side->counts[last], &rest[last], rest[i]);
			} else {
				side->counts[last] += side->counts[i];
			}
			continue;
		}
		last += i > 0;
		side->indexes[last] = index;
		side->counts[last] = side->counts[i];
		if (rest) {
			rest[last] = rest[i];
		}
	}
	side->count = side->count > 0 ? last + 1 : 0;
}

/* The bucket of zero. */

void histogram_widen_zero(const struct histogram *histogram, const struct histogram_rest *rest,
	double *threshold, double *zero_count, double *zero_rest) {
	bool is_cut = true;

	while (is_cut) {
		is_cut = false;
		*zero_count = histogram->zero_count;
		for (size_t i = 0; i < histogram->positive.count; i++) {
			struct histogram_bucket bucket = histogram_side_bucket(histogram, true, i);

			if (bucket.lower >= *threshold) {
				break;
			}
			add_rounded(zero_count, zero_rest, bucket.count);
			if (rest) {
				add_rounded(zero_count, zero_rest, rest->positive[i]);
			}
			if (bucket.upper > *threshold) {
				*threshold = bucket.count != 0 ? bucket.upper : *threshold;
				break;
			}
		}
		for (size_t i = 0; i < histogram->negative.count; i++) {
			struct histogram_bucket bucket = histogram_side_bucket(histogram, false, i);

			if (bucket.upper <= -*threshold) {
				break;
			}
			add_rounded(zero_count, zero_rest, bucket.count);
			if (rest) {
				add_rounded(zero_count, zero_rest, rest->negative[i]);
			}
			if (bucket.lower < -*threshold) {
				is_cut = bucket.count != 0;
				*threshold = is_cut ? -bucket.lower : *threshold;
				break;
			}
		}
	}
}

/* Empties the buckets that the bucket of zero now covers. */
static void trim_covered(struct histogram *histogram, struct histogram_rest *rest) {
	for (int is_positive = 0; is_positive < 2; is_positive++) {
		struct histogram_side *side =
			is_positive ? &histogram->positive : &histogram->negative;
		double *rests = !rest ? NULL : is_positive ? rest->positive : rest->negative;

		for (size_t i = 0; i < side->count; i++) {
			struct histogram_bucket bucket =
				histogram_side_bucket(histogram, is_positive, i);
			double near = is_positive ? bucket.lower : -bucket.upper;

			if (near >= histogram->zero_threshold) {
				break;
			}
			side->counts[i] = 0;
			if (rests) {
				rests[i] = 0;
			}
		}
		histogram_compact_side(side, rests);
	}
}

/* Brings both to one bucket of zero. Gives what 'other' has in it then. */
static struct kahan reconcile_zero(
	struct histogram *to, struct histogram_rest *rest, const struct histogram *other) {
	struct kahan zero = { other->zero_count, 0 };
	double threshold = other->zero_threshold;

	while (threshold < to->zero_threshold || threshold > to->zero_threshold) {
		if (to->zero_threshold > threshold) {
			threshold = to->zero_threshold;
			zero.rest = 0;
			histogram_widen_zero(other, NULL, &threshold, &zero.sum, &zero.rest);
		}
		if (threshold > to->zero_threshold) {
			double zero_rest = rest ? rest->zero_count : 0;

			to->zero_threshold = threshold;
			histogram_widen_zero(
				to, rest, &to->zero_threshold, &to->zero_count, &zero_rest);
			if (rest) {
				rest->zero_count = zero_rest;
			}
			trim_covered(to, rest);
		}
	}
	return zero;
}

/* One side. */

/* What is added to a side: buckets, with a sign and perhaps with rests. */
struct addend {
	struct histogram_side side;
	const double *rest;
	double sign;
};

/* How many buckets of 'b' are not in 'a'. */
static size_t count_new(const struct histogram_side *a, const struct histogram_side *b) {
	size_t count = 0;
	size_t at = 0;

	for (size_t i = 0; i < b->count; i++) {
		while (at < a->count && a->indexes[at] < b->indexes[i]) {
			at++;
		}
		count += at == a->count || a->indexes[at] != b->indexes[i];
	}
	return count;
}

/* Makes room for the buckets of 'b' that are not there, with nothing in them. */
static int widen_side(struct arena *arena, struct histogram_side *side, double **rest,
	const struct histogram_side *b, bool *is_new, struct err *err) {
	size_t more = count_new(side, b);
	size_t count = side->count + more;
	struct histogram_side wide = { ARENA_TRY_NEW(arena, int32_t, count, err),
		ARENA_TRY_NEW(arena, double, count, err), count };
	double *wide_rest = rest ? ARENA_TRY_NEW(arena, double, count, err) : NULL;
	size_t from = 0;
	size_t added = 0;

	if (!wide.indexes || !wide.counts || (rest && !wide_rest)) {
		return ERR_LIMIT;
	}
	for (size_t i = 0; i < count; i++) {
		bool takes_old = from < side->count &&
				 (added == b->count || side->indexes[from] <= b->indexes[added]);

		if (!takes_old) {
			wide.indexes[i] = b->indexes[added];
			is_new[added++] = true;
			continue;
		}
		if (added < b->count && side->indexes[from] == b->indexes[added]) {
			added++;
		}
		wide.indexes[i] = side->indexes[from];
		wide.counts[i] = side->counts[from];
		if (rest) {
			wide_rest[i] = (*rest)[from];
		}
		from++;
	}
	*side = wide;
	if (rest) {
		*rest = wide_rest;
	}
	return 0;
}

static void add_bucket(
	double *count, double *rest, const struct addend *addend, size_t at, bool is_new) {
	double value = addend->sign * addend->side.counts[at];
	double more = addend->rest ? addend->sign * addend->rest[at] : 0;

	if (is_new) {
		*count = value;
		if (rest) {
			*rest = more;
		}
	} else if (!rest) {
		*count += value;
	} else {
		add_rounded(count, rest, value);
		if (more != 0) {
			add_rounded(count, rest, more);
		}
	}
}

/* Adds to a side; what lies below the zero threshold is in the bucket of zero already. */
static int add_side(struct arena *arena, struct histogram_side *side, double **rest,
	const struct addend *addend, const struct histogram *of, struct err *err) {
	struct addend shown = *addend;
	bool *is_new;
	size_t at = 0;
	int rc;

	while (shown.side.count > 0 && !histogram_is_custom(of) &&
		histogram_bound(shown.side.indexes[0], of->schema) <= of->zero_threshold) {
		shown.side.indexes++;
		shown.side.counts++;
		shown.side.count--;
		shown.rest = shown.rest ? shown.rest + 1 : NULL;
	}
	if (shown.side.count == 0) {
		return 0;
	}
	is_new = ARENA_TRY_NEW(arena, bool, shown.side.count, err);
	if (!is_new) {
		return ERR_LIMIT;
	}
	if (count_new(side, &shown.side) > 0) {
		rc = widen_side(arena, side, rest, &shown.side, is_new, err);
		if (rc < 0) {
			return rc;
		}
	}
	for (size_t i = 0; i < shown.side.count; i++) {
		while (side->indexes[at] < shown.side.indexes[i]) {
			at++;
		}
		add_bucket(&side->counts[at], rest ? &(*rest)[at] : NULL, &shown, i, is_new[i]);
	}
	return 0;
}

/* Custom bounds that differ. */

static size_t common_bounds(const struct histogram *a, const struct histogram *b, double *out) {
	size_t count = 0;
	size_t i = 0;
	size_t k = 0;

	while (i < a->bound_count && k < b->bound_count) {
		if (a->bounds[i] == b->bounds[k]) {
			out[count++] = a->bounds[i++];
			k++;
		} else if (a->bounds[i] < b->bounds[k]) {
			i++;
		} else {
			k++;
		}
	}
	return count;
}

/* Counts of buckets that end at the common bounds. */
struct common {
	const double *bounds;
	size_t bound_count;
	double *counts;
	double *rests;
};

static void add_to_common(
	struct common *common, const struct histogram *from, const double *rest, double sign) {
	size_t target = 0;

	for (size_t i = 0; i < from->positive.count; i++) {
		size_t index = (size_t)from->positive.indexes[i];

		while (target < common->bound_count &&
			(index >= from->bound_count ||
				common->bounds[target] < from->bounds[index])) {
			target++;
		}
		add_rounded(&common->counts[target], &common->rests[target],
			sign * from->positive.counts[i]);
		if (rest) {
			add_rounded(&common->counts[target], &common->rests[target], rest[i]);
		}
	}
}

static int add_mismatched(struct arena *arena, struct histogram *to, struct histogram_rest *rest,
	const struct histogram *other, double sign, struct err *err) {
	size_t most = to->bound_count < other->bound_count ? to->bound_count : other->bound_count;
	double *bounds = ARENA_TRY_NEW(arena, double, most, err);
	struct common common = { bounds, 0, ARENA_TRY_NEW(arena, double, most + 1, err),
		ARENA_TRY_NEW(arena, double, most + 1, err) };
	int32_t *indexes = ARENA_TRY_NEW(arena, int32_t, most + 1, err);
	size_t kept = 0;

	if (!bounds || !common.counts || !common.rests || !indexes) {
		return ERR_LIMIT;
	}
	common.bound_count = common_bounds(to, other, bounds);
	add_to_common(&common, to, rest ? rest->positive : NULL, 1);
	add_to_common(&common, other, NULL, sign);
	for (size_t i = 0; i <= common.bound_count; i++) {
		if (common.counts[i] == 0 && common.rests[i] == 0) {
			continue;
		}
		indexes[kept] = (int32_t)i;
		common.counts[kept] = common.counts[i];
		common.rests[kept++] = common.rests[i];
	}
	to->positive = (struct histogram_side){ indexes, common.counts, kept };
	to->bounds = bounds;
	to->bound_count = common.bound_count;
	if (rest) {
		rest->positive = common.rests;
	}
	return HISTOGRAM_RECONCILED;
}

/* The whole. */

/* The hint of a sum. Returns whether the two contradict each other. */
static bool merge_hints(struct histogram *to, const struct histogram *other) {
	if (other->hint == to->hint || to->hint == HISTOGRAM_GAUGE) {
		return false;
	}
	if (other->hint == HISTOGRAM_GAUGE) {
		to->hint = HISTOGRAM_GAUGE;
		return false;
	}
	if (to->hint == HISTOGRAM_UNKNOWN) {
		return false;
	}
	to->hint = HISTOGRAM_UNKNOWN;
	return other->hint != HISTOGRAM_UNKNOWN;
}

static int add_custom(struct arena *arena, struct histogram *to, struct histogram_rest *rest,
	const struct histogram *other, double sign, struct err *err) {
	struct addend addend = { other->positive, NULL, sign };

	if (!histogram_same_bounds(to, other)) {
		return add_mismatched(arena, to, rest, other, sign, err);
	}
	return add_side(arena, &to->positive, rest ? &rest->positive : NULL, &addend, to, err);
}

/* A side of 'other' at the schema of the sum. */
static int prepare_addend(struct arena *arena, const struct histogram_side *side,
	int32_t from_schema, int32_t to_schema, bool has_rest, struct addend *out,
	struct err *err) {
	struct histogram_side own = { ARENA_TRY_NEW(arena, int32_t, side->count, err),
		ARENA_TRY_NEW(arena, double, side->count, err), side->count };
	double *rest = has_rest ? ARENA_TRY_NEW(arena, double, side->count, err) : NULL;

	if (!own.indexes || !own.counts || (has_rest && !rest)) {
		return ERR_LIMIT;
	}
	if (side->count > 0) {
		memcpy(own.indexes, side->indexes, side->count * sizeof(*own.indexes));
		memcpy(own.counts, side->counts, side->count * sizeof(*own.counts));
	}
	histogram_coarsen(&own, rest, from_schema, to_schema);
	out->side = own;
	out->rest = rest;
	return 0;
}

static int add_exponential(struct arena *arena, struct histogram *to, struct histogram_rest *rest,
	const struct histogram *other, double sign, struct err *err) {
	struct addend positive = { other->positive, NULL, sign };
	struct addend negative = { other->negative, NULL, sign };
	int rc = 0;

	if (other->schema < to->schema) {
		histogram_coarsen(
			&to->positive, rest ? rest->positive : NULL, to->schema, other->schema);
		histogram_coarsen(
			&to->negative, rest ? rest->negative : NULL, to->schema, other->schema);
		to->schema = other->schema;
	} else if (other->schema > to->schema) {
		rc = prepare_addend(
			arena, &other->positive, other->schema, to->schema, rest, &positive, err);
		rc = rc < 0 ? rc
			    : prepare_addend(arena, &other->negative, other->schema, to->schema,
				      rest, &negative, err);
	}
	rc = rc < 0 ? rc
		    : add_side(arena, &to->positive, rest ? &rest->positive : NULL, &positive, to,
			      err);
	return rc < 0 ? rc
		      : add_side(arena, &to->negative, rest ? &rest->negative : NULL, &negative, to,
				err);
}

/* to += sign * other. */
static int combine(struct arena *arena, struct histogram *to, const struct histogram *other,
	double sign, struct err *err) {
	int flags;
	int rc;

	if (histogram_is_custom(to) != histogram_is_custom(other)) {
		return HISTOGRAM_INCOMPATIBLE;
	}
	flags = merge_hints(to, other) ? HISTOGRAM_COLLISION : 0;
	if (!histogram_is_custom(to)) {
		to->zero_count += sign * reconcile_zero(to, NULL, other).sum;
	}
	to->count += sign * other->count;
	to->sum += sign * other->sum;
	rc = histogram_is_custom(to) ? add_custom(arena, to, NULL, other, sign, err)
				     : add_exponential(arena, to, NULL, other, sign, err);
	return rc < 0 ? rc : flags | rc;
}

int histogram_add(
	struct arena *arena, struct histogram *to, const struct histogram *other, struct err *err) {
	return combine(arena, to, other, 1, err);
}

int histogram_subtract(
	struct arena *arena, struct histogram *to, const struct histogram *other, struct err *err) {
	return combine(arena, to, other, -1, err);
}

static int start_rest(struct arena *arena, const struct histogram *of, struct histogram_rest *rest,
	struct err *err) {
	if (rest->is_there) {
		return 0;
	}
	*rest = (struct histogram_rest){
		.is_there = true,
		.positive = ARENA_TRY_NEW(arena, double, of->positive.count, err),
		.negative = ARENA_TRY_NEW(arena, double, of->negative.count, err),
	};
	return rest->positive && rest->negative ? 0 : ERR_LIMIT;
}

int histogram_sum(struct arena *arena, struct histogram *to, struct histogram_rest *rest,
	const struct histogram *other, struct err *err) {
	struct kahan zero;
	int flags;
	int rc;

	if (histogram_is_custom(to) != histogram_is_custom(other)) {
		return HISTOGRAM_INCOMPATIBLE;
	}
	flags = merge_hints(to, other) ? HISTOGRAM_COLLISION : 0;
	rc = start_rest(arena, to, rest, err);
	if (rc < 0) {
		return rc;
	}
	if (!histogram_is_custom(to)) {
		zero = reconcile_zero(to, rest, other);
		add_rounded(&to->zero_count, &rest->zero_count, zero.sum);
		add_rounded(&to->zero_count, &rest->zero_count, zero.rest);
	}
	add_rounded(&to->count, &rest->count, other->count);
	add_rounded(&to->sum, &rest->sum, other->sum);
	rc = histogram_is_custom(to) ? add_custom(arena, to, rest, other, 1, err)
				     : add_exponential(arena, to, rest, other, 1, err);
	return rc < 0 ? rc : flags | rc;
}

/* The rest as a histogram of the same buckets. */
static struct histogram rest_as_histogram(
	const struct histogram *of, const struct histogram_rest *rest) {
	struct histogram histogram = *of;

	histogram.zero_count = rest->zero_count;
	histogram.count = rest->count;
	histogram.sum = rest->sum;
	histogram.positive.counts = rest->positive;
	histogram.negative.counts = rest->negative;
	return histogram;
}

int histogram_settle(struct arena *arena, struct histogram *to, const struct histogram_rest *rest,
	struct err *err) {
	struct histogram other;

	if (!rest->is_there) {
		return 0;
	}
	other = rest_as_histogram(to, rest);
	return histogram_add(arena, to, &other, err);
}

int histogram_rest_copy(struct arena *arena, const struct histogram *of,
	const struct histogram_rest *from, struct histogram_rest *out, struct err *err) {
	struct histogram_rest copy = *from;

	if (!from->is_there) {
		*out = copy;
		return 0;
	}
	copy.positive = ARENA_TRY_NEW(arena, double, of->positive.count, err);
	copy.negative = ARENA_TRY_NEW(arena, double, of->negative.count, err);
	if (!copy.positive || !copy.negative) {
		return ERR_LIMIT;
	}
	if (of->positive.count > 0) {
		memcpy(copy.positive, from->positive, of->positive.count * sizeof(double));
	}
	if (of->negative.count > 0) {
		memcpy(copy.negative, from->negative, of->negative.count * sizeof(double));
	}
	*out = copy;
	return 0;
}

void histogram_rest_multiply(
	const struct histogram *of, struct histogram_rest *rest, double factor) {
	if (rest->is_there) {
		struct histogram histogram = rest_as_histogram(of, rest);

		histogram_multiply(&histogram, factor);
		rest->zero_count = histogram.zero_count;
		rest->count = histogram.count;
		rest->sum = histogram.sum;
	}
}

void histogram_rest_divide(
	const struct histogram *of, struct histogram_rest *rest, double divisor) {
	if (rest->is_there) {
		struct histogram histogram = rest_as_histogram(of, rest);

		histogram_divide(&histogram, divisor);
		rest->zero_count = histogram.zero_count;
		rest->count = histogram.count;
		rest->sum = histogram.sum;
	}
}
