/*
 * HTTP messages: methods, header lists, status texts; the same for HTTP/1.1 and HTTP/2.
 *
 * Immutable once built; memory is the arena's that was given.
 */
#ifndef HTTP_MESSAGE_H
#define HTTP_MESSAGE_H

#include "base/arena.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>

struct http_header {
	struct str name; /* Lower case. */
	struct str value;
};

struct http_headers {
	struct http_header *items;
	size_t count;
	size_t capacity;
};

/* Adds a copy; 'name' is lower-cased. */
void http_headers_add(
	struct http_headers *headers, struct arena *arena, struct str name, struct str value);
/* The first value of 'name' (lower case), or an empty string. */
struct str http_headers_get(const struct http_headers *headers, struct str name);

/* A request whole in memory; lives in an arena. */
struct http_request {
	struct str method;    /* "GET" */
	struct str scheme;    /* "http" or "https" */
	struct str authority; /* Host header or :authority */
	struct str target;    /* As sent: path and query */
	struct str path;      /* Before '?', still escaped */
	struct str query;     /* After '?', without it */
	struct http_headers headers;
	struct str body;
};

/*
 * Sets target, path and query (borrowed) from a request target in origin form ("/path?query"), or
 * "*" when the method is OPTIONS. Returns false, changing nothing, for any other form and for bytes
 * that a target may not hold.
 */
bool http_request_set_target(struct http_request *request, struct str target);

/* Whether 'name' is a token (RFC 9110 5.6.2): what a method and a header name must be. */
bool http_name_is_token(struct str name);
/* Whether a header value is free of control characters (tabs are fine). */
bool http_value_is_safe(struct str value);
/* Whether a comma-separated header value holds 'token', in any case of letters. */
bool http_value_has_token(struct str value, struct str token);
/*
 * Whether a header (lower case) belongs to one connection and its framing: never forwarded, and set
 * only by this folder ("connection", "content-length", "transfer-encoding", ...).
 */
bool http_header_is_framing(struct str name);
/* Whether a Host header or :authority is made of the bytes it may hold (no user info, no path). */
bool http_authority_is_valid(struct str authority);

/* The reason phrase of a status, "Unknown" for one that is not listed. */
const char *http_status_text(int status);

#endif
