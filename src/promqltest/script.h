/*
 * Scripts of PromQL tests, in the notation of Prometheus' own: load, eval, expect, clear.
 *
 *   load 5m
 *     requests{job="a"} 0+10x10 _ stale 5
 *   eval instant at 50m sum(requests)
 *     {} 100
 *   eval range from 0 to 10m step 5m requests
 *     requests{job="a"} 0 10 20
 *
 * A script is read whole before any of it runs. Everything lives in the arena given, whose budget
 * bounds what a script can ask for; texts point into the script's own.
 */
#ifndef PROMQLTEST_SCRIPT_H
#define PROMQLTEST_SCRIPT_H

#include "promql/parse.h"
#include "store/histogram.h"

/* Values of one series. */
#define SCRIPT_VALUES_MAX 20000
/* Expectations of one evaluation. */
#define SCRIPT_EXPECTS_MAX 16

/* A value of the notation: a number, nothing, or a histogram. */
struct script_value {
	double value;
	bool is_omitted;
	bool has_hint;                     /* The histogram's hint was written. */
	const struct histogram *histogram; /* Instead of the number. */
};

struct script_series {
	struct labels labels;
	struct script_value *values;
	size_t count;
	/* An @st line: start timestamps of the values of the series of the same labels, in ms after
	 * the values' own times. */
	bool is_start_times;
};

enum expect_kind {
	EXPECT_FAIL,
	EXPECT_WARN,
	EXPECT_NO_WARN,
	EXPECT_INFO,
	EXPECT_NO_INFO,
	EXPECT_ORDERED,
};

struct script_expect {
	enum expect_kind kind;
	bool is_regex; /* Else the exact message; both empty: any. */
	struct str text;
};

struct script_load {
	int64_t step_ms;
	bool converts; /* Classic histograms become native ones, besides. */
	struct script_series *series;
	size_t series_count;
};

struct script_eval {
	struct str query;
	bool is_range;
	int64_t start_ms;
	int64_t end_ms;
	int64_t step_ms; /* More than 0 in a range. */
	struct script_expect expects[SCRIPT_EXPECTS_MAX];
	size_t expect_count;
	bool has_scalar;
	double scalar;
	bool has_string;
	struct str string;
	bool has_matrix; /* expect range vector: these steps instead of one. */
	int64_t matrix_start_ms;
	int64_t matrix_step_ms;
	struct script_series *series;
	size_t series_count;
};

enum script_command_kind {
	SCRIPT_LOAD,
	SCRIPT_EVAL,
	SCRIPT_CLEAR,
};

struct script_command {
	enum script_command_kind kind;
	size_t line; /* From 1. */
	union {
		struct script_load load;
		struct script_eval *eval;
	} u;
};

struct script {
	struct script_command *commands;
	size_t count;
};

/* All features on: names of series and the like may use any. */
extern const struct parse_options script_parse_options;

/* Reads a number as PromQL writes it. */
bool script_number(struct str text, double *out);

/* Reads a script. Returns 0, or ERR_INVAL or ERR_LIMIT; 'line' is where, from 1. */
MUST_USE int script_parse(
	struct arena *arena, struct str text, struct script *out, size_t *line, struct err *err);

#endif
