#include "base/time.h"

#include "base/test.h"

static void formats_rfc3339(void **state) {
	(void)state;
	static const struct {
		int64_t ms;
		const char *text;
	} cases[] = {
		{ 0, "1970-01-01T00:00:00Z" },
		{ 1, "1970-01-01T00:00:00.001Z" },
		{ -1, "1969-12-31T23:59:59.999Z" },
		{ 951782400000, "2000-02-29T00:00:00Z" },
		{ 1700000000250, "2023-11-14T22:13:20.250Z" },
		{ 253402300799000, "9999-12-31T23:59:59Z" },
		{ -62135596800000, "0001-01-01T00:00:00Z" },
	};
	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		AUTO(buf_deinit) struct buf out = { 0 };
		int64_t ms = 0;
		time_format_rfc3339(cases[i].ms, &out);
		assert_str_equal(buf_str(&out), str_of(cases[i].text));
		assert_true(time_parse_rfc3339(buf_str(&out), &ms));
		assert_true(ms == cases[i].ms);
	}
}

static void parses_offsets_and_fractions(void **state) {
	(void)state;
	static const struct {
		const char *text;
		int64_t ms;
	} cases[] = {
		{ "1970-01-01T01:00:00+01:00", 0 },
		{ "1969-12-31T19:30:00-04:30", 0 },
		{ "1970-01-01T00:00:00.5Z", 500 },
		{ "1970-01-01T00:00:00,25Z", 250 },
		{ "1970-01-01T00:00:00.0005Z", 1 },
		{ "1970-01-01T00:00:00.123456789Z", 123 },
		{ "1970-01-01T00:00:00.9999Z", 1000 },
		{ "2024-02-29T12:00:00Z", 1709208000000 },
	};
	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		int64_t ms = -7;
		assert_true(time_parse_rfc3339(str_of(cases[i].text), &ms));
		assert_true(ms == cases[i].ms);
	}
}

static void refuses_what_is_not_rfc3339(void **state) {
	(void)state;
	static const char *const texts[] = { "", "2023", "2023-11-14", "2023-11-14T22:13:20",
		"2023-11-14 22:13:20Z", "2023-11-14t22:13:20z", "2023-13-01T00:00:00Z",
		"2023-02-29T00:00:00Z", "1900-02-29T00:00:00Z", "2023-00-01T00:00:00Z",
		"2023-01-00T00:00:00Z", "2023-01-01T24:00:00Z", "2023-01-01T00:60:00Z",
		"2023-01-01T00:00:60Z", "2023-01-01T00:00:00.Z", "2023-01-01T00:00:00+0100",
		"2023-01-01T00:00:00Z ", "23-01-01T00:00:00Z", "2023-1-01T00:00:00Z",
		"+023-01-01T00:00:00Z" };
	for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
		int64_t ms = -7;
		if (time_parse_rfc3339(str_of(texts[i]), &ms)) {
			fail_msg("\"%s\" was read", texts[i]);
		}
		assert_true(ms == -7);
	}
}

static void agrees_with_the_calendar_day_by_day(void **state) {
	(void)state;
	int64_t before = -62135596800000;
	AUTO(buf_deinit) struct buf out = { 0 };
	for (int64_t day = 0; day < 146097 * 2; day += 13) {
		int64_t again = 0;
		int64_t ms = before + day * 86400000;
		buf_reset(&out);
		time_format_rfc3339(ms, &out);
		assert_true(time_parse_rfc3339(buf_str(&out), &again));
		assert_true(again == ms);
	}
}

static void moves_a_manual_clock_only_when_told(void **state) {
	(void)state;
	struct clock clock;
	clock_init_manual(&clock, 5000);
	int64_t start = clock_mono_ns(&clock);
	assert_true(clock_now_ms(&clock) == 5000);
	clock_advance_ms(&clock, 250);
	assert_true(clock_now_ms(&clock) == 5250);
	assert_true(clock_mono_ns(&clock) - start == 250 * NS_PER_MS);
}

static void reads_the_systems_clocks(void **state) {
	(void)state;
	struct clock *clock = clock_system();
	int64_t first = clock_mono_ns(clock);
	assert_true(clock_mono_ns(clock) >= first);
	assert_true(clock_now_ms(clock) > 1700000000000);
	assert_true(time_cpu_process_ns() > 0);
	assert_true(time_cpu_thread_ns() > 0);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(formats_rfc3339),
		TEST(parses_offsets_and_fractions),
		TEST(refuses_what_is_not_rfc3339),
		TEST(agrees_with_the_calendar_day_by_day),
		TEST(moves_a_manual_clock_only_when_told),
		TEST(reads_the_systems_clocks),
	};
	return TEST_RUN(tests);
}
