/*
 * Prometheus' durations: "1h30m", "5s500ms", "1w"; and their expressions in a query.
 */
#ifndef PROMQL_DURATION_H
#define PROMQL_DURATION_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#include <stdint.h>

/* Reads a duration into milliseconds. Returns 0 or ERR_INVAL ("not a valid duration string: ...").
 */
MUST_USE int duration_parse(struct str text, int64_t *ms, struct err *err);
/* Appends the canonical form: 5400000 is "1h30m", 0 is "0s". */
void duration_format(int64_t ms, struct buf *out);

#endif
