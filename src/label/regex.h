/*
 * Regular expressions as PromQL and relabelling use them: RE2 syntax, fully anchored, '.' matches
 * newline (^(?s:...)$).
 *
 * The common shapes - a literal, an alternation of literals, a prefix, '.*', '.+' - are recognised
 * when compiling and never reach RE2. A compiled regex is immutable: any thread may match with it.
 */
#ifndef LABEL_REGEX_H
#define LABEL_REGEX_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#include <stddef.h>

/* Longest pattern accepted, in bytes; longer ones are ERR_LIMIT. */
#define REGEX_LEN_MAX 65536

struct regex;

/* Returns 0, ERR_INVAL with RE2's reason for a malformed pattern, or ERR_LIMIT. */
MUST_USE int regex_new(struct str pattern, struct regex **out, struct err *err);
/* NULL is fine. */
void regex_free(struct regex *regex);

/* Whether all of 'text' matches. */
bool regex_match(const struct regex *regex, struct str text);
/* The pattern as it was given; borrowed. */
struct str regex_pattern(const struct regex *regex);

/*
 * The literals that are all the regex can match, when it is a literal or an alternation of literals
 * (in the order written, none twice); NULL and 0 otherwise. Borrowed from the regex.
 */
const struct str *regex_literals(const struct regex *regex, size_t *count);
/* A literal that every match starts with; empty when there is none. */
struct str regex_prefix(const struct regex *regex);
bool regex_matches_all(const struct regex *regex);      /* .* */
bool regex_matches_nonempty(const struct regex *regex); /* .+ */

/*
 * Appends 'replacement' with $1, ${1}, $name, ${name} and $$ expanded from a match of 'text', as
 * Go's regexp.Expand does. Returns false, appending nothing, when the regex does not match.
 */
bool regex_expand(
	const struct regex *regex, struct str text, struct str replacement, struct buf *out);

/* Owner of the regexes of one query or configuration; the same pattern is compiled once. */
struct regex_set {
	struct regex **items;
	size_t count;
	size_t capacity;
};

/* Frees the set and every regex in it. */
void regex_set_deinit(struct regex_set *set);
/* Compiles 'pattern', or returns the one compiled before. Same outcomes as regex_new. */
MUST_USE int regex_set_add(
	struct regex_set *set, struct str pattern, const struct regex **out, struct err *err);

#endif
