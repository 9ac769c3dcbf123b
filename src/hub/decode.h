/*
 * Reading a cluster's answers: Prometheus' JSON and the compact matrix into step columns and lists,
 * strictly.
 *
 * A sample off the grid, out of order or malformed makes the whole answer ERR_CORRUPT: a wrong
 * number is worse than none. The hub's cluster label is put on every series, over one that was
 * stored. An error answer of the cluster comes back with its own sentence. Any thread.
 */
#ifndef HUB_DECODE_H
#define HUB_DECODE_H

#include "codec/json_writer.h"
#include "cxx/json.h"
#include "promql/engine.h"
#include "source/source.h"

struct decode_options {
	struct grid grid;
	bool is_range;
	struct str cluster_label; /* Empty: none is attached. */
	struct str cluster;
	bool *has_stored; /* Set when a series stores that label itself; may be NULL. */
	size_t bytes_max; /* Of a compact matrix, decompressed. */
};

/*
 * Fills type, steps, raw, string and notes of 'out', all in 'arena'. 'status' is the HTTP status.
 * Returns 0, ERR_CORRUPT, ERR_LIMIT (the arena's budget), or what the cluster's errorType means.
 */
MUST_USE int decode_query(struct str body, int status, const struct decode_options *options,
	struct arena *arena, struct query_result *out, struct err *err);

/* The data of /labels and /label/x/values. */
MUST_USE int decode_strings(
	struct str body, int status, struct arena *arena, struct str_list *out, struct err *err);

/* The data of /series; only 'cluster_label' and 'cluster' of the options are used. */
MUST_USE int decode_series(struct str body, int status, const struct decode_options *options,
	struct arena *arena, struct labels_list *out, struct err *err);

/*
 * Opens any answer: a document that the caller frees, and its "data". Returns as decode_query.
 */
MUST_USE int decode_open(struct str body, int status, struct json_document **document,
	struct json_value *data, struct err *err);

/* Writes a value again as it was. */
void decode_copy(struct json_value value, struct json_writer *json);

#endif
