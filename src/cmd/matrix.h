/*
 * atoll matrix: a look into answers between clusters and hub.
 */
#ifndef CMD_MATRIX_H
#define CMD_MATRIX_H

#include "cmd/flags.h"

extern const struct command matrix_dump_command;

#endif
