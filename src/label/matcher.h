/*
 * Matchers: what a selector says about one label.
 *
 * A missing label has the empty value. Immutable once built; strings and regex belong to whoever
 * built it (a query's arena and regex set).
 */
#ifndef LABEL_MATCHER_H
#define LABEL_MATCHER_H

#include "label/labels.h"
#include "label/regex.h"

enum matcher_op {
	MATCHER_EQUAL,
	MATCHER_NOT_EQUAL,
	MATCHER_REGEX,
	MATCHER_NOT_REGEX
};

struct matcher {
	enum matcher_op op;
	struct str name;
	struct str value;          /* The literal, or the regex' text. */
	const struct regex *regex; /* Borrowed; NULL for the two literal kinds. */
};

/* Whether the matcher accepts this value of its label. */
bool matcher_matches(const struct matcher *matcher, struct str value);
/* Whether it accepts series that lack the label. */
bool matcher_matches_empty(const struct matcher *matcher);
/* Whether every matcher accepts the set's value of its label. */
bool matchers_match(const struct matcher *matchers, size_t count, const struct labels *set);
/* "=", "!=", "=~", "!~" */
const char *matcher_op_text(enum matcher_op op);
/* Appends name="value" with the value quoted as PromQL prints it. */
void matcher_format(const struct matcher *matcher, struct buf *out);

#endif
