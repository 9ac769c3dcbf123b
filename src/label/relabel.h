/*
 * Relabelling: rules that rewrite or drop a label set, as relabel_configs and
 * metric_relabel_configs define them. Semantics and messages are Prometheus 3's (names may be any
 * UTF-8 unless 'legacy').
 *
 * Rules are immutable once built; their strings are borrowed from the spec, so they live as long as
 * the configuration. Any thread may apply them.
 */
#ifndef LABEL_RELABEL_H
#define LABEL_RELABEL_H

#include "label/labels.h"
#include "label/regex.h"

enum relabel_action {
	RELABEL_REPLACE,
	RELABEL_KEEP,
	RELABEL_DROP,
	RELABEL_KEEPEQUAL,
	RELABEL_DROPEQUAL,
	RELABEL_HASHMOD,
	RELABEL_LABELMAP,
	RELABEL_LABELDROP,
	RELABEL_LABELKEEP,
	RELABEL_LOWERCASE,
	RELABEL_UPPERCASE,
};

/* A rule as written: NULL pointers in strings mean "not given". */
struct relabel_spec {
	const struct str *source_labels;
	size_t source_count;
	struct str separator;
	struct str regex;
	struct str target_label;
	struct str replacement;
	struct str action;
	uint64_t modulus;
	bool legacy_names; /* metric_name_validation_scheme: legacy */
};

struct relabel_rule {
	enum relabel_action action;
	const struct str *source_labels;
	size_t source_count;
	struct str separator;
	const struct regex *regex;
	struct str target_label;
	struct str replacement;
	uint64_t modulus;
	bool legacy_names;
};

/*
 * Fills in the defaults (separator ";", regex "(.*)", replacement "$1", action "replace", in any
 * case), compiles the regex into 'regexes' and checks what the action asks for. Returns 0 or
 * ERR_INVAL with Prometheus' sentence ("relabel configuration for hashmod action requires
 * 'target_label' value").
 */
MUST_USE int relabel_rule_build(const struct relabel_spec *spec, struct regex_set *regexes,
	struct relabel_rule *out, struct err *err);

/* "replace", "keep", ... */
const char *relabel_action_text(enum relabel_action action);

/*
 * Applies 'count' rules in order. Returns whether the set is kept; then '*out' is the rewritten
 * set, in 'arena' or sharing strings with 'in' and the rules. 'in' and 'out' may be the same. It
 * may have more than LABELS_COUNT_MAX pairs: whoever stores it checks.
 */
bool relabel_apply(const struct relabel_rule *rules, size_t count, const struct labels *in,
	struct arena *arena, struct labels *out);

#endif
