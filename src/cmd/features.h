/*
 * --enable-feature: Prometheus' names of what a query engine may do besides.
 */
#ifndef CMD_FEATURES_H
#define CMD_FEATURES_H

#include "cmd/flags.h"
#include "promql/parse.h"

struct features {
	struct parse_options parse;
	bool delayed_name_removal; /* promql-delayed-name-removal */
	bool per_step_stats;       /* promql-per-step-stats */
	bool use_start_timestamps; /* use-start-timestamps */
};

/* What 'names' (each "a,b,...") switch on. Unknown ones are only logged, since charts pass old
 * names. */
struct features features_read(const struct flag_list *names);

#endif
