/*
 * Label sets: the identity of a series.
 *
 * A set is a list of name/value pairs: sorted by name (bytes), no name twice, no empty value; { 0 }
 * is the empty set. It never changes once built, so any thread may read it. Its bytes belong to the
 * arena it was built in and live as long. The metric's name is the value of "__name__".
 */
#ifndef LABEL_LABELS_H
#define LABEL_LABELS_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#include <stddef.h>
#include <stdint.h>

/* Most pairs in one set: room for any honest exporter, few enough to sort on the stack. */
#define LABELS_COUNT_MAX 256

#define LABEL_NAME STR("__name__")

struct label {
	struct str name;
	struct str value;
};

struct labels {
	const struct label *pairs; /* Sorted by name. */
	size_t count;
};

/*
 * Builds a set from pairs in any order, copying their bytes into 'arena'. A pair with an empty
 * value is dropped: to PromQL it is the same as none.
 *
 * Returns 0, ERR_LIMIT for too many pairs, or ERR_INVAL for a name that is empty or given twice.
 */
MUST_USE int labels_build(struct arena *arena, const struct label *pairs, size_t count,
	struct labels *out, struct err *err);

/* A deep copy into 'arena'. */
struct labels labels_copy(struct arena *arena, const struct labels *set);

/* The value of 'name', or an empty string if the set lacks it. */
struct str labels_get(const struct labels *set, struct str name);

/* Same pairs. */
bool labels_equal(const struct labels *a, const struct labels *b);
/* Prometheus' order: pair by pair, name then value, by bytes; a prefix before what it prefixes. */
int labels_cmp(const struct labels *a, const struct labels *b);
/* Not stable across versions: for tables in memory only. */
uint64_t labels_hash(const struct labels *set);

/* The hash of the pairs whose name is (not) among the 'count' sorted 'names'. */
uint64_t labels_hash_only(const struct labels *set, const struct str *names, size_t count);
uint64_t labels_hash_without(const struct labels *set, const struct str *names, size_t count);

/* The set without / with only the 'count' names (sorted); shares the strings, new pairs in arena.
 */
struct labels labels_without(
	struct arena *arena, const struct labels *set, const struct str *names, size_t count);
struct labels labels_only(
	struct arena *arena, const struct labels *set, const struct str *names, size_t count);
/* The set with 'name' set to 'value' ("" removes it); shares the strings, new pairs in arena. */
struct labels labels_with(
	struct arena *arena, const struct labels *set, struct str name, struct str value);

/* A name of the classic form [a-zA-Z_][a-zA-Z0-9_]*; metrics may also hold ':'. */
bool label_name_is_legacy(struct str name);
bool metric_name_is_legacy(struct str name);
/* What Prometheus 3 takes as a name of a label or metric: any UTF-8 text but the empty one. */
bool label_name_is_valid(struct str name);

/* Appends a label's name, quoted when it is not of the classic form. */
void label_name_format(struct str name, struct buf *out);
/*
 * Appends name{a="b", c="d"} as Prometheus prints a metric: just the name when there is nothing
 * else,
 * {"the name", a="b"} when the name is not of the classic form, {} for the empty set.
 */
void labels_format(const struct labels *set, struct buf *out);
/* Appends {__name__="name", a="b"}: every pair within the braces, as promtool tsdb dump prints. */
void labels_format_braces(const struct labels *set, struct buf *out);

#endif
