#include "promql/calendar.h"

#include "promql/number.h"

#include <stdbool.h>

#define SECONDS_PER_DAY 86400
/* Days from 0000-03-01, where this counts from so that a leap day ends its year, to 1970-01-01. */
#define DAYS_TO_1970 719468
#define DAYS_PER_ERA 146097 /* 400 years, after which all repeats. */

struct date {
	int64_t year;
	int month; /* 1 to 12 */
	int day;   /* 1 to 31 */
};

/* Rounds down, also below zero. */
static int64_t floor_div(int64_t a, int64_t b) {
	return a / b - (a % b < 0);
}

static int64_t floor_mod(int64_t a, int64_t b) {
	return a % b + (a % b < 0 ? b : 0);
}

static int64_t day_of(double second) {
	return floor_div(number_to_int64(second), SECONDS_PER_DAY);
}

static struct date date_of(double second) {
	int64_t days = day_of(second) + DAYS_TO_1970;
	int64_t era = floor_div(days, DAYS_PER_ERA);
	int64_t day = days - era * DAYS_PER_ERA; /* In the era. */
	int64_t year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
	int64_t in_year = day - (365 * year + year / 4 - year / 100); /* From March 1st. */
	int64_t from_march = (5 * in_year + 2) / 153;
	int month = (int)(from_march < 10 ? from_march + 3 : from_march - 9);

	return (struct date){
		.year = year + era * 400 + (month <= 2),
		.month = month,
		.day = (int)(in_year - (153 * from_march + 2) / 5 + 1),
	};
}

static bool is_leap(int64_t year) {
	return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

double calendar_minute(double second) {
	return (double)(floor_mod(number_to_int64(second), 3600) / 60);
}

double calendar_hour(double second) {
	return (double)(floor_mod(number_to_int64(second), SECONDS_PER_DAY) / 3600);
}

double calendar_day_of_week(double second) {
	/* 1970-01-01 was a Thursday. */
	return (double)floor_mod(day_of(second) + 4, 7);
}

double calendar_day_of_month(double second) {
	return date_of(second).day;
}

double calendar_day_of_year(double second) {
	static const int before[] = { 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334 };
	struct date date = date_of(second);

	return before[date.month - 1] + (date.month > 2 && is_leap(date.year)) + date.day;
}

double calendar_days_in_month(double second) {
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	struct date date = date_of(second);

	return days[date.month - 1] + (date.month == 2 && is_leap(date.year));
}

double calendar_month(double second) {
	return date_of(second).month;
}

double calendar_year(double second) {
	return (double)date_of(second).year;
}
