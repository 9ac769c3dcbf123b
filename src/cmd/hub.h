/*
 * atoll hub; see commands.c.
 */
#ifndef CMD_HUB_H
#define CMD_HUB_H

#include "cmd/flags.h"

extern const struct command hub_command;

#endif
