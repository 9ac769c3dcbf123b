/*
 * atoll mirror.
 */
#ifndef CMD_MIRROR_H
#define CMD_MIRROR_H

#include "cmd/flags.h"

extern const struct command mirror_command;

#endif
