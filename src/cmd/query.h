/*
 * atoll query: asking a server, or a data directory of one that does not run, from the shell.
 */
#ifndef CMD_QUERY_H
#define CMD_QUERY_H

#include "cmd/flags.h"
#include "cxx/json.h"

extern const struct command query_instant_command;
extern const struct command query_range_command;
extern const struct command query_series_command;
extern const struct command query_labels_command;
extern const struct command query_format_command;
extern const struct command query_explain_command;

/* Where and how long to ask. */
struct query_place {
	const char *where; /* A URL, or a directory of the TSDB. */
	int64_t timeout_ms;
};

/*
 * Asks for '/api/v1' + 'path' with the encoded parameters 'form'. Returns the HTTP status, with the
 * answer's JSON in 'body'; ERR_IO or ERR_TIMEOUT for a server that did not answer, or what opening
 * the directory gives. A directory is read as it lies there and not changed.
 */
MUST_USE int query_ask(const struct query_place *place, const char *path, struct str form,
	struct buf *body, struct err *err);

/* How an answer is printed. */
enum query_form {
	QUERY_TEXT,
	QUERY_JSON, /* As it came. */
	QUERY_PLAN, /* Not what was found but how: a row per node. */
};

/*
 * Prints the answer, the warnings to stderr unless it is JSON. Returns 0, ERR_CORRUPT for what is
 * no answer of this API, ERR_ABSENT for one without the plan that is wanted, or ERR_EXEC with the
 * sentence of an error answer.
 */
MUST_USE int query_print(struct str body, enum query_form form, struct err *err);
/* Appends the plan of "explain" in an answer's data, a row per node. */
void query_format_plan(struct json_value explain, struct buf *out);

#endif
