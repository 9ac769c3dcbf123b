#include "cxx/number.h"

#include "base/rand.h"
#include "base/test.h"

#include <float.h>
#include <math.h>

typedef size_t format_fn(double value, char *out);

static struct str text_of(format_fn *format, double value) {
	static char text[NUMBER_TEXT_MAX];
	return (struct str){ text, format(value, text) };
}

static void writes_as_the_json_of_prometheus_does(void **state) {
	(void)state;
	static const struct {
		double value;
		const char *text;
	} cases[] = {
		{ 0, "0" },
		{ -0.0, "-0" },
		{ 1, "1" },
		{ -42, "-42" },
		{ 0.1, "0.1" },
		{ 1.5e9, "1500000000" },
		{ 123456.789, "123456.789" },
		{ 0.000001, "0.000001" },
		{ 0.0000012345, "0.0000012345" },
		{ 9.99e-7, "9.99e-07" },
		{ 1e-7, "1e-07" },
		{ -1e-7, "-1e-07" },
		{ 5e-324, "5e-324" },
		{ 1e20, "100000000000000000000" },
		{ 999999999999999868928.0, "999999999999999900000" },
		{ 1e21, "1e+21" },
		{ 1.25e22, "1.25e+22" },
		{ DBL_MAX, "1.7976931348623157e+308" },
		{ 9007199254740992.0, "9007199254740992" },
		{ 18014398509481984.0, "18014398509481984" },
		{ 1797693134862315.5, "1797693134862315.5" },
	};
	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		assert_str_equal(
			text_of(number_format_json, cases[i].value), str_of(cases[i].text));
	}
}

static void writes_without_an_exponent(void **state) {
	(void)state;
	assert_str_equal(text_of(number_format_f, 1e23), STR("100000000000000000000000"));
	assert_str_equal(text_of(number_format_f, 1e-7), STR("0.0000001"));
	assert_str_equal(text_of(number_format_f, -2.5), STR("-2.5"));
	assert_int_equal(text_of(number_format_f, DBL_MAX).len, 309);
	assert_int_equal(text_of(number_format_f, -5e-324).len, 327);
}

static void writes_the_general_form_as_go_does(void **state) {
	(void)state;
	static const struct {
		double value;
		const char *text;
	} cases[] = {
		{ 0, "0" },
		{ 100000, "100000" },
		{ 1000000, "1e+06" },
		{ 1234567, "1.234567e+06" },
		{ 0.0001, "0.0001" },
		{ 0.00001, "1e-05" },
		{ 0.25, "0.25" },
		{ -123456.5, "-123456.5" },
	};
	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		assert_str_equal(text_of(number_format_g, cases[i].value), str_of(cases[i].text));
	}
}

static void spells_what_is_no_number_as_go_does(void **state) {
	(void)state;
	static format_fn *const formats[] = { number_format_json, number_format_f,
		number_format_g };
	for (size_t i = 0; i < ARRAY_COUNT(formats); i++) {
		assert_str_equal(text_of(formats[i], (double)NAN), STR("NaN"));
		assert_str_equal(text_of(formats[i], -(double)NAN), STR("NaN"));
		assert_str_equal(text_of(formats[i], (double)INFINITY), STR("+Inf"));
		assert_str_equal(text_of(formats[i], -(double)INFINITY), STR("-Inf"));
	}
}

static void reads_what_go_reads(void **state) {
	(void)state;
	static const struct {
		const char *text;
		double value;
	} cases[] = {
		{ "1", 1 },
		{ "+1.5e3", 1500 },
		{ ".5", .5 },
		{ "1.", 1 },
		{ "-0", -0.0 },
		{ "1E-2", 0.01 },
		{ "1e+2", 100 },
		{ "inf", (double)INFINITY },
		{ "+Inf", (double)INFINITY },
		{ "-INFINITY", -(double)INFINITY },
		{ "1e-400", 0 },
		{ "-1e-400", -0.0 },
		{ "4.9e-324", 5e-324 },
		{ "2.2250738585072011e-308", 2.2250738585072011e-308 },
		{ "0.000000000000000000000000000000000000000000000000000000000000001e63", 1 },
	};
	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		double value = 7;
		assert_true(number_parse(str_of(cases[i].text), &value, NULL));
		assert_memory_equal(&value, &cases[i].value, sizeof(value));
	}
}

static void reads_a_nan_to_the_bits_of_prometheus(void **state) {
	(void)state;
	static const char *const texts[] = { "NaN", "nan", "NAN" };
	for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
		double value = 0;
		uint64_t bits = 0;
		assert_true(number_parse(str_of(texts[i]), &value, NULL));
		memcpy(&bits, &value, sizeof(bits));
		assert_true(bits == 0x7ff8000000000001U);
	}
}

static void refuses_what_go_refuses(void **state) {
	(void)state;
	static const char *const texts[] = { "", " 1", "1 ", "+", "-", ".", "e5", "1e", "1e+",
		"--1", "+-1", "1_000", "0x10", "0x1p3", "1.2.3", "+nan", "-NaN", "nano", "in",
		"infinit", "infinityy", "1,5", "1f" };
	for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
		double value = 7;
		bool overflow = true;
		if (number_parse(str_of(texts[i]), &value, &overflow)) {
			fail_msg("\"%s\" was read as %g", texts[i], value);
		}
		assert_false(overflow);
		assert_true(value == 7);
	}
	double value = 7;
	assert_false(number_parse((struct str){ NULL, 0 }, &value, NULL));
	assert_false(number_parse((struct str){ "1\0", 2 }, &value, NULL));
}

static void tells_what_is_too_large(void **state) {
	(void)state;
	double value = 0;
	bool overflow = false;
	assert_false(number_parse(STR("1e400"), &value, &overflow));
	assert_true(overflow);
	assert_true(value == (double)INFINITY);
	assert_false(number_parse(STR("-1.8e308"), &value, &overflow));
	assert_true(overflow);
	assert_true(value == -(double)INFINITY);
}

static void reads_back_what_it_wrote(void **state) {
	(void)state;
	static format_fn *const formats[] = { number_format_json, number_format_f,
		number_format_g };
	struct rand rand;
	rand_init(&rand, 17);
	for (size_t i = 0; i < 20000; i++) {
		uint64_t bits = rand_next(&rand);
		double value = 0;
		memcpy(&value, &bits, sizeof(value));
		if (!isfinite(value)) {
			continue;
		}
		double again = 0;
		struct str text = text_of(formats[i % ARRAY_COUNT(formats)], value);
		assert_true(text.len <= NUMBER_TEXT_MAX);
		assert_true(number_parse(text, &again, NULL));
		assert_memory_equal(&again, &value, sizeof(value));
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(writes_as_the_json_of_prometheus_does),
		TEST(writes_without_an_exponent),
		TEST(writes_the_general_form_as_go_does),
		TEST(spells_what_is_no_number_as_go_does),
		TEST(reads_what_go_reads),
		TEST(reads_a_nan_to_the_bits_of_prometheus),
		TEST(refuses_what_go_refuses),
		TEST(tells_what_is_too_large),
		TEST(reads_back_what_it_wrote),
	};
	return TEST_RUN(tests);
}
