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

/* What a client wants to know about its query, by the parameter "stats". */
struct stats_wish {
	bool is_wanted;
	bool is_known;     /* By one of the words for it. */
	bool has_steps;    /* Of each step, too. */
	int64_t waited_ns; /* How long the query waited for a thread. */
};

/*
 * The data of a query: {"resultType":...,"result":[...]}, with stats unless 'stats' is NULL. At
 * most request->limit series (0: all); returns whether some were left out.
 */
bool render_result(struct json_writer *json, const struct source_answer *answer,
	const struct query_request *request, const struct stats_wish *stats);

/* {"name":"value",...} */
void render_labels(struct json_writer *json, const struct labels *set);
/* A list as the data, at most 'limit' (0: all); returns whether some were left out. When 'control',
 * which may be NULL, is canceled, the writer fails; so it does in render_result. */
bool render_strings(struct json_writer *json, const struct str_list *list, size_t limit,
	const struct query_control *control);
bool render_series(struct json_writer *json, const struct labels_list *list, size_t limit,
	const struct query_control *control);

#endif
