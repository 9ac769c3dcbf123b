/*
 * Parts of the date and time of a Unix second, in UTC and the Gregorian calendar without end.
 *
 * The second is given as PromQL has it, a double, and cut to an integer.
 */
#ifndef PROMQL_CALENDAR_H
#define PROMQL_CALENDAR_H

/* Parts of the UTC time of a second since 1970; NaN stays NaN. */
double calendar_minute(double second);
double calendar_hour(double second);
double calendar_day_of_week(double second); /* 0 is Sunday. */
double calendar_day_of_month(double second);
double calendar_day_of_year(double second); /* From 1. */
double calendar_days_in_month(double second);
double calendar_month(double second); /* From 1. */
double calendar_year(double second);

#endif
