#include "promql/histogram_parts.h"

#include "cxx/number.h"
#include "promql/number.h"

#include <float.h>
#include <string.h>

bool histogram_is_custom(const struct histogram *histogram) {
	return histogram->schema == HISTOGRAM_CUSTOM;
}

bool histogram_is_stale(const struct histogram *histogram) {
	return is_stale(histogram->sum);
}

/*
 * 2 to the power of (part / 256 - 1), to the bit that Prometheus' table of bounds has: its entries
 * are products of rounded roots of 2.
 */
static double bound_fraction(unsigned part) {
	static const double roots[] = { 0x1.306fe0a31b715p+0, 0x1.172b83c7d517bp+0,
		0x1.0b5586cf9890fp+0, 0x1.059b0d3158574p+0, 0x1.02c9a3e778061p+0,
		0x1.0163da9fb3335p+0, 0x1.00b1afa5abcbfp+0 };
	double fraction = part & 128 ? 0x1.6a09e667f3bccp-1 : 0.5;

	for (unsigned i = 0; i < ARRAY_COUNT(roots); i++) {
		if (part & (64U >> i)) {
			fraction *= roots[i];
		}
	}
	return fraction;
}

/* Two to the power of 1024 is the largest number there is; only infinite observations lie above. */
static double finite_power(double fraction, int64_t exponent) {
	if (fraction == 0.5 && exponent == 1025) {
		return DBL_MAX;
	}
	return ldexp(fraction, exponent > 5000 ? 5000 : exponent < -5000 ? -5000 : (int)exponent);
}

double histogram_bound(int32_t index, int32_t schema) {
	if (schema < 0) {
		return finite_power(0.5, (int64_t)index * ((int64_t)1 << -schema) + 1);
	}

	unsigned part = (unsigned)index & ((1U << schema) - 1);
	int64_t whole = ((int64_t)index - part) / ((int64_t)1 << schema);

	return finite_power(bound_fraction(part << (8 - schema)), whole + 1);
}

static double custom_bound(const struct histogram *histogram, int64_t index) {
	if (index < 0) {
		return -HUGE_VAL;
	}
	return (size_t)index < histogram->bound_count ? histogram->bounds[index] : HUGE_VAL;
}

static struct histogram_bucket custom_bucket(const struct histogram *histogram, size_t at) {
	int32_t index = histogram->positive.indexes[at];

	return (struct histogram_bucket){
		.lower = custom_bound(histogram, (int64_t)index - 1),
		.upper = custom_bound(histogram, index),
		.has_lower = index == 0,
		.has_upper = true,
		.count = histogram->positive.counts[at],
	};
}

struct histogram_bucket histogram_side_bucket(
	const struct histogram *histogram, bool is_positive, size_t at) {
	const struct histogram_side *side =
		is_positive ? &histogram->positive : &histogram->negative;
	struct histogram_bucket bucket;
	double far;
	double near;

	if (histogram_is_custom(histogram)) {
		return custom_bucket(histogram, at);
	}
	far = histogram_bound(side->indexes[at], histogram->schema);
	near = histogram_bound(side->indexes[at] - 1, histogram->schema);
	bucket = (struct histogram_bucket){
		.lower = is_positive ? near : -far,
		.upper = is_positive ? far : -near,
		.count = side->counts[at],
	};
	bucket.has_lower = bucket.lower < 0;
	bucket.has_upper = bucket.upper > 0;
	return bucket;
}

size_t histogram_bucket_count(const struct histogram *histogram) {
	return histogram->negative.count + (histogram->zero_count > 0) + histogram->positive.count;
}

struct histogram_bucket histogram_bucket_at(const struct histogram *histogram, size_t at) {
	double threshold = histogram->zero_threshold;
	size_t zero = histogram->negative.count;
	struct histogram_bucket bucket;

	if (at == zero && histogram->zero_count > 0) {
		return (struct histogram_bucket){ -threshold, threshold, true, true,
			histogram->zero_count };
	}
	bucket = at < zero ? histogram_side_bucket(histogram, false, zero - 1 - at)
			   : histogram_side_bucket(
				     histogram, true, at - zero - (histogram->zero_count > 0));
	/* The bucket of zero may reach into its neighbours. */
	if (bucket.upper < 0 && bucket.upper > -threshold) {
		bucket.upper = -threshold;
	} else if (bucket.lower > 0 && bucket.lower < threshold) {
		bucket.lower = threshold;
	}
	return bucket;
}

/* Copies. */

static int copy_side(struct arena *arena, const struct histogram_side *from,
	struct histogram_side *out, struct err *err) {
	int32_t *indexes = ARENA_TRY_NEW(arena, int32_t, from->count, err);
	double *counts = ARENA_TRY_NEW(arena, double, from->count, err);

	if (!indexes || !counts) {
		return ERR_LIMIT;
	}
	if (from->count > 0) {
		memcpy(indexes, from->indexes, from->count * sizeof(*indexes));
		memcpy(counts, from->counts, from->count * sizeof(*counts));
	}
	*out = (struct histogram_side){ indexes, counts, from->count };
	return 0;
}

int histogram_copy(
	struct arena *arena, const struct histogram *from, struct histogram *out, struct err *err) {
	struct histogram copy = *from;
	int rc = copy_side(arena, &from->positive, &copy.positive, err);

	rc = rc < 0 ? rc : copy_side(arena, &from->negative, &copy.negative, err);
	if (rc == 0) {
		*out = copy;
	}
	return rc;
}

/* The bucket of a coarser schema that a bucket falls into. */
int32_t histogram_coarser_index(int32_t index, int32_t from_schema, int32_t to_schema) {
	int64_t width = (int64_t)1 << (from_schema - to_schema);
	int64_t before = (int64_t)index - 1;
	int64_t floor = before >= 0 ? before / width : -((-before + width - 1) / width);

	return (int32_t)(floor + 1);
}

int histogram_copy_to_schema(struct arena *arena, const struct histogram *from, int32_t schema,
	struct histogram *out, struct err *err) {
	int rc = histogram_copy(arena, from, out, err);

	if (rc < 0 || schema == from->schema) {
		return rc;
	}
	histogram_coarsen(&out->positive, NULL, from->schema, schema);
	histogram_coarsen(&out->negative, NULL, from->schema, schema);
	out->schema = schema;
	out->hint = HISTOGRAM_UNKNOWN;
	return 0;
}

/* Each number by itself. */

static void multiply_side(struct histogram_side *side, double factor) {
	for (size_t i = 0; i < side->count; i++) {
		side->counts[i] *= factor;
	}
}

void histogram_multiply(struct histogram *histogram, double factor) {
	histogram->zero_count *= factor;
	histogram->count *= factor;
	histogram->sum *= factor;
	multiply_side(&histogram->positive, factor);
	multiply_side(&histogram->negative, factor);
	if (factor < 0) {
		histogram->hint = HISTOGRAM_GAUGE;
	}
}

static void divide_side(struct histogram_side *side, double divisor) {
	for (size_t i = 0; i < side->count; i++) {
		side->counts[i] /= divisor;
	}
}

void histogram_divide(struct histogram *histogram, double divisor) {
	histogram->zero_count /= divisor;
	histogram->count /= divisor;
	histogram->sum /= divisor;
	/* Infinitely many everywhere would say nothing. */
	if (divisor == 0) {
		histogram->positive.count = 0;
		histogram->negative.count = 0;
		return;
	}
	divide_side(&histogram->positive, divisor);
	divide_side(&histogram->negative, divisor);
	if (divisor < 0) {
		histogram->hint = HISTOGRAM_GAUGE;
	}
}

void histogram_compact_side(struct histogram_side *side, double *rest) {
	size_t kept = 0;

	for (size_t i = 0; i < side->count; i++) {
		if (side->counts[i] == 0 && (!rest || rest[i] == 0)) {
			continue;
		}
		side->indexes[kept] = side->indexes[i];
		side->counts[kept] = side->counts[i];
		if (rest) {
			rest[kept] = rest[i];
		}
		kept++;
	}
	side->count = kept;
}

void histogram_compact(struct histogram *histogram) {
	histogram_compact_side(&histogram->positive, NULL);
	histogram_compact_side(&histogram->negative, NULL);
}

static bool side_has_overflow(const struct histogram_side *side) {
	for (size_t i = 0; i < side->count; i++) {
		if (isinf(side->counts[i])) {
			return true;
		}
	}
	return false;
}

bool histogram_has_overflow(const struct histogram *histogram) {
	return isinf(histogram->zero_count) || isinf(histogram->count) || isinf(histogram->sum) ||
	       side_has_overflow(&histogram->positive) || side_has_overflow(&histogram->negative);
}

static bool same_side(const struct histogram_side *a, const struct histogram_side *b) {
	return a->count == b->count &&
	       (a->count == 0 ||
		       (memcmp(a->indexes, b->indexes, a->count * sizeof(*a->indexes)) == 0 &&
			       memcmp(a->counts, b->counts, a->count * sizeof(*a->counts)) == 0));
}

bool histogram_same_bounds(const struct histogram *a, const struct histogram *b) {
	if (a->bound_count != b->bound_count) {
		return false;
	}
	for (size_t i = 0; i < a->bound_count; i++) {
		if (a->bounds[i] != b->bounds[i]) {
			return false;
		}
	}
	return true;
}

bool histogram_equal(const struct histogram *a, const struct histogram *b) {
	return a->schema == b->schema && double_bits(a->count) == double_bits(b->count) &&
	       double_bits(a->sum) == double_bits(b->sum) &&
	       (!histogram_is_custom(a) || histogram_same_bounds(a, b)) &&
	       a->zero_threshold == b->zero_threshold &&
	       double_bits(a->zero_count) == double_bits(b->zero_count) &&
	       same_side(&a->positive, &b->positive) && same_side(&a->negative, &b->negative);
}

/* Text. */

static void format_number(double value, struct buf *out) {
	char text[NUMBER_TEXT_MAX];

	buf_append(out, text, number_format_g(value, text));
}

void histogram_format(const struct histogram *histogram, struct buf *out) {
	size_t count = histogram_bucket_count(histogram);

	buf_add_text(out, "{count:");
	format_number(histogram->count, out);
	buf_add_text(out, ", sum:");
	format_number(histogram->sum, out);
	for (size_t i = 0; i < count; i++) {
		struct histogram_bucket bucket = histogram_bucket_at(histogram, i);

		if (bucket.count == 0) {
			continue;
		}
		buf_add_text(out, bucket.has_lower ? ", [" : ", (");
		format_number(bucket.lower, out);
		buf_add_byte(out, ',');
		format_number(bucket.upper, out);
		buf_add_text(out, bucket.has_upper ? "]:" : "):");
		format_number(bucket.count, out);
	}
	buf_add_byte(out, '}');
}
