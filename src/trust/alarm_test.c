#include "trust/alarm.h"

#include "base/test.h"
#include "base/time.h"

#define HOUR_MS (INT64_C(3600) * MS_PER_S)
#define DAY_MS (24 * HOUR_MS)

static void alarms_are_at_30_14_7_and_1_days(void **state) {
	static const struct {
		int64_t left_ms;
		enum certificate_alarm alarm;
	} cases[] = {
		{ 30 * DAY_MS + 1, ALARM_NONE },
		{ 30 * DAY_MS, ALARM_30_DAYS },
		{ 14 * DAY_MS + 1, ALARM_30_DAYS },
		{ 14 * DAY_MS, ALARM_14_DAYS },
		{ 7 * DAY_MS, ALARM_7_DAYS },
		{ DAY_MS, ALARM_1_DAY },
		{ 1, ALARM_1_DAY },
		{ 0, ALARM_ENDED },
		{ -1, ALARM_ENDED },
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		assert_int_equal(
			certificate_alarm_at(0, 365 * DAY_MS, 365 * DAY_MS - cases[i].left_ms),
			cases[i].alarm);
	}
}

static void a_leaf_of_a_day_has_them_by_parts_of_its_life(void **state) {
	static const struct {
		int64_t left_ms;
		enum certificate_alarm alarm;
	} cases[] = {
		{ 24 * HOUR_MS, ALARM_NONE },
		{ 8 * HOUR_MS, ALARM_NONE }, /* It is renewed here. */
		{ 6 * HOUR_MS, ALARM_30_DAYS },
		{ 4 * HOUR_MS, ALARM_14_DAYS },
		{ 2 * HOUR_MS, ALARM_7_DAYS },
		{ HOUR_MS, ALARM_1_DAY },
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		assert_int_equal(
			certificate_alarm_at(0, DAY_MS, DAY_MS - cases[i].left_ms), cases[i].alarm);
	}
}

static void spans_are_for_people(void **state) {
	(void)state;
	AUTO(buf_deinit) struct buf out = { 0 };
	certificate_format_span(3 * DAY_MS + HOUR_MS, &out);
	buf_add_byte(&out, ' ');
	certificate_format_span(5 * HOUR_MS, &out);
	buf_add_byte(&out, ' ');
	certificate_format_span(HOUR_MS, &out);
	buf_add_byte(&out, ' ');
	certificate_format_span(8 * MS_PER_S, &out);
	assert_string_equal(buf_text(&out), "3 days 5 h 60 min 8 s");
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(alarms_are_at_30_14_7_and_1_days),
		TEST(a_leaf_of_a_day_has_them_by_parts_of_its_life),
		TEST(spans_are_for_people),
	};
	return TEST_RUN(tests);
}
