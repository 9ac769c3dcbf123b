/*
 * Notes: the warnings and infos of one evaluation, before they become text.
 *
 * Two notes of the same sentence are one, wherever they arose; the rightmost position stays. Owned
 * by one evaluation; memory is its arena's.
 */
#ifndef PROMQL_NOTES_H
#define PROMQL_NOTES_H

#include "base/map.h"
#include "cxx/number.h"
#include "promql/engine.h"

#define NOTES_NUMBER_MAX (NUMBER_TEXT_MAX + 1)

/* Most different notes of one evaluation. The data decides how many there could be (a bad label
 * value each); nobody reads more, and the API shows ten of a kind. */
#define NOTES_MAX 1000

struct note {
	bool is_info;
	struct str text;   /* Without position. */
	uint32_t position; /* Byte in the query. */
	/* Forced monotonicity of histogram buckets: what was repaired, over all samples. */
	bool is_repair;
	double bucket_min;
	double bucket_max;
	double diff_max;
	int64_t first_ms;
	int64_t last_ms;
	uint64_t count;
};

/* { 0 } is empty. */
struct notes {
	struct note *items;
	size_t count;
	size_t capacity;
	struct map by_text; /* Index into items. */
};

/* Frees the notes; { 0 } is fine. */
void notes_deinit(struct notes *notes);

/* "PromQL warning: " or "PromQL info: " and the sentence. */
void notes_warn(struct notes *notes, struct arena *arena, uint32_t position, const char *fmt, ...)
	PRINTF(4, 5);
void notes_info(struct notes *notes, struct arena *arena, uint32_t position, const char *fmt, ...)
	PRINTF(4, 5);
/* Buckets of 'metric' (may be empty) at 'time_ms' had to be made monotonic. */
void notes_repair(struct notes *notes, struct arena *arena, uint32_t position, struct str metric,
	int64_t time_ms, double bucket_min, double bucket_max, double diff_max);

/* Adds the notes of a part of the same query, evaluated apart. What stands at the byte 'from' or
 * behind it there stands as far behind 'to' here. */
void notes_merge(struct notes *notes, struct arena *arena, const struct notes *part, uint32_t from,
	uint32_t to);

/* Adds each as text with its line and column in 'query'. */
void notes_format(
	const struct notes *notes, struct str query, struct arena *arena, struct annotations *out);

/* A number as Go's %g prints it, for sentences; in 'text'. */
const char *notes_number(double value, char text[NOTES_NUMBER_MAX]);
/* Text in quotes as Go's %q prints it; in 'quoted'. */
const char *notes_quote(struct str text, struct buf *quoted);

#endif
