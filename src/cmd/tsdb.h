/*
 * atoll tsdb: work on a data directory that no server has open.
 */
#ifndef CMD_TSDB_H
#define CMD_TSDB_H

#include "cmd/flags.h"

extern const struct command tsdb_load_command;

#endif
