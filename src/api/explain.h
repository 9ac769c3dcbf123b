/*
 * What became of a query, node by node, as JSON. Any thread.
 */
#ifndef API_EXPLAIN_H
#define API_EXPLAIN_H

#include "codec/json_writer.h"
#include "source/source.h"

/* Writes {"plan":[node...],"clusters":[...]}; a plan of no node is one that needed none. */
void explain_render(struct json_writer *json, const struct source_answer *answer);
/* Writes what each cluster gave, as a list. */
void explain_render_shares(struct json_writer *json, const struct source_answer *answer);

#endif
