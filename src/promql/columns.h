/*
 * Columns that are kept: collected from a stream, and those that are one series made into one.
 */
#ifndef PROMQL_COLUMNS_H
#define PROMQL_COLUMNS_H

#include "promql/eval.h"

struct column_list {
	struct column *items;
	size_t count;
	size_t capacity;
};

/* Appends a column, as it is. */
MUST_USE int column_list_add(
	struct eval *ev, struct column_list *list, const struct column *column);

/*
 * Reads the stream to its end, keeping every column that has a value; columns of the same labels
 * become one. Returns 0, or ERR_EXEC when two of them have a value at the same step.
 */
MUST_USE int columns_collect(
	struct eval *ev, struct stream *stream, size_t step_count, struct column_list *out);

/* A copy whose buffers stay, unless the stream's stay anyway. */
MUST_USE int column_keep(struct eval *ev, const struct stream *stream, const struct column *column,
	size_t step_count, struct column *out);

/* Columns of a stream in which no labels come twice: the stream's own where they do not, collected
 * ones where they may. */
struct columns {
	struct eval *ev;
	struct stream *stream;
	size_t step_count;
	struct column_list list; /* Of a stream that repeats. */
	size_t next;
	bool is_collected;
};

/* A walk over what 'stream' gives, as columns of 'step_count' steps. */
void columns_init(
	struct columns *columns, struct eval *ev, struct stream *stream, size_t step_count);
/* Returns 1, 0 at the end, or an error. */
MUST_USE int columns_next(struct columns *columns, struct column *out);

/* A stream of collected columns; they may be changed in place. */
MUST_USE int column_list_stream(
	struct eval *ev, const struct column_list *list, struct stream **out);

/*
 * Sees that no two columns have the same labels at the same step: what an operation that changes
 * labels must refuse. Kept of each column are a hash, the labels and the bitmap.
 */
struct guard {
	struct eval *ev;
	struct table *table;
	size_t step_count;
	bool is_strict; /* Refuses the same labels at different steps, too. */
};

/* A guard that has seen nothing. Returns 0 or ERR_LIMIT. */
MUST_USE int guard_init(struct guard *guard, struct eval *ev, size_t step_count, bool is_strict);
/* Returns 0, ERR_LIMIT, or ERR_EXEC with Prometheus' sentence. A column without values is let by.
 */
MUST_USE int guard_add(struct guard *guard, const struct column *column);
/* Within the group numbered 'group' only. Returns 1 instead of failing when there is such a column.
 */
MUST_USE int guard_see(
	struct guard *guard, const struct labels *labels, const uint64_t *present, size_t group);

#endif
