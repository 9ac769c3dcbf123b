/*
 * The part of a series, or of an exemplar, between braces: checked while reading, taken apart when
 * the labels are wanted.
 */
#ifndef EXPFMT_BRACES_H
#define EXPFMT_BRACES_H

#include "expfmt/scan.h"

/* What differs between the formats. */
struct brace_rules {
	unsigned blank;      /* The class of bytes skipped between tokens. */
	unsigned name_flags; /* For scan_quoted. */
	unsigned value_flags;
	bool needs_commas;
	bool may_name; /* A quoted string alone is the metric's name. */
};

extern const struct brace_rules brace_rules_text;
extern const struct brace_rules brace_rules_openmetrics;
extern const struct brace_rules brace_rules_exemplar;

/* Where labels go as they are met, still escaped. */
struct brace_sink {
	struct label *pairs;
	size_t count;
	size_t max; /* More are counted, not kept. */
	struct str name;
};

/*
 * Reads from behind '{' to behind '}'. '*named' says whether the metric has a name, before and
 * after. 'sink' may be NULL. Returns NULL after scan_fail.
 */
const char *braces_read(const struct exposition *reader, const struct brace_rules *rules,
	const char *at, bool *named, struct brace_sink *sink, struct err *err);

#endif
