/*
 * Questions to histograms: resets, quantiles, fractions, the variance; and trimming.
 */
#include "promql/histogram_parts.h"
#include "promql/kahan.h"
#include "promql/number.h"

/* Resets. */

/* A walk over one side's buckets as a schema and a bucket of zero, perhaps of another histogram,
 * show them. */
struct walk {
	const struct histogram *histogram;
	const struct histogram_side *side;
	int32_t schema;
	double threshold;
	size_t at;
	bool is_outside; /* Of the bucket of zero. */
	int32_t index;
	double count;
};

static int32_t walk_index(const struct walk *walk, size_t at) {
	int32_t index = walk->side->indexes[at];

	return walk->schema == walk->histogram->schema
		       ? index
		       : histogram_coarser_index(index, walk->histogram->schema, walk->schema);
}

static bool walk_next(struct walk *walk) {
	while (walk->at < walk->side->count) {
		walk->index = walk_index(walk, walk->at);
		walk->count = walk->side->counts[walk->at++];
		while (walk->at < walk->side->count && walk_index(walk, walk->at) == walk->index) {
			walk->count += walk->side->counts[walk->at++];
		}
		if (walk->is_outside || walk->schema == HISTOGRAM_CUSTOM ||
			histogram_bound(walk->index, walk->schema) > walk->threshold) {
			walk->is_outside = true;
			return true;
		}
	}
	return false;
}

static bool side_was_reset(
	const struct histogram *now, const struct histogram *before, bool is_positive) {
	struct walk current = { .histogram = now,
		.side = is_positive ? &now->positive : &now->negative,
		.schema = now->schema,
		.threshold = now->zero_threshold,
		.is_outside = now->zero_threshold == 0 };
	struct walk previous = current;
	bool has_current = walk_next(&current);

	previous.histogram = before;
	previous.side = is_positive ? &before->positive : &before->negative;
	while (walk_next(&previous)) {
		while (has_current && current.index < previous.index) {
			has_current = walk_next(&current);
		}
		if (has_current && current.index == previous.index) {
			if (current.count < previous.count) {
				return true;
			}
		} else if (previous.count != 0) {
			return true;
		}
	}
	return false;
}

/* What was observed up to a bound, from bucket '*at' on. */
static double count_up_to(const struct histogram *histogram, double bound, size_t *at) {
	double sum = 0;

	while (*at < histogram->positive.count &&
		histogram_side_bucket(histogram, true, *at).upper <= bound) {
		sum += histogram->positive.counts[(*at)++];
	}
	return sum;
}

/* Between the bounds that both have, nothing may have become less. */
static bool custom_was_reset(const struct histogram *now, const struct histogram *before) {
	size_t now_bound = 0;
	size_t before_bound = 0;
	size_t now_at = 0;
	size_t before_at = 0;

	while (now_bound <= now->bound_count && before_bound <= before->bound_count) {
		double a = now_bound < now->bound_count ? now->bounds[now_bound] : HUGE_VAL;
		double b = before_bound < before->bound_count ? before->bounds[before_bound]
							      : HUGE_VAL;

		if (a == b) {
			double count = count_up_to(now, a, &now_at);

			if (count < count_up_to(before, b, &before_at)) {
				return true;
			}
		}
		now_bound += a <= b;
		before_bound += a >= b;
	}
	return false;
}

bool histogram_was_reset(const struct histogram *now, const struct histogram *before) {
	double threshold = now->zero_threshold;
	double zero_count = before->zero_count;
	double rest = 0;

	if (now->hint == HISTOGRAM_RESET || now->hint == HISTOGRAM_NOT_RESET) {
		return now->hint == HISTOGRAM_RESET;
	}
	if (now->count < before->count) {
		return true;
	}
	if (histogram_is_custom(now)) {
		if (!histogram_is_custom(before)) {
			return true;
		}
		if (!histogram_same_bounds(now, before)) {
			return custom_was_reset(now, before);
		}
	}
	if (now->schema > before->schema || now->zero_threshold < before->zero_threshold) {
		return true;
	}
	if (histogram_is_custom(before) != histogram_is_custom(now)) {
		return true;
	}
	if (threshold != before->zero_threshold) {
		histogram_widen_zero(before, NULL, &threshold, &zero_count, &rest);
	}
	return threshold != now->zero_threshold || now->zero_count < zero_count ||
	       side_was_reset(now, before, true) || side_was_reset(now, before, false);
}

/* Quantiles. */

/* Where in the bucket a value lies, as a share of its observations. */
static double share_below(const struct histogram_bucket *bucket, double value, bool is_linear) {
	double low;
	double high;
	double at;

	if (is_linear) {
		return (value - bucket->lower) / (bucket->upper - bucket->lower);
	}
	low = log2(fabs(bucket->lower));
	high = log2(fabs(bucket->upper));
	at = log2(fabs(value));
	return value > 0 ? (at - low) / (high - low) : 1 - (at - high) / (low - high);
}

/* The bucket of zero has a side less where nothing was observed there. */
static void narrow_zero(const struct histogram *histogram, struct histogram_bucket *bucket) {
	bool has_negative = histogram->negative.count > 0;
	bool has_positive = histogram->positive.count > 0;

	if (!has_negative && has_positive) {
		bucket->lower = 0;
	} else if (!has_positive && has_negative) {
		bucket->upper = 0;
	}
}

static double interpolate(
	const struct histogram *histogram, const struct histogram_bucket *bucket, double share) {
	double low;
	double high;

	if (histogram_is_custom(histogram) || (bucket->lower <= 0 && bucket->upper >= 0)) {
		return bucket->lower + (bucket->upper - bucket->lower) * share;
	}
	low = log2(fabs(bucket->lower));
	high = log2(fabs(bucket->upper));
	return bucket->lower > 0 ? exp2(low + (high - low) * share)
				 : -exp2(high + (low - high) * (1 - share));
}

/* Whether buckets are counted from the lowest: towards the nearer end, where NaN does not blur. */
static bool counts_up(const struct histogram *histogram, double q) {
	return isnan(histogram->sum) || q < 0.5;
}

static struct histogram_bucket bucket_in_order(
	const struct histogram *histogram, size_t at, bool is_up) {
	size_t count = histogram_bucket_count(histogram);

	return histogram_bucket_at(histogram, is_up ? at : count - 1 - at);
}

/* The value at a rank that a bucket holds; 'count' is that of all buckets up to it. */
static double value_at_rank(const struct histogram *histogram,
	const struct histogram_bucket *bucket, double count, double rank, bool is_up) {
	double inside = is_up ? rank - (count - bucket->count) : count - rank;

	return interpolate(histogram, bucket, inside / bucket->count);
}

double histogram_quantile(const struct histogram *histogram, double q, int *flags) {
	size_t bucket_count = histogram_bucket_count(histogram);
	bool is_up = counts_up(histogram, q);
	double rank = (is_up ? q : 1 - q) * histogram->count;
	struct histogram_bucket bucket = { 0 };
	double count = 0;
	size_t at = 0;

	*flags = 0;
	if (q < 0 || q > 1) {
		return q < 0 ? -HUGE_VAL : HUGE_VAL;
	}
	if (histogram->count == 0 || isnan(q)) {
		return number_nan();
	}
	while (at < bucket_count) {
		bucket = bucket_in_order(histogram, at++, is_up);
		count += bucket.count;
		if (bucket.count != 0 && count >= rank) {
			break;
		}
	}
	if (!histogram_is_custom(histogram)) {
		if (bucket.lower < 0 && bucket.upper > 0) {
			narrow_zero(histogram, &bucket);
		}
	} else if (isinf(bucket.lower) && bucket.lower < 0) {
		if (bucket.upper <= 0) {
			return bucket.upper;
		}
		bucket.lower = 0;
	} else if (isinf(bucket.upper) && bucket.upper > 0) {
		return bucket.lower;
	}
	count = count > histogram->count ? histogram->count : count;
	if (count < rank) {
		*flags = isnan(histogram->sum) ? HISTOGRAM_NAN_RESULT : 0;
		return *flags ? number_nan() : bucket.upper;
	}
	if (isnan(histogram->sum)) {
		double all = count;

		while (at < bucket_count) {
			all += bucket_in_order(histogram, at++, is_up).count;
		}
		*flags = all < histogram->count ? HISTOGRAM_NAN_SKEW : 0;
	}
	return value_at_rank(histogram, &bucket, count, rank, is_up);
}

/* Fractions. */

/* The rank of a value, once a bucket that reaches beyond it has come. */
struct position {
	double value;
	double rank;
	bool is_set;
};

static void place(const struct histogram *histogram, const struct histogram_bucket *bucket,
	bool is_zero, double rank, struct position *position) {
	if (position->is_set) {
		return;
	}
	if (bucket->lower >= position->value) {
		position->rank = rank;
		position->is_set = true;
	} else if (bucket->upper > position->value) {
		bool is_linear = histogram_is_custom(histogram) || is_zero;

		position->rank =
			is_linear && isinf(bucket->lower)
				? bucket->count
				: rank + bucket->count *
						  share_below(bucket, position->value, is_linear);
		position->is_set = true;
	}
}

double histogram_fraction(
	const struct histogram *histogram, double lower, double upper, int *flags) {
	size_t bucket_count = histogram_bucket_count(histogram);
	struct position low = { .value = lower };
	struct position high = { .value = upper };
	double count = 0;
	double rank = 0;
	size_t at = 0;

	*flags = 0;
	if (histogram->count == 0 || isnan(lower) || isnan(upper)) {
		return number_nan();
	}
	if (lower >= upper) {
		return 0;
	}
	while (at < bucket_count && !(low.is_set && high.is_set)) {
		struct histogram_bucket bucket = histogram_bucket_at(histogram, at++);
		bool is_zero = bucket.lower <= 0 && bucket.upper >= 0;

		count += bucket.count;
		if (is_zero) {
			narrow_zero(histogram, &bucket);
		}
		place(histogram, &bucket, is_zero, rank, &low);
		place(histogram, &bucket, is_zero, rank, &high);
		rank += bucket.count;
	}
	if (isnan(histogram->sum)) {
		while (at < bucket_count) {
			count += histogram_bucket_at(histogram, at++).count;
		}
		*flags = count < histogram->count ? HISTOGRAM_NAN_SKEW : 0;
	} else {
		count = histogram->count;
	}
	low.rank = !low.is_set || low.rank > count ? count : low.rank;
	high.rank = !high.is_set || high.rank > count ? count : high.rank;
	return (high.rank - low.rank) / histogram->count;
}

/* As if all observations of a bucket were in its middle. */
double histogram_variance(const struct histogram *histogram) {
	double mean = histogram->sum / histogram->count;
	size_t bucket_count = histogram_bucket_count(histogram);
	struct kahan variance = { 0, 0 };

	for (size_t i = 0; i < bucket_count; i++) {
		struct histogram_bucket bucket = histogram_bucket_at(histogram, i);
		double middle = 0;

		if (bucket.count == 0) {
			continue;
		}
		if (histogram_is_custom(histogram)) {
			middle = (bucket.upper + bucket.lower) / 2;
		} else if (!(bucket.lower <= 0 && bucket.upper >= 0)) {
			middle = sqrt(bucket.upper * bucket.lower);
			middle = bucket.upper < 0 ? -middle : middle;
		}
		variance = kahan_add(variance, bucket.count * (middle - mean) * (middle - mean));
	}
	return (variance.sum + variance.rest) / histogram->count;
}

/* Trimming. */

/* What is left: how many observations, and their sum, each in the middle of its bucket. */
struct kept {
	double count;
	double sum;
	bool is_trimmed;
	bool has_positive;
	bool has_negative;
};

static double middle_of(double lower, double upper, bool is_positive, bool is_linear) {
	double mean;

	if (isinf(lower)) {
		return isinf(upper) ? 0 : upper > 0 ? upper / 2 : upper;
	}
	if (isinf(upper)) {
		return lower;
	}
	if (is_linear) {
		return (lower + upper) / 2;
	}
	mean = sqrt(fabs(lower * upper));
	return is_positive ? mean : -mean;
}

static double finite_or_zero(double value) {
	return isinf(value) ? 0 : value;
}

/* Of a bucket that is open at one end; gives what remains and its middle. */
static double trim_open(
	const struct histogram_bucket *bucket, double limit, bool is_upper, double *middle) {
	bool is_open_below = isinf(bucket->lower) && bucket->lower < 0;

	if (!is_open_below) {
		bool stays = !is_upper && limit >= bucket->lower;

		*middle = stays ? limit : finite_or_zero(bucket->lower);
		return stays ? bucket->count : 0;
	}
	if (is_upper && limit >= bucket->upper) {
		*middle = 0;
		return bucket->count;
	}
	if (is_upper && limit > 0 && bucket->upper > 0 && !isinf(bucket->upper)) {
		*middle = limit / 2;
		return bucket->count * limit / bucket->upper;
	}
	if (is_upper && bucket->upper <= 0) {
		*middle = limit;
		return bucket->count;
	}
	if (!is_upper && limit <= bucket->lower) {
		*middle = 0;
		return bucket->count;
	}
	if (!is_upper && limit >= 0 && bucket->upper > limit && !isinf(bucket->upper)) {
		*middle = (limit + bucket->upper) / 2;
		return bucket->count * (1 - limit / bucket->upper);
	}
	*middle = finite_or_zero(bucket->upper);
	return 0;
}

/* Of a bucket that the limit cuts. */
static double trim_cut(const struct histogram_bucket *bucket, double limit, bool is_upper,
	bool is_positive, bool is_linear, double *middle) {
	double below;

	if (isinf(bucket->lower) || isinf(bucket->upper)) {
		return trim_open(bucket, limit, is_upper, middle);
	}
	below = bucket->count * share_below(bucket, limit, is_linear);
	*middle = is_upper ? middle_of(bucket->lower, limit, is_positive, is_linear)
			   : middle_of(limit, bucket->upper, is_positive, is_linear);
	return is_upper ? below : bucket->count - below;
}

static void trim_side(struct histogram *histogram, double limit, bool is_upper, bool is_positive,
	struct kept *kept) {
	struct histogram_side *side = is_positive ? &histogram->positive : &histogram->negative;
	bool is_linear = histogram_is_custom(histogram);

	for (size_t i = 0; i < side->count; i++) {
		struct histogram_bucket bucket = histogram_side_bucket(histogram, is_positive, i);
		bool stays = is_upper ? bucket.upper <= limit : bucket.lower >= limit;
		bool is_cut = is_upper ? bucket.lower < limit : bucket.upper > limit;
		double count = stays ? bucket.count : 0;
		double middle = 0;

		if (bucket.count == 0) {
			continue;
		}
		kept->has_positive |= is_positive;
		kept->has_negative |= !is_positive;
		if (stays) {
			middle = middle_of(bucket.lower, bucket.upper, is_positive, is_linear);
		} else if (is_cut) {
			count = trim_cut(&bucket, limit, is_upper, is_positive, is_linear, &middle);
		}
		if (stays || is_cut) {
			kept->count += count;
			kept->sum += middle * count;
		}
		kept->is_trimmed |= (!stays && !is_cut) || side->counts[i] != count;
		side->counts[i] = count;
	}
}

static void trim_zero(struct histogram *histogram, double limit, bool is_upper, struct kept *kept) {
	bool is_positive = kept->has_positive && !kept->has_negative;
	bool is_negative = kept->has_negative && !kept->has_positive;
	double lower = is_positive ? 0 : -histogram->zero_threshold;
	double upper = is_negative ? 0 : histogram->zero_threshold;
	double from = is_upper ? lower : limit;
	double to = is_upper ? limit : upper;
	double count = 0;
	double middle = 0;

	if (is_upper ? limit <= lower : limit >= upper) {
		count = 0;
	} else if (is_upper ? limit >= upper : limit <= lower) {
		count = histogram->zero_count;
		middle = (lower + upper) / 2;
	} else {
		count = histogram->zero_count * ((to - from) / (upper - lower));
		middle = (from + to) / 2;
	}
	kept->is_trimmed |= histogram->zero_count != count;
	histogram->zero_count = count;
	kept->sum += middle * count;
	kept->count += count;
}

void histogram_trim(struct histogram *histogram, double limit, bool is_upper) {
	struct kept kept = { 0 };

	trim_side(histogram, limit, is_upper, true, &kept);
	trim_side(histogram, limit, is_upper, false, &kept);
	if (histogram->zero_count > 0) {
		trim_zero(histogram, limit, is_upper, &kept);
	}
	if (kept.is_trimmed) {
		histogram->count = kept.count;
		histogram->sum = kept.sum;
		histogram_compact(histogram);
	}
}
