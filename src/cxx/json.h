/*
 * Reading large JSON answers of other servers with simdjson, as a tree that is walked by cursors.
 *
 * A document owns its bytes; values are small handles that stay valid as long as it. One thread.
 */
#ifndef CXX_JSON_H
#define CXX_JSON_H

#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json_document;

enum json_type {
	JSON_NULL,
	JSON_BOOL,
	JSON_NUMBER,
	JSON_STRING,
	JSON_ARRAY,
	JSON_OBJECT
};

/* A place in a document; copied freely. */
struct json_value {
	const struct json_document *document;
	size_t index;
};

/*
 * Parses (and copies) 'text', which must be UTF-8. Returns 0, ERR_CORRUPT with the reason (or for
 * nesting beyond 1024), ERR_LIMIT beyond 1 GiB.
 */
MUST_USE int json_document_new(struct str text, struct json_document **out, struct err *err);
/* Frees the document and with it all its values; fine with NULL. */
void json_document_free(struct json_document *document);
/* The value that the whole document is. */
struct json_value json_root(const struct json_document *document);

/* What the value is. */
enum json_type json_type_of(struct json_value value);
/* Strings, unescaped, borrowed from the document; empty for another type. */
struct str json_string(struct json_value value);
/* Numbers, as the nearest of that type; 0 for another type. */
double json_double(struct json_value value);
int64_t json_int(struct json_value value);
/* Whether it is true. */
bool json_bool(struct json_value value);
/* The first member of that name, found by walking them. Returns false if there is none or 'value'
 * is no object. */
bool json_member(struct json_value value, struct str name, struct json_value *out);

/* Walks the items of an array, or the members of an object (then 'name' is filled in). */
struct json_iterator {
	struct json_value next;
	size_t end;
	bool is_object;
};
/* What is neither array nor object has no items. */
struct json_iterator json_iterate(struct json_value value);
/* Steps to the next item. Returns false at the end. 'name' may be NULL. */
bool json_next(struct json_iterator *iterator, struct json_value *item, struct str *name);
/* Number of items or members. */
size_t json_count(struct json_value value);

#endif
