/*
 * Runs scripts of PromQL tests, in the notation of Prometheus' own suite, against our engine.
 *
 * Each instant evaluation is run again as the middle of a range of three steps and, where that does
 * not change what it means, with @ at all its selectors at other times. The engine has the settings
 * of Prometheus' runner: a lookback of 5m, 10,000 samples at once, subqueries of 1m.
 */
#ifndef PROMQLTEST_PROMQLTEST_H
#define PROMQLTEST_PROMQLTEST_H

#include "base/buf.h"
#include "promql/parse.h"

/* Longest script. */
#define PROMQLTEST_LEN_MAX (16 * 1024 * 1024)

struct promqltest_options {
	struct parse_options parse;
	bool delayed_name_removal;
	bool use_start_timestamps;
	size_t only_line; /* Runs only the evaluation that begins there; 0: all. */
};

/* What became of evaluations. */
struct promqltest_count {
	size_t passed;
	size_t failed;
	size_t skipped; /* They need what is not built. */
};

/*
 * Runs the script 'text'; 'name' is what messages call it. Appends a line per failing evaluation to
 * 'out' ("NAME:LINE: expected ..., got ...: QUERY ...") and adds to 'count'. Returns 0; ERR_INVAL
 * ("NAME:LINE: ...") for a script that is not well-formed, then nothing was run; or
 * ERR_LIMIT for one that is too large. Any thread; blocks until all is done.
 */
MUST_USE int promqltest_run(const char *name, struct str text,
	const struct promqltest_options *options, struct buf *out, struct promqltest_count *count,
	struct err *err);

#endif
