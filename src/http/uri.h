/*
 * URIs: percent-decoding, query strings and form bodies.
 */
#ifndef HTTP_URI_H
#define HTTP_URI_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#include <stddef.h>

/* Most parameters in one query string or form. */
#define URI_PARAMS_MAX 10000

struct uri_param {
	struct str name;
	struct str value;
};

struct uri_params {
	struct uri_param *items;
	size_t count;
	size_t capacity;
};

/* Decodes %XX (and '+' as a space if 'plus') into 'arena'. ERR_INVAL for a broken escape. */
MUST_USE int uri_decode(
	struct arena *arena, struct str text, bool plus, struct str *out, struct err *err);
/* Appends 'text' with everything but unreserved characters escaped. */
void uri_encode(struct str text, struct buf *out);
/* Adds the parameters of a query string or form body to 'params'. ERR_INVAL, ERR_LIMIT. */
MUST_USE int uri_params_parse(
	struct arena *arena, struct str text, struct uri_params *params, struct err *err);
/* The first value of 'name', or an empty string; 'found' (may be NULL) tells them apart. */
struct str uri_params_get(const struct uri_params *params, struct str name, bool *found);

#endif
