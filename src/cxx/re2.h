/*
 * RE2 behind C functions. Use label/regex.h, which adds anchoring and the fast paths.
 */
#ifndef CXX_RE2_H
#define CXX_RE2_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

struct re2_pattern;

/* Compiles 'pattern' as written. Returns 0, or ERR_INVAL with RE2's reason, ERR_LIMIT if too large.
 */
MUST_USE int re2_new(struct str pattern, struct re2_pattern **out, struct err *err);
/* Fine with NULL. */
void re2_free(struct re2_pattern *re);
/* Whether the whole of 'text' matches. Any thread. */
bool re2_match_full(const struct re2_pattern *re, struct str text);
/* As re2_match_full, filling up to 'max' groups (0 is the whole); a group that did not take part
 * has a NULL pointer. */
bool re2_match_groups(
	const struct re2_pattern *re, struct str text, struct str *groups, size_t max);
/* Number of capturing groups; and the number of the group of that name, or -1. */
size_t re2_group_count(const struct re2_pattern *re);
int re2_group_index(const struct re2_pattern *re, struct str name);

#endif
