#include "matrix/column.h"

#include "base/memory.h"
#include "store/store.h"

#include <math.h>
#include <stdlib.h>

enum column_kind {
	COLUMN_CONSTANT = 0,
	COLUMN_DECIMAL = 1,
	COLUMN_MULTIPLE = 2,
	COLUMN_PLANES = 3,
	COLUMN_RAW = 4,
};

/* 10^15 and an integer of 53 bits: beyond that no double has a decimal that short. */
#define EXPONENT_MAX 15
#define INTEGER_MAX 9007199254740992.0 /* 2^53 */
/* The smallest value may be this many times the unit. */
#define UNIT_PARTS_MAX 8
/* Units in the last place that a multiple may be off: beyond, the mantissa itself is no longer. */
#define CORRECTION_MAX (INT64_C(1) << 40)
/* How near to a whole number of units a value must be to be taken for one. */
#define UNIT_TOLERANCE 1e-6
#define MULTIPLE_MAX 1099511627776.0 /* 2^40 */
/* Slots for guessing how many values repeat. */
#define SEEN_SLOTS 256

static const double powers[EXPONENT_MAX + 1] = { 1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9,
	1e10, 1e11, 1e12, 1e13, 1e14, 1e15 };

void column_scratch_deinit(struct column_scratch *scratch) {
	free(scratch->numbers);
	free(scratch->corrections);
	*scratch = (struct column_scratch){ 0 };
}

static void scratch_reserve(struct column_scratch *scratch, size_t count) {
	if (count > scratch->capacity) {
		scratch->numbers = memory_resize(scratch->numbers, count, sizeof(int64_t));
		scratch->corrections = memory_resize(scratch->corrections, count, sizeof(int64_t));
		scratch->capacity = count;
	}
}

/* Whether value is number / 10^exponent, to the bit. */
static bool as_decimal(double value, unsigned exponent, int64_t *number) {
	double scaled = value * powers[exponent];
	if (!(fabs(scaled) <= INTEGER_MAX)) {
		return false;
	}
	double whole = rint(scaled);
	*number = (int64_t)whole;
	return double_bits((double)*number / powers[exponent]) == double_bits(value);
}

/* Finds the least exponent that serves all. Returns false if none does. */
static bool find_decimals(
	const double *values, size_t count, unsigned *exponent, int64_t *numbers) {
	unsigned least = 0;
	for (size_t i = 0; i < count; i++) {
		while (!as_decimal(values[i], least, &numbers[i])) {
			if (++least > EXPONENT_MAX) {
				return false;
			}
		}
	}
	for (size_t i = 0; i < count; i++) {
		if (!as_decimal(values[i], least, &numbers[i])) {
			return false;
		}
	}
	*exponent = least;
	return true;
}

static bool all_multiples(const double *values, size_t count, double unit, int64_t *numbers) {
	for (size_t i = 0; i < count; i++) {
		double quotient = values[i] / unit;
		double whole = rint(quotient);
		if (!(fabs(quotient) < MULTIPLE_MAX) || fabs(quotient - whole) > UNIT_TOLERANCE) {
			return false;
		}
		numbers[i] = (int64_t)whole;
	}
	return true;
}

/* The difference of each value's bits from those of number * unit. */
static bool find_corrections(const double *values, size_t count, double unit,
	const int64_t *numbers, int64_t *corrections) {
	for (size_t i = 0; i < count; i++) {
		uint64_t near = double_bits((double)numbers[i] * unit);
		int64_t off = (int64_t)(double_bits(values[i]) - near);
		if (off > CORRECTION_MAX || off < -CORRECTION_MAX) {
			return false;
		}
		corrections[i] = off;
	}
	return true;
}

/* The least size of a value, or of the step from one to the next, that is not nothing: whoever
 * looks for a unit begins with these. */
static void find_least(
	const double *values, size_t count, size_t *largest, double *least, double *least_step) {
	*least = *least_step = HUGE_VAL;
	*largest = 0;
	for (size_t i = 0; i < count; i++) {
		double size = fabs(values[i]);
		*least = size > 0 && size < *least ? size : *least;
		*largest = size > fabs(values[*largest]) ? i : *largest;
	}
	double noise = fabs(values[*largest]) * UNIT_TOLERANCE;
	for (size_t i = 1; i < count; i++) {
		double step = fabs(values[i] - values[i - 1]);
		*least_step = step > noise && step < *least_step ? step : *least_step;
	}
}

/* Tries 'size' and its parts as the unit of all values. */
static bool try_unit(const double *values, size_t count, size_t largest, double size,
	struct column_scratch *scratch, double *unit) {
	if (!isfinite(size)) {
		return false;
	}
	for (unsigned parts = 1; parts <= UNIT_PARTS_MAX; parts++) {
		if (all_multiples(values, count, size / parts, scratch->numbers)) {
			/* The largest multiple knows the unit best. */
			*unit = values[largest] / (double)scratch->numbers[largest];
			return find_corrections(
				values, count, *unit, scratch->numbers, scratch->corrections);
		}
	}
	return false;
}

/* Looks for a unit of which all values are multiples. Returns false if none was found. */
static bool find_unit(
	const double *values, size_t count, struct column_scratch *scratch, double *unit) {
	size_t largest = 0;
	double least = 0;
	double least_step = 0;
	find_least(values, count, &largest, &least, &least_step);
	return isfinite(values[largest]) && values[largest] != 0 &&
	       (try_unit(values, count, largest, least, scratch, unit) ||
		       try_unit(values, count, largest, least_step, scratch, unit));
}

static size_t numbers_size(const int64_t *numbers, size_t count) {
	size_t size = 0;
	int64_t previous = 0;
	for (size_t i = 0; i < count; i++) {
		size += varint_size(zigzag(numbers[i] - previous));
		previous = numbers[i];
	}
	return size;
}

/* What multiples take: the corrections' bytes are noise, or nearly all zero. */
static size_t multiples_size(const struct column_scratch *scratch, size_t count) {
	size_t size = 8 + numbers_size(scratch->numbers, count);
	for (size_t i = 0; i < count; i++) {
		size += scratch->corrections[i] != 0 ? varint_size(zigzag(scratch->corrections[i]))
						     : 0;
	}
	return size;
}

static void put_numbers(const int64_t *numbers, size_t count, struct buf *out) {
	int64_t previous = 0;
	for (size_t i = 0; i < count; i++) {
		put_signed(out, numbers[i] - previous);
		previous = numbers[i];
	}
}

/* What planes take after zstd, about: their bytes that are not zero. */
static size_t planes_size(const double *values, size_t count) {
	uint64_t previous = 0;
	size_t size = 8;
	for (size_t i = 0; i < count; i++) {
		uint64_t bits = double_bits(values[i]);
		for (uint64_t rest = bits ^ previous; rest > 0; rest >>= 8) {
			size += (rest & 0xff) != 0;
		}
		previous = bits;
	}
	return size;
}

/* What raw values take after zstd, about: those not seen lately whole, the others a reference. */
static size_t raw_size(const double *values, size_t count) {
	uint64_t seen[SEEN_SLOTS] = { 0 };
	size_t fresh = 0;
	for (size_t i = 0; i < count; i++) {
		uint64_t bits = double_bits(values[i]);
		size_t slot = (size_t)((bits * UINT64_C(0x9e3779b97f4a7c15)) >> 56);
		fresh += seen[slot] != bits;
		seen[slot] = bits;
	}
	return fresh * 8 + (count - fresh);
}

static bool is_constant(const double *values, size_t count) {
	for (size_t i = 1; i < count; i++) {
		if (double_bits(values[i]) != double_bits(values[0])) {
			return false;
		}
	}
	return true;
}

static void put_planes(const double *values, size_t count, struct buf *out) {
	char *bytes = buf_reserve(out, count * 8 + 1);
	uint64_t previous = 0;
	for (size_t i = 0; i < count; i++) {
		uint64_t bits = double_bits(values[i]);
		for (size_t plane = 0; plane < 8; plane++) {
			bytes[plane * count + i] = (char)((bits ^ previous) >> (56 - 8 * plane));
		}
		previous = bits;
	}
	out->len += count * 8;
	out->ptr[out->len] = '\0';
}

/* Planes or raw, whichever promises to be smaller. */
static void put_any(
	const double *values, size_t count, size_t planes, size_t raw, struct buf *out) {
	if (planes < raw) {
		buf_add_byte(out, COLUMN_PLANES);
		put_planes(values, count, out);
		return;
	}
	buf_add_byte(out, COLUMN_RAW);
	for (size_t i = 0; i < count; i++) {
		put_bits(out, double_bits(values[i]));
	}
}

static bool has_corrections(const int64_t *corrections, size_t count) {
	for (size_t i = 0; i < count; i++) {
		if (corrections[i] != 0) {
			return true;
		}
	}
	return false;
}

static void put_multiples(
	const struct column_scratch *scratch, size_t count, double unit, struct buf *out) {
	bool is_corrected = has_corrections(scratch->corrections, count);
	buf_add_byte(out, COLUMN_MULTIPLE);
	put_bits(out, double_bits(unit));
	buf_add_byte(out, (char)is_corrected);
	put_numbers(scratch->numbers, count, out);
	for (size_t i = 0; is_corrected && i < count; i++) {
		put_signed(out, scratch->corrections[i]);
	}
}

void column_encode(
	const double *values, size_t count, struct column_scratch *scratch, struct buf *out) {
	unsigned exponent = 0;
	double unit = 0;
	if (count == 0) {
		return;
	}
	if (is_constant(values, count)) {
		buf_add_byte(out, COLUMN_CONSTANT);
		put_bits(out, double_bits(values[0]));
		return;
	}
	scratch_reserve(scratch, count);
	size_t planes = planes_size(values, count);
	size_t raw = raw_size(values, count);
	size_t least = planes < raw ? planes : raw;
	if (find_decimals(values, count, &exponent, scratch->numbers) &&
		numbers_size(scratch->numbers, count) < least) {
		buf_add_byte(out, COLUMN_DECIMAL);
		buf_add_byte(out, (char)exponent);
		put_numbers(scratch->numbers, count, out);
	} else if (find_unit(values, count, scratch, &unit) &&
		   multiples_size(scratch, count) < least) {
		put_multiples(scratch, count, unit, out);
	} else {
		put_any(values, count, planes, raw, out);
	}
}

static void get_decimals(struct reader *in, double *values, size_t count) {
	unsigned exponent = get_byte(in);
	uint64_t number = 0;
	if (exponent > EXPONENT_MAX) {
		reader_fail(in);
		return;
	}
	for (size_t i = 0; i < count; i++) {
		number += (uint64_t)get_signed(in);
		values[i] = (double)(int64_t)number / powers[exponent];
	}
}

static void get_multiples(struct reader *in, double *values, size_t count) {
	double unit = double_of_bits(get_bits(in));
	uint8_t is_corrected = get_byte(in);
	uint64_t number = 0;
	if (is_corrected > 1) {
		reader_fail(in);
		return;
	}
	for (size_t i = 0; i < count; i++) {
		number += (uint64_t)get_signed(in);
		values[i] = (double)(int64_t)number * unit;
	}
	for (size_t i = 0; is_corrected && i < count; i++) {
		values[i] = double_of_bits(double_bits(values[i]) + (uint64_t)get_signed(in));
	}
}

static void get_planes(struct reader *in, double *values, size_t count) {
	const uint8_t *bytes = count <= SIZE_MAX / 8 ? get_bytes(in, count * 8) : NULL;
	uint64_t bits = 0;
	for (size_t i = 0; bytes && i < count; i++) {
		uint64_t change = 0;
		for (size_t plane = 0; plane < 8; plane++) {
			change = change << 8 | bytes[plane * count + i];
		}
		bits ^= change;
		values[i] = double_of_bits(bits);
	}
}

void column_decode(struct reader *in, double *values, size_t count) {
	double constant;
	if (count == 0) {
		return;
	}
	switch (get_byte(in)) {
	case COLUMN_CONSTANT:
		constant = double_of_bits(get_bits(in));
		for (size_t i = 0; i < count; i++) {
			values[i] = constant;
		}
		break;
	case COLUMN_DECIMAL:
		get_decimals(in, values, count);
		break;
	case COLUMN_MULTIPLE:
		get_multiples(in, values, count);
		break;
	case COLUMN_PLANES:
		get_planes(in, values, count);
		break;
	case COLUMN_RAW:
		for (size_t i = 0; i < count && !in->has_failed; i++) {
			values[i] = double_of_bits(get_bits(in));
		}
		break;
	default:
		reader_fail(in);
	}
}
