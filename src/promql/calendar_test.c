#include "promql/calendar.h"

#include "base/test.h"

#include <math.h>
#include <time.h>

static void agrees_with_the_system_for_thousands_of_years(void **state) {
	(void)state;
	/* A step that is no multiple of an hour visits all parts of days and months. */
	for (int64_t second = INT64_C(-100000000000); second < INT64_C(300000000000);
		second += 3141592) {
		time_t time = (time_t)second;
		double value = (double)second;
		struct tm tm;

		assert_non_null(gmtime_r(&time, &tm));
		assert_true(calendar_minute(value) == tm.tm_min);
		assert_true(calendar_hour(value) == tm.tm_hour);
		assert_true(calendar_day_of_week(value) == tm.tm_wday);
		assert_true(calendar_day_of_month(value) == tm.tm_mday);
		assert_true(calendar_day_of_year(value) == tm.tm_yday + 1);
		assert_true(calendar_month(value) == tm.tm_mon + 1);
		assert_true(calendar_year(value) == tm.tm_year + 1900);
	}
}

static void knows_leap_years(void **state) {
	(void)state;
	assert_true(calendar_days_in_month(951782400) == 29);  /* 2000-02-29 */
	assert_true(calendar_days_in_month(4105123200) == 28); /* 2100-02-01 */
	assert_true(calendar_days_in_month(1704067200) == 31); /* 2024-01-01 */
	assert_true(calendar_day_of_year(1735603200) == 366);  /* 2024-12-31 */
}

static void takes_any_number(void **state) {
	static const double odd[] = { 1e300, -1e300, (double)INFINITY, -(double)INFINITY,
		(double)NAN, 0x1p63, -0x1p63 };

	(void)state;
	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		assert_true(calendar_hour(odd[i]) < 24);
		assert_true(calendar_month(odd[i]) <= 12);
		assert_true(calendar_days_in_month(odd[i]) <= 31);
		assert_true(calendar_day_of_year(odd[i]) <= 366);
		assert_true(isfinite(calendar_year(odd[i])));
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(agrees_with_the_system_for_thousands_of_years),
		TEST(knows_leap_years),
		TEST(takes_any_number),
	};
	return TEST_RUN(tests);
}
