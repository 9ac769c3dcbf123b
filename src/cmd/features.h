/*
 * --enable-feature: Prometheus' names of what a query engine may do besides.
 */
#ifndef CMD_FEATURES_H
#define CMD_FEATURES_H

#include "cmd/flags.h"
#include "promql/parse.h"

/*
 * Switches on what 'names' (each "a,b,...") say. Unknown ones are only logged, since charts pass
 * old names. 'delayed_name_removal' is NULL where that cannot be had.
 */
void features_enable(
	const struct flag_list *names, struct parse_options *options, bool *delayed_name_removal);

#endif
