/*
 * Whether the result of an evaluation is the one that its script expects.
 */
#ifndef PROMQLTEST_COMPARE_H
#define PROMQLTEST_COMPARE_H

#include "base/buf.h"
#include "promql/engine.h"
#include "promqltest/script.h"

/* Whether there is any expectation of that kind. */
bool compare_expects(const struct script_eval *eval, enum expect_kind kind);
/* Whether a failure is one that the script expects. */
bool compare_failure(const struct script_eval *eval, struct str sentence);
/* Whether the notes are those expected; if not, appends "expected ..., got ..." to 'why'. */
bool compare_notes(
	const struct script_eval *eval, const struct annotations *notes, struct buf *why);
/* Likewise for the values. */
bool compare_result(
	const struct script_eval *eval, const struct query_result *result, struct buf *why);

#endif
