/*
 * Taking the metric's name away, as functions and arithmetic do; and what that may bring together.
 */
#ifndef PROMQL_NAMES_H
#define PROMQL_NAMES_H

#include "promql/columns.h"

/* An operation that drops names. */
struct name_drop {
	struct eval *ev;
	struct guard guard;
	bool guards_all; /* The input's names may differ, so any two series may become one. */
	bool is_guarding;
	/* Only __name__ goes, and __type__ and __unit__ stay; set after name_drop_init. Names that
	 * go at the end take these with them all the same. */
	bool keeps_type;
};

/*
 * 'input' is what the names come from. 'is_strict' refuses two series of one name-less label set
 * even if they are never there at the same step, as functions of range vectors do.
 */
MUST_USE int name_drop_init(struct name_drop *drop, struct eval *ev, const struct expr *input,
	size_t step_count, bool is_strict);

/*
 * Takes the column's name away, or marks it when that is to happen at the end of the query. Returns
 * 0, ERR_LIMIT, or ERR_EXEC when the series cannot be told from another any more.
 */
MUST_USE int name_drop_apply(struct name_drop *drop, struct column *column);

/* Whether columns that went through may repeat labels. */
bool name_drop_repeats(const struct name_drop *drop);

/* Whether all series of 'expr' have the same name, or none. */
bool expr_has_one_name(const struct expr *expr);

#endif
