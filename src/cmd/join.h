/*
 * A certificate from a cluster's issuing service, in one call that blocks.
 */
#ifndef CMD_JOIN_H
#define CMD_JOIN_H

#include "base/err.h"
#include "trust/joiner.h"

/* Joins or renews as the options say (on_done and context are set here). With 'keeps' it returns
 * when a signal ends it. Returns 0 or why it failed. */
MUST_USE int join_run(const struct joiner_options *options, struct err *err);

#endif
