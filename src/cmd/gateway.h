/*
 * atoll gateway.
 */
#ifndef CMD_GATEWAY_H
#define CMD_GATEWAY_H

#include "cmd/flags.h"

extern const struct command gateway_command;

#endif
