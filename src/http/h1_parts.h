/*
 * What requests and answers of HTTP/1.1 have in common (RFC 9112): header lines, lengths, sizes of
 * chunks. Each function returns NULL, or what is wrong, as the end of a sentence. Any thread.
 */
#ifndef HTTP_H1_PARTS_H
#define HTTP_H1_PARTS_H

#include "base/str.h"

#include <stdint.h>

/* Splits "Name: value" (not empty, without its CR LF) into slices. */
const char *h1_split_header(struct str line, struct str *name, struct str *value);
/* A Content-Length: digits and nothing else. */
const char *h1_parse_length(struct str value, uint64_t *length);
/* The line before a chunk: hexadecimal digits; what follows a ';' is for nobody here. */
const char *h1_parse_chunk_size(struct str line, uint64_t *size);

#endif
