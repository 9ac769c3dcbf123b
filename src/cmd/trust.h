/*
 * The subcommands of atoll trust.
 */
#ifndef CMD_TRUST_H
#define CMD_TRUST_H

#include "cmd/flags.h"

extern const struct command trust_init_command;
extern const struct command trust_issuer_command;
extern const struct command trust_sign_command;
extern const struct command trust_keep_command;
extern const struct command trust_inspect_command;
extern const struct command trust_bundle_command;
extern const struct command trust_rotate_issuer_command;
extern const struct command trust_rotate_anchor_command;
extern const struct command trust_revoke_command;
extern const struct command trust_serve_command;
extern const struct command trust_token_command;
extern const struct command trust_join_command;

#endif
