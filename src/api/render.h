/*
 * Answers as JSON: the envelope, query results, lists. Any thread.
 */
#ifndef API_RENDER_H
#define API_RENDER_H

#include "codec/json_writer.h"
#include "source/source.h"

/* Prometheus gives at most so many warnings and so many infos, and says how many it left out. */
#define RENDER_NOTES_MAX 10

/* {"status":"success","data": ... */
void render_begin(struct json_writer *json);
/* ... ,"warnings":[...],"infos":[...]} with 'truncated' adding the limit's warning. */
void render_end(struct json_writer *json, const struct annotations *notes, bool truncated);

/* {"status":"error","errorType":...,"error":...}; returns the HTTP status of the code. */
int render_error(struct buf *out, const struct err *err);

/*
 * The data of a query: {"resultType":...,"result":[...]} with stats if asked for. At most 'limit'
 * series (0: all); returns whether some were left out.
 */
bool render_result(struct json_writer *json, const struct source_answer *answer,
	const struct query_request *request, bool with_stats);

/* A label set as an object. */
void render_labels(struct json_writer *json, const struct labels *set);
/* Returns whether 'limit' left some out. */
bool render_strings(struct json_writer *json, const struct str_list *list, size_t limit);
bool render_series(struct json_writer *json, const struct labels_list *list, size_t limit);

#endif
