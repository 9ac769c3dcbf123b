/*
 * Go-style quoting: how PromQL, Prometheus' messages and logfmt write strings.
 */
#ifndef BASE_QUOTE_H
#define BASE_QUOTE_H

#include "base/buf.h"
#include "base/str.h"

/* Appends the text in double quotes as Go's strconv.Quote does (printable UTF-8 stays as it is). */
void quote_append(struct str text, struct buf *out);

#endif
