#include "chunk/xor.h"

#include "base/rand.h"
#include "base/test.h"

#include <inttypes.h>

#define STALE UINT64_C(0x7ff0000000000002)

static uint64_t bits_of(double value) {
	uint64_t bits;

	memcpy(&bits, &value, sizeof(bits));
	return bits;
}

struct sample {
	int64_t time_ms;
	uint64_t bits;
};

static void pack(const struct sample *samples, size_t count, struct buf *chunk) {
	struct xor_tail tail = { 0 };

	for (size_t i = 0; i < count; i++) {
		xor_append_buf(&tail, chunk, samples[i].time_ms, samples[i].bits);
	}
	assert_int_equal(tail.len, chunk->len);
	assert_int_equal(tail.count, count);
}

static void assert_unpacks(const struct buf *chunk, const struct sample *samples, size_t count) {
	int64_t *times = calloc(count, sizeof(*times));
	double *values = calloc(count, sizeof(*values));
	struct err err = { 0 };

	assert_int_equal(xor_count((const uint8_t *)chunk->ptr, chunk->len), count);
	assert_ok(xor_decode((const uint8_t *)chunk->ptr, chunk->len, count, times, values, &err),
		err);
	for (size_t i = 0; i < count; i++) {
		uint64_t bits;
		memcpy(&bits, &values[i], sizeof(bits));
		if (times[i] != samples[i].time_ms || bits != samples[i].bits) {
			fail_msg("sample %zu is %" PRId64 " %016" PRIx64, i, times[i], bits);
		}
	}
	free(times);
	free(values);
}

static void assert_bytes(const struct buf *chunk, const char *hex) {
	struct buf text = { 0 };

	for (size_t i = 0; i < chunk->len; i++) {
		buf_printf(&text, "%02x", (unsigned)(uint8_t)chunk->ptr[i]);
	}
	assert_string_equal(buf_text(&text), hex);
	buf_deinit(&text);
}

/*
 * By hand: count 0001; varint(1000) = 2000 = d0 0f; 1.0 = 3ff0000000000000.
 */
static void one_sample_is_a_varint_and_eight_bytes(void **state) {
	const struct sample samples[] = { { 1000, 0x3ff0000000000000 } };
	struct buf chunk = { 0 };

	(void)state;
	pack(samples, 1, &chunk);
	assert_bytes(&chunk, "0001d00f3ff0000000000000");
	assert_unpacks(&chunk, samples, 1);
	buf_deinit(&chunk);
}

/*
 * By hand: second delta 15000 = 98 75; the same value: bit 0. Third: no change of delta: 0; 2.0
 * differs from 1.0 in 7ff0...: leading 1, 11 significant, trailing 52: 1 1 00001 001011
 * 11111111111. Fourth: delta + 1: 10 00000000000001; same value: 0. Then three spare bits.
 *   0 0 11 00001 001011 11111111111 10 00000000000001 0
 *   0011 0000 1001 0111 1111 1111 1110 0000 0000 0000 0100 (padded)
 */
static void later_samples_are_packed_by_bits(void **state) {
	const struct sample samples[] = {
		{ 0, 0x3ff0000000000000 },
		{ 15000, 0x3ff0000000000000 },
		{ 30000, 0x4000000000000000 },
		{ 45001, 0x4000000000000000 },
	};
	struct buf chunk = { 0 };

	(void)state;
	pack(samples, 4, &chunk);
	assert_bytes(&chunk, "0004"
			     "00"
			     "3ff0000000000000"
			     "9875"
			     "3097ffe00040");
	assert_unpacks(&chunk, samples, 4);
	buf_deinit(&chunk);
}

/* The changes of delta at the edges of each size: 14 bits hold -8191 .. 8192, not -8192 .. 8191. */
static void the_edges_of_each_size_of_change_survive(void **state) {
	const int64_t edges[] = { 0, 1, -1, 8191, 8192, 8193, -8191, -8192, 65536, 65537, -65535,
		-65536, 524288, 524289, -524287, -524288, INT64_C(1) << 40, -(INT64_C(1) << 40) };

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(edges); i++) {
		int64_t second = INT64_C(1) << 41;
		struct sample samples[] = { { 5, 1 }, { 5 + second, 1 },
			{ 5 + second + second + edges[i], 1 },
			{ 5 + second + 2 * (second + edges[i]), 2 } };
		struct buf chunk = { 0 };
		pack(samples, 4, &chunk);
		assert_unpacks(&chunk, samples, 4);
		buf_deinit(&chunk);
	}
}

static void sizes_of_change_are_prometheus_asymmetric_ones(void **state) {
	const struct {
		int64_t change;
		size_t bits; /* Of the third sample, its unchanged value's bit included. */
	} cases[] = { { 0, 2 }, { 8192, 17 }, { -8191, 17 }, { 8193, 21 }, { -8192, 21 },
		{ 65536, 21 }, { -65536, 25 }, { 524288, 25 }, { 524289, 69 }, { -524288, 69 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		struct xor_tail tail = { 0 };
		struct buf chunk = { 0 };
		size_t before;
		xor_append_buf(&tail, &chunk, 0, 7);
		xor_append_buf(&tail, &chunk, 1000000, 7);
		before = tail.len * 8 - tail.spare_bits;
		xor_append_buf(&tail, &chunk, 2000000 + cases[i].change, 7);
		assert_int_equal(tail.len * 8 - tail.spare_bits - before, cases[i].bits);
		buf_deinit(&chunk);
	}
}

static void values_keep_every_bit(void **state) {
	const uint64_t patterns[] = { 0, 1, UINT64_MAX, STALE, UINT64_C(0x7ff8000000000001),
		UINT64_C(0xfff8000000000000), UINT64_C(0x8000000000000000), bits_of(0.1),
		bits_of(1e308), UINT64_C(0x00000000ffffffff), UINT64_C(0xffffffff00000000) };
	struct sample samples[ARRAY_COUNT(patterns) * ARRAY_COUNT(patterns) * 2];
	struct buf chunk = { 0 };
	size_t count = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(patterns); i++) {
		for (size_t j = 0; j < ARRAY_COUNT(patterns); j++) {
			samples[count] = (struct sample){ (int64_t)count * 1000, patterns[i] };
			count++;
			samples[count] = (struct sample){ (int64_t)count * 1000, patterns[j] };
			count++;
		}
	}
	pack(samples, count, &chunk);
	assert_unpacks(&chunk, samples, count);
	buf_deinit(&chunk);
}

static void times_may_be_extreme(void **state) {
	const struct sample samples[] = { { INT64_MIN, 1 }, { -1, 2 }, { 0, 3 }, { INT64_MAX, 4 } };
	struct buf chunk = { 0 };

	(void)state;
	pack(samples, 4, &chunk);
	assert_unpacks(&chunk, samples, 4);
	buf_deinit(&chunk);
}

static void make_samples(struct rand *rand, struct sample *samples, size_t count) {
	uint64_t kind = rand_below(rand, 4);
	int64_t time = (int64_t)rand_below(rand, 2000000000000);
	double value = (double)rand_below(rand, 100000);

	for (size_t i = 0; i < count; i++) {
		time += 15000;
		if (rand_below(rand, 3) == 0) {
			time += (int64_t)rand_below(rand, 1U << rand_below(rand, 24));
		}
		if (kind == 0) {
			value += 1;
		} else if (kind == 1) {
			value += rand_unit(rand) * 10;
		} else if (kind == 2 && rand_below(rand, 4) == 0) {
			value = -value * 3;
		}
		samples[i] = (struct sample){ time, bits_of(value) };
		if (kind == 3) {
			samples[i].bits = rand_next(rand) >> rand_below(rand, 64);
		}
	}
}

static void what_is_packed_unpacks(void **state) {
	const char *seed_text = getenv("SEED"); // NOLINT(concurrency-mt-unsafe): tests only
	uint64_t seed = seed_text ? strtoull(seed_text, NULL, 10) : 20;
	struct rand rand;

	(void)state;
	print_message("SEED=%" PRIu64 "\n", seed);
	rand_init(&rand, seed);
	for (int round = 0; round < 2000; round++) {
		struct sample samples[240];
		struct buf chunk = { 0 };
		size_t count = 1 + rand_below(&rand, 240);
		make_samples(&rand, samples, count);
		pack(samples, count, &chunk);
		assert_unpacks(&chunk, samples, count);
		buf_deinit(&chunk);
	}
}

/* Stopping anywhere, finding the tail from the bytes and going on gives the same bytes. */
static void appending_resumes_from_the_bytes(void **state) {
	struct rand rand;

	(void)state;
	rand_init(&rand, 7);
	for (int round = 0; round < 500; round++) {
		struct sample samples[60];
		struct buf whole = { 0 };
		struct buf resumed = { 0 };
		struct xor_tail tail = { 0 };
		struct err err = { 0 };
		size_t stop = rand_below(&rand, 60);
		make_samples(&rand, samples, 60);
		pack(samples, 60, &whole);
		pack(samples, stop, &resumed);
		assert_ok(xor_resume((const uint8_t *)resumed.ptr, resumed.len, &tail, &err), err);
		for (size_t i = stop; i < 60; i++) {
			xor_append_buf(&tail, &resumed, samples[i].time_ms, samples[i].bits);
		}
		assert_int_equal(resumed.len, whole.len);
		assert_memory_equal(resumed.ptr, whole.ptr, whole.len);
		buf_deinit(&whole);
		buf_deinit(&resumed);
	}
}

static void a_prefix_of_the_samples_unpacks_alone(void **state) {
	struct sample samples[100];
	int64_t times[100];
	double values[100];
	struct buf chunk = { 0 };
	struct rand rand;
	struct err err = { 0 };

	(void)state;
	rand_init(&rand, 3);
	make_samples(&rand, samples, 100);
	pack(samples, 100, &chunk);
	assert_ok(xor_decode((const uint8_t *)chunk.ptr, chunk.len, 37, times, values, &err), err);
	assert_int_equal(times[36], samples[36].time_ms);
	assert_ok(xor_first_time((const uint8_t *)chunk.ptr, chunk.len, &times[0], &err), err);
	assert_int_equal(times[0], samples[0].time_ms);
	buf_deinit(&chunk);
}

static void refuses_bits_that_end_early(void **state) {
	struct sample samples[50];
	int64_t times[50];
	double values[50];
	struct buf chunk = { 0 };
	struct rand rand;

	(void)state;
	rand_init(&rand, 4);
	make_samples(&rand, samples, 50);
	pack(samples, 50, &chunk);
	for (size_t len = 0; len < chunk.len; len++) {
		/* A copy of just that size, so that ASan sees a read past it. */
		uint8_t *cut = malloc(len + 1);
		memcpy(cut, chunk.ptr, len);
		cut = realloc(cut, len > 0 ? len : 1);
		assert_int_equal(xor_decode(cut, len, 50, times, values, NULL), ERR_CORRUPT);
		free(cut);
	}
	buf_deinit(&chunk);
}

static void refuses_a_window_wider_than_a_value(void **state) {
	/* Second sample: delta 0, then 11, leading 31, significant 63. */
	const uint8_t bytes[] = { 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff,
		0xff, 0xff, 0xff, 0xff, 0xff };
	int64_t times[2];
	double values[2];

	(void)state;
	assert_int_equal(xor_decode(bytes, sizeof(bytes), 2, times, values, NULL), ERR_CORRUPT);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(one_sample_is_a_varint_and_eight_bytes),
		TEST(later_samples_are_packed_by_bits),
		TEST(the_edges_of_each_size_of_change_survive),
		TEST(sizes_of_change_are_prometheus_asymmetric_ones),
		TEST(values_keep_every_bit),
		TEST(times_may_be_extreme),
		TEST(what_is_packed_unpacks),
		TEST(appending_resumes_from_the_bytes),
		TEST(a_prefix_of_the_samples_unpacks_alone),
		TEST(refuses_bits_that_end_early),
		TEST(refuses_a_window_wider_than_a_value),
	};
	return TEST_RUN(tests);
}
