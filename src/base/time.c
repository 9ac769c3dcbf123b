#include "base/time.h"

#include <time.h>

#define DAY_S INT64_C(86400)

static struct clock system_clock = { .is_manual = false };

struct clock *clock_system(void) {
	return &system_clock;
}

void clock_init_manual(struct clock *clock, int64_t wall_ms) {
	clock->is_manual = true;
	atomic_init(&clock->wall_ms, wall_ms);
	atomic_init(&clock->mono_ns, NS_PER_S);
}

void clock_advance_ms(struct clock *clock, int64_t ms) {
	(void)atomic_fetch_add(&clock->wall_ms, ms);
	(void)atomic_fetch_add(&clock->mono_ns, ms * NS_PER_MS);
}

static int64_t read_ns(clockid_t id) {
	struct timespec now = { 0 };
	(void)clock_gettime(id, &now);
	return now.tv_sec * NS_PER_S + now.tv_nsec;
}

int64_t clock_now_ms(const struct clock *clock) {
	return clock->is_manual ? atomic_load(&clock->wall_ms)
				: read_ns(CLOCK_REALTIME) / NS_PER_MS;
}

int64_t clock_mono_ns(const struct clock *clock) {
	return clock->is_manual ? atomic_load(&clock->mono_ns) : read_ns(CLOCK_MONOTONIC);
}

int64_t time_cpu_thread_ns(void) {
	return read_ns(CLOCK_THREAD_CPUTIME_ID);
}

int64_t time_cpu_process_ns(void) {
	return read_ns(CLOCK_PROCESS_CPUTIME_ID);
}

static int64_t floor_div(int64_t a, int64_t b) {
	return a / b - (a % b < 0);
}

struct date {
	int64_t year;
	int64_t month;
	int64_t day;
};

/*
 * The proleptic Gregorian calendar with years that begin in March, so that the leap day comes last:
 * 400 years (an era) have 146097 days.
 */
static struct date date_of_days(int64_t days) {
	days += 719468; /* From 0000-03-01 to 1970-01-01. */
	int64_t era = floor_div(days, 146097);
	int64_t day_of_era = days - era * 146097;
	int64_t year_of_era =
		(day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
	int64_t day_of_year =
		day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	int64_t month_from_march = (5 * day_of_year + 2) / 153;
	int64_t month = month_from_march < 10 ? month_from_march + 3 : month_from_march - 9;
	return (struct date){
		.year = year_of_era + era * 400 + (month <= 2),
		.month = month,
		.day = day_of_year - (153 * month_from_march + 2) / 5 + 1,
	};
}

static int64_t days_of_date(struct date date) {
	int64_t year = date.year - (date.month <= 2);
	int64_t era = floor_div(year, 400);
	int64_t year_of_era = year - era * 400;
	int64_t month_from_march = date.month > 2 ? date.month - 3 : date.month + 9;
	int64_t day_of_year = (153 * month_from_march + 2) / 5 + date.day - 1;
	int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
	return era * 146097 + day_of_era - 719468;
}

void time_format_rfc3339(int64_t unix_ms, struct buf *out) {
	int64_t seconds = floor_div(unix_ms, MS_PER_S);
	int ms = (int)(unix_ms - seconds * MS_PER_S);
	int64_t days = floor_div(seconds, DAY_S);
	int of_day = (int)(seconds - days * DAY_S);
	struct date date = date_of_days(days);
	buf_printf(out, "%04d-%02d-%02dT%02d:%02d:%02d", (int)date.year, (int)date.month,
		(int)date.day, of_day / 3600, of_day / 60 % 60, of_day % 60);
	if (ms != 0) {
		buf_printf(out, ".%03d", ms);
	}
	buf_add_byte(out, 'Z');
}

/* Reads exactly 'digits' digits off the front of '*text'. */
static bool take_digits(struct str *text, size_t digits, int64_t *out) {
	uint64_t value = 0;
	if (text->len < digits || !str_to_u64(str_first(*text, digits), &value)) {
		return false;
	}
	*text = str_from(*text, digits);
	*out = (int64_t)value;
	return true;
}

static bool take_byte(struct str *text, char byte) {
	if (text->len == 0 || text->ptr[0] != byte) {
		return false;
	}
	*text = str_from(*text, 1);
	return true;
}

static bool take_date(struct str *text, int64_t *days) {
	static const int64_t month_days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	struct date date = { 0 };
	if (!take_digits(text, 4, &date.year) || !take_byte(text, '-') ||
		!take_digits(text, 2, &date.month) || !take_byte(text, '-') ||
		!take_digits(text, 2, &date.day) || date.month < 1 || date.month > 12) {
		return false;
	}
	bool is_leap = date.year % 4 == 0 && (date.year % 100 != 0 || date.year % 400 == 0);
	int64_t day_max = month_days[date.month - 1] + (date.month == 2 && is_leap);
	if (date.day < 1 || date.day > day_max) {
		return false;
	}
	*days = days_of_date(date);
	return true;
}

/* ".25" and the like, if there: rounded to milliseconds. */
static bool take_fraction(struct str *text, int64_t *ms) {
	/* A comma is ISO 8601's; Go takes it, too. */
	if (!take_byte(text, '.') && !take_byte(text, ',')) {
		return true;
	}
	int64_t ten_thousandths = 0;
	size_t digits = 0;
	while (text->len > 0 && text->ptr[0] >= '0' && text->ptr[0] <= '9') {
		if (digits < 4) {
			ten_thousandths = ten_thousandths * 10 + (text->ptr[0] - '0');
		}
		digits++;
		*text = str_from(*text, 1);
	}
	for (size_t i = digits; i < 4; i++) {
		ten_thousandths *= 10;
	}
	*ms = (ten_thousandths + 5) / 10;
	return digits > 0;
}

static bool take_clock(struct str *text, int64_t *ms) {
	int64_t hour = 0;
	int64_t minute = 0;
	int64_t second = 0;
	int64_t fraction_ms = 0;
	if (!take_digits(text, 2, &hour) || !take_byte(text, ':') ||
		!take_digits(text, 2, &minute) || !take_byte(text, ':') ||
		!take_digits(text, 2, &second) || hour > 23 || minute > 59 || second > 59 ||
		!take_fraction(text, &fraction_ms)) {
		return false;
	}
	*ms = ((hour * 60 + minute) * 60 + second) * MS_PER_S + fraction_ms;
	return true;
}

static bool take_offset(struct str *text, int64_t *ms) {
	if (take_byte(text, 'Z')) {
		*ms = 0;
		return true;
	}
	bool is_behind = text->len > 0 && text->ptr[0] == '-';
	int64_t hour = 0;
	int64_t minute = 0;
	if ((!take_byte(text, '+') && !take_byte(text, '-')) || !take_digits(text, 2, &hour) ||
		!take_byte(text, ':') || !take_digits(text, 2, &minute) || hour > 24 ||
		minute > 60) {
		return false;
	}
	*ms = (is_behind ? -1 : 1) * (hour * 60 + minute) * 60 * MS_PER_S;
	return true;
}

bool time_parse_rfc3339(struct str text, int64_t *unix_ms) {
	int64_t days = 0;
	int64_t clock_ms = 0;
	int64_t offset_ms = 0;
	if (!take_date(&text, &days) || !take_byte(&text, 'T') || !take_clock(&text, &clock_ms) ||
		!take_offset(&text, &offset_ms) || text.len > 0) {
		return false;
	}
	*unix_ms = days * DAY_S * MS_PER_S + clock_ms - offset_ms;
	return true;
}
