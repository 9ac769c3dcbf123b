/*
 * atoll query: asking a server, or a data directory of one that does not run, from the shell.
 */
#ifndef CMD_QUERY_H
#define CMD_QUERY_H

#include "cmd/flags.h"

extern const struct command query_instant_command;
extern const struct command query_range_command;
extern const struct command query_series_command;
extern const struct command query_labels_command;
extern const struct command query_format_command;

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

/*
 * Prints the answer: as text, the warnings to stderr; or the JSON as it came. Returns 0,
 * ERR_CORRUPT for what is no answer of this API, or ERR_EXEC with the sentence of an error answer.
 */
MUST_USE int query_print(struct str body, bool as_json, struct err *err);

#endif
