/*
 * HTTP messages: methods, header lists, status texts; the same for HTTP/1.1 and HTTP/2.
 */
#ifndef HTTP_MESSAGE_H
#define HTTP_MESSAGE_H

#include "base/arena.h"
#include "base/str.h"

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
void http_headers_add(struct http_headers *headers, struct arena *arena, struct str name,
	struct str value);
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

const char *http_status_text(int status);

#endif
