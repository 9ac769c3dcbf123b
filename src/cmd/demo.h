/*
 * atoll demo and its subcommands; see commands.c.
 */
#ifndef CMD_DEMO_H
#define CMD_DEMO_H

#include "cmd/flags.h"

extern const struct command demo_command;
extern const struct command demo_status_command;
extern const struct command demo_restart_command;
extern const struct command demo_add_command;
extern const struct command demo_remove_command;

#endif
