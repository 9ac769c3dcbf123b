/*
 * One chain of per-series work on several threads.
 *
 * The series of a selector are cut into batches. Each lane - the thread that evaluates the query,
 * and helpers of the engine's pool - opens the chain for itself over a fork of the walk and works
 * on one batch after the other. The stream gives the columns in the order of the series, so that
 * whoever takes them sees what one thread would have given, to the last bit; how many lanes there
 * were changes nothing but the time it took.
 *
 * Helpers are a gain, never a condition: they are asked for when there is a batch to be had and
 * leave when there is none, and a pool that has no time leaves all work to the query's own thread.
 */
#ifndef PROMQL_GATHER_H
#define PROMQL_GATHER_H

#include "promql/eval.h"

struct gather;

/*
 * Whether the chain that was opened as 'stream' over 'leaf' is long enough to be spread. 'leaf' is
 * then only forked, 'stream' no longer used.
 */
bool gather_pays(const struct eval *ev, const struct leaf *leaf, const struct grid *grid);

/* Spreads 'expr', a chain over 'leaf'. Returns 0 or an error. */
MUST_USE int gather_open(struct eval *ev, struct expr *expr, const struct grid *grid,
	struct leaf *leaf, const struct stream *stream, struct stream **out);

/* Adds what the lanes' own evaluations say to what the query's nodes do. Waits for the helpers at
 * work; no column may be asked for after. */
void gather_explain(struct gather *gather);

/* Waits for the helpers at work and frees everything; before the evaluation's arena goes. */
void gather_free(struct gather *gather);

#endif
