/*
 * Pieces of a script: words, series with their values, histograms.
 */
#ifndef PROMQLTEST_SCRIPT_PART_H
#define PROMQLTEST_SCRIPT_PART_H

#include "promqltest/script.h"

/* Cuts the next word off the front; empty at the end. */
struct str script_word(struct str *text);
/* A series and its values: name{a="b"} 1 2+1x5 _. Returns 0, ERR_INVAL or ERR_LIMIT. */
MUST_USE int script_series_parse(
	struct arena *arena, struct str line, struct script_series *out, struct err *err);
/* Histograms: "{{...}}", "{{...}}+{{...}}", "{{...}}-{{...}}", the second added 'repeats' times.
 * Appends to 'values', which has room. Returns 0, ERR_INVAL or ERR_LIMIT. */
MUST_USE int script_histograms_parse(struct arena *arena, struct str item, uint64_t repeats,
	struct script_value *values, struct err *err);

#endif
