/*
 * The subcommands of atoll link.
 */
#ifndef CMD_LINK_H
#define CMD_LINK_H

#include "cmd/flags.h"

extern const struct command link_create_command;
extern const struct command link_add_command;
extern const struct command link_list_command;
extern const struct command link_check_command;
extern const struct command link_explain_command;
extern const struct command link_remove_command;

#endif
