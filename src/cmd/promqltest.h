/*
 * atoll promqltest: running scripts of PromQL tests.
 */
#ifndef CMD_PROMQLTEST_H
#define CMD_PROMQLTEST_H

#include "cmd/flags.h"

extern const struct command promqltest_command;

#endif
