/*
 * Groups of series that agree in some labels: by (...), without (...), on (...), ignoring (...).
 *
 * Groups are numbered from 0 in the order in which they are met.
 */
#ifndef PROMQL_GROUPS_H
#define PROMQL_GROUPS_H

#include "promql/eval.h"

struct groups {
	struct eval *ev;
	const struct str *names; /* Sorted. */
	size_t name_count;
	bool without; /* All labels but these and __name__. */
	struct table *table;
	struct labels *examples; /* Of each group, the whole label set that was met first. */
	size_t count;
	size_t capacity;
};

/* 'names' need not be sorted and are copied; with 'without', __name__ joins them. */
MUST_USE int groups_init(struct groups *groups, struct eval *ev, const struct str *names,
	size_t name_count, bool without);
/* Groups of series that agree in all labels but 'name', __name__ included. */
MUST_USE int groups_init_except(struct groups *groups, struct eval *ev, struct str name);
/* The group of 'set', made if need be. Returns 0 or ERR_LIMIT. */
MUST_USE int groups_add(struct groups *groups, const struct labels *set, size_t *index);
/* Whether there is a group of 'set', and which. */
bool groups_find(const struct groups *groups, const struct labels *set, size_t *index);
/* The labels that the group agrees in. */
struct labels groups_labels(const struct groups *groups, size_t index);
/* The same of any set. */
struct labels groups_reduce(const struct groups *groups, const struct labels *set);

#endif
