/*
 * The commands of the one binary. Each is a row in its own file; main.c lists them.
 */
#ifndef CMD_COMMANDS_H
#define CMD_COMMANDS_H

#include "cmd/flags.h"

/* All commands in the order of --help; 'count' is how many. */
const struct command *const *commands_get(size_t *count);

#endif
