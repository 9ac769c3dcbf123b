/*
 * Asking running programs of ours, over their web listeners. Blocking: for commands that end.
 */
#ifndef CMD_ASK_H
#define CMD_ASK_H

#include "base/buf.h"
#include "base/err.h"

#include <jansson.h>

/* GET of 'base' ("http://127.0.0.1:9490") and 'path'. Returns 0 with the body of a 200, ERR_IO,
 * ERR_TIMEOUT or ERR_LIMIT, with a sentence that names the URL. */
MUST_USE int ask_text(const char *base, const char *path, struct buf *out, struct err *err);
/* The same of {"status":"success","data":...}: 'out' is the whole answer, to be released by
 * json_decref, 'data' the member. Also ERR_CORRUPT. */
MUST_USE int ask_json(
	const char *base, const char *path, json_t **out, const json_t **data, struct err *err);
/* A member's text, or "". */
const char *ask_member(const json_t *object, const char *name);

#endif
